"""Echolens' reading side: open a collection and search it.

    from retrieval import open_collection

    with open_collection("photos") as photos:
        for hit in photos.search("a dog on the beach", k=10, where="year >= 2020"):
            print(hit.score, hit.paths[0])

Importing it loads no model, no index library and no image library.
"""

from .collection import Collection, open_collection
from .errors import EcholensError
from .query.parse import DocumentRef, Part, Query, parse_query
from .query.present import Evidence, Hit, LegScore, Moment, Results

__all__ = [
    "Collection",
    "DocumentRef",
    "EcholensError",
    "Evidence",
    "Hit",
    "LegScore",
    "Moment",
    "Part",
    "Query",
    "Results",
    "open_collection",
    "parse_query",
]

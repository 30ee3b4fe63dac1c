"""Asking the index for rows: by page, in an order, or ranked.

Gets: a connection, queries. Gives: hits and rows. Touches: the index, reading.
Never: what it means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from elasticsearch import ApiError, Elasticsearch

from ...schema import FieldType
from .connection import Connection
from .filters import Query
from .rows import Row, field_of

PAGE = 1_000  # rows with all that is in them
IDS = 10_000  # rows of which only the id is asked, and ids that are asked for at once
MAX_WORDS = 1_000  # of one query; every server takes 1,024
KEEP_S = 60  # seconds for which the server keeps a state that is read page by page
_TOO_MUCH = ("too_many_clauses", "too_many_nested_clauses", "too_complex", "maximum nested depth")

Hit = dict[str, Any]
OUTLINE = ("key", "asset", "kind", "channel")  # columns of a document's row


def of_sort(sort: str, *conditions: Query) -> Query:
    """The query for rows of a sort that meet every condition."""
    return {"bool": {"filter": [{"term": {"t": sort}}, *conditions]}}


def rows(connection: Connection, query: Query, by: str = "key") -> Iterator[Row]:
    """All rows of a query by a field that is each one's own: what is written meanwhile may miss."""
    for hit in hits(connection, {"query": query, "sort": [{by: "asc"}]}, PAGE):
        yield hit["_source"]


def keys(connection: Connection, query: Query) -> Iterator[str]:
    """The ids of all rows of a query, sorted."""
    body = {"query": query, "sort": [{"key": "asc"}], "_source": False}
    for hit in hits(connection, body, IDS):
        yield hit["_id"]


def outlines(connection: Connection, query: Query) -> Iterator[dict[str, list[str]]]:
    """The `OUTLINE` of the rows of a query, `IDS` at most, from columns: no row is unpacked."""
    columns = {"_source": False, "stored_fields": "_none_", "docvalue_fields": list(OUTLINE)}
    body = {"query": query, "sort": ["_doc"], **columns}
    for hit in search(connection, body, IDS):
        yield hit["fields"]


def hits(connection: Connection, body: dict[str, Any], size: int) -> Iterator[Hit]:
    """All hits of a search, page by page in the order of its sort."""
    after: dict[str, Any] = {}
    while True:
        page = search(connection, {**body, **after}, size)
        yield from page
        if len(page) < size:
            return
        after = {"search_after": page[-1]["sort"]}


def best(connection: Connection, query: Query, k: int) -> list[Hit]:
    """The k best hits; ties in the order of their ids."""
    body = {"query": query, "sort": [{"_score": "desc"}, {"key": "asc"}], "_source": False}
    if k <= IDS:
        return search(connection, body, k)
    # One state of the index for all pages, else a write in between would move the ranks.
    keep = f"{KEEP_S}s"
    opened = connection.ask(
        lambda client: client.open_point_in_time(index=connection.name, keep_alive=keep)
    )
    found: list[Hit] = []
    pit = {"pit": {"id": opened["id"], "keep_alive": keep}}
    try:
        for hit in hits(connection, {**body, **pit}, min(k, IDS)):
            found.append(hit)
            if len(found) == k:
                break
    finally:
        connection.ask(lambda client: client.close_point_in_time(id=opened["id"]))
    return found


def search(connection: Connection, body: dict[str, Any], size: int) -> list[Hit]:
    """One search's hits; all shards answer, or it is an error."""
    found: list[Hit] = _answer(connection, body, size)["hits"]["hits"]
    return found


def _answer(connection: Connection, body: dict[str, Any], size: int) -> Any:
    path = f"/{connection.name}/_search?allow_partial_search_results=false"
    if "pit" in body:
        path = "/_search?allow_partial_search_results=false"
    elif connection.at.options["shards"] != 1:
        path += "&search_type=dfs_query_then_fetch"  # words are as rare as in all shards together
    whole = {**body, "size": size, "track_total_hits": False}
    return connection.ask(lambda client: client.perform_request("POST", path, **_json(whole)))


def by_keys(connection: Connection, wanted: Sequence[str]) -> Iterator[Row]:
    """The rows of those ids that are there, as searches see them."""
    for start in range(0, len(wanted), PAGE):
        page = wanted[start : start + PAGE]
        answer = connection.ask(_getting(connection.name, page))
        for told in answer["docs"]:
            if told.get("found"):
                yield told["_source"]


def in_pieces(ids: Sequence[str]) -> Iterator[Query]:
    """The conditions that a row has one of these assets, a bounded number of them at once."""
    for start in range(0, len(ids), IDS):
        yield {"terms": {"asset": list(ids[start : start + IDS])}}


def either(field: str, ids: Sequence[str], other: str, others: Sequence[str]) -> Iterator[Query]:
    """The conditions that a row has one of the ids or one of the others, in bounded pieces."""
    for start in range(0, max(len(ids), len(others)), IDS):
        pieces = [(field, ids[start : start + IDS]), (other, others[start : start + IDS])]
        should = [{"terms": {name: list(piece)}} for name, piece in pieces if piece]
        yield {"bool": {"filter": [{"bool": {"should": should}}]}}


def counted(connection: Connection, query: Query) -> int:
    """The number of rows of a query."""
    answer = connection.ask(lambda client: client.count(index=connection.name, query=query))
    return int(answer["count"])


def _json(body: dict[str, Any]) -> dict[str, Any]:
    media = "application/vnd.elasticsearch+json; compatible-with=9"
    return {"headers": {"accept": media, "content-type": media}, "body": body}


def fields(connection: Connection) -> dict[str, FieldType]:
    """Names and types of the fields of sightings; of several types the first seen."""
    seen: list[tuple[float, str, FieldType]] = []
    pages: dict[str, Any] = {
        "size": IDS,
        "sources": [{"field": {"terms": {"field": "fields"}}}],
    }
    while True:
        aggs = {"f": {"composite": pages, "aggs": {"first": {"min": {"field": "first"}}}}}
        found = _answer(connection, {"query": of_sort("s"), "aggs": aggs}, 0)["aggregations"]["f"]
        seen += [
            (one["first"]["value"], *field_of(one["key"]["field"])) for one in found["buckets"]
        ]
        if "after_key" not in found or len(found["buckets"]) < IDS:
            break
        pages = {**pages, "after": found["after_key"]}
    return {name: type_ for _, name, type_ in sorted(seen, reverse=True)}


def for_words(connection: Connection, terms: Sequence[str]) -> Query:
    """The query for any of the terms; of too many for one query, for the rarest that there are."""
    if len(terms) <= MAX_WORDS:
        return {"match": {"words": {"query": " ".join(terms)}}}
    answer = connection.ask(
        lambda client: client.termvectors(
            index=connection.name,
            doc={"words": " ".join(terms)},
            fields=["words"],
            term_statistics=True,
            field_statistics=False,
            positions=False,
            offsets=False,
            payloads=False,
        )
    )
    stems = answer["term_vectors"].get("words", {}).get("terms", {})
    known = [(told["doc_freq"], stem) for stem, told in stems.items() if told.get("doc_freq")]
    rarest = " ".join(stem for _, stem in sorted(known)[:MAX_WORDS])
    return {"match": {"words": {"query": rarest, "analyzer": "whitespace"}}}


def is_too_much(error: BaseException) -> bool:
    """Whether a server refused a query because of its size."""
    cause = error.__cause__
    return isinstance(cause, ApiError) and any(said in str(cause.body) for said in _TOO_MUCH)


def _getting(name: str, ids: Sequence[str]) -> Callable[[Elasticsearch], Any]:
    return lambda client: client.mget(index=name, ids=ids, realtime=False)

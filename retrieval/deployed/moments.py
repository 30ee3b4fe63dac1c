"""Moments of films, asked of a collection as users ask for them.

Gets: a collection, films whose bytes were hashed. Gives: guesses for questions. Touches: the
collection, read-only. Never: measures anything by itself.

One film alone is searched by a filter on its path, as a user would. A caption has no time, so none
is evidence of a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..collection import Collection
from ..evaluation.moments import Guess, MomentQuery
from ..evaluation.schema import Item
from ..evaluation.searcher import Card
from ..query.parse import Part, Query
from ..query.present import Results
from ..query.where import both, holds
from ..schema import TIMED_KINDS, Compare, Filter, FloatArray


class DeployedMoments:
    """A collection, about to be asked for moments of films. A `MomentSearching`.

    Attributes:
        lacking: ids of the films that the collection doesn't hold, or that the filter leaves out.
    """

    def __init__(
        self,
        collection: Collection,
        films: Sequence[Item],
        *,
        where: Filter | None,
        depth: int,
        hear: Callable[[Results], None],
    ) -> None:
        """Look up the films.

        Args:
            collection: stays the caller's to close.
            films: of one modality, each with its `asset`.
            where: a filter that every search gets.
            depth: moments of a question, at most.
            hear: called with each result, for what it says besides.
        """
        self._collection, self._where, self._depth, self._hear = collection, where, depth, hear
        self._modality = films[0].modality
        seen = collection.backends.documents.sightings(sorted({film.asset for film in films}))
        paths = {
            asset: next((p.fields.get("path") for p in places if holds(where, p.fields)), None)
            for asset, places in seen.items()
        }
        self._film_of = {film.asset: film.id for film in films}
        self._path_of = {
            film.id: path for film in films if isinstance(path := paths.get(film.asset), str)
        }
        self.lacking = tuple(film.id for film in films if film.id not in self._path_of)

    def searchable(self) -> Card:
        """See `MomentSearching`."""
        held = self._collection.backends.documents.of_assets(sorted(self._film_of))
        kinds = [document.kind for documents in held.values() for document in documents]
        return {
            "films": len(self._film_of),
            "of these in the collection": len(self._path_of),
            **{f"{kind} documents": kinds.count(kind) for kind in sorted(TIMED_KINDS)},
            "depth": self._depth,
        }

    def guesses(
        self, query: MomentQuery, vectors: Mapping[str, FloatArray], *, within: bool
    ) -> list[Guess]:
        """See `MomentSearching`."""
        path = self._path_of.get(query.film)
        if within and path is None:
            return []
        where = both(Compare("path", "=", path), self._where) if within and path else self._where
        results = self._collection.search(
            Query((Part(query.text, "text", vectors=vectors),)),
            k=self._depth,
            where=where,
            modality=self._modality,
            group_by="moment",
        )
        self._hear(results)
        return [
            Guess(self._film_of.get(hit.asset, ""), hit.span.start, hit.span.end, hit.score)
            for hit in results
            if hit.span is not None
        ]

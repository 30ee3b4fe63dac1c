"""``milvus:``: the vectors of a channel as a collection of a Milvus server, or of Milvus Lite.

Gets: ids, vectors, queries. Gives: rankings. Touches: its own Milvus collection. Never: another
one; a secret in a URL or a message.

The URL is ``milvus://HOST:PORT/NAME?option=value``, or ``milvus:FILE.db`` for Milvus Lite, which
needs no server and is one process's at a time. Rows carry the asset and the kind of their document.

- What is approximate: which rows an HNSW index finds (``ef`` and ``m`` say how well; ``index=FLAT``
  finds all). How these are ordered is exact (see `order`), and so is all that is asked `within`
  ids, more than 16,383 hits, or more than there are: the vectors are fetched and scored here.
- How late a write becomes visible: a store opened for writing reads what was written before, at
  the price of waiting for the server's clock (0.2 s). A reader looks back a little instead
  (``consistency=bounded``): it may miss the last seconds (5, as servers come), never half of a
  message. ``consistency=strong`` makes it wait, too. Counting and scanning always wait.
- What a reader sees while a batch is written: up to some 16 MB of vectors (`Table.rows_at_once`)
  become visible at once; of a larger batch it may see the first ones alone. A scan of many rows
  sees each page of 16,384 at a time of its own.
- What is durable: a write is in the server's log when it returns; nothing is flushed here.
- What deleting erases, and when: no read gives a deleted row any more, at once. Its numbers leave
  the server's files with its compactions, their retention, and that of its log (days, as
  servers come: ``dataCoord.gc``, ``rocksmq.retention``). That is the server's own business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import cast

import numpy as np

from ...abilities import Service
from ...errors import StoreUnreachableError
from ...protocols import Place, Problem
from ...schema import Channel, Document, FloatArray, Kind, Ranking
from ...vectors import check_ids, checked_unit, fault, is_id
from .address import parsed, target
from .faults import missing
from .order import doubtful, merged, ordered, packed, ranked, reaches
from .table import MOST, Table

_ATTEMPTS = 3  # at a search whose rows change between its requests
_DEEPER = 4


class MilvusStore:
    """A `VectorStore`, `Knowing` and `Served`; see the protocols for what each method promises."""

    check_url = staticmethod(parsed)

    def __init__(self, place: Place, channel: Channel) -> None:
        """Open the channel's collection; for writing, make it if it may be new.

        Raises:
            UsageError: the URL makes no sense.
            CorruptError: the collection is missing, or doesn't fit.
            NewerFormatError: a newer version made it.
            StoreUnreachableError: the server isn't there, or refuses.
        """
        self.dim = channel.dim
        self.read_only = place.read_only
        self._channel = channel.key
        self._target = target(place.url, place.directory, channel)
        writing = not place.read_only
        anew = place.anew and writing
        make = writing and (anew or not place.existing)
        self._prepare(make=make)
        self._level = str(self._target.options["consistency"]).title() if not writing else "Strong"
        self._table = Table(self._target, channel.dim, read_only=place.read_only)
        try:
            self._table.open(make=make, anew=anew, complete=writing)
        except BaseException:
            self._table.close()
            raise

    def upsert(
        self,
        ids: Sequence[str],
        vectors: FloatArray,
        documents: Sequence[Document] | None = None,
    ) -> None:
        """Write (n, dim) vectors under n ids. See `VectorStore`."""
        check_ids(ids)
        unit = checked_unit(vectors, (len(ids), self.dim))
        self._check_writable()
        about = {each.id: (each.asset, each.kind) for each in documents or ()}
        self._table.upsert(ids, unit, about)

    def search(
        self,
        queries: FloatArray,
        k: int,
        *,
        within: Collection[str] | None = None,
    ) -> list[Ranking]:
        """The k best for each of (q, dim) queries of norm 1. See `VectorStore`.

        Raises:
            ValueError: k below 0, queries of a wrong shape, not finite, or not of norm 1.
        """
        if k < 0:
            raise ValueError(f"k is {k}")
        unit = checked_unit(queries, (len(queries), self.dim))
        if within is not None:
            held = packed(self._table.vectors(sorted(within), self._level), self.dim)
            return [ranked(held, query, k) for query in unit]
        if k == 0 or not len(unit):
            return [Ranking((), np.empty(0, np.float32)) for _ in unit]
        return self._search(unit, k)

    def get(self, ids: Sequence[str]) -> dict[str, FloatArray]:
        """The (dim,) vectors of those ids that are there."""
        return self._table.vectors(ids, self._level)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete ids; when the server's files forget their numbers, the module's words say."""
        self._check_writable()
        self._table.delete([text for text in dict.fromkeys(ids) if is_id(text)])

    def count(self) -> int:
        """The number of vectors."""
        return self._table.count()

    def scan(self) -> Iterator[str]:
        """All ids, in their order."""
        for rows in self._table.pages(["id"], MOST):
            yield from (row["id"] for row in rows)

    def documents(self, ids: Sequence[str]) -> dict[str, Document]:
        """Those of the ids that were written with their documents."""
        return {row[0]: self._document(*row) for row in self._table.about(ids)}

    def of_assets(self, assets: Sequence[str]) -> dict[str, list[Document]]:
        """Each asset's documents in this channel, by id; an absent asset is missing."""
        found: dict[str, list[Document]] = {}
        for row in sorted(self._table.of_assets(assets)):
            found.setdefault(row[1], []).append(self._document(*row))
        return found

    def check(self) -> Iterator[Problem]:
        """Fetch every vector and see that it is one; the server keeps checksums of its own."""
        for rows in self._table.pages(["id", "vector"], self._table.rows_at_once):
            for row in rows:
                vector = np.array([row["vector"]], np.float32)
                wrong = fault(vector, (1, self.dim))
                if wrong or not is_id(row["id"]):
                    yield Problem(row["id"], f"Its vector is one {wrong}." if wrong else "No id.")

    def compact(self) -> None:
        """Ask the server to drop deleted rows from its files; it does so when it likes."""
        self._check_writable()
        self._table.compact()

    def service(self) -> Service:
        """What the server says of itself; its lag is the rows that the index doesn't hold yet."""
        pending = self._table.index().get("pending_index_rows")
        return Service(
            "Milvus Lite" if self._target.file else "Milvus",
            self._table.version(),
            lag=None if pending is None else int(pending),
            counts={"vectors": self._table.count()},
        )

    def close(self) -> None:
        """Let go of the connection; closing twice is no error."""
        self._table.close()

    # ---- searching

    def _search(self, queries: FloatArray, k: int) -> list[Ranking]:
        answers: dict[int, Ranking] = {}
        depth = min(k + 1, MOST)
        left = list(range(len(queries)))
        for _ in range(_ATTEMPTS):
            while left and k < MOST:
                answers |= self._settled(queries, left, k, depth)
                left = [place for place in left if place not in answers]
                if depth == MOST:
                    break
                depth = min(depth * _DEEPER, MOST)
            if not left or k >= MOST:
                break
        if left:
            answers |= dict(zip(left, self._exhaustive(queries[left], k), strict=True))
        return [answers[place] for place in range(len(queries))]

    def _settled(
        self, queries: FloatArray, places: Sequence[int], k: int, depth: int
    ) -> dict[int, Ranking]:
        """Rankings of those queries at some places that a search of one depth can answer."""
        found = self._table.search(queries[list(places)], depth, self._level)
        shortest = min(len(ids) for ids, _ in found)
        whole = shortest < depth and self._table.count(self._level) <= shortest
        answered = {
            place: (ids, scores, doubtful(scores, k))
            for place, (ids, scores) in zip(places, found, strict=True)
            if reaches(scores, k) or (whole and len(ids) < depth)
        }
        near = {ids[each] for ids, _, places in answered.values() for each in places}
        vectors = self._table.vectors(sorted(near), self._level) if near else {}
        settled: dict[int, Ranking] = {}
        for place, (ids, scores, unsure) in answered.items():
            if all(ids[each] in vectors for each in unsure):  # else one was deleted meanwhile
                exact = (vectors[ids[each]] * queries[place].astype(np.float64) for each in unsure)
                scores[unsure] = [products.sum() for products in exact]
                settled[place] = ordered(ids, scores, k)
        return settled

    def _exhaustive(self, queries: FloatArray, k: int) -> list[Ranking]:
        """The k best of every vector there is, fetched and scored here."""
        best = [[Ranking((), np.empty(0, np.float32))] for _ in queries]
        size = self._table.rows_at_once
        for rows in self._table.pages(["id", "vector"], size, consistency=self._level):
            vectors = {row["id"]: np.array(row["vector"], np.float32) for row in rows}
            page = packed(vectors, self.dim)
            for query, held in zip(queries, best, strict=True):
                held[:] = [merged([*held, ranked(page, query, k)], k)]
        return [held[0] for held in best]

    # ---- inside

    def _prepare(self, *, make: bool) -> None:
        """See to the folder of Milvus Lite, which would make a file that is missing."""
        file = self._target.file
        if file is None:
            return
        if not file.exists() and not make:
            raise missing(self._target)
        if make:
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreUnreachableError(
                    f"The folder {file.parent} can't be made: {error.strerror}.",
                    advice="Give another place.",
                ) from error

    def _document(self, name: str, asset: str, kind: str) -> Document:
        return Document(name, asset, cast("Kind", kind), self._channel)

    def _check_writable(self) -> None:
        if self.read_only:
            raise StoreUnreachableError(
                f"The vectors in {self._target} are open for reading only.",
                advice="Open the collection for writing.",
            )

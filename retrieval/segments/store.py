"""A vector store over `Segments`; a back end adds how it finds its candidates.

Gets: ids, vectors, queries. Gives: rankings. Touches: the channel's folder, through `Segments`.
Never: a score of its own (`ranking.rank` alone gives scores).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from shutil import rmtree

import numpy as np

from ..protocols import Place, Problem
from ..schema import Channel, Document, FloatArray, Ranking
from ..vectors import check_ids, checked_unit
from .catalogue import ID_BYTES
from .files import ByteArray
from .ranking import RowArray, candidates, hexadecimal, rank, rounding, sweep, threshold
from .segments import Segments, Snapshot

_SCORES = 2**24  # approximate scores kept at once: 64 MB


class SegmentStore:
    """`VectorStore` in the collection's folder; its answers are exact, ties in the order of ids.

    A subclass may override `nominate`, with the promise that no row of the k best is missing.
    """

    def __init__(self, place: Place, channel: Channel) -> None:
        """Open the channel's vectors; for writing, make them if they may be new."""
        folder = place.directory / "vectors" / channel.space / channel.modality
        self.dim = channel.dim
        self.read_only = place.read_only
        if place.anew and not place.read_only:
            rmtree(folder, ignore_errors=True)
        make = place.anew or not place.existing
        self.segments = Segments(folder, channel.dim, read_only=place.read_only, make=make)

    def upsert(
        self,
        ids: Sequence[str],
        vectors: FloatArray,
        documents: Sequence[Document] | None = None,  # noqa: ARG002 (the protocol's)
    ) -> None:
        """Write (n, dim) vectors under n ids; nothing is kept beside them. See `VectorStore`."""
        raw = _raw(ids)
        self.segments.append(raw, checked_unit(vectors, (len(ids), self.dim)))

    def search(
        self,
        queries: FloatArray,
        k: int,
        *,
        within: Collection[str] | None = None,
    ) -> list[Ranking]:
        """The k best for each of (q, dim) queries of norm 1. See `VectorStore`.

        Raises:
            ValueError: k below 0, queries of a wrong shape, not finite, or of a
                norm further than 1e-3 from 1.
        """
        if k < 0:
            raise ValueError(f"k is {k}")
        unit = checked_unit(queries, (len(queries), self.dim))
        answers: list[Ranking] = []
        while len(answers) < len(unit):
            answers += self._answer(unit[len(answers) :], k, within)
        return answers

    def get(self, ids: Sequence[str]) -> dict[str, FloatArray]:
        """The (dim,) vectors of those ids that are there."""
        while True:
            snapshot, rows = self.segments.locate(ids)
            found = dict(zip(hexadecimal(snapshot.ids[rows]), snapshot.rows[rows], strict=True))
            if self.segments.holds(snapshot):
                return found

    def delete(self, ids: Sequence[str]) -> None:
        """Delete ids, and zero their numbers in the files."""
        self.segments.delete(ids)

    def count(self) -> int:
        """The number of vectors."""
        state = self.segments.state()
        return state.rows - state.dead

    def scan(self) -> Iterator[str]:
        """All ids, in their order."""
        return self.segments.scan()

    def check(self) -> Iterator[Problem]:
        """Read every row and compare it with its checksum."""
        return self.segments.check()

    def compact(self) -> None:
        """Rewrite the files without their dead rows, where these are many."""
        self.segments.compact()

    def close(self) -> None:
        """Close the files; closing twice is no error."""
        self.segments.close()

    def nominate(self, snapshot: Snapshot, queries: FloatArray, k: int) -> list[RowArray]:
        """For each query the rows that may be among its k best, none of them missing."""
        return self.exhaustive(snapshot, queries, k)

    def exhaustive(self, snapshot: Snapshot, queries: FloatArray, k: int) -> list[RowArray]:
        """What `nominate` promises, by a product with every row."""
        scores = sweep(snapshot.rows, queries)
        scores[:, ~snapshot.alive] = -np.inf
        error = rounding(self.dim)
        return [candidates(row, threshold(row, k, error)) for row in scores]

    def _answer(self, queries: FloatArray, k: int, within: Collection[str] | None) -> list[Ranking]:
        """Answers to the first few queries, as many as go at once, out of one snapshot."""
        while True:
            if within is None:
                snapshot = self.segments.snapshot()
                some = queries[: max(1, _SCORES // max(1, len(snapshot.rows)))]
                nominees = self.nominate(snapshot, some, k)
            else:
                snapshot, rows = self.segments.locate(within)
                some, nominees = queries, [rows] * len(queries)
            answers = [
                rank(snapshot, rows, query, k) for rows, query in zip(nominees, some, strict=True)
            ]
            if self.segments.holds(snapshot):
                return answers


def _raw(ids: Sequence[str]) -> ByteArray:
    """(n, 16) raw ids. ValueError: one isn't 32 hex characters, or comes twice."""
    check_ids(ids)
    return np.frombuffer(bytes.fromhex("".join(ids)), np.uint8).reshape(len(ids), ID_BYTES)

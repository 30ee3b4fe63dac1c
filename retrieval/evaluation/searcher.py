"""What an evaluation asks of a search engine that it scores: ours through a collection, or a rival.

Gets and gives: types. Touches: nothing. Never: an implementation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..schema import FloatArray
from .schema import Dataset, IndexRecall, IntArray, Judged, Ranks

Card = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Found:
    """What one way of searching found for all queries of a task.

    Attributes:
        legs: ``fused``, or the one leg that was searched.
        ranks: of what is relevant; inf beyond the searcher's depth.
        first: (n, t) int64 places in the corpus of the first hits; -1 for one outside of it, and
            past the end.
    """

    legs: str
    ranks: Ranks
    first: IntArray


class Searcher(Protocol):
    """A search engine that holds the corpus of a data set."""

    @property
    def notes(self) -> list[str]:
        """Whole sentences on what its answers lacked, so far."""
        ...

    def search(
        self, task: Dataset, judged: Judged, vectors: Mapping[str, FloatArray]
    ) -> Iterator[Found]:
        """Ask every query of a task: all legs fused first, then each leg where there are several.

        Args:
            task: pictures have their `asset`.
            judged: its qrels, by places.
            vectors: (n, dim) of its n queries by the key of a space, so that they needn't be
                encoded again.
        """
        ...

    def index_recall(self, task: Dataset, vectors: Mapping[str, FloatArray]) -> list[IndexRecall]:
        """How much of the exact answer each vector store that the task searches gives."""
        ...

    def searchable(self, task: Dataset) -> Card:
        """What the task could find, for the run card."""
        ...

"""What an evaluation asks of a search engine that it scores: ours through a collection, or a rival.

Gets and gives: types. Touches: nothing. Never: an implementation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..schema import FloatArray
from .embeddings import Embedding
from .moments import Guess, MomentQuery
from .schema import Dataset, IndexRecall, IntArray, Item
from .tasks import Task

Card = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Found:
    """What one way of searching found for the n queries of a task.

    Attributes:
        legs: ``fused``, or the one leg that was searched.
        places: (n, depth) int64 places in the corpus, best first; -1 for what is outside of it, and
            past the end.
    """

    legs: str
    places: IntArray


@dataclass(frozen=True, slots=True)
class Parts:
    """What one channel holds of films or sounds.

    Attributes:
        channel: its key.
        embedding: encodes what asks for them, in the channel's space.
        vectors: (m, dim) float32 of norm 1, a shot's or a window's each.
        owners: (m,) int64, rising: the place of the item that each is a part of.
    """

    channel: str
    embedding: Embedding
    vectors: FloatArray
    owners: IntArray


class Searching(Protocol):
    """A search engine, about to be asked the queries of one task."""

    def searchable(self) -> Card:
        """What the task can find, for the run card."""
        ...

    def found(self, vectors: Mapping[str, FloatArray]) -> Iterator[Found]:
        """Ask every query: all legs fused first, then each leg where there are several.

        Args:
            vectors: (n, dim) of the task's n queries by the key of a space, so that they needn't be
                encoded again.
        """
        ...

    def index_recall(self, vectors: Mapping[str, FloatArray]) -> list[IndexRecall]:
        """How much of the exact answer each vector store gives that the task searches."""
        ...


class MomentSearching(Protocol):
    """A search engine, about to be asked for moments of certain films."""

    def searchable(self) -> Card:
        """What can be found, for the run card."""
        ...

    def guesses(
        self, query: MomentQuery, vectors: Mapping[str, FloatArray], *, within: bool
    ) -> Sequence[Guess]:
        """The best moments, best first: of the question's film alone, or of all films.

        Args:
            query: what is asked.
            vectors: (dim,) of it by the key of a space, so that it needn't be encoded again.
            within: whether the film is known.
        """
        ...


class MomentSearcher(Protocol):
    """A search engine that holds films and gives moments of them.

    Attributes:
        depth: how many moments it gives at most.
    """

    depth: int

    def open_moments(self, films: Sequence[Item]) -> MomentSearching | None:
        """Get ready for questions about films, which have their `asset`.

        Returns:
            None where it holds none of them; a note says so.
        """
        ...


class Searcher(Protocol):
    """A search engine that holds the corpus of a data set.

    Attributes:
        notes: whole sentences on what it was asked, so far.
        degraded: whether answers lacked something, so that better ones may be.
    """

    notes: list[str]
    degraded: bool

    def known(self, dataset: Dataset) -> Dataset:
        """The data set as the searcher knows it, its pictures having their `asset`.

        Pictures get the fields that it has of them, and those that a filter leaves out are left
        out; a note says so.
        """
        ...

    def parts(self, items: Sequence[Item]) -> list[Parts]:
        """What it holds of films or sounds that have their `asset`, by channel of their modality.

        [] where it can't say: then they are measured by asking alone.
        """
        ...

    def open(self, task: Task) -> Searching | None:
        """Get ready for a task, whose pictures have their `asset`.

        Returns:
            None where it holds nothing of the corpus; a note says so.
        """
        ...

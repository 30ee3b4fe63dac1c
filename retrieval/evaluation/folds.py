"""The exact way within folds: every picture is ranked among its part of the pictures alone.

Gets: a task and the vectors of both its sides. Gives: ranks and first documents, by places in the
whole. Touches: nothing. Never: averages folds; each query counts once, as everywhere.

COCO's figures on 1K pictures are means of R@K over five folds of Karpathy's 5K test pictures. With
the same number of queries in each that is the mean over all queries; with six captions to a few
pictures the two differ by some hundredths of a percent (ask with the first five: that is the
papers' 25,000).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import UsageError
from ..schema import FloatArray
from .exact import rank_exactly
from .qrels import fold, judged
from .schema import IntArray, Ranks
from .tasks import Task


def rank_in_folds(
    task: Task, queries: FloatArray, corpus: FloatArray, folds: int, *, first: int
) -> tuple[Ranks, IntArray]:
    """Rank like `rank_exactly`, each query among the documents of its fold.

    Args:
        task: its whole direction is cut, whichever of its queries are asked.
        queries: (n, dim), norm 1, of the n queries that are asked.
        corpus: (m, dim), norm 1, of the whole corpus.
        folds: how many consecutive parts the pictures are cut into.
        first: how many of the first documents to give, -1 past the end.

    Raises:
        UsageError: what answers a query lies in several folds.
    """
    data = task.data
    whole = judged(data)
    place_of_query = {item.id: place for place, item in enumerate(data.queries)}
    place_of = {item.id: place for place, item in enumerate(data.corpus)}
    ranks = np.full(len(whole.documents), np.inf)
    best = np.full((len(data.queries), first), -1, np.int64)
    for number in range(folds):
        part = fold(task.direction, number, folds)
        asked = tuple(item for item in part.queries if item.id in place_of_query)
        rows = np.array([place_of_query[item.id] for item in asked], np.int64)
        held = np.array([place_of[item.id] for item in part.corpus], np.int64)
        inside = judged(replace(part, queries=asked))
        found, places = rank_exactly(queries[rows], corpus[held], inside, first=first)
        pairs = [np.arange(whole.starts[row], whole.starts[row + 1]) for row in rows]
        if not np.array_equal(np.cumsum([0, *map(len, pairs)]), found.starts):
            raise UsageError(
                f"{data.name} can't be cut into folds: what answers a query lies in several.",
                advice="Leave --folds out.",
            )
        ranks[np.concatenate([*pairs, np.empty(0, np.int64)])] = found.ranks
        best[rows, : places.shape[1]] = held[places]
    return Ranks(whole.starts, ranks, whole.gains), best

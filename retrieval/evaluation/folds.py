"""The exact way within folds: every picture is ranked among its part of the pictures alone.

Gets: a data set and the vectors of both its sides. Gives: ranks and first documents, by places in
the whole. Touches: nothing. Never: averages folds; each query counts once, as everywhere.

COCO's figures on 1K pictures are means of R@K over five folds of Karpathy's 5K test pictures. With
the same number of queries in each that is the mean over all queries; with six captions to a few
pictures the two differ by some hundredths of a percent (ask with the first five: that is the
papers' 25,000).
"""

from __future__ import annotations

import numpy as np

from ..errors import UsageError
from ..schema import FloatArray
from .exact import rank_exactly
from .qrels import fold, judged
from .schema import Dataset, IntArray, Ranks


def rank_in_folds(
    data: Dataset, queries: FloatArray, corpus: FloatArray, folds: int, *, first: int
) -> tuple[Ranks, IntArray]:
    """Rank like `rank_exactly`, each query among the documents of its fold.

    Args:
        data: of either direction.
        queries: (n, dim), norm 1, of its queries.
        corpus: (m, dim), norm 1, of its corpus.
        folds: how many consecutive parts the pictures are cut into.
        first: how many of the first documents to give, -1 past the end.

    Raises:
        UsageError: what answers a query lies in several folds.
    """
    whole = judged(data)
    place_of_query = {item.id: place for place, item in enumerate(data.queries)}
    place_of = {item.id: place for place, item in enumerate(data.corpus)}
    ranks = np.full(len(whole.documents), np.inf)
    best = np.full((len(data.queries), first), -1, np.int64)
    for number in range(folds):
        part = fold(data, number, folds)
        asked = np.array([place_of_query[item.id] for item in part.queries], np.int64)
        held = np.array([place_of[item.id] for item in part.corpus], np.int64)
        found, places = rank_exactly(queries[asked], corpus[held], judged(part), first=first)
        pairs = [np.arange(whole.starts[query], whole.starts[query + 1]) for query in asked]
        if not np.array_equal(np.cumsum([0, *map(len, pairs)]), found.starts):
            raise UsageError(
                f"{data.name} can't be cut into folds: what answers a query lies in several.",
                advice="Leave --folds out.",
            )
        ranks[np.concatenate(pairs)] = found.ranks
        best[asked, : places.shape[1]] = held[places]
    return Ranks(whole.starts, ranks, whole.gains), best

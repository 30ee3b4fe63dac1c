"""The exact way: every document of a corpus ranked for every query, in memory that stays flat.

Gets: (n, dim) queries, (m, dim) corpus, both of norm 1, and which documents are relevant. Gives:
the rank of each relevant one, and the first few documents. Touches: nothing. Never: holds the
(n, m) scores.

The scores of a block of queries with the whole corpus are one matrix product; a relevant document's
rank is 1 + the scores above its own in its row, which needs no sorting. Its own score is taken from
the same product, so that rounding can't put it above or below itself. Equal scores rank in the
order of the corpus: each of them counts those before it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..schema import FloatArray
from .schema import Float64Array, IntArray, Judged, Ranks

BLOCK_BYTES = 16 << 20  # of the scores that are held at a time
LEAST_ROWS = 64  # below so many rows a matrix product is slow; then a block takes more
_STRETCHES = 8  # for each document that is wanted


def rank_exactly(
    queries: FloatArray, corpus: FloatArray, judged: Judged, *, first: int = 10
) -> tuple[Ranks, IntArray]:
    """Rank the whole corpus for every query by cosine.

    Args:
        queries: (n, dim), norm 1.
        corpus: (m, dim), norm 1; its order is the order of ties.
        judged: the relevant documents of the n queries, as places in the corpus.
        first: how many of the first documents to give.

    Returns:
        The ranks of the relevant documents, and (n, min(first, m)) int64 places of the first ones.
    """

    def scores(block: slice) -> FloatArray:
        cosines: FloatArray = queries[block] @ corpus.T
        return cosines

    first = min(first, len(corpus))
    return rank_scores(len(queries), len(corpus), scores, judged, first=first)


def rank_scores(
    queries: int,
    width: int,
    scores_of: Callable[[slice], FloatArray],
    judged: Judged,
    *,
    first: int = 10,
) -> tuple[Ranks, IntArray]:
    """Rank a corpus for every query by scores that are asked for block by block.

    Args:
        queries: how many.
        width: numbers that a row of scores takes, while it is computed.
        scores_of: gives the (rows, corpus) scores of a block of queries.
        judged: the relevant documents, as places in the corpus.
        first: how many of the first documents to give.
    """
    ranks = np.empty(len(judged.documents), np.float64)
    best = []
    rows = max(BLOCK_BYTES // (4 * max(width, 1)), LEAST_ROWS)
    for start in range(0, queries, rows):
        block = slice(start, min(start + rows, queries))
        scores = scores_of(block)
        best.append(_first(scores, min(first, scores.shape[1])))
        pairs = slice(judged.starts[block.start], judged.starts[block.stop])
        ranks[pairs] = _ranks(scores, *_pairs(judged, block))
    found = np.concatenate(best) if best else np.empty((0, first), np.int64)
    return Ranks(judged.starts, ranks, judged.gains), found


def _pairs(judged: Judged, block: slice) -> tuple[IntArray, IntArray]:
    """(row in the block, document) of each relevant pair of a block of queries."""
    counts = np.diff(judged.starts[block.start : block.stop + 1])
    pairs = slice(judged.starts[block.start], judged.starts[block.stop])
    return np.repeat(np.arange(len(counts)), counts), judged.documents[pairs]


def _ranks(scores: FloatArray, rows: IntArray, documents: IntArray) -> Float64Array:
    own = scores[rows, documents]
    ranks = np.empty(len(rows), np.float64)
    for pair, (row, document) in enumerate(zip(rows.tolist(), documents.tolist(), strict=True)):
        above = np.count_nonzero(scores[row] > own[pair])
        ties = np.count_nonzero(scores[row, :document] == own[pair])
        ranks[pair] = 1 + above + ties
    return ranks


def _first(scores: FloatArray, first: int) -> IntArray:
    """(n, first) places of the highest scores of each row, ties by place.

    Each of the `first` best stretches of a row has a score that is at least the least of their
    highest: so no score below that is among the `first` best, and few are left to be sorted. A
    partition of the whole row takes many times as long.
    """
    best = np.empty((len(scores), first), np.int64)
    if not first:
        return best
    stretch = max(scores.shape[1] // (_STRETCHES * first), 1)
    highest = np.maximum.reduceat(scores, np.arange(0, scores.shape[1], stretch), axis=1)
    floors = np.partition(highest, -first, axis=1)[:, -first]
    for row, floor in enumerate(floors):
        candidates = np.flatnonzero(scores[row] >= floor)
        order = np.argsort(-scores[row, candidates], kind="stable")
        best[row] = candidates[order[:first]]
    return best

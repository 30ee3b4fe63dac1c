"""The exact way for what has parts: films by their shots, sounds by their windows.

Gets: vectors of norm 1 of questions and of parts, and whose part each is. Gives: the rank of each
relevant document, and the first few. Touches: nothing. Never: holds the scores of all questions.

A film is as near to a text as its nearest part is, as in a search: the maximum over its parts of
their cosines. In both directions it is the same number, so video to text ranks a column of the
table whose rows text to video ranks. What has no part was never found: its rank is inf.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..schema import FloatArray
from .exact import rank_scores
from .schema import IntArray, Judged, Ranks


def rank_wholes(
    queries: FloatArray, parts: FloatArray, owners: IntArray, count: int, judged: Judged
) -> tuple[Ranks, IntArray]:
    """Rank things that have parts for each question.

    Args:
        queries: (n, dim), norm 1.
        parts: (m, dim), norm 1.
        owners: (m,) rising: the place, from 0, of the thing that each part is of.
        count: of the things, those without a part included.
        judged: the relevant ones of the n questions.

    Returns:
        The ranks, and (n, t) places of the first ones; -1 past those that have parts.
    """
    owning, starts = np.unique(owners, return_index=True)

    def scores(block: slice) -> FloatArray:
        whole = np.full((block.stop - block.start, count), -np.inf, np.float32)
        if len(owning):
            whole[:, owning] = np.maximum.reduceat(queries[block] @ parts.T, starts, axis=1)
        return whole

    ranks, first = rank_scores(len(queries), max(count, len(parts)), scores, judged)
    lost = ~np.isin(judged.documents, owning)
    first[:, len(owning) :] = -1
    return replace(ranks, ranks=np.where(lost, np.inf, ranks.ranks)), first


def rank_by_wholes(
    parts: FloatArray, owners: IntArray, corpus: FloatArray, count: int, judged: Judged
) -> tuple[Ranks, IntArray]:
    """Rank a corpus for each of `count` things that have parts, which ask.

    Args:
        parts: as in `rank_wholes`.
        owners: as there.
        corpus: (m, dim), norm 1.
        count: of the things that ask.
        judged: the relevant documents of each of them.
    """
    ends = np.searchsorted(owners, np.arange(count + 1))

    def scores(block: slice) -> FloatArray:
        whole = np.full((block.stop - block.start, len(corpus)), -np.inf, np.float32)
        for row, thing in enumerate(range(block.start, block.stop)):
            if ends[thing] < ends[thing + 1]:
                whole[row] = (parts[ends[thing] : ends[thing + 1]] @ corpus.T).max(axis=0)
        return whole

    ranks, first = rank_scores(count, len(corpus), scores, judged)
    has_parts = np.diff(ends) > 0
    first[~has_parts] = -1
    asked = np.repeat(has_parts, np.diff(judged.starts))
    return replace(ranks, ranks=np.where(asked, ranks.ranks, np.inf)), first

"""From scores to rankings, such that the same question always gets the same answer.

Gets: queries, vectors, ids. Gives: candidate rows, rankings. Touches: nothing: pure.
Never: I/O but for the pages of a mapped array.

A float32 product from BLAS may differ in its last bits with the position of a row in its block
and with the number of queries beside it, so two equal vectors could come in any order. Hence two
steps. First approximate scores nominate candidates: every row whose score is within the window in
which rounding could have exchanged it with the k-th. Then `rank` alone gives scores: products of
float32 are exact in float64, their sum runs in one order for every row and is rounded to float32,
and equal scores go in the order of the ids. So a score depends on the two vectors and on nothing
else, whatever the store that nominated.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import CorruptError
from ..schema import FloatArray, Ranking

RowArray = NDArray[np.intp]


class Rows(Protocol):
    """(n, dim) vectors and their (n, 16) raw ids."""

    @property
    def rows(self) -> FloatArray: ...

    @property
    def ids(self) -> NDArray[np.uint8]: ...


_BLOCK = 16_384  # rows a matrix product: bounds what is paged in at once
_EXACT_BLOCK = 2_048  # rows in float64 at once


def rounding(dim: int) -> float:
    """How far a float32 dot product of two unit vectors can be from the true one.

    ``dim * 2**-24`` whatever the order of summation (Cauchy-Schwarz; with room for norms of
    up to 1.001).
    """
    return 1.01 * dim * 2.0**-24


def sweep(rows: FloatArray, queries: FloatArray) -> FloatArray:
    """Approximate scores (q, n) of every one of (n, dim) rows for (q, dim) queries."""
    scores = np.empty((len(queries), len(rows)), np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        np.matmul(queries, rows[block].T, out=scores[:, block])
    return scores


def threshold(scores: FloatArray, k: int, error: float) -> float:
    """The approximate score that a row must have to be, perhaps, one of the k best.

    Args:
        scores: (n,) approximate; minus infinity for what must not come.
        k: how many are wanted.
        error: how far a score can be from the true one.

    Raises:
        CorruptError: a score is not a number, so a row isn't one either.
    """
    if len(scores) and np.isnan(scores.max()):
        raise CorruptError(
            "The vectors hold components that aren't numbers.",
            advice="Run `echolens verify --repair`.",
        )
    return kth_best(scores, k) - 2 * error


def candidates(scores: FloatArray, least: float) -> RowArray:
    """The places among (n,) scores that reach `least`, rising; never those of minus infinity."""
    return np.flatnonzero((scores >= least) & (scores > -np.inf))


def rank(snapshot: Rows, places: RowArray, query: FloatArray, k: int) -> Ranking:
    """The k best of the rows at (c,) places for one (dim,) query: the only true scores.

    Returns:
        Cosines as float32, falling; ties in the order of the ids.
    """
    scores = _true_scores(snapshot.rows, places, query)
    best = np.flatnonzero(scores >= kth_best(scores, k))
    scores, ids = scores[best], snapshot.ids[places[best]]
    words = ids.view(">u8")
    order = np.lexsort((words[:, 1], words[:, 0], -scores))[:k]
    return Ranking(hexadecimal(ids[order]), scores[order])


def kth_best(scores: FloatArray, k: int) -> float:
    """The k-th largest; minus infinity when there are no more than k."""
    if not 0 < k < len(scores):
        return -np.inf
    return float(np.partition(scores, len(scores) - k)[len(scores) - k])


def hexadecimal(ids: NDArray[np.uint8]) -> tuple[str, ...]:
    """(n, 16) raw ids as n strings of 32 characters."""
    text, width = ids.tobytes().hex(), 2 * ids.shape[1]
    return tuple(text[start : start + width] for start in range(0, len(text), width))


def _true_scores(rows: FloatArray, places: RowArray, query: FloatArray) -> FloatArray:
    scores = np.empty(len(places), np.float32)
    exact_query = query.astype(np.float64)
    for start in range(0, len(places), _EXACT_BLOCK):
        block = slice(start, start + _EXACT_BLOCK)
        scores[block] = (rows[places[block]] * exact_query).sum(axis=1)
    return scores

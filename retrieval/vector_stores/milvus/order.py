"""From what a server scored to rankings that are the same every time.

Gets: ids and a server's float32 scores, vectors. Gives: rankings. Touches: nothing: pure.
Never: a request.

A server's score differs in its last bits with the segment that a row lies in and with the queries
beside it, so equal vectors could come in any order. Where two scores are closer than `NEAR`, the
vectors of both are fetched and scored here, exactly; so ids and their order are those of exact
scores among all that the server found, and each score is within `NEAR` of the exact one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...schema import FloatArray, Ranking
from ...segments.ranking import rank

NEAR = 1e-6  # of scores; their rounding was measured to be below 2e-7


@dataclass(frozen=True, slots=True)
class Vectors:
    """(n, dim) vectors and their (n, 16) raw ids."""

    rows: FloatArray
    ids: NDArray[np.uint8]


def packed(vectors: Mapping[str, FloatArray], dim: int) -> Vectors:
    """Vectors by id, as `ranked` wants them."""
    raw = np.frombuffer(bytes.fromhex("".join(vectors)), np.uint8).reshape(len(vectors), 16)
    rows = np.stack(list(vectors.values())) if vectors else np.empty((0, dim), np.float32)
    return Vectors(rows, raw)


def ranked(vectors: Vectors, query: FloatArray, k: int) -> Ranking:
    """The k best of all vectors, by exact scores."""
    return rank(vectors, np.arange(len(vectors.rows)), query, k)


def merged(rankings: Sequence[Ranking], k: int) -> Ranking:
    """The k best of several rankings of different ids."""
    scores = np.concatenate([each.scores for each in rankings])
    return ordered([i for each in rankings for i in each.ids], scores, k)


def ordered(ids: Sequence[str], scores: FloatArray, k: int) -> Ranking:
    """The k best; equal scores in the order of the ids."""
    order = np.lexsort((np.array(ids, dtype="S32"), -scores))[:k]
    return Ranking(tuple(ids[place] for place in order), scores[order])


def reaches(scores: FloatArray, k: int) -> bool:
    """Whether a list goes so deep that nothing below it can be among the k best."""
    return len(scores) > k and bool(scores[-1] < scores[k - 1] - NEAR)


def doubtful(scores: FloatArray, k: int) -> NDArray[np.intp]:
    """The places of those whose order among the k best, or to those beyond, isn't certain."""
    close = scores[:-1] - scores[1:] <= NEAR
    near = np.zeros(len(scores), bool)
    near[:-1] |= close
    near[1:] |= close
    if len(scores) > k:
        near[scores < scores[k - 1] - NEAR] = False  # these can't be among the k best
    return np.flatnonzero(near)

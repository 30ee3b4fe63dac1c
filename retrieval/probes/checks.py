"""Whether vectors can be right: compared with the stored ones, and among each other.

Gets: vectors. Gives: the cosines seen, or an `EncoderMismatchError` that says what is wrong.
Touches: nothing. Never: a file, an encoder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import EncoderMismatchError
from retrieval.schema import Background, FloatArray
from retrieval.vectors import fault

# The least cosine between a probe's vector then and now, where nothing else is known: another
# machine, another number of threads or another batch moves a vector by far less in fp32. Two
# different probes may never be as alike as this, or agreeing would prove nothing.
TOLERANCE = 0.9999
# A probe's own stored vector must be so many times nearer (in 1 - cosine) than any other's.
MARGIN = 4
_COPY = 1e-6  # components that differ by no more are one vector, copied or computed twice


def check_vectors(
    expected: FloatArray, actual: FloatArray, *, where: str, tolerance: float = TOLERANCE
) -> float:
    """Compare probe vectors with the stored ones, row by row.

    Args:
        expected: (n, dim) float32, as stored.
        actual: what the encoder gives today for the same n inputs.
        where: the encoder and channel concerned; it begins the message.
        tolerance: the least cosine that counts as the same vector.

    Returns:
        the least cosine of a row then and now.

    Raises:
        EncoderMismatchError: wrongly shaped, not finite, not of norm 1, or under the tolerance.
    """
    check_shape(expected, actual, where=where)
    check_unit(actual, where=where)
    least = least_cosine(expected, actual)
    if not least >= tolerance:
        raise mismatch(
            where,
            f"gives other vectors than when the collection was made: the cosine of a built-in "
            f"input with itself is {least:.7g}, at least {tolerance:.7g} was expected",
        )
    return least


def check_nearest(expected: FloatArray, actual: FloatArray, *, where: str) -> None:
    """Refuse probes that aren't clearly nearer to their own stored vector than to any other's.

    Args:
        expected: (n, dim) float32, as stored, of n different inputs.
        actual: (n, dim) float32, what the encoder gives today.
        where: the encoder and channel concerned; it begins the message.

    Raises:
        EncoderMismatchError: one isn't.
    """
    distances = 1 - _unit(actual) @ _unit(expected).T
    own = distances.diagonal().copy()
    np.fill_diagonal(distances, np.inf)
    nearest = distances.min(axis=1, initial=np.inf)
    if (worst := own * MARGIN > nearest).any():
        row = int(worst.argmax())
        raise mismatch(
            where,
            f"can't tell a built-in input from another (cosines {1 - own[row]:.5f} with its own "
            f"stored vector, {1 - nearest[row]:.5f} with another's)",
        )


def check_degenerate(vectors: FloatArray, *, where: str, tolerance: float = TOLERANCE) -> None:
    """Refuse vectors of different inputs that tell nothing apart.

    Args:
        vectors: (n, dim) float32, of n different inputs.
        where: the encoder and channel concerned; it begins the message.
        tolerance: two rows with a cosine of this or more count as the same vector.

    Raises:
        EncoderMismatchError: not finite, not of norm 1, all the same, or two of them the same.
    """
    check_unit(vectors, where=where)
    cosines = _unit(vectors) @ _unit(vectors).T
    pairs = cosines[np.triu_indices(len(vectors), k=1)]
    if pairs.size and (pairs >= tolerance).all():
        raise mismatch(where, f"gives one and the same vector for {len(vectors)} different inputs")
    if (pairs >= tolerance).any():
        raise mismatch(
            where, f"can't tell two different inputs apart (their cosine is {pairs.max():.5f})"
        )


def check_shape(expected: FloatArray, actual: FloatArray, *, where: str) -> None:
    """Refuse an array of another shape than the stored one.

    Raises:
        EncoderMismatchError: it has another.
    """
    if actual.shape != expected.shape:
        raise mismatch(where, f"gives {_shape(actual)} where {_shape(expected)} was stored")


def check_unit(vectors: FloatArray, *, where: str) -> None:
    """Refuse vectors, (n, dim), that aren't finite and of norm 1.

    Raises:
        EncoderMismatchError: one isn't.
    """
    if wrong := fault(vectors, (len(vectors), vectors.shape[-1])):
        raise mismatch(where, f"gives vectors {wrong}")


def least_cosine(first: FloatArray, second: FloatArray) -> float:
    """The least cosine of a row of `first` with the same row of `second`, both (n, dim)."""
    return float((_unit(first) * _unit(second)).sum(axis=1).min(initial=1.0))


def same_as(vectors: FloatArray, one: FloatArray) -> NDArray[np.bool_]:
    """Which rows of (n, dim) vectors are the (dim,) vector `one`, not merely like it: (n,)."""
    return np.asarray((np.abs(vectors - one) <= _COPY).all(axis=1))


def background(scores: FloatArray) -> Background:
    """Mean and standard deviation of the cosines of unrelated queries and documents.

    ``mean = scores.mean()``; ``std = sqrt(((scores - mean) ** 2).mean())``.

    Args:
        scores: float32 of any shape, one for each pair.

    Raises:
        ValueError: there is no pair.
    """
    if not scores.size:
        raise ValueError("a background needs at least one pair of a query and a document")
    exact = scores.astype(np.float64)
    return Background(mean=float(exact.mean()), std=float(exact.std()))


def mismatch(where: str, what: str) -> EncoderMismatchError:
    """The error for an encoder that gives vectors which can't be right."""
    return EncoderMismatchError(
        f"{where} {what}.",
        advice="Use the encoder, weights and device that the collection was made with (try "
        "ECHOLENS_DEVICE=cpu or another ECHOLENS_PRECISION), or index again into a new collection.",
    )


def _unit(vectors: FloatArray) -> NDArray[np.float64]:
    """(n, dim) float64 of norm 1: float32 rows are so only to 1e-7, which would hide as much."""
    exact = vectors.astype(np.float64)
    return np.asarray(exact / np.linalg.norm(exact, axis=1, keepdims=True))


def _shape(vectors: FloatArray) -> str:
    return f"an array of shape {vectors.shape}"

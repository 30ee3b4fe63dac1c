"""Whether vectors can be right: compared with the stored ones, and among each other.

Gets: an encoder, or vectors. Gives: probe vectors, or an `EncoderMismatchError` that says what is
wrong. Touches: nothing. Never: a file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrieval.errors import EncoderMismatchError
from retrieval.protocols import Encoder
from retrieval.schema import Background, FloatArray, Modality, Role
from retrieval.vectors import fault

from .inputs import probe_inputs

# The least cosine between a probe's vector then and now, for computing in fp32: another machine,
# another number of threads or another batch moves a vector by far less. Two different probes may
# never be as alike as this, or agreeing would prove nothing.
TOLERANCE = 0.9999


def probe_key(space: str, modality: Modality) -> str:
    """The name of a modality's probe vectors, ``space/modality``; also where no channel has it.

    A collection of pictures alone is asked in words, so the words' half of the encoder counts too.
    """
    return f"{space}/{modality}"


def query_probe(modality: Modality) -> tuple[Any, int]:
    """(input, row): what the first query encodes beside its own inputs, and its row as stored."""
    inputs = probe_inputs(modality)
    return inputs[0], len(inputs)


def make_probes(encoder: Encoder) -> dict[str, FloatArray]:
    """The vectors to store for a new channel's encoder: each modality's, by `probe_key`.

    Raises:
        EncoderMismatchError: the encoder gives vectors that can't be right.
    """
    probes: dict[str, FloatArray] = {}
    for modality in sorted(encoder.space.modalities):
        if probe_inputs(modality):
            key = probe_key(encoder.space.key, modality)
            probes[key] = encode_probes(encoder, modality)
    return probes


def encode_probes(encoder: Encoder, modality: Modality) -> FloatArray:
    """Encode a modality's n probes.

    Returns:
        (2n, dim) float32: a row for each probe as a document, then a row for each as a query.

    Raises:
        EncoderMismatchError: the encoder gives vectors that can't be right.
    """
    inputs = probe_inputs(modality)
    roles: tuple[Role, Role] = ("document", "query")
    halves = [encoder.encode(modality, inputs, role=role) for role in roles]
    for half in halves:
        check_degenerate(half, where=probe_key(encoder.space.key, modality))
    return np.concatenate(halves)


def check_encoder(
    encoder: Encoder,
    modality: Modality,
    stored: FloatArray,
    *,
    where: str,
) -> None:
    """Encode one probe again, as a document, and compare it with `stored`, from `encode_probes`.

    Raises:
        EncoderMismatchError: as `check_vectors` says.
    """
    again = encoder.encode(modality, probe_inputs(modality)[:1], role="document")
    check_vectors(stored[:1], again, where=where, tolerance=encoder.tolerance(modality))


def check_vectors(
    expected: FloatArray, actual: FloatArray, *, where: str, tolerance: float = TOLERANCE
) -> None:
    """Compare probe vectors with the stored ones, row by row.

    Args:
        expected: (n, dim) float32, as stored.
        actual: what the encoder gives today for the same n inputs.
        where: the encoder and channel concerned; it begins the message.
        tolerance: the least cosine that counts as the same vector.

    Raises:
        EncoderMismatchError: wrongly shaped, not finite, not of norm 1, or under the tolerance.
    """
    if actual.shape != expected.shape:
        raise _mismatch(where, f"gives {_shape(actual)} where {_shape(expected)} was stored")
    _check_unit(actual, where)
    cosines = (expected.astype(np.float64) * actual).sum(axis=1)
    if not (cosines >= tolerance).all():
        raise _mismatch(
            where,
            f"gives other vectors than when the collection was made: the cosine of a built-in "
            f"input with itself is {cosines.min():.5f}, at least {tolerance} was expected",
        )


def check_degenerate(vectors: FloatArray, *, where: str, tolerance: float = TOLERANCE) -> None:
    """Refuse vectors of different inputs that tell nothing apart, as a new channel's probes.

    Args:
        vectors: (n, dim) float32, of n different inputs.
        where: the encoder and channel concerned; it begins the message.
        tolerance: two rows with a cosine of this or more count as the same vector.

    Raises:
        EncoderMismatchError: not finite, not of norm 1, all the same, or two of them the same.
    """
    _check_unit(vectors, where)
    cosines = vectors.astype(np.float64) @ vectors.T
    pairs = cosines[np.triu_indices(len(vectors), k=1)]
    if pairs.size and (pairs >= tolerance).all():
        raise _mismatch(where, f"gives one and the same vector for {len(vectors)} different inputs")
    if (pairs >= tolerance).any():
        raise _mismatch(
            where, f"can't tell two different inputs apart (their cosine is {pairs.max():.5f})"
        )


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


def _check_unit(vectors: FloatArray, where: str) -> None:
    wrong = fault(vectors, (len(vectors), vectors.shape[-1]))
    if wrong:
        raise _mismatch(where, f"gives vectors {wrong}")


def _shape(vectors: FloatArray) -> str:
    return f"an array of shape {vectors.shape}"


def _mismatch(where: str, what: str) -> EncoderMismatchError:
    return EncoderMismatchError(
        f"{where} {what}.",
        advice="Use the encoder, weights and device that the collection was made with (try "
        "ECHOLENS_DEVICE=cpu), or index again into a new collection.",
    )

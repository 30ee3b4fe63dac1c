"""An encoder and its probes: made once, compared at every opening and in every first query.

Gets: an encoder, what a collection keeps. Gives: `Probes`, a query's vectors, or an
`EncoderMismatchError` that says what is wrong. Touches: the encoder. Never: a file.

How alike is the same? The stored vectors were encoded one by one, what is compared with them comes
out of a batch: so each opening also checks that a batch gives what its members give alone. How far
the two were apart when the channel was made is measured, and the tolerance that is stored leaves
`ROOM` times as much (in 1 - cosine, so about three times the error), and never less than `FLOORS`:
one machine can't measure what another will do. In fp32 here a batch, or another number of threads,
moves a probe by 1e-13 and the wrong mean and spread of colours (ImageNet's for CLIP's) by 1e-4.
What an encoder declares for its precision is the outer limit. A new channel's encoder that is
further off in a batch than `FLOORS` mixes the batch's members, and is refused.

A precision that the collection wasn't made with is measured by its first opening for writing,
against the stored vectors: then it is known too. Until then what the encoder declares must do.

The probe stands last in a first query's batch. Rows that moved up or down by one, and a vector
that is the same for everything, then show at the probe or, since an encoder may also copy the last
row over the others, as a query that got the probe's own vector.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from retrieval.protocols import Encoder
from retrieval.schema import FloatArray, Modality, Precision, Role
from retrieval.timed import Sound

from .checks import (
    MARGIN,
    check_degenerate,
    check_nearest,
    check_shape,
    check_unit,
    check_vectors,
    least_cosine,
    mismatch,
    same_as,
)
from .inputs import probe_inputs
from .record import Probes, probe_key, tolerance_key

ROOM = 8
# The least 1 - tolerance. fp32: another processor, a GPU with TF32 in its convolutions. bf16, int8:
# other kernels round otherwise, by about as much as the precision itself is off.
FLOORS: Mapping[Precision, float] = {"fp32": 1e-5, "bf16": 1e-3, "int8": 1e-2}
_ROLES: tuple[Role, Role] = ("document", "query")


def make_probes(encoder: Encoder) -> Probes:
    """What to store for a new channel's encoder: vectors and tolerances of each modality.

    Raises:
        EncoderMismatchError: the encoder gives vectors that can't be right, or others in a batch
            than alone.
    """
    vectors: dict[str, FloatArray] = {}
    tolerances: dict[str, float] = {}
    space, precision = encoder.space.key, encoder.compute.precision
    for modality in _modalities(encoder):
        key = probe_key(space, modality)
        vectors[key] = encode_probes(encoder, modality)
        inputs, declared = probe_inputs(modality), encoder.tolerance(modality)
        batch = encoder.encode(modality, inputs, role="document")
        law = max(declared, 1 - _floor(precision))
        least = _check_batch(vectors[key][: len(inputs)], batch, law, where=key)
        tolerances[tolerance_key(space, modality, precision)] = measured_tolerance(
            least, precision, declared
        )
    return Probes(vectors, tolerances)


def encode_probes(encoder: Encoder, modality: Modality) -> FloatArray:
    """Encode a modality's n probes, each alone.

    Returns:
        (2n, dim) float32: a row for each probe as a document, then a row for each as a query.

    Raises:
        EncoderMismatchError: the encoder gives vectors that can't be right.
    """
    halves = [
        np.concatenate(
            [encoder.encode(modality, [one], role=role) for one in probe_inputs(modality)]
        )
        for role in _ROLES
    ]
    apart = 1 - MARGIN * (1 - encoder.tolerance(modality))
    for half in halves:
        check_degenerate(half, where=probe_key(encoder.space.key, modality), tolerance=apart)
    return np.concatenate(halves)


def check_encoder(encoder: Encoder, stored: Probes, *, where: str) -> Probes:
    """Encode all probes again, as documents, a batch a modality, and compare them.

    Returns:
        `stored` itself, or with a tolerance for a precision that was measured now.

    Raises:
        EncoderMismatchError: what `check_vectors`, `check_degenerate` or `check_nearest` says.
        CorruptError: `stored` lacks a modality.
    """
    space, precision = encoder.space.key, encoder.compute.precision
    measured: dict[str, float] = {}
    for modality in _modalities(encoder):
        inputs = probe_inputs(modality)
        expected = stored.rows(space, modality, len(inputs))[: len(inputs)]
        limit = stored.tolerance(space, modality, precision, encoder.tolerance(modality))
        actual = encoder.encode(modality, inputs, role="document")
        check_shape(expected, actual, where=where)
        check_degenerate(actual, where=where)
        least = check_vectors(expected, actual, where=where, tolerance=limit)
        check_nearest(expected, actual, where=where)
        key = tolerance_key(space, modality, precision)
        if key not in stored.tolerances:
            measured[key] = measured_tolerance(least, precision, limit)
    return replace(stored, tolerances={**stored.tolerances, **measured}) if measured else stored


def encode_with_probe(
    encoder: Encoder, modality: Modality, inputs: Sequence[Any], stored: Probes, *, where: str
) -> FloatArray:
    """Encode a query's n inputs, a probe behind them in the same batch, and compare that one.

    Returns:
        (n, dim) float32, the inputs' vectors alone.

    Raises:
        EncoderMismatchError: the encoder gives vectors that can't be right.
        CorruptError: `stored` lacks the modality.
    """
    probes = probe_inputs(modality)
    if not probes:
        return encoder.encode(modality, inputs, role="query")
    vectors = encoder.encode(modality, [*inputs, probes[0]], role="query")
    space, row = encoder.space.key, len(probes)
    expected = stored.rows(space, modality, row)[row : row + 1]
    limit = stored.tolerance(
        space, modality, encoder.compute.precision, encoder.tolerance(modality)
    )
    check_vectors(expected, vectors[-1:], where=where, tolerance=limit)
    check_unit(vectors, where=where)
    copies = same_as(vectors[:-1], vectors[-1])
    if any(
        copied and not _alike(one, probes[0]) for copied, one in zip(copies, inputs, strict=False)
    ):
        raise mismatch(where, "gives a query the vector of a built-in input")
    return vectors[:-1]


def measured_tolerance(least: float, precision: Precision, declared: float) -> float:
    """The tolerance to store: ``max(declared, 1 - max(ROOM * (1 - least), floor))``.

    Args:
        least: the least cosine of a probe with its stored vector, as measured.
        precision: that it was computed in; it has the floor.
        declared: the outer limit.
    """
    return max(declared, 1 - max(ROOM * (1 - least), _floor(precision)))


def _floor(precision: Precision) -> float:
    return FLOORS.get(precision, max(FLOORS.values()))


def _modalities(encoder: Encoder) -> list[Modality]:
    """Those that an encoder takes and that have probes."""
    return [modality for modality in sorted(encoder.space.modalities) if probe_inputs(modality)]


def _check_batch(alone: FloatArray, batch: FloatArray, tolerance: float, *, where: str) -> float:
    """The least cosine of inputs encoded alone and in one batch, all (n, dim)."""
    check_shape(alone, batch, where=where)
    check_unit(batch, where=where)
    least = least_cosine(alone, batch)
    if not least >= tolerance:
        raise mismatch(
            where,
            f"gives an input another vector in a batch than alone (their cosine is {least:.7g}, "
            f"at least {tolerance:.7g} was expected)",
        )
    return least


def _alike(one: Any, other: Any) -> bool:
    """Whether two inputs could rightly get one vector: the same words, pixels or samples."""
    if isinstance(one, str):
        return _words(one) == _words(other)
    if isinstance(one, Sound):
        return one.rate == other.rate and np.array_equal(one.samples, other.samples)
    return np.array_equal(one, other)


def _words(text: str) -> list[str]:
    return sorted(re.findall(r"\w+", text.casefold()))

"""The one check of unit vectors, and who goes by it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from indexer.encode import encode
from indexer.schema import Encodable
from retrieval.errors import EncoderMismatchError
from retrieval.schema import Channel, Document, FloatArray, Modality, Role
from retrieval.vectors import fault
from tests.encoders import DIM, HashEncoder

UNIT = np.eye(2, 3, dtype=np.float32)


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        (UNIT, None),
        (UNIT * np.float32(1.0005), None),
        (UNIT[0], r"shape \(3,\) where \(2, 3\)"),
        (UNIT[:1], "shape"),
        (UNIT[None], "shape"),
        (np.full((2, 3), np.nan), "NaN"),
        (np.full((2, 3), np.inf), "NaN or infinite"),
        (UNIT * np.array([[1], [2]]), "a norm is 2"),
        (UNIT * np.array([[1], [0]]), "a norm is 0"),
    ],
)
def test_what_is_wrong_is_said(vectors: Any, says: str | None) -> None:
    found = fault(vectors, (2, 3))
    assert (found is None) if says is None else re.search(says, found or "")


def test_no_vectors_are_unit_vectors() -> None:
    assert fault(np.empty((0, 3), np.float32), (0, 3)) is None


class Flat(HashEncoder):
    """Forgets the axis of a batch of one."""

    def encode(self, modality: Modality, inputs: Sequence[Any], *, role: Role) -> FloatArray:
        return np.squeeze(super().encode(modality, inputs, role=role))


def test_an_axis_too_few_is_the_encoders_fault_when_indexing() -> None:
    channel = Channel("test-hash-32", "text", DIM, "hash:", "")
    backends: Any = SimpleNamespace(
        manifest=SimpleNamespace(channels=[channel]), encoder=lambda _channel: Flat()
    )
    document = Document.of("ab" * 32, "passage", channel.key, text="a dog")
    with pytest.raises(EncoderMismatchError, match=r"of shape \(32,\)"):
        encode([Encodable(document, ("a dog",))], backends)

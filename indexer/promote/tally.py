"""What a store holds, as a count and a checksum that can be compared between two stores.

Gets: documents, sightings, vectors, ids of assets. Gives: bytes, a `Tally`. Touches: nothing: pure.
Never: asks a store.

The checksum is the sum of the SHA-256 of every item, so that stores may give them in any order and
nothing has to be kept or sorted. What Python takes for equal and a store may give back otherwise
(2 and 2.0, 0.0 and -0.0) has the same bytes here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from retrieval.schema import Document, FieldValue, FloatArray, Sighting

_INT64 = range(-(2**63), 2**63)


@dataclass(slots=True)
class Tally:
    """A count and a checksum of items, whatever their order."""

    count: int = 0
    checksum: int = 0

    def add(self, item: bytes) -> None:
        """Count one more item."""
        self.count += 1
        digest = int.from_bytes(hashlib.sha256(item).digest(), "big")
        self.checksum = (self.checksum + digest) % 2**256


def of_document(document: Document) -> bytes:
    """All of a document."""
    span = document.span and [float(document.span.start), float(document.span.end)]
    parts = [document.id, document.asset, document.kind, document.channel, span, document.text]
    return json.dumps(parts).encode()


def of_sighting(sighting: Sighting) -> bytes:
    """All of a sighting."""
    fields = sorted((name, _plain(value)) for name, value in sighting.fields.items())
    return json.dumps([sighting.uri, sighting.asset, fields, sighting.captions]).encode()


def of_vector(id_: str, vector: FloatArray) -> bytes:
    """An id and the (dim,) vector under it."""
    return id_.encode() + (vector + np.float32(0)).astype("<f4").tobytes()


def _plain(value: FieldValue) -> FieldValue:
    """A number as one way of writing it; a whole one beyond 64 bits as the float it becomes."""
    if isinstance(value, bool | str):
        return value
    number = value if isinstance(value, int) and value in _INT64 else float(value)
    return int(number) if float(number).is_integer() else number

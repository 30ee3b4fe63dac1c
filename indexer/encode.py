"""Drafts into vectors: batches for the encoder, one vector a document.

Gets: documents with their encoder inputs. Gives: for each channel, ids and (n, dim) float32 of
norm 1. Touches: encoders. Never: a store, a file.

A document of several inputs gets the normalised mean of their vectors. What an encoder returns is
checked before anything is written: a batch with a non-finite or unnormalised row is refused whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from retrieval.errors import EncoderMismatchError
from retrieval.protocols import Encoder
from retrieval.query.backends import Backends
from retrieval.schema import Channel, FloatArray
from retrieval.vectors import fault

from .schema import Encodable, Encoded


def encode(encodables: Iterable[Encodable], backends: Backends) -> Mapping[str, Encoded]:
    """Encode documents, channel by channel.

    Raises:
        EncoderMismatchError: the encoder gave something that is no unit vector.
    """
    by_channel: dict[str, dict[str, Encodable]] = defaultdict(dict)
    for encodable in encodables:
        if encodable.document.channel:  # one without a channel is found by its words alone
            by_channel[encodable.document.channel][encodable.document.id] = encodable
    channels = {channel.key: channel for channel in backends.manifest.channels}
    return {
        key: _encode_channel(tuple(members.values()), channels[key], backends)
        for key, members in by_channel.items()
    }


def _encode_channel(members: Sequence[Encodable], channel: Channel, backends: Backends) -> Encoded:
    encoder = backends.encoder(channel)
    inputs = [value for member in members for value in member.inputs]
    vectors = np.concatenate(
        [_checked(encoder, channel, batch) for batch in _batches(inputs, encoder.batch_size)]
    )
    return Encoded(
        ids=tuple(member.document.id for member in members),
        vectors=_pool(vectors, [len(member.inputs) for member in members]),
    )


def _checked(encoder: Encoder, channel: Channel, batch: Sequence[Any]) -> FloatArray:
    vectors = encoder.encode(channel.modality, batch, role="document")
    wrong = fault(vectors, (len(batch), channel.dim))
    if wrong:
        raise EncoderMismatchError(
            f"The encoder `{channel.encoder}` gave channel {channel.key} vectors {wrong}.",
            advice="Nothing of this batch was written. Check the encoder and its weights.",
        )
    return vectors


def _pool(vectors: FloatArray, counts: Sequence[int]) -> FloatArray:
    """Normalised mean of each document's rows: (sum(counts), dim) -> (len(counts), dim)."""
    if all(count == 1 for count in counts):
        return vectors
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(int)
    sums = np.add.reduceat(vectors, starts, axis=0)
    pooled: FloatArray = (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)
    return pooled


def _batches(inputs: Sequence[Any], size: int) -> Iterable[list[Any]]:
    # itertools.batched came with Python 3.12
    rest = iter(inputs)
    while batch := list(islice(rest, size)):
        yield batch

"""Drafts into vectors: batches for the encoder, one vector a document.

Gets: documents with their encoder inputs. Gives: for each channel, ids and (n, dim) float32 of
norm 1. Touches: encoders. Never: a store, a file.

A document of several inputs gets the normalised mean of their vectors. What an encoder returns is
checked before anything is written: a batch with a non-finite or unnormalised row is refused whole.
A batch of different inputs that all get one and the same vector is suspicious, but may be right:
blank pages, or words that the encoder doesn't know. Its probes decide, which costs a few inputs.
Texts that an encoder doesn't read to their end are counted, for the report.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from retrieval.errors import EncoderMismatchError
from retrieval.probes import check_encoder, same_as
from retrieval.protocols import Encoder
from retrieval.query.backends import Backends
from retrieval.schema import INPUT_OF_MODALITY, Channel, FloatArray
from retrieval.timed import Sound
from retrieval.vectors import fault

from .schema import Encodable, Encoded

_MARKS = 3  # tokens that may mark a text's ends


def whole_batches(sizes: Iterable[int], least: int) -> int:
    """The least number of inputs, from `least` on, that fills the largest of the batch sizes."""
    largest = max(sizes, default=1)
    return -(-least // largest) * largest


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


def count_cut(encodables: Iterable[Encodable], backends: Backends) -> int:
    """How many of the documents have a text that their encoder doesn't read to its end.

    Only those are asked about whose bytes could be more tokens than it reads.
    """
    channels = {channel.key: channel for channel in backends.manifest.channels}
    cut = 0
    for encodable in encodables:
        if (channel := channels.get(encodable.document.channel)) is None:
            continue
        encoder = backends.encoder(channel)
        room = (encoder.wants.text_tokens or 0) - _MARKS
        texts = (text for text in encodable.inputs if isinstance(text, str))
        long = (text for text in texts if len(text.encode("utf-8", "replace")) > room)
        cut += any(encoder.unread(text) for text in long)
    return cut


def _encode_channel(members: Sequence[Encodable], channel: Channel, backends: Backends) -> Encoded:
    encoder = backends.encoder(channel)
    inputs = [value for member in members for value in member.inputs]
    vectors = np.concatenate(
        [
            _checked(encoder, channel, batch, backends)
            for batch in _batches(inputs, encoder.batch_size)
        ]
    )
    return Encoded(
        ids=tuple(member.document.id for member in members),
        vectors=_pool(vectors, [len(member.inputs) for member in members]),
    )


def _checked(
    encoder: Encoder, channel: Channel, batch: Sequence[Any], backends: Backends
) -> FloatArray:
    vectors = encoder.encode(INPUT_OF_MODALITY[channel.modality], batch, role="document")
    wrong = fault(vectors, (len(batch), channel.dim))
    if wrong:
        raise EncoderMismatchError(
            f"The encoder `{channel.encoder}` gave channel {channel.key} vectors {wrong}.",
            advice="Nothing of this batch was written. Check the encoder and its weights.",
        )
    if _look_constant(vectors, batch):
        check_encoder(encoder, backends.probes(), where=f"`{channel.encoder}`")
    return vectors


def _look_constant(vectors: FloatArray, batch: Sequence[Any]) -> bool:
    """Whether all inputs got one vector, though they aren't all the same."""
    if len(batch) < 2 or not same_as(vectors, vectors[0]).all():
        return False
    return not all(_same(one, batch[0]) for one in batch)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Sound):
        return one.rate == other.rate and np.array_equal(one.samples, other.samples)
    return bool(np.array_equal(one, other))


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

"""Background statistics: what a channel's scores are worth when there is nothing to find.

Gets: an opened collection. Gives: its manifest with a mean and a spread for each channel and kind
of query. Touches: vectors, read-only; the text encoder. Never: writes.

Words are asked as the built-in sentences that have nothing to do with anybody's files; a picture
as a sample of the collection's own pictures, each against all others. The sample is the documents
with the smallest ids, and as ids are hashes it is a fair and repeatable one.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from retrieval.manifest import Manifest
from retrieval.probes import background, background_sentences
from retrieval.query.backends import Backends
from retrieval.schema import Background, Channel, FloatArray, Modality

SAMPLE = 1000
QUERIES = 64
WORTH_WHILE = 0.1


def calibrated(backends: Backends) -> Manifest:
    """The manifest with statistics that fit what the channels hold now.

    Statistics are measured again when a channel's count has changed by a tenth since.
    """
    manifest = backends.manifest
    counts = {key: store.count() for key, store in backends.vectors.items()}
    if all(_is_fresh(manifest, key, count) for key, count in counts.items()):
        return manifest
    samples = {channel.key: _sample(backends, channel) for channel in manifest.channels}
    sentences = {
        channel.space: backends.encoder(channel).encode(
            "text", background_sentences(), role="query"
        )
        for channel in manifest.channels
        if "text" in backends.encoder(channel).space.modalities
    }
    measured: dict[str, dict[Modality, Background]] = {}
    for channel in manifest.channels:
        pairs = _pairs(channel, samples, sentences)
        measured[channel.key] = {
            modality: replace(background(asked, held), documents=counts[channel.key])
            for modality, (asked, held) in pairs.items()
            if len(asked) and len(held)
        }
    return replace(manifest, background=measured)


def _is_fresh(manifest: Manifest, key: str, count: int) -> bool:
    known = list(manifest.background.get(key, {}).values())
    if not known:
        return count < 2
    return all(abs(count - b.documents) <= WORTH_WHILE * b.documents for b in known)


def _sample(backends: Backends, channel: Channel) -> FloatArray:
    store = backends.vectors[channel.key]
    found = store.get(heapq.nsmallest(SAMPLE, store.scan()))
    if not found:
        return np.zeros((0, channel.dim), np.float32)
    return np.stack([found[name] for name in sorted(found)])


def _pairs(
    channel: Channel, samples: Mapping[str, FloatArray], sentences: Mapping[str, FloatArray]
) -> dict[Modality, tuple[FloatArray, FloatArray]]:
    """By kind of query: ((q, dim) queries, (n, dim) documents), never a document and itself."""
    documents = samples[channel.key]
    pairs: dict[Modality, tuple[FloatArray, FloatArray]] = {}
    if channel.space in sentences:
        pairs["text"] = sentences[channel.space], documents
    for key, sample in samples.items():
        space, _, modality = key.partition("/")
        if space != channel.space or modality == "text":
            continue
        half = min(QUERIES, len(sample) // 2)
        pairs[modality] = (  # type: ignore[index]  # a channel's key ends in its modality
            (sample[:half], documents[half:]) if key == channel.key else (sample[:half], documents)
        )
    return pairs

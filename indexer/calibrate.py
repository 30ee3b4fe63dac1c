"""Background statistics: what a channel's scores are worth when there is nothing to find.

Gets: an opened collection. Gives: its manifest with a mean and a spread for each channel and kind
of query. Touches: vectors and documents, read-only; the text encoder. Never: writes.

Words are asked as the built-in sentences that have nothing to do with anybody's files; a picture
or a sound as a sample of the collection's own, each against all documents of other assets. The
sample is the documents with the smallest ids, and as ids are hashes it is a fair and repeatable
one. A few pairs say nothing of a spread, so a small collection is also asked with the built-in
pictures, whose vectors are kept as probes; what is still too few gets no statistics for that kind
of query, and is fused by rank.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from retrieval.manifest import Manifest
from retrieval.probes import background, background_sentences, probe_inputs
from retrieval.query.backends import Backends
from retrieval.schema import Background, Channel, FloatArray, Modality

SAMPLE = 1000
QUERIES = 64
ENOUGH_PAIRS = 100
LEAST_PAIRS = 12
_NORM_ERROR = 1e-3
WORTH_WHILE = 0.1


@dataclass(frozen=True, slots=True)
class _Sample:
    """(n, dim) vectors and the n assets that they belong to; "" belongs to none."""

    vectors: FloatArray
    assets: tuple[str, ...]

    def first(self, count: int) -> _Sample:
        return _Sample(self.vectors[:count], self.assets[:count])


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
        channel.space: _sentences(backends, channel.space) for channel in manifest.channels
    }
    measured: dict[str, dict[Modality, Background]] = {}
    for channel in manifest.channels:
        asked = _queries(channel.space, samples, sentences[channel.space])
        strangers = partial(_strangers, backends, channel)
        measured[channel.key] = {
            modality: replace(background(scores), documents=counts[channel.key])
            for modality, queries in asked
            for scores in [_scores(queries, samples[channel.key], partial(strangers, modality))]
            if len(scores) >= LEAST_PAIRS
        }
    return replace(manifest, background=measured)


def _is_fresh(manifest: Manifest, key: str, count: int) -> bool:
    known = list(manifest.background.get(key, {}).values())
    if not known:
        return count < 2
    return all(abs(count - b.documents) <= WORTH_WHILE * b.documents for b in known)


def _sample(backends: Backends, channel: Channel) -> _Sample:
    store = backends.vectors[channel.key]
    found = store.get(heapq.nsmallest(SAMPLE, store.scan()))
    documents = backends.documents.get(list(found))
    names = sorted(name for name in documents if _is_unit(found[name]))
    vectors = [found[name] for name in names] or np.zeros((0, channel.dim), np.float32)
    return _Sample(np.asarray(vectors, np.float32), tuple(documents[n].asset for n in names))


def _is_unit(vector: FloatArray) -> bool:
    """Whether it can be a vector of an encoder; damaged ones are `verify`'s to tell."""
    return bool(abs(np.linalg.norm(vector.astype(np.float64)) - 1) < _NORM_ERROR)


def _sentences(backends: Backends, space: str) -> _Sample:
    """The built-in sentences, by the first encoder of a space that takes texts."""
    texts = background_sentences()
    channels = [channel for channel in backends.manifest.channels if channel.space == space]
    for encoder in map(backends.encoder, channels):
        if "text" in encoder.space.modalities:
            return _Sample(encoder.encode("text", texts, role="query"), ("",) * len(texts))
    return _Sample(np.zeros((0, channels[0].dim), np.float32), ())


def _queries(
    space: str, samples: Mapping[str, _Sample], sentences: _Sample
) -> Iterator[tuple[Modality, _Sample]]:
    """By kind of query, what is asked in a space."""
    yield "text", sentences
    for key, sample in samples.items():
        in_space, _, modality = key.partition("/")
        if in_space == space and modality != "text":
            yield modality, sample.first(QUERIES)  # type: ignore[misc]  # a key ends in its modality


def _strangers(backends: Backends, channel: Channel, modality: Modality) -> _Sample:
    """The built-in inputs of a modality, as queries."""
    count = len(probe_inputs(modality))
    if not count:
        return _Sample(np.zeros((0, channel.dim), np.float32), ())
    vectors = backends.probes().rows(channel.space, modality, count)
    return _Sample(vectors[count:], ("",) * count)


def _scores(queries: _Sample, documents: _Sample, strangers: Callable[[], _Sample]) -> FloatArray:
    """(n,) scores of unrelated pairs; `strangers` ask too where there are few."""
    scores = _unrelated(queries, documents)
    if len(scores) >= ENOUGH_PAIRS:
        return scores
    return np.concatenate([scores, _unrelated(strangers(), documents)])


def _unrelated(queries: _Sample, documents: _Sample) -> FloatArray:
    """(n,) scores of all pairs that don't belong to one asset."""
    pairs = np.array(queries.assets, object)[:, None] != np.array(documents.assets, object)
    scores: FloatArray = (queries.vectors @ documents.vectors.T)[pairs]
    return scores

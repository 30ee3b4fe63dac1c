"""Collections of films by numbers: each document lies at a chosen cosine from the words `WORDS`.

Gets: films as lists of parts. Gives: an open collection with real stores. Touches: the folder that
it is given. Never: a decoder, a weight.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from retrieval import probes, registry
from retrieval.manifest import Manifest
from retrieval.protocols import Place
from retrieval.query.backends import Backends
from retrieval.schema import (
    CHANNEL_OF_KIND,
    Background,
    Channel,
    Document,
    FieldValue,
    FloatArray,
    Kind,
    Modality,
    Sighting,
    Span,
)
from retrieval.thumbnails import Thumbnails
from tests.encoders import DIM, HashEncoder

WORDS = "red boat"
BACKGROUND = Background(0.05, 0.2)
SPACE = HashEncoder().space.key
MODALITIES: tuple[Modality, ...] = ("image", "text", "video", "audio")


@dataclass(frozen=True)
class Part:
    """A document of a film: `cosine` is how near it lies to `WORDS`, -1 to 1."""

    kind: Kind
    start: float
    end: float
    cosine: float
    text: str | None = None


@dataclass(frozen=True)
class Film:
    """An asset: a film, a recording, or (without parts) something with captions only."""

    parts: tuple[Part, ...]
    captions: tuple[tuple[str, float], ...] = ()  # with their cosines
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    modality: Modality = "video"


@dataclass
class Made:
    """A collection, and what is in it."""

    backends: Backends
    films: Sequence[Film]
    documents: list[Document] = field(default_factory=list)
    vectors: dict[str, FloatArray] = field(default_factory=dict)  # by document

    def asset(self, number: int) -> str:
        return hashlib.sha256(f"film {number}".encode()).hexdigest()

    def of(self, number: int) -> list[Document]:
        return [document for document in self.documents if document.asset == self.asset(number)]


@contextmanager
def films_made(
    folder: Path,
    films: Sequence[Film],
    *,
    background: Background | None = BACKGROUND,
    vectors: str = "exact:",
    documents: str = "sqlite:",
) -> Iterator[Made]:
    """A collection of `films`; stores are named by their URLs."""
    encoder = HashEncoder()
    channels = tuple(
        Channel(SPACE, modality, DIM, "hash:", encoder.fingerprint) for modality in MODALITIES
    )
    place = Place("", folder, read_only=False)
    known: dict[Modality, Background] = {"text": background} if background else {}
    backgrounds = {channel.key: known for channel in channels}
    stored = probes.make_probes(encoder)
    backends = Backends(
        folder,
        Manifest(channels, vectors, documents, "inplace:", {}, backgrounds),
        registry.open_document_store(replace(place, url=documents)),
        {c.key: registry.open_vector_store(replace(place, url=vectors), c) for c in channels},
        registry.open_asset_store(replace(place, url="inplace:"), lambda _asset: []),
        lambda _channel: encoder,
        lambda: stored,
        Thumbnails(folder, read_only=True),
    )
    made = Made(backends, films)
    _fill(made)
    fields = backends.documents.fields()
    made.backends = replace(backends, manifest=replace(backends.manifest, fields=fields))
    try:
        yield made
    finally:
        made.backends.close()


def _fill(made: Made) -> None:
    sightings = []
    cosines: dict[str, float] = {}
    for number, film in enumerate(made.films):
        asset = made.asset(number)
        for part in film.parts:
            key = f"{SPACE}/{CHANNEL_OF_KIND[part.kind]}"
            span = Span(part.start, part.end)
            document = Document.of(asset, part.kind, key, span, part.text)
            cosines[document.id] = part.cosine
            made.documents.append(document)
        for text, cosine in film.captions:
            document = Document.of(asset, "passage", f"{SPACE}/text", text=text)
            cosines[document.id] = cosine
            made.documents.append(document)
        captions = tuple(text for text, _ in film.captions)
        fields = {"modality": film.modality, **film.fields}
        sightings.append(Sighting(f"file:///{number}.mp4", asset, fields, captions))
    made.documents = list({document.id: document for document in made.documents}.values())
    for channel in made.backends.manifest.channels:
        here = [document for document in made.documents if document.channel == channel.key]
        ids = [document.id for document in here]
        if ids:
            rows = _rows([cosines[id_] for id_ in ids])
            made.vectors.update(zip(ids, rows, strict=True))
            made.backends.vectors[channel.key].upsert(ids, rows, here)
    made.backends.documents.upsert(made.documents, sightings)


def _rows(cosines: Sequence[float]) -> FloatArray:
    """Unit vectors at those cosines from `WORDS`, in one plane."""
    (query,) = HashEncoder().encode("text", [WORDS], role="query").astype(np.float64)
    other = np.zeros(DIM)
    other[int(np.argmin(np.abs(query)))] = 1.0
    other -= (other @ query) * query
    other /= np.linalg.norm(other)
    cosine = np.array(cosines)[:, None]
    return np.asarray(cosine * query + np.sqrt(1 - cosine**2) * other, np.float32)

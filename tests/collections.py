"""Collections for tests, and what one holds as plain values that can be compared."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from indexer.ledger import Ledger
from indexer.rows import Row
from retrieval.collection import Collection, open_collection
from retrieval.query.moments import EVER
from retrieval.schema import FloatArray, Sighting
from retrieval.settings import Settings


def settings(home: Path) -> Settings:
    """Settings that keep everything below `home`, with one decoding process."""
    return Settings(home=home, encoder="hash:", workers=1)


@dataclass(frozen=True)
class Contents:
    """Everything that a collection holds.

    Attributes:
        documents: (asset, kind, channel, text) by id.
        vectors: (dim,) float32 by channel key and id.
        thumbnails: times of those that are kept, in seconds, by asset.
    """

    documents: dict[str, tuple[str, str, str, str | None]]
    sightings: list[Sighting]
    vectors: dict[str, dict[str, FloatArray]]
    rows: list[Row]
    rechecks: list[str]
    thumbnails: dict[str, list[float]]


def contents(collection: Collection) -> Contents:
    """Read all of a collection, without its caches."""
    with open_collection(collection.directory, settings=collection.settings) as fresh:
        backends = fresh.backends
        documents = {d.id: (d.asset, d.kind, d.channel, d.text) for d in backends.documents.scan()}
        sightings = list(backends.documents.scan_sightings())
        vectors = {key: store.get(list(store.scan())) for key, store in backends.vectors.items()}
        thumbnails = {
            asset: [each.time_s for each in backends.thumbnails.of(asset, EVER)]
            for asset in backends.thumbnails.assets()
        }
    with closing(Ledger(collection.directory, read_only=True)) as ledger:
        rows, rechecks = list(ledger.scan()), ledger.rechecks()
    return Contents(documents, sightings, vectors, rows, rechecks, thumbnails)


def assert_same(actual: Contents, expected: Contents) -> None:
    """Ids, texts, sightings and rows equal; vectors within cosine 0.99999."""
    assert actual.documents == expected.documents
    assert actual.sightings == expected.sightings
    assert actual.rows == expected.rows
    assert actual.thumbnails == expected.thumbnails
    assert actual.rechecks == expected.rechecks == []
    assert actual.vectors.keys() == expected.vectors.keys()
    for key, wanted in expected.vectors.items():
        assert actual.vectors[key].keys() == wanted.keys()
        for name, vector in wanted.items():
            assert float(np.dot(actual.vectors[key][name], vector)) > 0.99999

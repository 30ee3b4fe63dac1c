"""Small documents and sightings, and the test URL of every scheme."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from retrieval.protocols import DocumentStore
from retrieval.schema import Document, FieldValue, Sighting

# What each scheme needs to be tested: the URL of a store whose data goes with the folder.
TEST_URLS = {"sqlite": "sqlite:"}

Opener = Callable[..., DocumentStore]


def asset_of(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def passage(name: object, text: str, channel: str = "toy/text") -> Document:
    return Document.of(asset_of(name), "passage", channel, text=text)


def image(name: object) -> Document:
    return Document.of(asset_of(name), "image", "toy/image")


def seen(
    name: object, uri: str = "", captions: Sequence[str] = (), **fields: FieldValue
) -> Sighting:
    return Sighting(uri or f"file:///{name}", asset_of(name), fields, tuple(captions))


def texts_found(store: DocumentStore, words: str, k: int = 10) -> list[str | None]:
    ranking = store.search(words, k)
    documents = store.get(ranking.ids)
    return [documents[id_].text for id_ in ranking.ids]

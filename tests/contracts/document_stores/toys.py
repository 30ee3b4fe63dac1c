"""Small documents and sightings, and what each scheme needs to be tested."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from retrieval.protocols import DocumentStore
from retrieval.schema import Document, FieldValue, Sighting
from tests.services.elasticsearch import ElasticsearchServer

Opener = Callable[..., DocumentStore]


@dataclass(frozen=True)
class Scheme:
    """A scheme under test, and in what schemes differ.

    Attributes:
        server: the fixture of the server that it needs, which the functions get; None for none.
        url: of the store that belongs to a folder.
        damage: makes the store of a folder, closed, one that can't be read.
        age: makes the store of a folder, closed, one of format 1.
        drop: takes away what the store of a folder keeps elsewhere.
        files: where what it keeps lies on the disk.
        shared: whether it is a `SharedStore`, and `Served`.
        in_folder: whether it lies in the folder, and in nothing else.
    """

    name: str
    server: str | None
    shared: bool
    url: Callable[[Any, Path], str]
    damage: Callable[[Any, Path], None]
    age: Callable[[Any, Path], None]
    drop: Callable[[Any, Path], None]
    files: Callable[[Any, Path], Path]

    @property
    def in_folder(self) -> bool:
        return self.server is None

    @property
    def marks(self) -> list[pytest.MarkDecorator]:
        return [pytest.mark.services, pytest.mark.xdist_group(self.name)] if self.server else []


def _overwrite(_: None, folder: Path) -> None:
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        path.write_bytes(b"no such file" * 1000)


def _set_user_version(_: None, folder: Path) -> None:
    (path,) = folder.glob("*.sqlite")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1")


def index_of(folder: Path) -> str:
    """The name of a folder's index."""
    return f"t-{hashlib.sha256(str(folder).encode()).hexdigest()[:32]}"


def _close_index(server: ElasticsearchServer, folder: Path) -> None:
    with server.client() as client:
        client.indices.close(index=index_of(folder))


def _set_meta(server: ElasticsearchServer, folder: Path) -> None:
    with server.client() as client:
        client.indices.put_mapping(index=index_of(folder), meta={"echolens": {"format": 1}})


def _drop_index(server: ElasticsearchServer, folder: Path) -> None:
    with server.client() as client:
        client.indices.delete(index=index_of(folder), ignore_unavailable=True)


SCHEMES = {
    "elasticsearch": Scheme(
        "elasticsearch",
        "elasticsearch_session",
        shared=True,
        url=lambda server, folder: server.url(index_of(folder)),
        damage=_close_index,
        age=_set_meta,
        drop=_drop_index,
        files=lambda server, _: server.data,
    ),
    "sqlite": Scheme(
        "sqlite",
        None,
        shared=False,
        url=lambda _, __: "sqlite:",
        damage=_overwrite,
        age=_set_user_version,
        drop=lambda _, __: None,
        files=lambda _, folder: folder,
    ),
}


@dataclass(frozen=True)
class Subject:
    """A scheme and its server, which runs."""

    scheme: Scheme
    server: Any

    def url(self, folder: Path) -> str:
        return self.scheme.url(self.server, folder)

    def damage(self, folder: Path) -> None:
        self.scheme.damage(self.server, folder)

    def age(self, folder: Path) -> None:
        self.scheme.age(self.server, folder)

    def drop(self, folder: Path) -> None:
        self.scheme.drop(self.server, folder)

    def files(self, folder: Path) -> Path:
        return self.scheme.files(self.server, folder)


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

"""A folder to fill, an empty collection, and what the ledger says of each file afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from indexer import create
from retrieval.collection import Collection, open_collection
from retrieval.schema import path_of
from tests import collections


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """An empty folder for the user's files."""
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Collection:
    """An empty collection with the tests' encoder."""
    return create("photos", settings=collections.settings(tmp_path / "home"))


def outcomes(collection: Collection, folder: Path) -> dict[str, str]:
    """What became of each file that the ledger knows, by its path below `folder`."""
    return {
        os.path.relpath(path_of(row.uri), folder): row.reason or row.outcome
        for row in collections.contents(collection).rows
    }


def captions(collection: Collection) -> list[str]:
    """The texts of all documents, sorted; each has its vector and the words that find it."""
    held = collections.contents(collection)
    vectors = [name for store in held.vectors.values() for name in store]
    assert sorted(vectors) == sorted(held.documents)
    return sorted(text for _, _, _, text in held.documents.values() if text)


def found(collection: Collection, words: str) -> int:
    """How many documents have one of the words."""
    with open_collection(collection.directory, settings=collection.settings) as fresh:
        return len(fresh.backends.documents.search(words, 100))

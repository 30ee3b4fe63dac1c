"""A ledger that an older version wrote: read as it is, and brought up to date by a writer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from indexer import failures, index, status
from indexer.ledger_file import FORMAT, NAME
from retrieval.collection import Collection
from tests import collections, corpus


def _version(collection: Collection) -> int:
    with closing(sqlite3.connect(collection.directory / NAME)) as file:
        return int(file.execute("PRAGMA user_version").fetchone()[0])


def test_a_ledger_of_format_1_loses_nothing(media: Path, photos: Collection) -> None:
    corpus.picture(media / "a.png")
    corpus.text_named(media / "lie.jpg")
    index([media], photos)
    rows = collections.contents(photos).rows
    with closing(sqlite3.connect(photos.directory / NAME)) as file:
        file.executescript("ALTER TABLE files DROP COLUMN has_gap; PRAGMA user_version = 1;")
    assert [Path(failure.uri).name for failure in failures(photos)] == ["lie.jpg"]
    assert status(photos).files
    assert _version(photos) == 1
    corpus.picture(media / "z.png", seed=5)
    report = index([media], photos)
    assert (report.indexed, report.unchanged, _version(photos)) == (1, 1, FORMAT)
    assert collections.contents(photos).rows[:2] == rows

"""Files that change between runs: what was known of them is replaced, and nothing else is."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from indexer import index
from retrieval.collection import Collection
from tests import collections, corpus

from .conftest import captions, found, outcomes


@pytest.fixture
def indexed(media: Path, photos: Collection) -> Collection:
    """a.png with a caption, b.png, note.md."""
    corpus.picture(media / "a.png", seed=1)
    corpus.text(media / "a.txt", "a boat")
    corpus.picture(media / "b.png", seed=2)
    corpus.text(media / "note.md", "All about zeppelins.")
    assert index([str(media)], photos).indexed == 3
    return photos


def _assets(collection: Collection) -> dict[str, str]:
    return {Path(s.uri).name: s.asset for s in collections.contents(collection).sightings}


def test_changed_bytes_replace_the_asset(indexed: Collection, media: Path) -> None:
    before = _assets(indexed)
    corpus.picture(media / "a.png", seed=3)
    corpus.text(media / "note.md", "All about kites.")
    report = index([str(media)], indexed)
    assert (report.indexed, report.unchanged, report.vanished) == (2, 1, 0)
    held = collections.contents(indexed)
    assets = {asset for asset, _, _, _ in held.documents.values()}
    assert assets == set(_assets(indexed).values())
    assert assets & set(before.values()) == {before["b.png"]}
    assert captions(indexed) == ["All about kites.", "a boat"]
    assert (found(indexed, "zeppelins"), found(indexed, "kites")) == (0, 1)


def test_a_touched_file_keeps_its_documents(indexed: Collection, media: Path) -> None:
    before = collections.contents(indexed)
    for path in media.iterdir():
        os.utime(path, ns=(10**18, 10**18))
    assert index([str(media)], indexed).indexed == 3
    after = collections.contents(indexed)
    assert after.documents == before.documents
    assert after.sightings[0].fields["modified"] == "2001-09-09T01:46:40"
    assert index([str(media)], indexed).unchanged == 3


def test_another_recipe_reaches_old_files(indexed: Collection, media: Path) -> None:
    """A document that the recipe doesn't give any more goes; the right ones come back."""
    before = collections.contents(indexed)
    with closing(sqlite3.connect(indexed.directory / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE files SET recipe = 'that of an older version'")
    with closing(sqlite3.connect(indexed.directory / "documents.sqlite")) as documents, documents:
        documents.execute("UPDATE documents SET id = randomblob(16) WHERE text LIKE '%zeppelins%'")
    assert index([str(media)], indexed).indexed == 3
    collections.assert_same(collections.contents(indexed), before)
    assert index([str(media)], indexed).unchanged == 3


def test_a_renamed_file_keeps_its_documents(indexed: Collection, media: Path) -> None:
    before = collections.contents(indexed)
    (media / "b.png").rename(media / "c.png")
    report = index([str(media)], indexed)
    assert (report.indexed, report.unchanged, report.vanished) == (1, 2, 1)
    assert collections.contents(indexed).documents == before.documents
    assert sorted(_assets(indexed)) == ["a.png", "c.png", "note.md"]


def test_two_files_that_swap_their_names(indexed: Collection, media: Path) -> None:
    """The caption beside a.png belongs to whichever picture is called a.png."""
    before = _assets(indexed)
    (media / "a.png").rename(media / "x.png")
    (media / "b.png").rename(media / "a.png")
    (media / "x.png").rename(media / "b.png")
    os.utime(media / "a.png", ns=(10**18, 10**18))  # the two may be equal in size and time
    os.utime(media / "b.png", ns=(10**18, 10**18))
    report = index([str(media)], indexed)
    assert (report.indexed, report.unchanged, report.vanished) == (2, 1, 0)
    after = _assets(indexed)
    assert (after["a.png"], after["b.png"]) == (before["b.png"], before["a.png"])
    documents = collections.contents(indexed).documents.values()
    assert [asset for asset, _, _, text in documents if text == "a boat"] == [after["a.png"]]


@pytest.mark.parametrize("spoil", [corpus.truncated, corpus.empty, corpus.text_named, corpus.noise])
def test_a_file_that_is_spoilt_loses_its_documents(
    spoil: Callable[[Path], Path], indexed: Collection, media: Path
) -> None:
    spoil(media / "a.png")
    report = index([str(media)], indexed)
    assert (report.unchanged, report.failed) == (2, 1)
    assert outcomes(indexed, media)["a.png"] in ("corrupt", "empty")
    assert captions(indexed) == ["All about zeppelins."]
    assert sorted(_assets(indexed)) == ["b.png", "note.md"]


def test_a_duplicate_outlives_the_file_that_is_spoilt(indexed: Collection, media: Path) -> None:
    shutil.copyfile(media / "a.png", media / "twin.png")
    index([str(media)], indexed)
    before = collections.contents(indexed)
    corpus.empty(media / "a.png")
    index([str(media)], indexed)
    after = collections.contents(indexed)
    gone = before.documents.keys() - after.documents.keys()
    assert [before.documents[name][3] for name in gone] == ["a boat"]
    assert sorted(_assets(indexed)) == ["b.png", "note.md", "twin.png"]


def test_a_folder_in_the_place_of_a_file(indexed: Collection, media: Path) -> None:
    (media / "b.png").unlink()
    (media / "b.png").mkdir()
    assert index([str(media)], indexed).vanished == 1
    assert sorted(_assets(indexed)) == ["a.png", "note.md"]


def test_a_link_whose_end_is_away_keeps_its_documents(
    indexed: Collection, media: Path, tmp_path: Path
) -> None:
    """A file that can't be read for the moment: nothing new is known of its bytes."""
    (media / "b.png").rename(tmp_path / "b.png")
    (media / "b.png").symlink_to(tmp_path / "b.png")
    index([str(media)], indexed)
    before = collections.contents(indexed)
    (tmp_path / "b.png").rename(tmp_path / "away.png")
    report = index([str(media)], indexed)
    assert (report.failed, report.vanished) == (1, 0)
    assert outcomes(indexed, media)["b.png"] == "disappeared"
    assert collections.contents(indexed).documents == before.documents
    (tmp_path / "away.png").rename(tmp_path / "b.png")
    assert index([str(media)], indexed).indexed == 1
    assert collections.contents(indexed).documents == before.documents

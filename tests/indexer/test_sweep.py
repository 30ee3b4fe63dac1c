"""Files that are gone: vanished under a root that is there, missing under one that isn't."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from indexer import IndexOptions, create, failures, index
from retrieval.collection import Collection
from retrieval.schema import uri_of
from tests import collections, corpus


@pytest.fixture
def photos(tmp_path: Path) -> Collection:
    """Two roots with a picture each, and one with two."""
    for name in ("a/red", "b/blue", "b/green"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), path.stem).save(path)
    collection = create("photos", settings=collections.settings(tmp_path / "home"))
    index([str(tmp_path / "a"), str(tmp_path / "b")], collection)
    return collection


def _held(collection: Collection) -> set[str]:
    return {
        sighting.uri.rpartition("/")[2] for sighting in collections.contents(collection).sightings
    }


def test_a_file_that_is_gone_has_vanished(photos: Collection, tmp_path: Path) -> None:
    (tmp_path / "b/blue.png").unlink()
    report = index([str(tmp_path / "b")], photos)
    assert (report.vanished, report.missing) == (1, 0)
    assert _held(photos) == {"red.png", "green.png"}


def test_only_roots_of_this_run_are_swept(photos: Collection, tmp_path: Path) -> None:
    (tmp_path / "b/blue.png").unlink()
    assert index([str(tmp_path / "a")], photos).vanished == 0
    assert "blue.png" in _held(photos)


@pytest.mark.parametrize("how", ["root gone", "root empty"])
def test_a_disk_that_is_not_there_takes_nothing_along(
    photos: Collection, tmp_path: Path, how: str
) -> None:
    (tmp_path / "b").rename(tmp_path / "unplugged")
    if how == "root empty":
        (tmp_path / "b").mkdir()
    report = index([str(tmp_path / "b")], photos)
    assert (report.vanished, report.missing) == (0, 2)
    assert _held(photos) == {"red.png", "blue.png", "green.png"}
    if how == "root empty":
        (tmp_path / "b").rmdir()
    (tmp_path / "unplugged").rename(tmp_path / "b")
    assert index([str(tmp_path / "b")], photos).unchanged == 2
    assert not any(row.missing for row in collections.contents(photos).rows)


def test_prune_forgets_what_is_missing(photos: Collection, tmp_path: Path) -> None:
    (tmp_path / "b").rename(tmp_path / "unplugged")
    report = index([str(tmp_path / "b")], photos, options=IndexOptions(prune=True))
    assert report.vanished == 2
    assert _held(photos) == {"red.png"}


def _move_to_another_device(collection: Collection, root: Path) -> None:
    """Make the ledger believe that it saw the root on a device that is no longer there."""
    with closing(sqlite3.connect(collection.directory / "ledger.sqlite")) as ledger, ledger:
        changed = ledger.execute(
            "UPDATE roots SET device = device + 1 WHERE path = ?", [str(root).encode()]
        )
        assert changed.rowcount == 1


def test_another_device_in_the_place_of_a_root_takes_nothing_along(
    photos: Collection, tmp_path: Path
) -> None:
    """A mount point whose disk is away shows the folder beneath; `prune` accepts what is there."""
    _move_to_another_device(photos, tmp_path / "b")
    (tmp_path / "b/blue.png").unlink()
    report = index([str(tmp_path / "b")], photos)
    assert (report.unchanged, report.vanished, report.missing) == (1, 0, 1)
    assert "blue.png" in _held(photos)
    pruned = index([str(tmp_path / "b")], photos, options=IndexOptions(prune=True))
    assert (pruned.vanished, pruned.missing) == (1, 0)
    (tmp_path / "b/green.png").rename(tmp_path / "b/leaf.png")
    assert index([str(tmp_path / "b")], photos).vanished == 1
    assert _held(photos) == {"red.png", "leaf.png"}


def test_the_device_of_an_empty_root_is_not_remembered(photos: Collection, tmp_path: Path) -> None:
    """A mount point that was first given while its disk was away."""
    (tmp_path / "c").mkdir()
    index([str(tmp_path / "c")], photos)
    with closing(sqlite3.connect(photos.directory / "ledger.sqlite")) as ledger:
        roots = {root for (root,) in ledger.execute("SELECT path FROM roots")}
    assert roots == {str(tmp_path / "a").encode(), str(tmp_path / "b").encode()}


def test_a_folder_below_a_root_may_go(photos: Collection, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"b/{name}").mkdir()
        Image.new("RGB", (20, 10), "black").save(tmp_path / f"b/{name}/black.png")
    assert index([str(tmp_path / "b")], photos).duplicates == 1
    (tmp_path / "b/one/black.png").unlink()
    (tmp_path / "b/one").rmdir()
    assert index([str(tmp_path / "b")], photos).vanished == 1
    assert "black.png" in _held(photos)


def test_a_root_that_came_back_is_no_failure_any_more(photos: Collection, tmp_path: Path) -> None:
    (tmp_path / "b").rename(tmp_path / "unplugged")
    assert index([str(tmp_path / "b")], photos).failed == 1
    assert list(failures(photos)) == []  # its files are missing; the folder is none
    (tmp_path / "unplugged").rename(tmp_path / "b")
    assert index([str(tmp_path / "b")], photos).failed == 0
    assert list(failures(photos)) == []


def test_a_known_file_that_is_excluded_now_is_told_and_stays(
    photos: Collection, tmp_path: Path
) -> None:
    options = IndexOptions(exclude=("blue*",))
    report = index([str(tmp_path / "b")], photos, options=options)
    assert (report.unchanged, report.excluded, report.passed_over) == (1, 1, 1)
    assert "blue.png" in _held(photos)
    assert index([str(tmp_path / "b")], photos).passed_over == 0


def test_another_device_number_counts_once_known_files_were_met(
    photos: Collection, tmp_path: Path
) -> None:
    """As btrfs and NFS give with each mount."""
    _move_to_another_device(photos, tmp_path / "b")
    assert index([str(tmp_path / "b")], photos).unchanged == 2
    (tmp_path / "b/blue.png").unlink()
    assert index([str(tmp_path / "b")], photos).vanished == 1


def test_a_path_that_never_was_is_named_and_forgotten(photos: Collection, tmp_path: Path) -> None:
    slip = tmp_path / "nosuch"

    report = index([str(tmp_path / "a"), str(slip)], photos)

    assert report.skipped == {"disappeared": 1}
    assert report.warnings == (f"{slip}: no such file or folder",)
    assert list(failures(photos)) == []


def test_a_root_whose_files_are_kept_as_missing_is_named(
    photos: Collection, tmp_path: Path
) -> None:
    media = tmp_path / "b"
    media.rename(tmp_path / "unplugged")

    report = index(media, photos)

    assert report.missing == 2
    assert any(w.startswith(f"{media}: ") and "--prune" in w for w in report.warnings)


def test_a_dry_run_names_what_it_would_read(photos: Collection, tmp_path: Path) -> None:
    new = corpus.picture(tmp_path / "a" / "new.png", seed=77)

    report = index(tmp_path / "a", photos, options=IndexOptions(dry_run=True))

    assert report.planned == (uri_of(new),)
    assert report.accounting().startswith("would read 1, unchanged ")

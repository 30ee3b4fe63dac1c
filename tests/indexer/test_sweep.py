"""Files that are gone: vanished under a root that is there, missing under one that isn't."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from indexer import IndexOptions, create, index
from retrieval.collection import Collection
from tests import collections


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

"""Files that failed: which are read again, when, and by whose wish."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from indexer import IndexOptions, failures, index
from retrieval.collection import Collection
from retrieval.schema import uri_of
from tests import collections, corpus

from .conftest import outcomes

RETRY = IndexOptions(retry=True)


@pytest.fixture
def failed(media: Path, photos: Collection) -> Collection:
    """good.png; cut.jpg, lie.jpg and sub/void.png, which fail; song.mid, which is no failure."""
    (media / "sub").mkdir()
    corpus.picture(media / "good.png")
    corpus.truncated(media / "cut.jpg")
    corpus.text_named(media / "lie.jpg")
    corpus.empty(media / "sub/void.png")
    corpus.noise(media / "song.mid")
    report = index([str(media)], photos)
    assert report.accounting() == "indexed 1, unchanged 0, duplicates 0, skipped 4 = 5"
    return photos


def test_failures_are_listed_with_their_reasons(failed: Collection, media: Path) -> None:
    listed = [(failure.uri, str(failure.reason)) for failure in failures(failed)]
    assert listed == [
        (uri_of(media / "cut.jpg"), "corrupt"),
        (uri_of(media / "lie.jpg"), "corrupt"),
        (uri_of(media / "sub/void.png"), "empty"),
    ]
    assert next(f.message for f in failures(failed) if "lie" in f.uri) == "is text, not a picture"


def test_retry_takes_failures_alone(failed: Collection, media: Path) -> None:
    corpus.picture(media / "new.png", seed=5)
    corpus.picture(media / "cut.jpg", seed=6)
    report = index([], failed, options=RETRY)
    assert report.accounting() == "indexed 1, unchanged 0, duplicates 0, skipped 2 = 3"
    assert "new.png" not in outcomes(failed, media)
    assert [Path(failure.uri).name for failure in failures(failed)] == ["lie.jpg", "void.png"]


def test_retry_below_a_path(failed: Collection, media: Path) -> None:
    report = index([str(media / "sub")], failed, options=RETRY)
    assert report.accounting() == "indexed 0, unchanged 0, duplicates 0, skipped 1 = 1"


def test_a_settled_failure_is_read_again_only_by_retry(failed: Collection, media: Path) -> None:
    """Mended without a trace: as long and as old as before. A plain run costs it a stat."""
    path = media / "cut.jpg"
    stat = path.stat()
    mended = corpus.picture(media.parent / "mended.jpg").read_bytes()
    assert len(mended) < stat.st_size
    path.write_bytes(mended + bytes(stat.st_size - len(mended)))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    index([str(media)], failed)
    assert outcomes(failed, media)["cut.jpg"] == "corrupt"
    index([], failed, options=RETRY)
    assert outcomes(failed, media)["cut.jpg"] == "indexed"


def test_a_limit_that_was_raised_lets_files_in(media: Path, photos: Collection) -> None:
    corpus.picture(media / "large.png", size=(1100, 1000))
    photos.settings = replace(photos.settings, max_megapixels=1)
    index([str(media)], photos)
    assert outcomes(photos, media) == {"large.png": "too_large"}
    photos.settings = collections.settings(photos.directory.parent)
    index([str(media)], photos)
    assert outcomes(photos, media) == {"large.png": "indexed"}


def test_a_passing_failure_is_tried_in_every_run(media: Path, photos: Collection) -> None:
    corpus.text(media / "a.html", "<html>" + "<p>a" * 300_000)
    photos.settings = replace(photos.settings, decode_seconds=0.05)
    index([str(media)], photos)
    assert outcomes(photos, media) == {"a.html": "too_slow"}
    photos.settings = collections.settings(photos.directory.parent)
    index([str(media)], photos)
    assert outcomes(photos, media) == {"a.html": "indexed"}


def test_a_copy_of_a_file_that_failed_is_judged_by_itself(failed: Collection, media: Path) -> None:
    """The same bytes fail as a picture and are a good text."""
    shutil.copyfile(media / "lie.jpg", media / "truth.txt")
    index([str(media)], failed)
    assert outcomes(failed, media)["truth.txt"] == "indexed"
    index([], failed, options=RETRY)
    assert outcomes(failed, media)["lie.jpg"] == "corrupt"

"""Thumbnails of shots: one each, gone with their film, and mended like every other part."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from indexer import create, index, remove, verify
from retrieval.collection import Collection
from retrieval.query.moments import EVER
from retrieval.schema import Span, Thumbnail
from retrieval.thumbnails import NAME
from tests import collections, corpus

pytest.importorskip("av")
pytest.importorskip("scenedetect")

from tests.media_made import SCENES, film


@pytest.fixture
def films(media: Path, tmp_path: Path) -> Collection:
    """A film and a picture."""
    film(media / "a.mp4", SCENES, size=(640, 480))
    corpus.picture(media / "b.png", seed=1)
    collection = create("films", settings=collections.settings(tmp_path / "home"))
    assert index([media], collection).indexed == 2
    return collection


def _kept(collection: Collection) -> list[Thumbnail]:
    with collection:
        thumbnails = collection.backends.thumbnails
        return [each for asset in thumbnails.assets() for each in thumbnails.of(asset, EVER)]


def test_each_shot_has_one_thumbnail(films: Collection) -> None:
    with films:
        documents = films.backends.documents
        spans = [d.span for d in documents.scan() if d.kind == "shot" and d.span is not None]
        thumbnails = films.backends.thumbnails
        (asset,) = thumbnails.assets()
        for span in spans:
            (thumbnail,) = thumbnails.of(asset, span)
            with Image.open(io.BytesIO(thumbnail.jpeg)) as picture:
                # What the encoder of the tests looks at is smaller than a thumbnail may be.
                assert (picture.format, picture.size) == ("JPEG", (171, 128))
    assert len(spans) == len(SCENES)


def test_a_film_that_is_cut_anew_keeps_no_old_ones(films: Collection, media: Path) -> None:
    before = _kept(films)
    film(media / "a.mp4", SCENES[:1], size=(640, 480))
    index([media], films)
    assert len(before) > len(_kept(films)) == 1


def test_they_go_with_their_film(films: Collection, media: Path) -> None:
    jpegs = [thumbnail.jpeg[-64:] for thumbnail in _kept(films)]
    files = [films.directory / NAME, films.directory / f"{NAME}-wal"]
    assert all(jpeg in files[0].read_bytes() for jpeg in jpegs)
    remove([media / "a.mp4"], films)
    assert _kept(films) == []
    left = b"".join(file.read_bytes() for file in files if file.exists())
    assert not any(jpeg in left for jpeg in jpegs)


def test_those_of_no_film_are_found_and_mended(films: Collection) -> None:
    from indexer.opening import writing

    with writing(films) as session:
        stray = ("c" * 64, Span(0.0, 1.0), [Thumbnail(0.5, b"?")])
        session.backends.thumbnails.replace([stray])
    (problem,) = verify(films).problems
    assert "thumbnails of asset ccc" in problem
    assert verify(films, repair=True).problems == ()  # as the next run does, it begins with that
    assert "c" * 64 not in films.backends.thumbnails.assets()


def test_a_film_that_verify_erases_leaves_none(films: Collection, media: Path) -> None:
    path = media / "a.mp4"
    with closing(sqlite3.connect(films.directory / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("DELETE FROM files WHERE uri = ?", (path.as_uri(),))
    path.unlink()
    report = verify(films, repair=True)
    assert report.repaired == len(report.problems) == 1
    assert _kept(films) == []
    assert verify(films).problems == ()


def test_a_file_of_them_that_cannot_be_read_is_begun_anew(films: Collection, media: Path) -> None:
    (films.directory / NAME).write_bytes(b"no database" * 100)
    (problem,) = verify(films).problems
    assert "thumbnails" in problem
    report = verify(films, repair=True)
    assert report.repaired == 1
    assert any("decoded" in note for note in report.notes)
    assert verify(films).problems == ()
    assert _kept(films) == []
    assert index([media], films).unchanged == 2

"""Films that go, come back, change or fail in their middle: nothing lost, doubled or left over."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import IndexOptions, create, index, verify
from indexer.ledger import Ledger
from indexer.manage import remove
from indexer.opening import writing
from indexer.write import Writer
from retrieval.collection import Collection
from retrieval.errors import BadInputError
from retrieval.schema import SkipReason
from retrieval.timed import STRETCH_S
from tests import collections
from tests.indexer.kills import kill

pytest.importorskip("av")
pytest.importorskip("scenedetect")

from tests.media_made import SCENES, Scene, film, recording

SRT = "1\n00:00:0{0},000 --> 00:00:0{1},000\n{2}\n"


@pytest.fixture(scope="session")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two stretches and a half of scenes of ten seconds, at two frames a second."""
    count = round(2.5 * STRETCH_S / 10)
    scenes = [Scene(10.0, SCENES[n % len(SCENES)].colour, seed=n) for n in range(count)]
    path = tmp_path_factory.mktemp("films") / "long.mp4"
    return film(path, scenes, fps=2, key_every=14).read_bytes()


@pytest.fixture
def shown(media: Path, long_film: bytes) -> Path:
    """A folder with the long film, and another file, so that it never is empty."""
    (media / "long.mp4").write_bytes(long_film)
    (media / "words.txt").write_text("a lighthouse")
    return media


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, long_film: bytes) -> set[str]:
    """The ids of the film's documents when nothing disturbs it."""
    path = tmp_path_factory.mktemp("whole") / "long.mp4"
    path.write_bytes(long_film)
    collection = _made(tmp_path_factory.mktemp("home"))
    index([path], collection)
    return _shots(collection)


def _made(home: Path) -> Collection:
    return create("films", settings=collections.settings(home))


def _shots(collection: Collection) -> set[str]:
    held = collections.contents(collection)
    assert held.rechecks == []
    shots = {id_ for id_, (_, kind, *_) in held.documents.items() if kind == "shot"}
    assert set(held.vectors["test-hash-32/video"]) == shots
    return shots


def _begun(tmp_path: Path, shown: Path) -> Collection:
    """A collection in which a run was killed after the first stretch of the film."""
    collection = _made(tmp_path / "home")
    kill(Ledger, "arrived", 2, lambda: index([shown], collection))
    assert _shots(collection)
    return collection


def test_a_film_that_was_begun_goes_and_comes_back_whole(
    tmp_path: Path, shown: Path, whole: set[str], long_film: bytes
) -> None:
    collection = _begun(tmp_path, shown)
    (shown / "long.mp4").unlink()
    index([shown], collection)
    assert _shots(collection) == set()
    (shown / "long.mp4").write_bytes(long_film)
    assert index([shown], collection).indexed == 1
    assert _shots(collection) == whole


def test_a_film_that_was_begun_is_removed_and_restored_whole(
    tmp_path: Path, shown: Path, whole: set[str]
) -> None:
    collection = _begun(tmp_path, shown)
    remove([shown / "long.mp4"], collection)
    assert _shots(collection) == set()
    index([shown], collection, options=IndexOptions(restore=True))
    assert _shots(collection) == whole


def test_documents_of_a_begun_film_that_are_gone_are_made_again(
    tmp_path: Path, shown: Path, whole: set[str]
) -> None:
    """Another machine, whose recipe was another, may have replaced them meanwhile."""
    collection = _begun(tmp_path, shown)
    with collection as opened:
        before = sorted(d.id for d in opened.backends.documents.scan("test-hash-32/video"))
    with writing(collection) as session:
        session.backends.documents.delete(before[:1])
        session.backends.vectors["test-hash-32/video"].delete(before[:1])
    index([shown], collection)
    assert _shots(collection) == whole


@pytest.mark.parametrize("change", ["moved", "doubled", "repaired", "rewritten"])
def test_a_film_that_was_begun_is_done_whole_whatever_became_of_it(
    tmp_path: Path, shown: Path, whole: set[str], long_film: bytes, change: str
) -> None:
    collection = _begun(tmp_path, shown)
    film = shown / "long.mp4"
    if change == "moved":
        film.rename(shown / "other.mp4")
    elif change == "doubled":
        (shown / "a.mp4").write_bytes(long_film)
    elif change == "repaired":
        assert not verify(collection, repair=True).problems
    else:
        film.write_bytes(long_film)
    report = index([shown], collection)
    assert report.failed == 0
    assert _shots(collection) == whole
    assert not verify(collection).problems


@pytest.mark.parametrize("reason", [SkipReason.DISAPPEARED, SkipReason.CHANGING])
def test_a_film_whose_bytes_cannot_be_kept_in_its_middle_leaves_nothing_when_it_is_gone(
    tmp_path: Path, shown: Path, monkeypatch: pytest.MonkeyPatch, reason: SkipReason
) -> None:
    collection = _made(tmp_path / "home")
    keep = Writer._keep_asset
    kept: list[str] = []

    def failing(self: Writer, sighting: Any) -> None:
        if sighting.uri.endswith(".mp4"):
            kept.append(sighting.uri)
            if len(kept) == 2:
                (shown / "long.mp4").unlink()
                raise BadInputError(reason, "is gone")
        keep(self, sighting)

    monkeypatch.setattr(Writer, "_keep_asset", failing)
    report = index([shown], collection)
    assert report.total == 2
    index([shown], collection)
    assert _shots(collection) == set()
    assert not verify(collection).problems


@pytest.mark.parametrize(("call", "after"), [(2, False), (2, True), (3, True)])
def test_another_look_that_was_killed_leaves_nothing_behind(
    tmp_path: Path, shown: Path, whole: set[str], long_film: bytes, call: int, after: bool
) -> None:
    """Done, begun anew with key frames alone, killed, and then as it was."""
    (shown / "copy.mp4").write_bytes(long_film)
    collection = _made(tmp_path / "home")
    index([shown], collection)
    kill(
        Ledger,
        "arrived",
        call,
        lambda: index([shown], collection, options=IndexOptions(fast=True)),
        after=after,
    )
    index([shown], collection)
    assert _shots(collection) == whole


def _said(collection: Collection) -> list[str]:
    held = collections.contents(collection)
    return sorted(text or "" for _, kind, _, text in held.documents.values() if kind == "speech")


def test_subtitles_that_come_change_and_go_are_followed(tmp_path: Path, media: Path) -> None:
    film(media / "a.mp4", SCENES)
    collection = _made(tmp_path / "home")
    index([media], collection)
    assert _said(collection) == []
    (media / "a.srt").write_text(SRT.format(0, 1, "the first words"))
    index([media], collection)
    assert _said(collection) == ["the first words"]
    (media / "a.srt").write_text(SRT.format(0, 1, "quite other words"))
    index([media], collection)
    assert _said(collection) == ["quite other words"]
    (media / "a.srt").unlink()
    index([media], collection)
    assert _said(collection) == []
    assert index([media], collection).unchanged == 1


def test_subtitles_beside_one_of_two_films_of_the_same_bytes_are_kept(
    tmp_path: Path, media: Path
) -> None:
    film(media / "a.mp4", SCENES)
    (media / "b.mp4").write_bytes((media / "a.mp4").read_bytes())
    (media / "b.srt").write_text(SRT.format(0, 1, "the first words"))
    collection = _made(tmp_path / "home")
    report = index([media], collection)
    assert (report.indexed, report.duplicates) == (1, 1)
    assert _said(collection) == ["the first words"]
    assert index([media], collection).unchanged == 2


def test_subtitles_that_come_in_the_middle_of_a_film_reach_its_beginning(
    tmp_path: Path, shown: Path
) -> None:
    collection = _begun(tmp_path, shown)
    (shown / "long.srt").write_text(SRT.format(1, 2, "the first words"))
    index([shown], collection)
    assert _said(collection) == ["the first words"]


def test_no_stretch_is_remembered_of_what_is_gone(tmp_path: Path, shown: Path) -> None:
    collection = _begun(tmp_path, shown)
    (shown / "long.mp4").unlink()
    index([shown], collection)
    with closing(Ledger(collection.directory, read_only=True)) as ledger:
        connection = ledger._file.connection
        assert connection.execute("SELECT count(*) FROM stretches").fetchone() == (0,)


def test_a_film_of_which_only_its_caption_is_found_is_no_damage(
    tmp_path: Path, media: Path
) -> None:
    recording(media / "a.wav", np.zeros(8000, np.float32), rate=8000)
    (media / "a.json").write_text('{"caption": "silence in a church"}')
    collection = _made(tmp_path / "home")
    assert index([media], collection).indexed == 1
    assert not verify(collection).problems


def test_a_long_recording_of_nothing_has_no_content(tmp_path: Path, media: Path) -> None:
    silence = np.zeros(round(2.5 * STRETCH_S * 8000), np.float32)
    recording(media / "a.wav", silence, rate=8000)
    settings = collections.settings(tmp_path / "home")
    collection = create("films", settings=settings, audio_encoders=["tags:spectrum"])
    report = index([media], collection)
    assert dict(report.skipped) == {SkipReason.NO_CONTENT: 1}
    assert collections.contents(collection).sightings == []
    assert not verify(collection).problems
    assert dict(index([media], collection).skipped) == {SkipReason.NO_CONTENT: 1}


def test_a_film_that_is_gone_on_with_does_not_say_why_it_was_skipped(
    tmp_path: Path, shown: Path, whole: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = _made(tmp_path / "home")
    keep = Writer._keep_asset
    kept: list[str] = []

    def failing(self: Writer, sighting: Any) -> None:
        if sighting.uri.endswith(".mp4"):
            kept.append(sighting.uri)
            if len(kept) == 2:
                raise BadInputError(SkipReason.UNREADABLE, "can't be read: it is in use")
        keep(self, sighting)

    monkeypatch.setattr(Writer, "_keep_asset", failing)
    first = index([shown], collection)
    assert (first.indexed, dict(first.skipped)) == (1, {SkipReason.UNREADABLE: 1})
    second = index([shown], collection)
    assert (second.indexed, second.unchanged, second.failed) == (1, 1, 0)
    assert second.warnings == ()
    assert {row.message for row in collections.contents(collection).rows} == {""}
    assert _shots(collection) == whole


def test_a_film_that_is_known_is_not_called_unheard(tmp_path: Path, media: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    recording(media / "a.wav", noise, rate=8000)
    (media / "a.srt").write_text(SRT.format(0, 1, "the first words"))
    (media / "b.wav").write_bytes((media / "a.wav").read_bytes())
    report = index([media], _made(tmp_path / "home"))
    assert (report.indexed, report.duplicates) == (1, 1)
    assert report.warnings == ()

"""Recordings that a transcriber failed at: what is known of that, and what retry makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer import IndexOptions, create, index
from indexer.recipes import wants_of
from indexer.rows import Row
from retrieval.collection import Collection
from retrieval.timed import Segment
from tests import collections, corpus

pytest.importorskip("av")

from tests.media_made import recording, tone

RETRY = IndexOptions(retry=True)


@pytest.fixture
def heard() -> list[Segment]:
    """What the transcriber hears; while that is nothing, it fails."""
    return []


@pytest.fixture
def listening(
    tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch, heard: list[Segment]
) -> Collection:
    """A picture, and a recording in which nothing could be heard."""

    class Hears:
        def transcribe(self, samples: Any) -> list[Segment]:
            if not heard:
                raise RuntimeError("out of range\nand so on")
            return heard

    collection = create("films", settings=collections.settings(tmp_path / "home"))
    wants = replace(wants_of(collection.backends), speech=True)
    monkeypatch.setattr("indexer.entries.wants_of", lambda *_, **__: wants)
    monkeypatch.setattr("indexer.entries.transcriber_of", lambda _: Hears)
    corpus.picture(media / "a.png")
    recording(media / "talk.wav", tone())
    report = index([media], collection)
    assert report.indexed == 2
    assert report.warnings[0].endswith(
        "from 0:00.0 on can't be written down: RuntimeError: out of range"
    )
    assert report.warnings[1].startswith("1 file lacks a stretch")
    return collection


def _rows(collection: Collection) -> list[Row]:
    return collections.contents(collection).rows


def _texts(collection: Collection) -> list[str]:
    found = collections.contents(collection).documents.values()
    return [text for _, kind, _, text in found if kind == "speech" and text]


def test_what_a_transcriber_failed_at_is_heard_again_by_retry(
    media: Path, listening: Collection, heard: list[Segment]
) -> None:
    """Though nothing was found in the recording, it is no silent one."""
    heard.append(Segment("hello", 0.0, 1.0))
    assert index([media], listening).unchanged == 2

    report = index([], listening, options=RETRY)

    assert (report.indexed, report.warnings) == (1, ())
    assert _texts(listening) == ["hello"]
    assert index([], listening, options=RETRY).total == 0


@pytest.mark.parametrize("away", ["talk.wav", "."])
def test_retry_leaves_a_recording_as_it_is_that_is_away(
    media: Path, listening: Collection, heard: list[Segment], away: str
) -> None:
    heard.append(Segment("hello", 0.0, 1.0))
    known, elsewhere = _rows(listening), media.parent / "elsewhere"
    (media / away).rename(elsewhere)
    assert index([], listening, options=RETRY).total == 0
    assert _rows(listening) == known
    elsewhere.rename(media / away)
    assert index([], listening, options=RETRY).indexed == 1
    assert _texts(listening) == ["hello"]


def test_a_recording_that_cannot_be_read_any_more_costs_its_copy_nothing(
    media: Path, listening: Collection
) -> None:
    (media / "copy.wav").write_bytes((media / "talk.wav").read_bytes())
    index([media], listening)
    known = _rows(listening)
    (media / "talk.wav").write_bytes(b"")
    report = index([media / "talk.wav"], listening, options=RETRY)
    assert report.accounting() == "indexed 0, unchanged 0, duplicates 0, skipped 1 = 1"
    assert _rows(listening)[:-1] == known[:-1]


def _described(media: Path, words: str = "a choir in a church") -> None:
    (media / "talk.json").write_text(json.dumps({"caption": words}))


def _moved(media: Path) -> None:
    for path in media.glob("talk.*"):
        path.rename(media / f"moved{path.suffix}")


def _copied(media: Path) -> None:
    (media / "copy.wav").write_bytes((media / "talk.wav").read_bytes())


@pytest.mark.parametrize("change", [_described, _moved, _copied])
def test_what_is_missing_stays_known_when_a_file_is_looked_at_for_something_else(
    media: Path, listening: Collection, heard: list[Segment], change: Callable[[Path], None]
) -> None:
    _described(media, "a church")  # so that something of it is found
    index([media], listening)
    change(media)
    assert not any("out of range" in text for text in index([media], listening).warnings)
    heard.append(Segment("hello", 0.0, 1.0))
    assert index([], listening, options=RETRY).indexed == 1
    assert _texts(listening) == ["hello"]
    assert index([], listening, options=RETRY).total == 0


def test_a_copy_is_heard_again_while_the_recording_is_away(
    media: Path, listening: Collection, heard: list[Segment]
) -> None:
    _copied(media)
    index([media], listening)
    (media / "talk.wav").rename(media.parent / "elsewhere")
    heard.append(Segment("hello", 0.0, 1.0))
    assert index([], listening, options=RETRY).indexed == 1
    assert _texts(listening) == ["hello"]


def test_a_name_that_reads_like_a_failure_is_none(media: Path, photos: Collection) -> None:
    for stem in ("it can't be read", "this can't be written down"):
        corpus.picture(media / f"{stem}.png")
        (media / f"{stem}.json").write_text("{")
    first, second = index([media], photos).warnings
    assert "it can't be read.json: is not JSON" in first
    assert "can't be written down.json: is not JSON" in second
    assert index([], photos, options=RETRY).total == 0

"""Recordings as questions and as answers, under the real command, with an encoder of sounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.errors import ExitCode
from tests import corpus, media_made
from tests.taggers import PITCHES

from .conftest import Done, Echolens

BIRD, THUNDER = (media_made.tone(PITCHES[name], seconds=3) for name in ("bird", "thunder"))
FOUND = ("--format", "jsonl", "-k")


@pytest.fixture
def sounds(tmp_path: Path, echolens: Echolens) -> Path:
    """A collection with an encoder of sounds: a bird after silence, thunder, a note of a bird."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    late = np.concatenate([media_made.silence(12), BIRD])
    media_made.recording(folder / "forest.wav", late)
    media_made.recording(folder / "storm.wav", THUNDER)
    corpus.text(folder / "note.txt", "a bird")
    done = echolens("index", folder, "--audio-encoder", "tags:spectrum")
    assert done.code == ExitCode.DONE, done.err
    return folder


def _names(done: Done) -> list[str]:
    return [Path(hit["path"]).name for hit in done.records]


def test_words_recordings_and_both_find_a_sound(
    sounds: Path, tmp_path: Path, echolens: Echolens
) -> None:
    asked = media_made.recording(tmp_path / "asked.flac", BIRD)
    storm = media_made.recording(tmp_path / "storm.mp3", THUNDER)

    assert _names(echolens("search", "bird", "--modality", "audio", *FOUND, "1")) == ["forest.wav"]
    (hit,) = echolens("search", "--audio", asked, *FOUND, "1").records
    assert Path(hit["path"]).name == "forest.wav"
    assert [one["kind"] for one in hit["moments"][0]["evidence"]] == ["window"]
    assert hit["moments"][0]["start"] > 5  # and not in the silence before
    both = echolens("search", "--audio", storm, "thunder", "--modality", "audio", *FOUND, "1")
    assert _names(both) == ["storm.wav"]
    asked_less = ("thunder", "bird", "-s", f"2:audio:{asked}", "--modality", "audio")
    less = echolens("search", *asked_less, *FOUND, "1")
    assert _names(less) == ["storm.wav"]
    film = media_made.film(tmp_path / "film.mp4", sounds=(THUNDER,))
    assert _names(echolens("search", "--audio", film, *FOUND, "1")) == ["storm.wav"]
    piped = echolens("search", "--audio", "-", *FOUND, "1", stdin=storm.read_bytes())
    assert _names(piped) == ["storm.wav"]


def test_the_table_calls_it_sound(sounds: Path, echolens: Echolens) -> None:
    done = echolens("search", "bird", "--modality", "audio", "-k", "1", "--sheet", "sheet.png")

    assert done.code == ExitCode.DONE, done.err
    assert "sounds/forest.wav" in done.lines[1]
    assert "sound " in done.lines[1]
    assert done.lines[-1].strip() == "(no speech)"


def test_a_recording_that_is_none_is_named(
    sounds: Path, tmp_path: Path, echolens: Echolens
) -> None:
    lie = corpus.text_named(tmp_path / "lie.wav")

    done = echolens("search", "--audio", lie)

    assert done.code == ExitCode.USAGE
    assert "lie.wav" in done.err
    assert "can be read" in done.err


def test_a_collection_gets_an_encoder_of_sounds_later(tmp_path: Path, echolens: Echolens) -> None:
    storm = media_made.recording(tmp_path / "storm.wav", THUNDER)
    before = echolens("index", storm)
    looked = echolens("index", storm, "--audio-encoder", "tags:spectrum", "--dry-run")
    assert _names(echolens("search", "thunder", "--modality", "audio", *FOUND, "1")) == []

    after = echolens("index", storm, "--audio-encoder", "tags:spectrum")

    assert before.code == looked.code == after.code == ExitCode.DONE
    hits = echolens("search", "thunder", "--modality", "audio", *FOUND, "1")
    assert _names(hits) == ["storm.wav"]
    assert "tags:spectrum+hash:" in echolens("status").out.decode()


@pytest.mark.parametrize(
    ("option", "url", "says"),
    [
        ("--audio-encoder", "clop:", "Did you mean `clap:`"),
        ("--transcriber", "wisper:", "Did you mean `whisper:`"),
        ("--transcriber", "whisper", "no scheme"),
    ],
)
def test_what_nobody_knows_makes_no_collection(
    option: str, url: str, says: str, photos: Path, tmp_path: Path, echolens: Echolens
) -> None:
    for command in (["init"], ["index", str(photos)]):
        done = echolens(*command, option, url)
        assert done.code == ExitCode.USAGE, done.err
        assert says in done.err
    assert not (tmp_path / "collection" / "manifest.json").exists()


def test_init_tells_what_listens(echolens: Echolens) -> None:
    done = echolens("init", "--audio-encoder", "tags:spectrum", "--transcriber", "whisper:carried")

    rows = dict(line.split(maxsplit=1) for line in done.lines if "encoder" not in line[:14])
    assert done.code == ExitCode.DONE, done.err
    assert rows["transcriber"] == "whisper:carried"
    assert any(line.split() == ["audio", "encoder", "tags:spectrum+hash:"] for line in done.lines)


@pytest.mark.parametrize(
    ("option", "url", "says"),
    [
        ("--transcriber", "whisper:./none", "with weights for `whisper:` is not there"),
        ("--transcriber", "whisper:./photos", "holds no config.json"),
        ("--audio-encoder", "clap:./none", "is not there"),
        ("--audio-encoder", "clap:./photos", "holds no config.json"),
        ("--audio-encoder", "tags:./none", "There is no folder"),
        ("--audio-encoder", "tags:./photos+hash:", "holds no classes.csv"),
    ],
)
def test_a_folder_that_holds_no_model_is_refused_before_anything_is_made_with_it(
    option: str, url: str, says: str, photos: Path, tmp_path: Path, echolens: Echolens
) -> None:
    """And not by the first film of a run, hours later."""
    if url.startswith("whisper:"):
        pytest.importorskip("faster_whisper")
    manifest = tmp_path / "collection" / "manifest.json"
    for command in (["init"], ["index", str(photos)]):
        done = echolens(*command, option, url)
        assert done.code == ExitCode.MISSING, done.err
        assert says in done.err
    assert not manifest.exists()
    echolens("init")
    before = manifest.read_bytes()

    assert echolens("index", str(photos), option, url).code == ExitCode.MISSING
    assert manifest.read_bytes() == before

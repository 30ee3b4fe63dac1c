"""Films and recordings under the real command: indexed, found by moments, shown on a sheet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.errors import ExitCode
from cli.main import run
from retrieval.thumbnails import NAME
from tests import corpus, media_made
from tests.media_made import Scene

from .conftest import COLOURS, Done, Echolens

RED, GREEN, BLUE = (COLOURS[name] for name in ("red", "green", "blue"))
SAID = """1
00:00:00,500 --> 00:00:02,500
Welcome to the harbour

2
00:00:06,500 --> 00:00:08,500
Boarding starts in ten minutes
"""


@dataclass(frozen=True)
class Indexed:
    """A folder of films that was indexed, and how to ask its collection in this process."""

    folder: Path
    collection: Path
    captured: pytest.CaptureFixture[bytes]

    def __call__(self, *arguments: str | Path) -> Done:
        code = run(["-c", str(self.collection), *map(str, arguments)])
        said = self.captured.readouterr()
        return Done(code, said.out, said.err.decode())


def _films(folder: Path) -> Path:
    """``ship.mp4``: red, green and blue, three seconds each, with sound and subtitles.

    ``meadow.mp4`` is green and silent; ``talk.wav`` is a recording with subtitles.
    """
    folder.mkdir()
    scenes = [Scene(3.0, colour, seed) for seed, colour in enumerate((RED, GREEN, BLUE))]
    media_made.film(folder / "ship.mp4", scenes, sounds=(media_made.tone(seconds=9),), fps=10)
    corpus.text(folder / "ship.srt", SAID)
    media_made.film(folder / "meadow.mp4", [Scene(2.0, GREEN, 5)], fps=10)
    media_made.recording(folder / "talk.wav", media_made.sweep(10))
    corpus.text(folder / "talk.srt", SAID.replace("the harbour", "the radio"))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder and its collection; tests leave both as they are."""
    folder = _films(tmp_path_factory.mktemp("films") / "films")
    collection = folder.parent / "collection"
    program = [sys.executable, "-m", "cli.main", "-c", str(collection), "index", str(folder)]
    environment = {**os.environ, "ECHOLENS_ENCODER": "hash:"}
    subprocess.run(program, env=environment, check=True, capture_output=True, timeout=120)
    return folder, collection


@pytest.fixture
def ask(made: tuple[Path, Path], capfdbinary: pytest.CaptureFixture[bytes]) -> Indexed:
    return Indexed(*made, capfdbinary)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    return _films(tmp_path / "films")


def test_media_time_and_speed_are_told(films: Path, echolens: Echolens) -> None:
    done = echolens("index", films)

    assert done.lines == ["indexed 3, unchanged 0, duplicates 0, skipped 0 = 3"]
    assert "films and recordings: 0:2" in done.err  # 21 s and a little more of sound
    assert "x real time" in done.err
    assert "films and recordings" not in echolens("index", films).err  # nothing was read


def test_a_broken_film_is_told_of_and_found_by_what_is_whole(
    films: Path, echolens: Echolens
) -> None:
    whole = media_made.film(films.parent / "whole.mkv", [Scene(12.0, RED)], fps=5)
    media_made.cut_short(films / "cut.mkv", whole, 0.5)

    done = echolens("index", films)

    assert done.code == ExitCode.DONE, done.err
    assert "warning: " in done.err
    assert "cut.mkv" in done.err


def test_the_table_shows_moments_and_what_they_were_found_by(ask: Indexed) -> None:
    done = ask("search", "blue boarding", "--modality", "video", "-k", "1")

    head, best, *others = done.lines
    assert head.split() == ["rank", "score", "file", "time", "found", "by"]
    assert "films/ship.mp4" in best
    assert "0:06.0-0:09.0" in best
    assert "shot " in best
    assert "speech" in best
    assert best.endswith('"Boarding starts in ten minutes"')
    assert others[-1].strip() == "(no sound)"  # the encoder takes none


def test_what_a_silent_film_lacks(ask: Indexed) -> None:
    done = ask("search", "green", "--where", "name = 'meadow.mp4'")

    assert done.lines[-1].strip() == "(no speech, no sound)"


def test_records_have_moments(ask: Indexed) -> None:
    (hit,) = ask("search", "blue", "--modality", "video", "-k", "1", "--format", "jsonl").records

    best = hit["moments"][0]
    shot = best["evidence"][0]
    assert shot["kind"] == "shot"
    assert (shot["span"]["start"], shot["span"]["end"]) == pytest.approx((6, 9), abs=0.2)
    assert best["start"] <= shot["span"]["start"] < shot["span"]["end"] <= best["end"]
    assert best["link"].startswith(f"{ask.folder / 'ship.mp4'}#t=")
    assert hit["silent"] == ["sound"]
    assert hit["kind"] == "shot"


def test_moments_by_themselves_are_links(ask: Indexed) -> None:
    done = ask("search", "green", "--moments", "--format", "paths", "-k", "2")

    names = [line.partition("#")[0] for line in done.lines]
    assert sorted(names) == [str(ask.folder / "meadow.mp4"), str(ask.folder / "ship.mp4")]
    (times,) = (line.partition("#t=")[2] for line in done.lines if "ship" in line)
    start, end = map(float, times.split(","))
    assert start == pytest.approx(3, abs=0.2)
    assert 6 <= round(end) < 9


def test_what_was_said_is_found_where_it_was_said(ask: Indexed) -> None:
    done = ask("search", "--speech", "boarding starts", "--format", "jsonl")

    places = {Path(hit["path"]).name: hit["span"] for hit in done.records[:2]}
    assert places.keys() == {"ship.mp4", "talk.wav"}
    for span in places.values():
        assert (span["start"], span["end"]) == pytest.approx((6.5, 8.5), abs=0.2)
    for hit in done.records:
        kinds = {one["kind"] for moment in hit["moments"] for one in moment["evidence"]}
        assert kinds == {"speech"}
    films = ask("search", "--speech", "boarding", "--group-by", "asset", "--format", "paths")
    assert len(films.lines) == 2


def test_a_part_of_the_time(ask: Indexed) -> None:
    asked = ("search", "--speech", "boarding", "--format", "jsonl", "--between")

    late, early = ask(*asked, "0:05-0:08"), ask(*asked, "0-5")

    assert {hit["span"]["end"] for hit in late.records} == {8.0}  # cut to what was asked
    assert {hit["text"] for hit in late.records} == {"Boarding starts in ten minutes"}
    assert {hit["text"].split()[0] for hit in early.records} == {"Welcome"}


def test_a_moment_goes_from_search_to_clip(ask: Indexed, tmp_path: Path) -> None:
    found = ask("search", "blue", "--moments", "--modality", "video", "-k", "1",
                     "--format", "jsonl").records[0]  # fmt: skip

    by_link = ask("clip", found["link"], tmp_path / "a.mp4")
    by_document = ask("clip", found["document"], tmp_path / "b.mp4")

    for done, path in ((by_link, tmp_path / "a.mp4"), (by_document, tmp_path / "b.mp4")):
        assert done.code == ExitCode.DONE, done.err
        assert str(path) in done.lines[0]
    assert (tmp_path / "a.mp4").stat().st_size > 1000


def test_a_copy_of_the_collection_is_cut_where_the_film_is_gone(
    films: Path, tmp_path: Path, echolens: Echolens
) -> None:
    echolens("index", films, "--assets", "folder:")
    document = echolens("search", "blue", "-k", "1", "--format", "jsonl").records[0]["document"]
    os.rename(films, tmp_path / "away")

    done = echolens("clip", document, tmp_path / "a.mp4")

    assert done.code == ExitCode.DONE, done.err
    assert (tmp_path / "a.mp4").exists()


def test_what_has_no_time_cannot_be_cut(photos: Path, echolens: Echolens) -> None:
    echolens("index", photos)
    hits = echolens("search", "harbour", "--group-by", "document", "--format", "jsonl").records
    ids = {hit["modality"]: hit["document"] for hit in hits}

    for document, what in ((ids["image"], "a picture"), (ids["text"], "a caption")):
        done = echolens("clip", document, "out.mp4")
        assert done.code == ExitCode.USAGE
        assert f"is {what}, which has no time" in done.err
    unknown = echolens("clip", "f" * 32, "out.mp4")
    assert (unknown.code, "no document" in unknown.err) == (ExitCode.USAGE, True)


def test_a_sheet_of_films_and_recordings(ask: Indexed, tmp_path: Path) -> None:
    done = ask("search", "blue boarding 猫", "--sheet", tmp_path / "sheet.png")

    assert done.code == ExitCode.DONE, done.err
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    assert pixels.shape[1] > 1360
    for colour in (BLUE, GREEN):  # frames of both films
        assert (np.abs(pixels - colour).sum(axis=2) < 40).sum() > 2000


def test_a_sheet_can_do_without_thumbnails(ask: Indexed, tmp_path: Path) -> None:
    kept = ask.collection / NAME
    before = kept.read_bytes()
    try:
        kept.write_bytes(b"no database" * 100)
        done = ask("search", "blue", "--sheet", tmp_path / "sheet.png")
    finally:
        kept.write_bytes(before)

    assert done.code == ExitCode.DONE, done.err
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    assert (np.abs(pixels - BLUE).sum(axis=2) < 40).sum() > 2000


def test_a_recording_is_no_query_where_nothing_takes_it(ask: Indexed) -> None:
    done = ask("search", "--audio", ask.folder / "talk.wav")

    assert done.code == ExitCode.USAGE
    assert "Nothing in this collection can be searched with audio." in done.err
    assert "--audio-encoder" in done.err
    assert "echolens encoders" in done.err


def test_without_its_decoder_a_film_is_told_of_and_nothing_else_fails(
    made: tuple[Path, Path], tmp_path: Path, echolens: Echolens
) -> None:
    (tmp_path / "away").mkdir()
    corpus.text(tmp_path / "away" / "av.py", "raise ModuleNotFoundError(name='av')")
    without = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "away"), os.environ["PYTHONPATH"]])}
    films, collection = made

    indexed = echolens("index", films / "ship.mp4", **without)
    cut = echolens("clip", f"{films / 'ship.mp4'}#t=1,2", "a.mp4", **without)
    found = echolens("search", "blue", "-c", collection, "--sheet", "a.png", **without)

    assert indexed.code == ExitCode.PARTLY
    assert "1 not_installed" in indexed.err
    assert "echolens[video]" in echolens("failures").out.decode()
    assert cut.code == ExitCode.MISSING
    assert "pip install 'echolens[video]'" in cut.err
    assert found.code == ExitCode.DONE, found.err
    assert (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--audio", "no/such.wav"], "The query recording no/such.wav can't be read"),
        (["dog", "-a", "audio:no/such.wav"], "The query recording no/such.wav can't be read"),
        (["--audio", os.devnull], "Name a recording file"),
        (["dog", "--between", "ten"], "10:00-12:30"),
        (["dog", "--between", "12:30-10:00"], "ends before it begins"),
        (["dog", "--speech", "boarding"], "--speech asks by itself"),
        (["--speech", " "], "empty"),
        (["dog", "--moments", "--group-by", "asset"], "--moments is --group-by moment"),
        (["dog", "--modality", "smell"], "video"),
    ],
)
def test_a_question_about_films_that_cannot_be_asked(
    arguments: list[str], says: str, ask: Indexed
) -> None:
    done = ask("search", *arguments)

    assert done.code == ExitCode.USAGE, done.err
    assert says in " ".join(done.err.split())
    assert done.out == b""
    assert len(done.err.splitlines()) <= 3


def test_without_films_there_are_no_moments(photos: Path, echolens: Echolens) -> None:
    echolens("index", photos)

    done = echolens("search", "red", "--moments")

    assert (done.code, done.out, done.err) == (ExitCode.NO, b"", "nothing found\n")


def test_speech_that_nobody_wrote_down_is_told_with_a_way_to_get_it(
    films: Path, tmp_path: Path, echolens: Echolens
) -> None:
    for subtitles in films.glob("*.srt"):
        subtitles.unlink()
    echolens("index", films)
    asked = ("search", "--speech", "boarding")

    without = echolens(*asked)
    corpus.text(films / "ship.srt", SAID)
    echolens("index", films)

    assert (without.code, without.out) == (ExitCode.NO, b"")
    assert "nothing that is said is written down" in without.err
    assert f"index -c {tmp_path / 'collection'} --transcriber whisper:base" in without.err
    assert "subtitles (a.srt, a.vtt)" in without.err
    assert echolens(*asked).code == ExitCode.DONE
    elsewhere = echolens(*asked, "--where", "modality = 'audio'")
    assert (elsewhere.code, elsewhere.err) == (ExitCode.NO, "nothing found\n")


def test_a_transcript_without_times_holds_no_moments(films: Path, echolens: Echolens) -> None:
    for subtitles in films.glob("*.srt"):
        subtitles.unlink()
    corpus.text(films / "talk.txt", "Boarding starts in ten minutes")
    echolens("index", films)
    asked = ("search", "--speech", "boarding")

    assert "written down with its time" in echolens(*asked).err
    assert echolens(*asked, "--group-by", "asset", "--format", "paths").lines == [
        str(films / "talk.wav")
    ]


def test_status_counts_shots_and_time(ask: Indexed) -> None:
    table = ask("status").lines
    record = json.loads(ask("status", "--format", "jsonl").out)

    assert any("4 shots, 4 vectors" in line for line in table)
    assert "time of films and recordings  0:21" in table
    assert record["assets"] == {"audio": 1, "video": 2}
    assert record["media_s"] == pytest.approx(21, abs=0.2)
    assert record["transcriber"] == ""

"""``echolens evaluate`` on films and moments: the real command, on films made by code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.errors import ExitCode
from cli.main import run
from tests import media_made
from tests.media_made import Scene
from tests.retrieval.evaluation.sets import lines

from .conftest import COLOURS, Done

RED, GREEN, BLUE = (COLOURS[name] for name in ("red", "green", "blue"))


@dataclass(frozen=True)
class Films:
    """A folder of films with captions, and how to ask its collection in this process."""

    folder: Path
    captured: pytest.CaptureFixture[bytes]

    def evaluate(self, *arguments: str | Path, collection: str = "collection") -> Done:
        where = str(self.folder / collection)
        code = run(["-c", where, "evaluate", *map(str, arguments)])
        said = self.captured.readouterr()
        return Done(code, said.out, said.err.decode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``ship.mp4``, red, then green, four seconds each; ``sea.mp4``, blue; both indexed."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "videos").mkdir()
    scenes = [Scene(4.0, RED, 1), Scene(4.0, GREEN, 2)]
    media_made.film(folder / "videos" / "ship.mp4", scenes, fps=10)
    media_made.film(folder / "videos" / "sea.mp4", [Scene(4.0, BLUE, 3)], fps=10)
    rows = ("ship.mp4,a red ship", "ship.mp4,green grass", "sea.mp4,the blue sea")
    captions = lines(folder / "clips.csv", "file,caption", *rows)
    program = [sys.executable, "-m", "cli.main", "-c", str(folder / "collection"), "index"]
    environment = {**os.environ, "ECHOLENS_ENCODER": "hash:"}
    subprocess.run(
        [*program, "--captions", str(captions)],
        env=environment,
        check=True,
        capture_output=True,
        timeout=240,
    )
    return folder


@pytest.fixture
def films(
    folder: Path,
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Films:
    monkeypatch.setenv("ECHOLENS_HOME", str(tmp_path))
    return Films(folder, capfdbinary)


def questions(folder: Path) -> Path:
    def one(qid: int, query: str, vid: str, start: float, end: float) -> dict[str, Any]:
        return {"qid": qid, "query": query, "vid": vid, "relevant_windows": [[start, end]]}

    return lines(
        folder / "moments.jsonl",
        one(1, "a red ship", "ship", 0, 4),
        one(2, "green grass", "ship", 4, 8),
        one(3, "the blue sea", "sea", 0, 4),
    )


def test_texts_and_films_find_each_other(films: Films) -> None:
    done = films.evaluate(films.folder / "clips.csv", "--require", "t2v:r@1>=99%")

    assert done.code == ExitCode.DONE, done.err
    rows = [line.split()[:6] for line in done.lines if " to " in line]
    for way in ("exact", "deployed"):
        assert ["text", "to", "video", way, "3", "100.0"] in rows
    assert ["video", "to", "text", "exact", "2", "100.0"] in rows


def test_moments_are_measured_in_the_named_film_and_in_all(films: Films, tmp_path: Path) -> None:
    saved, page = tmp_path / "now.json", tmp_path / "page.md"
    done = films.evaluate(
        questions(films.folder),
        *("--json", saved, "--markdown", page),
        *("--require", "t2m:r1@0.7>=99%", "--require", "vcmr:r1@0.5>=99%"),
    )

    assert done.code == ExitCode.DONE, done.err
    start = done.lines.index("Moments")
    assert done.lines[start + 1].split()[:4] == ["direction", "way", "queries", "R1@0.5"]
    assert done.lines[start + 2].startswith("text to moment      deployed        3  100.0")
    assert done.lines[start + 3].startswith("text to any moment  deployed        3  100.0")
    held = json.loads(saved.read_text())
    assert [one["values"]["r1@0.5"] for one in held["moments"]] == [[1, 1, 1]] * 2
    assert "## Moments" in page.read_text()

    again = films.evaluate(questions(films.folder), "--baseline", saved)
    assert "no difference shown" in again.out.decode()
    other = films.evaluate(films.folder / "clips.csv", "--baseline", saved)
    assert other.code == ExitCode.USAGE
    assert "measured on other data" in other.err


def test_a_gate_of_moments_that_is_not_met_says_so(films: Films) -> None:
    done = films.evaluate(questions(films.folder), "--require", "hit@1>=1%", "--measure", "miou")

    assert done.code == ExitCode.NO
    assert "hit@1 of text to moment, deployed isn't known: it wasn't measured." in done.err


def test_the_collections_vectors_alone(films: Films) -> None:
    done = films.evaluate(films.folder / "clips.csv", "--exact")

    assert done.code == ExitCode.DONE, done.err
    assert "deployed" not in done.out.decode()
    assert "video to text" in done.out.decode()


def test_films_can_not_be_measured_by_an_encoder_alone(films: Films) -> None:
    for data in (films.folder / "clips.csv", questions(films.folder)):
        code = run(["evaluate", str(data), "--encoder", "hash:"])
        said = films.captured.readouterr().err.decode()
        assert code == ExitCode.USAGE
        assert "An encoder by itself can't be asked for videos" in said
        assert "echolens index" in said

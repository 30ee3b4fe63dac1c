"""``clip``: a part of a film as a file, and what is refused."""

from __future__ import annotations

import os
import re
from pathlib import Path

import av
import pytest

from cli.errors import ExitCode
from tests import corpus, media_made

from .conftest import Echolens


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Nine seconds with a key frame at each whole one."""
    scenes = [media_made.Scene(3.0, seed=seed) for seed in range(3)]
    return media_made.film(tmp_path / "ship.mp4", scenes, fps=10, key_every=10,
                           sounds=(media_made.tone(seconds=9),))  # fmt: skip


def _length_s(path: Path) -> float:
    with av.open(str(path)) as container:
        return float(container.duration or 0) / av.time_base


def test_what_can_be_copied_is_copied(film: Path, tmp_path: Path, echolens: Echolens) -> None:
    done = echolens("clip", "ship.mp4#t=3.0,6.0", "a.mp4")

    assert done.code == ExitCode.DONE, done.err
    assert done.lines[0].startswith("0:03.0-0:06.")
    assert done.lines[0].endswith("to a.mp4, nothing encoded again")
    assert _length_s(tmp_path / "a.mp4") == pytest.approx(3, abs=0.3)


def test_what_begins_between_key_frames_is_encoded_and_said_to_be(
    tmp_path: Path, echolens: Echolens
) -> None:
    media_made.film(tmp_path / "ship.mp4", [media_made.Scene(6.0)], fps=10, key_every=1000)

    done = echolens("clip", "ship.mp4#t=3.0,5.0", "a.mp4")

    assert re.fullmatch(r"0:03.0-0:0(4.9|5.0) to a.mp4, pictures encoded again", done.lines[0])
    assert _length_s(tmp_path / "a.mp4") == pytest.approx(2, abs=0.2)


def test_a_folder_gets_a_name_with_the_times(
    film: Path, tmp_path: Path, echolens: Echolens
) -> None:
    assert echolens("clip", "ship.mp4#t=3.0,6.0", ".").code == ExitCode.DONE
    assert (tmp_path / "ship 3.0-6.0.mp4").exists()


def test_a_file_that_is_there_stays_unless_forced(
    film: Path, tmp_path: Path, echolens: Echolens
) -> None:
    there = corpus.text(tmp_path / "a.mp4", "precious")

    refused = echolens("clip", "ship.mp4#t=3.0,6.0", there)

    assert refused.code == ExitCode.USAGE
    assert "is there already" in refused.err
    assert "--force" in refused.err
    assert there.read_text() == "precious"
    assert echolens("clip", "ship.mp4#t=3.0,6.0", there, "--force").code == ExitCode.DONE
    assert _length_s(there) == pytest.approx(3, abs=0.3)


def test_a_film_that_may_not_be_read_is_told_from_a_clip_that_cannot_be_written(
    film: Path, tmp_path: Path, echolens: Echolens
) -> None:
    film.chmod(0)
    if os.access(film, os.R_OK):
        pytest.skip("who runs the tests may read everything")

    refused = echolens("clip", "ship.mp4#t=1,2", "a.mp4")

    assert refused.code == ExitCode.USAGE
    assert "ship.mp4 can't be read: Permission denied" in refused.err
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize(
    ("link", "out", "code", "says"),
    [
        ("ship.mp4", "a.mp4", ExitCode.USAGE, "names no times"),
        ("ship.mp4#t=6,3", "a.mp4", ExitCode.USAGE, "ends before it begins"),
        ("ship.mp4#t=100,200", "a.mp4", ExitCode.USAGE, "ship.mp4"),
        ("gone.mp4#t=1,2", "a.mp4", ExitCode.MISSING, "gone.mp4: no such file"),
        (".#t=1,2", "a.mp4", ExitCode.MISSING, "is a folder"),
        ("lie.mp4#t=1,2", "a.mp4", ExitCode.USAGE, "lie.mp4 is text, not a film"),
        ("ship.mp4#t=1,2", "no/a.mp4", ExitCode.USAGE, "There is no folder no"),
        ("ship.mp4#t=1,2", "ship.mp4", ExitCode.USAGE, "is the film itself"),
        ("ship.mp4#t=1,2", "a.xyz", ExitCode.USAGE, "xyz"),
        ("ship.mp4#t=1,2", "bare", ExitCode.USAGE, "error: The name of the clip has no suffix"),
    ],
)
def test_what_cannot_be_cut(
    link: str, out: str, code: ExitCode, says: str, film: Path, tmp_path: Path, echolens: Echolens
) -> None:
    corpus.text_named(tmp_path / "lie.mp4")
    before = film.read_bytes()
    names = set(tmp_path.iterdir())

    done = echolens("clip", link, out, "--force")

    assert done.code == code, done.err
    assert says in done.err
    assert len(done.err.splitlines()) <= 3
    assert film.read_bytes() == before
    assert set(tmp_path.iterdir()) == names  # nothing half done is left

"""The real command, killed in the middle of a long film: the next run goes on in it."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from indexer import verify
from indexer.ledger import Ledger
from retrieval.collection import open_collection
from retrieval.timed import STRETCH_S
from tests import collections

from .command import run, start

pytest.importorskip("av")
pytest.importorskip("scenedetect")

from tests.media_made import SCENES, Scene, film

STRETCHES = 5


def test_a_long_film_is_gone_on_with(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    count = round((STRETCHES - 0.5) * STRETCH_S / 10)
    scenes = [Scene(10.0, SCENES[n % len(SCENES)].colour, seed=n) for n in range(count)]
    film(media / "long.mp4", scenes, fps=2, key_every=10)
    arguments = ["-c", "films", "index", str(media), "--encoder", "hash:slow=0.2"]
    assert run(arguments, tmp_path / "undisturbed").returncode == 0
    killed = tmp_path / "killed"
    process = start(arguments, killed)
    wait_for_a_stretch(process, killed / "films")
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = _done(killed / "films")
    assert 0 < len(done) < STRETCHES
    assert run(arguments, killed).returncode == 0
    settings = collections.settings(killed)
    with open_collection("films", settings=settings) as collection:
        assert verify(collection).problems == ()
        found = collections.contents(collection)
    with open_collection(
        "films", settings=collections.settings(tmp_path / "undisturbed")
    ) as collection:
        collections.assert_same(found, collections.contents(collection))


def _done(folder: Path) -> list[float]:
    """Where the stretches begin that the ledger knows of the one film."""
    with closing(Ledger(folder, read_only=True)) as ledger:
        found = ledger._file.connection.execute("SELECT start FROM stretches").fetchall()
        return [start for (start,) in found]


def wait_for_a_stretch(process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, "it ended before it could be killed"
        if (folder / "ledger.sqlite").exists() and _done(folder):
            return
        time.sleep(0.02)
    pytest.fail("no stretch was done within a minute")

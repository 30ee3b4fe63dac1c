"""Promise 9: no connection, but to the stores and to a hub that was asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cli.errors import ExitCode
from tests import corpus

from .command import run

# In every process, the decoding ones too: note an attempt, and let it fail.
WATCH = """
import sys

def watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.connect"):
        if event != "socket.connect" or isinstance(arguments[1], tuple):
            with open({log!r}, "a") as log:
                log.write(f"{{event}} {{arguments}}\\n")
            raise OSError("there is no network")

sys.addaudithook(watch)
"""


def _without_network() -> Sequence[str]:
    """A command that runs another one where there is no network at all, if the system has one."""
    within = ["unshare", "-rn"]
    if shutil.which("unshare") is None:
        return []
    tried = subprocess.run([*within, "true"], capture_output=True, check=False)
    return within if tried.returncode == 0 else []


@pytest.mark.parametrize("encoder", ["hash:", "starter:"])
def test_promise_offline_unless_asked(encoder: str, tmp_path: Path) -> None:
    media, home, log = tmp_path / "media", tmp_path / "home", tmp_path / "log"
    media.mkdir()
    corpus.picture(media / "red.png", colour=(220, 30, 30))
    corpus.text(media / "red.txt", "a red thing")
    corpus.html(media / "page.html", body="<img src='http://example.com/a.png'><p>A fox.</p>")
    (tmp_path / "sitecustomize.py").write_text(WATCH.format(log=str(log)))
    settings = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"}
    within = _without_network()
    indexed = run(
        ["-c", "photos", "index", media, "--encoder", encoder],
        home, settings=settings, within=within,
    )  # fmt: skip
    assert indexed.returncode == ExitCode.DONE, indexed.stderr
    found = run(
        ["-c", "photos", "search", "red", "--image", media / "red.png", "--format", "paths"],
        home, settings=settings, within=within,
    )  # fmt: skip
    assert found.returncode == ExitCode.DONE, found.stderr
    assert str(media / "red.png") in found.stdout.splitlines()
    assert not log.exists(), log.read_text()


def test_an_attempt_would_be_noticed(tmp_path: Path) -> None:
    """The watch of the test above works."""
    (tmp_path / "sitecustomize.py").write_text(WATCH.format(log=str(tmp_path / "log")))
    call = "import socket; socket.create_connection(('127.0.0.1', 9))"
    done = subprocess.run(
        [sys.executable, "-c", call],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert "socket.getaddrinfo" in (tmp_path / "log").read_text()

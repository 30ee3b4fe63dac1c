"""Progress is for a person at a terminal, and for nobody else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Echolens


def _index_at_a_terminal(collection: Path, photos: Path, *options: str) -> bytes:
    ours, theirs = pty.openpty()
    program = [sys.executable, "-m", "cli.main", "-c", str(collection), *options]
    process = subprocess.Popen(
        [*program, "index", str(photos), "--encoder", "hash:"],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=dict(os.environ),
    )
    os.close(theirs)
    said = b""
    while chunk := _read(ours):
        said += chunk
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return said


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so when the other side has closed
        return b""


def test_a_terminal_sees_progress_on_a_line_that_is_cleared(tmp_path: Path, photos: Path) -> None:
    said = _index_at_a_terminal(tmp_path / "c", photos)

    line, cleared = said.rfind(b" of 3 files"), said.rfind(b" \r")
    assert 0 < line < cleared
    assert said.lstrip(b"\r").startswith(b"loading the encoder ...")
    assert b"\rstarting ..." in said


def test_quiet_means_no_progress(tmp_path: Path, photos: Path) -> None:
    assert _index_at_a_terminal(tmp_path / "c", photos, "-q") == b""


@pytest.mark.parametrize("quiet", [True, False])
def test_a_pipe_sees_no_progress(quiet: bool, photos: Path, echolens: Echolens) -> None:
    done = echolens(*["-q"] * quiet, "index", photos)

    assert "\r" not in done.err
    assert (done.err == "") is quiet

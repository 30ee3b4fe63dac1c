"""What a command meets before it has begun: closed streams, a Ctrl-C while modules are loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.errors import ExitCode

from .conftest import Done, Echolens

# Runs the command with a finder of modules that sends Ctrl-C when one of them is looked for, and
# then fails as a C library does that is being initialised.
INTERRUPTED_AT = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt as error:
                raise ImportError("initialization failed") from error

sys.meta_path.insert(0, Interrupting())
from cli.start import main
main()
"""


def _interrupted_at(module: str, *arguments: str | Path, encoder: str = "hash:") -> Done:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT.format(module=module), *map(str, arguments)],
        capture_output=True,
        env={**os.environ, "ECHOLENS_ENCODER": encoder},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())


@pytest.mark.parametrize("module", ["click", "cli.main", "cli.commands.status", "retrieval"])
def test_ctrl_c_while_modules_are_loaded_ends_cleanly(module: str, tmp_path: Path) -> None:
    done = _interrupted_at(module, "-c", tmp_path / "none", "status")

    assert done.code == ExitCode.INTERRUPTED
    assert done.err.split("\n", 1)[0] in ("error: interrupted.", "")
    assert "next: Run the same command again." in done.err
    assert "Traceback" not in done.err


def test_ctrl_c_that_a_library_takes_for_a_fault_of_its_own(
    photos: Path, tmp_path: Path, echolens: Echolens
) -> None:
    echolens("index", photos / "red.png", ECHOLENS_ENCODER="starter:")

    done = _interrupted_at("onnxruntime", "-c", tmp_path / "collection", "search", "red")

    assert done.code == ExitCode.INTERRUPTED
    assert "onnxruntime" not in done.err
    assert "interrupted" in done.err


def _close(streams: list[int]) -> None:
    for number in streams:
        os.close(number)


@pytest.mark.parametrize(
    ("arguments", "closed", "code"),
    [
        (["search", "red"], [1], ExitCode.DONE),
        (["search", "red"], [0, 1, 2], ExitCode.DONE),
        (["search", "red"], [2], ExitCode.DONE),
        (["search", "--image", "-"], [0], ExitCode.USAGE),
        (["index", "-"], [0], ExitCode.USAGE),
        (["index", "photos"], [0, 1], ExitCode.DONE),
    ],
)
def test_a_closed_stream_is_no_fault(
    arguments: list[str],
    closed: list[int],
    code: ExitCode,
    photos: Path,
    tmp_path: Path,
    echolens: Echolens,
) -> None:
    echolens("index", photos)
    program = [sys.executable, "-m", "cli.main", "-c", str(tmp_path / "collection")]

    done = subprocess.run(
        [*program, *arguments],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "ECHOLENS_ENCODER": "hash:"},
        preexec_fn=lambda: _close(closed),
        timeout=60,
        check=False,
    )

    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    assert (b"stdout is closed" in done.stderr) == (1 in closed and 2 not in closed)
    assert echolens("verify").code == ExitCode.DONE

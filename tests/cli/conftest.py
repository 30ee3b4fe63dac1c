"""The real command, as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests import corpus

COLOURS = {"red": (220, 30, 30), "green": (30, 170, 50), "blue": (40, 60, 220)}


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit code, what it wrote to stdout (bytes) and to stderr."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.decode().splitlines()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


Echolens = Callable[..., Done]


@pytest.fixture
def echolens(tmp_path: Path) -> Echolens:
    """Run ``echolens`` with a collection in `tmp_path`; keyword `stdin` gives it bytes."""
    program = [sys.executable, "-m", "cli.main", "--collection", str(tmp_path / "collection")]

    def run(*arguments: str | bytes, stdin: bytes = b"", **environment: str) -> Done:
        done = subprocess.run(
            [*program, *arguments],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "ECHOLENS_ENCODER": "hash:", **environment},
            timeout=120,
            check=False,
        )
        err = done.stderr.decode()
        assert "Traceback" not in err or "--debug" in arguments, err
        return Done(done.returncode, done.stdout, err)

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with ``red.png``, ``green.png`` and ``blue.png``; the blue one has a caption."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in COLOURS.items():
        corpus.save_as(folder / f"{name}.png", Image.new("RGB", (64, 48), colour))
    corpus.text(folder / "blue.txt", "The harbour at dusk")
    return folder

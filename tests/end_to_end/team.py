"""Machines that share a collection on servers, each with a home and media of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .command import environment, run, start


@dataclass(frozen=True)
class Machine:
    """A machine of the team, with a home and a folder of media of its own."""

    name: str
    home: Path
    media: Path

    @property
    def settings(self) -> Mapping[str, str]:
        return {"ECHOLENS_HOST": self.name, "ECHOLENS_ENCODER": "hash:"}

    def echolens(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return run([*arguments, "-c", "team"], self.home, settings=self.settings)

    def start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        return start([*arguments, "-c", "team"], self.home, settings=self.settings)

    def python(self, program: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", program],
            env={**environment(self.home), **self.settings},
            stdout=subprocess.PIPE,
            text=True,
        )

    def hits(self, *query: str) -> list[dict[str, Any]]:
        done = self.echolens("search", *query, "--format", "jsonl")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def made(anna: Machine, stores: Mapping[str, str], encoder: str = "hash:") -> None:
    options = [part for option in stores.items() for part in option]
    done = anna.echolens("init", *options, "--encoder", encoder)
    assert done.returncode == 0, done.stderr


def attached(berta: Machine, stores: Mapping[str, str]) -> None:
    done = berta.echolens("init", "--attach", stores["--documents"])
    assert done.returncode == 0, done.stderr

"""The real command, as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

COMMAND = Path(sys.executable).with_name("echolens")


def environment(home: Path) -> dict[str, str]:
    """The environment of a user whose collections lie in `home`, one decoding process."""
    return {**os.environ, "ECHOLENS_HOME": str(home), "ECHOLENS_WORKERS": "1"}


def run(arguments: Sequence[str | Path], home: Path) -> subprocess.CompletedProcess[str]:
    """Run ``echolens`` to its end."""
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def start(arguments: Sequence[str | Path], home: Path) -> subprocess.Popen[bytes]:
    """Start ``echolens`` and go on."""
    return subprocess.Popen(
        [str(COMMAND), *map(str, arguments)],
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

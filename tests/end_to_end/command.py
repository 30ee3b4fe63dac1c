"""The real command, as a process."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

COMMAND = Path(sys.executable).with_name("echolens")


def environment(home: Path) -> dict[str, str]:
    """The environment of a user whose collections lie in `home`, one decoding process."""
    return {**os.environ, "ECHOLENS_HOME": str(home), "ECHOLENS_WORKERS": "1"}


def run(
    arguments: Sequence[str | Path],
    home: Path,
    *,
    settings: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
    within: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run ``echolens`` to its end.

    Args:
        arguments: of the command.
        home: where its collections lie.
        settings: more of its environment.
        before: called in the new process before it becomes the command.
        within: a command that runs the command (``unshare``).
    """
    done = subprocess.run(
        [*within, str(COMMAND), *map(str, arguments)],
        env={**environment(home), **(settings or {})},
        preexec_fn=before,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def without_privileges() -> None:
    """Let the permissions of files bind root too; to be given as `before`."""
    if os.geteuid() == 0 and sys.platform == "linux":
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def start(
    arguments: Sequence[str | Path], home: Path, *, settings: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start ``echolens`` and go on."""
    return subprocess.Popen(
        [str(COMMAND), *map(str, arguments)],
        env={**environment(home), **(settings or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

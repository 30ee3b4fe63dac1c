"""A small disk that can be full, for a server's data.

Gets: a folder and a size. Gives: a file system of that size, mounted there. Touches: that folder.
Never: the disk of the machine.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

CHUNK_BYTES = 2**20


class SmallDisk:
    """A file system that holds little."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / ".filler"

    def room(self) -> int:
        """Bytes that are free."""
        stat = os.statvfs(self.folder)
        return stat.f_bavail * stat.f_frsize

    def fill(self, *, leaving: int = 0) -> None:
        """Take the room that is left, but for so many bytes."""
        with self._filler.open("ab", buffering=0) as filler, suppress(OSError):
            while (rest := self.room() - leaving) > 0:
                filler.write(bytes(min(rest, CHUNK_BYTES)))

    def free(self) -> None:
        """Give back what `fill` took."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A disk mounted on a folder; where that isn't allowed, the test is skipped."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", os.fspath(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:  # lazily: a server that was killed may hold it a little longer
        subprocess.run(["umount", "--lazy", os.fspath(folder)], check=True)

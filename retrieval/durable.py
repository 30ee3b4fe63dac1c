"""Writing so that it survives: what is there after a crash is whole.

Gets: a path and bytes. Gives: nothing. Touches: that file and its folder. Never: knows a format.
"""

from __future__ import annotations

import os
from pathlib import Path

from .errors import StoreUnreachableError


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole: after a crash the old one or the new one is there, never half of one.

    Raises:
        StoreUnreachableError: no space or no permission; what was there stays.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StoreUnreachableError(
            f"{path} can't be written: {error.strerror}.",
            advice="Make room or allow writing there; nothing was changed.",
        ) from error


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable, on systems where a folder can be opened."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

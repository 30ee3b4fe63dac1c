"""The folder of a collection that is being made.

Gets: a path. Gives: whether the folder is new. Touches: the folder. Never: what was in it before.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrieval.errors import StoreUnreachableError, UsageError
from retrieval.manifest import NAME

LOCK = ".lock"


def make_folder(directory: Path) -> bool:
    """Make the folder of a collection, unless it is there; whether there was nothing in it.

    Raises:
        StoreUnreachableError: it can't be made.
        UsageError: it holds other things.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        found = {entry.name for entry in directory.iterdir()}
    except OSError as error:
        raise StoreUnreachableError(
            f"The folder {directory} can't be made: {error.strerror}.",
            advice="Give another place with --collection.",
        ) from error
    if found and LOCK not in found:
        raise UsageError(
            f"{directory} holds other things ({min(found)!r}), and is no collection.",
            advice="Give a new folder, or a bare name, with --collection.",
        )
    return not found


@contextmanager
def undone(directory: Path, *, new: bool) -> Iterator[None]:
    """Take away what was made in a new folder, and the folder, if that fails; its lock is held."""
    try:
        yield
    except BaseException:
        if new and not (directory / NAME).exists():
            shutil.rmtree(directory, ignore_errors=True)
        raise

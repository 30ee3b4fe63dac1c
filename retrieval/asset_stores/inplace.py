"""The asset store `inplace:`: the user's own files, where they are.

Gets: asset ids. Gives: open files. Touches: reads the files that ``locate`` names. Never: writes,
moves or deletes anything, so `put` and `delete` do nothing.

A file may have changed since it was indexed. Opening doesn't hash it, which would read it whole;
`verify` does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..protocols import Locate, Place
from ..schema import is_here, path_of, printable


class InPlaceStore:
    """An `AssetStore` that keeps nothing; see the protocol for what each method promises."""

    copies = False

    def __init__(self, place: Place, locate: Locate) -> None:  # noqa: ARG002 (stores are made alike)
        """Serve the files at ``locate(asset)``, URIs of which only ``file://`` can be opened."""
        self._locate = locate

    def put(self, asset: str, file: BinaryIO) -> None:
        """Nothing: the bytes stay in the user's file."""

    def open(self, asset: str) -> BinaryIO:
        """The first of the asset's files that is there and can be read.

        Raises:
            FileNotFoundError: none is; the message names the paths that were tried.
        """
        tried = self._paths(asset)
        for path in tried:
            try:
                if os.path.isfile(path):  # a pipe in its place would be waited for, for ever
                    return path.open("rb")
            except OSError:
                continue  # the next sighting may be readable
        where = ", ".join(printable(str(path)) for path in tried) or "it has no file"
        raise FileNotFoundError(errno.ENOENT, f"{os.strerror(errno.ENOENT)}: {where}")

    def delete(self, asset: str) -> None:
        """Nothing: the file is the user's."""

    def exists(self, asset: str) -> bool:
        """Whether one of the asset's files is there."""
        return any(os.path.isfile(path) for path in self._paths(asset))

    def scan(self) -> Iterator[str]:
        """No ids: nothing is kept."""
        return iter(())

    def close(self) -> None:
        """Nothing is open."""

    def _paths(self, asset: str) -> list[Path]:
        return [Path(path_of(uri)) for uri in self._locate(asset) if is_here(uri)]

"""The asset store `folder:`: copies of the assets, each in a file named by its hash.

Gets: asset ids and bytes. Gives: open files. Touches: ``assets/`` in the place's directory, or
the folder of the URL (``folder:/srv/assets``). Never: a file that it didn't write.

An asset lies at ``aa/bb/<asset>``, from the first characters of its id. It is copied to
``incoming/``, hashed on the way, synced, and renamed into place, so a file under its own name is
always whole. What a killed writer left in ``incoming/`` is swept when the next one opens; hence a
folder belongs to one collection.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..durable import sync_folder
from ..errors import BadInputError, StoreUnreachableError
from ..protocols import Locate, Place
from ..schema import SkipReason

CHUNK_BYTES = 2**20
_ASSET = re.compile(r"[0-9a-f]{64}")


class FolderStore:
    """An `AssetStore` of copies; see the protocol for what each method promises."""

    copies = True

    def __init__(self, place: Place, locate: Locate) -> None:  # noqa: ARG002 (stores are made alike)
        """Open the folder of the place's URL; made with the first asset.

        Raises:
            StoreUnreachableError: opened for writing, and it can't be written.
        """
        location = place.url.partition(":")[2] or "assets"
        self._root = place.directory / os.path.expanduser(location)
        self._incoming = self._root / "incoming"
        self._read_only = place.read_only
        if not place.read_only:
            self._sweep()

    def put(self, asset: str, file: BinaryIO) -> None:
        """Copy `file` from where it stands; a copy that is there is replaced by a whole one.

        Raises:
            BadInputError: the bytes don't hash to `asset` (changing), or `file` can't be read
                (unreadable); nothing is kept then.
            StoreUnreachableError: read-only, no space, no permission.
            ValueError: `asset` is not a SHA-256 in hex.
        """
        if not _ASSET.fullmatch(asset):
            raise ValueError(f"an asset is named by 64 hex digits, not {asset!r}")
        path = self._path(asset)
        part = self._incoming / f"{asset}.{uuid.uuid4().hex}"
        with self._writing():
            _make_folders(self._root, self._incoming)
            try:
                digest = _copy(file, part)
                if digest != asset:
                    raise BadInputError(
                        SkipReason.CHANGING, "The file changed while it was copied."
                    )
                _make_folders(self._root, path.parent)
                part.replace(path)
                sync_folder(path.parent)
            finally:
                part.unlink(missing_ok=True)

    def open(self, asset: str) -> BinaryIO:
        """The stored copy, or FileNotFoundError."""
        return self._path(asset).open("rb")

    def delete(self, asset: str) -> None:
        """Delete the stored copy, if there is one."""
        path = self._path(asset)
        with self._writing():
            if path.is_file():
                path.unlink()
                sync_folder(path.parent)

    def exists(self, asset: str) -> bool:
        """Whether there is a copy."""
        return self._path(asset).is_file()

    def scan(self) -> Iterator[str]:
        """Ids of all copies, sorted."""
        for path in sorted(self._root.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]")):
            names = sorted(entry.name for entry in path.iterdir())
            yield from (name for name in names if self._path(name) == path / name)

    def close(self) -> None:
        """Nothing is open."""

    def _path(self, asset: str) -> Path:
        """Where an asset lies; for what is no asset's id, a path where nothing ever is."""
        if not _ASSET.fullmatch(asset):
            return self._root / "none"
        return self._root / asset[:2] / asset[2:4] / asset

    def _sweep(self) -> None:
        with self._writing():
            if self._incoming.is_dir():
                for part in self._incoming.iterdir():
                    part.unlink()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._read_only:
            raise StoreUnreachableError(
                f"{self._root} is open for reading only.",
                advice="Open the collection for writing.",
            )
        try:
            yield
        except OSError as error:
            raise StoreUnreachableError(
                f"{self._root} can't be written: {error}.",
                advice="Check the disk's free space and the folder's permissions.",
            ) from error


def _copy(file: BinaryIO, part: Path) -> str:
    """Copy to a new file, durably; the SHA-256 of the bytes in hex."""
    digest = hashlib.sha256()
    with part.open("xb") as copy:
        while chunk := _read(file):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()


def _read(file: BinaryIO) -> bytes:
    try:
        return file.read(CHUNK_BYTES)
    except OSError as error:
        raise BadInputError(SkipReason.UNREADABLE, f"The file can't be read: {error}.") from error


def _make_folders(root: Path, folder: Path) -> None:
    """Make `folder` below `root`, so that its name is durable in the folders above."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for parent in folder.parents:
        sync_folder(parent)
        if parent == root.parent:
            break

"""The two flat files of one generation: rows and their ids.

Gets: a folder, a generation, a dimension. Gives: mapped arrays. Touches: those two files.
Never: decides what is committed (the catalogue does).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..durable import sync_folder
from ..schema import FloatArray
from .catalogue import ID_BYTES, damaged

ByteArray = NDArray[np.uint8]
ROW_TYPE = np.dtype("<f4")


class RowFiles:
    """``rows-<generation>.f32`` and ``ids-<generation>.bin`` of a folder. Raises OSError."""

    def __init__(self, folder: Path, generation: int, dim: int) -> None:
        self.rows_path = folder / f"rows-{generation}.f32"
        self.ids_path = folder / f"ids-{generation}.bin"
        self._dim = dim
        self._row_bytes = dim * ROW_TYPE.itemsize

    def append(self, at: int, ids: ByteArray, vectors: FloatArray) -> None:
        """Write (n, 16) ids and (n, dim) vectors from row `at` on, over any torn tail. Durable."""
        rows = np.ascontiguousarray(vectors, dtype=ROW_TYPE)
        _append(self.rows_path, at * self._row_bytes, rows.reshape(-1).view(np.uint8).data)
        _append(self.ids_path, at * ID_BYTES, np.ascontiguousarray(ids).reshape(-1).data)

    def wipe(self, rows: Iterable[int]) -> None:
        """Zero the vectors and the ids of rows. Durable."""
        places = sorted(rows)
        for path, size in ((self.rows_path, self._row_bytes), (self.ids_path, ID_BYTES)):
            with _opened(path, os.O_RDWR) as descriptor:
                for row in places:
                    _write_at(descriptor, row * size, memoryview(bytes(size)))

    def map(self, count: int) -> tuple[FloatArray, ByteArray]:
        """(count, dim) vectors and (count, 16) ids, read-only, on the files' own pages.

        Raises:
            FileNotFoundError: the generation is gone.
            CorruptError: a file is shorter than what was committed.
        """
        if count == 0:
            return np.empty((0, self._dim), np.float32), np.empty((0, ID_BYTES), np.uint8)
        for path, size in ((self.rows_path, self._row_bytes), (self.ids_path, ID_BYTES)):
            if path.stat().st_size < count * size:
                raise damaged(path, f"is shorter than its {count} rows")
        rows = np.memmap(self.rows_path, ROW_TYPE, "r", shape=(count, self._dim))
        ids = np.memmap(self.ids_path, np.uint8, "r", shape=(count, ID_BYTES))
        return rows.view(np.ndarray), ids.view(np.ndarray)

    def remove(self) -> None:
        """Unlink both. Where the system keeps a file that is mapped, the next writer does it."""
        for path in (self.rows_path, self.ids_path):
            with suppress(FileNotFoundError, PermissionError):
                path.unlink()


def _append(path: Path, offset: int, data: memoryview) -> None:
    is_new = not path.exists()
    with _opened(path, os.O_RDWR | os.O_CREAT) as descriptor:
        size = os.fstat(descriptor).st_size
        if size < offset:
            raise damaged(path, f"has {size} bytes, and {offset} were committed")
        try:
            if size > offset:
                os.ftruncate(descriptor, offset)
            _write_at(descriptor, offset, data)
        except OSError:
            with suppress(OSError):  # best effort: room on a full disk; a torn tail is harmless
                os.ftruncate(descriptor, offset)
            raise
    if is_new:
        sync_folder(path.parent)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """A descriptor, its writes synced at the end."""
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
    try:
        yield descriptor
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_at(descriptor: int, offset: int, data: memoryview) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    while data:
        data = data[os.write(descriptor, data) :]

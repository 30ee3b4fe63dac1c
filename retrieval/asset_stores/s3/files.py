"""Files on their way to a bucket and back.

Gets: an open file; an object's first bytes and what fetches more. Gives: a file that is hashed
while it is read; a file over those ranges. Touches: what it was given. Never: a server.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from ...errors import BadInputError
from ...schema import SkipReason

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def left(file: BinaryIO) -> int | None:
    """Bytes from where a file stands to its end; None when it can't be sought."""
    try:
        here = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(here)
    except OSError:
        return None
    return end - here


def whole(file: Hashed, size: int) -> bytes:
    """All bytes of a file that had `size` of them.

    Raises:
        BadInputError: the file can't be read, isn't the asset, or has grown.
    """
    data = b""
    while len(data) <= size and (more := file.read(size + 1 - len(data))):
        data = data + more if data else more
    if len(data) > size:
        raise _changed()
    return data


def _changed() -> BadInputError:
    return BadInputError(SkipReason.CHANGING, "The file changed while it was copied.")


class Hashed:
    """A file that says at its end whether it was the asset: an upload of another never ends."""

    def __init__(self, file: BinaryIO, asset: str) -> None:
        self._file = file
        self._asset = asset
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes, as many as there are up to `size`; b"" at the end.

        Raises:
            BadInputError: the file can't be read, or isn't the asset.
        """
        try:
            data = self._file.read(size)
        except OSError as error:
            reason = f"The file can't be read: {error}."
            raise BadInputError(SkipReason.UNREADABLE, reason) from error
        self._digest.update(data)
        if not data and self._digest.hexdigest() != self._asset:
            raise _changed()
        return data


class Ranges(io.RawIOBase):
    """An object's bytes, each read a request; ``fetch(start, length)`` gives them.

    The first are there already, and are let go once they were read to their end.
    """

    def __init__(self, first: bytes, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._first = first
        self._size = size
        self._fetch = fetch
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._next(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._next(self._size) + self._next(self._size)  # of the first, and of the rest

    def _next(self, most: int) -> bytes:
        length = min(most, self._size - self._at)
        if length <= 0:
            return b""
        if self._at < len(self._first):
            data = self._first[self._at : self._at + length]
        else:
            data = self._fetch(self._at, length)
        self._at += len(data)
        if self._at == len(self._first):
            self._first = b""
        return data

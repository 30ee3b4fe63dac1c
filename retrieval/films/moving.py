"""Pictures that move (GIF, APNG, WebP), and films that lie hidden behind a photo.

Gets: a picture's bytes. Gives: frames, or the film inside as a file. Touches: Pillow.
Never: PyAV; keeps more than a frame.

Durations are as browsers show them: one of 10 ms or less, or none, is 100 ms. A picture is played
once, however often it would repeat. Transparent parts are white, as in a still picture.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from retrieval.errors import BadInputError, SkipReason
from retrieval.protocols import Limits

from .damage import Damage
from .nouns import Facts, Frame, Picture

PIXELS = Limits().pixels  # of one picture; a reader may be stricter, by `facts`

_FORMATS = ("GIF", "PNG", "WEBP")
_AS_BROWSERS_S = 0.1
_SHORTEST_S = 0.01
_CHUNK = 1 << 20
_FILM_BOXES = frozenset(
    (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"udta", b"moof", b"mfra")
)
_STILL_BRANDS = frozenset((b"heic", b"heix", b"mif1", b"avif", b"msf1", b"hevc", b"avis"))


def is_moving(file: BinaryIO) -> bool:
    """Whether a file is a GIF, PNG or WebP of more than one picture."""
    file.seek(0)
    head = file.read(32)
    if not (head.startswith((b"GIF8", b"\x89PNG")) or head[8:12] == b"WEBP"):
        return False
    try:
        with _opened(file) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # noqa: BLE001 - Pillow's plugins raise anything
        return False


def moving_facts(file: BinaryIO) -> Facts:
    """What a moving picture is like; its length is the sum of its frames' durations."""
    with _opened(file) as image:
        times = []
        with suppress(Exception):  # what can be read of a damaged one counts
            for index in range(getattr(image, "n_frames", 1)):
                image.seek(index)
                image.load()  # a WebP knows its duration only then
                times.append(_duration_s(image))
        length_s = math.fsum(times)
        return Facts(
            duration_s=length_s,
            width=image.width,
            height=image.height,
            fps=len(times) / length_s if length_s else None,
            video_codec=(image.format or "").lower(),
        )


def moving_frames(
    file: BinaryIO, *, start: float, end: float, size: int, damage: Damage
) -> Iterator[Frame]:
    """The frames of a moving picture; see `frames.frames`."""
    time_s, index = 0.0, 0
    with _opened(file) as image:
        if image.width * image.height > PIXELS:
            shape = f"({image.width} x {image.height})"
            message = f"has more pixels {shape} than the limit of {PIXELS:,}"
            raise BadInputError(SkipReason.TOO_LARGE, message)
        while time_s < end:
            try:
                image.seek(index)
                image.load()
                picture = _picture(image, size) if time_s >= start else None
                duration_s = _duration_s(image)
            except EOFError:
                return
            except Exception:  # noqa: BLE001 - Pillow's plugins raise anything
                damage.at(time_s)
                return
            if picture is not None:
                yield Frame(time_s, picture)
            time_s += duration_s
            index += 1


def _opened(file: BinaryIO) -> Image.Image:
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Image.open(file, formats=_FORMATS)
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            message = "is a moving picture whose header is damaged"
            raise BadInputError(SkipReason.CORRUPT, message) from error


def _duration_s(image: Image.Image) -> float:
    written = float(image.info.get("duration", 0)) / 1000
    return written if written > _SHORTEST_S else _AS_BROWSERS_S


def _picture(image: Image.Image, size: int) -> Picture:
    shown = image.convert("RGBA")
    scale = min(1.0, size / min(shown.size))
    target = (max(1, round(shown.width * scale)), max(1, round(shown.height * scale)))
    if target != shown.size:
        shown = shown.resize(target, Image.Resampling.BOX)
    white = Image.new("RGBA", shown.size, "white")
    return np.array(Image.alpha_composite(white, shown).convert("RGB"))


def film_within(file: BinaryIO) -> BinaryIO | None:
    """The film that a phone has put behind a photo (JPEG or HEIC), as a file of its own.

    It is found by its shape, whatever the maker's notes say: a chain of boxes from ``ftyp`` on with
    a ``moov`` among them. What comes behind the chain isn't part of it. It reads from `file`.
    """
    file.seek(0)
    head = file.read(12)
    if head.startswith(b"\xff\xd8\xff"):
        candidates = _positions(file, b"ftyp")
    elif head[4:8] == b"ftyp":
        candidates = _behind_a_heic(file)
    else:
        return None
    for start in candidates:
        end = _end_of_film(file, start)
        if end is not None:
            return io.BufferedReader(_Slice(file, start, end))
    return None


class _Slice(io.RawIOBase):
    """A part of a file, read-only; closing it leaves the file open."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file, self._start, self._length, self._at = file, start, end - start, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        wanted = max(0, min(len(buffer), self._length - self._at))
        self._file.seek(self._start + self._at)
        data = self._file.read(wanted)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _positions(file: BinaryIO, name: bytes) -> Iterator[int]:
    """Where boxes of a name may begin: four bytes before each place where it stands."""
    at, rest = 0, b""
    file.seek(0)
    while chunk := file.read(_CHUNK):
        data = rest + chunk
        found = data.find(name)
        while found >= 0:
            if at + found >= 4:
                yield at + found - 4
            found = data.find(name, found + 1)
        rest = data[-len(name) + 1 :]
        at += len(data) - len(rest)
        file.seek(at + len(rest))


def _behind_a_heic(file: BinaryIO) -> Iterator[int]:
    """In a box of Google's and Samsung's, or just behind the picture."""
    for index, (name, start, content, _) in enumerate(_boxes(file, 0)):
        if name == b"mpvd":
            yield content
        elif name == b"ftyp" and index:
            yield start


def _end_of_film(file: BinaryIO, start: int) -> int | None:
    names: set[bytes] = set()
    reached = start
    for name, _, content, end in _boxes(file, start):
        if name not in _FILM_BOXES or (name == b"ftyp") != (not names):
            break
        if name == b"ftyp":
            file.seek(content)
            if file.read(4) in _STILL_BRANDS:
                return None
        names.add(name)
        reached = end
    return reached if b"moov" in names else None


def _boxes(file: BinaryIO, at: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Name, start, start of the content and end of each box from a place on, while they fit."""
    size = file.seek(0, io.SEEK_END)
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length, content = int.from_bytes(header[:4], "big"), at + 8
        if length == 1:
            length, content = int.from_bytes(header[8:16], "big"), at + 16
        elif length == 0:
            length = size - at
        if length < content - at or at + length > size:
            return
        yield header[4:8], at, content, at + length
        at += length

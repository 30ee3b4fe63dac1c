"""Photos that move: the few seconds of film that a phone puts behind a picture.

Gets: a picture's bytes. Gives: the film inside, as a file. Touches: nothing. Never: decodes.

Phones write the film as a whole MP4 file behind the JPEG (or in a box of its own at the end of a
HEIC), and say so somewhere in the notes, each in its own words. So a photo is searched only if its
beginning or its end says that there is something, and what is found must begin like an MP4 file.
"""

from __future__ import annotations

import io
import re
from typing import BinaryIO

_HINTS = (b"MotionPhoto", b"MicroVideo", b"Container:Directory")
_TAIL_HINTS = (b"SEFT", b"MotionPhoto_Data")
_NOTES = 256 << 10  # bytes at the beginning that hold the notes
_TAIL = 4096
_LARGEST = 256 << 20
_FILM = re.compile(rb"\0\0\0[\x10-\x80]ftyp(?:isom|iso\d|mp4\d|avc1|qt  |3gp\d|MSNV|M4V )")


def film_inside(file: BinaryIO) -> BinaryIO | None:
    """The film behind a photo, or None. It is read whole, which takes its few megabytes."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(_NOTES)
    if not (head.startswith(b"\xff\xd8\xff") or head[4:8] == b"ftyp") or size > _LARGEST:
        return None
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    if not (any(h in head for h in _HINTS) or any(h in tail for h in _TAIL_HINTS)):
        return None
    file.seek(0)
    data = file.read()
    found = _FILM.search(data, 32)  # a HEIC itself begins like a film
    return io.BytesIO(data[found.start() :]) if found else None

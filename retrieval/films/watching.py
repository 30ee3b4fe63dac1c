"""What is seen in a stretch: its shots.

Gets: a film, and where the stretch begins. Gives: drafts of kind ``shot``, with a thumbnail each.
Touches: PyAV and PySceneDetect, through `frames` and `shots`. Never: keeps more pictures than it
gives.

A shot in which nothing is to be seen is no document, unless the beginning of a film has no other:
what is dark from end to end is found, too.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image

from retrieval.errors import BadInputError
from retrieval.schema import Draft, Span, Thumbnail
from retrieval.timed import STRETCH_S
from retrieval.times import clock

from .frames import frames
from .nouns import Broken, Facts, Frame
from .shots import Shot, shots

OVERSIZE = 2  # pictures are so many times the encoder's side, so that its own resizing stays sharp
THUMBNAIL_PX = 320  # longer side
_QUALITY = 80  # of JPEG
_FAR_APART_FPS = 2.0  # a film of fewer pictures a second is slides
_MOVING_PICTURES = ("gif", "png", "webp")  # whose length is that of their frames together


@dataclass(frozen=True, slots=True)
class Seen:
    """The pictures of a stretch.

    Attributes:
        drafts: its shots.
        end: where they end, in seconds; None: they go on after the stretch.
        following: time of the first picture after the stretch, if there is one.
        is_empty: whether no picture could be decoded.
    """

    drafts: tuple[Draft, ...]
    end: float | None
    following: float | None
    is_empty: bool


def watch(
    file: BinaryIO,
    facts: Facts,
    start: float,
    *,
    pixels: int,
    fast: bool = False,
    broken: list[Broken],
) -> Seen:
    """Look at the stretch that begins at `start`.

    Args:
        file: seekable.
        facts: of it.
        start: in seconds.
        pixels: side of the picture that the encoder looks at.
        fast: key frames only.
        broken: what can't be decoded is added to it.
    """
    until = start + STRETCH_S
    decoded = frames(file, start=start, size=OVERSIZE * pixels, fast=fast, broken=broken)
    reel = _Reel(decoded, broken)
    sparse = fast or (facts.fps or math.inf) <= _FAR_APART_FPS
    ends = facts.duration_s if sparse or facts.video_codec in _MOVING_PICTURES else None
    found = list(shots(reel, start=start, until=until, ends=ends, sparse=sparse))
    goes_on = reel.latest is not None and reel.latest >= until
    end = None if goes_on else max((shot.end for shot in found), default=start)
    return Seen(
        drafts=tuple(drafts_of(found, start)),
        end=end,
        following=reel.latest if goes_on else None,
        is_empty=reel.latest is None,
    )


def watch_whole(file: BinaryIO, facts: Facts, pixels: int) -> Iterator[Draft]:
    """The shots of something short, from its beginning to its end."""
    following: float | None = 0.0
    while following is not None:
        start = following // STRETCH_S * STRETCH_S
        seen = watch(file, facts, start, pixels=pixels, broken=[])
        yield from seen.drafts
        following = seen.following


def drafts_of(found: Sequence[Shot], start: float) -> Iterator[Draft]:
    """The documents of a stretch's shots."""
    worth = [shot for shot in found if not shot.blank]
    if not worth and found and start == 0:
        worth = [max(found, key=lambda shot: shot.end - shot.start)]
    for shot in worth:
        span = Span(shot.start, shot.end)
        yield Draft("shot", shot.pictures, span, thumbnail=_thumbnail(shot.key_frame, span))


def _thumbnail(frame: Frame, span: Span) -> Thumbnail:
    """A key frame, small; where a shot has no frame of its own, its time is moved into it."""
    picture = Image.fromarray(frame.picture)
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=_QUALITY)
    time_s = min(max(frame.time_s, span.start), math.nextafter(span.end, span.start))
    return Thumbnail(time_s, written.getvalue())


class _Reel:
    """Frames on their way, and the time of the latest."""

    def __init__(self, source: Iterator[Frame], broken: list[Broken]) -> None:
        self._source = source
        self._broken = broken
        self.latest: float | None = None

    def __iter__(self) -> Iterator[Frame]:
        try:
            for frame in self._source:
                self.latest = frame.time_s
                yield frame
        except BadInputError as error:
            if self.latest is None:
                raise
            self._broken.append(Broken(self.latest, f"{error} (at {clock(self.latest, 2)})"))
        finally:
            close: Callable[[], None] | None = getattr(self._source, "close", None)
            if close is not None:
                close()

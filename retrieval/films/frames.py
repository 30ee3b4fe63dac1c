"""The pictures of a film, one after another.

Gets: a film's bytes. Gives: frames with their times, upright, RGB, reduced. Touches: PyAV, and
Pillow for pictures that move. Never: keeps more than a frame, so memory is flat.

Decisions that bind this module:

- Decoding is sequential, and a frame's time is its own timestamp: frame rates vary.
- Going in at `start` is decoding from a key frame before it and dropping what comes earlier. Some
  containers call a frame a key frame that isn't one; what such a one gives is known as corrupt to
  the decoder, and an earlier one is tried, at last the beginning.
- Frames that the decoder knows to be corrupt are left out and told of as damage.
- All pictures of a film have one shape, that of its header, though some films change theirs.
- Reduction, conversion to RGB and square pixels are one pass of FFmpeg's scaler; turning upright
  and the tones of HDR are done on what is left, which is small.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

from .containers import BACK_S, NO_ROOM, opened, origin, packets, picture_track, seek
from .damage import Damage
from .moving import is_moving, moving_frames
from .nouns import Broken, Frame
from .pixels import Painter, Stored
from .pyav import av

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_EARLIER_S = 0.1  # before a key frame that was none, the next one is looked for; then further


def frames(
    file: BinaryIO,
    *,
    start: float = 0.0,
    end: float = math.inf,
    size: int,
    fast: bool = False,
    broken: list[Broken] | None = None,
) -> Iterator[Frame]:
    """The frames of a film with ``start <= time_s < end``, in order, each time once.

    A file without a picture has none. Frames from a start are those of the whole film.

    Args:
        file: seekable; a film, or a GIF, PNG or WebP that moves.
        start: in seconds.
        end: in seconds; reading stops at the first frame that isn't before it.
        size: the shorter side is reduced to this, where it is longer.
        fast: key frames only.
        broken: what can't be decoded is added to it. The frames end where nothing more can be.

    Raises:
        BadInputError: nothing can be read at all, or there are too many pixels.
    """
    damage = Damage([] if broken is None else broken, start)
    if is_moving(file):
        yield from moving_frames(file, start=start, end=end, size=size, damage=damage)
        return
    painter: Painter | None = None
    before = -math.inf
    with closing(good_frames(file, start, damage, fast=fast)) as decoded:
        for time_s, frame, stored in decoded:
            if time_s >= end:
                return
            if time_s < before - BACK_S:
                damage.back(before)
            if time_s >= start and time_s > before:
                before = time_s
                painter = painter or Painter(size, stored)
                yield Frame(time_s, painter.picture(frame))


def good_frames(
    file: BinaryIO, start: float, damage: Damage, *, fast: bool = False
) -> Generator[tuple[float, VideoFrame, Stored]]:
    """Good frames with their times, from one at or before `start` on, or from the first."""
    target, step = start, _EARLIER_S
    while True:
        with opened(file) as container:
            track = picture_track(container)
            if track is None:
                return
            stored = Stored.of(track)
            zero_s = origin(container)
            inside = target > 0 and seek(container, track, target + zero_s)
            decoding = _timed(container, track, zero_s, fast, damage)
            first = next(decoding, None)
            if not inside or (first and _may_begin(*first, start)):
                yield from _good(chain([first] if first else [], decoding), stored, damage)
                return
            damage.forget()
            landed = target if first is None else math.nan if first[0] is None else first[0]
            # Without timestamps nobody knows where this is: then from the beginning.
            target = -1.0 if math.isnan(landed) else min(target, landed) - step
            step *= 4


def _may_begin(time_s: float | None, frame: VideoFrame, start: float) -> bool:
    return time_s is not None and time_s <= start and not frame.is_corrupt


def _good(
    decoding: Iterator[tuple[float | None, VideoFrame]], stored: Stored, damage: Damage
) -> Iterator[tuple[float, VideoFrame, Stored]]:
    """What isn't corrupt; where timestamps lack, they go on by the frame rate."""
    following = 0.0
    for stamp_s, frame in decoding:
        time_s = following if stamp_s is None else stamp_s
        following = time_s + float(1 / stored.rate)
        if frame.is_corrupt:
            damage.at(time_s)
        else:
            yield time_s, frame, stored


def _timed(
    container: InputContainer, track: VideoStream, zero_s: float, fast: bool, damage: Damage
) -> Iterator[tuple[float | None, VideoFrame]]:
    """What the decoder gives, with times from 0 on; None where timestamps lack."""
    reached = 0.0
    if fast:
        track.codec_context.skip_frame = "NONKEY"
    for packet in packets(container, track, zero_s, damage):
        if fast and packet.size and not packet.is_keyframe:
            continue  # some decoders look at all that they are given
        try:
            decoded = track.codec_context.decode(packet)
        except NO_ROOM:
            raise
        except (av.FFmpegError, ValueError):
            damage.at(reached)
            continue
        for frame in decoded:
            stamp = frame.pts if frame.pts is not None else frame.dts
            if stamp is None or frame.time_base is None:
                yield None, frame
            else:
                reached = max(0.0, float(stamp * frame.time_base) - zero_s)
                yield reached, frame

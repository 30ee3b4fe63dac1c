"""A part of a film or a recording, as a file of its own.

Gets: two paths and two times. Gives: the clip, and what was done. Touches: both files.
Never: writes over the source, or leaves half a clip where the whole one should be.

Decisions that bind this module:

- Packets are copied where they can be: nothing is lost, and it takes no time. A copied film begins
  at a key frame, so it is copied only where one lies at most `NEAR_S` before `start`, or `LATE_S`
  behind it (times in a link are rounded); the clip then begins there. Else its pictures are
  encoded again, and it begins at `start` itself. A copied recording begins with the packet that
  holds `start`: 20 to 100 ms before it, by codec.
- Each track is decided on by itself: sound is copied beside pictures that are encoded again. What
  the container of `out` can't hold is encoded as something that it can.
- All tracks of sound come along, in their order, and the one track of pictures that is searched.
- Each track is read by itself, and the muxer gets the packets of all in the order of time; so
  memory is flat, and it doesn't matter how the source is interleaved.
- Pictures that are encoded again are turned upright in doing so.
"""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.errors import BadInputError, SkipReason, StoreUnreachableError, UsageError
from retrieval.schema import printable
from retrieval.times import clock

from .clip_tracks import RECORDINGS, Part, Track, copied, is_lossless, pictures, sounds
from .containers import opened, origin, packets, picture_track, seek, sound_track
from .damage import Damage
from .frames import good_frames
from .moving import is_moving
from .pyav import av

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

NEAR_S = 0.5  # a copied film begins at a key frame at most so long before what was asked for, ...
LATE_S = 0.06  # ... or so long behind it
_SOUND_SUFFIXES = (".m4a", ".mka", ".weba")  # of containers that could hold a film, too
_BACK_S = 0.5  # before a packet of sound that is looked for, reading begins


@dataclass(frozen=True, slots=True)
class Cut:
    """What was cut out.

    Attributes:
        start, end: of the clip, in seconds of the source: what was asked for, but for the key
            frame or packet that a copy begins with, and the length of the last one.
        encoded: what was encoded again: "pictures", "sound".
    """

    start: float
    end: float
    encoded: tuple[str, ...] = ()

    @property
    def copied(self) -> bool:
        """Whether nothing was encoded again."""
        return not self.encoded


def cut(source: Path, out: Path, start: float, end: float = math.inf) -> Cut:
    """Cut ``[start, end)`` out of a film or a recording.

    Args:
        source: which is only read.
        out: in the format of its suffix; written over when it is there.
        start: in seconds.
        end: in seconds; the clip is shorter where the source ends before.

    Raises:
        UsageError: times without anything between, a suffix that is no film's, `out` is `source`.
        BadInputError: the source can't be read.
        StoreUnreachableError: the clip can't be written.
    """
    if not 0 <= start < end:
        until = "the end" if end == math.inf else clock(end, 2)
        raise UsageError(
            f"There is nothing from {clock(start, 2)} to {until}.",
            advice="Name a start and, after it, an end, in seconds.",
        )
    if out.exists() and out.samefile(source):
        raise UsageError(
            f"{printable(str(out))} is the film itself.", advice="Name another file for the clip."
        )
    _check_readable(source)
    unfinished = out.with_name(f".{os.getpid()}-{out.name}")
    try:
        done = _written(source, unfinished, start, end)
        unfinished.replace(out)
    except (OSError, av.FFmpegError) as error:
        raise StoreUnreachableError(
            f"{printable(str(out))} can't be written: {error.strerror or error}.",
            advice="Free some space, or name another folder.",
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return done


def _written(source: Path, out: Path, start: float, end: float) -> Cut:
    with ExitStack() as stack:
        clip = stack.enter_context(_creating(out))
        part, tracks = _planned(source, clip, stack, (start, end))
        if not tracks:
            raise UsageError(
                f"{printable(out.suffix)} holds nothing of what {printable(source.name)} has.",
                advice="Give the clip the suffix of the film.",
            )
        reached = _muxed(clip, tracks)
    if reached is None:
        raise UsageError(
            f"There is nothing in {printable(source.name)} from {clock(start, 2)} on.",
            advice="Name an earlier start.",
        )
    encoded = tuple(dict.fromkeys(track.encoded for track in tracks if track.encoded))
    return Cut(part.start, part.start + reached, encoded)


@contextmanager
def _creating(out: Path) -> Iterator[OutputContainer]:
    try:
        clip = av.open(str(out), "w")
    except ValueError as error:
        raise UsageError(
            _misnamed(out),
            advice="Give the clip the suffix of the film, or .mp4, .mkv, .mp3, .wav.",
        ) from error
    with clip:
        yield clip


def _misnamed(out: Path) -> str:
    if not out.suffix:
        return "The name of the clip has no suffix, which would tell its format."
    return f"{printable(out.suffix)} is not the suffix of a film or a recording."


def _check_readable(source: Path) -> None:
    try:
        source.open("rb").close()
    except OSError as error:
        message = f"can't be read: {error.strerror or error}"
        raise BadInputError(SkipReason.UNREADABLE, message) from error


def _planned(
    source: Path, clip: OutputContainer, stack: ExitStack, asked: tuple[float, float]
) -> tuple[Part, list[Track]]:
    """The part that is cut out, and the clip's tracks; each has the source open for itself.

    The first track decides where the clip begins.
    """
    alone = clip.format.name in RECORDINGS or Path(clip.name).suffix in _SOUND_SUFFIXES
    begins, picture, sounding = _looked_at(source, asked[0], alone)
    part = exact = Part(source, *asked)
    tracks: list[Track | None] = []
    if begins is not None:
        part = Part(source, begins, asked[1])
        first = picture if picture is not None else sounding[0]
        tracks.append(copied(part, first, clip, stack))
    if not tracks or tracks[0] is None:
        part = exact
        tracks = [] if picture is None else [pictures(part, clip)]
    for index in sounding[len(tracks) if picture is None else 0 :]:
        track = copied(part, index, clip, stack) or sounds(part, index, clip, stack)
        tracks.append(track)
    return part, [track for track in tracks if track is not None]


def _looked_at(
    source: Path, start: float, alone: bool
) -> tuple[float | None, int | None, list[int]]:
    """Where a copy may begin, if anywhere; index of the track of pictures; those of sound.

    Args:
        source: the film.
        start: in seconds.
        alone: whether only the one track of sound is wanted that is searched.
    """
    with source.open("rb") as file:
        if is_moving(file):
            raise BadInputError(SkipReason.UNSUPPORTED, "is a picture that moves, not a film")
        with opened(file) as container:
            picture, sounding = picture_track(container), sound_track(container)
            others = [track.index for track in container.streams.audio if track.codec_context]
            if alone and sounding is not None:
                picture, others = None, [sounding.index]
            if picture is not None:
                begins = _key_frame(container, picture, start)
            elif sounding is not None:
                begins = (
                    start if is_lossless(sounding) else _packet_with(container, sounding, start)
                )
            else:
                raise BadInputError(SkipReason.NO_CONTENT, "has neither pictures nor sound")
            index = None if picture is None else picture.index
    if index is not None and begins is not None and not _is_true_key(source, begins):
        begins = None
    return begins, index, others


def _key_frame(container: InputContainer, track: VideoStream, start: float) -> float | None:
    """Time of the last key frame that is near enough to `start`."""
    zero_s = origin(container)
    if start > 0 and not seek(container, track, max(0.0, start - NEAR_S) + zero_s):
        return None
    found = None
    for packet in packets(container, track, zero_s, Damage([])):
        if packet.dts is not None and float(packet.dts * packet.time_base) - zero_s > start + 1:
            break
        if packet.pts is None or not packet.is_keyframe:
            continue
        time_s = float(packet.pts * packet.time_base) - zero_s
        if start - NEAR_S <= time_s <= start + LATE_S:
            found = max(0.0, time_s)
    return found


def _is_true_key(source: Path, time_s: float) -> bool:
    """Whether decoding can begin at a key frame: some containers call one what isn't."""
    with (
        source.open("rb") as file,
        closing(good_frames(file, time_s + 1e-4, Damage([]))) as decoded,
    ):
        first = next(decoded, None)
    return first is not None and abs(first[0] - time_s) < 0.002


def _packet_with(container: InputContainer, track: Stream, start: float) -> float | None:
    """Time of the packet that holds `start`."""
    zero_s = origin(container)
    if start > _BACK_S:
        seek(container, track, start - _BACK_S + zero_s)
    for packet in packets(container, track, zero_s, Damage([])):
        if packet.pts is None:
            continue
        time_s = float(packet.pts * packet.time_base) - zero_s
        if time_s + float((packet.duration or 0) * packet.time_base) > start:
            return max(0.0, time_s)
    return None


def _muxed(clip: OutputContainer, tracks: list[Track]) -> float | None:
    """Write the tracks' packets in the order of time; how far they reach, in the clip's time."""
    reached: float | None = None
    merged = heapq.merge(*map(_stamped, tracks), key=lambda stamped: stamped[0])
    for _, packet in merged:
        end_s = float(((packet.pts or 0) + (packet.duration or 0)) * packet.time_base)
        reached = max(reached or 0.0, end_s)
        try:
            clip.mux(packet)
        except (OSError, av.FFmpegError) as error:
            # Told here: the source is open around this, and isn't to blame.
            detail = getattr(error, "strerror", None) or error
            raise StoreUnreachableError(
                f"The clip can't be written: {detail}.",
                advice="Free some space, or name another folder or format.",
            ) from error
    return reached


def _stamped(track: Track) -> Iterator[tuple[float, Packet[Stream]]]:
    for packet in track.packets:
        stamp = packet.dts if packet.dts is not None else packet.pts
        yield float((stamp or 0) * packet.time_base), packet

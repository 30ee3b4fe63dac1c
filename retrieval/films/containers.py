"""Containers of films and recordings: opened, described, their tracks chosen.

Gets: a seekable binary file. Gives: FFmpeg's container, `Facts`, the track to read, packets.
Touches: PyAV. Never: a path, another file, the network: playlists and references are refused.

Decisions that bind this package:

- Times count from the beginning of the film: the earliest first timestamp of the two tracks that
  are read is 0. A slightly negative one is a codec's lead-in, which nobody shall hear, and stays.
- The track that is read is the first that is marked as the default, else the first that can be
  decoded. The cover of a record is no picture of a film.
- Damage costs what is damaged. What can't be decoded is left out and told of in a list of
  `Broken`, which the caller brings; the rest comes as if nothing had been.
- Two threads decode: decoding processes run beside each other, and each thread takes memory.
"""

from __future__ import annotations

import math
import re
from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from retrieval.errors import BadInputError, SkipReason
from retrieval.schema import printable

from .damage import Damage
from .moving import PIXELS, is_moving, moving_facts
from .nouns import Facts, SubtitleTrack
from .pixels import square, turn_of
from .pyav import Discard, Disposition
from .pyav import av as av  # noqa: PLC0414 - who reads packets needs its errors, too

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_NO_DECODER = "is in a codec that FFmpeg can't decode"
_Track = TypeVar("_Track", bound="Stream")
_STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_THREADS = 2
_FIRST_PACKETS = 64  # among which a first frame is looked for
_UNSET_YEARS = (1904, 1970)  # in which the clocks of containers begin
_LONGEST_CAPTION = 4096
_LEAD_IN_S = 0.2  # of a codec: a first timestamp so little below 0 doesn't shift the film
_AFRESH = 8  # times that reading is taken up again after an error without a packet between
NO_ROOM = (MemoryError, BlockingIOError)  # the latter: for another thread
BACK_S = 0.5  # times that go back by more aren't just untidy
_OPTIONS = {
    # Neither a playlist nor a reference makes FFmpeg open anything else. No such protocol exists.
    "protocol_whitelist": "none",
    "format_whitelist": (
        "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dv,dts,eac3,flac,flv,gif,ivf,apng,loas,"
        "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,mpegvideo,mxf,nut,ogg,"
        "rm,tta,vc1,voc,w64,wav,wv,h264,hevc,m4v,obu,av1"
    ),
}


@contextmanager
def opened(file: BinaryIO) -> Iterator[InputContainer]:
    """Open a container; what goes wrong until the end of the block is a `BadInputError`.

    The messages go behind the file's name: "is text, not a film or a recording".
    """
    file.seek(0)
    head = file.read(4096)
    if not head:
        raise BadInputError(SkipReason.EMPTY, "is empty")
    file.seek(0)
    try:
        with av.open(file, "r", options=_OPTIONS, metadata_errors="replace") as container:
            yield container
    except BadInputError:
        raise
    except NO_ROOM as error:
        message = "needs more memory than a decoder is given"
        raise BadInputError(SkipReason.DECODER_FAILED, message) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _told(error, head) from error


def facts(file: BinaryIO) -> Facts:
    """What a container says of itself; the first frame is decoded to see how it lies.

    Raises:
        BadInputError: it can't be opened, or there are too many pixels.
    """
    if is_moving(file):
        return moving_facts(file)
    with opened(file) as container:
        picture, sounding = picture_track(container), sound_track(container)
        if not (picture or sounding) and any(s.codec_context is None for s in container.streams):
            raise BadInputError(SkipReason.UNSUPPORTED, _NO_DECODER)
        # Ogg keeps its notes in the stream.
        written = {**(sounding.metadata if sounding else {}), **container.metadata}
        notes = {key.lower(): value.strip() for key, value in written.items()}
        found = Facts(
            duration_s=container.duration / av.time_base if container.duration else None,
            audio_codec=sounding.codec_context.codec.canonical_name if sounding else "",
            audio_tracks=len(container.streams.audio),
            subtitles=tuple(
                SubtitleTrack(
                    track.index,
                    track.codec_context.codec.canonical_name if track.codec_context else "",
                    track.language or "",
                    bool(track.disposition & Disposition.default),
                )
                for track in container.streams.subtitles
            ),
            title=notes.get("title", ""),
            taken=_taken(notes),
            captions=_captions(notes),
            camera=_camera(notes),
            place=_place(notes),
        )
        return found if picture is None else _with_picture(found, container, picture)


def _with_picture(found: Facts, container: InputContainer, track: VideoStream) -> Facts:
    rate = track.average_rate or track.guessed_rate
    _, quarters = turn_of(_first_frame(container, track))
    size = square(track.width, track.height, track.sample_aspect_ratio)
    width, height = size[::-1] if quarters % 2 else size
    return replace(
        found,
        width=width,
        height=height,
        rotation=quarters * 90,
        fps=float(rate) if rate else None,
        video_codec=track.codec_context.codec.canonical_name,
    )


def _first_frame(container: InputContainer, track: VideoStream) -> VideoFrame | None:
    for packet in islice(packets(container, track, 0.0, Damage([])), _FIRST_PACKETS):
        try:
            for frame in track.codec_context.decode(packet):
                return frame
        except (av.FFmpegError, ValueError):
            continue
    return None


def _taken(notes: Mapping[str, str]) -> str:
    """When it was recorded: by the phone's local clock, else by the container's, else the year."""
    for key in ("com.apple.quicktime.creationdate", "creation_time", "date"):
        text = notes.get(key, "")
        with suppress(ValueError):
            moment = datetime.fromisoformat(text)
            if moment.year not in _UNSET_YEARS:
                return moment.isoformat() if len(text) > len("2020-01-01") else text
    return ""


def _captions(notes: Mapping[str, str]) -> tuple[str, ...]:
    keys = ("description", "synopsis", "comment", "com.apple.quicktime.description")
    texts = (notes.get(key, "").partition("\0")[0][:_LONGEST_CAPTION] for key in keys)
    return tuple(dict.fromkeys(text for text in texts if text))


def _camera(notes: Mapping[str, str]) -> str:
    make, model = (
        notes.get(f"com.apple.quicktime.{key}", notes.get(key, "")) for key in ("make", "model")
    )
    return model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()


def _place(notes: Mapping[str, str]) -> tuple[float, float] | None:
    text = notes.get("com.apple.quicktime.location.iso6709", notes.get("location", ""))
    match = re.match(r"([+-]\d{2}(?:\.\d+)?)([+-]\d{3}(?:\.\d+)?)", text)
    place = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
    return place if place != (0.0, 0.0) else None


def picture_track(container: InputContainer) -> VideoStream | None:
    """The track whose pictures are read, set up for decoding; None: there is none.

    Raises:
        BadInputError: too_large, by `PIXELS`.
    """
    track = _best([s for s in container.streams.video if not s.disposition & _STILL])
    if track is not None:
        if track.width * track.height > PIXELS:
            size = f"({track.width} x {track.height})"
            message = f"has more pixels {size} than the limit of {PIXELS:,}"
            raise BadInputError(SkipReason.TOO_LARGE, message)
        track.thread_type = "AUTO"
        track.thread_count = _THREADS
    return track


def sound_track(container: InputContainer) -> AudioStream | None:
    """The track whose sound is read; None: there is none."""
    return _best(list(container.streams.audio))


def origin(container: InputContainer) -> float:
    """The timestamp, in seconds, that is second 0 of the film."""
    tracks = (picture_track(container), sound_track(container))
    starts = [
        float(track.start_time * track.time_base)
        for track in tracks
        if track is not None and track.start_time is not None and track.time_base is not None
    ]
    first = min(starts, default=0.0)
    return 0.0 if -_LEAD_IN_S < first < 0 else first


def seek(container: InputContainer, track: Stream, timestamp_s: float) -> bool:
    """Go to the key frame at or before a timestamp.

    Returns:
        Whether it is there; else this container can't, and is at its beginning.
    """
    try:
        if track.time_base is not None:
            container.seek(math.floor(timestamp_s / track.time_base), stream=track)
            return True
    except av.FFmpegError:
        with suppress(av.FFmpegError):  # looking for the place may have read to the end
            container.seek(0, unsupported_byte_offset=True)
    return False


def packets(
    container: InputContainer, track: Stream, zero_s: float, damage: Damage
) -> Iterator[Packet[Stream]]:
    """A track's packets to the end; the last one is empty and makes decoders give all they hold.

    Args:
        container: where it stands.
        track: of it.
        zero_s: see `origin`.
        damage: is told what can't be read.
    """
    reached, failures = 0.0, 0
    for other in container.streams:
        if other.index != track.index:
            other.discard = Discard.all
    while failures < _AFRESH:
        try:
            for packet in container.demux(track):
                if not packet.size and packet.dts is None:
                    damage.ends(reached, (container.duration or 0) / av.time_base)
                else:
                    reached, failures = max(reached, _end_of(packet) - zero_s), 0
                yield packet
        except NO_ROOM:
            raise
        except (av.FFmpegError, ValueError):
            failures += 1
            damage.at(reached)
        else:
            return
    damage.ends(reached, (container.duration or 0) / av.time_base)
    yield av.Packet()


def _best(tracks: list[_Track]) -> _Track | None:
    able = [track for track in tracks if track.codec_context is not None]
    return next((t for t in able if t.disposition & Disposition.default), next(iter(able), None))


def _end_of(packet: Packet[Stream]) -> float:
    stamp = packet.pts if packet.pts is not None else packet.dts
    return 0.0 if stamp is None else float((stamp + (packet.duration or 0)) * packet.time_base)


def _told(error: Exception, head: bytes) -> BadInputError:
    if isinstance(error, av.DecoderNotFoundError):
        return BadInputError(SkipReason.UNSUPPORTED, _NO_DECODER)
    if isinstance(error, OSError) and not isinstance(error, av.FFmpegError):
        return BadInputError(SkipReason.UNREADABLE, f"can't be read: {error.strerror or error}")
    # Of a format that isn't among `_OPTIONS`, as a picture, FFmpeg says "invalid argument".
    if not isinstance(error, av.InvalidDataError | av.EOFError | av.ArgumentError):
        detail = getattr(error, "strerror", None) or str(error)
        return BadInputError(SkipReason.CORRUPT, f"is damaged: {printable(detail)}")
    if _is_text(head):
        return BadInputError(SkipReason.CORRUPT, "is text, not a film or a recording")
    message = "is not a film or a recording, or its header is damaged"
    return BadInputError(SkipReason.CORRUPT, message)


def _is_text(head: bytes) -> bool:
    try:  # final=False: the head may end within a character
        getincrementaldecoder("utf-8")().decode(head, final=False)
    except UnicodeDecodeError:
        return False
    return b"\x00" not in head

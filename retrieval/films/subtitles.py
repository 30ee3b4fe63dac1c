"""Subtitles inside a film: what is written in a stretch of it, and when.

Gets: a file, and one of its tracks. Gives: segments. Touches: PyAV. Never: subtitles that are
pictures, which would have to be read first.

The packets of a track of subtitles lie thinly between those of the film. So these are read, too,
and tell when the stretch is over; they aren't decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from retrieval.timed import Segment

from .containers import opened, origin, picture_track, seek, sound_track
from .nouns import Facts, SubtitleTrack
from .pyav import av

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

_TEXT_CODECS = frozenset({"ass", "mov_text", "srt", "ssa", "subrip", "text", "webvtt"})
_BEFORE_S = 5.0  # read before a stretch, ...
_BEHIND_S = 2.0  # ... and behind it: packets are not quite in order
_UNTIMED_S = 3.0  # a line that doesn't say how long it is shown
_MARKS = re.compile(r"\{\\[^}]*\}")  # of ASS, as which FFmpeg gives all text: {\i1}


def text_track(facts: Facts) -> SubtitleTrack | None:
    """The track that is read: the one that players show unasked, else the first of text."""
    able = [track for track in facts.subtitles if track.codec in _TEXT_CODECS]
    return next((track for track in able if track.default), next(iter(able), None))


def lines(file: BinaryIO, track: SubtitleTrack, start: float, until: float) -> list[Segment]:
    """The lines of a track that begin in ``[start, until)``, in order.

    Raises:
        BadInputError: the file can't be opened.
    """
    with opened(file) as container:
        guide = picture_track(container) or sound_track(container)
        written: Stream = container.streams[track.index]
        zero_s = origin(container)
        if start > _BEFORE_S:
            seek(container, guide or written, start - _BEFORE_S + zero_s)
        found: list[Segment] = []
        tracks = [written] if guide is None else [written, guide]
        try:
            for packet in container.demux(tracks):
                time_s = _time_of(packet, zero_s)
                if time_s is None:
                    continue
                if time_s >= until + _BEHIND_S:
                    break
                if packet.stream.index == track.index and start <= time_s < until:
                    found += _segments(packet, time_s, track.language)
        except (av.FFmpegError, ValueError):
            pass  # what is damaged is told of by who reads the film itself
    return sorted(found, key=lambda segment: segment.start)


def _time_of(packet: Packet[Stream], zero_s: float) -> float | None:
    stamp = packet.pts if packet.pts is not None else packet.dts
    if stamp is None or packet.time_base is None:
        return None
    return round(max(0.0, float(stamp * packet.time_base) - zero_s), 3)


def _segments(packet: Packet[Stream], start: float, language: str) -> Iterator[Segment]:
    length_s = float((packet.duration or 0) * packet.time_base) or _UNTIMED_S
    for subtitle in packet.decode():
        dialogue = getattr(subtitle, "dialogue", b"")
        text = _MARKS.sub("", dialogue.decode("utf-8", "replace"))
        text = text.replace("\\N", "\n").replace("\\h", " ").strip()
        if text:
            known = language if len(language) == 2 else ""
            yield Segment(text, start, round(start + length_s, 3), known)

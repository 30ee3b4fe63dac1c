"""The tracks of a clip: copied, or decoded and encoded again.

Gets: a part of a film, a clip to be. Gives: tracks whose packets come as they are asked for.
Touches: the source. Never: writes; that is `clip`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .containers import opened, origin, packets, seek
from .damage import Damage
from .frames import good_frames
from .pixels import Painter, Stored, colours_of
from .pyav import av
from .sound import timed_sound

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_TICKS = 60_000  # a second, of pictures that are encoded; no codec here takes more than 65,535
_BACK_S = 0.5  # before the first packet of sound, reading begins
_PICTURE_CODECS = ("libx264", "libvpx-vp9", "libvpx", "mpeg4")  # the first that the clip can hold
_SOUND_CODECS = ("aac", "libopus", "libmp3lame", "flac", "pcm_s16le")
_USUAL_PICTURES = {"avi": ("mpeg4",)}  # tried before these
_USUAL_SOUND = {
    "adts": ("aac",),
    "aiff": ("pcm_s16be",),
    "avi": ("libmp3lame",),
    "flac": ("flac",),
    "mp3": ("libmp3lame",),
    "ogg": ("libopus",),
    "opus": ("libopus",),
    "wav": ("pcm_s16le",),
}
_LOSSLESS = ("flac", "alac")
# Containers of one track of sound, and with what the codecs begin that may be copied into them.
# FFmpeg would take more, and nothing would play it.
RECORDINGS = {
    "adts": ("aac",),
    "aiff": ("pcm_",),
    "flac": ("flac",),
    "mp3": ("mp3",),
    "ogg": ("opus", "vorbis", "flac", "speex"),
    "opus": ("opus",),
    "wav": ("pcm_",),
}
_OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "20"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "6", "crf": "30", "b": "0"},
    "mpeg4": {"qscale": "3"},
}
_OPUS_RATE = 48_000
_FULL_SIZE = 1 << 20
_SAME_S = 1e-3  # times so near are one


@dataclass(frozen=True, slots=True)
class Part:
    """``[start, end)`` of a film, in seconds."""

    source: Path
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Track:
    """A track of the clip, on its way.

    Attributes:
        packets: in the order of decoding; their timestamps count from the clip's start.
        encoded: "pictures" or "sound" when it is encoded again, "" when it is copied.
    """

    packets: Iterator[Packet[Stream]]
    encoded: str = ""


def is_lossless(source: Stream) -> bool:
    """Whether a track of sound can be written anew without loss."""
    codec = source.codec_context.name
    return codec in _LOSSLESS or codec.startswith("pcm_")


def copied(part: Part, index: int, clip: OutputContainer, stack: ExitStack) -> Track | None:
    """A track that loses nothing; None: the clip's container can't hold it.

    Its packets are those of the source. Sound that is stored without loss is written anew
    instead, and so cut to the sample.
    """
    container, source = _opened(part, index, stack)
    codec = source.codec_context.codec.canonical_name
    if not codec.startswith(RECORDINGS.get(clip.format.name, "")):
        return None
    if is_lossless(source):
        return _sounding(container, source, part, clip, (codec,))
    if clip.format.name == "avi" != container.format.name:
        return None  # which has no timestamps
    try:
        stream = clip.add_stream_from_template(source, opaque=True)
    except (ValueError, av.FFmpegError):
        return None
    stream.metadata.update(_notes(source))
    stream.disposition = source.disposition
    return Track(_copied(container, source, stream, part))


def pictures(part: Part, clip: OutputContainer) -> Track | None:
    """The pictures, encoded again; None: the clip's container holds none, or there are none."""
    with ExitStack() as stack:
        file = stack.enter_context(part.source.open("rb"))
        decoded = good_frames(file, part.start, Damage([]))
        first = next(stack.enter_context(closing(decoded)), None)
        if first is None:
            return None
        _, frame, stored = first
        upright = _Upright(frame, stored)
    for codec in (*_USUAL_PICTURES.get(clip.format.name, ()), *_PICTURE_CODECS):
        try:
            stream: Any = clip.add_stream(codec, rate=stored.rate, options=_OPTIONS.get(codec, {}))
        except (ValueError, av.FFmpegError):
            continue
        stream.width, stream.height, stream.pix_fmt = upright.width, upright.height, "yuv420p"
        stream.colorspace = upright.colours
        # AVI knows but one rate; elsewhere each frame keeps its own time.
        ticks = stored.rate if clip.format.name == "avi" else Fraction(_TICKS)
        stream.codec_context.time_base = 1 / ticks
        return Track(_pictures(part, upright, stream, ticks), "pictures")
    return None


def sounds(part: Part, index: int, clip: OutputContainer, stack: ExitStack) -> Track | None:
    """A track of sound, encoded again; None: the clip's container holds none."""
    container, source = _opened(part, index, stack)
    usual = _USUAL_SOUND.get(clip.format.name, ())
    found = _sounding(container, source, part, clip, (*usual, *_SOUND_CODECS))
    return found and Track(found.packets, "sound")


def _sounding(
    container: InputContainer,
    source: AudioStream,
    part: Part,
    clip: OutputContainer,
    codecs: tuple[str, ...],
) -> Track | None:
    """A track in the first of the codecs that the clip can hold."""
    layout = source.codec_context.layout
    same = codecs[0] == source.codec_context.name
    mixed = {1: "mono", 2: "stereo"}.get(layout.nb_channels, layout.name if same else "stereo")
    for codec in codecs:
        rate = _OPUS_RATE if codec == "libopus" else source.codec_context.sample_rate
        try:
            stream: Any = clip.add_stream(codec, rate=rate, layout=mixed)
        except (ValueError, av.FFmpegError):
            continue
        if same:
            stream.format = source.codec_context.format
        stream.metadata.update(_notes(source))
        stream.disposition = source.disposition
        return Track(_sounds(container, source, stream, part))
    return None


def _opened(part: Part, index: int, stack: ExitStack) -> tuple[InputContainer, Any]:
    container = stack.enter_context(opened(stack.enter_context(part.source.open("rb"))))
    return container, container.streams[index]


def _notes(source: Stream) -> dict[str, str]:
    return {k: v for k, v in source.metadata.items() if k in ("language", "title")}


def _copied(
    container: InputContainer, source: Stream, stream: Stream, part: Part
) -> Iterator[Packet[Stream]]:
    zero_s = origin(container)
    back_s = 0.0 if source.type == "video" else _BACK_S
    if part.start > back_s:
        seek(container, source, part.start - back_s + zero_s + 1e-4)
    begun, last = False, None
    for packet in packets(container, source, zero_s, Damage([])):
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            continue
        offset = round((part.start + zero_s) / packet.time_base)
        begun = begun or (
            packet.is_keyframe and stamp >= offset - round(_SAME_S / packet.time_base)
        )
        order = packet.dts if packet.dts is not None else stamp
        if float(order * packet.time_base) - zero_s >= part.end:
            return
        if not begun or packet.is_corrupt or (last is not None and order <= last):
            continue  # half a packet, or a timestamp that goes back, which no muxer takes
        last = order
        left = (
            math.ceil((part.end + zero_s) / packet.time_base) - stamp if part.end < math.inf else 0
        )
        if packet.duration and 0 < left < packet.duration:
            packet.duration = left
        packet.pts, packet.dts = stamp - offset, order - offset
        packet.stream = stream
        yield packet


def _pictures(
    part: Part, upright: _Upright, stream: VideoStream, ticks: Fraction
) -> Iterator[Packet[Stream]]:
    base, last = 1 / ticks, -1
    usual = max(1, round(ticks / stream.codec_context.framerate))
    with part.source.open("rb") as file:
        for time_s, frame in _shown(file, part):
            turned = upright.turned(frame)
            turned.pts, turned.time_base = round((time_s - part.start) * ticks), base
            if turned.pts > last:
                last = turned.pts
                yield from _lasting(stream.encode(turned), usual)
    yield from _lasting(stream.encode(None), usual)


def _lasting(encoded: list[Packet[Stream]], usual: int) -> Iterator[Packet[Stream]]:
    for packet in encoded:
        packet.duration = packet.duration or usual
        yield packet


def _shown(file: Any, part: Part) -> Iterator[tuple[float, VideoFrame]]:
    """Frames of the part; that which is still shown when it begins comes first."""
    still: VideoFrame | None = None
    begun = False  # a still that nothing follows isn't shown: the film may have ended long before
    with closing(good_frames(file, part.start, Damage([]))) as decoded:
        for time_s, frame, _ in decoded:
            if time_s >= part.end:
                break
            if time_s < part.start - _SAME_S:
                still = frame
                continue
            if not begun and still is not None and time_s > part.start + _SAME_S:
                yield part.start, still
            begun = True
            yield max(time_s, part.start), frame


class _Upright:
    """Makes of decoded frames what is encoded: upright, with even sides, for a common screen."""

    def __init__(self, frame: VideoFrame, stored: Stored) -> None:
        self._painter = Painter(_FULL_SIZE, stored)
        height, width = self._painter.picture(frame).shape[:2]
        self.width, self.height = max(2, width // 2 * 2), max(2, height // 2 * 2)
        self.colours = colours_of(self.height)

    def turned(self, frame: VideoFrame) -> VideoFrame:
        """The frame as it is to be encoded."""
        picture = self._painter.picture(frame)[: self.height, : self.width]
        rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        return rgb.reformat(self.width, self.height, "yuv420p", dst_colorspace=self.colours)


def _sounds(
    container: InputContainer, source: AudioStream, stream: AudioStream, part: Part
) -> Iterator[Packet[Stream]]:
    """Encode from `start` on to the sample; gaps stay gaps."""
    zero_s, rate = origin(container), stream.codec_context.sample_rate
    if part.start > _BACK_S:
        seek(container, source, part.start - _BACK_S + zero_s)
    resampler = av.AudioResampler(
        format=stream.codec_context.format,
        layout=stream.codec_context.layout,
        rate=rate,
        frame_size=stream.codec_context.frame_size or None,
    )
    for time_s, frame in timed_sound(container, source, zero_s, Damage([])):
        if time_s is None or time_s >= part.end:
            break
        kept = _between(frame, part.start - time_s, part.end - time_s)
        if kept is None:
            continue
        kept.pts = round(max(0.0, time_s - part.start) * frame.sample_rate)
        kept.time_base = Fraction(1, frame.sample_rate)
        for ready in resampler.resample(kept):
            yield from stream.encode(ready)
    for ready in resampler.resample(None):
        yield from stream.encode(ready)
    yield from stream.encode(None)


def _between(frame: AudioFrame, start_s: float, end_s: float) -> AudioFrame | None:
    """The samples of a frame between two times, counted from its first; None: there are none."""
    first = max(0, round(start_s * frame.sample_rate))
    last = frame.samples
    if end_s < last / frame.sample_rate:
        last = round(end_s * frame.sample_rate)
    if first >= last:
        return None
    if (first, last) == (0, frame.samples) and frame.layout.name == _named(frame):
        return frame
    each = 1 if frame.format.is_planar else frame.layout.nb_channels
    samples: Any = np.ascontiguousarray(frame.to_ndarray()[:, first * each : last * each])
    kept = av.AudioFrame.from_ndarray(samples, frame.format.name, _named(frame))
    kept.sample_rate = frame.sample_rate
    return kept


def _named(frame: AudioFrame) -> str:
    """The layout's name; that of WAV has none."""
    return {1: "mono", 2: "stereo"}.get(frame.layout.nb_channels, frame.layout.name)

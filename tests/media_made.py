"""Films and recordings made by code, for the whole test-suite: nothing binary is kept.

Gets: a path, and what shall be in the file. Gives: the path, with the file written. Touches: that
file. Never: randomness without a seed; the same call writes the same pictures and sounds.

Each function takes the path first and returns it. `film` and `recording` make good ones; `moving`
makes pictures that move; `lying`, `cut_short`, `damaged` and `without_frames` make bad ones.
A film's frames can be told apart: see `number_of`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.corpus import RED, Colour, pattern
from tests.media_parts import (  # noqa: F401 - one place to ask for all that is made
    Samples,
    noise,
    number_of,
    numbered,
    silence,
    sweep,
    tone,
)

SIZE = (160, 120)
_DEFAULT = av.stream.Disposition.default
SUFFIX_CODECS = {  # suffix -> codec of pictures, codec of sound
    ".mp4": ("libx264", "aac"),
    ".mov": ("libx264", "aac"),
    ".mkv": ("libx264", "flac"),
    ".webm": ("libvpx-vp9", "libopus"),
    ".avi": ("mpeg4", "libmp3lame"),
    ".ts": ("libx264", "aac"),
    ".wav": ("", "pcm_s16le"),
    ".flac": ("", "flac"),
    ".mp3": ("", "libmp3lame"),
    ".ogg": ("", "libopus"),
    ".opus": ("", "libopus"),
    ".m4a": ("", "aac"),
    ".mka": ("", "flac"),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A part of a film in which nothing changes but the frames' numbers.

    Attributes:
        seconds: that it lasts.
        colour, seed: of its `corpus.pattern`; None: plain black.
    """

    seconds: float = 1.0
    colour: Colour | None = RED
    seed: int = 0


SCENES = (Scene(1.0, RED, 0), Scene(1.0, (40, 160, 60), 1), Scene(1.0, (40, 60, 200), 2))


# -- good files -----------------------------------------------------------------------------------


def film(
    path: Path,
    scenes: Sequence[Scene] = SCENES,
    *,
    sounds: Sequence[Samples] = (),
    fps: float = 25,
    size: tuple[int, int] = SIZE,
    rate: int = 44_100,
    times: Sequence[float] | None = None,
    rotation: int = 0,
    key_every: int = 25,
    sound_starts: float = 0.0,
    default_sound: int = 0,
    shift: float = 0.0,
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    codec: str | None = None,
    preset: str = "ultrafast",
    mirrored: bool = False,
    aspect: int = 1,
) -> Path:
    """A film of scenes with numbered frames and tracks of sound, in the format of the suffix.

    Args:
        path: where it is written.
        scenes: one after another.
        sounds: (n,) or (channels, n) each, one track each; the first is the default.
        fps: frames a second.
        size: (width, height) as stored.
        rate: of all sounds, in Hz.
        times: of the frames, in seconds, if not regular; the scene shown is that at its time.
        rotation: degrees clockwise that a player shall turn it; pixels are stored as they are.
        key_every: frames from one key frame to the next; scenes force none.
        sound_starts: second at which the sound begins.
        default_sound: which of the tracks is marked as the one to hear.
        shift: seconds added to all timestamps.
        options: of the container.
        metadata: of the container.
        pix_fmt: of the stored pixels.
        codec: of the pictures, in place of the suffix's.
        preset: of libx264; from "veryfast" on there are frames that are stored out of order.
        mirrored: whether a player shall change left and right.
        aspect: width of a pixel over its height.
    """
    video_codec, audio_codec = SUFFIX_CODECS[path.suffix]
    stamps = times if times is not None else _regular(scenes, fps)
    base = Fraction(1, round(fps)) if path.suffix == ".avi" else Fraction(1, 12_800)
    with av.open(str(path), "w", options=options or {}) as out:
        out.metadata.update(metadata or {})
        picture = out.add_stream(codec or video_codec, rate=Fraction(fps).limit_denominator(1001))
        picture.width, picture.height, picture.pix_fmt = *size, pix_fmt
        picture.gop_size, picture.codec_context.time_base = key_every, base
        picture.options = {"preset": preset, "sc_threshold": "0"}
        if rotation or mirrored:
            picture.set_display_rotation(-rotation, hflip=mirrored)
        if aspect != 1:
            picture.codec_context.sample_aspect_ratio = aspect
        tracks = [_sound_stream(out, audio_codec, rate, sound) for sound in sounds]
        for number, track in enumerate(tracks):
            track.disposition = _DEFAULT if number == default_sound else 0
        images = (_shown_at(scenes, time_s, size) for time_s in stamps)
        _encode_pictures(out, picture, images, [round((s + shift) / base) for s in stamps])
        for track, sound in zip(tracks, sounds, strict=True):
            _encode_sound(out, track, sound, rate, shift + sound_starts)
    return path


def hdr(path: Path, levels: Sequence[float]) -> Path:
    """A film of HDR10 (PQ): stripes of grey of the given levels, 0 to 1 as coded."""
    width, height = SIZE
    luma = np.repeat(np.asarray(levels), width // len(levels))
    rows = np.empty((height * 3 // 2, width), np.uint16)
    rows[:height] = np.round(64 + 876 * luma).astype(np.uint16)
    rows[height:] = 512
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libx264", rate=25)
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p10le"
        context = picture.codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
        frame = av.VideoFrame.from_ndarray(rows, format="yuv420p10le")
        for number in range(3):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(picture.encode(frame))
        out.mux(picture.encode(None))
    return path


def recording(
    path: Path,
    samples: Samples,
    rate: int = 44_100,
    *,
    codec: str | None = None,
    then: tuple[float, Samples] | None = None,
    **metadata: str,
) -> Path:
    """A recording of (n,) or (channels, n) samples, in the format of the suffix.

    Args:
        path: where it is written.
        samples: from second 0 on.
        rate: in Hz.
        codec: in place of the suffix's.
        then: more samples, and the second at which they begin; between them is a gap.
        metadata: of the container.
    """
    with av.open(str(path), "w", format="matroska" if path.suffix == ".mka" else None) as out:
        out.metadata.update(metadata)
        track = _sound_stream(out, codec or SUFFIX_CODECS[path.suffix][1], rate, samples)
        _encode_sound(out, track, samples, rate, 0.0, last=then is None)
        if then is not None:
            _encode_sound(out, track, then[1], rate, then[0])
    return path


def with_cover(path: Path, samples: Samples, rate: int = 44_100) -> Path:
    """A recording (.mp3, .m4a) with a cover picture inside."""
    name = {".m4a": "mp4"}.get(path.suffix)
    with av.open(str(path), "w", format=name) as out:
        track = _sound_stream(out, SUFFIX_CODECS[path.suffix][1], rate, samples)
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_image(pattern(size=(64, 64))).reformat(format="yuvj420p")
        frame.pts = 0
        out.mux(cover.encode(frame))
        out.mux(cover.encode(None))
        _encode_sound(out, track, samples, rate, 0.0)
    return path


def bare(path: Path, source: Path) -> Path:
    """The first track of a file without a container: .h264 (no timestamps at all) or .aac."""
    name = {".h264": "h264", ".aac": "adts"}[path.suffix]
    with av.open(str(source)) as whole, av.open(str(path), "w", format=name) as out:
        stream = out.add_stream_from_template(whole.streams[0], opaque=True)
        for packet in whole.demux(whole.streams[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return path


def moving(
    path: Path,
    scenes: Sequence[Scene] = SCENES,
    size: tuple[int, int] = SIZE,
    durations: Sequence[float] | None = None,
    *,
    see_through: bool = False,
) -> Path:
    """A picture that moves (.gif, .png, .webp), one frame a scene.

    Args:
        path: where it is written.
        scenes: one frame each.
        size: (width, height).
        durations: of the frames in seconds as written, in place of the scenes'.
        see_through: whether the upper left quarter is transparent.
    """
    images = [_picture(scene, size) for scene in scenes]
    if see_through:
        for image in images:
            image.putalpha(255)
            image.paste((0, 0, 0, 0), (0, 0, size[0] // 2, size[1] // 2))
    shown = [round(1000 * s) for s in durations or [scene.seconds for scene in scenes]]
    options = {".webp": {"lossless": True}}.get(path.suffix, {"loop": 0, "disposal": 0})
    images[0].save(path, save_all=True, append_images=images[1:], duration=shown, **options)
    return path


def subtitled(path: Path, film: Path, lines: Sequence[tuple[float, float, str]]) -> Path:
    """A film (.mkv) with a track of English subtitles: (start, end, text) each."""
    blocks = [
        f"{number}\n{_srt_time(start)} --> {_srt_time(end)}\n{text}\n"
        for number, (start, end, text) in enumerate(lines, 1)
    ]
    script = io.BytesIO("\n".join(blocks).encode())
    with (
        av.open(str(film)) as pictures,
        av.open(script, format="srt") as written,
        av.open(str(path), "w") as out,
    ):
        streams = {
            stream.index: out.add_stream_from_template(stream, opaque=True)
            for stream in pictures.streams
        }
        titles = out.add_stream_from_template(written.streams.subtitles[0])
        titles.metadata["language"] = "eng"
        packets = [(packet, streams[packet.stream_index]) for packet in pictures.demux()]
        packets += [(packet, titles) for packet in written.demux()]
        packets = [(packet, stream) for packet, stream in packets if packet.dts is not None]
        for packet, stream in sorted(packets, key=lambda pair: pair[0].dts * pair[0].time_base):
            packet.stream = stream
            out.mux(packet)
    return path


def _srt_time(time_s: float) -> str:
    minutes, seconds = divmod(time_s, 60)
    return f"00:{int(minutes):02d}:{seconds:06.3f}".replace(".", ",")


def motion_photo(path: Path, photo: Path, film: Path, *, samsung: bool = False) -> Path:
    """A JPEG with a film behind it, as phones write them."""
    marker = b"\x00\x00\x30\x0a\x10\x00\x00\x00MotionPhoto_Data" if samsung else b""
    tail = b"SEFHk\x00\x00\x00\x01\x00\x00\x00SEFT" if samsung else b""
    path.write_bytes(photo.read_bytes() + marker + film.read_bytes() + tail)
    return path


# -- bad files ------------------------------------------------------------------------------------


def lying(path: Path, source: Path, seconds: float) -> Path:
    """A Matroska file whose header says that it lasts `seconds`; its frames are what they were."""
    data = bytearray(source.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3  # the element Duration, a double of 8 bytes
    struct.pack_into(">d", data, at, seconds * 1000)
    path.write_bytes(data)
    return path


def cut_short(path: Path, source: Path, share: float = 0.5) -> Path:
    """The first part of a file. Make the source with ``options={"movflags": "faststart"}``."""
    data = source.read_bytes()
    path.write_bytes(data[: round(len(data) * share)])
    return path


def damaged(path: Path, source: Path, at: float = 0.5, length: int = 400, seed: int = 0) -> Path:
    """A file with some bytes in the middle overwritten by noise."""
    data = bytearray(source.read_bytes())
    begin = round(len(data) * at)
    junk = np.random.default_rng(seed).integers(0, 256, length, np.uint8).tobytes()
    data[begin : begin + length] = junk
    path.write_bytes(data)
    return path


def without_frames(path: Path) -> Path:
    """A film (.mp4) with a track of pictures and not one picture in it."""
    with av.open(str(path), "w", options={"movflags": "empty_moov"}) as out:
        picture = out.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = *SIZE, "yuv420p"
        picture.codec_context.open()
        out.start_encoding()
    return path


# -- parts ----------------------------------------------------------------------------------------


def _regular(scenes: Sequence[Scene], fps: float) -> list[float]:
    total = sum(scene.seconds for scene in scenes)
    return [i / fps for i in range(round(total * fps))]


def _shown_at(scenes: Sequence[Scene], time_s: float, size: tuple[int, int]) -> Image.Image:
    end = 0.0
    for scene in scenes:
        end += scene.seconds
        if time_s < end - 1e-9:
            break
    return _picture(scene, size)


def _picture(scene: Scene, size: tuple[int, int]) -> Image.Image:
    if scene.colour is None:
        return Image.new("RGB", size)
    return pattern(scene.colour, size, scene.seed)


def _encode_pictures(
    out: av.container.OutputContainer, picture, images: Iterable[Image.Image], stamps: Sequence[int]
) -> None:
    """Frames with their numbers drawn in, at timestamps in the stream's own base."""
    for number, (image, stamp) in enumerate(zip(images, stamps, strict=True)):
        frame = av.VideoFrame.from_ndarray(np.asarray(numbered(image, number)), format="rgb24")
        frame = frame.reformat(format=picture.pix_fmt)
        frame.pts, frame.time_base = stamp, picture.codec_context.time_base
        out.mux(picture.encode(frame))
    out.mux(picture.encode(None))


def _sound_stream(out: av.container.OutputContainer, codec: str, rate: int, sound: Samples):
    stereo = sound.ndim > 1 and len(sound) == 2
    rate = 48_000 if codec == "libopus" else rate
    track = out.add_stream(codec, rate=rate, layout="stereo" if stereo else "mono")
    if codec == "aac":  # without it, its noise differs by where decoding begins
        track.options = {"aac_pns": "0"}
    return track


def _encode_sound(
    out: av.container.OutputContainer,
    track,
    samples: Samples,
    rate: int,
    start: float,
    *,
    last: bool = True,
) -> None:
    channels = np.atleast_2d(samples)
    layout = "stereo" if len(channels) == 2 else "mono"
    for at in range(0, channels.shape[1], 4096):
        part = np.ascontiguousarray(channels[:, at : at + 4096], np.float32)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
        frame.sample_rate = rate
        frame.pts = at + round(start * rate)
        frame.time_base = Fraction(1, rate)
        out.mux(track.encode(frame))
    if last:
        out.mux(track.encode(None))

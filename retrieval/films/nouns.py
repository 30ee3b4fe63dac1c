"""What films and recordings are taken apart into.

Gets and gives: frozen values. Touches: nothing. Never: a third party (numpy's types aside).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture of a film.

    Attributes:
        time_s: when it is shown, in seconds from the beginning of the film.
        picture: (h, w, 3) uint8 RGB, upright.
    """

    time_s: float
    picture: Picture


@dataclass(frozen=True, slots=True)
class Broken:
    """Something that couldn't be decoded: where, and what, in words that go behind the file's name.

    Attributes:
        time_s: in seconds from the beginning; what lies before it is whole.
        what: "is damaged at 0:03.20", "ends at 0:03.20, though its header promises 0:10.00".
    """

    time_s: float
    what: str

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True)
class SubtitleTrack:
    """A track of subtitles in a container.

    Attributes:
        index: of its stream.
        codec: as FFmpeg calls it (``mov_text``, ``subrip``); that of pictures can't be read.
        language: as the container has it, usually ISO 639-2; "" when it doesn't say.
        default: whether players show it unasked.
    """

    index: int
    codec: str
    language: str = ""
    default: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What a container says of itself. A header may lie: of the duration, most of all.

    Attributes:
        duration_s: in seconds; None when the container doesn't say.
        width, height: as displayed, upright and with square pixels; 0 without a picture.
        rotation: degrees clockwise by which what is stored is turned to be upright.
        fps: pictures a second, on average; None when it isn't known.
        video_codec, audio_codec: as FFmpeg calls them, of the tracks that are read; "" for none.
        audio_tracks: how many there are.
        subtitles: tracks of them.
        title: "" for none.
        taken: when it was recorded, ISO 8601; "" when it isn't known.
        captions: what was written about it, each once.
        camera: that made it; "" when it isn't known.
        place: (latitude, longitude) in degrees.
    """

    duration_s: float | None = None
    width: int = 0
    height: int = 0
    rotation: int = 0
    fps: float | None = None
    video_codec: str = ""
    audio_codec: str = ""
    audio_tracks: int = 0
    subtitles: tuple[SubtitleTrack, ...] = ()
    title: str = ""
    taken: str = ""
    captions: tuple[str, ...] = ()
    camera: str = ""
    place: tuple[float, float] | None = None

    @property
    def has_video(self) -> bool:
        """Whether there is a picture that moves; the cover of a record isn't one."""
        return bool(self.video_codec)

    @property
    def has_audio(self) -> bool:
        """Whether there is a track of sound, be it digital silence."""
        return bool(self.audio_codec)

"""A decoded frame's pixels as an encoder wants them: upright, square, reduced, RGB as on a screen.

Gets: FFmpeg's frame. Gives: an array. Touches: FFmpeg's scaler. Never: reads on.

The light of HDR (PQ or HLG in the wide gamut of BT.2020) is mapped to a common screen: highlights
are rolled off above the white of paper, colours outside are clipped. It is done on the reduced
picture of 8 bits, which is plenty for a look at it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from retrieval.schema import FloatArray

from .nouns import Picture
from .pyav import Interpolation, VideoReformatter

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# A picture is at most this many times as long as its shorter side was asked to be.
_LONGEST = 16
_HOW = Interpolation.AREA
_SUBSAMPLED = ("yuv420", "yuv422", "yuv411", "yuv410", "nv12", "p010")
_USUAL_RATE = Fraction(25)
_HD_ROWS = 720  # from here on, an unmarked film has the colours of BT.709, below those of BT.601
_UNMARKED, _BT709, _BT601 = 2, 1, 5  # of FFmpeg's colour spaces
_PQ, _HLG = 16, 18  # of FFmpeg's transfer characteristics
_PAPER_NITS = 203.0  # white of paper in HDR (ITU-R BT.2408)
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)


@dataclass(frozen=True, slots=True)
class Stored:
    """How a film's pictures are stored, by its header.

    Attributes:
        width, height: in stored pixels; 0 when the header doesn't say.
        aspect: width of a stored pixel over its height; None: it is square.
        rate: pictures a second, on average or by guess.
    """

    width: int
    height: int
    aspect: Fraction | None
    rate: Fraction

    @classmethod
    def of(cls, track: VideoStream) -> Stored:
        """Ask before anything is decoded: a decoder changes it to what it meets."""
        rate = track.average_rate or track.guessed_rate or _USUAL_RATE
        return cls(track.width, track.height, track.sample_aspect_ratio, rate)


class Painter:
    """Makes the pictures of one film's frames; it keeps the scaler's tables from one to the next.

    Args:
        size: the shorter side of pictures is reduced to this, where it is longer.
        stored: whose shape all the pictures have.
    """

    def __init__(self, size: int, stored: Stored) -> None:
        self._size = size
        self._stored = stored
        self._small = VideoReformatter()
        self._rgb = VideoReformatter()
        self._turns: dict[int, tuple[bool, int]] = {}

    def picture(self, frame: VideoFrame) -> Picture:
        """A frame's picture, (h, w, 3) uint8."""
        stored = self._stored
        shape = (stored.width or frame.width, stored.height or frame.height)
        picture = self._scaled(frame, reduced(square(*shape, stored.aspect), self._size))
        if frame.color_trc in (_PQ, _HLG):
            picture = _on_a_screen(picture, frame.color_trc)
        mirrored, quarters = self._turn(frame)
        if mirrored:
            picture = picture[::-1]
        return np.ascontiguousarray(np.rot90(picture, -quarters))

    def _turn(self, frame: VideoFrame) -> tuple[bool, int]:
        """As `turn_of`, which is asked once.

        A frame and its side data hold each other, so that one that was asked stays in memory until
        the collector comes: of a film in 1080p that is hundreds of megabytes.
        """
        turn = self._turns.get(frame.rotation)
        if turn is None:
            turn = self._turns[frame.rotation] = turn_of(frame)
        return turn

    def _scaled(self, frame: VideoFrame, size: tuple[int, int]) -> Picture:
        width, height = size
        colours = frame.colorspace
        if colours == _UNMARKED:
            colours = colours_of(frame.height)
        if frame.format.name.startswith(_SUBSAMPLED):
            # Reduced first, then made RGB: that takes a third of the time of both at once.
            frame = self._small.reformat(
                frame, width, height, "yuv420p", colours, colours, _HOW, threads=1
            )
        rgb = self._rgb.reformat(
            frame, width, height, "rgb24", colours, interpolation=_HOW, threads=1
        )
        return np.asarray(rgb.to_ndarray(), np.uint8)


def colours_of(height: int) -> int:
    """FFmpeg's number of the colour space that is usual for a film of so many rows."""
    return _BT709 if height >= _HD_ROWS else _BT601


def turn_of(frame: VideoFrame | None) -> tuple[bool, int]:
    """How a frame becomes upright.

    Returns:
        Whether top and bottom change places first; then quarters of a turn clockwise.
    """
    if frame is None:
        return False, 0
    try:
        matrix = bytes(frame.side_data["DISPLAYMATRIX"])  # type: ignore[typeddict-item]
    except KeyError:
        return False, 0
    a, b, _, c, d = struct.unpack("<5i", matrix[:20])
    quarters = round(float(np.degrees(np.arctan2(b, a))) / 90) % 4
    return a * d - b * c < 0, quarters


def square(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """The size in square pixels, not less than the stored one in either direction."""
    if not aspect or aspect == 1 or not Fraction(1, 8) < aspect < 8:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def reduced(size: tuple[int, int], shorter_px: int) -> tuple[int, int]:
    """The size whose shorter side is `shorter_px`, never more than before."""
    scale = min(1.0, shorter_px / min(size), _LONGEST * shorter_px / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _on_a_screen(picture: Picture, transfer: int) -> Picture:
    light = _light(transfer)[picture] @ _BT2020_TO_BT709.T
    peak = np.maximum(light.max(axis=2, keepdims=True), 1e-6)
    rolled = np.where(peak > 0.7, 0.7 + 0.3 * (1 - np.exp((0.7 - peak) / 0.6)), peak)
    light = np.clip(light * (rolled / peak), 0.0, 1.0)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    shown: Picture = np.rint(srgb * 255).astype(np.uint8)
    return shown


@cache
def _light(transfer: int) -> FloatArray:
    """(256,) light of each coded value; the white of paper is 1."""
    code = np.arange(256) / 255.0
    if transfer == _PQ:
        power = code ** (32 / 2523)
        nits = 10_000 * (
            np.maximum(power - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * power)
        ) ** (8192 / 1305)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
        nits = 1000 * scene**1.2
    return (nits / _PAPER_NITS).astype(np.float32)

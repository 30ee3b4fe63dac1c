"""What films and recordings are made of: sounds, and numbers by which frames are told apart.

Gets: what it shall be like. Gives: samples, pictures. Touches: nothing. Never: randomness without
a seed. `media_made` gives all of this, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Samples = NDArray[np.float32]


# -- sounds ---------------------------------------------------------------------------------------


def tone(
    hz: float = 440.0, seconds: float = 1.0, rate: int = 44_100, level: float = 0.5
) -> Samples:
    """A sine, (n,) float32, that begins and ends softly."""
    n = round(seconds * rate)
    wave = level * np.sin(2 * np.pi * hz * np.arange(n) / rate)
    ramp = np.clip(np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.005 * rate), 0, 1)
    return (wave * ramp).astype(np.float32)


def silence(seconds: float = 1.0, rate: int = 44_100) -> Samples:
    return np.zeros(round(seconds * rate), np.float32)


def noise(seconds: float = 1.0, rate: int = 44_100, level: float = 0.2, seed: int = 0) -> Samples:
    random = np.random.default_rng(seed)
    return (level * random.standard_normal(round(seconds * rate))).clip(-1, 1).astype(np.float32)


def sweep(
    seconds: float = 1.0, rate: int = 44_100, low: float = 100.0, high: float = 3000.0
) -> Samples:
    """A tone that climbs, so that every moment sounds unlike every other."""
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (low * t + (high - low) * t**2 / (2 * max(seconds, 1e-9)))
    return (0.5 * np.sin(phase)).astype(np.float32)


# -- frames told apart ----------------------------------------------------------------------------

_BITS = 12


def numbered(image: Image.Image, number: int) -> Image.Image:
    """The picture with a number below its middle, as black and white squares."""
    pixels = np.array(image)
    height, width = pixels.shape[:2]
    side = width // (_BITS + 4)
    top, left = height // 2 - side // 2, 2 * side
    for bit in range(_BITS):
        value = 255 if number >> bit & 1 else 0
        pixels[top : top + side, left + bit * side : left + (bit + 1) * side] = value
    return Image.fromarray(pixels)


def number_of(picture: NDArray[np.uint8]) -> int:
    """The number that `numbered` wrote into an upright picture of the stored shape."""
    height, width = picture.shape[:2]
    side = width / (_BITS + 4)
    row = round(height / 2)
    columns = [round((2.5 + bit) * side) for bit in range(_BITS)]
    return sum(1 << bit for bit, x in enumerate(columns) if picture[row, x].mean() > 127)

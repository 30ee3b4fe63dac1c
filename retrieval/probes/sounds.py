"""The built-in sounds, made by code, that never change.

Gets: nothing. Gives: `Sound`s. Touches: nothing. Never: a random generator, whose numbers another
version may change: noise is a hash of the sample's number.

Samples are rounded to 16 bits, so that the last digit of another machine's sine doesn't show. Each
sound has a rate of its own, and one is longer than what an encoder looks at at once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.timed import Sound


@cache
def sounds() -> tuple[Sound, ...]:
    """Four sounds, clearly different."""
    return (_siren(), _knocks(), _waves(), _melody())


def _siren() -> Sound:
    """A tone that rises from 400 to 1600 Hz while it fades, with an overtone: 2 s."""
    t = np.arange(2 * 16_000) / 16_000
    turns = 400 * t + 300 * t**2
    return _sound((_sine(turns) + 0.4 * _sine(3 * turns)) * (0.6 - 0.25 * t), 16_000)


def _knocks() -> Sound:
    """Six dull knocks, each sooner after the last one: 3 s."""
    t = np.arange(3 * 22_050) / 22_050
    knocks = np.zeros(len(t))
    for start in (0.1, 0.9, 1.5, 1.95, 2.25, 2.45):
        since = np.maximum(t - start, 0)
        knocks += (t >= start) * np.exp(-30 * since) * (_sine(180 * since) + 0.5 * noise(len(t)))
    return _sound(0.5 * knocks, 22_050)


def _waves() -> Sound:
    """Soft noise that swells and ebbs, slower each time: 12 s."""
    t = np.arange(12 * 8_000) / 8_000
    total = np.cumsum(np.concatenate([np.zeros(16), noise(len(t))]))
    soft = (total[16:] - total[:-16]) / 4
    return _sound(0.3 * soft * (0.55 - 0.45 * np.cos(2 * np.pi * np.sqrt(t * 1.5))), 8_000)


def _melody() -> Sound:
    """Eight plucked notes with overtones: 4 s."""
    t = np.arange(4 * 44_100) / 44_100
    number = np.minimum((t * 2).astype(np.int64), 7)
    pitch = np.array([262, 330, 392, 523, 440, 349, 294, 196])[number]
    since = t - number / 2
    notes = sum(_sine(k * pitch * since) * np.exp(-3 * k * since) / k for k in (1, 2, 3, 4))
    return _sound(0.4 * np.asarray(notes), 44_100)


def _sine(turns: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.sin(2 * np.pi * turns), np.float64)


def noise(count: int) -> NDArray[np.float64]:
    """(count,) numbers in [-1, 1): the same ones for ever."""
    mixed = (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((mixed >> np.uint64(40)).astype(np.float64) / 2**23 - 1)


def _sound(samples: NDArray[Any], rate: int) -> Sound:
    whole = np.rint(np.clip(samples, -1, 1) * 32_767) / 32_768
    return Sound(whole.astype(np.float32), rate)

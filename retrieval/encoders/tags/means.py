"""What a tagger says of sounds in which there is nothing: its own bias, where nobody measured it.

Gets: a tagger. Gives: the mean probability of each class. Touches: the tagger. Never: a recording.

The sounds are made by code: silence, hiss, rumble, hum and clicks, loud and soft, as every bad
recording has them below what matters. They tell how much of "noise" and "silence" to leave out; how
often speech or music is said of recordings at large, they can't tell.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrieval.listeners import Tagger
from retrieval.probes.sounds import noise
from retrieval.schema import FloatArray

_SECONDS = 4
_LOUD = (0.3, 0.03)


def built_in_means(tagger: Tagger) -> FloatArray:
    """(classes,) float32."""
    heard = [tagger.probabilities(sound).mean(axis=0) for sound in dull_sounds(tagger.rate)]
    return np.asarray(np.mean(heard, axis=0), np.float32)


def dull_sounds(rate: int) -> Iterator[FloatArray]:
    """Nine sounds of (n,) float32 samples."""
    count = _SECONDS * rate
    t = np.arange(count) / rate
    hiss = noise(count)
    rumble = np.cumsum(hiss - hiss.mean())
    hum = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in (1, 2, 3, 5))
    clicks = np.where(np.arange(count) % rate < max(1, rate // 1000), hiss, 0.0)
    yield np.zeros(count, np.float32)
    for sound in (hiss, rumble, np.asarray(hum), clicks):
        for loud in _LOUD:
            yield (loud * sound / np.abs(sound).max()).astype(np.float32)

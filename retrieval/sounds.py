"""Sounds as an encoder wants them: at its rate, in windows of its length.

Gets: a `Sound` of any length and rate. Gives: (n,) float32 samples. Touches: soxr, when the rate is
another. Never: a file, chance.
"""

from __future__ import annotations

import numpy as np

from .errors import NotInstalledError
from .schema import FloatArray
from .timed import Sound


def at_rate(sound: Sound, rate: int) -> FloatArray:
    """The samples at another rate, between -1 and 1; what is no number counts as silence.

    Raises:
        NotInstalledError: the rate is another, and soxr isn't here.
    """
    bounded = np.clip(np.nan_to_num(sound.samples, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    samples = np.ascontiguousarray(bounded, dtype=np.float32)
    if sound.rate == rate or not len(samples):
        return samples
    try:
        import soxr
    except ImportError as error:
        raise NotInstalledError(
            f"Bringing a sound from {sound.rate} to {rate} Hz needs the package `soxr` ({error}).",
            advice="pip install 'echolens[sound]'",
        ) from error
    return np.asarray(soxr.resample(samples, sound.rate, rate), np.float32)


def windows(samples: FloatArray, size: int) -> list[FloatArray]:
    """Stretches of `size` samples that cover all, their starts evenly apart.

    They overlap where the length is no multiple of `size`, so that none is a remnant. What isn't
    longer than `size` is one window as it is.
    """
    count = -(-len(samples) // size)
    if count <= 1:
        return [samples]
    last = len(samples) - size
    starts = [last * i // (count - 1) for i in range(count)]
    return [samples[start : start + size] for start in starts]

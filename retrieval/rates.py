"""How many inputs an encoder takes a second on this machine.

Gets: an encoder. Gives: rates by modality and batch. Touches: the encoder, the clock. Never: a
file, a store.

Pictures have the size to which decoding reduces a photo, so the encoder's own resizing counts.
They are noise, which a model computes as fast as any photo; so are sounds, of the length that it
looks at at once and, as after decoding, of its rate. A first input of each modality loads
the weights and isn't counted; nor is the first batch, unless it takes long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .protocols import Encoder
from .schema import Modality, Wants
from .timed import Sound

MEASURE_S = 1.0
LONG_S = 10.0
_DEFAULT_PX = 256
_SENTENCE = "a small brown dog number {} runs after a red ball on a sunny beach"


@dataclass(frozen=True, slots=True)
class Rate:
    """Inputs of one modality that an encoder takes a second in batches of this size."""

    modality: Modality
    batch: int
    per_second: float


def rates(encoder: Encoder) -> Iterator[Rate]:
    """One by one, then in the encoder's own batches: pictures, texts, sounds."""
    makers: dict[Modality, Callable[[int], Sequence[Any]]] = {
        "image": lambda count: _pictures(count, encoder.wants.pixels or _DEFAULT_PX),
        "text": lambda count: [_SENTENCE.format(number) for number in range(count)],
        "audio": lambda count: _sounds(count, encoder.wants),
    }
    for modality, make in makers.items():
        if modality in encoder.space.modalities:
            encoder.encode(modality, make(1), role="document")
            for batch in sorted({1, encoder.batch_size}):
                yield Rate(modality, batch, batch / _seconds(encoder, modality, make(batch)))


def _seconds(encoder: Encoder, modality: Modality, inputs: Sequence[Any]) -> float:
    """Of one run, the mean of as many as fit into `MEASURE_S`."""
    first = _timed(encoder, modality, inputs)
    if first > LONG_S:
        return first
    runs: list[float] = []
    while sum(runs) < MEASURE_S:
        runs.append(_timed(encoder, modality, inputs))
    return sum(runs) / len(runs)


def _timed(encoder: Encoder, modality: Modality, inputs: Sequence[Any]) -> float:
    began = time.perf_counter()
    encoder.encode(modality, inputs, role="document")
    return time.perf_counter() - began


def _pictures(count: int, side: int) -> list[Any]:
    """`count` times (2 side, 3 side, 3) uint8: the shorter side is twice what the model sees."""
    noise = np.random.default_rng(0).integers(0, 256, (2 * side, 3 * side, 3), np.uint8)
    return [noise] * count


def _sounds(count: int, wants: Wants) -> list[Sound]:
    """`count` times a window of the encoder's own length and rate."""
    rate, window_s = wants.sample_rate or 16_000, wants.window_s or 10.0
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, round(rate * window_s))
    return [Sound(noise.astype(np.float32), rate)] * count

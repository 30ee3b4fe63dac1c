"""What is heard in a stretch: windows of sound, and sound in which somebody may speak.

Gets: a film or a recording, and where the stretch begins. Gives: drafts and `Speech`.
Touches: PyAV, through `sound`. Never: writes down what is said, or tells what is heard.

Decisions that bind this module:

- Windows overlap by half. Most sounds are short: what the border of one window cuts in two lies
  whole in the next, and a moment is told to half a window.
- Speech is cut where it is quietest near the border of two stretches, so that no word is. That
  place is found by one and the same reading from either side, so nothing is heard twice or lost.
- Windows and speech are read apart, each at its rate: what is written down then doesn't depend on
  which encoders listen, too. Decoding sound twice costs a hundredth of looking at the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from retrieval.schema import Draft, FloatArray, Span, Wants
from retrieval.timed import SPEECH_RATE, STRETCH_S, Sound, Speech

from .nouns import Broken
from .sound import sound

WINDOW_S = 10.0  # for an encoder that doesn't say how much it listens to at once
OVERLAP = 0.5

_SHORTEST_S = 0.5  # a window at the end of a stretch that is shorter is left out
_SILENCE = 3e-4  # a peak of less (-70 dB of full scale) is digital silence
_BORDER_S = 3.0  # speech is cut at most so far from the border of two stretches
_QUIET_S = 0.2  # how long it must be quiet there
_STEP_S = 0.02
_MORE_S = 0.1  # sound that lasts so much longer than a stretch goes on


@dataclass(frozen=True, slots=True)
class Heard:
    """The sound of a stretch.

    Attributes:
        windows: of it, for encoders.
        speech: for a transcriber.
        end: where it ends, in seconds; None: it goes on after the stretch.
        is_empty: whether there was none.
    """

    windows: tuple[Draft, ...]
    speech: tuple[Speech, ...]
    end: float | None
    is_empty: bool


def listen(
    file: BinaryIO, wants: Wants, start: float, *, speech: bool, broken: list[Broken]
) -> Heard:
    """Read the sound of the stretch that begins at `start`.

    Args:
        file: seekable.
        wants: without a `sample_rate` there are no windows.
        start: in seconds.
        speech: whether sound for a transcriber is asked for.
        broken: what can't be decoded is added to it.
    """
    until = start + STRETCH_S
    end = start
    windows: tuple[Draft, ...] = ()
    spoken: tuple[Speech, ...] = ()
    if speech:
        end, spoken = _spoken(file, start, broken)
    if wants.sample_rate is not None:
        found: list[Broken] = []
        rate = wants.sample_rate
        heard = sound(file, rate=rate, start=start, end=until + _MORE_S, broken=found)
        end = start + len(heard) / rate
        heard = heard[: round(STRETCH_S * rate)]
        windows = tuple(cut_windows(heard, rate, start, wants.window_s or WINDOW_S))
        broken += () if speech else found  # else it is known
    goes_on = end > until + _MORE_S / 2
    return Heard(windows, spoken, None if goes_on else min(end, until), end <= start)


def _spoken(file: BinaryIO, start: float, broken: list[Broken]) -> tuple[float, tuple[Speech, ...]]:
    """Second up to which there is sound, and the sound between two quiet moments."""
    low, high = border(file, start), border(file, start + STRETCH_S)
    until = max(high, start + STRETCH_S + _MORE_S)
    heard = sound(file, rate=SPEECH_RATE, start=low, end=until, broken=broken)
    part = heard[: round((high - low) * SPEECH_RATE)]
    if is_silent(part):
        return low + len(heard) / SPEECH_RATE, ()
    whole = np.clip(np.rint(part * 32767.0), -32768, 32767).astype(np.int16)
    return low + len(heard) / SPEECH_RATE, (Speech(low, whole),)


def cut_windows(
    samples: FloatArray, rate: int, start: float, window_s: float = WINDOW_S
) -> Iterator[Draft]:
    """Overlapping windows of a sound that begins at `start`; silent ones are left out.

    The last one is shorter than the others, unless it ends with the one before.
    """
    length, hop = round(window_s * rate), max(1, round(window_s * OVERLAP * rate))
    covered = 0
    for first in range(0, len(samples), hop):
        if covered >= len(samples):
            return
        part = samples[first : first + length]
        covered = first + len(part)
        if (first and len(part) < _SHORTEST_S * rate) or is_silent(part):
            continue
        begin, end = start + first / rate, start + covered / rate
        yield Draft("window", (Sound(part, rate),), Span(round(begin, 3), round(end, 3)))


def border(file: BinaryIO, at: float) -> float:
    """The quietest moment within `_BORDER_S` of the border of two stretches, in seconds.

    A function of the file and `at` alone. Where nothing is heard after `at`: `at` itself.
    """
    if at <= 0:
        return 0.0
    near = sound(file, rate=SPEECH_RATE, start=at - _BORDER_S, end=at + _BORDER_S)
    if len(near) <= _BORDER_S * SPEECH_RATE:
        return at
    length, step = round(_QUIET_S * SPEECH_RATE), round(_STEP_S * SPEECH_RATE)
    energy = np.concatenate([[0.0], np.cumsum(near.astype(np.float64) ** 2)])
    firsts = np.arange(0, len(near) - length + 1, step)
    loudness = np.round(energy[firsts + length] - energy[firsts], 6)
    middles = at - _BORDER_S + (firsts + length / 2) / SPEECH_RATE
    best = np.lexsort((np.abs(middles - at), loudness))[0]  # of equally quiet ones the nearest
    return round(float(middles[best]), 2)


def is_silent(samples: FloatArray) -> bool:
    """Whether nothing at all is to be heard."""
    return bool(np.abs(samples).max(initial=0.0) < _SILENCE)

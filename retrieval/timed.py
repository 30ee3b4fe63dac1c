"""Films and recordings on their way into a collection: sound, stretches, and what was said.

Gets and gives: frozen values. Touches: nothing. Never: a third party (numpy's types aside).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .schema import Draft, FloatArray

SPEECH_RATE = 16_000  # Hz, of all sound in which speech is looked for
STRETCH_S = 120.0  # of media, that are read and written at once


@dataclass(frozen=True, slots=True)
class Sound:
    """What an encoder of sounds is given.

    Attributes:
        samples: (n,) float32, one channel, full scale at 1.
        rate: of them, in Hz.
    """

    samples: FloatArray
    rate: int

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.samples.nbytes


@dataclass(frozen=True, slots=True)
class Speech:
    """Sound in which somebody may speak, to be written down by a transcriber.

    Attributes:
        start: of it in its asset, in seconds.
        samples: (n,) int16, one channel, at `SPEECH_RATE`.
    """

    start: float
    samples: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a film or a recording, read at once: what `abilities.Timed` gives.

    Attributes:
        drafts: of it, in order.
        speech: what is yet to be written down, in order.
        script: a transcript without times that came with the file, the whole of it; what a
            transcriber hears is aligned to it.
        following: second at which the next stretch begins; None at the end of the file.
        warnings: what is odd, in words for a user: where the file is broken.
        media_s: seconds of the file that were read, for the progress.
    """

    drafts: tuple[Draft, ...]
    speech: tuple[Speech, ...] = ()
    script: str | None = None
    following: float | None = None
    warnings: tuple[str, ...] = ()
    media_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Word:
    """A word that a transcriber heard, with its time in seconds and how sure it is, 0 to 1."""

    text: str
    start: float
    end: float
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Segment:
    """What was said from `start` to `end` seconds: a sentence, or a line of subtitles.

    Attributes:
        language: ISO 639-1; "" when it isn't known.
        confidence: mean probability of its words, 0 to 1.
        words: with their times, where they are known.
    """

    text: str
    start: float
    end: float
    language: str = ""
    confidence: float = 1.0
    words: tuple[Word, ...] = ()

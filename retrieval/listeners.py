"""The protocols of what listens: transcribers and taggers.

Gets and gives: types. Touches: nothing. Never: an implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .schema import FloatArray
from .timed import Segment


class Transcriber(Protocol):
    """Writes down what is said. Made as ``Class(location, compute)``, like an encoder.

    Making one is cheap: weights load when first needed. It is called by one thread at a time.
    """

    @property
    def location(self) -> str:
        """What follows the scheme of its URL, with paths made absolute; the manifest keeps it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Digest of weights and options: another one writes down other words."""
        ...

    def transcribe(self, samples: NDArray[np.int16]) -> Sequence[Segment]:
        """What is said in (n,) samples of one channel at `SPEECH_RATE`, in order of time.

        Times are in seconds from the first sample. Stretches without a voice give nothing. What it
        raises beside `EcholensError` costs these samples alone: the indexer tells of it.
        """
        ...


class Tagger(Protocol):
    """Names what is heard in a sound. Made as ``Class(location, compute)``, like an encoder.

    Making one is cheap: weights load when first needed. It is called by one thread at a time.
    """

    @property
    def location(self) -> str:
        """What follows the scheme of its URL, with paths made absolute."""
        ...

    @property
    def fingerprint(self) -> str:
        """Digest of weights and options; the classes and their means are counted beside it."""
        ...

    @property
    def classes(self) -> Sequence[str]:
        """Their names in words: they are put behind "the sound of"."""
        ...

    @property
    def means(self) -> FloatArray | None:
        """(classes,) float32: how probable each is on average over many recordings, if known."""
        ...

    @property
    def rate(self) -> int:
        """Of the samples that it is given, in Hz."""
        ...

    @property
    def window_s(self) -> float:
        """Seconds of sound that it judges at once at most."""
        ...

    def probabilities(self, samples: FloatArray) -> FloatArray:
        """What it hears in (n,) samples, of one second at least: (frames, classes), 0 to 1."""
        ...

"""Recordings: what is heard and what is said in them.

Gets: a recording's bytes, and transcripts that lie beside it. Gives: windows of sound, passages of
what is said; the beginning of a recording as a query. Touches: PyAV, through `films`. Never: looks
at a picture; a store, a path, the network.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

from retrieval.errors import BadInputError
from retrieval.films import recipe
from retrieval.schema import SkipReason, Wants
from retrieval.timed import Sound
from retrieval.timed_reader import SAID, TimedReader

_QUERY_S = 60.0  # of a query that are listened to
_DEFAULT_RATE = 48_000  # for an encoder that doesn't say


class AudioReader(TimedReader):
    """Turns a recording into windows and speech."""

    noun = "recording"
    pictures = False

    @property
    def recipe(self) -> Mapping[str, str | int | float]:
        """Versions of decoding and cutting."""
        return {"reader": "audio", **recipe.of_recordings(), **SAID}

    def query_input(self, data: bytes, wants: Wants) -> Sound:
        """The beginning of a sound, at the rate that the encoder likes."""
        file = io.BytesIO(data)
        self._check(file)
        from retrieval.films import sound

        rate = wants.sample_rate or _DEFAULT_RATE
        samples = sound.sound(file, rate=rate, end=_QUERY_S)
        if not samples.size:
            raise BadInputError(SkipReason.NO_CONTENT, "holds no sound")
        return Sound(samples, rate)

"""Films: what they show, what is heard and what is said in them.

Gets: a film's bytes, and subtitles that lie beside it. Gives: shots, windows of sound, passages of
what is said. Touches: PyAV and PySceneDetect, through `films`. Never: a store, a path, the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retrieval.errors import BadInputError
from retrieval.films import recipe
from retrieval.schema import SkipReason, Wants
from retrieval.timed_reader import SAID, TimedReader


class VideoReader(TimedReader):
    """Turns a film into shots, windows and speech."""

    noun = "film"
    pictures = True

    @property
    def recipe(self) -> Mapping[str, str | int | float]:
        """Versions of decoding and cutting; the detector of shots with its options."""
        return {"reader": "video", **recipe.of_films(), **SAID}

    def query_input(self, data: bytes, wants: Wants) -> Any:  # noqa: ARG002
        """A film can't be a query: refused."""
        message = "is a film, which can't be a query: ask with one of its pictures or its sound"
        raise BadInputError(SkipReason.UNSUPPORTED, message)

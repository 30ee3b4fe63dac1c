"""What decides which documents films and recordings become, for their readers' recipes.

Gets: nothing. Gives: names and values. Touches: nothing; FFmpeg needn't be here.
Never: FFmpeg's own version, which changes pixels by less than anybody sees.
"""

from __future__ import annotations

from retrieval.timed import STRETCH_S

from . import shots

FILMS_VERSION = 1  # raise it when other frames, sounds, windows, speech or subtitles come out

Recipe = dict[str, str | int | float]


def of_films() -> Recipe:
    """What films are decoded and cut by."""
    return {**of_recordings(), **shots.recipe()}


def of_recordings() -> Recipe:
    """What sound is decoded and cut by."""
    return {"films": FILMS_VERSION, "stretch_s": STRETCH_S}

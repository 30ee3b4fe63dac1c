"""What is said in stretches of a recording, with a transcriber that hears what it is told to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.listen import Listener
from indexer.schema import Reading
from retrieval.schema import Draft, Span
from retrieval.timed import SPEECH_RATE, Segment, Speech, Word

pytest.importorskip("rapidfuzz")

SCRIPT = "the quick brown fox jumps over the lazy dog and then it sleeps until the next morning"


class _Hears:
    """Hears the words that it was given, one a second."""

    location = fingerprint = ""

    def __init__(self, *stretches: str) -> None:
        self._stretches = iter(stretches)

    def transcribe(self, samples: NDArray[np.int16]) -> Sequence[Segment]:
        words = next(self._stretches).split()
        heard = tuple(Word(word, n, n + 0.9) for n, word in enumerate(words))
        return [Segment(" ".join(words), 0.0, float(len(words)), words=heard)] if words else []


def _reading(start: float, *, following: float | None, script: str | None = None) -> Reading:
    speech = Speech(start, np.zeros(10 * SPEECH_RATE, np.int16))
    return Reading(
        {"has_audio": True}, (), (), speech=(speech,), script=script, following=following
    )


def _passages(reading: Reading) -> list[tuple[str, Span | None]]:
    assert reading.speech == ()
    return [(draft.text or "", draft.span) for draft in reading.drafts or ()]


def test_what_is_heard_has_the_times_of_the_file() -> None:
    listener = Listener(lambda: _Hears("hello there"), 64)
    reading, script = listener.heard(_reading(120.0, following=None), None)
    assert _passages(reading) == [("hello there", Span(120.0, 122.0))]
    assert script is None


def test_a_transcript_is_used_up_stretch_by_stretch() -> None:
    first, second = (
        "the quick brown focks jumps over the lazy",
        "dog and then it sleeps until the next",
    )
    hears = _Hears(first, second)
    listener = Listener(lambda: hears, 64)
    one, rest = listener.heard(_reading(0.0, following=120.0, script=SCRIPT), None)
    two, left = listener.heard(_reading(120.0, following=None, script=SCRIPT), rest)
    texts = [text for text, _ in _passages(one) + _passages(two)]
    assert " ".join(texts).split() == SCRIPT.split()  # its own words, each once
    assert [span is not None for _, span in _passages(one)] == [True]
    assert left == ""


def test_the_end_of_a_transcript_that_was_not_heard_is_found_without_a_time() -> None:
    listener = Listener(lambda: _Hears("the quick brown fox jumps over"), 64)
    reading, left = listener.heard(_reading(0.0, following=None, script=SCRIPT), None)
    timed = [text for text, span in _passages(reading) if span is not None]
    untimed = [text for text, span in _passages(reading) if span is None]
    assert " ".join(timed + untimed).split() == SCRIPT.split()
    assert untimed
    assert left == ""


def test_without_a_transcriber_a_transcript_is_found_without_times() -> None:
    listener = Listener(None, 64)
    reading, rest = listener.heard(_reading(0.0, following=120.0, script=SCRIPT), None)
    assert _passages(reading) == [(SCRIPT, None)]
    again, _ = listener.heard(_reading(120.0, following=None, script=SCRIPT), rest)
    assert _passages(again) == []


def test_what_a_transcriber_fails_at_is_told_and_costs_itself_only() -> None:
    class Fails(_Hears):
        def transcribe(self, samples: NDArray[np.int16]) -> Sequence[Segment]:
            if next(self._stretches) == "fail":
                raise RuntimeError("out of range")
            return [Segment("hello", 0.0, 1.0)]

    hears = Fails("fail", "hello")
    listener = Listener(lambda: hears, 64)
    one, _ = listener.heard(_reading(0.0, following=120.0), None)
    two, _ = listener.heard(_reading(120.0, following=None), None)
    assert _passages(one) == []
    assert one.warnings == (
        "what is said from 0:00.0 on can't be written down: RuntimeError: out of range",
    )
    assert (one.has_gap, two.has_gap) == (True, False)
    assert _passages(two) == [("hello", Span(120.0, 121.0))]


def test_what_has_no_speech_is_left_as_it_is_and_opens_nothing() -> None:
    def opened() -> _Hears:
        raise AssertionError

    picture = Draft("image", (np.zeros((2, 2, 3), np.uint8),))
    reading, script = Listener(opened, 64).heard(Reading({}, (), (picture,)), None)
    assert reading.drafts == (picture,)
    assert script is None

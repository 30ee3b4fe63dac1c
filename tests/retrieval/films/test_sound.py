"""Sound: where it lies in time, and that a part of it is that part of the whole."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.films.nouns import Broken
from retrieval.films.sound import sound
from retrieval.schema import FloatArray
from tests import media_made as made
from tests.media_made import Samples

RATE = 16_000


def heard(path: Path, rate: int = RATE, **options: object) -> FloatArray:
    with path.open("rb") as file:
        return sound(file, rate=rate, **options)  # type: ignore[arg-type]


def pitch(samples: FloatArray, rate: int = RATE) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate / len(samples)


def loud(samples: FloatArray) -> float:
    return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a"])
@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_a_recording_comes_out_at_the_asked_rate(tmp_path: Path, suffix: str, rate: int) -> None:
    path = made.recording(tmp_path / f"tone{suffix}", made.tone(440, 2.0))
    samples = heard(path, rate)
    assert samples.dtype == np.float32
    assert len(samples) / rate == pytest.approx(2.0, abs=0.03)
    assert pitch(samples, rate) == pytest.approx(440, abs=2)
    assert loud(samples) == pytest.approx(0.5 / math.sqrt(2), rel=0.08)  # LAME takes 5 % off


def test_a_click_is_heard_when_it_was_made(tmp_path: Path) -> None:
    click = made.silence(2.0)
    click[round(1.25 * 44_100)] = 0.9
    for suffix in (".wav", ".flac"):
        path = made.recording(tmp_path / f"click{suffix}", click)
        for start in (0.0, 0.5, 1.0, 1.2):
            at = int(np.argmax(np.abs(heard(path, start=start))))
            assert start + at / RATE == pytest.approx(1.25, abs=1 / RATE)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = made.tone(440, 1.0), made.silence(1.0)
    path = made.recording(tmp_path / "sides.wav", np.stack([left, right]))
    assert loud(heard(path)) == pytest.approx(0.25 / math.sqrt(2), rel=0.05)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_every_way_to_store_samples_has_the_same_scale(tmp_path: Path, codec: str) -> None:
    path = made.recording(tmp_path / "tone.wav", made.tone(440, 1.0), codec=codec)
    assert loud(heard(path)) == pytest.approx(0.5 / math.sqrt(2), rel=0.05)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_sound_that_begins_late_is_silent_until_then(tmp_path: Path, suffix: str) -> None:
    path = made.film(tmp_path / f"late{suffix}", sounds=[made.tone(440, 2.0)], sound_starts=0.8)
    samples = heard(path)
    assert loud(samples[: round(0.75 * RATE)]) < 1e-3
    assert loud(samples[round(0.9 * RATE) : round(2.5 * RATE)]) > 0.3
    assert loud(heard(path, start=0.2, end=0.7)) < 1e-3


def test_a_gap_is_silence_and_moves_nothing(tmp_path: Path) -> None:
    path = made.recording(
        tmp_path / "gap.m4a", made.tone(440, 1.0), then=(2.0, made.tone(880, 1.0))
    )
    samples = heard(path)
    assert pitch(samples[:RATE]) == pytest.approx(440, abs=3)
    assert loud(samples[round(1.1 * RATE) : round(1.9 * RATE)]) < 1e-3
    assert pitch(samples[2 * RATE : 3 * RATE]) == pytest.approx(880, abs=3)
    assert np.array_equal(heard(path, start=1.5, end=2.5), samples[round(1.5 * RATE) : 40_000])


def test_of_several_tracks_the_default_is_heard(tmp_path: Path) -> None:
    tracks = [made.tone(440, 1.0), made.tone(880, 1.0)]
    first = made.film(tmp_path / "first.mkv", sounds=tracks)
    second = made.film(tmp_path / "second.mkv", sounds=tracks, default_sound=1)
    assert pitch(heard(first)) == pytest.approx(440, abs=3)
    assert pitch(heard(second)) == pytest.approx(880, abs=3)


def test_no_sound_is_no_samples(tmp_path: Path) -> None:
    assert len(heard(made.film(tmp_path / "silent.mp4"))) == 0
    assert len(heard(made.moving(tmp_path / "moving.gif"))) == 0
    silent = made.film(tmp_path / "still.mp4", sounds=[made.silence(3.0)])
    assert loud(heard(silent)) < 1e-4
    assert len(heard(silent)) / RATE == pytest.approx(3.0, abs=0.03)


@cache
def _whole(name: str) -> tuple[Path, FloatArray]:
    path = Path(mkdtemp()) / name
    samples: Samples = made.sweep(4.0)
    if name == "bare.aac":
        made.bare(path, made.recording(path.with_suffix(".m4a"), samples))
    elif name in ("film.mp4", "late.ts"):
        made.film(path, sounds=[samples], shift=2.0 if name == "late.ts" else 0.0)
    else:
        made.recording(path, samples)
    return path, heard(path)


EXACT = [
    "sweep.wav",
    "sweep.flac",
    "sweep.mp3",
    "sweep.opus",
    "sweep.m4a",
    "bare.aac",
    "film.mp4",
    "late.ts",
]


@settings(max_examples=80)
@given(name=st.sampled_from(EXACT), start=st.floats(0, 4.5), length=st.floats(0, 2))
def test_a_part_is_that_part_of_the_whole(name: str, start: float, length: float) -> None:
    path, whole = _whole(name)
    part = heard(path, start=start, end=start + length)
    expected = whole[round(start * RATE) : round((start + length) * RATE)]
    assert len(part) == len(expected)
    assert np.abs(part - expected).max(initial=0.0) < 1e-4


@settings(max_examples=30)
@given(start=st.floats(0, 3.4))
def test_in_matroska_it_is_so_up_to_its_timestamps_of_a_millisecond(start: float) -> None:
    path, whole = _whole("sweep.mka")
    part = heard(path, start=start, end=start + 0.5)
    at = round(start * RATE)
    assert len(part) == pytest.approx(8000, abs=16)
    shifts = range(max(0, at - 16), at + 17)
    nearest = min(
        float(np.abs(part[:7900] - whole[shift : shift + 7900]).max(initial=0.0))
        for shift in shifts
        if shift + 7900 <= len(whole)
    )
    assert nearest < 0.5  # the sweep changes by so much within a sample at its top


def test_what_is_cut_short_keeps_what_is_there(tmp_path: Path) -> None:
    whole = made.recording(tmp_path / "whole.flac", made.sweep(4.0))
    broken: list[Broken] = []
    samples = heard(made.cut_short(tmp_path / "short.flac", whole), broken=broken)
    assert 0.5 < len(samples) / RATE < 3.5
    assert "though its header promises 0:04.00" in str(broken[-1])
    assert np.abs(samples[:RATE] - heard(whole)[:RATE]).max() < 1e-4


def test_damage_is_silence_and_moves_nothing(tmp_path: Path) -> None:
    whole = made.film(tmp_path / "whole.mp4", sounds=[made.tone(440, 4.0)])
    path = made.damaged(tmp_path / "damaged.mp4", whole, at=0.6, length=3000)
    samples = heard(path, broken=(broken := []))
    assert len(samples) == len(heard(whole))
    assert broken
    assert np.abs(samples[-RATE:] - heard(whole)[-RATE:]).max() < 1e-3

"""Sounds as encoders want them: at their rate, in windows of their length."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import NotInstalledError
from retrieval.sounds import at_rate, windows
from retrieval.timed import Sound


def tone(hertz: float, rate: int, seconds: float = 1.0) -> Sound:
    t = np.arange(int(seconds * rate)) / rate
    return Sound((0.5 * np.sin(2 * np.pi * hertz * t)).astype(np.float32), rate)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 192_000])
def test_a_tone_stays_the_same_tone_at_another_rate(rate: int) -> None:
    there = at_rate(tone(1_000, rate), 16_000)
    assert there.dtype == np.float32
    assert len(there) == 16_000
    np.testing.assert_allclose(there[800:-800], tone(1_000, 16_000).samples[800:-800], atol=2e-3)


def test_what_the_rate_has_no_room_for_is_left_out() -> None:
    assert np.abs(at_rate(tone(7_000, 44_100), 8_000)[400:-400]).max() < 1e-3


def test_at_its_own_rate_a_sound_is_given_back_and_left_alone() -> None:
    sound = tone(100, 8_000)
    sound.samples.flags.writeable = False
    np.testing.assert_array_equal(at_rate(sound, 8_000), sound.samples)


def test_what_is_no_number_is_silence_and_what_is_too_loud_is_cut() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 7, -7, 0.25], np.float32)
    np.testing.assert_array_equal(at_rate(Sound(odd, 8_000), 8_000), [0, 1, -1, 1, -1, 0.25])


def test_no_sound_at_all_stays_none() -> None:
    assert len(at_rate(Sound(np.zeros(0, np.float32), 8_000), 48_000)) == 0


def test_without_soxr_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(NotInstalledError, match=r"from 8000 to 16000 Hz needs .* `soxr`") as caught:
        at_rate(tone(100, 8_000), 16_000)
    assert "echolens[sound]" in caught.value.advice


@given(length=st.integers(0, 500), size=st.integers(1, 60))
def test_windows_cover_every_sample_and_none_is_a_remnant(length: int, size: int) -> None:
    samples = np.arange(length, dtype=np.float32)
    cut = windows(samples, size)
    assert len(cut) == max(1, -(-length // size))
    assert set(np.concatenate(cut)) == set(samples)
    assert {len(window) for window in cut} == {min(length, size)}
    starts = [window[0] for window in cut if len(window)]
    assert starts == sorted(starts)

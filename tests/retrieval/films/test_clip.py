"""Moments cut out of films and recordings: what is copied, what is encoded, what never happens."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import BadInputError, SkipReason, StoreUnreachableError, UsageError
from retrieval.films import clip as clip_module
from retrieval.films.clip import LATE_S, NEAR_S, Cut, cut
from retrieval.films.containers import facts
from retrieval.films.frames import frames
from retrieval.films.nouns import Broken, Facts, Frame
from retrieval.films.sound import sound
from retrieval.schema import FloatArray
from tests import media_made as made
from tests.media_made import number_of

RATE = 16_000


def shown(path: Path) -> list[Frame]:
    broken: list[Broken] = []
    with path.open("rb") as file:
        found = list(frames(file, size=120, broken=broken))
    assert broken == []
    return found


def numbers(path: Path) -> list[int]:
    return [number_of(frame.picture) for frame in shown(path)]


def heard(path: Path, **options: float) -> FloatArray:
    with path.open("rb") as file:
        return sound(file, rate=RATE, **options)  # type: ignore[arg-type]


def of(path: Path) -> Facts:
    with path.open("rb") as file:
        return facts(file)


def offset_s(clip: FloatArray, whole: FloatArray, at_s: float) -> float:
    """Seconds by which the clip's sound comes later than it should."""
    at, n = round(at_s * RATE), min(len(clip), RATE // 2)
    part = clip[1600 : n - 1600]

    def fit(shift: int) -> float:
        other = whole[at + 1600 - shift : at + 1600 - shift + len(part)]
        return float(np.dot(part, other)) if len(other) == len(part) else -math.inf

    return max(range(-1600, 1601, 4), key=fit) / RATE


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds, a key frame each second, two tracks of sound."""
    folder = tmp_path_factory.mktemp("films")
    return made.film(folder / "film.mp4", sounds=[made.noise(3.0), made.sweep(3.0)])


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts"])
@pytest.mark.parametrize("start", [1.0, 1.0 + NEAR_S - 0.01, 1.0 - LATE_S + 0.01])
def test_at_a_key_frame_packets_are_copied(
    film: Path, tmp_path: Path, suffix: str, start: float
) -> None:
    out = tmp_path / f"clip{suffix}"
    done = cut(film, out, start, 2.0)
    assert done.copied
    assert done.start == pytest.approx(1.0, abs=1e-3)
    assert done.end == pytest.approx(2.0, abs=0.03)
    assert numbers(out) == list(range(25, 50))
    assert offset_s(heard(out), heard(film), done.start) == pytest.approx(0, abs=0.002)
    assert of(out).audio_tracks == 2


def test_a_copy_is_the_very_same_packets(film: Path, tmp_path: Path) -> None:
    cut(film, tmp_path / "clip.mkv", 1.0, 2.0)
    copy = {number_of(f.picture): f.picture for f in shown(tmp_path / "clip.mkv")}
    for frame in shown(film)[25:50]:
        assert np.array_equal(copy[number_of(frame.picture)], frame.picture)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts", ".avi", ".webm"])
def test_between_key_frames_pictures_are_encoded_from_the_very_frame(
    film: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"clip{suffix}"
    done = cut(film, out, 1.6, 2.2)
    assert "pictures" in done.encoded
    assert ("sound" in done.encoded) == (suffix in (".avi", ".webm"))
    assert (done.start, done.end) == (1.6, pytest.approx(2.2, abs=0.03))
    assert numbers(out) == list(range(40, 55))
    late = 0.03 if suffix == ".avi" else 0.002  # which can't say that an encoder leads in
    assert offset_s(heard(out), heard(film), 1.6) == pytest.approx(0, abs=late)


def test_all_tracks_of_sound_come_along_in_order(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mkv"
    cut(film, out, 1.6, 2.4)
    assert of(out).audio_tracks == 2
    tones = [made.tone(440, 3.0), made.tone(880, 3.0)]
    second = made.film(tmp_path / "second.mkv", sounds=tones, default_sound=1)
    cut(second, tmp_path / "clip2.mkv", 1.0, 2.0)
    spectrum = np.abs(np.fft.rfft(heard(tmp_path / "clip2.mkv")[:RATE]))
    assert int(np.argmax(spectrum)) == pytest.approx(880, abs=4)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_sound_stored_without_loss_is_cut_to_the_sample(tmp_path: Path, suffix: str) -> None:
    source = made.recording(tmp_path / f"whole{suffix}", made.sweep(3.0))
    done = cut(source, tmp_path / f"clip{suffix}", 1.03, 2.2)
    assert done == Cut(1.03, pytest.approx(2.2, abs=1e-3))
    whole, clip = heard(source), heard(tmp_path / f"clip{suffix}")
    assert len(clip) == pytest.approx(1.17 * RATE, abs=2)
    assert np.abs(clip[200:-200] - whole[16_480 + 200 : 16_480 + len(clip) - 200]).max() < 0.01
    assert of(tmp_path / f"clip{suffix}").duration_s == pytest.approx(1.17, abs=1e-3)


@pytest.mark.parametrize(("suffix", "packet"), [(".mp3", 0.027), (".m4a", 0.024), (".opus", 0.021)])
def test_a_recording_begins_with_the_packet_that_holds_the_start(
    tmp_path: Path, suffix: str, packet: float
) -> None:
    source = made.recording(tmp_path / f"whole{suffix}", made.sweep(3.0))
    out = tmp_path / f"clip{suffix}"
    done = cut(source, out, 1.03, 2.2)
    assert done.copied
    assert 1.03 - packet < done.start <= 1.03
    assert done.end == pytest.approx(2.2, abs=packet)
    assert offset_s(heard(out), heard(source), done.start) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".flac", ".opus", ".m4a"])
def test_the_sound_of_a_film_can_be_cut_out_alone(film: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"clip{suffix}"
    done = cut(film, out, 1.3, 2.3)
    assert not of(out).has_video
    assert of(out).audio_tracks == 1
    assert len(heard(out)) / RATE == pytest.approx(1.0, abs=0.06)
    assert done.start == pytest.approx(1.3, abs=0.03)


@pytest.mark.parametrize("source", [".wav", ".flac", ".mp3", ".m4a", ".opus"])
@pytest.mark.parametrize("target", [".wav", ".flac", ".mp3", ".m4a", ".opus", ".mka", ".aiff"])
def test_every_recording_goes_into_every_container(
    tmp_path: Path, source: str, target: str
) -> None:
    whole = made.recording(tmp_path / f"whole{source}", made.tone(440, 3.0))
    clip = tmp_path / f"clip{target}"
    cut(whole, clip, 1.0, 2.0)
    samples = heard(clip)
    assert len(samples) / RATE == pytest.approx(1.0, abs=0.06)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * RATE / len(samples) == pytest.approx(440, abs=3)


def test_a_turned_film_stays_upright(tmp_path: Path) -> None:
    source = made.film(tmp_path / "film.mp4", rotation=90)
    whole = shown(source)
    for start, copied in ((1.0, True), (1.6, False)):
        out = tmp_path / f"{start}.mp4"
        assert cut(source, out, start, 2.0).copied is copied
        (first, *_) = shown(out)
        expected = whole[round(start * 25)].picture
        assert first.picture.shape == expected.shape
        assert np.abs(first.picture.astype(int) - expected).mean() < 8


def test_a_picture_that_stays_is_there_from_the_start(tmp_path: Path) -> None:
    slides = made.film(tmp_path / "slides.mp4", times=[0.0, 1.0, 2.9], key_every=99)
    out = tmp_path / "clip.mp4"
    done = cut(slides, out, 1.8, 2.95)
    found = shown(out)
    assert done.encoded == ("pictures",)
    assert [number_of(f.picture) for f in found] == [1, 2]
    assert [f.time_s for f in found] == pytest.approx([0.0, 1.1], abs=0.001)


def test_frames_out_of_order_are_copied_whole(tmp_path: Path) -> None:
    source = made.film(tmp_path / "film.mp4", preset="medium", key_every=25)
    cut(source, tmp_path / "clip.mp4", 1.0, 1.5)
    found = numbers(tmp_path / "clip.mp4")
    assert found == list(range(25, 25 + len(found)))
    assert 12 <= len(found) <= 16


def test_first_timestamps_do_not_matter(tmp_path: Path) -> None:
    source = made.film(tmp_path / "film.ts", shift=7.0, sounds=[made.sweep(3.0)])
    for start in (1.04, 1.6):
        done = cut(source, tmp_path / "clip.mp4", start, 2.0)
        first = shown(tmp_path / "clip.mp4")[0]
        assert number_of(first.picture) == pytest.approx(25 * done.start, abs=1.1)


@settings(max_examples=25)
@given(start=st.floats(0, 2.8), length=st.floats(0.1, 1.5))
def test_a_clip_holds_what_was_asked_for(
    film: Path, tmp_path_factory: pytest.TempPathFactory, start: float, length: float
) -> None:
    out = tmp_path_factory.mktemp("clip") / "clip.mp4"
    done = cut(film, out, start, start + length)
    assert start - NEAR_S <= done.start <= start + LATE_S
    asked = [n for n in range(75) if done.start <= n / 25 < start + length]
    found = numbers(out)
    assert found[: len(asked)] == asked or found[1 : len(asked) + 1] == asked
    assert len(found) <= len(asked) + 2


def test_a_false_key_frame_is_not_copied_from(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_module, "_is_true_key", lambda *_: False)
    done = cut(film, tmp_path / "clip.mp4", 1.0, 2.0)
    assert done.encoded == ("pictures",)
    assert numbers(tmp_path / "clip.mp4") == list(range(25, 50))


def test_the_source_is_never_written_over(film: Path, tmp_path: Path) -> None:
    before = film.read_bytes()
    link = tmp_path / "link.mp4"
    link.symlink_to(film)
    for out in (film, link):
        with pytest.raises(UsageError, match="is the film itself"):
            cut(film, out, 0.0, 1.0)
    assert film.read_bytes() == before


def test_what_is_there_stays_when_cutting_fails(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    out.write_bytes(b"old")
    with pytest.raises(UsageError, match=r"nothing in film\.mp4 from 0:50\.00 on"):
        cut(film, out, 50.0, 60.0)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    assert out.read_bytes() == b"old"
    cut(film, out, 0.0, 1.0)
    assert len(numbers(out)) == 25
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_nonsense_is_told_as_such(film: Path, tmp_path: Path) -> None:
    for start, end in ((2.0, 1.0), (1.0, 1.0), (-1.0, 2.0), (math.nan, 2.0)):
        with pytest.raises(UsageError, match="nothing from"):
            cut(film, tmp_path / "clip.mp4", start, end)
    with pytest.raises(UsageError, match=r"\.xyz is not the suffix"):
        cut(film, tmp_path / "clip.xyz", 0.0, 1.0)
    silent = made.film(tmp_path / "silent.mp4")
    with pytest.raises(UsageError, match=r"\.mp3 holds nothing of what silent.mp4 has"):
        cut(silent, tmp_path / "clip.mp3", 0.0, 1.0)
    text = tmp_path / "text.mp4"
    text.write_text("Nothing moves here.\n" * 9)
    with pytest.raises(BadInputError, match="is text") as caught:
        cut(text, tmp_path / "clip.mp4", 0.0, 1.0)
    assert caught.value.reason is SkipReason.CORRUPT


def test_a_folder_that_is_not_there_is_told_as_the_clips(film: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachableError, match="can't be written"):
        cut(film, tmp_path / "no" / "clip.mp4", 0.0, 1.0)


def test_a_disk_that_takes_no_more_is_told_as_the_clips(film: Path, tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from retrieval.errors import StoreUnreachableError\n"
        "from retrieval.films.clip import cut\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n    cut(Path(sys.argv[1]), Path(sys.argv[2]), 0.0, 3.0)\n"
        "except StoreUnreachableError as error:\n    print(error)"
    )
    out = tmp_path / "clip.mkv"
    ran = subprocess.run(
        [sys.executable, "-c", program, film, out], capture_output=True, text=True, check=True
    )
    assert "can't be written: File too large" in ran.stdout
    assert ran.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_broken_film_gives_what_there_is(tmp_path: Path) -> None:
    whole = made.film(tmp_path / "whole.mp4", options={"movflags": "faststart"})
    short = made.cut_short(tmp_path / "short.mp4", whole)
    done = cut(short, tmp_path / "clip.mp4", 0.3, 2.9)
    assert done.end < 2.0
    assert len(numbers(tmp_path / "clip.mp4")) > 10

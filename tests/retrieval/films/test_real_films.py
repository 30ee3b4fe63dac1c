"""Real odd films and recordings, where they lie beside the repository."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import BadInputError, SkipReason
from retrieval.films.clip import cut
from retrieval.films.containers import facts
from retrieval.films.frames import frames
from retrieval.films.nouns import Broken, Facts, Frame
from retrieval.films.sound import sound
from retrieval.schema import FloatArray
from tests.datasets_here import AV, needs_films

CLIPS, BAD = AV / "clips", AV / "robustness"
pytestmark = needs_films

# Each in a container, with a codec or a track that the others don't have.
UNLIKE = (
    "apple.mp4",
    "budgie_ladder.mov",
    "cockatoo.mp4",
    "dog_in_basket.mp4",
    "eye_makeup.avi",
    "flower_bloom.webm",
    "guitar_audio_only.mp4",
    "kids_jump_bed.webm",
    "man_in_car.mp4",
    "newtons_cradle.gif",
    "pancake_toss.mkv",
    "phone_train.mp4",
    "pour_coffee.mp4",
    "sign_again.mkv",
)


def shown(path: Path, size: int = 64, **options: object) -> list[Frame]:
    with path.open("rb") as file:
        return list(frames(file, size=size, **options))  # type: ignore[arg-type]


@cache
def whole_of(name: str) -> tuple[list[Frame], list[Broken]]:
    """All frames of a clip, and where it is broken."""
    broken: list[Broken] = []
    return shown(CLIPS / name, broken=broken), broken


def heard(path: Path, **options: object) -> FloatArray:
    with path.open("rb") as file:
        return sound(file, rate=16_000, **options)  # type: ignore[arg-type]


def of(path: Path) -> Facts:
    with path.open("rb") as file:
        return facts(file)


@pytest.mark.parametrize("name", UNLIKE)
def test_a_part_of_a_clip_is_what_the_whole_has_there(name: str) -> None:
    whole, _ = whole_of(name)
    for share in (0.3, 0.77):
        start = share * whole[-1].time_s if whole else 1.0
        expected = [frame for frame in whole if start <= frame.time_s < start + 0.7]
        part = shown(CLIPS / name, start=start, end=start + 0.7)
        assert [f.time_s for f in part] == [f.time_s for f in expected]
        for found, known in zip(part, expected, strict=True):
            assert np.array_equal(found.picture, known.picture)


@pytest.mark.parametrize("name", UNLIKE)
def test_nothing_is_damaged_in_a_clip(name: str) -> None:
    found, seen = whole_of(name)
    unheard: list[Broken] = []
    samples = heard(CLIPS / name, broken=unheard)
    assert (seen, unheard) == ([], [])
    said = of(CLIPS / name)
    assert (bool(found), bool(len(samples))) == (said.has_video, said.has_audio)
    times = [frame.time_s for frame in found]
    assert times == sorted(set(times))
    assert said.duration_s is not None
    longest = max(len(samples) / 16_000, times[-1] if times else 0.0)
    assert longest == pytest.approx(said.duration_s, abs=0.5)


def test_key_frames_that_are_none_show_no_green() -> None:
    whole = {frame.time_s: frame.picture for frame in whole_of("cockatoo.mp4")[0]}
    for start in (3.8, 5.0, 8.0, 13.0):
        part = shown(CLIPS / "cockatoo.mp4", start=start, end=start + 0.3)
        assert len(part) == 6
        assert all(np.array_equal(frame.picture, whole[frame.time_s]) for frame in part)


def test_a_clip_from_such_a_key_frame_shows_no_green(tmp_path: Path) -> None:
    done = cut(CLIPS / "cockatoo.mp4", tmp_path / "clip.mp4", 3.8, 4.4)
    assert done.encoded == ("pictures",)
    whole = {round(frame.time_s, 2): frame.picture for frame in whole_of("cockatoo.mp4")[0]}
    for frame in shown(tmp_path / "clip.mp4"):
        expected = whole[round(frame.time_s + 3.8, 2)]
        assert np.abs(frame.picture.astype(int) - expected).mean() < 8


def test_a_phones_film_is_upright() -> None:
    said = of(CLIPS / "budgie_ladder.mov")
    (first, *_) = shown(CLIPS / "budgie_ladder.mov", 128)
    assert said.rotation == 90
    assert first.picture.shape[0] > first.picture.shape[1]
    assert first.picture.shape[0] / first.picture.shape[1] == pytest.approx(
        said.height / said.width, rel=0.01
    )


def test_two_tracks_silence_and_no_picture() -> None:
    assert of(CLIPS / "pour_coffee.mp4").audio_tracks == 2
    assert np.abs(heard(CLIPS / "man_in_car.mp4")).max() < 1e-3
    assert of(CLIPS / "man_in_car.mp4").has_audio
    assert not of(CLIPS / "guitar_audio_only.mp4").has_video
    assert len(heard(CLIPS / "guitar_audio_only.mp4")) / 16_000 == pytest.approx(12, abs=0.05)


def test_a_varying_frame_rate_has_its_own_times() -> None:
    steps = np.diff([frame.time_s for frame in shown(CLIPS / "dog_in_basket.mp4")])
    assert steps.max() > 2 * steps.min()


def test_damaged_films_give_what_there_is() -> None:
    broken: list[Broken] = []
    assert len(shown(BAD / "corrupted.mp4", broken=broken)) >= 40
    assert str(broken[0]).startswith("is damaged at 0:0")
    broken.clear()
    assert len(shown(BAD / "truncated.mp4", broken=broken)) >= 90
    assert str(broken[-1]) == "ends at 0:03.33, though its header promises 0:10.00"
    assert len(shown(BAD / "truncated.mp4", fast=True)) == 1
    assert len(shown(BAD / "unordered.mov")) == 4
    assert of(BAD / "no_duration.webm").duration_s is None
    assert len(shown(BAD / "no_duration.webm")) == 74


@pytest.mark.parametrize(
    ("name", "reason"), [("empty.mp4", SkipReason.EMPTY), ("text_named.mp4", SkipReason.CORRUPT)]
)
def test_what_is_no_film_is_told(name: str, reason: SkipReason) -> None:
    for read in (shown, heard, of):
        with pytest.raises(BadInputError) as caught:
            read(BAD / name)
        assert caught.value.reason is reason

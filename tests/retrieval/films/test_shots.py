"""Where a film cuts, and which pictures stand for a shot."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.films.nouns import Frame, Picture
from retrieval.films.shots import LONGEST_S, MOST_PICTURES, SHORTEST_S, Shot, shots

FPS = 25.0
SIZE = (72, 128)


def scenery(seed: int) -> Picture:
    """A picture of its own: blocks of colour."""
    blocks = np.random.default_rng(seed).integers(0, 256, (9, 16, 3), np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)


def film(
    *scenes: tuple[float, Picture], fps: float = FPS, start: float = 0.0, moves: bool = True
) -> Iterator[Frame]:
    """Scenes of so many seconds, one after another; in each the picture moves a little."""
    number = 0
    for seconds, picture in scenes:
        for step in range(round(seconds * fps)):
            shown = np.roll(picture, step // 4 if moves else 0, axis=1)
            yield Frame(start + number / fps, shown)
            number += 1


def plain(level: int) -> Picture:
    return np.full((*SIZE, 3), level, np.uint8)


def spans(found: Sequence[Shot]) -> list[tuple[float, float]]:
    return [(shot.start, shot.end) for shot in found]


def test_hard_cuts_are_found_to_the_frame() -> None:
    found = list(shots(film((2.0, scenery(1)), (1.2, scenery(2)), (4.0, scenery(3)))))
    assert spans(found) == [(0.0, 2.0), (2.0, 3.2), (3.2, 7.2)]


def test_times_are_the_frames_own() -> None:
    """Frames of a rate that varies: the second scene's are three times as far apart."""
    first = list(film((2.0, scenery(1))))
    second = [Frame(2.0 + i * 0.12, f.picture) for i, f in enumerate(film((1.0, scenery(2))))]
    third = [Frame(5.0 + i * 0.02, f.picture) for i, f in enumerate(film((2.0, scenery(3))))]
    found = list(shots([*first, *second, *third]))
    assert spans(found) == [(0.0, 2.0), (2.0, 5.0), (5.0, 6.0)]


def test_a_flash_is_no_shot_and_a_short_end_belongs_to_the_shot_before() -> None:
    found = list(shots(film((2.0, scenery(1)), (0.2, scenery(2)), (2.0, scenery(3)))))
    assert spans(found) == [(0.0, 2.0), (2.0, 4.2)]
    found = list(shots(film((2.0, scenery(1)), (2.0, scenery(2)), (0.4, scenery(3)))))
    assert spans(found) == [(0.0, 2.0), (2.0, 4.4)]


def test_what_nobody_cuts_is_split_evenly() -> None:
    found = list(shots(film((3.5 * LONGEST_S, scenery(1)))))
    lengths = [shot.end - shot.start for shot in found]
    assert len(found) == 4
    assert max(lengths) - min(lengths) < 0.01
    short_end = list(shots(film((LONGEST_S - 0.2, scenery(1)), (0.4, scenery(2)))))
    assert len(short_end) == 2
    assert max(shot.end - shot.start for shot in short_end) <= LONGEST_S


def test_the_last_shot_ends_with_its_last_frame_or_where_it_is_told_to() -> None:
    (whole,) = shots(film((2.0, scenery(1))))
    assert whole.end == 2.0
    (cut_off,) = shots(film((2.0, scenery(1))), until=1.5)
    assert cut_off.end == 1.5
    (longer,) = shots(film((2.0, scenery(1))), until=120.0)
    assert longer.end == 2.0
    (still,) = shots([Frame(0.0, scenery(1))])
    assert 0.0 < still.end < 0.1
    (still,) = shots([Frame(0.0, scenery(1))], ends=5.0)
    assert still.end == 5.0
    assert list(shots([])) == []


def test_no_frame_is_taken_after_the_first_beyond_the_border() -> None:
    frames = film((9.0, scenery(1)))
    list(shots(frames, until=1.0))
    assert next(frames).time_s == pytest.approx(1.0 + 1 / FPS)


def test_a_later_stretch_begins_where_the_earlier_one_ended() -> None:
    frames = film((2.0, scenery(1)), start=120.013)
    (shot,) = shots(frames, start=120.0, until=240.0)
    assert (shot.start, shot.end) == (120.0, 122.013)
    (shot,) = shots(film((2.0, scenery(1)), start=130.0), start=120.0, until=240.0)
    assert (shot.start, shot.end) == (130.0, 132.0)


def test_pictures_are_few_spread_and_in_order() -> None:
    """Each second a small thing stands elsewhere, which is no cut."""
    pictures = [scenery(1) for _ in range(9)]
    for i, picture in enumerate(pictures):
        picture[:8, 14 * i : 14 * i + 8] = 255
    (shot,) = shots(film(*((1.0, picture) for picture in pictures), moves=False))
    assert len(shot.pictures) == MOST_PICTURES
    order = [next(i for i, p in enumerate(pictures) if (p == q).all()) for q in shot.pictures]
    assert order == sorted(order)
    assert order[0] < 3
    assert order[-1] > 5


def test_a_repeat_is_not_sampled() -> None:
    noise = np.random.default_rng(0).integers(0, 3, (200, *SIZE, 3), np.uint8)
    frames = [Frame(i / FPS, (scenery(1) // 2 + n).astype(np.uint8)) for i, n in enumerate(noise)]
    (shot,) = shots(frames)
    assert len(shot.pictures) == 1


@pytest.mark.parametrize("level", [0, 9, 128, 255])
def test_black_and_blank_frames_are_not_sampled(level: int) -> None:
    """A fade from one colour: the frames of the picture are taken, however they lie."""
    frames = film((3.0, plain(level)), (0.5, scenery(1)))
    (shot,) = shots(frames, start=0.0)
    assert not shot.blank
    assert all(picture.std() > 10 for picture in shot.pictures)


@pytest.mark.parametrize("level", [0, 255])
def test_a_shot_of_nothing_is_blank(level: int) -> None:
    found = list(shots(film((2.0, scenery(1)), (2.0, plain(level)), (2.0, scenery(2)))))
    assert [shot.blank for shot in found] == [False, True, False]
    assert len(found[1].pictures) == 1


def test_a_title_on_black_is_something() -> None:
    title = plain(0)
    title[30:36, 40:80] = 230
    (shot,) = shots(film((2.0, title), moves=False))
    assert not shot.blank


def test_frames_far_apart_are_cut_where_the_content_changes() -> None:
    slides = [Frame(4.0 * i, scenery(i // 2)) for i in range(6)]
    found = list(shots(slides, sparse=True))
    assert spans(found) == [(0.0, 8.0), (8.0, 16.0), (16.0, 24.0)]
    longer = list(shots(slides, sparse=True, ends=22.5))
    assert longer[-1].end == 22.5
    lying = list(shots(slides, sparse=True, ends=9000.0))
    assert lying[-1].end == 24.0


def test_memory_does_not_grow_with_the_length_of_a_shot() -> None:
    """Of 100 s in one shot only so many pictures are alive at once."""
    alive = most = 0

    def forget() -> None:
        nonlocal alive
        alive -= 1

    def watched() -> Iterator[Frame]:
        nonlocal alive, most
        for frame in film((100.0, scenery(1))):
            weakref.finalize(frame.picture, forget)
            alive += 1
            most = max(most, alive)
            yield frame

    assert list(shots(watched()))
    assert most < 80


@given(
    lengths=st.lists(st.floats(0.4, 14.0), min_size=1, max_size=5),
    fps=st.sampled_from([5.0, 12.5, 25.0]),
)
@settings(max_examples=25)
def test_shots_follow_each_other_within_their_limits(lengths: list[float], fps: float) -> None:
    scenes = [(max(1 / fps, length), scenery(i)) for i, length in enumerate(lengths)]
    frames = list(film(*scenes, fps=fps))
    found = list(shots(frames))
    assert found[0].start == 0.0
    assert found[-1].end == pytest.approx(frames[-1].time_s + 1 / fps, abs=0.05)
    for shot, following in pairwise(found):
        assert shot.end == following.start
    for shot in found:
        assert 1 <= len(shot.pictures) <= MOST_PICTURES
        assert shot.end - shot.start <= LONGEST_S + 0.002
        assert shot.end - shot.start >= SHORTEST_S - 0.002 or len(found) == 1

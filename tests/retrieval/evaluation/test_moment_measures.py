"""Measures of moments: by hand, by laws, and against a derivation that goes another way.

No package on PyPI carries QVHighlights' scripts, so what they compute is derived here once more, in
plain Python: sets of hundredths of a second for IoU, recall levels for average precision.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import UsageError
from retrieval.evaluation.moment_measures import (
    DEFAULT,
    IOUS,
    MOST_GUESSES,
    Scored,
    average_of_precisions,
    average_precision,
    best_ious,
    clip_scores,
    highlight_hit,
    highlight_precision,
    iou,
    is_moment_measure,
    mean_iou,
    moment_values,
    parse_moment_measure,
    recall_at,
    scored,
)
from retrieval.evaluation.moments import Guess, MomentQuery, Saliency, Window


def asked(*windows: Window, saliency: Saliency | None = None) -> MomentQuery:
    return MomentQuery("q", "a dog jumps", "film", windows, saliency)


def guessed(*windows: Window, film: str = "film") -> list[Guess]:
    """Best first."""
    return [Guess(film, *window, -float(place)) for place, window in enumerate(windows)]


def one(windows: list[Window], guesses: list[Window]) -> Scored:
    return scored(asked(*windows), guessed(*guesses))


def value(name: str, of: Scored) -> float:
    return parse_moment_measure(name).of(of)


# -- by hand --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 10), (0, 10), 1.0),
        ((0, 10), (5, 15), 5 / 15),
        ((0, 10), (2, 7), 0.5),
        ((0, 10), (10, 20), 0.0),
        ((0, 10), (15, 20), 0.0),
        ((3, 3), (3, 3), 0.0),  # no length
        ((3, 3), (0, 10), 0.0),
    ],
)
def test_iou_by_hand(a: Window, b: Window, expected: float) -> None:
    assert iou(np.array([a], float), np.array([b], float))[0, 0] == pytest.approx(expected)


def test_recall_looks_at_the_first_k_guesses_and_at_every_window() -> None:
    found = one([(0, 10), (50, 60)], [(20, 30), (52, 60), (0, 10)])
    assert best_ious(found).tolist() == pytest.approx([0, 0.8, 1])
    assert [recall_at(found, k, 0.5) for k in (1, 2, 3)] == [0, 1, 1]
    assert [recall_at(found, k, 0.85) for k in (1, 2, 3)] == [0, 0, 1]
    assert mean_iou(found) == 0


def test_an_iou_of_exactly_the_threshold_counts() -> None:
    found = one([(0, 10)], [(0, 5)])
    assert (value("r1@0.5", found), value("r1@0.51", found)) == (1, 0)
    assert value("r1@0.7", one([(0, 10)], [(3, 10)])) == 1


def test_a_guess_in_another_film_is_never_right() -> None:
    query = asked((0, 10))
    others = guessed((0, 10), film="other")
    own = guessed((0, 10))
    assert recall_at(scored(query, [*others, *own]), 1, 0.5) == 0
    assert recall_at(scored(query, [*others, *own]), 2, 0.5) == 1
    assert average_precision(scored(query, [*others, *own]), 0.5) == 0.5
    assert mean_iou(scored(query, others)) == 0


def test_average_precision_by_hand() -> None:
    """Two windows; hit, miss, hit: precision 1, 1/2, 2/3. AP = (1 + 2/3) / 2."""
    found = one([(0, 10), (20, 30)], [(0, 10), (50, 60), (20, 30)])
    assert average_precision(found, 0.5) == pytest.approx((1 + 2 / 3) / 2)
    assert average_of_precisions(found) == pytest.approx((1 + 2 / 3) / 2)


def test_average_precision_is_interpolated() -> None:
    """Miss, hit, hit: precision 0, 1/2, 2/3. From the first hit on the best is 2/3."""
    found = one([(0, 10), (20, 30)], [(50, 60), (0, 10), (20, 30)])
    assert average_precision(found, 0.5) == pytest.approx(2 / 3)


def test_a_window_is_hit_once() -> None:
    """The second guess of the same window is a false one: 1, 1/2; one of two windows is found."""
    found = one([(0, 10), (40, 50)], [(0, 10), (0, 10)])
    assert average_precision(found, 0.5) == 0.5
    assert average_precision(one([(0, 10)], [(0, 9), (0, 10)]), 0.95) == 0.5


def test_a_guess_takes_the_free_window_that_it_fits_best() -> None:
    """Both windows overlap enough; the second guess finds the one that the first left."""
    found = one([(0, 10), (2, 12)], [(2, 12), (1, 11)])
    assert average_precision(found, 0.5) == 1


def test_only_the_first_guesses_count_for_precision() -> None:
    misses: list[Window] = [(100.0 + place, 101.0 + place) for place in range(MOST_GUESSES)]
    assert average_precision(one([(0, 10)], [*misses, (0, 10)]), 0.5) == 0
    assert average_precision(one([(0, 10)], [*misses[1:], (0, 10)]), 0.5) == pytest.approx(0.1)


def test_the_average_is_over_ten_thresholds() -> None:
    assert IOUS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    found = one([(0, 100)], [(0, 72)])  # 0.5 to 0.7: five of ten
    assert average_of_precisions(found) == pytest.approx(0.5)
    assert (value("map@0.5", found), value("map@0.75", found)) == (1, 0)


def test_no_guess_is_0_by_every_measure() -> None:
    judged = Saliency((0,), ((4, 4, 4),), 5)
    nothing = scored(asked((0, 10), saliency=judged), [])
    elsewhere = scored(asked((0, 10), saliency=judged), guessed((0, 10), film="other"))
    for found in (nothing, elsewhere):
        assert {value(name, found) for name in DEFAULT} == {0.0}


def test_clips_have_the_best_score_of_what_overlaps_them() -> None:
    scores = clip_scores([Guess("f", 1.0, 4.0, 0.9), Guess("f", 3.0, 7.0, 0.5)], 5)
    assert scores.tolist() == [0.9, 0.9, 0.5, 0.5, -0.5]
    assert clip_scores([Guess("f", 8.0, 99.0, 1.0)], 5).tolist() == [0, 0, 0, 0, 1]


def test_highlights_by_hand() -> None:
    """Clips 1 and 2 are judged by three people; 4 is a highlight, 3 is none."""
    judged = Saliency((1, 2), ((4, 3, 2), (4, 4, 0)), 4)
    on_2 = scored(asked((2, 6), saliency=judged), [Guess("film", 4, 6, 1.0)])
    assert highlight_hit(on_2) == 1
    # Clip 2 first, then all others at once. Of the three people the first has clips 1 and 2
    # (precision 1, then 2/4), the second clip 2 alone (1), the third none (0).
    assert highlight_precision(on_2) == pytest.approx((0.75 + 1 + 0) / 3)
    on_3 = scored(asked((2, 6), saliency=judged), [Guess("film", 6, 8, 1.0)])
    assert highlight_hit(on_3) == 0
    # Clip 3 first, then all: 2/4 and 1/4.
    assert highlight_precision(on_3) == pytest.approx((0.5 + 0.25 + 0) / 3)


def test_highlights_are_left_out_where_nobody_judged_them() -> None:
    found = one([(0, 10)], [(0, 10)])
    assert math.isnan(highlight_hit(found))
    values = moment_values(map(parse_moment_measure, DEFAULT), [found])
    assert [one.name for one in values] == [
        name for name in DEFAULT if name not in ("hit@1", "hlmap")
    ]


def test_a_judged_clip_past_the_end_of_the_film_counts_for_nothing() -> None:
    judged = Saliency((9,), ((4, 4, 4),), 4)
    found = scored(asked((0, 2), saliency=judged), [Guess("film", 0, 2, 1.0)])
    assert highlight_hit(found) == 0


@pytest.mark.parametrize("name", ["r1@0.5", "R10@0.7", " mAP@avg ", "map@0.75", "mIoU", "HIT@1"])
def test_names(name: str) -> None:
    assert is_moment_measure(name)
    assert parse_moment_measure(name).name == name.strip().lower()


@pytest.mark.parametrize("name", ["r@5", "r1@5", "r0@0.5", "map", "map@5", "r1@0.0", "r1@1.5", ""])
def test_names_that_are_none(name: str) -> None:
    assert not is_moment_measure(name)
    with pytest.raises(UsageError, match="no measure of moments") as error:
        parse_moment_measure(name)
    assert "r1@0.5" in str(error.value.advice)


# -- by laws --------------------------------------------------------------------------------------

times = st.integers(0, 6000).map(lambda hundredths: hundredths / 100)
windows = st.tuples(times, times).map(lambda pair: (min(pair), max(pair) + 0.01))
some = st.lists(windows, min_size=1, max_size=5)


@given(windows, windows)
def test_iou_is_symmetric_and_from_0_to_1(a: Window, b: Window) -> None:
    there, back = (iou(np.array([x]), np.array([y]))[0, 0] for x, y in ((a, b), (b, a)))
    assert there == back
    assert 0 <= there <= 1
    assert iou(np.array([a]), np.array([a]))[0, 0] == pytest.approx(1)


@given(windows, windows)
def test_iou_counts_hundredths_of_a_second(a: Window, b: Window) -> None:
    inside = [set(range(round(x[0] * 100), round(x[1] * 100))) for x in (a, b)]
    expected = len(inside[0] & inside[1]) / len(inside[0] | inside[1])
    assert iou(np.array([a]), np.array([b]))[0, 0] == pytest.approx(expected, abs=1e-9)


@given(some, st.lists(windows, max_size=12))
def test_every_measure_is_from_0_to_1(truth: list[Window], guesses: list[Window]) -> None:
    found = one(truth, guesses)
    for name in DEFAULT[:-2]:
        assert 0 <= value(name, found) <= 1


@given(st.lists(windows, min_size=1, max_size=5, unique=True))
def test_the_right_windows_are_perfect(truth: list[Window]) -> None:
    found = one(truth, truth)
    assert {value(name, found) for name in ("r1@0.5", "r1@0.7", "r5@0.5")} == {1}
    assert value("miou", found) == pytest.approx(1)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5, unique=True))
def test_the_right_windows_apart_from_each_other_have_full_precision(places: list[int]) -> None:
    truth: list[Window] = [(10.0 * place, 10.0 * place + 8) for place in places]
    assert {value(name, one(truth, truth)) for name in ("map@0.5", "map@0.75", "map@avg")} == {1}


@settings(max_examples=50)
@given(some, st.lists(windows, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_windows_tells_nothing(
    truth: list[Window], guesses: list[Window], random: object
) -> None:
    fits = iou(np.array(guesses).reshape(-1, 2), np.array(truth))
    rows = [sorted(share for share in row if share > 0) for row in fits.tolist()]
    if any(a == b for row in rows for a, b in pairwise(row)):
        return  # a guess that fits two windows alike takes either
    shuffled = list(truth)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for name in ("r1@0.5", "r5@0.5", "miou", "map@0.5", "map@avg"):
        assert value(name, one(shuffled, guesses)) == pytest.approx(
            value(name, one(truth, guesses))
        )


@given(some, st.lists(windows, min_size=1, max_size=8))
def test_more_guesses_and_lower_thresholds_never_find_less(
    truth: list[Window], guesses: list[Window]
) -> None:
    found = one(truth, guesses)
    by_k = [recall_at(found, k, 0.5) for k in range(1, 10)]
    by_threshold = [recall_at(found, 5, threshold) for threshold in IOUS]
    assert by_k == sorted(by_k)
    assert by_threshold == sorted(by_threshold, reverse=True)


# -- once more, another way -----------------------------------------------------------------------


def precision_by_recall_levels(
    truth: list[Window], guesses: list[Window], threshold: float
) -> float:
    """The mean, over the levels 1/w ... w/w of recall, of the best precision at it or above."""

    def share(a: Window, b: Window) -> float:
        both = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
        return both / (a[1] - a[0] + b[1] - b[0] - both)

    left = dict(enumerate(truth))
    points = []  # (windows found, precision) after each guess
    for number, guess in enumerate(guesses[:10], start=1):
        fitting = {at: share(guess, window) for at, window in left.items()}
        fitting = {at: how for at, how in fitting.items() if how >= threshold}
        if fitting:
            best = max(fitting.values())
            del left[max(at for at, how in fitting.items() if how == best)]
        points.append((len(truth) - len(left), (len(truth) - len(left)) / number))
    levels = range(1, len(truth) + 1)
    best_at = [max((p for found, p in points if found >= level), default=0.0) for level in levels]
    return sum(best_at) / len(truth)


@settings(max_examples=300)
@given(some, st.lists(windows, max_size=14), st.sampled_from(IOUS))
def test_average_precision_by_levels_of_recall(
    truth: list[Window], guesses: list[Window], threshold: float
) -> None:
    near = [(start + 0.1, end + 0.2) for start, end in truth]
    for some_guesses in (guesses, near + guesses, guesses[:3] + near):
        assert average_precision(one(truth, some_guesses), threshold) == pytest.approx(
            precision_by_recall_levels(truth, some_guesses, threshold)
        )


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=12),
)
def test_precision_of_highlights_by_walking_down_the_scores(clips: list[tuple[int, bool]]) -> None:
    scores = np.array([float(score) for score, _ in clips])
    wanted = np.array([[is_one] for _, is_one in clips])
    found = Scored(np.empty((0, 2)), np.empty((0, 2)), np.empty(0, bool), wanted, scores)
    total = sum(is_one for _, is_one in clips)
    if total in (0, len(clips)):
        expected = float(total > 0)
    else:
        steps, best = [], 0.0
        for level in range(4):  # from the lowest score up, so that best is of this or lower ones
            shown = [is_one for score, is_one in clips if score >= level]
            at_level = [is_one for score, is_one in clips if score == level]
            if not at_level:
                continue
            best = max(best, sum(shown) / len(shown))
            if any(at_level):
                steps.append(best)
        expected = sum(steps) / len(steps)
    assert highlight_precision(found) == pytest.approx(expected)

"""Intervals and tests: their laws, and that they are right as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.evaluation import significance
from retrieval.evaluation.measures import Measure, parse_measure, values_of
from retrieval.evaluation.schema import Estimate, Float64Array, Ranks
from retrieval.evaluation.significance import estimates, paired_test, rsum, slices

MRR, MEDR, MEANR = (parse_measure(name) for name in ("mrr", "medr", "meanr"))


@st.composite
def clustered(draw: st.DrawFn) -> tuple[Float64Array, list[str]]:
    count = draw(st.integers(2, 30))
    values = draw(st.lists(st.sampled_from([0, 0.1, 1 / 3, 1]), min_size=count, max_size=count))
    clusters = draw(st.lists(st.sampled_from("abcdefgh"), min_size=count, max_size=count))
    clusters[0] = "another"  # one alone has no interval
    return np.array(values, float), clusters


def simulated(
    random: np.random.Generator, pictures: int, spread: float = 1.5
) -> tuple[Float64Array, list[str]]:
    """Whether each of five captions finds its picture: some pictures are easy, some hard."""
    ease = random.normal(0.5, spread, pictures)
    found = random.random((pictures, 5)) < 1 / (1 + np.exp(-ease))[:, None]
    return found.astype(float).ravel(), [f"p{n // 5}" for n in range(5 * pictures)]


def interval(measure: Measure, values: Float64Array, clusters: list[str]) -> Estimate:
    return estimates({measure: values}, clusters)[measure.name]


def bounds(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.low, estimate.value, estimate.high


@settings(max_examples=40)
@given(clustered())
def test_the_interval_holds_the_value_within_what_was_seen(
    data: tuple[Float64Array, list[str]],
) -> None:
    values, clusters = data
    for measure in (MRR, MEDR):
        estimate = interval(measure, values, clusters)
        assert estimate.value == pytest.approx(measure.over(values))
        if measure is MRR and set(values.tolist()) in ({0.0}, {1.0}):
            continue  # one outcome alone was seen: see the test of a hundred of a hundred
        assert values.min() - 1e-9 <= estimate.low <= estimate.value
        assert estimate.value <= estimate.high <= values.max() + 1e-9


@settings(max_examples=20)
@given(clustered())
def test_the_order_of_queries_does_not_matter(data: tuple[Float64Array, list[str]]) -> None:
    values, clusters = data
    order = np.random.default_rng(len(values)).permutation(len(values))
    shuffled = [clusters[n] for n in order]
    for measure in (MRR, MEDR):
        one = interval(measure, values, clusters)
        assert bounds(interval(measure, values[order], shuffled)) == pytest.approx(bounds(one))
    other = np.roll(values, 1)
    test = paired_test(values, other, clusters)
    again = paired_test(values[order], other[order], shuffled)
    assert again.p == test.p
    assert bounds(again.difference) == pytest.approx(bounds(test.difference))


def test_the_same_data_gives_the_same_interval() -> None:
    data = simulated(np.random.default_rng(3), 50)
    assert interval(MRR, *data) == interval(MRR, *data)
    assert paired_test(data[0], data[0][::-1], data[1]) == paired_test(
        data[0], data[0][::-1], data[1]
    )


def test_blocks_are_for_the_memory_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    values, clusters = simulated(np.random.default_rng(4), 30)
    values += np.random.default_rng(5).random(len(values))
    whole = estimates({MRR: values, MEDR: values}, clusters)
    monkeypatch.setattr(significance, "_CELLS", 7 * len(values))
    for name, estimate in estimates({MRR: values, MEDR: values}, clusters).items():
        assert bounds(estimate) == pytest.approx(bounds(whole[name]))


def test_the_interval_is_that_of_resampling_whole_clusters_by_hand() -> None:
    random = np.random.default_rng(6)
    clusters = [f"c{n}" for n in np.repeat(np.arange(40), random.integers(1, 8, 40))]
    values = random.exponential(size=len(clusters)) + np.array([int(c[1:]) % 3 for c in clusters])
    members = {name: values[[c == name for c in clusters]] for name in set(clusters)}
    names = sorted(members)
    for measure in (MRR, MEDR):
        drawn = [
            measure.over(np.concatenate([members[name] for name in random.choice(names, 40)]))
            for _ in range(4_000)
        ]
        estimate = interval(measure, values, clusters)
        assert [estimate.low, estimate.high] == pytest.approx(
            np.quantile(drawn, [0.025, 0.975]), rel=0.04
        )


def test_an_interval_holds_the_truth_about_95_times_in_100() -> None:
    random = np.random.default_rng(7)
    truth = float(np.mean(simulated(random, 400_000)[0]))
    held, alone, runs = 0, 0, 300
    for _ in range(runs):
        values, clusters = simulated(random, 120)
        whole = interval(MRR, values, clusters)
        single = interval(MRR, values, [str(n) for n in range(len(values))])
        held += whole.low <= truth <= whole.high
        alone += single.low <= truth <= single.high
    assert 0.92 <= held / runs <= 0.98
    assert alone / runs < 0.85  # drawing single captions would claim too much


def test_all_alike_leaves_no_doubt() -> None:
    estimate = interval(MRR, np.full(30, 1 / 3), [str(n) for n in range(30)])
    assert bounds(estimate) == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_ranks_that_nobody_knows_make_the_mean_endless_and_leave_the_median() -> None:
    values = np.array([1.0, 2.0, 2.0, 2.0, math.inf] * 20)
    clusters = [str(n) for n in range(100)]
    assert bounds(interval(MEANR, values, clusters)) == (math.inf, math.inf, math.inf)
    assert bounds(interval(MEDR, values, clusters)) == (2, 2, 2)
    mostly = np.array([1.0, math.inf, math.inf] * 20)
    assert interval(MEDR, mostly, clusters[:60]).high == math.inf
    once = np.array([math.inf] + [1.0] * 59)  # a resample may lack the one that is unknown
    assert bounds(interval(MEANR, once, clusters[:60])) == (1, math.inf, math.inf)


def test_over_no_query_nothing_is_estimated() -> None:
    estimate = interval(MRR, np.empty(0), [])
    assert all(math.isnan(bound) for bound in bounds(estimate))


def test_a_slice_is_estimated_over_its_own_queries_alone() -> None:
    values, clusters = simulated(np.random.default_rng(9), 40)
    language = ["en" if n % 5 else "de" for n in range(200)]
    german, english = slices({MRR: values}, clusters, {"language": language})
    assert (german.field, german.value, german.queries) == ("language", "de", 40)
    assert (english.value, english.queries) == ("en", 160)
    assert german.measures == estimates({MRR: values[::5]}, clusters[::5])
    assert english.measures["mrr"].value == pytest.approx(
        np.delete(values, slice(0, 200, 5)).mean()
    )


def test_every_query_is_in_one_slice_of_each_field() -> None:
    values, clusters = simulated(np.random.default_rng(10), 20)
    by = {"a": [str(n % 3) for n in range(100)], "b": ["", "x"] * 50}
    sliced = slices({MRR: values}, clusters, by)
    for field in by:
        of_field = [one for one in sliced if one.field == field]
        assert sum(one.queries for one in of_field) == 100
        total = sum(one.queries * one.measures["mrr"].value for one in of_field)
        assert total / 100 == pytest.approx(values.mean())


def test_one_picture_says_nothing_of_others() -> None:
    one = interval(MRR, np.array([1.0, 0.5]), ["a", "a"])
    assert one.value == 0.75
    assert math.isnan(one.low)
    assert math.isnan(one.high)


def single(first: Float64Array) -> Ranks:
    return Ranks(np.arange(len(first) + 1), first, np.ones(len(first)))


def test_rsum_is_the_sum_over_both_directions_in_percent() -> None:
    captions, pictures = np.array([1.0, 3, 7, 20]), np.array([1.0, 12])
    estimate = rsum([(single(captions), ["a", "a", "b", "b"]), (single(pictures), ["a", "b"])])
    assert estimate.value == pytest.approx(100 * (1 + 2 + 3) / 4 + 100 * 3 / 2)
    # Picture a alone was drawn in some resamples, b alone in others, in both directions.
    assert (estimate.low, estimate.high) == pytest.approx((50, 550))


def test_a_figure_that_nobody_looked_deep_enough_for_has_no_interval_either() -> None:
    shallow = Ranks(np.arange(4), np.array([1.0, 7.0, math.inf]), np.ones(3), depth=9)
    measures = [parse_measure(name) for name in ("r@9", "r@10")]
    found = estimates(values_of(measures, shallow), ["a", "b", "c"])
    assert found["r@9"].value == pytest.approx(2 / 3)
    assert all(map(math.isnan, bounds(found["r@10"])))
    assert math.isnan(found["r@10"].value)


def test_rsum_of_a_direction_that_was_not_looked_at_ten_deep_is_not_known() -> None:
    deep = Ranks(np.arange(3), np.array([1.0, 2.0]), np.ones(2), depth=10)
    shallow = Ranks(np.arange(3), np.array([1.0, 2.0]), np.ones(2), depth=9)
    names = ["a", "b"]
    assert rsum([(deep, names), (deep, names)]).value == 500
    assert math.isnan(rsum([(deep, names), (shallow, names)]).value)


def test_rsum_draws_a_picture_in_both_directions_at_once() -> None:
    first = np.where(np.arange(60) % 2, 1.0, 99.0)
    names = [f"p{n}" for n in range(60)]
    alike = rsum([(single(first), names), (single(first), names)])
    against = rsum([(single(first), names), (single(100.0 - first), names)])
    assert alike.high - alike.low > 100
    assert bounds(against) == pytest.approx((300, 300, 300))  # what one loses the other wins


@settings(max_examples=15)
@given(clustered())
def test_identical_runs_do_not_differ(data: tuple[Float64Array, list[str]]) -> None:
    values, clusters = data
    test = paired_test(values, values.copy(), clusters)
    assert test.p == 1
    assert bounds(test.difference) == (0, 0, 0)


@settings(max_examples=15)
@given(clustered())
def test_turned_round_the_difference_changes_its_sign_alone(
    data: tuple[Float64Array, list[str]],
) -> None:
    values, clusters = data
    other = np.roll(values, 1)
    one, back = paired_test(values, other, clusters), paired_test(other, values, clusters)
    assert back.p == one.p
    assert bounds(back.difference) == pytest.approx(
        (-one.difference.high, -one.difference.value, -one.difference.low)
    )


def test_p_is_the_share_of_all_flips_of_whole_clusters() -> None:
    a = np.array([0.9, 0.8, 0.7, 0.2, 0.6, 0.5, 0.4])
    b = np.array([0.1, 0.3, 0.6, 0.4, 0.2, 0.1, 0.3])
    clusters = ["x", "x", "y", "y", "z", "u", "v"]
    sums = [1.3, -0.1, 0.4, 0.4, 0.1]  # by hand, a cluster each
    flips = [[1 if n >> bit & 1 else -1 for bit in range(5)] for n in range(32)]
    large = [abs(np.dot(signs, sums)) >= sum(sums) - 1e-9 for signs in flips]
    assert paired_test(a, b, clusters).p == pytest.approx(np.mean(large), abs=0.015)


def test_p_is_never_0() -> None:
    a, clusters = np.ones(200), [str(n) for n in range(200)]
    assert paired_test(a, np.zeros(200), clusters).p == 1 / 10_001


def test_runs_that_are_alike_are_told_apart_one_time_in_twenty() -> None:
    random = np.random.default_rng(8)
    told, runs = 0, 200
    for _ in range(runs):
        found, clusters = simulated(random, 40)
        # Either run finds a picture for all of its captions or for none: its captions agree.
        lucky = np.repeat(random.random((2, 40)) < 0.5, 5, axis=1)
        told += paired_test(found * lucky[0], found * lucky[1], clusters).p <= 0.05
    assert 0.015 <= told / runs <= 0.09


def test_a_rank_that_nobody_knows_can_not_be_tested() -> None:
    with pytest.raises(ValueError, match="finite"):
        paired_test(np.array([1.0, math.inf]), np.array([1.0, 2.0]), ["a", "b"])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_hundred_of_a_hundred_are_no_certainty(share: float) -> None:
    """Of 100 pictures that were all found, 96.4 % may be what holds of others."""
    values = {parse_measure("r@1"): np.full(100, share)}

    found = estimates(values, [str(number) for number in range(100)])["r@1"]

    assert found.value == share
    assert max(found.high - share, share - found.low) == pytest.approx(1 - 0.025 ** (1 / 100))
    assert found.high - found.low == pytest.approx(0.0362, abs=1e-4)

"""A baseline: what is compared, what is told, and in which words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import UsageError
from retrieval.evaluation.compare import Worse, compare
from retrieval.evaluation.saved import dump, load
from retrieval.evaluation.schema import Evaluation, Key, Measurement, Ranks

KEY = Key("text to image")
RANK = st.one_of(st.integers(1, 30).map(float), st.just(math.inf))


def row(ranks: Mapping[str, float], key: Key = KEY, depth: int | None = None) -> Measurement:
    """Queries with one relevant document each, every one a cluster of its own."""
    values = Ranks(
        np.arange(len(ranks) + 1), np.array(list(ranks.values()), float), np.ones(len(ranks)), depth
    )
    return Measurement(key, tuple(ranks), tuple(ranks), values, {})


def run(*rows: Measurement, digest: str = "d", **card: str) -> Evaluation:
    return Evaluation({"data": {"name": "x", "digest": digest}, "encoder": card}, rows)


def of(ranks: Mapping[str, float]) -> Evaluation:
    return run(row(ranks))


BAD = {f"q{number}": 50.0 for number in range(40)}
GOOD = dict.fromkeys(BAD, 1.0)


def test_words_for_a_difference() -> None:
    for before, now, verdict in (
        (BAD, GOOD, "better"),
        (GOOD, BAD, "worse"),
        (GOOD, GOOD, "no difference shown"),
        (GOOD, {**GOOD, "q0": 2.0}, "no difference shown"),  # one in forty is chance
    ):
        comparison = compare(of(now), of(before))
        assert {one.verdict for one in comparison.differences} == {verdict}
        assert [one.measure for one in comparison.differences] == ["r@1", "r@10", "mrr"]


def test_the_difference_is_now_less_before() -> None:
    half = {query: 1.0 if number % 2 else 11.0 for number, query in enumerate(BAD)}
    first, ten, mrr = compare(of(GOOD), of(half)).differences
    assert (first.before, first.now, first.test.difference.value) == (0.5, 1, 0.5)
    assert first.test.difference.low < 0.5 < first.test.difference.high
    assert ten.test.difference.value == 0.5
    assert mrr.test.difference.value == pytest.approx(0.5 * (1 - 1 / 11))
    assert first.queries == 40


@settings(max_examples=25)
@given(
    st.dictionaries(st.sampled_from("abcdef"), RANK, min_size=1),
    st.dictionaries(st.sampled_from("abcdef"), RANK, min_size=1),
    st.permutations("abcdef"),
)
def test_queries_are_compared_by_their_id_in_whatever_order(
    before: dict[str, float], now: dict[str, float], order: list[str]
) -> None:
    shuffled = {query: now[query] for query in order if query in now}
    common = set(before) & set(now)
    if not common:
        with pytest.raises(UsageError, match="nothing to compare"):
            compare(of(shuffled), of(before))
        return
    comparison = compare(of(shuffled), of(before))
    worse = comparison.worse[KEY]
    assert {(one.query, one.before, one.now) for one in worse} == {
        (query, before[query], now[query]) for query in common if now[query] > before[query]
    }
    mrr = comparison.differences[2]
    assert mrr.now == pytest.approx(sum(1 / now[query] for query in common) / len(common))
    assert mrr.before == pytest.approx(sum(1 / before[query] for query in common) / len(common))


def test_a_query_with_several_answers_counts_by_its_first() -> None:
    many = Measurement(
        KEY,
        ("a", "b"),
        ("a", "b"),
        Ranks(np.array([0, 2, 4]), np.array([7, 3, 9, 4.0]), np.ones(4)),
        {},
    )
    comparison = compare(run(many), of({"b": 1, "a": 5}))
    assert comparison.worse[KEY] == (Worse("b", 1, 4),)


def test_queries_that_got_worse_stand_by_how_many_times_deeper_they_came() -> None:
    before = {"little": 500.0, "most": 1.0, "lost": 90.0, "some": 4.0, "better": 9.0}
    now = {"little": 510.0, "most": 600.0, "lost": math.inf, "some": 40.0, "better": 1.0}
    worse = compare(of(now), of(before)).worse[KEY]
    assert [one.query for one in worse] == ["most", "some", "lost", "little"]


def test_an_answer_lost_beyond_the_depth_counts_as_just_beyond_it() -> None:
    before, now = {"lost": 60.0, "fell": 1.0}, {"lost": math.inf, "fell": 3.0}
    comparison = compare(run(row(now, depth=100)), run(row(before, depth=100)))
    assert [one.query for one in comparison.worse[KEY]] == ["fell", "lost"]


def test_queries_of_one_run_only_are_left_out_and_told() -> None:
    comparison = compare(of({"a": 1, "b": 1, "new": 9}), of({"old": 1, "b": 1, "a": 1, "gone": 3}))
    assert comparison.notes == (
        "text to image, exact: 2 queries compared; 1 are in this run only, 2 in the baseline only.",
    )
    assert {one.queries for one in comparison.differences} == {2}


def test_rows_of_one_run_only_are_told() -> None:
    ours, theirs = replace(KEY, changed="blur:2"), replace(KEY, way="deployed")
    comparison = compare(run(row(GOOD), row(BAD, ours)), run(row(BAD, theirs), row(GOOD)))
    assert {one.key for one in comparison.differences} == {KEY}
    assert comparison.notes == (
        "Only this run has text to image, exact, blur:2.",
        "Only the baseline has text to image, deployed.",
    )


def test_other_data_is_refused_with_what_differs() -> None:
    with pytest.raises(UsageError, match="other data: digest e there, d here"):
        compare(run(row(GOOD)), run(row(GOOD), digest="e"))
    with pytest.raises(UsageError, match="digest not given there, d here"):
        compare(run(row(GOOD)), Evaluation({}, (row(GOOD),)))


def test_another_protocol_is_refused_with_what_differs() -> None:
    whole, folds = (
        Evaluation({"data": {"digest": "d"}, "protocol": {"corpus": one, "ties": "t"}}, rows)
        for one, rows in (("all", (row(BAD),)), ("all, in 4 folds", (row(GOOD),)))
    )
    with pytest.raises(UsageError, match=r"protocol: corpus all there, all, in 4 folds here\."):
        compare(folds, whole)
    with pytest.raises(UsageError, match="corpus all there, not given here"):
        compare(run(row(GOOD)), whole)
    assert compare(whole, whole).differences


def test_two_runs_that_do_not_say_what_they_measured_are_not_taken_for_the_same() -> None:
    with pytest.raises(UsageError, match="Neither this run nor the baseline says what data"):
        compare(Evaluation({}, (row(GOOD),)), Evaluation({"data": {"name": "x"}}, (row(GOOD),)))


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from("abcdef"), RANK, min_size=1), st.integers(1, 20))
def test_looking_less_deep_is_no_difference(ranks: dict[str, float], depth: int) -> None:
    def seen(depth: int) -> Evaluation:
        found = {query: rank if rank <= depth else math.inf for query, rank in ranks.items()}
        return run(row(found, depth=depth))

    for now, before in ((seen(depth), seen(30)), (seen(30), seen(depth)), (of(ranks), seen(depth))):
        comparison = compare(now, before)
        assert {one.before - one.now for one in comparison.differences} == {0}
        assert comparison.worse == {KEY: ()}
    assert [one.measure for one in comparison.differences] == [
        "r@1",
        *(["r@10"] if depth >= 10 else []),
        "mrr",
    ]


def test_what_one_of_them_looked_deeper_for_is_told() -> None:
    deep, shallow = run(row(GOOD, depth=100)), run(row(GOOD, depth=10))
    told = "text to image, exact: compared 10 documents deep; {} looked deeper."
    assert compare(deep, shallow).notes == (told.format("this run"),)
    assert compare(shallow, deep).notes == (told.format("the baseline"),)
    assert compare(deep, deep).notes == ()


def test_a_baseline_of_degraded_answers_is_told() -> None:
    before = replace(of(GOOD), degraded=True)
    assert compare(of(GOOD), before).notes == ("The baseline is of degraded answers.",)


def test_nothing_in_common_is_no_agreement() -> None:
    with pytest.raises(UsageError, match="nothing to compare") as error:
        compare(of(GOOD), run(row(GOOD, replace(KEY, legs="words"))))
    assert "Only the baseline has text to image, exact, words." in error.value.advice


def test_what_the_cards_say_differently_is_told() -> None:
    comparison = compare(run(row(GOOD), name="b", dim="512"), run(row(GOOD), name="a", gone="x"))
    assert comparison.settings == (
        ("encoder: name", "a", "b"),
        ("encoder: gone", "x", "-"),
        ("encoder: dim", "-", "512"),
    )


def test_a_saved_baseline_compares_as_the_run_itself() -> None:
    now, before = of({**BAD, "q0": 1, "q1": math.inf}), of(GOOD)
    assert compare(now, load(dump(before))) == compare(now, before)

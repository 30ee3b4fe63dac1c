"""Measures: each against its definition, read off a ranked list one document at a time."""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import UsageError
from retrieval.evaluation.measures import (
    DEFAULT,
    cut,
    parse_measure,
    select,
    values_of,
    with_unfindable,
)
from retrieval.evaluation.schema import Ranks

Query = list[tuple[float, float]]  # (rank, gain) of each relevant document

NAMES = (*DEFAULT, "recall@3", "p@3", "mrr@3", "map", "map@3", "ndcg", "ndcg@3", "r@3")


def ranks_of(queries: list[Query], depth: int | None = None) -> Ranks:
    starts = np.array([0, *accumulate(map(len, queries))], np.int64)
    pairs = [pair for query in queries for pair in query]
    return Ranks(
        starts,
        np.array([r for r, _ in pairs], float),
        np.array([g for _, g in pairs], float),
        depth,
    )


def of(name: str, *queries: Query) -> list[float]:
    return parse_measure(name).of(ranks_of(list(queries))).tolist()


@st.composite
def queries(draw: st.DrawFn) -> list[Query]:
    """Some queries with one to six relevant documents each, some of which never came back."""
    lists = []
    for _ in range(draw(st.integers(1, 6))):
        found = draw(st.lists(st.integers(1, 12), unique=True, max_size=5))
        lost = draw(st.integers(0 if found else 1, 2))
        every: list[float] = draw(st.permutations([*found, *[math.inf] * lost]))
        gains = draw(st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=7, max_size=7))
        lists.append(list(zip(every, gains, strict=False)))
    return lists


def naive(name: str, query: Query) -> float:
    """The measure by its definition, over the list of what came back."""
    gain_at = {int(rank): gain for rank, gain in query if rank < math.inf}
    returned = [gain_at.get(rank, 0.0) for rank in range(1, 21)]
    relevant, kind = len(query), name.partition("@")[0]
    first = next((r for r, gain in enumerate(returned, 1) if gain), math.inf)
    cut = relevant if name in ("map@r", "rprec") else 20
    if name.partition("@")[2].isdigit():
        cut = int(name.partition("@")[2])
    top = returned[:cut]
    hits = sum(gain > 0 for gain in top)
    if kind in ("medr", "meanr"):
        return first
    if kind == "r":
        return float(hits > 0)
    if kind == "p":
        return hits / cut
    if kind in ("recall", "rprec"):
        return hits / relevant
    if kind == "mrr":
        return 1 / first if first <= cut else 0.0
    if kind == "map":
        precision = [sum(g > 0 for g in top[:r]) / r for r in range(1, len(top) + 1)]
        return sum(p for p, gain in zip(precision, top, strict=True) if gain) / relevant
    ideal = sorted((gain for _, gain in query), reverse=True)[:cut]
    return dcg(top) / dcg(ideal)


def dcg(gains: list[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


@given(queries())
@pytest.mark.parametrize("name", NAMES)
def test_each_measure_is_its_definition(name: str, some: list[Query]) -> None:
    assert of(name, *some) == pytest.approx([naive(name, query) for query in some])


@given(queries())
def test_shares_lie_between_0_and_1_and_nothing_found_is_0(some: list[Query]) -> None:
    for measure, values in values_of(map(parse_measure, NAMES), ranks_of(some)).items():
        lost = [all(rank == math.inf for rank, _ in query) for query in some]
        if measure.unit == "percent":
            assert np.all((values >= 0) & (values <= 1 + 1e-12))
            assert np.all(values[lost] == 0)
        else:
            assert np.all(values >= 1)
            assert np.all(values[lost] == np.inf)


@given(queries(), st.data())
def test_a_slice_of_the_values_is_the_values_of_the_slice(
    some: list[Query], data: st.DataObject
) -> None:
    ranks = ranks_of(some, depth=20)
    places = np.array(data.draw(st.lists(st.integers(0, len(some) - 1))), np.int64)
    mask = np.isin(np.arange(len(some)), places)
    for name in NAMES:
        measure = parse_measure(name)
        values = measure.of(ranks)
        assert measure.of(select(ranks, places)).tolist() == pytest.approx(values[places].tolist())
        assert measure.of(select(ranks, mask)).tolist() == pytest.approx(values[mask].tolist())
    assert select(ranks, places).depth == 20


@given(queries(), st.integers(1, 15))
def test_a_measure_is_the_same_at_any_depth_that_reaches_its_k_and_unknown_at_others(
    some: list[Query], depth: int
) -> None:
    names = ("r@1", "r@5", "recall@5", "mrr@5", "map@5", "ndcg@5", "r@12")
    whole, seen = (
        values_of(map(parse_measure, names), ranks)
        for ranks in (ranks_of(some), cut(ranks_of(some), depth))
    )
    for measure, values in seen.items():
        assert measure.cutoff is not None
        known = whole[measure] if measure.cutoff <= depth else np.full(len(some), np.nan)
        np.testing.assert_array_equal(values, known)


@given(queries(), st.integers(1, 15))
def test_what_is_deeper_than_the_ranks_counts_as_not_found_where_there_is_no_k(
    some: list[Query], depth: int
) -> None:
    shallow = [[(r if r <= depth else math.inf, gain) for r, gain in query] for query in some]
    names = ("medr", "meanr", "mrr", "map", "map@r", "rprec", "ndcg")
    found = values_of(map(parse_measure, names), cut(ranks_of(some), depth))
    for measure, values in found.items():
        assert values.tolist() == of(measure.name, *shallow)


@given(queries(), st.one_of(st.none(), st.integers(1, 15)), st.integers(1, 15))
def test_ranks_are_never_cut_deeper_than_they_are(
    some: list[Query], depth: int | None, wanted: int
) -> None:
    ranks = cut(ranks_of(some), depth)
    assert cut(ranks, None) is ranks
    assert cut(ranks, wanted).depth == min(wanted, depth or wanted)
    twice, once = cut(ranks, wanted), cut(ranks_of(some), min(wanted, depth or wanted))
    assert twice.ranks.tolist() == once.ranks.tolist()


@given(queries(), st.data())
def test_what_the_corpus_lacks_counts_as_not_found(some: list[Query], data: st.DataObject) -> None:
    missing = data.draw(st.lists(st.integers(0, 2), min_size=len(some), max_size=len(some)))
    more = with_unfindable(ranks_of(some), np.array(missing, np.int64))
    fuller = [[*q, *[(math.inf, 1.0)] * n] for q, n in zip(some, missing, strict=True)]
    expected = ranks_of(fuller)
    assert more.starts.tolist() == expected.starts.tolist()
    assert more.ranks.tolist() == expected.ranks.tolist()
    assert more.gains.tolist() == expected.gains.tolist()


def test_five_captions_of_an_image_count_once_in_r_at_k_and_each_in_recall_at_k() -> None:
    captions: Query = [(2, 1), (4, 1), (30, 1), (40, 1), (50, 1)]
    assert of("r@1", captions) == [0]
    assert of("r@5", captions) == [1]
    assert of("recall@5", captions) == [0.4]
    assert of("rprec", captions) == [0.4]
    assert of("map@r", captions) == [pytest.approx((1 / 2 + 2 / 4) / 5)]


def test_average_precision_is_divided_by_all_that_is_relevant_even_past_the_cut() -> None:
    assert of("map@1", [(1, 1), (2, 1), (3, 1), (4, 1)]) == [0.25]


def test_gains_are_linear() -> None:
    assert of("ndcg@1", [(1, 1), (2, 3)]) == [pytest.approx(1 / 3)]  # 2^g - 1 would give 1 / 7


def test_the_median_is_the_middle_and_may_be_told_when_the_mean_can_not() -> None:
    ranks = ranks_of([[(1, 1)], [(4, 1)], [(math.inf, 1)]], depth=10)
    medr, meanr = parse_measure("medr"), parse_measure("meanr")
    assert medr.over(medr.of(ranks)) == 4
    assert meanr.over(meanr.of(ranks)) == math.inf
    assert medr.over(np.array([1.0, 4.0])) == 2.5


def test_over_no_query_there_is_no_figure() -> None:
    nothing = ranks_of([])
    for name in NAMES:
        measure = parse_measure(name)
        assert len(measure.of(nothing)) == 0
        assert math.isnan(measure.over(measure.of(nothing)))


def test_a_query_with_nothing_relevant_does_not_take_its_neighbours() -> None:
    for name in NAMES:
        alone = of(name, [(3, 1), (7, 2)])
        assert [of(name, [], [(3, 1), (7, 2)], [])[1]] == alone


def test_names_are_read_in_any_case_and_say_what_the_measure_is() -> None:
    measure = parse_measure(" R@10 ")
    assert measure == parse_measure("r@10")
    assert (measure.name, measure.cutoff, measure.unit) == ("r@10", 10, "percent")
    assert parse_measure("medr").summary == "median"
    assert parse_measure("map@r").cutoff is None


@pytest.mark.parametrize(
    "name", ["", "r", "r@0", "r@-1", "r@", "r@1.5", "r@01", "recall", "rprec@5", "medr@5", "bleu"]
)
def test_an_unknown_measure_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(UsageError, match="measure") as refused:
        parse_measure(name)
    assert "r@K, recall@K" in refused.value.advice
    assert "map@r" in refused.value.advice

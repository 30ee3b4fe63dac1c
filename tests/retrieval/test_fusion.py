"""Fusion: the sum over the legs, and the proof that deeper search can't change it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from retrieval.query import fusion
from retrieval.query.fusion import (
    LegGroups,
    Weights,
    certain,
    explain,
    fuse,
    in_order,
    promising,
    settled,
)
from retrieval.query.grouping import Best, Groups, collapse
from retrieval.schema import Background, Ranking

KEYS = [f"g{n:02}" for n in range(12)]
SCORES = st.one_of(st.floats(-1, 1, width=32), st.sampled_from([0.0, 0.25, 0.5]))


def leg(
    name: str, scores: dict[str, float], weight: float, background: Background | None
) -> LegGroups:
    ordered = sorted(scores.items(), key=lambda one: (-one[1], one[0]))
    groups = {
        key: Best(f"doc of {key}", score, rank) for rank, (key, score) in enumerate(ordered, 1)
    }
    return LegGroups(name, weight, background, groups)


def cut(whole: LegGroups, depth: int) -> LegGroups:
    """The leg as it is when only its first `depth` groups were searched."""
    if depth >= len(whole.groups):
        return whole
    seen = dict(list(whole.groups.items())[:depth])
    beyond = {key: replace(best, rank=-1) for key, best in whole.groups.items() if key not in seen}
    if whole.background is None:
        beyond = {}
    return replace(whole, groups=seen, beyond=beyond, floor=list(seen.values())[-1].score)


@st.composite
def legs(draw: st.DrawFn) -> list[LegGroups]:
    backgrounds = st.one_of(
        st.none(), st.builds(Background, mean=st.floats(-0.5, 0.5), std=st.floats(0.05, 1))
    )
    return [
        leg(
            f"leg {number}",
            draw(st.dictionaries(st.sampled_from(KEYS), SCORES)),
            draw(st.sampled_from([0.5, 1.0, 2.0])),
            draw(backgrounds),
        )
        for number in range(draw(st.integers(1, 4)))
    ]


def naive(whole: list[LegGroups]) -> dict[str, float]:
    """Every group's score, by the definition."""
    total: dict[str, float] = {}
    for one in whole:
        for rank, (key, best) in enumerate(one.groups.items(), start=1):
            if one.background is not None:
                worth = (best.score - one.background.mean) / one.background.std
            else:
                worth = 61 / (60 + rank) if rank <= fusion.RECIPROCAL_DEPTH else 0
            total[key] = total.get(key, 0) + one.weight * worth
    return total


def seen_by(some: list[LegGroups]) -> set[str]:
    return {key for one in some for key in one.groups}


@given(legs())
def test_the_score_is_the_sum_over_the_legs(whole: list[LegGroups]) -> None:
    fused = fuse(whole, seen_by(whole))
    assert {key: score for score, key in fused} == pytest.approx(naive(whole))
    assert fused == in_order(fused)
    for group in fused:
        said = explain(whole, group)
        assert sum(one.contribution for one in said.legs) == pytest.approx(said.score)
        assert {one.name for one in said.legs} == {w.name for w in whole if said.key in w.groups}


@given(legs(), st.lists(st.integers(1, 12), min_size=4, max_size=4), st.integers(1, 12))
def test_once_settled_the_answer_is_that_of_ranking_everything(
    whole: list[LegGroups], depths: list[int], k: int
) -> None:
    some = [cut(one, depth) for one, depth in zip(whole, depths, strict=False)]
    fused = fuse(some, seen_by(some))
    assume(settled(fused, some, k))
    assert fused[:k] == fuse(whole, seen_by(whole))[:k]


@given(legs())
def test_a_search_that_has_seen_everything_is_settled(whole: list[LegGroups]) -> None:
    assert settled(fuse(whole, seen_by(whole)), whole, 100)


@given(legs(), st.lists(st.integers(1, 12), min_size=4, max_size=4))
def test_no_group_has_more_than_promised(whole: list[LegGroups], depths: list[int]) -> None:
    # By rank alone what a leg hasn't come to is unknown until it is whole; by score it is bounded.
    some = [
        one if one.background is None else cut(one, depth)
        for one, depth in zip(whole, depths, strict=False)
    ]
    most = {key: score for score, key in promising(some)}
    truth = naive(whole)
    assert most.keys() == seen_by(some)
    assert all(truth[key] <= most[key] + 1e-9 for key in most)
    unseen = truth.keys() - most.keys()
    assert all(truth[key] <= fusion.bound(some) + 1e-9 for key in unseen)


def test_one_unfinished_leg_is_settled_as_soon_as_k_stand_above_its_floor() -> None:
    background = Background(0.9, 0.1)  # everything lies below the mean
    whole = leg("one", {f"g{n:02}": n / 20 for n in range(12)}, 1.0, background)
    some = [cut(whole, 5)]
    fused = fuse(some, seen_by(some))
    assert settled(fused, some, 4)
    assert not settled(fused, some, 5)  # the next could tie with the fifth


def test_an_unseen_group_may_be_good_in_every_leg() -> None:
    background = Background(0.0, 1.0)
    image = leg("image", {"a": 0.9, "c": 0.6, "u": 0.55}, 1.0, background)
    text = leg("text", {"b": 0.8, "d": 0.6, "u": 0.55}, 1.0, background)
    some = [cut(image, 2), cut(text, 2)]
    assert fusion.bound(some) == pytest.approx(1.2)
    assert not settled(fuse(some, seen_by(some)), some, 1)
    score, key = fuse([image, text], "abcdu")[0]
    assert key == "u"
    assert score == pytest.approx(1.1)


def test_ranks_count_for_the_first_thousand_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "RECIPROCAL_DEPTH", 2)
    scores = {"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.5}
    words = leg("words", scores, 1.0, None)
    assert fuse([words], scores) == [(1.0, "a"), (61 / 62, "b"), (0.0, "c"), (0.0, "d")]
    short = replace(cut(words, 2))
    assert settled(fuse([short], short.groups), [short], 2)
    assert not settled(fuse([short], short.groups), [short], 3)


@dataclass(frozen=True)
class Told:
    """One leg's documents, whose kinds weigh differently: (group, score, weight) of each."""

    documents: list[tuple[str, float, float]]
    kinds: tuple[float, ...]
    weight: float
    background: Background
    depth: int

    def at(self, depth: int) -> LegGroups:
        """The leg, searched to a depth in the order of the scores, and completed."""
        order = sorted(enumerate(self.documents), key=lambda one: (-one[1][1], one[0]))
        ids = [f"{number:02}" for number, _ in order]
        group_of = {id_: group for id_, (_, (group, _, _)) in zip(ids, order, strict=True)}
        weights = {id_: weight for id_, (_, (*_, weight)) in zip(ids, order, strict=True)}
        scores = np.array([score for _, (_, score, _) in order], np.float32)

        def grouped(count: int) -> Groups:
            ranking = Ranking(tuple(ids[:count]), scores[:count])
            return collapse(ranking, group_of, weights, self.background.mean)

        floor = float(scores[depth - 1]) if depth <= len(ids) else None
        leg = LegGroups(
            "told", self.weight, self.background, grouped(depth), floor, kinds=self.kinds
        )
        leg = certain(leg)
        whole = grouped(len(ids))
        beyond = {key: best for key, best in whole.items() if key not in leg.groups}
        return replace(leg, beyond=beyond if floor is not None else {})


KINDS = st.one_of(
    st.just((1.0, fusion.SPEECH_WEIGHT)),
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=3, unique=True).map(tuple),
)


@st.composite
def told_leg(draw: st.DrawFn) -> Told:
    kinds = draw(KINDS)
    documents = st.tuples(st.sampled_from(KEYS[:6]), SCORES, st.sampled_from(kinds))
    return Told(
        draw(st.lists(documents, max_size=12)),
        kinds,
        draw(st.sampled_from([0.5, 1.0])),
        # Often every score is below the mean: what weighs less is worth more there.
        Background(draw(st.one_of(st.floats(-0.5, 0.5), st.just(1.0))), draw(st.floats(0.05, 1))),
        draw(st.integers(1, 13)),
    )


@given(st.lists(told_leg(), min_size=1, max_size=3), st.integers(1, 6))
def test_kinds_may_weigh_differently_and_the_answer_is_still_that_of_ranking_everything(
    told: list[Told], k: int
) -> None:
    truth: dict[str, float] = {}
    for one in told:
        bests: dict[str, float] = {}
        for group, score, weight in one.documents:
            worth = weight * (score - one.background.mean) / one.background.std
            bests[group] = max(worth, bests.get(group, worth))
        for group, worth in bests.items():
            truth[group] = truth.get(group, 0.0) + one.weight * worth
    some = [one.at(one.depth) for one in told]
    most = {key: score for score, key in promising(some)}
    assert all(truth[key] <= most[key] + 1e-3 for key in most)
    assert all(truth[key] <= fusion.bound(some) + 1e-3 for key in truth.keys() - most.keys())
    for said, whole in zip(some, (one.at(99) for one in told), strict=True):
        places = zip(said.groups.values(), whole.groups.values(), strict=False)
        assert all(
            fusion.worth(said.background, one) == fusion.worth(said.background, other)
            for one, other in places
        )
    fused = fuse(some, most)
    assert {key: score for score, key in fused} == pytest.approx(
        {key: truth[key] for key in most}, abs=1e-3
    )
    if settled(fused, some, k):
        best = sorted(truth.values(), reverse=True)[:k]
        assert [score for score, _ in fused[:k]] == pytest.approx(best, abs=1e-3)


def test_below_the_mean_the_lightest_kind_may_come_first_of_what_was_not_found() -> None:
    scores = {"a": 0.875, "b": 0.5, "c": 0.125}
    whole = leg("text", scores, 1.0, Background(1.0, 1.0))
    ended = replace(whole, floor=0.0, kinds=(1.0, 0.75))
    assert fusion.bound([ended]) == -0.75
    assert list(certain(ended).groups) == ["a", "b"]
    assert settled(fuse([ended], scores), [ended], 2)
    assert not settled(fuse([ended], scores), [ended], 3)


def test_a_line_of_speech_weighs_less_and_the_hit_says_what_it_added() -> None:
    background = Background(0.25, 0.25)
    ranking = Ranking(("said", "caption", "other"), np.array([0.75, 0.625, 0.5], np.float32))
    group_of = {"said": "film", "caption": "film", "other": "talk"}
    weights = {"said": 0.5, "other": 0.5}
    groups = collapse(ranking, group_of, weights, background.mean)
    said = LegGroups("text", 2.0, background, groups, kinds=(1.0, 0.5))
    film, talk = (explain([said], group) for group in fuse([said], groups))
    assert film.legs == (fusion.LegScore("text", 1, 0.625, 1.5, 3.0, "caption"),)
    assert talk.legs == (fusion.LegScore("text", 2, 0.5, 1.0, 1.0, "other"),)


def test_absence_is_no_evidence_and_ties_go_by_key() -> None:
    background = Background(0.0, 1.0)
    image = leg("image", {"b": 1.0, "a": 1.0, "c": -1.0}, 1.0, background)
    text = leg("text", {"c": 0.5}, 1.0, background)
    assert fuse([image, text], "abc") == [(1.0, "a"), (1.0, "b"), (-0.5, "c")]


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_weights_are_finite_and_not_negative(wrong: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        Weights(words=wrong)
    with pytest.raises(ValueError, match="weight"):
        Weights(channels={"space/image": wrong})
    with pytest.raises(ValueError, match="weight"):
        Weights(speech=wrong)


def test_a_channel_weighs_what_was_said_or_the_default() -> None:
    weights = Weights(channels={"space/image": 2.0})
    assert weights.of_channel("space/image") == 2.0
    assert weights.of_channel("space/text") == fusion.CHANNEL_WEIGHT

"""Documents collapse to groups."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.query.grouping import Best, collapse
from retrieval.schema import Ranking


def test_a_group_stands_where_its_best_document_stands() -> None:
    ranking = Ranking(("a1", "b1", "a2", "c1"), np.array([0.9, 0.8, 0.7, 0.6], np.float32))
    groups = collapse(ranking, {"a1": "A", "a2": "A", "c1": "C"})
    score = {name: float(value) for name, value in zip(ranking.ids, ranking.scores, strict=True)}
    assert list(groups.items()) == [
        ("A", Best("a1", score["a1"], 1)),
        ("C", Best("c1", score["c1"], 2)),
    ]


@given(
    st.lists(st.tuples(st.sampled_from("ABCDE"), st.integers(0, 9))),
    st.sets(st.sampled_from("ABCDE")),
)
def test_collapsing_is_the_maximum_of_each_group(
    scored: list[tuple[str, int]], invisible: set[str]
) -> None:
    scored = sorted(scored, key=lambda one: -one[1])
    ids = tuple(f"{place}" for place in range(len(scored)))
    ranking = Ranking(ids, np.array([score for _, score in scored], np.float32))
    group_of = {
        id_: group for id_, (group, _) in zip(ids, scored, strict=True) if group not in invisible
    }
    groups = collapse(ranking, group_of)
    assert {key: best.score for key, best in groups.items()} == {
        key: max(score for group, score in scored if group == key) for key in set(group_of.values())
    }
    assert [best.rank for best in groups.values()] == list(range(1, len(groups) + 1))
    ordered = [best.score for best in groups.values()]
    assert ordered == sorted(ordered, reverse=True)

"""What has parts is as near as its nearest part: in both directions, ties and all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.evaluation import exact
from retrieval.evaluation.exact import rank_exactly
from retrieval.evaluation.pooled import rank_by_wholes, rank_wholes
from retrieval.evaluation.schema import IntArray, Judged
from retrieval.schema import FloatArray


def judged(rows: list[list[int]]) -> Judged:
    documents = [document for row in rows for document in row]
    starts = np.cumsum([0, *map(len, rows)])
    return Judged(starts, np.array(documents, np.int64), np.ones(len(documents)))


@st.composite
def cases(draw: st.DrawFn) -> tuple[FloatArray, FloatArray, IntArray, int]:
    """(texts, parts, owners, things); vectors of few directions, so that scores tie."""
    things, texts = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    owners = sorted(draw(st.lists(st.integers(0, things - 1), max_size=10)))
    corners = np.eye(3, dtype=np.float32)
    which = st.lists(st.integers(0, 2), min_size=texts, max_size=texts)
    asked = corners[draw(which)]
    parts = corners[draw(st.lists(st.integers(0, 2), min_size=len(owners), max_size=len(owners)))]
    return asked, parts.reshape(-1, 3), np.array(owners, np.int64), things


def naive(case: tuple[FloatArray, FloatArray, IntArray, int]) -> FloatArray:
    """(texts, things) the highest cosine of a part; -inf without one."""
    texts, parts, owners, things = case
    table = np.full((len(texts), things), -np.inf)
    for part, owner in zip(parts, owners, strict=True):
        table[:, owner] = np.maximum(table[:, owner], texts @ part)
    return table


def rank_in(row: FloatArray, place: int) -> float:
    if row[place] == -np.inf:
        return np.inf
    ahead = sum(score > row[place] for score in row)
    return float(1 + ahead + sum(score == row[place] for score in row[:place]))


@given(cases())
def test_both_directions_are_one_table(
    case: tuple[FloatArray, FloatArray, IntArray, int],
) -> None:
    texts, parts, owners, things = case
    table = naive(case)
    every = [list(range(things))] * len(texts)
    ranks, first = rank_wholes(texts, parts, owners, things, judged(every))
    expected = [rank_in(row, place) for row in table for place in range(things)]
    assert ranks.ranks.tolist() == expected
    for row, places in zip(table, first.tolist(), strict=True):
        best = sorted(range(things), key=lambda place: (-row[place], place))
        shown = [place for place in best if row[place] > -np.inf]
        assert places == shown + [-1] * (len(places) - len(shown))

    back = [list(range(len(texts)))] * things
    ranks, first = rank_by_wholes(parts, owners, texts, things, judged(back))
    turned = [rank_in(row, place) for row in table.T for place in range(len(texts))]
    assert ranks.ranks.tolist() == turned
    assert (first[~np.isin(np.arange(things), owners)] == -1).all()


def test_with_a_part_each_it_is_the_plain_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "BLOCK_BYTES", 64)  # several blocks
    monkeypatch.setattr(exact, "LEAST_ROWS", 2)
    random = np.random.default_rng(7)
    texts, films = (random.standard_normal((size, 8)).astype(np.float32) for size in (9, 6))
    texts, films = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (texts, films))
    relevant = judged([[number % 6] for number in range(9)])
    plain, best = rank_exactly(texts, films, relevant, first=3)
    ranks, first = rank_wholes(texts, films, np.arange(6), 6, relevant)
    assert ranks.ranks.tolist() == plain.ranks.tolist()
    assert first[:, :3].tolist() == best.tolist()


def test_without_any_part_nothing_is_found() -> None:
    nothing = np.empty((0, 3), np.float32)
    ranks, first = rank_wholes(
        np.eye(3, dtype=np.float32), nothing, np.empty(0, np.int64), 2, judged([[0], [1], [0]])
    )
    assert ranks.ranks.tolist() == [np.inf] * 3
    assert (first == -1).all()

"""The exact way against a naive one that sorts everything; ties in the order of the corpus."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.evaluation import exact
from retrieval.evaluation.schema import Judged

# Small whole numbers: products are exact, and many documents tie.
vectors = st.integers(1, 9).flatmap(
    lambda n: st.lists(st.tuples(*[st.integers(-2, 2)] * 3), min_size=n, max_size=n)
)


def naive_order(query: NDArray[np.float32], corpus: NDArray[np.float32]) -> list[int]:
    scores = (corpus @ query).tolist()
    return sorted(range(len(corpus)), key=lambda place: (-scores[place], place))


def judge(relevant: list[list[int]]) -> Judged:
    flat = [place for places in relevant for place in sorted(places)]
    starts = np.cumsum([0, *map(len, relevant)])
    return Judged(starts, np.array(flat, np.int64), np.ones(len(flat)))


@given(vectors, vectors, st.data())
def test_every_rank_is_that_of_sorting_everything(
    queries: list[tuple[int, ...]], corpus: list[tuple[int, ...]], data: st.DataObject
) -> None:
    asked, held = np.array(queries, np.float32), np.array(corpus, np.float32)
    places = st.sets(st.integers(0, len(held) - 1), min_size=1)
    relevant = [sorted(data.draw(places)) for _ in asked]
    first = data.draw(st.integers(0, 12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "BLOCK_BYTES", data.draw(st.integers(1, 200)))
        patch.setattr(exact, "LEAST_ROWS", data.draw(st.integers(1, 4)))
        ranks, best = exact.rank_exactly(asked, held, judge(relevant), first=first)

    for number, query in enumerate(asked):
        order = naive_order(query, held)
        own = slice(ranks.starts[number], ranks.starts[number + 1])
        assert ranks.ranks[own].tolist() == [1 + order.index(place) for place in relevant[number]]
        assert best[number].tolist() == order[:first]
    assert ranks.depth is None


def test_copies_of_the_right_picture_rank_in_the_order_of_the_corpus() -> None:
    random = np.random.default_rng(0)
    corpus = random.standard_normal((500, 64)).astype(np.float32)
    corpus /= np.linalg.norm(corpus, axis=1, keepdims=True)
    corpus[[7, 300, 499]] = corpus[3]

    ranks, best = exact.rank_exactly(corpus[3:4], corpus, judge([[3, 7, 300, 499]]))

    assert ranks.ranks.tolist() == [1, 2, 3, 4]
    assert best[0, :4].tolist() == [3, 7, 300, 499]


def test_no_query_is_no_error() -> None:
    ranks, best = exact.rank_exactly(
        np.empty((0, 3), np.float32), np.eye(3, dtype=np.float32), judge([])
    )

    assert len(ranks) == 0
    assert best.shape == (0, 3)

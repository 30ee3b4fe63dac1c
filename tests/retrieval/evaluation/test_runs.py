"""TREC runs: how they are read, and the ranks that follow."""

from __future__ import annotations

import tempfile
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import UsageError
from retrieval.evaluation.run import Run, ranks_of, read_run
from retrieval.evaluation.schema import Qrels

from .sets import lines

IDS = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=4)
SCORES = st.floats(allow_nan=False)


def ordered(scores: dict[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(scores.items(), key=lambda pair: (-pair[1], pair[0])))


@given(st.dictionaries(IDS, st.dictionaries(IDS, SCORES, min_size=1).map(ordered)))
def test_a_run_is_read_best_first_whatever_the_order_of_its_lines(run: Run) -> None:
    rows = [f"{query} Q0 {name} 1 {score!r} x" for query in run for name, score in run[query]]
    with tempfile.TemporaryDirectory() as folder:
        assert read_run(lines(Path(folder) / "run.txt", *reversed(rows))) == run


def test_scores_rank_and_the_rank_column_is_ignored(tmp_path: Path) -> None:
    rows = ["q1 Q0 b 1 0.5 x", "q1 Q0 c 2 0.9 x", "q2 Q0 a 1 -1 x", "q1 Q0 a 3 0.5 x"]
    run = read_run(lines(tmp_path / "run.txt", *rows))
    assert run == {"q1": (("c", 0.9), ("a", 0.5), ("b", 0.5)), "q2": (("a", -1.0),)}


@pytest.mark.parametrize(
    "row", ["q Q0 a 1 0.5", "q Q0 a 1 0.5 x y", "q Q0 a 1 high x", "q Q0 a 1 nan x", "q Q0 d 2 1 x"]
)
def test_a_run_that_breaks_the_format_names_the_line(tmp_path: Path, row: str) -> None:
    path = lines(tmp_path / "run.txt", "q Q0 d 1 2 x", row)
    with pytest.raises(UsageError, match=r"run\.txt, line 2 can't be read"):
        read_run(path)


def test_a_judged_query_without_results_counts() -> None:
    qrels: Qrels = {
        "q1": {"a": 1.0, "z": 2.0, "b": 0.0},
        "q2": {"a": 1.0},
        "q3": {"a": 0.0},
        "q4": {"c": 1},
    }
    run = {"q1": (("b", 3.0), ("a", 2.0)), "q4": (("c", 1.0),), "q9": (("a", 1.0),) * 9}
    ranks, queries = ranks_of(run, qrels)
    assert queries == ("q1", "q2", "q4")
    assert ranks.starts.tolist() == [0, 2, 3, 4]
    assert ranks.ranks.tolist() == [2, inf, inf, 1]
    assert ranks.gains.tolist() == [1, 2, 1, 1]
    assert ranks.depth is None, "what a run doesn't hold wasn't found, however deep it goes"


def test_no_judgements_give_no_ranks() -> None:
    ranks, queries = ranks_of({}, {"q": {"a": 0.0}})
    assert (len(ranks), queries) == (0, ())
    assert ranks.ranks.dtype.name == "float64"

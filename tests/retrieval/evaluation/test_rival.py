"""Runs of other engines: by which judgements they are scored, and what their card says."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval.errors import UsageError
from retrieval.evaluation.compare import compare
from retrieval.evaluation.datasets.pictures import PictureFile
from retrieval.evaluation.gates import check, parse_gate
from retrieval.evaluation.rival import measures_of, score_run
from retrieval.evaluation.schema import Dataset, Evaluation, Item

from .sets import lines, told

CAPTIONS = tuple(Item(f"t{n}", "text", f"words {n}") for n in range(4))
PICTURES = tuple(Item(f"p{n}", "image", media=PictureFile(Path(f"p{n}.jpg"))) for n in range(2))
QRELS = {
    "t0": {"p1": 0.0, "p0": 1.0},
    "t1": {"p0": 1.0},
    "t2": {"p1": 1.0},
    "t3": {"p1": 2.0},
}
DATA = Dataset("pairs", CAPTIONS, PICTURES, QRELS)
FORTH = ("t0 Q0 p0 1 9", "t0 Q0 p1 2 8", "t1 Q0 p1 1 9", "t2 Q0 p1 1 9", "t3 Q0 p1 1 1")


def by_data(folder: Path, *rows: str, data: Dataset = DATA) -> Evaluation:
    return score_run(lines(folder / "run.txt", *(f"{row} x" for row in rows)), dataset=data)


def by_qrels(folder: Path, *qrels: str, run: tuple[str, ...] = FORTH) -> Evaluation:
    path = lines(folder / "run.txt", *(f"{row} x" for row in run))
    return score_run(path, qrels=lines(folder / "qrels.txt", *qrels))


def test_what_is_not_returned_is_not_found_however_short_the_run_is(tmp_path: Path) -> None:
    (row,) = by_data(tmp_path, *FORTH).measurements
    assert row.queries == ("t0", "t1", "t2", "t3")
    assert row.ranks.ranks.tolist() == [1, math.inf, 1, 1]
    assert row.ranks.depth is None
    assert {row.measures[name].value for name in ("r@1", "r@10", "mrr")} == {0.75}


def test_captions_are_resampled_with_the_picture_that_is_relevant_to_them(tmp_path: Path) -> None:
    (row,) = by_data(tmp_path, *FORTH).measurements
    assert row.clusters == ("p0", "p0", "p1", "p1")


def test_a_run_is_scored_in_the_direction_in_which_it_asks(tmp_path: Path) -> None:
    (row,) = by_data(tmp_path, "p0 Q0 t3 1 9", "p0 Q0 t1 2 8", "p1 Q0 t2 1 9").measurements
    assert row.key.direction == "image to text"
    assert (row.queries, row.clusters) == (("p0", "p1"), ("p0", "p1"))
    assert row.measures["mrr"].value == 0.75


def test_texts_that_ask_for_texts_stand_for_themselves(tmp_path: Path) -> None:
    passages = tuple(Item(f"p{n}", "text", f"passage {n}") for n in range(2))
    (row,) = by_data(tmp_path, *FORTH, data=replace(DATA, corpus=passages)).measurements
    assert row.key.direction == "text to text"
    assert row.clusters == row.queries


def test_what_a_run_and_its_judgements_do_not_share_is_told(tmp_path: Path) -> None:
    found = by_qrels(tmp_path, "t0 0 p0 1", "t8 0 p0 1", "t9 0 p0 0", run=FORTH[:3])
    assert told(replace(DATA, problems=found.problems)) == {
        "judged queries without results": 1,
        "queries of the run that nobody judged": 1,
        "judged queries without a relevant document": 1,
    }


def test_its_card_says_by_what_it_was_scored_and_where(tmp_path: Path) -> None:
    card = score_run(
        lines(tmp_path / "run.txt", *(f"{row} x" for row in FORTH)),
        dataset=DATA,
        measures=("r@1", "mrr"),
        card={"command": {"line": "echolens evaluate"}},
    ).card
    assert list(card) == ["command", "data", "protocol", "measured", "machine", "versions"]
    assert card["data"]["judgements"] == "pairs"
    assert (card["data"]["queries"], card["data"]["relevant pairs"]) == (4, 4)
    assert card["measured"]["measures"] == "r@1, mrr"
    assert "numpy" in card["versions"]
    assert "processor" in card["machine"]


def test_runs_by_the_same_judgements_are_compared_and_by_others_refused(tmp_path: Path) -> None:
    before = by_qrels(tmp_path, "t0 0 p0 1", "t1 0 p0 1")
    again = by_qrels(tmp_path, "t1 0 p0 1", "t0 0 p0 1", run=FORTH[:2])
    assert compare(again, before).differences[0].now == 0.5
    for other in (("t0 0 p1 1", "t1 0 p0 1"), ("t0 0 p0 1",), ("t0 0 p0 2", "t1 0 p0 1")):
        with pytest.raises(UsageError, match="other data: "):
            compare(by_qrels(tmp_path, *other), before)
    reworded = replace(DATA, queries=tuple(replace(one, text="else") for one in CAPTIONS))
    with pytest.raises(UsageError, match="other data: "):
        compare(by_data(tmp_path, *FORTH, data=reworded), by_data(tmp_path, *FORTH))


def test_a_gate_is_met_by_a_run(tmp_path: Path) -> None:
    found = by_data(tmp_path, *FORTH)
    gates = [parse_gate(text) for text in ("r@1>=75%", "r@1>75%")]
    assert [one.holds for one in check(gates, found)] == [True, False]


def test_rankings_in_memory_are_measured() -> None:
    ranked = {"q1": ["d2", "d1"], "q2": ["d9", "d8"], "extra": ["d1"]}
    qrels = {"q1": {"d1": 1.0}, "q2": {"d9": 1.0, "d7": 1.0, "d8": 0.0}, "q3": {"d1": 1.0}}
    found = measures_of(ranked, qrels, measures=("r@1", "p@2", "map", "medr"))
    assert {name: one.value for name, one in found.items()} == pytest.approx(
        {"r@1": 1 / 3, "p@2": 1 / 3, "map": (1 / 2 + 1 / 2) / 3, "medr": 2}
    )
    together = measures_of(ranked, qrels, measures=("r@1",), clusters={"q1": "x", "q2": "x"})
    assert together["r@1"].value == found["r@1"].value

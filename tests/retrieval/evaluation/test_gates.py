"""Gates: how they are written, which rows they concern, and that nothing slips through."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import UsageError
from retrieval.evaluation.gates import check, parse_gate
from retrieval.evaluation.schema import Estimate, Evaluation, Key, Measurement, Ranks

T2I, I2T = "text to image", "image to text"


def row(key: Key, *, depth: int | None = None, **measures: float) -> Measurement:
    """One query whose answer came fourth."""
    ranks = Ranks(np.array([0, 1]), np.array([4.0]), np.ones(1), depth)
    named = {name.replace("_", "@"): Estimate(x, x, x) for name, x in measures.items()}
    return Measurement(key, ("q",), ("q",), ranks, named)


def of(*rows: Measurement, **rsums: float) -> Evaluation:
    return Evaluation({}, rows, {Key("both", way): Estimate(x, x, x) for way, x in rsums.items()})


def holds(text: str, evaluation: Evaluation) -> bool:
    return all(verdict.holds for verdict in check([parse_gate(text)], evaluation))


@pytest.mark.parametrize(
    ("text", "direction", "measure", "sign", "bound"),
    [
        ("r@10>=0.60", "", "r@10", ">=", 0.6),
        ("r@10>=60%", "", "r@10", ">=", 0.6),
        ("R@1 > 28.7 %", "", "r@1", ">", 0.287),
        ("t2i:r@1>=0.2", T2I, "r@1", ">=", 0.2),
        ("I2T: mrr < 1", I2T, "mrr", "<", 1),
        ("text  to image:ndcg@10>=.5", T2I, "ndcg@10", ">=", 0.5),
        ("medr<=20", "", "medr", "<=", 20),
        ("rsum>=300", "", "rsum", ">=", 300),
    ],
)
def test_forms(text: str, direction: str, measure: str, sign: str, bound: float) -> None:
    gate = parse_gate(text)
    assert (gate.direction, gate.measure, gate.operator, gate.bound) == (
        direction,
        measure,
        sign,
        bound,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r@10", "doesn't parse"),
        ("r@10=0.6", "doesn't parse"),
        ("r@10==0.6", "doesn't parse"),
        ("r@10>=", "doesn't parse"),
        (">=0.5", "doesn't parse"),
        ("r@10>=x", "is no number"),
        ("r@10>=nan", "is no number"),
        ("r@10>=inf", "is no number"),
        ("r@10>=60", "from 0 to 1"),
        ("r@10>=-0.1", "from 0 to 1"),
        ("r@10>=101%", "from 0 to 1"),
        ("medr<=20%", "can't be in percent"),
        ("recoil@10>=0.5", "no measure"),
        ("t2i:rsum>=300", "both directions"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        parse_gate(text)
    assert error.value.advice


def test_percent_without_its_sign_is_pointed_out() -> None:
    with pytest.raises(UsageError) as error:
        parse_gate("r@10>=60")
    assert error.value.advice == "Write 60% if that is meant."


@given(st.floats(0, 1), st.sampled_from([">=", ">", "<=", "<"]), st.floats(0, 1))
def test_a_gate_is_the_comparison_that_it_is_written_as(bound: float, sign: str, x: float) -> None:
    expected = {">=": x >= bound, ">": x > bound, "<=": x <= bound, "<": x < bound}[sign]
    assert holds(f"r@1{sign}{bound!r}", of(row(Key(T2I), r_1=x))) == expected


def test_a_share_in_percent_meets_exactly_that_share() -> None:
    for count in range(1001):
        assert holds(f"r@1>={count / 10}%", of(row(Key(T2I), r_1=count / 1000)))


def test_without_a_direction_it_must_hold_in_both() -> None:
    evaluation = of(row(Key(T2I), r_1=0.5), row(Key(I2T), r_1=0.3))
    verdicts = check([parse_gate("r@1>=0.4")], evaluation)
    assert [(one.key, one.holds) for one in verdicts] == [(Key(T2I), True), (Key(I2T), False)]
    assert verdicts[1].why == "r@1 of image to text, exact is 0.3."
    assert holds("t2i:r@1>=0.4", evaluation)


def test_the_deployed_rows_are_those_that_count() -> None:
    exact, deployed = row(Key(T2I), r_1=0.9), row(Key(T2I, "deployed"), r_1=0.3)
    assert not holds("r@1>=0.5", of(exact, deployed))
    assert holds("r@1<0.5", of(exact, deployed))
    assert holds("r@1>=0.5", of(exact))


def test_a_direction_without_a_deployed_row_counts_by_its_exact_one() -> None:
    evaluation = of(row(Key(T2I, "deployed"), r_1=0.9), row(Key(T2I), r_1=0.1), row(Key(I2T)))
    verdicts = check([parse_gate("r@1>=0.5")], evaluation)
    assert [(one.key, one.holds) for one in verdicts] == [
        (Key(T2I, "deployed"), True),
        (Key(I2T), False),
    ]
    assert not holds("i2t:r@1>=0.5", evaluation)


def test_a_run_of_another_engine_can_be_required_too() -> None:
    rival = row(Key("queries to documents", "run"), r_1=0.6)
    assert holds("r@1>=0.5", of(rival))
    assert not holds("r@1>=0.7", of(rival))
    assert holds("r@1>=0.7", of(rival, row(Key("queries to documents"), r_1=0.8)))


@pytest.mark.parametrize(
    "key", [Key(T2I, legs="words"), Key(T2I, labels="CxC"), Key(T2I, changed="blur:2")]
)
def test_single_legs_other_labels_and_changed_pictures_are_not_concerned(key: Key) -> None:
    assert holds("r@1>=0.5", of(row(Key(T2I), r_1=0.9), row(key, r_1=0.1)))
    assert not holds("r@1>=0.05", of(row(key, r_1=0.1)))


def test_a_gate_that_concerns_nothing_is_not_met() -> None:
    (verdict,) = check([parse_gate("i2t:r@1>=0")], of(row(Key(T2I), r_1=0.9)))
    assert not verdict.holds
    assert verdict.key is None
    assert verdict.why == "There is no r@1 of image to text; measured: text to image."
    assert not holds("rsum>=0", of(row(Key(T2I), r_1=0.9)))


@pytest.mark.parametrize("sign", [">=", "<=", ">", "<"])
def test_a_value_that_is_undefined_is_not_met(sign: str) -> None:
    assert not holds(f"medr{sign}1", of(row(Key(T2I), medr=math.nan)))


def test_a_measure_that_was_not_summed_up_follows_from_the_ranks() -> None:
    assert holds("r@4>=1", of(row(Key(T2I))))
    assert holds("r@3<=0", of(row(Key(T2I))))
    (verdict,) = check([parse_gate("r@200>=0")], of(row(Key(T2I), depth=100)))
    assert verdict.why == (
        "r@200 of text to image, exact isn't known: fewer hits were looked at (see --depth)."
    )


def test_rsum_is_that_of_the_deployed_way() -> None:
    assert holds("rsum>=300", of(exact=200, deployed=310))
    assert not holds("rsum>=300", of(exact=310, deployed=200))


def test_a_direction_that_there_is_not_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="`x2y` is no direction"):
        parse_gate("x2y:r@1>0.1")


def test_where_a_collection_was_searched_no_other_way_stands_in_for_it() -> None:
    there, lost = row(Key(T2I, "deployed"), r_1=0.9), row(Key(I2T), r_1=0.9)
    evaluation = of(there, row(Key(T2I), r_1=0.9), lost, exact=540.0)

    assert holds("t2i:r@1>=0.5", evaluation)
    for text in ("i2t:r@1>=0.5", "r@1>=0.5", "rsum>=1"):
        assert not holds(text, evaluation)
    (verdict,) = check([parse_gate("i2t:r@1>=0.5")], evaluation)
    assert verdict.why == "image to text was not measured through the collection."

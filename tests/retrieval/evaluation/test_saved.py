"""Saved evaluations: what is loaded is what was dumped, and damage is told."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import NewerFormatError, UsageError
from retrieval.evaluation.saved import dump, load
from retrieval.evaluation.schema import (
    Estimate,
    Evaluation,
    IndexRecall,
    Key,
    Measurement,
    Problem,
    Ranks,
    Slice,
)

NUMBERS = st.floats(allow_nan=False)  # nan is unequal to itself; it has a test of its own
ESTIMATES = st.builds(Estimate, NUMBERS, NUMBERS, NUMBERS)
MEASURES = st.dictionaries(st.sampled_from(["r@1", "r@10", "medr"]), ESTIMATES)
TEXTS = st.text(max_size=5)
KEYS = st.builds(Key, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
PLAIN = st.one_of(TEXTS, st.integers(), st.floats(-1e9, 1e9), st.booleans())


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    rank = st.one_of(st.integers(1, 10**7), st.just(math.inf), st.just(2.5))
    rows = draw(st.lists(st.lists(rank, max_size=3), max_size=4))
    flat = [float(one) for row in rows for one in row]
    gains = draw(
        st.one_of(
            st.just([1.0] * len(flat)),
            st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=len(flat), max_size=len(flat)),
        )
    )
    starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    depth = draw(st.one_of(st.none(), st.integers(1, 100)))
    names = st.lists(TEXTS, min_size=len(rows), max_size=len(rows)).map(tuple)
    return Measurement(
        draw(KEYS),
        draw(names),
        draw(names),
        Ranks(starts, np.array(flat, float), np.array(gains, float), depth),
        draw(MEASURES),
        tuple(
            draw(st.lists(st.builds(Slice, TEXTS, TEXTS, st.integers(0, 9), MEASURES), max_size=2))
        ),
    )


EVALUATIONS = st.builds(
    Evaluation,
    st.dictionaries(TEXTS, st.dictionaries(TEXTS, PLAIN, max_size=2), max_size=2),
    st.lists(measurements(), max_size=3).map(tuple),
    st.dictionaries(KEYS, ESTIMATES, max_size=2),
    st.lists(
        st.builds(
            IndexRecall,
            TEXTS,
            st.integers(0, 9),
            st.dictionaries(st.integers(1, 100), ESTIMATES, max_size=2),
        ),
        max_size=2,
    ).map(tuple),
    st.lists(
        st.builds(Problem, TEXTS, st.integers(0, 9), st.lists(TEXTS, max_size=2).map(tuple)),
        max_size=2,
    ).map(tuple),
    st.lists(TEXTS, max_size=2).map(tuple),
    st.just({}),
    st.booleans(),
)


def measured(queries: int = 2, **changes: object) -> Evaluation:
    ranks = Ranks(np.arange(queries + 1), np.arange(1.0, queries + 1), np.ones(queries))
    ids = tuple(f"q{number}" for number in range(queries))
    row = Measurement(Key("text to image"), ids, ids, ranks, {"r@1": Estimate(0.5, 0, 1)})
    return Evaluation({"data": {"digest": "d"}}, (replace(row, **changes),))


def assert_same(one: Evaluation, other: Evaluation) -> None:
    """Field by field: arrays have no plain equality."""
    assert len(one.measurements) == len(other.measurements)
    for a, b in zip(one.measurements, other.measurements, strict=True):
        for name in ("starts", "ranks", "gains"):
            np.testing.assert_array_equal(getattr(a.ranks, name), getattr(b.ranks, name))
        assert a.ranks.depth == b.ranks.depth
        assert replace(a, ranks=b.ranks, first=b.first) == b
    assert replace(one, measurements=()) == replace(other, measurements=())


@given(EVALUATIONS)
def test_what_is_loaded_is_what_was_dumped(evaluation: Evaluation) -> None:
    text = dump(evaluation)
    assert text.isascii()
    assert_same(load(text), evaluation)


def test_a_measure_without_a_value_comes_back_without_one() -> None:
    text = dump(measured(measures={"medr": Estimate(math.nan, math.nan, math.inf)}))
    assert json.loads(text)["measurements"][0]["measures"]["medr"] == {
        "value": None,
        "low": None,
        "high": "inf",
    }
    back = load(text).measurements[0].measures["medr"]
    assert math.isnan(back.value)
    assert back.high == math.inf


def test_the_text_is_what_the_module_says() -> None:
    ranks = Ranks(np.array([0, 1, 3]), np.array([3, 1, math.inf]), np.array([1, 1, 2.0]), 100)
    (row,) = json.loads(dump(measured(ranks=ranks)))["measurements"]
    assert row["ranks"] == [[3], [1, None]]
    assert row["gains"] == [[1], [1, 2]]
    assert "gains" not in json.loads(dump(measured()))["measurements"][0]


def test_ids_that_are_no_valid_unicode_are_kept() -> None:
    evaluation = measured(clusters=("\udcff.jpg", "b"), key=Key("猫"))
    assert_same(load(dump(evaluation).encode().decode()), evaluation)


def test_rows_of_the_same_queries_share_them_and_stay_quick_and_small() -> None:
    row = measured(25_000).measurements[0]
    whole = Evaluation({}, tuple(replace(row, key=Key(str(number))) for number in range(8)))
    start = time.perf_counter()
    text = dump(whole)
    assert_same(load(text), whole)
    assert time.perf_counter() - start < 20
    assert len(text) < 8 * 25_000 * 12


def test_a_newer_format_is_refused_with_the_way_out() -> None:
    with pytest.raises(NewerFormatError, match="format 2; this version reads 1") as error:
        load(dump(measured()).replace('"format": 1', '"format": 2'))
    assert "Update" in error.value.advice


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"format": 1', '"format": "1"'),
        ('"measurements"', '"measured"'),
        ("[[1], [2]]", "[[1]]"),
        ("[[1], [2]]", "[[0], [2]]"),
        ("[[1], [2]]", "[[1], 2]"),
        ("[[1], [2]]", "[[1], [NaN]]"),
        ("[[1], [2]]", '[[1], ["a"]]'),
        ('"asked": 0', '"asked": 1'),
        ('"asked": 0', '"asked": -1'),
        ('"direction"', '"where"'),
        ('["q0", "q1"]', '["q0", 1]'),
        ('"value": 0.5', '"worth": 0.5'),
        ('"card": {', '"card": ["'),
    ],
)
def test_damage_is_told(old: str, new: str) -> None:
    whole = dump(measured())
    assert old in whole
    with pytest.raises(UsageError, match="no saved evaluation, or a damaged one"):
        load(whole.replace(old, new))


@given(st.data())
def test_a_torn_file_is_told(data: st.DataObject) -> None:
    whole = dump(measured()).rstrip()
    with pytest.raises(UsageError):
        load(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(
    st.recursive(
        st.one_of(st.none(), PLAIN),
        lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
        max_leaves=8,
    )
)
def test_other_json_is_told(value: object) -> None:
    with pytest.raises(UsageError):
        load(json.dumps(value))
    with pytest.raises(UsageError):
        load(json.dumps({"format": 1, "card": value, "measurements": value, "asked": value}))

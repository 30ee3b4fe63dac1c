"""Times: how they are written, and what is read."""

from __future__ import annotations

import math
import re

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.times import between, clock, period, seconds_of, whole


@given(st.floats(0, 1e6))
def test_a_time_that_is_shown_can_be_asked_for(seconds: float) -> None:
    assert seconds_of(clock(seconds)) == pytest.approx(seconds, abs=0.0501)


def test_a_length_has_no_part_of_a_second_that_has_not_passed() -> None:
    assert (whole(59.97), whole(3723.4)) == ("0:59", "1:02:03")


@pytest.mark.parametrize("text", ["x", "1:75", "1:60:00", "1:2:3:4", "-3", "1e3", "nan", "٣"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)) as raised:
        seconds_of(text)
    assert raised.value.args == (text,)


def _read(text: str | None) -> tuple[float, float] | None:
    return between(click.Context(click.Command("x")), click.Option(["--between"]), text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("10:00-12:30", (600, 750)),
        ("90 - 120.5", (90, 120.5)),
        ("1:02:03.4..1:02:04", (3723.4, 3724)),
        ("90:00–", (5400, math.inf)),
        ("-12:30", (0, 750)),
        (period(13, 24.5), (13, 24.5)),
        (None, None),
    ],
)
def test_a_stretch_of_time(text: str | None, wanted: tuple[float, float] | None) -> None:
    assert _read(text) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ten", "is no stretch"),
        ("10", "is no stretch"),
        (" ", "is no stretch"),
        ("1-2-3", "is no stretch"),
        ("0:75-2:00", "is no stretch"),
        ("-", "names no time"),
        ("12:30-10:00", "ends before it begins"),
        ("5-5", "ends before it begins"),
    ],
)
def test_what_is_no_stretch_of_time_says_how_to_write_one(text: str, says: str) -> None:
    with pytest.raises(click.BadParameter, match=says) as raised:
        _read(text)
    assert "10:00-12:30" in raised.value.message

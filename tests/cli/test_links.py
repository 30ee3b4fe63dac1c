"""Deep links: what is meant, and how one that can't be meant is told."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.links import is_document, part_of
from retrieval import Moment
from retrieval.errors import UsageError
from retrieval.schema import uri_of


@pytest.mark.parametrize(
    ("link", "path", "start", "end"),
    [
        ("film.mp4#t=13.0,24.5", "film.mp4", 13.0, 24.5),
        ("a b/c#d.mp4#t=1,2", "a b/c#d.mp4", 1, 2),
        ("talk.mp3#t=1:02:03,1:02:30", "talk.mp3", 3723, 3750),
        ("film.mp4#t=npt:13,24.5", "film.mp4", 13.0, 24.5),
        ("film.mp4#t=13", "film.mp4", 13, math.inf),
        ("film.mp4#t=,24.5", "film.mp4", 0, 24.5),
        (uri_of("/a/ü b.mp4") + "#t=1,2", "/a/ü b.mp4", 1, 2),
        ("~/film.mp4#t=1,2", str(Path("~/film.mp4").expanduser()), 1, 2),
    ],
)
def test_a_link_names_a_file_and_times(link: str, path: str, start: float, end: float) -> None:
    part = part_of(link)

    assert (part.path, part.start, part.end) == (path, start, end)


@given(
    st.binary(min_size=1).filter(lambda name: b"\0" not in name and not name.startswith(b"~")),
    st.floats(0, 1e6),
    st.floats(0.01, 1e4),
)
def test_every_link_of_a_moment_is_understood(name: bytes, start: float, length: float) -> None:
    moment, path = Moment(start, start + length, 1.0), os.fsdecode(name)
    if path.startswith("file://"):
        return

    part = part_of(moment.link(path))

    assert part.path == path
    assert (part.start, part.end) == pytest.approx((moment.start, moment.end), abs=0.001)


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("film.mp4", "names no times"),
        ("film.mp4#", "names no times"),
        ("#t=1,2", "names no times"),
        ("", "names no times"),
        ("film.mp4#t=", "is no stretch"),
        ("film.mp4#t=,", "is no stretch"),
        ("film.mp4#t=a,b", "is no stretch"),
        ("film.mp4#t=5,5", "ends before"),
        ("film.mp4#t=24,13", "ends before"),
    ],
)
def test_what_is_no_link_says_how_one_is_written(link: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as raised:
        part_of(link)
    assert "film.mp4#t=13.0,24.5" in raised.value.advice


def test_an_id_is_no_link() -> None:
    assert is_document("0123456789abcdef" * 2)
    assert not is_document("0123456789abcdef" * 2 + "#t=1,2")
    assert not is_document("film.mp4")

"""Subtitles and transcripts: what is read of them, and which times they have."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import BadInputError, SkipReason
from retrieval.timed import Segment
from retrieval.transcripts import SUFFIXES, parse

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Hello</i> {\\an8}there &amp; you
- Bye

2
00:00:03,000 --> 00:00:04,000
In the year
2001

3
00:00:05,000 --> 00:00:06,000
<font color="red">1999</font>
"""


def read(name: str, text: str) -> list[Segment]:
    segments = parse(name, text.encode(), [])
    assert not isinstance(segments, str)
    return segments


def told(segments: Sequence[Segment]) -> list[tuple[str, float, float]]:
    return [(segment.text, segment.start, segment.end) for segment in segments]


# ---------------------------------------------------------------- subtitles


def test_subtitles_keep_their_words_and_lose_their_tags() -> None:
    assert told(read("a.srt", SRT)) == [
        ("Hello there & you - Bye", 1.0, 2.5),
        ("In the year 2001", 3.0, 4.0),  # a number that ends a cue is no number of a cue
        ("1999", 5.0, 6.0),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "big5"])
def test_subtitles_in_any_encoding(encoding: str) -> None:
    text = "1\r\n00:00:01,000 --> 00:00:02,000\r\n今天天氣很好我們去公園\r\n"
    if encoding == "gb18030":
        text = text.replace("今天天氣很好我們去公園", "今天天气很好我们去公园")
    (segment,) = parse("A.SRT", text.encode(encoding), [])
    assert isinstance(segment, Segment)
    assert segment.text in ("今天天氣很好我們去公園", "今天天气很好我们去公园")


def test_cues_that_are_broken_are_skipped() -> None:
    text = """7
00:00:09,000 --> 00:00:08,000
ends before it begins

00:00:10,000 --> 00:00:11,000
without a number
00:00:12.5 --> 00:00:13
no blank line, points for commas
x
00:0x:12,500 --> 00:00:13,000

9
00:00:20,000 --> 00:00:21,000

10
00:00:22,000 --> 00:00:23,000
♪ la la ♪

11
00:00:24,000 --> 00:00:25,000
♪♪

12
00:00:26,000 --> 00:00:27,000
[door slams]"""
    assert told(read("a.srt", text)) == [
        ("without a number", 10.0, 11.0),
        # The number goes, though its cue is another one: a cue never ends with it.
        ("no blank line, points for commas x 00:0x:12,500 --> 00:00:13,000", 12.5, 13.0),
        ("la la", 22.0, 23.0),
        ("[door slams]", 26.0, 27.0),
    ]


def test_cues_that_end_no_later_than_they_begin_are_told() -> None:
    backwards = "1\n00:01:09,000 --> 00:01:08,000\nturned\n\n"
    good = "2\n00:00:01,000 --> 00:00:02,000\nkept\n\n"
    empty = "3\n00:00:05,000 --> 00:00:04,000\n\n"
    for text, expected in (
        (good + empty, []),
        (good + backwards, ["a cue that ends no later than it begins is left out, at 1:09.0"]),
        (
            backwards + good + "4\n00:01:12,000 --> 00:01:12,000\nat once\n",
            ["2 cues that end no later than they begin are left out, the first at 1:09.0"],
        ),
    ):
        odd: list[str] = []
        segments = parse("a.srt", text.encode(), odd)
        assert [each.text for each in segments if isinstance(each, Segment)] == ["kept"]
        assert odd == expected


def test_cues_come_in_the_order_of_their_beginnings_and_may_overlap() -> None:
    text = "00:00:05,000 --> 00:00:09,000\nb\n\n00:00:01,000 --> 00:00:06,000\na\n"
    assert told(read("a.srt", text)) == [("a", 1.0, 6.0), ("b", 5.0, 9.0)]


def test_web_subtitles_without_their_notes_styles_and_names() -> None:
    text = """WEBVTT - a title

NOTE one
that goes on

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start position:0%
<v Roger>Hello <c.loud>you</c>

NOTE two

chapter two
01:00:02.000 --> 01:00:04.000
NOTE this is said
"""
    assert told(read("a.vtt", text)) == [
        ("Hello you", 1.0, 2.0),
        ("NOTE this is said", 3602.0, 3604.0),
    ]


def test_captions_that_roll_on_say_each_line_once() -> None:
    text = """WEBVTT

00:00:01.000 --> 00:00:02.000
we shall<00:00:01.500><c> begin</c>

00:00:02.000 --> 00:00:03.000
we shall begin
with<00:00:02.500><c> this</c>

00:00:03.000 --> 00:00:04.000
with this
"""
    assert told(read("a.vtt", text)) == [("we shall begin", 1.0, 2.0), ("with this", 2.0, 3.0)]


def test_a_line_that_is_said_again_later_stays() -> None:
    text = "00:00:01,000 --> 00:00:02,000\nNo.\n\n00:00:08,000 --> 00:00:09,000\nNo.\n"
    assert [segment.text for segment in read("a.srt", text)] == ["No.", "No."]


# ---------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[00:01:02] hi there\n[00:01:05] bye\nall", [("hi there", 62, 64), ("bye all", 65, 67)]),
        ("0:13 a\n0:14.5 b", [("a", 13, 14.5), ("b", 14.5, 16.5)]),
        ("0:13\nthe words\n\n0:20\nmore", [("the words", 13, 15.25), ("more", 20, 22)]),
        ("[00:01 - 00:03] A: x\n[00:03 --> 00:09] B: y", [("A: x", 1, 3), ("B: y", 3, 9)]),
        ("[01:02.50]a\n[01:03.00]b", [("a", 62.5, 63), ("b", 63, 65)]),
        ("(1:00:00) a\n(1:00:01) b", [("a", 3600, 3601), ("b", 3601, 3603)]),
        (SRT, [("Hello there & you - Bye", 1, 2.5), ("In the year 2001", 3, 4), ("1999", 5, 6)]),
    ],
)
def test_a_text_with_times(text: str, expected: list[tuple[str, float, float]]) -> None:
    assert told(read("a.txt", text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Just words,\nand more of them.",
        "12:30 is when it begins.",
        "At first\n0:12 words\n0:13 more words",
        "9:30 breakfast\n8:15 sleep",
        "1. one\n2. two",
        "2024-01-02 a date\n2024-01-03 another",
    ],
)
def test_a_text_without_times_is_given_as_it_is(text: str) -> None:
    assert parse("a.txt", f"\ufeff{text}\n".encode(), []) == text


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.srt", b"", SkipReason.EMPTY),
        ("a.txt", b" \n\n", SkipReason.NO_CONTENT),
        ("a.srt", b"Only words.", SkipReason.CORRUPT),
        ("a.vtt", b"WEBVTT\n\nNOTE nothing", SkipReason.CORRUPT),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\n♪".encode(), SkipReason.NO_CONTENT),
        ("a.srt", b"\x00\x01\x02\xff" * 99, SkipReason.CORRUPT),
        ("a.txt", bytes(range(256)), SkipReason.CORRUPT),
        ("a.pdf", b"x", SkipReason.UNSUPPORTED),
    ],
)
def test_a_file_that_is_no_transcript_is_refused(
    name: str, data: bytes, reason: SkipReason
) -> None:
    with pytest.raises(BadInputError) as caught:
        parse(name, data, [])
    assert caught.value.reason is reason


@given(
    st.sampled_from(SUFFIXES),
    st.lists(
        st.sampled_from(
            ["\n", "\n\n", "1", "00:00:01,000", " --> ", "00:00:02.000", "WEBVTT", "NOTE", "<i>",
             "{\\an8}", "{", "<", "words", "&#0;", "&lt;", "\\N", "♪", "0:13 ", "[", "99:99:99,9"]
        )
    ),
)  # fmt: skip
def test_nothing_makes_it_fail_otherwise(suffix: str, parts: list[str]) -> None:
    try:
        found = parse(f"a{suffix}", "".join(parts).encode(), [])
    except BadInputError:
        return
    if isinstance(found, str):
        assert suffix == ".txt"
        return
    assert all(segment.start < segment.end and segment.text for segment in found)
    assert all(one.start <= two.start for one, two in pairwise(found))

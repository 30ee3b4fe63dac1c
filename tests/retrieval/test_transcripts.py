"""Subtitles and transcripts: what is read of them, where they are cut, and which times they get."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import BadInputError, SkipReason
from retrieval.passages import tokens
from retrieval.schema import Draft, Span
from retrieval.timed import Segment, Word
from retrieval.transcripts import SUFFIXES, align, parse, passages_of

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
LONG = "The quick brown fox jumps over the lazy dog, and then it sleeps. "


def read(name: str, text: str) -> list[Segment]:
    segments = parse(name, text.encode())
    assert not isinstance(segments, str)
    return segments


def told(segments: Sequence[Segment]) -> list[tuple[str, float, float]]:
    return [(segment.text, segment.start, segment.end) for segment in segments]


def said(text: str, start: float = 0.0, each: float = 0.4) -> Segment:
    """A segment as a transcriber hears it: every word with its time."""
    words = tuple(
        Word(word, start + i * each, start + (i + 1) * each, 0.9)
        for i, word in enumerate(text.split())
    )
    return Segment(text, start, start + each * len(words), "en", 0.9, words)


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
    (segment,) = parse("A.SRT", text.encode(encoding))
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
    assert parse("a.txt", f"\ufeff{text}\n".encode()) == text


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
        parse(name, data)
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
        found = parse(f"a{suffix}", "".join(parts).encode())
    except BadInputError:
        return
    if isinstance(found, str):
        assert suffix == ".txt"
        return
    assert all(segment.start < segment.end and segment.text for segment in found)
    assert all(one.start <= two.start for one, two in pairwise(found))


# ---------------------------------------------------------------- passages


def spans(drafts: Sequence[Draft]) -> list[tuple[str, float, float]]:
    assert all(draft.kind == "speech" and draft.inputs == (draft.text,) for draft in drafts)
    return [(d.text or "", d.span.start, d.span.end) for d in drafts if d.span is not None]


def test_what_belongs_together_is_one_passage() -> None:
    lines = [Segment("We go", 1, 2), Segment("to the sea.", 3.5, 5), Segment("Later.", 7, 8)]
    assert spans(list(passages_of(lines, 100))) == [("We go to the sea.", 1, 5), ("Later.", 7, 8)]


def test_chinese_is_joined_without_spaces_and_korean_with() -> None:
    chinese, korean = ("今天天气很好", "我们去公园"), ("오늘은 날씨가", "좋다")
    for lines, joined in ((chinese, "今天天气很好我们去公园"), (korean, "오늘은 날씨가 좋다")):
        both = [Segment(lines[0], 1, 2), Segment(lines[1], 2, 3)]
        assert spans(list(passages_of(both, 100))) == [(joined, 1, 3)]


def test_a_passage_is_short_enough_to_be_found_in_time() -> None:
    drafts = list(passages_of([Segment("word", i, i + 1) for i in range(60)], 1000))
    assert [d.span for d in drafts] == [Span(0, 20), Span(20, 40), Span(40, 60)]


def test_a_long_segment_is_cut_at_the_times_of_its_words() -> None:
    words = tuple(Word(w, i * 2.0, i * 2.0 + 1) for i, w in enumerate(("one,", "two,", "three")))
    long = Segment("one, two, three", 0, 5, words=words)
    assert spans(list(passages_of([long], 4))) == [("one, two, three", 0, 5)]
    longer = Segment(LONG * 2, 0, 13)
    found = spans(list(passages_of([longer], 17)))
    assert [text for text, _, _ in found] == [LONG.strip()] * 2
    assert found[0][2] == pytest.approx(6.4)  # by its characters
    heard = said(LONG.strip(), 10, 1)
    cut = spans(list(passages_of([heard], 12)))
    assert cut == [
        ("The quick brown fox jumps over the lazy dog,", 10, 19),
        ("and then it sleeps.", 19, 23),
    ]


segments_ = st.lists(
    st.tuples(st.text("ab .,我\n", min_size=1, max_size=80), st.floats(0, 5), st.floats(0, 30)),
    max_size=12,
)


@given(segments_, st.integers(4, 40))
def test_passages_lose_nothing_fit_and_never_go_back(
    parts: list[tuple[str, float, float]], room: int
) -> None:
    at, segments = 0.0, []
    for text, pause, length in parts:
        if text.strip():
            segments.append(Segment(text, at + pause, at + pause + length))
        at += pause + length
    drafts = list(passages_of(segments, room))
    whole = "".join(draft.text or "" for draft in drafts)
    assert re.sub(r"\s", "", whole) == re.sub(r"\s", "", "".join(s.text for s in segments))
    assert all(tokens(draft.text or "") <= room for draft in drafts)
    assert all(draft.span and draft.span.start < draft.span.end for draft in drafts)
    starts = [draft.span.start for draft in drafts if draft.span]
    assert starts == sorted(starts)


# ---------------------------------------------------------------- alignment

SCRIPT = (
    'Title by Me.\n\n"There\'s iron, they say, in all our blood," he said; and a grain or two '
    "perhaps is good. But his makes me feel that he has got too much of steel. (And then) the "
    "second stretch begins here with other words."
)
HEARD = (
    "Theirs iron they say in all our blood he said and a grain of two perhaps is good but his "
    "makes me feel that he has got to much of steel"
)


def letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def test_a_script_takes_the_times_of_what_was_heard() -> None:
    aligned = align(SCRIPT, [said(HEARD, 10)])
    assert aligned.matched
    assert aligned.rest.startswith("(And then) the second")
    words = {word.text: word for segment in aligned.segments for word in segment.words}
    heard = {word.text: word for word in said(HEARD, 10).words}
    for name in ("iron", "blood", "perhaps", "steel"):
        assert (words[name].start, words[name].end) == (heard[name].start, heard[name].end)
    assert (words["or"].start, words["or"].end) == (15.2, pytest.approx(15.6))
    assert words["Title"].start == 10  # nobody read it: before the first word that was
    assert [s.text for s in aligned.segments][1].startswith("\"There's iron, they say,")
    assert {segment.language for segment in aligned.segments} == {"en"}


def test_the_next_stretch_goes_on_where_the_one_before_ended() -> None:
    first = align(SCRIPT, [said(HEARD, 10)])
    second = align(
        first.rest, [said("and then the second stretch begins here with odd words", 130)]
    )
    assert second.rest == ""
    assert second.segments[0].text.startswith("(And then)")
    assert second.segments[0].start == 130
    third = align(second.rest, [said("something else", 250)])
    assert [segment.text for segment in third.segments] == ["something else"]


def test_what_is_said_beside_the_script_is_kept() -> None:
    beside = "now somebody speaks at length who is not in the script at all"
    aligned = align(
        "The end of it is near, my friends.", [said(f"the end of it is near my friends {beside}")]
    )
    assert aligned.rest == ""
    assert [segment.text for segment in aligned.segments][-1] == beside
    aligned = align(
        "The end of it is near, my friends.", [said(f"{beside} the end of it is near my friends")]
    )
    assert aligned.segments[0].text == beside
    assert aligned.segments[0].end <= aligned.segments[1].start


def test_a_transcript_of_something_else_gives_way_to_what_was_heard() -> None:
    heard = [said("a wholly different talk about ships and their cargo in the harbour of Riga")]
    aligned = align(SCRIPT, heard)
    assert not aligned.matched
    assert aligned.segments == tuple(heard)
    assert aligned.rest == SCRIPT


def test_the_thread_is_found_again_after_words_that_nobody_heard() -> None:
    sentences = [f"Sentence {n} speaks of thing {n * 7} and matter {n * 13}." for n in range(300)]
    script = " ".join(sentences)
    heard = " ".join(sentences[200:210])
    aligned = align(script, [said(heard, 500)])
    assert aligned.matched
    assert aligned.rest == " ".join(sentences[210:])
    found = next(s for s in aligned.segments if s.text.startswith("Sentence 205"))
    assert found.start == pytest.approx(500 + 0.4 * 5 * 9)


def test_silence_leaves_the_script_as_it_is() -> None:
    assert align(SCRIPT, []).segments == ()
    assert align(SCRIPT, []).rest == SCRIPT


def test_chinese_is_aligned_by_its_characters() -> None:
    heard = "今天天汽很好我们去公园玩"
    words = tuple(Word(char, float(i), i + 1.0) for i, char in enumerate(heard))
    aligned = align(
        "今天天气很好，我们去公园。然后回家吃饭。", [Segment(heard, 0, 12, "zh", 1, words)]
    )
    assert aligned.rest == "然后回家吃饭。"
    (segment,) = aligned.segments
    assert segment.text == "今天天气很好，我们去公园。"
    assert (segment.start, segment.end) == (0, 11)
    assert segment.words[3] == Word("气", 3.0, 4.0)


word_ = st.sampled_from(
    ["the", "a", "fox", "don't", "3.14", "Müller", "我们", "好", "…", "(so)", "x" * 120]
)
script_ = st.lists(word_, max_size=60).map(" ".join)


@settings(max_examples=200)
@given(script_, st.data())
def test_no_word_of_the_script_is_lost_and_times_never_fall(
    script: str, data: st.DataObject
) -> None:
    left, at = script, 0.0
    given_: list[Segment] = []
    for _ in range(data.draw(st.integers(1, 4))):
        own = data.draw(st.booleans())
        text = (
            data.draw(script_)
            if not own
            else " ".join(left.split()[: data.draw(st.integers(0, 30))])
        )
        heard = [said(text, at + 1)] if text.strip() else []
        aligned = align(left, heard)
        kept = [s.text for s in heard]
        own_words = [s for s in aligned.segments if s.confidence == 1.0]
        if aligned.matched:
            assert letters("".join(s.text for s in own_words) + aligned.rest) == letters(left)
        else:
            assert [s.text for s in aligned.segments] == kept
            assert letters(aligned.rest) == letters(left)
        given_ += aligned.segments
        left, at = aligned.rest, at + 100
    times = [time for s in given_ for time in (s.start, s.end)]
    assert times == sorted(times)
    for segment in given_:
        inner = [time for word in segment.words for time in (word.start, word.end)]
        assert inner == sorted(inner)
        assert all(segment.start <= time <= segment.end for time in inner)

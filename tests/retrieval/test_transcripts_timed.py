"""What was said, cut into passages and found in what was heard."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.passages import tokens
from retrieval.schema import Draft, Span
from retrieval.timed import Segment, Word
from retrieval.transcripts import align, passages_of

LONG = "The quick brown fox jumps over the lazy dog, and then it sleeps. "


def said(text: str, start: float = 0.0, each: float = 0.4) -> Segment:
    """A segment as a transcriber hears it: every word with its time."""
    words = tuple(
        Word(word, start + i * each, start + (i + 1) * each, 0.9)
        for i, word in enumerate(text.split())
    )
    return Segment(text, start, start + each * len(words), "en", 0.9, words)


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


def test_what_is_said_beside_the_script_has_its_words_in_its_time() -> None:
    """Also one with a bracket, which the word takes some of its time for."""
    beside = "(so) the the the the the the (so)"
    for heard, place in ((f"{beside} a b c", 0), (f"a b c {beside}", -1)):
        segment = align("A b c.", [said(heard)]).segments[place]
        assert len(segment.words) == 8
        assert (segment.start, segment.end) == (segment.words[0].start, segment.words[-1].end)


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


def test_a_simplified_transcript_takes_the_times_of_words_heard_in_traditional_characters() -> None:
    heard = "歡迎來到圖書館請關機"
    words = tuple(Word(char, float(i), i + 1.0) for i, char in enumerate(heard))
    aligned = align("欢迎来到图书馆，请关机。", [Segment(heard, 0, 10, "zh", 1, words)])
    assert (aligned.matched, aligned.rest) == (True, "")
    (segment,) = aligned.segments
    assert segment.text == "欢迎来到图书馆，请关机。"
    assert segment.words == tuple(
        Word(char, float(i), i + 1.0) for i, char in enumerate("欢迎来到图书馆请关机")
    )


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

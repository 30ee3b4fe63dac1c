"""A transcript without times takes those of the words that were heard.

Gets: what is left of the transcript, and the segments heard in one stretch of a film. Gives: the
transcript's own words with times, and what is left for the next stretch. Touches: rapidfuzz. Never:
a sound, the whole film: memory is that of a stretch.

Both are compared word by word (a character of Chinese is a word) by edit distance, not by dynamic
time warping: warping has no way to leave out a word, and transcripts leave out, add and mend.
rapidfuzz has the distance in C++, and the way that it came about, from which the times follow. The
end is open: of all beginnings of the transcript the one that is nearest to what was heard is taken,
the shortest where several are. When no beginning is near, what was heard is looked for further on,
so a stretch that wasn't understood, or a foreword that nobody reads, loses the thread only once.

When it isn't found there either, the transcript is of something else, or nothing of it was said in
this stretch: the heard words are given, and the transcript is left whole (`Aligned.matched`). Words
of the transcript that nobody heard take the time between those that were. Many heard words before
or behind the transcript's are not in it, and are given too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from ..errors import NotInstalledError
from ..passages import passages, tokens
from ..timed import Segment, Word
from ..words import one_script
from .clock import clock_of

_NEAR = 0.4  # of the heard words, that stand in the transcript, where it is the right one
_SURE = 0.7  # of them, where no other place need be looked for
_BETTER = 1.2  # times as many must stand in a place further on
_FEW = 3  # words prove nothing
_AHEAD = 4000  # words of the transcript, among which the heard ones are looked for
_SPARE = 40  # words that a beginning may be longer than one and a half times what was heard
_ROOM = 24  # tokens of a segment that is given, about a line of subtitles
_SLIP = 8  # heard words before or behind the transcript's: fewer are a slip of the ear

_Pairs = list[tuple[int, int]]

# A run of letters and digits, with apostrophes and points inside; see `_units` for scripts
# without spaces.
_WORD = re.compile(r"\w+(?:['’.\-]\w+)*")


@dataclass(frozen=True, slots=True)
class Aligned:
    """What became of a stretch.

    Attributes:
        segments: the transcript's words with times; those heard, where they don't match it.
        rest: what is left of the transcript.
        matched: whether the transcript was found in what was heard.
    """

    segments: tuple[Segment, ...]
    rest: str
    matched: bool = True


@dataclass(frozen=True, slots=True)
class _Unit:
    """A word, or a character of a script without spaces: where it stands, and what is compared."""

    start: int
    end: int
    key: str


def align(script: str, segments: Sequence[Segment]) -> Aligned:
    """Give times to the beginning of a transcript.

    Args:
        script: what the stretches before have left of it.
        segments: what was heard in this stretch, in order.

    Returns:
        The words of its segments and of its rest are those of the script, none lost, unless it
        isn't matched. Once the script is used up, further segments come back as they are.

    Raises:
        NotInstalledError: rapidfuzz isn't here.
    """
    heard, times = _heard(segments)
    ahead = _units(script, _AHEAD + len(heard))
    if not ahead:
        return Aligned(tuple(segments), "", matched=False)
    if not heard:
        return Aligned((), script)
    keys, heard_keys = _encoded([unit.key for unit in ahead], heard)
    at = _place(keys, heard_keys)
    if at is None:
        return Aligned(tuple(segments), script, matched=False)
    first, length = at
    taken = ahead[: first + length]
    text = script[: _behind(script, taken[-1].end)]
    matches = _matches(heard_keys, keys[first : first + length], first)
    head, tail = _beside(segments, times, matches)
    begin = times[matches[0][0]][0] if head else times[0][0]
    clock = _clock({word: times[i] for i, word in matches}, len(taken), begin)
    said = _said(text, taken, clock, segments[0].language)
    return Aligned((*head, *said, *tail), script[len(text) :].lstrip())


def _heard(segments: Sequence[Segment]) -> tuple[list[str], list[tuple[float, float]]]:
    """The words that were heard, as they are compared, and their times."""
    keys: list[str] = []
    times: list[tuple[float, float]] = []
    for segment in segments:
        clock = clock_of(segment)
        for unit in _units(segment.text, len(segment.text)):
            keys.append(unit.key)
            times.append((clock(unit.start), clock(unit.end)))
    return keys, times


def _units(text: str, most: int) -> list[_Unit]:
    """The first words of a text; a character of a script without spaces is one."""
    units: list[_Unit] = []
    for match in _WORD.finditer(text):
        if len(units) >= most:
            break
        word, start = match[0], match.start()
        if tokens(word) <= len(word) / 4:  # no such character
            units.append(_Unit(start, match.end(), _key(word)))
            continue
        begun = 0
        for place, char in enumerate(word):
            if tokens(char) == 1:
                if begun < place:
                    units.append(_Unit(start + begun, start + place, _key(word[begun:place])))
                units.append(_Unit(start + place, start + place + 1, _key(char)))
                begun = place + 1
        if begun < len(word):
            units.append(_Unit(start + begun, match.end(), _key(word[begun:])))
    return units


def _key(word: str) -> str:
    """A word as it is compared: without case, width, accents' ways of writing and apostrophes.

    Chinese is in one script: a transcriber may write another than the transcript's.
    """
    plain = one_script(unicodedata.normalize("NFKC", word).casefold())
    return re.sub(r"[\W_]", "", plain) or word


def _encoded(script: Sequence[str], heard: Sequence[str]) -> tuple[str, str]:
    """Both with one character for each word, as rapidfuzz is quickest with strings."""
    numbers: dict[str, int] = {}
    for word in (*script, *heard):
        numbers.setdefault(word, len(numbers))
    # Private planes: no surrogates, and more room than words.
    script_, heard_ = ("".join(chr(0xF0000 + numbers[w]) for w in ws) for ws in (script, heard))
    return script_, heard_


def _place(script: str, heard: str) -> tuple[int, int] | None:
    """(first, length) of the part of the script that was heard; None when it isn't there."""
    length = _nearest_end(script, heard)
    likeness = _likeness(heard, script, 0, length)
    if likeness >= _SURE or not _FEW < len(heard) < len(script):
        return (0, length) if likeness >= _NEAR else None
    found = _rapidfuzz().fuzz.partial_ratio_alignment(heard, script)
    first = 0 if found is None else found.dest_start
    ahead = _nearest_end(script[first:], heard)
    further = _likeness(heard, script, first, ahead)
    if max(likeness, further) < _NEAR:
        return None
    return (first, ahead) if further > _BETTER * likeness else (0, length)


def _nearest_end(script: str, heard: str) -> int:
    """The length of the beginning of the script that is nearest to what was heard."""
    distance = _rapidfuzz().distance.Levenshtein.distance
    best, least = 0, len(heard)
    for length in range(1, min(len(script), len(heard) * 3 // 2 + _SPARE) + 1):
        away = distance(heard, script[:length], score_cutoff=least)
        if away < least:
            best, least = length, away
    return best


def _likeness(heard: str, script: str, first: int, length: int) -> float:
    """The share of what was heard, in order, in a part of the script; 0 where a few words are."""
    same = [
        op.src_start + i
        for op in _rapidfuzz().distance.Levenshtein.opcodes(heard, script[first : first + length])
        if op.tag == "equal"
        for i in range(op.src_end - op.src_start)
    ]
    if not same or len(same) < min(_FEW, length, len(heard)):
        return 0.0
    # Behind the script's end anything may be said: then only what lies among its words counts.
    to_the_end = first + length == len(script)
    return len(same) / (max(length, same[-1] - same[0] + 1) if to_the_end else len(heard))


def _matches(heard: str, part: str, first: int) -> _Pairs:
    """(heard word, word of the script) of those that are the same or stand for each other."""
    pairs = []
    for op in _rapidfuzz().distance.Levenshtein.opcodes(heard, part):
        if op.tag in ("equal", "replace"):
            length = min(op.src_end - op.src_start, op.dest_end - op.dest_start)
            pairs += [(op.src_start + i, first + op.dest_start + i) for i in range(length)]
    return pairs


def _beside(
    segments: Sequence[Segment], times: Sequence[tuple[float, float]], matches: _Pairs
) -> tuple[list[Segment], list[Segment]]:
    """What was heard before and after the words of the script, where it is more than a slip."""
    (first, _), (last, _) = matches[0], matches[-1]
    before, behind = times[first][0], times[last][1]
    head = segments if first >= _SLIP else ()
    tail = segments if len(times) - last - 1 >= _SLIP else ()
    return (
        [part for each in head if (part := _part(each, 0.0, before))],
        [part for each in tail if (part := _part(each, behind, inf))],
    )


def _part(segment: Segment, start: float, end: float) -> Segment | None:
    """The words of a segment that lie between two times; the segment itself when all do."""
    clock = clock_of(segment)
    units = _units(segment.text, len(segment.text))
    inside = [unit for unit in units if clock(unit.start) >= start and clock(unit.end) <= end]
    if not inside or len(inside) == len(units):
        return segment if inside else None
    first, last = inside[0], inside[-1]
    text = segment.text[first.start : _behind(segment.text, last.end)]
    words = tuple(word for word in segment.words if word.start >= start and word.end <= end)
    # A word that was heard has its punctuation with it, and so reaches beyond the unit.
    times = [clock(first.start), clock(last.end)]
    times += [time for word in words for time in (word.start, word.end)]
    return replace(segment, text=text, start=min(times), end=max(times), words=words)


def _clock(
    known: Mapping[int, tuple[float, float]], count: int, begin: float
) -> list[tuple[float, float]]:
    """(start, end) of each of the script's words; unknown ones share the time between known ones.

    Args:
        known: times of words that were heard.
        count: of all words.
        begin: the first second of all.
    """
    spans: list[tuple[float, float]] = []
    last = begin
    while len(spans) < count:
        word = len(spans)
        if word in known:
            start = max(known[word][0], last)
            last = max(known[word][1], start)
            spans.append((start, last))
            continue
        following = next((i for i in range(word, count) if i in known), count)
        until = max(known[following][0], last) if following < count else last
        step = (until - last) / (following - word)
        spans += [(last + i * step, last + (i + 1) * step) for i in range(following - word)]
        last = until
    return spans


def _said(
    text: str, units: Sequence[_Unit], clock: Sequence[tuple[float, float]], language: str
) -> Iterator[Segment]:
    """Segments of a text whose words have their times: about a line of subtitles each."""
    at, last = 0, clock[0][0]
    for start, end in passages(text, _ROOM):
        words = []
        while at < len(units) and units[at].start < end:
            words.append(Word(text[units[at].start : units[at].end], *clock[at]))
            at += 1
        said = " ".join(text[start:end].split())
        begin = words[0].start if words else last  # a word so long that it was cut
        last = words[-1].end if words else last
        if any(char.isalnum() for char in said):
            yield Segment(said, begin, last, language, 1.0, tuple(words))


def _behind(text: str, end: int) -> int:
    """The end of a word with the punctuation that belongs to it."""
    while end < len(text) and not text[end].isspace() and not text[end].isalnum():
        if unicodedata.category(text[end]) in ("Ps", "Pi"):
            break  # an opening bracket or quotation mark
        end += 1
    return end


def _rapidfuzz() -> Any:
    try:
        import rapidfuzz
    except ImportError as error:
        raise NotInstalledError(
            "A transcript without times needs the package `rapidfuzz`, which is not installed.",
            advice="pip install 'echolens[speech]'",
        ) from error
    return rapidfuzz

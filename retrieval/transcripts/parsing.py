r"""Subtitles (``.srt``, ``.vtt``) and transcripts (``.txt``) become segments, or a plain text.

Gets: a name and bytes. Gives: segments in the order of their beginnings, or a string. Touches:
pysubs2, for subtitles. Never: a path.

Decisions that bind this module:

- Blocks are found here and handed to pysubs2, which knows times and tags. Left to itself it takes
  WebVTT's notes and cue names for the words of the cue before, its times of single words for a new
  cue, and drops a last line that is a number.
- What can't be read is skipped, cue by cue: one without words, and one that ends no later than it
  begins, which is told of in a list that the caller brings.
- Tags, entities and the notes around songs are taken off; the words of a song stay. What is heard,
  in brackets (``[door slams]``), stays: somebody wrote down what a microphone only recorded.
- Rolling captions say the line before again: what a cue repeats of the one before is left out.
- A text has times when at least two of its lines begin with one and they rise: ``[00:01:02] text``,
  ``0:13 text``, the time on a line of its own, or a whole file of subtitles. A line is said until
  the next one begins, but no longer than a slow speaker takes.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import PurePath

from ..encodings import decode_text
from ..errors import BadInputError, NotInstalledError, SkipReason
from ..passages import tokens
from ..timed import Segment
from ..times import clock

SUFFIXES = (".srt", ".vtt", ".txt")

_STAMP = r"(?:(\d{1,2}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3})\d*)?"
_TIMING = re.compile(rf"\s*{_STAMP}\s*-+>\s*{_STAMP}(?=\s|$)")
_LINE = re.compile(
    rf"""(?x)
    \s*
    (?: [\[(<]\s* {_STAMP} (?:\s*(?:-|–|—|-->|to)\s*{_STAMP})? \s*[\])>]
      | {_STAMP} (?:\s*(?:-|–|—|-->|to)\s*{_STAMP})? (?=\s|$)
    )
    [\s:\-–—|]*
    """
)
_NUMBER = re.compile(r"\s*\d+\s*")
_WORD_TIME = re.compile(r"<\d[\d:.]*>")
_NOTES = re.compile("[♩♪♫♬🎵🎶]+|(?<!\\w)#(?=\\s|$)")
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_ROLLING_S = 0.5  # a caption that rolls on follows so closely
_SLOWEST = 1.0  # tokens a second
_LEAST_S = 2.0


def parse(name: str, data: bytes, odd: list[str]) -> list[Segment] | str:
    """The segments of subtitles or of a transcript with times; a text, where it has none.

    Args:
        name: of the file; its suffix tells what it is.
        data: all of it.
        odd: gets what is left out and shouldn't have been there; it goes behind the file's name.

    Raises:
        BadInputError: it is empty, holds no words, is no text, or no such file.
        NotInstalledError: it is subtitles, and pysubs2 isn't here.
    """
    if not data:
        raise BadInputError(SkipReason.EMPTY, "is empty")
    suffix = PurePath(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise BadInputError(SkipReason.UNSUPPORTED, f"is no transcript: not {_or(SUFFIXES)}")
    text = decode_text(data)
    if not text.strip():
        raise BadInputError(SkipReason.NO_CONTENT, "holds no words")
    cues = list(_blocks(text))
    if suffix == ".txt" and len(cues) < 2:
        return _of_lines(text) or text.strip()
    if not cues:
        raise BadInputError(SkipReason.CORRUPT, "holds no subtitles: no line has two times")
    segments = list(_of_cues(cues, odd))
    if not segments:
        raise BadInputError(SkipReason.NO_CONTENT, "has subtitles without words or length")
    return segments


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _blocks(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """(begin, end, lines) of each cue, times as ``HH:MM:SS,mmm``."""
    is_vtt = text.lstrip().startswith("WEBVTT")
    open_: tuple[str, str, list[str]] | None = None
    for line in text.split("\n"):
        if timing := _TIMING.match(line):
            if open_ is not None:
                yield _without_number(open_)
            open_ = _clock(timing.groups()[:4]), _clock(timing.groups()[4:]), []
        elif is_vtt and not line.strip():
            if open_ is not None:
                yield open_  # a blank line ends it; what follows is a note or a cue's name
            open_ = None
        elif open_ is not None:
            open_[2].append(line)
    if open_ is not None:
        yield open_


def _without_number(cue: tuple[str, str, list[str]]) -> tuple[str, str, list[str]]:
    """A cue without the number of the next one."""
    begin, end, lines = cue
    return (begin, end, lines[:-1]) if lines and _NUMBER.fullmatch(lines[-1]) else cue


def _clock(stamp: tuple[str | None, ...]) -> str:
    hours, minutes, seconds, part = stamp
    return f"{int(hours or 0):02}:{int(minutes or 0):02}:{int(seconds or 0):02},{part or 0:0<3}"


def _of_cues(cues: list[tuple[str, str, list[str]]], odd: list[str]) -> Iterator[Segment]:
    """Segments of cues, their tags taken off by pysubs2."""
    try:
        import pysubs2
    except ImportError as error:
        raise NotInstalledError(
            "Subtitles need the package `pysubs2`, which is not installed.",
            advice="pip install 'echolens[video]'",
        ) from error
    blocks = []
    for number, (begin, over, raw) in enumerate(cues):
        words = "\n".join(line for line in raw if line.strip())
        blocks.append(f"{number}\n{begin} --> {over}\n{_WORD_TIME.sub('', words)}\n\n")
    # The number behind the last one is taken for the next cue's, else a year at its end would be.
    events = pysubs2.SSAFile.from_string("".join(blocks) + str(len(cues)), format_="srt")
    before: list[str] = []
    until = 0.0
    turned: list[float] = []  # starts of cues that end no later
    for event in sorted(events, key=lambda each: each.start):
        start, end = event.start / 1000, event.end / 1000
        lines = [clean for line in event.plaintext.split("\n") if (clean := _clean(line))]
        if not lines:
            continue
        if end <= start:
            turned.append(start)
            continue
        if start <= until + _ROLLING_S:
            lines, before = _new(before, lines), lines
        else:
            before = lines
        until = end
        if lines:
            yield Segment(" ".join(lines), start, end)
    if turned:
        odd.append(_left_out(turned))


def _left_out(starts: list[float]) -> str:
    if len(starts) == 1:
        return f"a cue that ends no later than it begins is left out, at {clock(starts[0])}"
    many = f"{len(starts):,} cues that end no later than they begin are left out"
    return f"{many}, the first at {clock(starts[0])}"


def _new(before: list[str], lines: list[str]) -> list[str]:
    """The lines that a caption doesn't repeat from the one before."""
    for shared in range(min(len(before), len(lines)), 0, -1):
        if before[-shared:] == lines[:shared]:
            return lines[shared:]
    return lines


def _clean(line: str) -> str:
    """A line without entities, notes and invisible marks; "" when no letter or digit is left."""
    line = _NOTES.sub(" ", _INVISIBLE.sub("", html.unescape(line)))
    line = " ".join(line.split())
    return line if any(char.isalnum() for char in line) else ""


def _of_lines(text: str) -> list[Segment]:
    """Segments of a text whose lines begin with times; none when they don't."""
    found: list[tuple[float, float | None, list[str]]] = []
    for line in text.split("\n"):
        if stamp := _LINE.match(line):
            times = [_seconds(stamp.groups()[at : at + 4]) for at in (0, 4, 8, 12)]
            start = times[0] if times[0] is not None else times[2]
            end = times[1] if times[1] is not None else times[3]
            assert start is not None
            found.append((start, end, [line[stamp.end() :]]))
        elif found:
            found[-1][2].append(line)
        elif line.strip():
            return []  # it begins with something else
    starts = [start for start, _, _ in found]
    if len(found) < 2 or starts != sorted(starts):
        return []
    return list(_timed(found))


def _timed(found: list[tuple[float, float | None, list[str]]]) -> Iterator[Segment]:
    following = [start for start, _, _ in found[1:]] + [None]
    for (start, end, lines), next_start in zip(found, following, strict=True):
        words = " ".join(clean for line in lines if (clean := _clean(line)))
        if not words:
            continue
        longest = start + max(_LEAST_S, tokens(words) / _SLOWEST)
        if end is not None and end > start:
            yield Segment(words, start, end)
        elif next_start is not None and next_start > start:
            yield Segment(words, start, min(next_start, longest))
        else:
            yield Segment(words, start, longest)


def _seconds(stamp: tuple[str | None, ...]) -> float | None:
    hours, minutes, seconds, part = stamp
    if seconds is None:
        return None
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds)
    return float(f"{whole}.{part or 0}")

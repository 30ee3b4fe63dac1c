"""What was said, cut into passages of speech: as long as an encoder reads, and as a pause lets be.

Gets: segments in order, the room in tokens. Gives: drafts of kind "speech". Touches: nothing: pure.
Never: a sound, an encoder.

Neighbouring segments share a passage while they fit the room, no pause of 2 s parts them, and the
whole takes at most 20 s: long enough to know what it is about, short enough to be found in time. A
segment that doesn't fit is cut where a text is cut; see `retrieval.passages`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..passages import passages, tokens
from ..schema import Draft, Span
from ..timed import Segment
from .clock import clock_of

_PAUSE_S = 2.0
_LONGEST_S = 20.0
_SHORTEST_S = 0.1  # an empty span overlaps nothing


def passages_of(segments: Sequence[Segment], room: int) -> Iterator[Draft]:
    """The passages of segments in the order of their beginnings; spans in seconds.

    Args:
        segments: what was said.
        room: estimated tokens that a passage may have.
    """
    open_: Segment | None = None
    for piece in (piece for segment in segments for piece in _pieces(segment, room)):
        joined = None if open_ is None else _joined(open_, piece)
        if open_ is None or joined is None:
            open_ = piece
        elif _belong(open_, piece) and tokens(joined.text) <= room:
            open_ = joined
        else:
            yield _draft(open_)
            open_ = piece
    if open_ is not None:
        yield _draft(open_)


def _pieces(segment: Segment, room: int) -> Iterator[Segment]:
    """A segment, or what it is cut into."""
    cuts = list(passages(segment.text, room))
    if len(cuts) == 1:
        yield replace(segment, text=segment.text.strip(), words=())
        return
    clock = clock_of(segment)
    for start, end in cuts:
        yield Segment(segment.text[start:end], clock(start), clock(end))


def _belong(before: Segment, after: Segment) -> bool:
    pause, whole = after.start - before.end, max(before.end, after.end) - before.start
    return pause < _PAUSE_S and whole <= _LONGEST_S


def _joined(before: Segment, after: Segment) -> Segment:
    between = "" if _without_spaces(before.text[-1]) and _without_spaces(after.text[0]) else " "
    text = f"{before.text}{between}{after.text}"
    return Segment(text, before.start, max(before.end, after.end))


def _without_spaces(char: str) -> bool:
    """Whether a character is of a script that puts no spaces between words; Hangul does."""
    return tokens(char) == 1 and not "\uac00" <= char <= "\ud7a3"


def _draft(said: Segment) -> Draft:
    start = round(said.start, 3)
    span = Span(start, round(max(said.end, start + _SHORTEST_S), 3))
    return Draft("speech", (said.text,), span, said.text)

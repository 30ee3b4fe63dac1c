"""A stretch of a film or a recording: what is seen and heard in it, and how the file goes on.

Gets: a file, where the stretch begins, and what lay beside the file. Gives: a `Stretch`, whose
subtitles are yet to become drafts.
Touches: PyAV and PySceneDetect, through its neighbours. Never: keeps anything between two calls.

Decisions that bind this module:

- Stretches begin at multiples of `STRETCH_S`; the next one is that in which something follows, so
  a timestamp far beyond all others costs one stretch and not a million.
- Where a film ends is where nothing more can be decoded. What its header says is compared with
  that, and told where it promised more: once, with the stretch in which it ended.
- Half a film is better than none: a picture or a sound that can't be decoded costs itself only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from retrieval.errors import BadInputError, SkipReason
from retrieval.schema import Wants
from retrieval.timed import STRETCH_S, Segment, Stretch
from retrieval.times import clock

from . import subtitles
from .containers import facts as facts_of
from .listening import Heard, listen
from .nouns import Broken, Facts
from .sound import sound
from .watching import Seen, watch

_PROMISED_S = 3.0  # a film that ends so much before what its header says is told of
LONGEST_S = 30 * 86_400.0  # a header that promises more is nonsense
_ENDS = "ends at"  # of one track, which another may outlast
_FATAL = (SkipReason.TOO_LARGE, SkipReason.NOT_INSTALLED, SkipReason.DECODER_FAILED)


@dataclass(frozen=True, slots=True)
class Said:
    """What came with a file of what is said in it.

    Attributes:
        lines: with times.
        script: without times.
    """

    lines: Sequence[Segment] = ()
    script: str | None = None


@dataclass(slots=True)
class _Decoding:
    """What came out so far, and what went wrong."""

    seen: Seen | None = None
    heard: Heard | None = None
    refused: list[BadInputError] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing could be decoded of what was asked for."""
        return all(each is None or each.is_empty for each in (self.seen, self.heard))


def read(
    file: BinaryIO, wants: Wants, start: float, said: Said, *, pictures: bool
) -> tuple[Stretch, list[Segment]]:
    """Read the stretch that begins at `start`.

    Args:
        file: seekable.
        wants: what the encoders look at.
        start: a multiple of `STRETCH_S`.
        said: what lay beside the file.
        pictures: whether they are looked at, if an encoder takes them.

    Returns:
        The stretch, and the lines of subtitles that begin in it, which are yet to become drafts.

    Raises:
        BadInputError: there is nothing in the file, or nothing of it can be decoded.
    """
    facts = facts_of(file)
    if not (facts.has_audio or (pictures and facts.has_video)):
        message = "holds neither moving pictures nor sound" if pictures else "holds no sound"
        raise BadInputError(SkipReason.NO_CONTENT, message)
    track = None if said.lines else subtitles.text_track(facts)
    done = _Decoding()
    if pictures and facts.has_video and wants.pixels is not None:
        _watch(done, file, facts, wants, start)
    speech = wants.speech and not said.lines and track is None
    if facts.has_audio and (speech or wants.sample_rate is not None):
        _listen(done, file, wants, start, speech)
    if start == 0:
        _check_something(done)
    end, until = _end(done), start + STRETCH_S
    inside = subtitles.lines(file, track, start, until) if track else ()
    lines = _lines(inside or said.lines, start, until, math.inf if end is None else end)
    stretch = Stretch(
        drafts=(
            *(done.seen.drafts if done.seen else ()),
            *(done.heard.windows if done.heard else ()),
        ),
        speech=done.heard.speech if done.heard else (),
        script=None if said.lines or track else said.script,
        following=_following(done, facts, said, until),
        warnings=tuple(dict.fromkeys(_warnings(done, file, facts, said, start))),
        media_s=round(max(0.0, min(until, _known_end(done, facts)) - start), 3),
    )
    return stretch, lines


def _lines(lines: Sequence[Segment], start: float, until: float, end: float) -> list[Segment]:
    """Those that begin in a stretch, and none that goes on after the end of the film."""
    here = (line for line in lines if start <= line.start < min(until, end))
    return [replace(line, end=min(line.end, end)) for line in here]


def _watch(done: _Decoding, file: BinaryIO, facts: Facts, wants: Wants, start: float) -> None:
    assert wants.pixels is not None
    try:
        done.seen = watch(
            file, facts, start, pixels=wants.pixels, fast=wants.fast, broken=done.broken
        )
    except BadInputError as error:
        _refuse(done, error)
        done.seen = Seen((), start, None, is_empty=True)


def _listen(done: _Decoding, file: BinaryIO, wants: Wants, start: float, speech: bool) -> None:
    try:
        done.heard = listen(file, wants, start, speech=speech, broken=done.broken)
    except BadInputError as error:
        _refuse(done, error)
        done.heard = Heard((), (), start, is_empty=True)


def _refuse(done: _Decoding, error: BadInputError) -> None:
    if error.reason in _FATAL:
        raise error
    done.refused.append(error)


def _check_something(done: _Decoding) -> None:
    """Refuse a file of which nothing came out though something was asked for."""
    if (done.seen is None and done.heard is None) or not done.is_empty:
        return
    if done.refused:
        raise done.refused[0]
    what = "its pictures" if done.heard is None else "its sound"
    what = what if done.seen is None or done.heard is None else "its pictures or its sound"
    raise BadInputError(SkipReason.CORRUPT, f"is damaged: nothing of {what} can be decoded")


def _end(done: _Decoding) -> float | None:
    ends = [each.end for each in (done.seen, done.heard) if each is not None]
    return None if None in ends else max((end for end in ends if end is not None), default=None)


def _known_end(done: _Decoding, facts: Facts) -> float:
    """Where the file ends as far as is known; its header is believed if nothing was decoded."""
    if done.seen is None and done.heard is None:
        return facts.duration_s or 0.0
    end = _end(done)
    return math.inf if end is None else end


def _following(done: _Decoding, facts: Facts, said: Said, until: float) -> float | None:
    """Where the first stretch begins in which there is something more."""
    later: list[float] = []
    if done.seen is not None and done.seen.following is not None:
        later.append(done.seen.following)
    if done.heard is not None and done.heard.end is None:
        later.append(until)
    if later or (done.seen is None and done.heard is None):
        later += (line.start for line in said.lines if line.start >= until)
        if not later and facts.subtitles and until < (facts.duration_s or 0.0) < LONGEST_S:
            later.append(until)
    return math.floor(min(later) / STRETCH_S) * STRETCH_S if later else None


def _warnings(
    done: _Decoding, file: BinaryIO, facts: Facts, said: Said, start: float
) -> Iterator[str]:
    yield from (str(error) for error in done.refused)
    if start == 0 and done.seen is not None and done.seen.is_empty and not done.is_empty:
        yield "none of its pictures can be decoded"
    yield from (each.what for each in done.broken if not each.what.startswith(_ENDS))
    end, promised = _end(done), facts.duration_s
    if end is None:
        return
    if promised is not None and promised >= end + _PROMISED_S:
        unheard = facts.has_audio and done.heard is None
        if not (unheard and sound(file, rate=8000, start=end + 1, end=end + 2).size):
            yield f"ends at {clock(end, 2)}, though its header promises {clock(promised, 2)}"
    if late := sum(line.start >= end + _PROMISED_S for line in said.lines):
        yield f"has subtitles behind its end at {clock(end, 2)}: left out ({late})"

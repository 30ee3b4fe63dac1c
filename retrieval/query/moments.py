"""Moments: where in a film or a recording the answer lies.

Gets: the timed documents of one asset, and what each leg gives to each of them. Gives: moments,
best first. Touches: nothing: pure. Never: I/O, clock, settings.

All borders of an asset's documents cut its time into segments. A segment's score is the sum over
the legs of what the best document that covers it gets there; a leg without such a document adds
nothing, so silence lowers no score. The best segment is a peak; the segments beside it belong to
the same moment for as long as they have at least two thirds of the peak (`CUT`): shots always
touch, and only those that answer, too, may be merged. The rest is searched for its own peak in the
same way, and one that leans against a better moment is its slope: part of no moment. A moment's
score is its peak. What an asset as a whole has (a caption) isn't in it: that tells nothing of when.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, islice

import numpy as np
from numpy.typing import NDArray

from retrieval.schema import TIMED_KINDS, Document, Kind, Span

# Of a moment's peak; what has less isn't part of it. By shots alone, 0.7 to 0.9 locate about as
# well as each other and 0.5 takes in too much; the more legs add up, the more their noise does, and
# a cut near 1 would part what belongs together.
CUT = 2 / 3
_ROUNDING = 1e-6  # relative; sums may differ by so much: vectors are float32
_Numbers = NDArray[np.float64]

_LABELS: Mapping[Kind, str] = {
    "shot": "shot",
    "window": "sound",
    "speech": "speech",
    "image": "picture",
    "passage": "passage",
}
CHANNELS: Mapping[Kind, str] = {"shot": "shots", "speech": "speech", "window": "sound"}
EVER = Span(0.0, math.inf)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A document that speaks for a moment.

    Attributes:
        kind: of the document; `label` says it in a word for a person.
        document: its id.
        span: its own part of the asset, in seconds.
        score: what it adds, over all legs.
        text: what is said there, if it is speech.
    """

    kind: Kind
    document: str
    span: Span
    score: float
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """An answer in time.

    Attributes:
        start, end: in seconds.
        score: comparable with those of other moments of one result.
        evidence: the best document of each kind that lies in it, the most telling first.
    """

    start: float
    end: float
    score: float
    evidence: tuple[Evidence, ...] = ()

    @property
    def span(self) -> Span:
        """Its part of the asset."""
        return Span(self.start, self.end)

    @property
    def fragment(self) -> str:
        """The W3C media fragment: ``t=13.0,24.5``."""
        return f"t={round(float(self.start), 3)},{round(float(self.end), 3)}"

    def link(self, path: str) -> str:
        """A deep link, which players and browsers open at the moment: ``film.mp4#t=13.0,24.5``."""
        return f"{path}#{self.fragment}"


def overlaps(document: Document, during: Span) -> bool:
    """Whether a document has a time that overlaps another one, which isn't empty."""
    span = document.span
    return (
        span is not None
        and document.kind in TIMED_KINDS
        and span.start < span.end
        and span.start < during.end
        and during.start < span.end
    )


def label(kind: Kind, span: Span | None = None) -> str:
    """A document's kind in a word for a person: shot, sound, speech, picture, passage, caption.

    Args:
        kind: the document's.
        span: the document's; a passage without one is a caption.
    """
    return "caption" if kind == "passage" and span is None else _LABELS[kind]


def silent(documents: Iterable[Document]) -> tuple[str, ...]:
    """What an asset has no documents of: ``shots``, ``speech``, ``sound``; () without time."""
    kinds = {document.kind for document in documents} & TIMED_KINDS
    return tuple(name for kind, name in CHANNELS.items() if kinds and kind not in kinds)


@dataclass(frozen=True, slots=True)
class Found:
    """A moment, and which document of each leg counts at its peak; None: none does."""

    moment: Moment
    telling: tuple[str | None, ...]


def moments(
    documents: Iterable[Document],
    legs: Sequence[Mapping[str, float]],
    *,
    during: Span = EVER,
    limit: int | None = None,
) -> list[Found]:
    """The moments of one asset, best first, ties by time; they don't overlap.

    Args:
        documents: of one asset, in any order; those without time, or that no leg scores, are as if
            they weren't there.
        legs: what each leg gives to documents, by their ids.
        during: the part of the asset that counts.
        limit: how many are wanted, the best ones; None: all.
    """
    scored = _scored(documents, legs, during)
    if not scored.documents:
        return []
    borders = np.unique(np.concatenate([scored.starts, scored.ends]))
    scores, winners = _segments(scored, borders)
    found = []
    for peak, first, last in islice(_runs(scores), limit):
        start, end = float(borders[first]), float(borders[last + 1])
        moment = Moment(start, end, float(scores[peak]), _evidence(scored, start, end))
        telling = (scored.documents[n].id if n >= 0 else None for n in winners[:, peak].tolist())
        found.append(Found(moment, tuple(telling)))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """The documents that count, in the order of time.

    Attributes:
        starts, ends: (n,) seconds, within what was asked.
        gains: (legs, n); NaN where a leg says nothing.
    """

    documents: tuple[Document, ...]
    starts: _Numbers
    ends: _Numbers
    gains: _Numbers


def _scored(
    documents: Iterable[Document], legs: Sequence[Mapping[str, float]], during: Span
) -> _Scored:
    timed = [document for document in documents if overlaps(document, during)]
    timed.sort(key=_by_time)
    gains = [[leg.get(document.id, math.nan) for document in timed] for leg in legs]
    matrix = np.array(gains, np.float64).reshape(len(legs), len(timed))
    spans = [document.span for document in timed if document.span is not None]
    starts = np.maximum([span.start for span in spans], during.start)
    ends = np.minimum([span.end for span in spans], during.end)
    said = ~np.isnan(matrix).all(axis=0)
    counted = tuple(compress(timed, np.asarray(said).tolist()))
    return _Scored(counted, starts[said], ends[said], matrix[:, said])


def _by_time(document: Document) -> tuple[float, float, str]:
    span = document.span or EVER
    return span.start, span.end, document.id


def _segments(scored: _Scored, borders: _Numbers) -> tuple[_Numbers, NDArray[np.int64]]:
    """The score of each segment between two borders, NaN where no document lies.

    And of each leg (rows) the number of its best document there, -1 where it has none.
    """
    first = np.searchsorted(borders, scored.starts).tolist()
    last = np.searchsorted(borders, scored.ends).tolist()
    winners = np.full((len(scored.gains), len(borders) - 1), -1, np.int64)
    total = np.full(len(borders) - 1, np.nan)
    for gains, winner in zip(scored.gains, winners, strict=True):
        said = np.flatnonzero(~np.isnan(gains))
        # Worst first, so that a better one comes over it; of equals the earliest stays.
        for number in said[::-1][np.argsort(gains[said[::-1]], kind="stable")].tolist():
            winner[first[number] : last[number]] = number
        best = np.where(winner >= 0, gains[winner], np.nan)
        total = np.where(np.isnan(total), best, total + np.nan_to_num(best))
    return total, winners


def _runs(scores: _Numbers) -> Iterator[tuple[int, int, int]]:
    """(peak, first, last) of each moment's segments, the best peak first.

    A run whose peak leans against a better one is that one's slope and no moment.
    """
    values = scores.tolist()
    taken: set[int] = set()
    for peak in np.argsort(-scores, kind="stable").tolist():  # of equals the earliest; NaNs last
        if peak in taken or math.isnan(values[peak]):
            continue
        slope = peak - 1 in taken or peak + 1 in taken
        least = _least(values[peak])
        first = last = peak
        while first > 0 and first - 1 not in taken and values[first - 1] >= least:
            first -= 1
        while last + 1 < len(values) and last + 1 not in taken and values[last + 1] >= least:
            last += 1
        taken.update(range(first, last + 1))
        if not slope:
            yield peak, first, last


def _least(peak: float) -> float:
    """What a segment must have to belong to a peak; below 0 no less than the peak has."""
    return min(peak * CUT, peak) - _ROUNDING * abs(peak)


def _evidence(scored: _Scored, start: float, end: float) -> tuple[Evidence, ...]:
    """The best document of each kind that lies in a moment; of those that add, if any does."""
    totals = np.nansum(scored.gains, axis=0)
    best: dict[Kind, Evidence] = {}
    for number in np.flatnonzero((scored.starts < end) & (scored.ends > start)).tolist():
        document, score = scored.documents[number], float(totals[number])
        known = best.get(document.kind)
        if document.span is not None and (known is None or score > known.score):
            best[document.kind] = Evidence(
                document.kind, document.id, document.span, score, document.text
            )
    ordered = sorted(best.values(), key=lambda one: (-one.score, one.kind))
    return tuple(one for one in ordered if one.score > 0) or tuple(ordered[:1])

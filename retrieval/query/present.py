"""Step 6, present: the answer as a person or a program wants to see it.

Gets: fused groups, and the gate that they came through. Gives: `Results` of `Hit`. Touches: the
document store, for the sightings of the hits. Never: reorders, or hides that something was missing.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

from retrieval.protocols import DocumentStore
from retrieval.schema import (
    CHANNEL_OF_KIND,
    TIMED_KINDS,
    Document,
    FieldValue,
    Kind,
    Sighting,
    Span,
    is_here,
    path_of,
    printable,
)
from retrieval.times import clock

from .encode import Missing, Unread
from .filters import Gate
from .fusion import LegScore
from .moments import Evidence, Moment
from .timeline import Answer
from .where import holds

__all__ = ["Evidence", "Hit", "LegScore", "Moment", "Remarks", "Results", "present"]

_QUOTED = 40  # characters on each side of where an encoder stops reading


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer.

    Attributes:
        rank: from 1.
        score: fused; comparable within one result.
        asset: its id.
        modality: of the asset, or of the document where hits are documents.
        document: its best document, of the hit's own modality if possible; ask `like` with it.
        uris: where it was seen; places that satisfy the filter come first.
        captions: those given at these places, in their order.
        fields: metadata at the first place.
        text: the document's, else that of the best one that has any, else a caption.
        span: the hit's part of the asset, if it isn't the whole: the moment's, else that of the
            document. In seconds for the kinds of `TIMED_KINDS`, else in code points.
        legs: what each leg said of it, most telling first.
        moments: where in time the answer lies, best first; () for what has no time.
        silent: what the asset has no documents of and so wasn't asked: ``shots``, ``speech``,
            ``sound``; () for what has no time.
        kind: of the document; see `moments.label`.
    """

    rank: int
    score: float
    asset: str
    modality: str
    document: str
    uris: tuple[str, ...]
    captions: tuple[str, ...] = ()
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    text: str | None = None
    span: Span | None = None
    legs: tuple[LegScore, ...] = ()
    moments: tuple[Moment, ...] = ()
    silent: tuple[str, ...] = ()
    kind: Kind | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of those places that are files on this machine."""
        return tuple(path_of(uri) for uri in self.uris if is_here(uri))


@dataclass(frozen=True, slots=True, repr=False)
class Results(Sequence[Hit]):
    """A ranked list of hits; shows itself as a table in a notebook.

    Attributes:
        query: what was asked, in one line.
        notes: whole sentences on what was left out or done another way.
        degraded: whether a part was missing, so that better answers may be.
        unread: ends of the query's texts that an encoder doesn't read; `notes` tells them too.
    """

    hits: tuple[Hit, ...]
    query: str = ""
    notes: tuple[str, ...] = ()
    degraded: bool = False
    unread: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]

    def __repr__(self) -> str:
        lines = [f"{hit.rank:>4}  {hit.score:7.3f}  {_place(hit)}" for hit in self.hits]
        title = f"{len(self)} hits for {printable(self.query)!r}"
        return "\n".join([title, *lines, *(f"Note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{hit.rank}</td><td>{hit.score:.3f}</td><td>{_html(_place(hit))}</td>"
            f"<td>{_html(hit.text or '')}</td></tr>"
            for hit in self.hits
        )
        notes = "".join(f"<p>{_html(note)}</p>" for note in self.notes)
        return (
            f"<table><caption>{_html(self.query)}</caption><thead><tr><th>rank</th><th>score</th>"
            f"<th>file</th><th>text</th></tr></thead><tbody>{rows}</tbody></table>{notes}"
        )


@dataclass(frozen=True, slots=True)
class Remarks:
    """What there is to say beside the hits.

    Attributes:
        notes: how legs were fused.
        unread: parts of the query that an encoder didn't read to the end.
        missing: what was left out.
    """

    notes: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()
    missing: tuple[Missing, ...] = ()


def present(
    answers: Sequence[Answer],
    gate: Gate,
    documents: DocumentStore,
    *,
    query: str,
    remarks: Remarks = Remarks(),
) -> Results:
    """Make the result of what came through `gate`, ranked."""
    shown = sorted({leg.document for answer in answers for leg in answer.fused.legs})
    whole = {id_: gate.document(id_) for id_ in shown} | documents.get(shown)
    assets = [whole[answer.fused.legs[0].document].asset for answer in answers]
    seen = documents.sightings(sorted(set(assets)))
    hits: list[Hit] = []
    for answer, asset in zip(answers, assets, strict=True):
        places = _matching_first(gate, seen.get(asset, []))
        best_first = [whole[leg.document] for leg in answer.fused.legs]
        hits.append(_hit(len(hits) + 1, answer, best_first, places))
    return Results(
        tuple(hits),
        query,
        (*remarks.notes, *map(_cut, remarks.unread), *map(_left_out, remarks.missing)),
        degraded=bool(remarks.missing),
        unread=tuple(one.rest for one in remarks.unread),
    )


def _hit(
    rank: int, answer: Answer, best_first: Sequence[Document], sightings: Sequence[Sighting]
) -> Hit:
    group = answer.fused
    fields = sightings[0].fields if sightings else {}
    by_asset = group.key == best_first[0].asset
    modality = _modality(fields, best_first) if by_asset else ""
    own = [doc for doc in best_first if CHANNEL_OF_KIND[doc.kind] == modality]
    best = (own if own and not answer.is_moment else best_first)[0]
    captions = tuple(dict.fromkeys(text for place in sightings for text in place.captions))
    texts = (doc.text for doc in (best, *best_first) if doc.text is not None)
    return Hit(
        rank=rank,
        score=group.score,
        asset=best.asset,
        modality=modality or CHANNEL_OF_KIND[best.kind],
        document=best.id,
        uris=tuple(place.uri for place in sightings),
        captions=captions,
        fields=fields,
        text=next(iter((*texts, *captions)), None),
        span=answer.moments[0].span if answer.is_moment else best.span,
        legs=group.legs,
        moments=answer.moments,
        silent=answer.silent,
        kind=best.kind,
    )


def _modality(fields: Mapping[str, FieldValue], documents: Sequence[Document]) -> str:
    """Of an asset: a photo that its caption found is still a photo. "" when nothing tells."""
    seen = (CHANNEL_OF_KIND[document.kind] for document in documents if not document.is_caption)
    return str(fields.get("modality", next(seen, "")))


def _matching_first(gate: Gate, sightings: Sequence[Sighting]) -> list[Sighting]:
    return sorted(sightings, key=lambda place: not holds(gate.where, place.fields))


def _left_out(missing: Missing) -> str:
    return f"{missing.what} is left out: {missing.error} {missing.error.advice}".strip()


def _cut(unread: Unread) -> str:
    read, rest = printable(unread.read).rstrip(), printable(unread.rest).strip()
    read = read if len(read) <= _QUOTED else f"…{read[-_QUOTED:]}"
    rest = rest if len(rest) <= _QUOTED else f"{rest[:_QUOTED]}…"
    return (
        f'The encoder of {unread.space} reads this query as far as "{read}"; '
        f'the rest, "{rest}", is looked for as words alone.'
    )


def _place(hit: Hit) -> str:
    place = (hit.paths or hit.uris or (hit.asset,))[0]
    more = f" (+{len(hit.uris) - 1})" if len(hit.uris) > 1 else ""
    times = f"  {_times(hit)}" if _times(hit) else ""
    return printable(place) + more + times


def _times(hit: Hit) -> str:
    """Where in its asset a hit lies: its moments, best first, or its document's time."""
    spans = [moment.span for moment in hit.moments]
    if not spans and hit.span is not None and hit.kind in TIMED_KINDS:
        spans = [hit.span]
    return ", ".join(f"{clock(span.start)}-{clock(span.end)}" for span in spans)


def _html(text: str) -> str:
    return html.escape(printable(text))

"""Hits as a person or a program wants to read them: a table, JSON lines, paths and deep links.

Gets: results. Gives: rows, records, paths on stdout. Touches: stdout. Never: ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from . import output
from .times import period

if TYPE_CHECKING:
    from retrieval import Hit, Moment, Results

TEXT = 100  # columns of a text in the table; --format jsonl has all of it


def show(results: Results, form: str, *, flat: bool, end: bytes) -> None:
    """Print the hits.

    Args:
        results: of a search.
        form: one of ``table``, ``jsonl``, ``paths``.
        flat: whether each hit is a moment, rather than a file.
        end: of each path.
    """
    if form == "table" and results:
        _table(results, flat)
    elif form == "jsonl":
        for hit in results:
            output.record(as_record(hit, flat=flat))
    elif form == "paths":
        for hit in results:
            output.path(link(hit) if flat else place(hit), end=end)


def _table(results: Results, flat: bool) -> None:
    if not any(map(moments_of, results)):
        head: tuple[str, ...] = ("rank", "score", "file", "text")
        rows: list[tuple[str, ...]] = [(*_place_of(hit), _text(hit)) for hit in results]
    else:
        head = ("rank", "score", "file", "time", "found by")
        rows = [row for hit in results for row in _rows(hit, flat)]
    output.table(head, rows, right="rank score time", longest=TEXT)


def _rows(hit: Hit, flat: bool) -> Iterator[tuple[str, ...]]:
    """A row for each moment, the first of which names the file; a last one says what it lacks."""
    first: tuple[str, ...] = _place_of(hit)
    shown = telling(hit)
    if not shown:
        yield (*first, "", _text(hit))
    for moment in shown:
        yield (*first, period(moment.start, moment.end), found_by(moment))
        first = ("", "", "")
    if not flat and (lacking := lacks(hit)):
        yield ("", "", "", "", f"({lacking})")


def telling(hit: Hit) -> Sequence[Moment]:
    """Its moments, of which those after the first speak for it."""
    its = moments_of(hit)
    return [*its[:1], *(moment for moment in its[1:] if moment.score > 0)]


def moments_of(hit: Hit) -> tuple[Moment, ...]:
    """Its moments; of a hit that is a document with a time, that document."""
    from retrieval.query.moments import Evidence, Moment
    from retrieval.schema import TIMED_KINDS

    if hit.moments or hit.span is None or hit.kind not in TIMED_KINDS:
        return hit.moments
    evidence = Evidence(hit.kind, hit.document, hit.span, hit.score, hit.text)
    return (Moment(hit.span.start, hit.span.end, hit.score, (evidence,)),)


def _place_of(hit: Hit) -> tuple[str, str, str]:
    from retrieval.schema import printable

    return str(hit.rank), f"{hit.score:.3f}", _shorten(printable(place(hit)))


def _text(hit: Hit) -> str:
    from retrieval.schema import printable

    return printable(hit.text or next(iter(hit.captions), ""))


def found_by(moment: Moment, *, words: bool = True) -> str:
    """``speech 2.10, shot 0.61 "boarding starts"``: most telling first.

    What was said stands last, since a line of the table may be cut.
    """
    from retrieval.query.moments import label

    told = ", ".join(f"{label(one.kind, one.span)} {one.score:.2f}" for one in moment.evidence)
    said = spoken_in(moment) if words else ""
    return f'{told} "{said}"' if said else told


def spoken_in(moment: Moment) -> str:
    """What was said there, in one printable line; "" where nothing was."""
    from retrieval.schema import printable

    texts = (one.text for one in moment.evidence if one.text)
    return printable(" ".join(next(texts, "").split()))


def lacks(hit: Hit) -> str:
    """``no speech, no sound``: ways by which a file can't be found; "" when there are all.

    That a recording shows nothing is no news.
    """
    silent = (what for what in hit.silent if (hit.modality, what) != ("audio", "shots"))
    return ", ".join(f"no {what}" for what in silent)


def _shorten(path: str) -> str:
    """A path below the working folder as it is seen from there."""
    here = f"{Path.cwd()}/"
    return path.removeprefix(here)


def place(hit: Hit) -> str:
    """Where a hit is: its first path, else its first URI, else the id of its asset."""
    return (*hit.paths, *hit.uris, hit.asset)[0]


def link(hit: Hit) -> str:
    """The deep link of a hit that is a moment: ``film.mp4#t=13.0,24.5``."""
    return hit.moments[0].link(place(hit)) if hit.moments else place(hit)


def as_record(hit: Hit, *, flat: bool = False) -> dict[str, object]:
    """A hit as JSON: every field of `Hit`, its place, links; the README describes it."""
    moments = [
        {**fields, "link": moment.link(place(hit))}
        for fields, moment in zip(asdict(hit)["moments"], hit.moments, strict=True)
    ]
    record = {**asdict(hit), "moments": moments, "path": place(hit), "paths": list(hit.paths)}
    return {**record, "link": link(hit)} if flat else record

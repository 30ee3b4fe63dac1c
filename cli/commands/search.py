"""``echolens search``: words, pictures and found documents in, ranked hits out.

Gets: words and paths of query pictures. Gives: a table, JSON lines or paths on stdout; notes on
stderr; a contact sheet. Touches: query pictures, stdin, the sheet's file. Never: ranks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import click

from .. import output
from ..errors import ExitCode
from ..options import Call, common, computing, formats
from ..sheet import check_sheet, write_sheet

if TYPE_CHECKING:
    from retrieval import Hit, Part, Query, Results

TEXT = 100  # columns of a text in the table; --format jsonl has all of it
PART_HELP = "words, image:FILE or like:DOCUMENT, weighted as 2:PART"


@click.command("search")
@click.argument("words", nargs=-1)
@click.option("--image", "images", multiple=True, metavar="FILE", help="Ask with a picture.")
@click.option("--like", "documents", multiple=True, metavar="DOCUMENT", help="Ask with a hit's id.")
@click.option("-a", "--add", multiple=True, metavar="PART", help=f"Also ask for: {PART_HELP}.")
@click.option("-s", "--subtract", multiple=True, metavar="PART", help="Ask against; as --add.")
@click.option("--where", metavar="EXPR", help="Only files that satisfy an SQL WHERE expression.")
@click.option("--modality", type=click.Choice(["image", "text"]), help="Only hits of this kind.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1), help="How many hits.")
@click.option("--group-by", type=click.Choice(["asset", "document"]), help="What one hit is.")
@formats("table", "jsonl", "paths")
@click.option("-0", "nul", is_flag=True, help="With --format paths: end each in NUL.")
@click.option("--sheet", type=click.Path(dir_okay=False), help="Write a contact sheet (PNG) there.")
@computing
@common
@click.pass_obj
def command(
    call: Call,
    /,
    *,
    form: Literal["table", "jsonl", "paths"],
    nul: bool,
    sheet: str | None,
    **asked: Any,
) -> ExitCode:
    """Search with words, with pictures, or with both.

    Words are parted by a + or - that stands alone; 2: before a part gives it twice the weight.
    FILE may be `-` for a picture on stdin. Hits that are documents (captions, passages of a
    text) come with --modality text or --group-by document.

    \b
    Examples:
      echolens search a dog on the beach
      echolens search "horse + 2:stripes - grass"
      echolens search --image sofa.jpg -s "0.5:brown leather"
      echolens search party --where "taken >= '2024-01-01' AND camera LIKE '%pixel%'"
      echolens search --image mystery.jpg --modality text
      echolens search sunset -k 24 --sheet sunset.png
      echolens search cat --format paths -0 | xargs -0 cp -t cats/
    """
    filters = {name: asked.pop(name) for name in ("k", "where", "modality", "group_by")}
    if nul and form != "paths":
        raise click.UsageError("-0 goes with --format paths.")
    if sheet is not None:
        check_sheet(sheet)
    with call.open() as collection:
        query = _query(limit_bytes=collection.settings.max_file_mb * 2**20, **asked)
        results = collection.search(query, **filters)
        _show(results, form, b"\0" if nul else b"\n")
        if sheet is not None and results:
            absent = write_sheet(collection, results, sheet)
            call.note(f"contact sheet: {sheet}")
            if absent:
                call.note(
                    f"no font here has {absent[:10]}, so the sheet shows codes: "
                    "install one that has, such as Noto Sans CJK or Noto Emoji"
                )
    if results.degraded or results.unread or call.verbose:
        # With --quiet too where a part is missing: it is no news but a fault.
        say = output.note if results.degraded else call.note
        for remark in results.notes:
            say(f"note: {remark}")
    if not results:
        call.note("nothing found")
    if results.degraded:
        return ExitCode.PARTLY
    return ExitCode.DONE if results else ExitCode.NO


def _query(
    *,
    words: Sequence[str],
    images: Sequence[str],
    documents: Sequence[str],
    add: Sequence[str],
    subtract: Sequence[str],
    limit_bytes: int,
) -> Query:
    from retrieval import DocumentRef, Part, parse_query

    return parse_query(
        " ".join(words) if words else None,
        add=[
            *(_part(part, limit_bytes) for part in add),
            *(Part(_picture(path, limit_bytes), "image", name=path) for path in images),
            *map(DocumentRef, documents),
        ],
        subtract=[_part(part, limit_bytes) for part in subtract],
    )


def _part(text: str, limit_bytes: int) -> str | Part:
    """A part as the command line writes it: a picture and a document have a prefix."""
    from retrieval import DocumentRef, Part
    from retrieval.query.parse import weighted

    weight, rest = weighted(text)
    kind, _, name = rest.partition(":")
    if kind == "image" and name:
        return Part(_picture(name, limit_bytes), "image", weight, name)
    if kind == "like" and name:
        return Part(DocumentRef(name), None, weight)
    return text


def _picture(path: str, limit_bytes: int) -> bytes:
    """The bytes of a query picture, which may be on stdin."""
    from retrieval.errors import QueryError
    from retrieval.schema import printable

    try:
        if path == "-":
            data = _read(sys.stdin.buffer, limit_bytes)
        else:
            with Path(os.path.expanduser(path)).open("rb") as file:
                data = _read(file, limit_bytes)
    except OSError as error:
        raise QueryError(
            f"The query picture {printable(path)} can't be read: {error.strerror}.",
            advice="Name a picture file, or `-` for one on stdin.",
        ) from error
    if not data:
        way_out = "Name a picture file."
        if path == "-":
            way_out = "Pipe a picture in; `-` can be given once, since stdin holds one."
        raise QueryError(f"The query picture {printable(path)} is empty.", advice=way_out)
    if len(data) > limit_bytes:
        raise QueryError(
            f"The query picture {printable(path)} is larger than {limit_bytes >> 20} MB.",
            advice="Give another, or raise the setting max_file_mb.",
        )
    return data


def _read(file: BinaryIO, limit_bytes: int) -> bytes:
    """All of a file, or a little more than the limit of a larger one.

    Piece by piece: a single read would take the whole limit's memory for a file of any size.
    """
    data = bytearray()
    while len(data) <= limit_bytes and (piece := file.read(1 << 20)):
        data += piece
    return bytes(data)


def _show(results: Results, form: str, end: bytes) -> None:
    if form == "table" and results:
        head = ("rank", "score", "file", "text")
        output.table(head, [_row(hit) for hit in results], right="rank score", longest=TEXT)
    elif form == "jsonl":
        for hit in results:
            output.record(as_record(hit))
    elif form == "paths":
        for hit in results:
            output.path(place(hit), end=end)


def _row(hit: Hit) -> tuple[str, str, str, str]:
    from retrieval.schema import printable

    text = hit.text or next(iter(hit.captions), "")
    return str(hit.rank), f"{hit.score:.3f}", _shorten(printable(place(hit))), printable(text)


def _shorten(path: str) -> str:
    """A path below the working folder as it is seen from there."""
    here = f"{Path.cwd()}/"
    return path.removeprefix(here)


def place(hit: Hit) -> str:
    """Where a hit is: its first path, else its first URI, else the id of its asset."""
    return (*hit.paths, *hit.uris, hit.asset)[0]


def as_record(hit: Hit) -> dict[str, object]:
    """A hit as JSON: every field of `Hit`, and its place; the README describes it."""
    return {**asdict(hit), "path": place(hit), "paths": list(hit.paths)}

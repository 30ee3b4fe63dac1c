"""``echolens search``: words, pictures, recordings and found documents in, ranked hits out.

Gets: words and paths of query files. Gives: a table, JSON lines or paths on stdout; notes on
stderr; a contact sheet. Touches: query files, stdin, the sheet's file. Never: ranks.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import click

from .. import output
from ..asking import query_of
from ..errors import ExitCode
from ..hits import show
from ..options import Call, Sectioned, common, computing, formats
from ..progress import ProgressLine
from ..sheet import check_sheet, write_sheet
from ..times import between

if TYPE_CHECKING:
    from retrieval import Collection, Query, Results

PART_HELP = "words, image:FILE, audio:FILE or like:DOCUMENT, weighted as 2:PART"
MODALITIES = ("image", "text", "video", "audio")  # the registry's, which --help needn't load


class _Search(Sectioned):
    sections: ClassVar = {
        "What is asked": ("images", "recordings", "speech", "documents", "add", "subtract"),
        "Which hits": ("where", "modality", "between", "k", "moments", "group_by"),
        "How they are shown": ("form", "nul", "sheet"),
    }


@click.command("search", cls=_Search)
@click.argument("words", nargs=-1)
@click.option("--image", "images", multiple=True, metavar="FILE", help="Ask with a picture.")
@click.option("--audio", "recordings", multiple=True, metavar="FILE", help="Ask with a recording.")
@click.option("--speech", metavar="TEXT", help="Look for what was said.")
@click.option("--like", "documents", multiple=True, metavar="DOCUMENT", help="Ask with a hit's id.")
@click.option("-a", "--add", multiple=True, metavar="PART", help=f"Also ask for: {PART_HELP}.")
@click.option("-s", "--subtract", multiple=True, metavar="PART", help="Ask against; as --add.")
@click.option("--where", metavar="EXPR", help="Only files that satisfy an SQL WHERE expression.")
@click.option("--modality", type=click.Choice(MODALITIES), help="Only hits of this kind.")
@click.option(
    "--between", metavar="START-END", callback=between,
    help="Only this part of films and recordings: 10:00-12:30.",
)  # fmt: skip
@click.option("-k", default=10, show_default=True, type=click.IntRange(1), help="How many hits.")
@click.option("--moments", is_flag=True, help="Each hit is a moment of a film, not a film.")
@click.option("--group-by", type=click.Choice(["asset", "document", "moment"]),
              help="What one hit is.")  # fmt: skip
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
    """Search with words, pictures, recordings, or a mix of them.

    Words are parted by a + or - that stands alone; 2: before a part gives it twice the weight.
    FILE may be `-` for one on stdin. Films come with their best moments; --speech finds the
    moments at which something was said. Hits that are documents (captions, passages of a text)
    come with --modality text or --group-by document.

    \b
    Examples:
      echolens search a dog on the beach
      echolens search "horse + 2:stripes - grass"
      echolens search --image sofa.jpg -s "0.5:brown leather"
      echolens search "a dog catches a frisbee" --modality video
      echolens search --audio bark.wav --moments --format paths
      echolens search --speech "boarding starts" --between 10:00-12:30
      echolens search party --where "taken >= '2024-01-01' AND camera LIKE '%pixel%'"
      echolens search sunset -k 24 --sheet sunset.png
      echolens search cat --format paths -0 | xargs -0 cp -t cats/
    """
    if nul and form != "paths":
        raise click.UsageError("-0 goes with --format paths.")
    if sheet is not None:
        check_sheet(sheet)
    filters = _filters(asked)
    flat = filters.get("group_by") == "moment"
    with call.open() as collection:
        query = _query(asked, collection)
        results = collection.search(query, **filters)
        show(results, form, flat=flat, end=b"\0" if nul else b"\n")
        if sheet is not None and results:
            _draw(call, collection, results, sheet)
        return _ended(call, collection, query, results)


def _filters(asked: dict[str, Any]) -> dict[str, Any]:
    """Take from `asked` what says which hits are wanted, as `Collection.search` takes it."""
    names = ("k", "where", "modality", "group_by", "between")
    filters = {name: asked.pop(name) for name in names}
    moments = asked.pop("moments")
    if moments and filters["group_by"] not in (None, "moment"):
        raise click.UsageError("--moments is --group-by moment, so it goes with no other.")
    if moments or (asked["speech"] is not None and filters["group_by"] is None):
        filters["group_by"] = "moment"
    return {name: value for name, value in filters.items() if value is not None}


def _query(asked: Mapping[str, Any], collection: Collection) -> Query:
    parts = {name: value for name, value in asked.items() if name != "speech"}
    if asked["speech"] is not None:
        if any(parts.values()):
            raise click.UsageError("--speech asks by itself: leave out the rest of the question.")
        from retrieval.query.parse import spoken_query

        return spoken_query(asked["speech"])
    return query_of(parts, collection.settings.max_file_mb * 2**20)


def _draw(call: Call, collection: Collection, results: Results, sheet: str) -> None:
    with ProgressLine(quiet=call.quiet, at_first="drawing the contact sheet ..."):
        absent = write_sheet(collection, results, sheet)
    call.note(f"contact sheet: {sheet}")
    if absent:
        call.note(
            f"no font here has {absent[:10]}, so the sheet shows codes: "
            "install one that has, such as Noto Sans CJK or Noto Emoji"
        )


def _is_unsaid(collection: Collection, query: Query) -> bool:
    """Whether speech was asked for and none has a time; nothing else among texts has one."""
    from retrieval.query.moments import EVER
    from retrieval.schema import TooMany

    if "speech" not in query.kinds:
        return False
    texts = [channel.key for channel in collection.manifest.channels_of("text")]
    documents = collection.backends.documents
    found = (documents.select(None, 0, channel=key, during=EVER) for key in (*texts, ""))
    return not any(isinstance(one, TooMany) for one in found)


def _tell_unsaid(call: Call, transcriber: str) -> None:
    call.note(
        "nothing found: nothing that is said is written down with its time in this collection"
    )
    named = f" -c {shlex.quote(call.collection)}" if call.collection else ""
    listen = f"`echolens index{named} --transcriber whisper:base PATHS` writes it down, or "
    call.note(
        f" next: {'' if transcriber else listen}put subtitles (a.srt, a.vtt) beside films and "
        "recordings and index them again"
    )


def _ended(call: Call, collection: Collection, query: Query, results: Results) -> ExitCode:
    """Say what there is to say beside the hits, and how it ended."""
    if results.degraded or results.unread or call.verbose:
        # With --quiet too where a part is missing: it is no news but a fault.
        say = output.note if results.degraded else call.note
        for remark in results.notes:
            say(f"note: {remark}")
    if not results and not results.degraded and _is_unsaid(collection, query):
        _tell_unsaid(call, collection.manifest.transcriber)
    elif not results:
        call.note("nothing found")
    if results.degraded:
        return ExitCode.PARTLY
    return ExitCode.DONE if results else ExitCode.NO

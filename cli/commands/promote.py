"""``echolens promote``: move a collection to other stores, and back.

Gets: a `PromoteReport`. Gives: a line a kind of thing, and where the collection is now; notes on
stderr. Touches: stdout, stderr. Never: discards unasked.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from .. import output
from ..errors import ExitCode
from ..options import Call, common
from ..progress import ProgressLine
from .status import size

if TYPE_CHECKING:
    from indexer import PromoteReport

FEW = 3  # ids that are shown


@click.command("promote")
@click.option("--vectors", metavar="URL", help="Where the vectors go: milvus://HOST:PORT/NAME.")
@click.option("--documents", metavar="URL", help="Where documents and files' metadata go.")
@click.option("--assets", metavar="URL", help="Where copies of the files go: s3://BUCKET/PREFIX.")
@click.option("--back", is_flag=True, help="Move to the stores that it had before it ever moved.")
@click.option(
    "--discard-old",
    is_flag=True,
    help="Erase the stores that it has left: after this move, or, given alone, now.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be moved; write nothing.")
@common
@click.pass_obj
def command(
    call: Call, /, vectors: str | None, documents: str | None, assets: str | None, **how: bool
) -> ExitCode:
    """Move the collection to other stores, or back home.

    Only the stores that you name change, and nothing is encoded again. Searches go on in the old
    stores until all is moved and compared. Interrupted, run the same command again: it goes on.
    The old stores stay as they are until you discard them.

    \b
    Examples:
      echolens promote --vectors faiss: --assets folder:
      echolens promote -c photos --assets "s3://photos/copies?endpoint=http://127.0.0.1:9000"
      echolens promote -c photos --back
      echolens promote -c photos --discard-old
    """
    from indexer import Stores, promote

    to = Stores(vectors=vectors, documents=documents, assets=assets)
    only_erases = how["discard_old"] and not (to.urls() or how["back"] or how["dry_run"])
    at_first = "erasing ..." if only_erases else "starting ..."
    with call.open() as collection, ProgressLine(quiet=call.quiet, at_first=at_first) as line:
        report = promote(collection, to, **how, watch=line)
    for text in _lines(report, discarding=how["discard_old"]):
        output.line(text)
    for remark in _remarks(report, call.collection):
        call.note(remark)
    return ExitCode.PARTLY if report.kept else ExitCode.DONE


def _lines(report: PromoteReport, *, discarding: bool) -> Iterator[str]:
    for name, moved in report.counts.items():
        if report.dry_run:
            yield f"would move {moved.written:,} {name}"
            continue
        parts = [f"moved {moved.written:,} {name}"]
        if name == "assets" and report.bytes:
            parts[0] += f" ({size(report.bytes)})"
        if moved.equal:
            parts.append(f"{moved.equal:,} were there")
        if moved.deleted:
            parts.append(f"{moved.deleted:,} stale ones deleted")
        yield ", ".join(parts)
    if discarding:
        yield from _erasures(report)
    urls = " ".join(report.now.urls().values())
    yield f"the collection {'would be' if report.dry_run else 'is'} in {urls}"


def _erasures(report: PromoteReport) -> Iterator[str]:
    erased = _foreseen(report) if report.dry_run else report.erased
    for store in erased:
        yield f"{'would erase' if report.dry_run else 'erased'} {store}"
    if not (erased or report.shared or report.kept):
        yield "nothing to erase"
    if report.dry_run and any("://" not in store for store in erased):
        yield "(but none that turns out to keep its data where the store in use does)"


def _foreseen(report: PromoteReport) -> list[str]:
    """The stores that the collection has left or would leave; the user's own files are in none."""
    from retrieval import registry

    before, now = report.before.urls(), report.now.urls()
    left = [
        f"{role} {url}"
        for role, url in before.items()
        if url != now[role] and (role != "assets" or registry.keeps_copies(url))
    ]
    kept = {f"{role} {url}" for role, url in now.items()}
    return [store for store in dict.fromkeys([*report.old, *left]) if store not in kept]


def _remarks(report: PromoteReport, collection: str | None) -> Iterator[str]:
    for store in report.shared:
        yield f"note: {store} keeps its data where the store in use does, so nothing is erased"
    if report.kept:
        shown = ", ".join(report.kept[:FEW]) + (" ..." if len(report.kept) > FEW else "")
        count = len(report.kept)
        were = "1 copy was" if count == 1 else f"{count:,} copies were"
        yield f"note: {were} not erased, since the store in use has no whole one: {shown}"
    if report.old and not report.dry_run:
        command = ["echolens", "promote", *(("-c", collection) if collection else ())]
        yield f"what it has left is still there: {', '.join(report.old)}"
        yield f"`{shlex.join([*command, '--discard-old'])}` erases that"

"""``echolens verify``: compare a collection's parts with each other and with their checksums.

Gets: a `VerifyReport`. Gives: one line a problem, and a sum; notes on stderr. Touches: stdout,
stderr. Never: repairs unasked.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from .. import output
from ..errors import ExitCode
from ..options import Call, common

if TYPE_CHECKING:
    from indexer import VerifyReport

FEW = 3  # problems of one kind that are shown


@click.command("verify")
@click.option("--repair", is_flag=True, help="Mend what can be mended without losing anything.")
@common
@click.pass_obj
def command(call: Call, repair: bool) -> ExitCode:
    """Read the whole collection and tell what is damaged.

    What is mended may have to be indexed again: then it says so, and exits with 3.

    \b
    Examples:
      echolens verify
      echolens verify --repair
    """
    from indexer import verify

    with call.open() as collection:
        report = verify(collection, repair=repair)
    _show_problems(report, everything=call.verbose)
    counts = [f"{count:,} {what}" for what, count in report.checked.items() if count]
    nothing = "each part by itself" if report.problems else "an empty collection"
    left = len(report.problems) - report.repaired
    output.line(
        f"checked {', '.join(counts) or nothing}: {left:,} problem{'' if left == 1 else 's'}"
        + (f", {report.repaired:,} repaired" if report.repaired else "")
    )
    for remark in report.notes:
        call.note(f"note: {remark}")
    if left and not repair:
        call.note("`echolens verify --repair` mends what it can")
    if report.waiting:
        run = _again(report, call.collection)
        files = "file" if report.waiting == 1 else "files"
        output.line(f"{report.waiting:,} {files} must be indexed again: run `{run}`")
    if left:
        return ExitCode.NO
    return ExitCode.PARTLY if report.waiting or not report.complete else ExitCode.DONE


def _show_problems(report: VerifyReport, *, everything: bool) -> None:
    from retrieval.schema import printable

    for alike in report.by_kind():
        shown = alike if everything or len(alike) <= FEW + 1 else alike[:FEW]
        for problem in shown:
            output.line(printable(problem))
        if len(alike) > len(shown):
            what = printable(alike[0].rpartition(": ")[2])
            output.line(f"and {len(alike) - len(shown):,} more: {what} (all with -v)")


def _again(report: VerifyReport, collection: str | None) -> str:
    """The command that indexes again what waits."""
    from retrieval.schema import printable

    command = ["echolens", "index", *(("-c", collection) if collection else ())]
    if len(report.roots) > FEW:
        return printable(f"{shlex.join(command)} PATH...")
    return printable(shlex.join([*command, *report.roots]))

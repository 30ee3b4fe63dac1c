"""``echolens verify``: compare a collection's parts with each other and with their checksums.

Gets: a `VerifyReport`. Gives: one line a problem, and a sum; notes on stderr. Touches: stdout,
stderr. Never: repairs unasked.
"""

from __future__ import annotations

import click

from .. import output
from ..errors import ExitCode
from ..options import Call, common


@click.command("verify")
@click.option("--repair", is_flag=True, help="Mend what can be mended without losing anything.")
@common
@click.pass_obj
def command(call: Call, repair: bool) -> ExitCode:
    """Read the whole collection and tell what is damaged.

    \b
    Examples:
      echolens verify
      echolens verify --repair
    """
    from indexer import verify
    from retrieval.schema import printable

    with call.open() as collection:
        report = verify(collection, repair=repair)
    for problem in report.problems:
        output.line(printable(problem))
    counts = [f"{count:,} {what}" for what, count in report.checked.items() if count]
    checked = ", ".join(counts) or "an empty collection"
    left = len(report.problems) - report.repaired
    output.line(
        f"checked {checked}: {left} problem{'' if left == 1 else 's'}"
        + (f", {report.repaired} repaired" if report.repaired else "")
    )
    for remark in report.notes:
        call.note(f"note: {remark}")
    if left and not repair:
        call.note("`echolens verify --repair` mends what it can")
    if left:
        return ExitCode.NO
    return ExitCode.DONE if report.complete else ExitCode.PARTLY

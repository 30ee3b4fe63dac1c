"""``echolens failures``: the files that were left out, and why.

Gets: the ledger's failures. Gives: a table, JSON lines or paths. Touches: stdout. Never: retries.
"""

from __future__ import annotations

import click

from .. import output
from ..errors import ExitCode
from ..options import Call, common, formats


@click.command("failures")
@formats("table", "jsonl", "paths")
@click.option("--all", "every", is_flag=True, help="Every skipped file, also where that is right.")
@click.option("-0", "nul", is_flag=True, help="With --format paths: end each in NUL.")
@common
@click.pass_obj
def command(call: Call, form: str, every: bool, nul: bool) -> ExitCode:
    """List the files that could not be indexed, and why.

    \b
    Examples:
      echolens failures
      echolens failures --all
      echolens failures --format paths -0 | xargs -0 ls -l
      echolens index --retry
    """
    from indexer import failures
    from retrieval.schema import path_of, printable

    with call.open() as collection:
        found = list(failures(collection, every=every))
    if form == "table" and found:
        rows = [(f.reason.value, printable(path_of(f.uri)), printable(f.message)) for f in found]
        output.table(("reason", "path", "what was wrong"), rows, wrap=True)
    elif form == "jsonl":
        for item in found:
            name = path_of(item.uri)
            fields = {"path": name, "uri": item.uri, "reason": item.reason.value}
            output.record({**fields, "message": item.message})
    elif form == "paths":
        for item in found:
            output.path(path_of(item.uri), end=b"\0" if nul else b"\n")
    if not found:
        call.note("nothing was skipped" if every else "nothing failed")
    return ExitCode.DONE

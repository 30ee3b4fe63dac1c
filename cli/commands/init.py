"""``echolens init``: make a collection without indexing anything, or attach one of a team's.

Gets: a name, URLs of stores. Gives: a line that says what there is now. Touches: stdout. Never: a
secret (URLs carry none).
"""

from __future__ import annotations

import click

from .. import output
from ..errors import ExitCode
from ..options import NEW, Call, common, computing, for_new
from ..progress import ProgressLine


@click.command("init")
@click.argument("name", required=False, metavar="[NAME|PATH]")
@click.option(
    "--attach", metavar="URL",
    help="The document store of a collection that another machine has made.",
)  # fmt: skip
@for_new
@computing
@common
@click.pass_obj
def command(call: Call, /, name: str | None, attach: str | None, **new: str | None) -> ExitCode:
    """Make a collection, or attach one that is on servers.

    `index` makes a collection too; this makes it before there is anything to index, and fixes its
    encoder and its stores. With --attach this machine comes to know a collection that another one
    has made in Elasticsearch, and can search it and index into it.

    \b
    Examples:
      echolens init photos --encoder starter:chinese --vectors faiss:
      echolens init team --documents elasticsearch://search/team --vectors milvus://vec/team
      echolens init team --attach elasticsearch://search/team
    """
    from indexer import attach as attach_collection
    from indexer import create

    name = _one_name(name, call.collection)
    if attach and (given := [key for key in NEW if new[key]]):
        raise click.UsageError(f"--{given[0]} is for a new collection, and --attach for another's.")
    if attach:
        with ProgressLine(quiet=call.quiet, at_first="asking the server ..."):
            collection = attach_collection(name, attach, settings=call.settings())
    else:
        with ProgressLine(quiet=call.quiet, at_first="loading the encoder, making the stores ..."):
            collection = create(name, settings=call.settings(), **new)
    with collection:
        manifest = collection.manifest
        output.table(
            ("what", "where"),
            [
                ("collection", str(collection.directory)),
                ("encoder", manifest.channels[0].encoder),
                ("vectors", manifest.vectors),
                ("documents", manifest.documents),
                ("assets", manifest.assets),
            ],
            wrap=True,
        )
    return ExitCode.DONE


def _one_name(argument: str | None, option: str | None) -> str | None:
    if argument and option and argument != option:
        raise click.UsageError(f"The collection is called {argument!r} or {option!r}: give one.")
    return argument or option

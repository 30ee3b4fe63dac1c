"""``echolens init``: make a collection without indexing anything, or attach one of a team's.

Gets: a name, URLs of stores. Gives: a line that says what there is now. Touches: stdout. Never: a
secret (URLs carry none).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .. import output
from ..errors import ExitCode
from ..options import NEW, Call, common, computing, for_new, given_of
from ..progress import ProgressLine

if TYPE_CHECKING:
    from retrieval import Collection


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
def command(call: Call, /, name: str | None, attach: str | None, **options: Any) -> ExitCode:
    """Make a collection, or attach one that is on servers.

    `index` makes a collection too; this makes it before there is anything to index, and fixes its
    encoder and its stores. With --attach this machine comes to know a collection that another one
    has made in Elasticsearch, and can search it and index into it.

    \b
    Examples:
      echolens init photos --encoder starter:chinese --vectors faiss:
      echolens init films --audio-encoder clap: --transcriber whisper:base
      echolens init team --documents elasticsearch://search/team --vectors milvus://vec/team
      echolens init team --attach elasticsearch://search/team
    """
    from indexer import attach as attach_collection
    from indexer import create

    name = _one_name(name, call.collection)
    new = given_of(options)
    if attach and new:
        flag, _ = NEW[next(iter(new))]
        raise click.UsageError(f"{flag} is for a new collection, and --attach for another's.")
    if attach:
        with ProgressLine(quiet=call.quiet, at_first="asking the server ..."):
            collection = attach_collection(name, attach, settings=call.settings())
    else:
        with ProgressLine(quiet=call.quiet, at_first="loading the encoder, making the stores ..."):
            collection = create(name, settings=call.settings(), **new)
    with collection:
        output.table(("what", "where"), list(_rows(collection)), wrap=True)
    return ExitCode.DONE


def _rows(collection: Collection) -> Iterator[tuple[str, str]]:
    manifest = collection.manifest
    first, *others = dict.fromkeys(channel.encoder for channel in manifest.channels)
    yield "collection", str(collection.directory)
    yield "encoder", first
    for url in others:
        yield "audio encoder", url
    if manifest.transcriber:
        yield "transcriber", manifest.transcriber
    yield "vectors", manifest.vectors
    yield "documents", manifest.documents
    yield "assets", manifest.assets


def _one_name(argument: str | None, option: str | None) -> str | None:
    if argument and option and argument != option:
        raise click.UsageError(f"The collection is called {argument!r} or {option!r}: give one.")
    return argument or option

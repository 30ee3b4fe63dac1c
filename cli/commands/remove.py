"""``echolens remove``: take files out of the collection, never off the disk.

Gets: paths, folders, asset ids. Gives: a line that says what was done. Touches: stdout. Never:
asks.
"""

from __future__ import annotations

import click

from .. import output
from ..errors import ExitCode
from ..options import Call, common


@click.command("remove")
@click.argument("targets", nargs=-1, required=True, metavar="PATH|ASSET...", type=click.Path())
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@common
@click.pass_obj
def command(call: Call, targets: tuple[str, ...], dry_run: bool) -> ExitCode:
    """Take files out of the collection, never off the disk.

    Name files, whole folders or asset ids. Documents, vectors, previews and stored copies go;
    your own files stay where they are. Later runs of `index` leave them out until
    `echolens index --restore PATH` takes them back. Where several machines share the
    collection, an asset id takes its files out on all of them, and a path on this one.

    \b
    Examples:
      echolens remove ~/Pictures/private
      echolens remove --dry-run ~/Pictures/IMG_0042.jpg
    """
    from indexer import remove

    with call.open() as collection:
        count = remove(list(targets), collection, dry_run=dry_run)
    files = "1 file" if count == 1 else f"{count} files"
    output.line(f"{'would remove' if dry_run else 'removed'} {files} from the collection")
    if not dry_run:
        call.note("your own files are untouched; `echolens index --restore PATH` takes them back")
    return ExitCode.DONE

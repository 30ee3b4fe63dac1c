"""``echolens clip``: a moment of a film or a recording, as a file of its own.

Gets: a deep link or a document's id, a path. Gives: a file, and a line that says what was done.
Touches: both files. Never: writes over a file that it wasn't told to.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from .. import output
from ..errors import ExitCode
from ..links import Part, is_document, part_of, part_of_document
from ..options import Call, common
from ..progress import ProgressLine
from ..times import period

if TYPE_CHECKING:
    from retrieval.films.clip import Cut


@click.command("clip")
@click.argument("hit", metavar="LINK|DOCUMENT")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@common
@click.pass_obj
def command(call: Call, hit: str, out: Path, force: bool) -> ExitCode:
    """Cut a moment out of a film or a recording.

    LINK is what `search --moments --format paths` prints: PATH#t=START,END; DOCUMENT is an id
    of `--format jsonl`. Pictures and sound are copied as they are where the film can be cut
    there, half a second earlier at most, and only else encoded again. OUT is a file whose suffix
    says its format, or a folder.

    \b
    Examples:
      echolens clip "holiday.mp4#t=13.0,24.5" dog.mp4
      echolens clip "talk.mp3#t=1:02:03,1:02:30" .
      echolens search frisbee --moments -k 3 --format paths -0 | xargs -0 -I@ echolens clip @ .
    """
    with _source(call, hit) as (part, source):
        target = _target(part, out.expanduser(), force)
        with ProgressLine(quiet=call.quiet, at_first="cutting ..."):
            done = _cut(source, target, part)
    _show(done, target)
    return ExitCode.DONE


@contextmanager
def _source(call: Call, hit: str) -> Iterator[tuple[Part, Path]]:
    """What is meant, and a file that has it: the user's own, else a copy of the collection's."""
    if not is_document(hit):
        part = part_of(hit)
        yield part, _there(part)
        return
    with call.open() as collection, TemporaryDirectory() as folder:
        part = part_of_document(hit, collection)
        if os.path.isfile(part.path) or part.stored is None:
            yield part, Path(part.path)
            return
        copy = Path(folder, Path(part.path).name)
        with part.stored() as stored, copy.open("wb") as file:
            shutil.copyfileobj(stored, file)
        yield part, copy


def _there(part: Part) -> Path:
    from retrieval.errors import MissingPartError
    from retrieval.schema import printable

    path = Path(part.path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise MissingPartError(
            f"{printable(part.path)}: {what}.",
            advice="Name the film that the link is about, or a document of it (`search --format "
            "jsonl` tells its id): then a copy that the collection has is cut.",
        )
    return path


def _target(part: Part, out: Path, force: bool) -> Path:
    """Where the clip goes; refused before anything is cut."""
    from retrieval.errors import UsageError
    from retrieval.schema import printable

    if out.is_dir():
        source = Path(part.path)
        out = out / f"{source.stem} {_named(part)}{source.suffix}"
    shown = printable(str(out))
    if not out.parent.is_dir():
        raise UsageError(
            f"There is no folder {printable(str(out.parent))} for the clip.",
            advice="Make it, or name one that is there.",
        )
    if out.exists() and Path(part.path).exists() and out.samefile(part.path):
        raise UsageError(f"{shown} is the film itself.", advice="Name another file for the clip.")
    if out.exists() and not force:
        raise UsageError(f"{shown} is there already.", advice="Name another, or add --force.")
    return out


def _named(part: Part) -> str:
    """Times that can stand in a file's name: ``13.0-24.5``."""
    end = "" if part.end == float("inf") else f"{part.end:.1f}"
    return f"{part.start:.1f}-{end}"


def _cut(source: Path, target: Path, part: Part) -> Cut:
    from retrieval.errors import BadInputError, UsageError
    from retrieval.films.clip import cut
    from retrieval.schema import printable

    try:
        return cut(source, target, part.start, part.end)
    except BadInputError as error:
        raise UsageError(
            f"{printable(part.path)} {error}.", advice="Name a film or a recording that plays."
        ) from error


def _show(done: Cut, target: Path) -> None:
    from retrieval.schema import printable

    how = f"{' and '.join(done.encoded)} encoded again" if done.encoded else "nothing encoded again"
    output.line(f"{period(done.start, done.end)} to {printable(str(target))}, {how}")

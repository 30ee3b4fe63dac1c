"""``echolens index``: files into a collection, and the line that accounts for each of them.

Gets: paths, from argv or stdin. Gives: the accounting line on stdout; reasons and advice on stderr.
Touches: stdin, the clock (progress). Never: opens a source file (the indexer does).
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from .. import output
from ..errors import ExitCode
from ..options import ADDED, Call, common, computing, for_new, given_of
from ..profile import profile
from ..progress import ProgressLine, duration
from ..times import whole

if TYPE_CHECKING:
    from indexer import IndexOptions, IndexReport
    from retrieval import Collection
    from retrieval.settings import Settings


@click.command("index")
@click.argument("paths", nargs=-1, type=click.Path())
@click.option(
    "--exclude", multiple=True, metavar="GLOB", help="Pass over what matches; repeatable."
)
@click.option(
    "--captions", metavar="FILE",
    help="A data set as `evaluate` takes it: its pictures with their captions.",
)  # fmt: skip
@click.option("--images", type=click.Path(file_okay=False), help="Folder of its pictures.")
@click.option("--split", metavar="NAME", help="Only that split of it.")
@click.option(
    "--split-file", type=click.Path(dir_okay=False), metavar="FILE",
    help="Karpathy's JSON: which COCO pictures are of which split.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@click.option("--retry", is_flag=True, help="Only try again what failed before.")
@click.option("--prune", is_flag=True, help="Forget missing files, also of a root that is gone.")
@click.option("--restore", is_flag=True, help="Take back what `remove` took out.")
@click.option("--follow-symlinks", is_flag=True, help="Go into folders that are links, too.")
@click.option("--fast", is_flag=True, help="Of films only key frames: quick, coarse in time.")
@click.option("--profile", "profiled", is_flag=True, help="Say where the time went, and why.")
@click.option("-0", "nul", is_flag=True, help="Paths on stdin end in NUL, not in a newline.")
@for_new
@computing
@common
@click.pass_obj
def command(
    call: Call, /, paths: tuple[str, ...], nul: bool, profiled: bool, **options: Any
) -> ExitCode:
    """Index files and folders, or what is new in them.

    Pictures, texts, films, recordings, and captions and subtitles beside them are indexed. Run
    it again whenever something has changed: only new and changed files cost time. PATHS may
    contain `-`, which reads paths from stdin. The last line accounts for every file.

    \b
    Examples:
      echolens index ~/Pictures
      echolens index ~/Pictures --exclude "*.gif" --exclude drafts
      find . -name "*.jpg" -print0 | echolens index -0 -
      echolens index --profile ~/Pictures
      echolens index -c films --transcriber whisper:base ~/Videos
      echolens index --captions captions_val2017.json --images val2017
      echolens index --captions flickr8k.tsv --split dev --images Images -c f8k
    """
    from indexer import IndexOptions, index
    from indexer.pipeline import open_captions

    new = given_of(options)
    if not paths and not (options["captions"] or options["retry"]):
        raise click.UsageError("Name at least one file or folder, or `-` for a list on stdin.")
    sources = list(_read_sources(paths, nul))
    asked = IndexOptions(**options)
    # Read before a collection is made: a slip of the pen makes none.
    with ProgressLine(quiet=call.quiet or not asked.captions, at_first="reading ..."):
        asked = replace(asked, captions=open_captions(asked))
    with (
        _collection(call, new, sources, asked) as collection,
        ProgressLine(quiet=call.quiet) as progress,
    ):
        report = index(sources, collection, options=asked, watch=progress)
        slow = _starts_slowly(report, collection)
    if profiled:
        for text in profile(report):
            output.note(text)
    _show(call, report)
    if slow:
        named = f" -c {shlex.quote(call.collection)}" if call.collection else ""
        call.note(
            "searches start with PyTorch, which takes seconds; "
            f"`echolens encoders export{named}`, run once, spares them that"
        )
    if report.interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.PARTLY if report.failed else ExitCode.DONE


def _read_sources(paths: tuple[str, ...], nul: bool) -> Iterator[str]:
    for path in paths:
        if path == "-":
            listed = sys.stdin.buffer.read().split(b"\0" if nul else b"\n")
            yield from (os.fsdecode(name) for name in listed if name)
        else:
            yield path


@contextmanager
def _collection(
    call: Call, new: dict[str, Any], sources: list[str], asked: IndexOptions
) -> Iterator[Collection]:
    """The collection of this run: an existing one, a new one, or a stand-in for a dry run."""
    from indexer import create
    from retrieval.manifest import read_manifest

    settings = call.settings()
    if asked.retry or _exists(call.collection):
        if asked.dry_run:
            new = {name: url for name, url in new.items() if name not in ADDED}
        # `create` refuses what the collection isn't, and adds what it may get later.
        opened = create(call.collection, settings=settings, **new) if new else call.open()
        with opened:
            # Not from its stores, which may have to be brought up to date before they are read.
            _say_encoder(call, read_manifest(opened.directory).channels[0].encoder, settings)
            yield opened
        return
    if asked.captions is None:
        _check_something_is_there(sources)
    if asked.dry_run:
        new = {**new, "assets": "inplace:"}  # copies may lie elsewhere, and nothing is written
    with (
        TemporaryDirectory() if asked.dry_run else nullcontext() as folder,
        _made(call, Path(folder, "dry") if folder else call.collection, new) as made,
    ):
        if not folder:
            _say_encoder(call, made.manifest.channels[0].encoder, settings, _why(new, settings))
        yield made


def _made(call: Call, name: Path | str | None, new: dict[str, Any]) -> Collection:
    from indexer import create

    with ProgressLine(quiet=call.quiet, at_first="loading the encoder ..."):
        return create(name, settings=call.settings(), **new)


def _check_something_is_there(sources: list[str]) -> None:
    """A slip of the pen makes no collection, whose encoder would be fixed for good."""
    from retrieval.errors import MissingPartError
    from retrieval.schema import printable

    if any(os.path.lexists(os.path.expanduser(path)) for path in sources if "\0" not in path):
        return
    if not sources:
        raise click.UsageError("There is nothing to index: the list on stdin is empty.")
    others = f" (nor any of the {len(sources) - 1:,} others)" if len(sources) > 1 else ""
    raise MissingPartError(
        f"{printable(sources[0])}: no such file or folder{others}.",
        advice="Check the path; nothing was indexed and no collection made.",
    )


def _exists(name: str | None) -> bool:
    from retrieval import open_collection
    from retrieval.errors import CollectionNotFoundError

    try:
        open_collection(name).close()
    except CollectionNotFoundError:
        return False
    return True


def _starts_slowly(report: IndexReport, collection: Collection) -> bool:
    from indexer.aliases import starts_slowly

    done = bool(report.indexed) and not report.dry_run and not report.interrupted
    return done and starts_slowly(collection)


def _say_encoder(call: Call, url: str, settings: Settings, why: str = "") -> None:
    """``encoder: open_clip:... on cpu, bf16``, and why a new collection takes it."""
    from retrieval.registry import open_encoder

    compute = open_encoder(url, settings.compute).compute
    call.note(f"encoder: {url} on {compute}" + (f" ({why})" if why else ""))


def _why(new: dict[str, Any], settings: Settings) -> str:
    from retrieval.settings import Settings

    if new.get("encoder"):
        return "named by --encoder"
    if settings.encoder != Settings(home=Path()).encoder:
        return "from your settings"
    return "the default: a small English one to try things out; see `echolens encoders`"


def _show(call: Call, report: IndexReport) -> None:
    for warning in report.warnings:
        call.note(f"warning: {warning}")
    if report.skipped:
        counts = sorted(report.skipped.items(), key=lambda item: -item[1])
        reasons = ", ".join(f"{count} {reason.value}" for reason, count in counts if count)
        call.note(f"skipped: {reasons}{_where_listed(report)}")
    beside = {
        "sidecars read": report.sidecars,
        "excluded": report.excluded,
        "known but excluded now (they stay; see `echolens remove`)": report.passed_over,
        "vanished": report.vanished,
        "missing (kept until --prune)": report.missing,
    }
    if any(beside.values()):
        call.note("beside these: " + ", ".join(f"{what} {n}" for what, n in beside.items() if n))
    if report.media_s:
        speed = report.media_s / max(report.seconds, 1e-9)
        call.note(
            f"films and recordings: {whole(report.media_s)} in {duration(report.seconds)}, "
            f"{speed:.1f}x real time"
        )
    if call.verbose:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in report.shares.items())
        call.note(f"time: {duration(report.seconds)} ({shares})")
    if report.interrupted:
        call.note("interrupted: run the same command again to go on")
    if report.dry_run:
        _show_plan(call, report)
    else:
        output.line(report.accounting())


def _where_listed(report: IndexReport) -> str:
    """Which command lists the skipped files; a dry run notes none, nor does a path never seen."""
    noted = {reason for reason in report.skipped if reason != "disappeared"}
    if report.dry_run or not noted:
        return ""
    only_failed = all(reason.is_failure for reason in noted)
    return f"; `echolens failures{'' if only_failed else ' --all'}` lists them"


def _show_plan(call: Call, report: IndexReport) -> None:
    from retrieval.schema import path_of, printable

    if call.verbose:
        for uri in report.planned:
            call.note(f"would read {printable(path_of(uri))}")
    output.line(f"dry run: {report.accounting()}; contents are not read")

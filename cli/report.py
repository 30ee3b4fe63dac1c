"""The report of ``echolens evaluate``: tables on stdout, JSON, Markdown and plots in files.

Gets: an evaluation, the paths of what is to be written. Gives: the report. Touches: stdout, those
files. Never: computes a figure.

Measuring takes minutes, so what can be refused is refused before. What can't is made cheap: tables
are printed first, then JSON is written, and a baseline of other data costs the comparison only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import output
from .options import Call

if TYPE_CHECKING:
    from retrieval.errors import UsageError
    from retrieval.evaluation.compare import Comparison
    from retrieval.evaluation.gates import Gate, Verdict
    from retrieval.evaluation.schema import Evaluation

STDOUT = "-"


@dataclass(frozen=True)
class Wanted:
    """What the report is to hold beside the tables, checked before anything is measured.

    Attributes:
        gates: conditions that must hold.
        baseline: an earlier evaluation.
        files: by format, the path to write to, or `STDOUT`.
        plots: a folder that is there.
    """

    gates: Sequence[Gate]
    baseline: Evaluation | None
    files: Mapping[str, str]
    plots: Path | None


def wanted(options: Mapping[str, Any]) -> Wanted:
    """Read the options, and refuse what couldn't be done after minutes of measuring."""
    from retrieval.errors import UsageError
    from retrieval.evaluation.gates import parse_gate
    from retrieval.evaluation.saved import load

    files = {name: options[name] for name in ("json", "markdown") if options[name]}
    if len(set(files.values())) < len(files):
        raise click.UsageError("--json and --markdown can't go to one place.")
    for name, file in files.items():
        folder = Path(os.path.expanduser(file)).absolute().parent
        if file != STDOUT and not folder.is_dir():
            raise click.UsageError(f"There is no folder for --{name} {file}.")
        if file != STDOUT:
            _check_writable(folder)
    baseline = None
    if options["baseline"]:
        path = Path(os.path.expanduser(options["baseline"]))
        try:
            baseline = load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"The baseline {path} can't be read: {error}.",
                advice="Name a file that --json wrote.",
            ) from error
    gates = [parse_gate(text) for text in options["require"]]
    return Wanted(gates, baseline, files, _folder(options["plots"]))


def _folder(plots: str | None) -> Path | None:
    """The folder of the plots, made; refused where nothing could be drawn."""
    if plots is None:
        return None
    from retrieval.evaluation.plots import draw
    from retrieval.evaluation.schema import Evaluation

    folder = Path(os.path.expanduser(plots))
    draw(Evaluation({}, ()), folder)  # draws nothing, and needs what all plots need
    _check_writable(folder)
    return folder


def _check_writable(folder: Path) -> None:
    from retrieval.errors import StoreUnreachableError

    if not os.access(folder, os.W_OK):
        raise StoreUnreachableError(
            f"{folder} can't be written.", advice="Name a folder that can be."
        )


def show(call: Call, evaluation: Evaluation, wanted: Wanted) -> Sequence[Verdict]:
    """Write and print everything that is wanted; gives the gates' verdicts.

    Raises:
        UsageError: the baseline is of other data; everything else is written and printed.
    """
    from retrieval.evaluation.gates import check
    from retrieval.evaluation.saved import dump

    verdicts = check(wanted.gates, evaluation)
    comparison, refused = _compared(evaluation, wanted.baseline)
    if STDOUT not in wanted.files.values():
        _print(evaluation, comparison, verdicts)
    if file := wanted.files.get("json"):
        _write(call, file, dump(evaluation) + "\n")
    pictures = _draw(call, evaluation, wanted.plots)
    if file := wanted.files.get("markdown"):
        _write(call, file, _page(evaluation, comparison, verdicts, pictures, file))
    _say(call, evaluation, comparison, verdicts)
    if refused is not None:
        raise refused
    return verdicts


def _compared(
    evaluation: Evaluation, baseline: Evaluation | None
) -> tuple[Comparison | None, UsageError | None]:
    """The comparison with a baseline, if there is one; or why there can't be any."""
    from retrieval.errors import UsageError
    from retrieval.evaluation.compare import compare

    try:
        return (compare(evaluation, baseline) if baseline else None), None
    except UsageError as error:
        return None, error


def _say(
    call: Call,
    evaluation: Evaluation,
    comparison: Comparison | None,
    verdicts: Sequence[Verdict],
) -> None:
    # With --quiet too where a part is missing: it is no news but a fault.
    say = output.note if evaluation.degraded else call.note
    for note in evaluation.notes:
        say(f"note: {note}")
    for note in comparison.notes if comparison else ():
        output.note(f"note: {note}")
    for verdict in verdicts:
        if not verdict.holds:
            output.note(f"gate not met: {verdict.gate.text}. {verdict.why}")


def _print(
    evaluation: Evaluation, comparison: Comparison | None, verdicts: Sequence[Verdict]
) -> None:
    from retrieval.evaluation.report import tables

    for number, table in enumerate(tables(evaluation, comparison, verdicts)):
        if number:
            output.line()
        output.line(table.title)
        output.table(table.head, table.rows, right=table.right)
        if table.note:
            output.line(table.note)


def _page(
    evaluation: Evaluation,
    comparison: Comparison | None,
    verdicts: Sequence[Verdict],
    pictures: Sequence[Path],
    file: str,
) -> str:
    from retrieval.evaluation.report import markdown

    page = Path.cwd() if file == STDOUT else Path(os.path.expanduser(file)).absolute().parent
    links = [os.path.relpath(picture.absolute(), page) for picture in pictures]
    return markdown(evaluation, comparison, verdicts, links)


def _draw(call: Call, evaluation: Evaluation, folder: Path | None) -> Sequence[Path]:
    if folder is None:
        return ()
    from retrieval.evaluation.plots import draw

    pictures = draw(evaluation, folder)
    call.note(f"plots: {', '.join(map(str, pictures))}")
    return pictures


def _write(call: Call, file: str, text: str) -> None:
    from retrieval.durable import replace_file

    if file == STDOUT:
        output.line(text.rstrip("\n"))
        return
    path = Path(os.path.realpath(os.path.expanduser(file)))  # a link stays one
    if path.exists() and not path.is_file():  # a device or a pipe is written to, never replaced
        path.write_text(text, encoding="utf-8")
    else:
        replace_file(path, text.encode())
    call.note(f"written: {file}")

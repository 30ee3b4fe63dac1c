"""What an error becomes: an exit code and at most three lines (what and where; what next).

Gets: an exception. Gives: its `Explanation`. Touches: nothing. Never: prints or exits, as `main`
does; imports the library.

The table goes by the names of the library's classes, so that explaining a misspelt option, or an
installation that is broken, needs nothing of it.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import click


class ExitCode(IntEnum):
    """How a command ended; the README shows this list to users."""

    DONE = 0
    NO = 1  # nothing found, a gate not met, damage found
    USAGE = 2  # used wrongly
    PARTLY = 3  # files failed, or a degraded answer
    MISSING = 4  # a store, a package, weights, a file, room
    MISFIT = 5  # other space, newer format, corrupt
    BUG = 70  # a fault of Echolens itself
    INTERRUPTED = 130


CODES = {
    "UsageError": ExitCode.USAGE,
    "BadInputError": ExitCode.USAGE,
    "MissingPartError": ExitCode.MISSING,
    "CollectionError": ExitCode.MISFIT,
    "EcholensError": ExitCode.BUG,
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """An error for a person: `what` went wrong and where, and what to do `next` (may be empty)."""

    code: ExitCode
    what: str
    next: str = ""

    def __str__(self) -> str:
        return f"error: {self.what}" + (f"\n next: {self.next}" if self.next else "")


def explain(error: BaseException) -> Explanation:
    """Look an error up: those of the library, of click, of the system, and all others."""
    if isinstance(error, click.ClickException):
        return _of_click(error)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Explanation(ExitCode.INTERRUPTED, "interrupted.", "Run the same command again.")
    code = next((CODES[name] for name in _library_names(error) if name in CODES), None)
    if code is not None:
        return Explanation(code, _clean(str(error)), _clean(getattr(error, "advice", "")))
    return _of_system(error) or Explanation(
        ExitCode.BUG,
        f"Echolens met something it was not made for ({type(error).__name__}: "
        f"{_clean(str(error))[:300]}).",
        "Run the same command with --debug and report what it shows.",
    )


def _library_names(error: BaseException) -> list[str]:
    return [c.__name__ for c in type(error).__mro__ if c.__module__ == "retrieval.errors"]


def _of_click(error: click.ClickException) -> Explanation:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "echolens"
    return Explanation(
        ExitCode.USAGE, _clean(error.format_message()), f"`{command} --help` shows its use."
    )


def _of_system(error: BaseException) -> Explanation | None:
    if isinstance(error, ModuleNotFoundError):
        return Explanation(
            ExitCode.MISSING,
            f"the Python package `{error.name}` is not installed.",
            "Install Echolens again: pip install --force-reinstall echolens",
        )
    if isinstance(error, MemoryError):
        return Explanation(
            ExitCode.MISSING,
            "there is not enough memory for this.",
            "Close something, or ask less.",
        )
    if isinstance(error, FileNotFoundError) and not error.filename and _is_nowhere():
        return Explanation(
            ExitCode.MISSING,
            "the folder that this was started in is gone.",
            "Change to one that is there: cd ~",
        )
    if isinstance(error, OSError) and error.strerror:
        where = f"{_clean(os.fsdecode(error.filename))}: " if error.filename else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "Make room and run it again." if full else "Check that it is there and allowed."
        return Explanation(ExitCode.MISSING, f"{where}{error.strerror}.", advice)
    return None


def _is_nowhere() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _clean(text: str) -> str:
    # Not `retrieval.schema.printable`: explaining an error must not depend on what may be broken.
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)

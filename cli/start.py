"""The door of the command ``echolens``: what must be right before anything else is loaded.

Gets: the process as it was started. Gives: it to `main`. Touches: signals, closed streams. Never:
imports more than the interpreter has loaded by then, but for `main` at the end.

A Ctrl-C while modules are loaded would end in a trace of whatever was loading; and a file opened
while stdout is closed would become stdout.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command of ``sys.argv`` and exit."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
    open_streams()
    from .main import main

    main()


def leave(_number: int, _frame: FrameType | None) -> None:
    """End at once: nothing has begun yet."""
    os.write(2, b"error: interrupted.\n next: Run the same command again.\n")
    os._exit(130)


def open_streams() -> None:
    """Give each standard stream that was closed (``>&-``) to the null device."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        if name == "stdout":
            _say("note: stdout is closed, so results are not shown")


def _say(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")

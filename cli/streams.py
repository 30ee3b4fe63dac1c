"""Standard streams that were closed when the process began.

Gets: nothing. Gives: nothing. Touches: ``sys.stdin``, ``sys.stdout``, ``sys.stderr``. Never: a
stream that is open.
"""

from __future__ import annotations

import os
import sys


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

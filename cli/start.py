"""The door of the command ``echolens``: what must be right before anything else is loaded.

Gets: the process as it was started. Gives: it to `main`. Touches: signals. Never: imports more
than the interpreter has loaded by then, but for `main` at the end.

A Ctrl-C while modules are loaded would end in a trace of whatever was loading; and a file opened
while stdout is closed would become stdout.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

from .streams import open_streams


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

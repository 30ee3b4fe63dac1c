"""Runs ``echolens`` and kills it at one chosen call that writes.

    python -m tests.end_to_end.faults list OUT -- index ...      write points, as JSON
    python -m tests.end_to_end.faults kill POINT -- index ...    SIGKILL there

A write point is a call from a line of the project to something that changes a file: every such
line, whatever back end it is in, is found by watching the calls of an undisturbed run.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

WRITING = frozenset(
    "fsync replace rename unlink remove mkdir execute executemany executescript commit write "
    "truncate ftruncate pwrite flush close tofile".split()
)
ROOT = Path(__file__).parents[2]
OURS = (str(ROOT / "retrieval"), str(ROOT / "indexer"))


def site_of(frame: FrameType | None, name: str) -> str | None:
    """``file:line:function`` of the project's line that made a call; None if none did."""
    for _ in range(4):  # through pathlib, contextlib
        if frame is None:
            return None
        file = frame.f_code.co_filename
        if file.startswith(OURS):
            return f"{Path(file).relative_to(ROOT)}:{frame.f_lineno}:{name}"
        frame = frame.f_back
    return None


class Watch:
    """A profile function that counts write points, and kills at one of them."""

    def __init__(self, point: str | None = None) -> None:
        self.counts: Counter[str] = Counter()
        site, _, rest = (point or "").partition("#")
        number, _, self.event = rest.partition(" ")
        self.site, self.number = site, int(number or 0)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Called by the interpreter for every call."""
        if event not in ("c_call", "c_return"):
            return
        name = getattr(argument, "__name__", "")
        if name not in WRITING or (site := site_of(frame, name)) is None:
            return
        if event == "c_call":
            self.counts[site] += 1
        if event == self.event and site == self.site and self.counts[site] == self.number:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """See the module's docstring."""
    mode, argument, _, *arguments = sys.argv[1:]
    from cli.main import main as command

    watch = Watch(argument if mode == "kill" else None)
    sys.argv = ["echolens", *arguments]
    sys.setprofile(watch)
    try:
        command()
    finally:
        sys.setprofile(None)
        if mode == "list":
            Path(argument).write_text(json.dumps(watch.counts))


if __name__ == "__main__":
    main()

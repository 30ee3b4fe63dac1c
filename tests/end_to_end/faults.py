"""Runs ``echolens`` again and again, killing it at chosen calls that write.

``python -m tests.end_to_end.faults`` reads jobs from stdin, a JSON object a line, and answers each
with a line: the exit code, or minus the signal. A job runs the whole command in a forked process,
so that a run doesn't pay for starting Python:

    {"home": ..., "arguments": [...]}                     an undisturbed run
    {"home": ..., "arguments": [...], "list": OUT}        the same; its write points, as JSON
    {"home": ..., "arguments": [...], "kill": POINT}      SIGKILL there

A write point is a call from a line of the project to something that changes a file: every such
line, whatever back end it is in, is found by watching the calls of an undisturbed run.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

WRITING = frozenset(
    {"fsync", "replace", "rename", "unlink", "remove", "mkdir", "execute", "executemany"}
    | {"executescript", "commit", "write", "truncate", "ftruncate", "pwrite", "flush", "tofile"}
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
    import indexer.decode
    from cli.main import main as command

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["indexer.silence", indexer.decode.__name__])
    forkserver.ensure_running()
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(command, job)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _run(command: Callable[[], None], job: dict[str, Any]) -> NoReturn:
    os.environ["ECHOLENS_HOME"] = job["home"]
    # Their server is our parent's child, so we cannot ask whether it runs; it does.
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
    sys.argv = ["echolens", *job["arguments"]]
    sys.stdout = sys.stderr
    watch = Watch(job.get("kill"))
    if "kill" in job or "list" in job:
        sys.setprofile(watch)
    code = 0
    try:
        command()
    except SystemExit as ended:
        code = int(ended.code or 0)
    sys.setprofile(None)
    if "list" in job:
        Path(job["list"]).write_text(json.dumps(watch.counts))
    os._exit(code)


if __name__ == "__main__":
    main()

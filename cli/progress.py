"""How far a run is: one line on stderr that overwrites itself.

Gets: `Progress` values, of an indexing run or an evaluation. Gives: nothing. Touches: stderr, the
clock. Never: writes when stderr is not a terminal, or more than ten times a second.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from . import output

if TYPE_CHECKING:
    from indexer import Progress as Indexing
    from retrieval.evaluation.schema import Progress as Evaluating

    Progress = Indexing | Evaluating

INTERVAL_S = 0.1
WINDOW_S = 20.0


class ProgressLine:
    """Call it with each `Progress`; `close` clears the line. Use it as a context manager."""

    def __init__(self, *, quiet: bool, at_first: str = "starting ...") -> None:
        self._shown = sys.stderr.isatty() and not quiet
        self._at_first = at_first
        self._next_s = 0.0
        self._what = ""
        self._seen: deque[tuple[float, int]] = deque()

    def __call__(self, progress: Progress) -> None:
        now_s = time.monotonic()
        if not self._shown or now_s < self._next_s:
            return
        self._next_s = now_s + INTERVAL_S
        if progress.what != self._what:  # another step, which has a pace of its own
            self._what = progress.what
            self._seen.clear()
        self._seen.append((now_s, progress.done))
        while now_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        output.replace_line(describe(progress, self._rate()))

    def _rate(self) -> float:
        (start_s, before), (end_s, after) = self._seen[0], self._seen[-1]
        return (after - before) / (end_s - start_s) if end_s > start_s else 0.0

    def __enter__(self) -> ProgressLine:
        if self._shown:
            output.replace_line(self._at_first)
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            output.replace_line("")


def describe(progress: Progress, rate: float) -> str:
    """``1,234 of 10,000 files, 56.0 a second, 2 failed, 3 min left``; `rate`: of them a second."""
    known = progress.total is not None
    parts = [f"{progress.done:,}" + (f" of {progress.total:,}" if known else "")]
    parts[0] += f" {progress.what}"
    if rate > 0:
        parts.append(f"{rate:,.1f} a second")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.total is not None and progress.done >= progress.total:
        parts.append("finishing")
    elif rate > 0 and progress.total is not None:
        left_s = (progress.total - progress.done) / rate
        parts.append(f"{duration(left_s)} left" if left_s >= 1 else "nearly done")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """A time in words: ``8 s``, ``3 min``, ``2 h 5 min``."""
    if seconds < 99:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"

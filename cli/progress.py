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
from .times import whole

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
        self._seen: deque[tuple[float, int, float]] = deque()

    def __call__(self, progress: Progress) -> None:
        now_s = time.monotonic()
        if not self._shown or now_s < self._next_s:
            return
        self._next_s = now_s + INTERVAL_S
        if progress.what != self._what:  # another step, which has a pace of its own
            self._what = progress.what
            self._seen.clear()
        self._seen.append((now_s, progress.done, _media_s(progress)))
        while now_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        output.replace_line(describe(progress, *self._rates()))

    def _rates(self) -> tuple[float, float]:
        """Files a second, and seconds of films and recordings, lately."""
        (start_s, files, media_s), (end_s, files_now, media_now_s) = self._seen[0], self._seen[-1]
        took_s = end_s - start_s
        if took_s <= 0:
            return 0.0, 0.0
        return (files_now - files) / took_s, (media_now_s - media_s) / took_s

    def __enter__(self) -> ProgressLine:
        if self._shown:
            output.replace_line(self._at_first)
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            output.replace_line("")


def describe(progress: Progress, rate: float, speed: float = 0.0) -> str:
    """``1,234 of 10,000 files, 56.0 a second, 2 failed, 3 min left``.

    With films: ``12 of 40 files, 25:10 of 1:32:00 at 12x, 2 failed, 6 min left``.

    Args:
        progress: how far it is.
        rate: files a second, lately; 0: unknown.
        speed: seconds of films and recordings a second, lately.
    """
    known = progress.total is not None
    parts = [f"{progress.done:,}" + (f" of {progress.total:,}" if known else "")]
    parts[0] += f" {progress.what}"
    media_s = _media_s(progress)
    speed = speed or media_s / max(getattr(progress, "seconds", 0.0), 1.0)
    if media_s:
        begun_s = max(getattr(progress, "media_total_s", 0.0), media_s)
        parts.append(f"{whole(media_s)} of {whole(begun_s)} at {speed:,.{int(speed < 10)}f}x")
    elif rate > 0:
        parts.append(f"{rate:,.1f} a second")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.total is not None and progress.done >= progress.total:
        parts.append("finishing")
    elif progress.total is not None and (rate > 0 or media_s):
        left_s = _left_s(progress, rate, speed)
        parts.append(f"{duration(left_s)} left" if left_s >= 1 else "nearly done")
    return ", ".join(parts)


def _left_s(progress: Progress, rate: float, speed: float) -> float:
    """How long the rest takes: the files, or the films that were begun, if these take longer."""
    files_s = ((progress.total or 0) - progress.done) / rate if rate > 0 else 0.0
    rest_s = getattr(progress, "media_total_s", 0.0) - _media_s(progress)
    return max(files_s, rest_s / speed if speed > 0 else 0.0)


def _media_s(progress: Progress) -> float:
    """Seconds of films and recordings so far; an evaluation has none."""
    return float(getattr(progress, "media_s", 0.0))


def duration(seconds: float) -> str:
    """A time in words: ``8 s``, ``3 min``, ``2 h 5 min``."""
    if seconds < 99:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"

"""The running count of a run, and what a watcher is told of it.

Gets: outcomes as they happen. Gives: an `IndexReport`, and `Progress` to a watcher. Touches: the
clock. Never: prints.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from retrieval.schema import Modality, SkipReason, path_of, printable

from .report import STAGES, IndexReport, Progress, Stage, Watcher
from .rows import Row
from .schema import Outcome

WATCH_EVERY_S = 0.1
WARNINGS = 100


class Tally:
    """Counts what became of each file."""

    def __init__(self, watch: Watcher | None = None) -> None:
        self.total: int | None = None
        self.sidecars = self.excluded = self.passed_over = self.vanished = self.missing = (
            self.unchanged
        ) = 0
        self.planned: list[str] = []
        self.cut = 0  # documents of which the encoder doesn't read the end
        self.media_s = self.media_total_s = 0.0
        self.unheard = 0  # files with sound in which nobody listened for speech
        self.unfindable = 0  # recordings of which nothing is found without an encoder of sounds
        self._gaps = 0  # films of which a stretch is missing
        self._outcomes: Counter[Outcome] = Counter()
        self._skipped: Counter[SkipReason] = Counter()
        self._warnings: list[str] = []
        self._busy: dict[str, float] = defaultdict(float)
        self._waited: dict[str, float] = defaultdict(float)
        self._encoded: Counter[Modality] = Counter()
        self._lock = Lock()  # hashing tells from its threads
        self.is_watched = watch is not None
        self._watch = watch
        self._started = time.monotonic()
        self._told = 0.0

    def count(self, outcome: Outcome, reason: SkipReason | None = None) -> None:
        """One more file has an outcome."""
        if reason is None:
            self._outcomes[outcome] += 1
        else:
            self._skipped[reason] += 1
        self.tell()

    def committed(self, row: Row) -> None:
        """A file is durable; what is odd about it is told."""
        self.count(row.outcome)
        self._gaps += row.has_gap
        if row.message:
            self.warn(f"{printable(path_of(row.uri))}: {row.message}")

    def warn(self, warning: str) -> None:
        """Note something for the user; the ledger has those past the first hundred."""
        if len(self._warnings) < WARNINGS:
            self._warnings.append(warning)

    @contextmanager
    def waiting(self, stage: str) -> Iterator[None]:
        """Time the main line, which stands still for a stage that runs beside it."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._waited[stage] += time.monotonic() - start

    @contextmanager
    def working(self, stage: str, *, beside: int = 0) -> Iterator[None]:
        """Time a stage at work: on the main line, or in one of `beside` threads."""
        start = time.monotonic()
        try:
            yield
        finally:
            seconds = time.monotonic() - start
            self.worked(stage, seconds / max(beside, 1))
            if not beside and stage != "encode":
                self._waited[stage] += seconds

    def worked(self, stage: str, seconds: float) -> None:
        """Add to the time that a stage was at work."""
        with self._lock:
            self._busy[stage] += seconds

    def encoded(self, modality: Modality, count: int) -> None:
        """So many more inputs were encoded."""
        self._encoded[modality] += count

    def tell(self) -> None:
        """Tell the watcher, at most ten times a second."""
        now = time.monotonic()
        if self._watch and now - self._told >= WATCH_EVERY_S:
            self._told = now
            report = self.report()
            self._watch(
                Progress(
                    report.total,
                    report.failed,
                    self.total,
                    media_s=self.media_s,
                    media_total_s=self.media_total_s,
                    seconds=report.seconds,
                )
            )

    def report(self, *, interrupted: bool = False, dry_run: bool = False) -> IndexReport:
        """Everything so far."""
        return IndexReport(
            indexed=self._outcomes["indexed"],
            unchanged=self.unchanged,
            duplicates=self._outcomes["duplicate"],
            skipped=dict(self._skipped),
            sidecars=self.sidecars,
            excluded=self.excluded,
            passed_over=self.passed_over,
            vanished=self.vanished,
            missing=self.missing,
            warnings=(*self._warnings, *self._said_of_all()),
            seconds=time.monotonic() - self._started,
            stages={name: Stage(self._busy[name], self._waited[name]) for name in STAGES},
            encoded=dict(self._encoded),
            media_s=self.media_s,
            interrupted=interrupted,
            dry_run=dry_run,
            planned=tuple(self.planned),
        )

    def _said_of_all(self) -> list[str]:
        """Warnings that are counts."""
        return [*self._cut(), *self._unheard(), *self._unfindable(), *self._with_gaps()]

    def _with_gaps(self) -> list[str]:
        if not self._gaps:
            return []
        files = (
            "1 file lacks a stretch" if self._gaps == 1 else f"{self._gaps:,} files lack stretches"
        )
        return [f"{files}, where reading or listening failed: `index --retry` tries again"]

    def _unfindable(self) -> list[str]:
        if not self.unfindable:
            return []
        files = "1 recording" if self.unfindable == 1 else f"{self.unfindable:,} recordings"
        return [
            f"nothing of {files} could be found: name an encoder of sounds with --audio-encoder"
        ]

    def _unheard(self) -> list[str]:
        if not self.unheard:
            return []
        files = "1 file" if self.unheard == 1 else f"{self.unheard:,} files"
        return [f"what is said in {files} is not searched: name a transcriber with --transcriber"]

    def _cut(self) -> list[str]:
        if not self.cut:
            return []
        texts = "1 text is" if self.cut == 1 else f"{self.cut:,} texts are"
        return [
            f"{texts} longer than the encoder reads: what comes after is found by its words alone"
        ]

"""What the benchmarks share: the machine in one line, and a process with its time and memory.

Imports the standard library alone: on Linux a new process starts with the peak memory of the one
that started it, so a benchmark that measures memory has to stay small itself.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).with_name("echolens"))


@dataclass(frozen=True)
class Command:
    """A command line, where it runs, and what its environment has beside ours."""

    argv: Sequence[str]
    cwd: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """One process: seconds by the clock, peak resident megabytes."""

    seconds: float
    megabytes: float


def machine() -> str:
    """Processor, cores, memory, versions, and how busy the machine is."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{next(names, platform.processor())}, {os.cpu_count()} cores, {gigabytes:.0f} GB, "
        f"{platform.system()}, Python {platform.python_version()}, NumPy {version('numpy')}; "
        f"load {os.getloadavg()[0]:.2f}"
    )


def run(command: Command) -> Sample:
    """Run one process to its end; its output is thrown away."""
    # Where .pyc files may not be written, every start would compile the program anew.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    process = subprocess.Popen(
        command.argv,
        stdout=subprocess.DEVNULL,
        cwd=command.cwd,
        env={**environment, **command.environment},
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command.argv)} ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    return Sample(seconds, usage.ru_maxrss * unit / 2**20)


def in_turns(commands: Mapping[str, Command], runs: int) -> dict[str, list[Sample]]:
    """Samples of each command; they take turns, so that a busy machine slows all of them."""
    samples: dict[str, list[Sample]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, command in commands.items():
            sample = run(command)
            if number:  # the first run of each warms the page cache
                samples[name].append(sample)
    return samples


def show(samples: Mapping[str, Sequence[Sample]], base: str, unit: str = "ms") -> None:
    """A Markdown table: medians of time and peak memory, and the time's ratio to `base`'s."""
    scale = {"ms": 1000, "s": 1}[unit]
    reference = statistics.median(sample.seconds for sample in samples[base])
    table(
        ("", f"{unit}, median", f"{unit}, min to max", "peak MB", f"x `{base}`"),
        (
            (
                f"`{name}`",
                _number(statistics.median(s.seconds for s in of_name) * scale),
                " to ".join(_number(f(s.seconds for s in of_name) * scale) for f in (min, max)),
                f"{statistics.median(s.megabytes for s in of_name):.0f}",
                f"{statistics.median(s.seconds for s in of_name) / reference:.2f}",
            )
            for name, of_name in samples.items()
        ),
    )


def table(head: Sequence[str], rows: Any) -> None:
    """A Markdown table; all columns but the first are flush right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    ruler = [
        "-" * (width - bool(column)) + ":" * bool(column) for column, width in enumerate(widths)
    ]
    for line in (lines[0], ruler, *lines[1:]):
        first, *others = zip(line, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        print(f"| {' | '.join(cells)} |")


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"

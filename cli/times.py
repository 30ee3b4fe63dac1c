"""Times in films and recordings, as people write and read them.

Gets: text, seconds. Gives: seconds, text. Touches: nothing: pure. Never: a file, the clock.
"""

from __future__ import annotations

import math
import re

import click

EXAMPLES = "10:00-12:30, 90-120 (seconds), or 1:02:03.5- to the end"
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?)", re.ASCII)
_TO = re.compile(r"\s*(?:-|–|—|\.\.)\s*")


def clock(seconds: float, decimals: int = 1) -> str:
    """``1:02:03.4``; see `retrieval.times`."""
    from retrieval import times  # here, since it brings NumPy, which --help goes without

    return times.clock(seconds, decimals)


def whole(seconds: float) -> str:
    """``1:02:03``: a length, to the second."""
    return clock(int(seconds), 0)


def period(start: float, end: float) -> str:
    """``0:13.0-0:24.5``, as `--between` reads it."""
    return f"{clock(start)}-{clock(end)}"


def seconds_of(text: str) -> float:
    """Seconds of ``1:02:03.4``, ``62:03`` or ``3723.4``.

    Raises:
        ValueError: it is none of these.
    """
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    hours, minutes, rest = int(match[1] or 0), int(match[2] or 0), float(match[3])
    if (match[2] and rest >= 60) or (match[1] and minutes >= 60):
        raise ValueError(text)
    return 3600 * hours + 60 * minutes + rest


def between(
    context: click.Context,  # noqa: ARG001 - click's signature
    parameter: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> tuple[float, float] | None:
    """Read ``--between``: (start, end) in seconds; an end that isn't given is infinite."""
    if value is None:
        return None
    try:
        first, last = _TO.split(value.strip())
        start = seconds_of(first) if first else 0.0
        end = seconds_of(last) if last else math.inf
    except ValueError:
        raise click.BadParameter(f"`{value}` is no stretch of time. Write {EXAMPLES}.") from None
    if not (first or last):
        raise click.BadParameter(f"`{value}` names no time. Write {EXAMPLES}.")
    if start >= end:
        raise click.BadParameter(f"`{value}` ends before it begins. Write {EXAMPLES}.")
    return start, end

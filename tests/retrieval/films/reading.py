"""Films read by stretches, as the tests of readers ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from retrieval.modalities.video import VideoReader
from retrieval.protocols import Limits
from retrieval.schema import Description, Draft, Wants
from retrieval.timed import Stretch

PICTURES = Wants(pixels=32, text_tokens=64)
SOUND = Wants(sample_rate=16_000, window_s=10.0)
SPEECH = Wants(text_tokens=64, speech=True)
ALL = Wants(pixels=32, text_tokens=64, sample_rate=16_000, window_s=10.0, speech=True)
SRT = b"""1
00:00:00,200 --> 00:00:01,000
A dog barks

2
00:00:02,000 --> 00:00:02,800
The fox runs away
"""


def describe(path: Path) -> Description:
    with path.open("rb") as file:
        return VideoReader(Limits()).describe(file)


def stretch(
    path: Path, wants: Wants = ALL, start: float = 0.0, beside: Mapping[str, bytes] | None = None
) -> Stretch:
    """By a fresh reader, as after a restart."""
    with path.open("rb") as file:
        return VideoReader(Limits()).stretch(file, wants, start, beside or {})


def stretches(path: Path, wants: Wants, beside: Mapping[str, bytes] | None = None) -> list[Stretch]:
    found: list[Stretch] = []
    start: float | None = 0.0
    while start is not None:
        found.append(stretch(path, wants, start, beside))
        start = found[-1].following
    return found


def spans(drafts: tuple[Draft, ...], kind: str) -> list[tuple[float, float]]:
    return [(d.span.start, d.span.end) for d in drafts if d.kind == kind and d.span is not None]

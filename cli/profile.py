"""What an indexing run did with its time, in words: ``echolens index --profile``.

Gets: an `IndexReport`. Gives: lines of text. Touches: nothing. Never: measures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer import IndexReport

PER_SECOND = {
    "image": "pictures",
    "text": "texts",
    "audio": "windows of sound",
    "video": "pictures of films",
}
ROW = "{:<8}  {:>8}  {:>14}  {:>6}"

BOUND_BY = {
    "read": (
        "bound by reading files: the encoder waited {share:.0%} of the time for their bytes; "
        "a faster disk would help"
    ),
    "decode": (
        "bound by decoding: the encoder waited {share:.0%} of the time; more cores would help"
    ),
    "listen": (
        "bound by writing down what is said: {share:.0%} of the time; a GPU or a smaller "
        "transcriber would help"
    ),
    "encode": (
        "bound by the encoder: it was at work {share:.0%} of the time; a GPU, more cores or a "
        "lighter encoder would help"
    ),
    "write": (
        "bound by writing: the encoder waited {share:.0%} of the time for the stores; a faster "
        "disk would help"
    ),
    "rest": (
        "bound by none of them: {share:.0%} of the time went into listing files, comparing them "
        "with what is known, and ending"
    ),
}


def profile(report: IndexReport) -> Iterator[str]:
    """A table of the stages, what was encoded a second, and what bound the run."""
    yield ROW.format("stage", "busy s", "encoder waits", "share")
    for name, stage in report.stages.items():
        waits = "" if name == "encode" else f"{stage.waited:.1f} s"
        yield ROW.format(name, f"{stage.busy:.1f}", waits, f"{report.shares[name]:.0%}")
    yield ROW.format("rest", "", "", f"{report.shares['rest']:.0%}")
    yield ROW.format("all", f"{report.seconds:.1f}", "", "100%")
    for modality, count in report.encoded.items():
        rate = count / max(report.seconds, 1e-9)
        yield f"{count:,} {PER_SECOND[modality]} encoded, {rate:,.1f} a second"
    yield verdict(report)


def verdict(report: IndexReport) -> str:
    """One sentence on what bound the run, and what would make it faster."""
    share = report.shares[report.bound_by]
    return BOUND_BY[report.bound_by].format(share=share)

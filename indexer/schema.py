"""The indexer's own nouns.

Gets and gives: frozen values. Touches: nothing. Never: a store.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from retrieval.schema import Document, Draft, FieldValue, FloatArray, Modality, SkipReason
from retrieval.timed import Speech

Outcome = Literal["indexed", "duplicate", "skipped", "erased"]
AnyPath = str | bytes | os.PathLike[str]
Paths = AnyPath | Sequence[AnyPath]


@dataclass(frozen=True, slots=True)
class Stat:
    """What tells, without reading, that a file is as it was. Times in nanoseconds."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Given:
    """What a source says of a file beside the file itself: its captions and fields."""

    captions: tuple[str, ...] = ()
    fields: Mapping[str, FieldValue] = field(default_factory=dict)

    def dump(self) -> str | None:
        """As JSON, for the ledger; None when it says nothing."""
        if not self.captions and not self.fields:
            return None
        return json.dumps([self.captions, dict(self.fields)], sort_keys=True)

    @classmethod
    def load(cls, text: str) -> Given:
        """From `dump`'s JSON."""
        captions, fields = json.loads(text)
        return cls(tuple(captions), fields)


@dataclass(frozen=True, slots=True)
class Item:
    """A file to index.

    Attributes:
        uri: its name in the ledger.
        stat: the file's own; `sidecars`' stats beside it.
        given: captions and fields that the source gives; None leaves earlier ones in force.
    """

    uri: str
    modality: Modality
    media_type: str
    stat: Stat
    sidecars: tuple[Stat, ...] = ()
    given: Given | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not indexed, and why; `given` as of an `Item`, for when it can be."""

    uri: str
    reason: SkipReason
    message: str
    given: Given | None = None


@dataclass(frozen=True, slots=True)
class Excluded:
    """A file or folder passed over by rule; a sidecar is read with its picture instead."""

    uri: str
    sidecar: bool = False


class Source(Protocol):
    """Where files come from."""

    @property
    def roots(self) -> tuple[str, ...]:
        """Paths below which a known file that isn't met any more has vanished."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the source itself, rather than with one of its files."""
        ...

    def items(self) -> Iterator[Item | Skipped | Excluded]:
        """Every file, in an order that doesn't depend on the file system's."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """A file, or a stretch of it, read: what it says of itself, and its documents.

    Attributes:
        drafts: None when only the description was asked for, since they are known already.
        speech, script, following, media_s: of a stretch; see `timed.Stretch`.
        has_gap: whether something of it failed, and is missing, that another attempt may bring.
        warnings: what was odd and didn't matter (a sidecar that can't be read).
        seconds: that it took, by the clock.
    """

    fields: Mapping[str, FieldValue]
    captions: tuple[str, ...]
    drafts: tuple[Draft, ...] | None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    speech: tuple[Speech, ...] = ()
    script: str | None = None
    following: float | None = None
    media_s: float = 0.0
    has_gap: bool = False

    @property
    def bytes(self) -> int:
        """Memory that its documents take: near enough to tell how many may wait."""
        return bytes_of(self.drafts) + sum(speech.samples.nbytes for speech in self.speech)


@dataclass(frozen=True, slots=True)
class Encodable:
    """A document and what its encoder is to be given for it (1..m inputs)."""

    document: Document
    inputs: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors of one channel: n ids and (n, dim) float32 of norm 1."""

    ids: tuple[str, ...]
    vectors: FloatArray


def paths_of(given: Paths) -> list[str]:
    """Paths as text. One alone is a path too, and no list of its letters."""
    several = [given] if isinstance(given, str | bytes | os.PathLike) else given
    return [os.fsdecode(path) for path in several]


def bytes_of(drafts: Iterable[Draft] | None) -> int:
    """Memory that the inputs of some documents take: pixels, samples, or characters."""
    return sum(
        value.nbytes if hasattr(value, "nbytes") else sys.getsizeof(value)
        for draft in drafts or ()
        for value in draft.inputs
    )


def valid_text(text: str) -> str:
    """`text` without lone surrogates, which JSON may spell and no store can keep."""
    return text.encode("utf-8", "replace").decode("utf-8")

"""The nouns: frozen values that every other module passes around.

Gets and gives: values. Touches: nothing. Never: imports a third party (numpy's types aside).

Identity, which everything else leans on:

- an asset is named by the SHA-256 of its bytes;
- a document is named by 128 bits of BLAKE2b over (asset, kind, channel, span, digest of its
  text), so an id never changes meaning and doing a batch twice changes nothing;
- a sighting is named by its URI. A file URI is plain ASCII and keeps every byte of a path, also
  of one that isn't valid UTF-8, so that it passes unharmed through JSON, SQL and HTTP.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote_from_bytes, unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

from .errors import SkipReason as SkipReason  # noqa: PLC0414 - one of the nouns

FloatArray = NDArray[np.float32]
Modality = Literal["text", "image", "audio", "video"]
Role = Literal["query", "document"]
Kind = Literal["image", "passage", "shot", "window", "speech"]
Precision = Literal["auto", "fp32", "bf16", "int8"]
FieldType = Literal["text", "number", "boolean", "date"]
FieldValue = str | float | bool

CHANNEL_OF_KIND: Mapping[Kind, Modality] = {
    "image": "image",
    "passage": "text",
    "shot": "video",
    "window": "audio",
    "speech": "text",
}
# What an encoder is given for a document of a modality: the pictures of a shot, one by one.
INPUT_OF_MODALITY: Mapping[Modality, Modality] = {
    "image": "image",
    "text": "text",
    "video": "image",
    "audio": "audio",
}
# Kinds whose spans are in seconds; those of the others are in code points.
TIMED_KINDS: frozenset[Kind] = frozenset({"shot", "window", "speech"})


@dataclass(frozen=True, slots=True)
class Space:
    """A set of vectors that may be compared.

    Attributes:
        key: a slug, safe in paths and server names (``[a-z0-9-]``).
        dim: the number of components.
        modalities: what can be put into it.
    """

    key: str
    dim: int
    modalities: frozenset[Modality]


@dataclass(frozen=True, slots=True)
class Wants:
    """What an encoder looks at, so that decoding works to measure. None: it doesn't take that.

    Attributes:
        pixels: side in pixels of the picture it looks at.
        text_tokens: tokens of a text that it reads; the rest is cut.
        sample_rate: in Hz.
        window_s: seconds of a sound that it looks at at once.
        speech: whether what is said will be written down.
        fast: whether key frames are enough, for a quick and coarse look at films.
    """

    pixels: int | None = None
    text_tokens: int | None = None
    sample_rate: int | None = None
    window_s: float | None = None
    speech: bool = False
    fast: bool = False


@dataclass(frozen=True, slots=True)
class Compute:
    """What an encoder computes with: as asked for, or as it turned out.

    Attributes:
        device: ``auto`` (the first GPU if there is one), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: of its numbers; ``auto`` is the quickest that keeps to `Encoder.tolerance`.
        threads: of one run on a processor; None leaves it to the machine.
    """

    device: str = "auto"
    precision: Precision = "auto"
    threads: int | None = None

    def __str__(self) -> str:
        return f"{self.device}, {self.precision}"


@dataclass(frozen=True, slots=True)
class Alias:
    """Another encoder of a space, for queries: an export of the same weights.

    Attributes:
        encoder: its URL, as the registry opens it (``onnx:/home/me/clip``).
        fingerprint: its own, when its probes were found to agree.
        modalities: what it encodes.
    """

    encoder: str
    fingerprint: str
    modalities: tuple[Modality, ...]


@dataclass(frozen=True, slots=True)
class Channel:
    """(space, modality), with the encoder that fills it.

    Attributes:
        encoder: the encoder's URL, as the registry opens it (``starter:``).
        fingerprint: the encoder's, when the channel was made.
        aliases: exports whose probes agreed; a query takes the first that is here.
    """

    space: str
    modality: Modality
    dim: int
    encoder: str
    fingerprint: str
    aliases: tuple[Alias, ...] = ()

    @property
    def key(self) -> str:
        """``space/modality``: its folder under ``vectors/`` and its name in every message."""
        return f"{self.space}/{self.modality}"


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open ``[start, end)`` part of an asset: code points of a text, seconds of a film.

    The document's kind tells which: see `TIMED_KINDS`.
    """

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A key frame: its time in seconds, and the small picture as a JPEG."""

    time_s: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """A document before it knows its asset and channel: what a modality gives.

    Attributes:
        inputs: 1..m encoder inputs (a text; an (h, w, 3) uint8 RGB picture; a `Sound`); several
            are pooled into one vector by their normalised mean.
        text: what can be found by its words, if anything.
        thumbnail: of its key frame, if it is a shot.
    """

    kind: Kind
    inputs: tuple[Any, ...]
    span: Span | None = None
    text: str | None = None
    thumbnail: Thumbnail | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """The unit that is encoded and ranked. Make one with `Document.of`, which gives it its id."""

    id: str
    asset: str
    kind: Kind
    channel: str
    span: Span | None = None
    text: str | None = None

    @property
    def is_caption(self) -> bool:
        """Whether it is a caption of its asset, rather than a part of its bytes."""
        return self.kind == "passage" and self.span is None

    @classmethod
    def of(
        cls, asset: str, kind: Kind, channel: str, span: Span | None = None, text: str | None = None
    ) -> Document:
        """Make the document with its id: 32 hex characters of BLAKE2b-128."""
        parts = json.dumps(
            [
                asset,
                kind,
                channel,
                None if span is None else [float(span.start), float(span.end)],
                None if text is None else hashlib.sha256(text.encode("utf-8")).hexdigest(),
            ]
        )
        digest = hashlib.blake2b(parts.encode("ascii"), digest_size=16).hexdigest()
        return cls(digest, asset, kind, channel, span, text)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One place where an asset was seen, with what is known of it there.

    Attributes:
        uri: its name; `path_of` gives the file's path.
        fields: metadata to filter by and to show; ``modality`` is always there.
        captions: descriptions given beside the file or inside it.
    """

    uri: str
    asset: str
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    captions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """What a file says about itself: metadata fields, and captions written into it."""

    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    captions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranking:
    """A ranked list of ids: scores fall (or stay), ties are in the order of the ids.

    Attributes:
        ids: document ids, or group keys after grouping.
        scores: (n,) float32, as many as ids; higher is better.
    """

    ids: tuple[str, ...]
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Background:
    """Mean and spread of a channel's scores for queries that have nothing to do with it.

    Attributes:
        documents: how many the channel held when this was measured.
    """

    mean: float
    std: float
    documents: int = 0


@dataclass(frozen=True, slots=True)
class TooMany:
    """More documents pass a filter than the caller asked to be told of."""

    limit: int


# The filter tree. A comparison with an absent field is false, and NOT of it true. So many levels of
# And, Or and Not may lie above a comparison; every store compiles as many, and one more.
MAX_FILTER_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Compare:
    """``field op value``; text compares by code points, booleans only by = and !=."""

    field: str
    op: Literal["=", "!=", "<", "<=", ">", ">="]
    value: FieldValue


@dataclass(frozen=True, slots=True)
class Like:
    """``field LIKE pattern``: ``%`` any run, ``_`` any one character; ASCII case is folded."""

    field: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there (``IS NOT NULL``)."""

    field: str


@dataclass(frozen=True, slots=True)
class And:
    """Every term holds (of one and the same sighting)."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one term holds."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The term doesn't hold."""

    term: Filter


Filter = Compare | Like | Exists | And | Or | Not


def field_type(value: FieldValue) -> FieldType:
    """The type that a field gets when `value` is the first one seen.

    Text becomes a date when it reads as an ISO 8601 date, with or without a time.
    """
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "date" if _is_iso_date(value) else "text"


def _is_iso_date(text: str) -> bool:
    head, _, time = text.partition("T")
    year_month_day = head.split("-")
    return (
        [len(part) for part in year_month_day] == [4, 2, 2]
        and all(part.isascii() and part.isdigit() for part in year_month_day)
        and (not time or (len(time) >= 5 and time[:2].isdigit() and time[2] == ":"))
    )


def uri_of(path: str | os.PathLike[str]) -> str:
    """The file URI of a path, made absolute; undecodable bytes are kept, percent-encoded."""
    return "file://" + quote_from_bytes(os.fsencode(os.path.abspath(path)))


def is_here(uri: str) -> bool:
    """Whether a URI is that of a file on this machine; ``file://HOST/path`` lies on another."""
    return uri.startswith("file:///")


def path_of(uri: str) -> str:
    """The path of a file URI (with surrogate escapes where its bytes aren't valid UTF-8).

    Of a file on another machine: ``//HOST/path``, which is for showing.
    """
    there = uri.removeprefix("file://")
    return os.fsdecode(unquote_to_bytes(there if is_here(uri) else f"//{there}"))


def printable(text: str) -> str:
    """`text` in one printable line of valid Unicode: control and undecodable characters escaped."""
    clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in clean)

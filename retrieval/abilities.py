"""What some back ends can besides: optional protocols, asked for with ``isinstance``.

Gets and gives: types. Touches: nothing. Never: an implementation. Who asks for one of these goes on
without it; the laws of `protocols` hold for these methods, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from .schema import Document, Modality, Precision, Wants
from .timed import Stretch


@runtime_checkable
class Timed(Protocol):
    """A `ModalityReader` whose files have a length in time, and may be long: read by stretches.

    A stretch is a function of the file and its start alone, so whoever is killed in the middle of
    a film goes on in it, and gets what an undisturbed run gets.
    """

    def stretch(
        self, file: BinaryIO, wants: Wants, start: float, beside: Mapping[str, bytes]
    ) -> Stretch:
        """Read on from `start`, which is 0 or what the stretch before gave as `following`.

        Args:
            file: seekable.
            wants: what the encoders look at; documents that none takes are left out.
            start: in seconds.
            beside: subtitles and transcripts beside the file, by name.
        """
        ...


@runtime_checkable
class Exportable(Protocol):
    """An encoder whose towers can be written in the layout that `onnx:` serves."""

    def export(self, folder: Path, towers: Sequence[Modality], precision: Precision) -> None:
        """Write towers into an empty folder; the caller compares their vectors.

        Raises `UsageError` for what can't be exported, `StoreUnreachableError` for a full disk.
        """
        ...


@runtime_checkable
class Knowing(Protocol):
    """A vector store that also keeps asset and kind of each document, in case nobody else can say.

    What it gives are documents without their texts.
    """

    def documents(self, ids: Sequence[str]) -> dict[str, Document]:
        """Those of the ids that were written with their documents."""
        ...

    def of_assets(self, assets: Sequence[str]) -> dict[str, list[Document]]:
        """Each asset's documents in this channel, by id; an absent asset is missing."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """Bytes that a collection keeps about itself, and their version, which each write changes."""

    data: bytes
    version: str


@runtime_checkable
class SharedStore(Protocol):
    """A document store that several machines reach: it keeps a collection's own records, too.

    The URI of a file on the machine that the store was opened on (`Place.host`) is as everywhere;
    that of a file on another one names it: ``file://HOST/path``.
    """

    def record(self, name: str) -> Record | None:
        """What was last put under a name, whether or not searches see it yet."""
        ...

    def put_record(self, name: str, data: bytes, *, replacing: str | None) -> Record:
        """Write a record over its version `replacing`; None: over none.

        Raises:
            LockedError: the version there is another. Nothing is written then.
        """
        ...

    def fence(self, token: str) -> None:
        """Refuse from now on what any store wrote under another token; this one's is `token`.

        Its own later writes raise `LockedError` once another has fenced. Records are not fenced.
        """
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """What a server says of itself.

    Attributes:
        product, version: ``Elasticsearch``, ``9.5.3``.
        lag: writes that searches don't see yet, or that an index doesn't hold yet; None: unknown.
        counts: how many of what it holds, by words for a person.
    """

    product: str
    version: str
    lag: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Served(Protocol):
    """A store on a server, which can be asked about it."""

    def service(self) -> Service:
        """Ask the server.

        Raises:
            StoreUnreachableError: it doesn't answer.
        """
        ...

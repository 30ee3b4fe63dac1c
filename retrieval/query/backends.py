"""The record of open stores and encoders that a query or an indexing run works on.

Gets: what `retrieval.collection` opened; it alone builds one. Gives: a frozen record. Touches:
nothing by itself; encoders load when first asked for. Never: knows which back end it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import NoReturn

from ..errors import MissingPartError
from ..manifest import Manifest
from ..probes import Probes
from ..protocols import AssetStore, DocumentStore, Encoder, Limits, VectorStore
from ..schema import Alias, Channel, Modality
from ..thumbnails import Thumbnails


class AbsentStore:
    """A store that isn't to be had: whatever is asked of it raises the error that says so."""

    def __init__(self, error: MissingPartError) -> None:
        self.error = error

    def __getattr__(self, name: str) -> NoReturn:
        raise self.error

    def close(self) -> None:
        """Nothing was opened."""


@dataclass(frozen=True)
class Backends:
    """One collection, opened.

    Attributes:
        directory: the collection's folder.
        vectors: a vector store for each channel key.
        encoder: gives a channel's encoder; one instance for all channels of one encoder URL.
        alias: gives an alias's encoder; None when it isn't here, or isn't the same any more.
        probes: gives what is kept of the encoder's built-in inputs.
        thumbnails: of the films that this machine has read.
        limits: what one input may cost, a query's picture as well as a file.
        proven: (encoder URL, modality) of each encoder that a query has compared with its probes.
        check: raises `LockedError` once this writer has lost the right to write.
        encoding: held by the one thread whose query is being encoded; see `protocols`.
    """

    directory: Path
    manifest: Manifest
    documents: DocumentStore
    vectors: Mapping[str, VectorStore]
    assets: AssetStore
    encoder: Callable[[Channel], Encoder]
    probes: Callable[[], Probes]
    thumbnails: Thumbnails
    limits: Limits = field(default_factory=Limits)
    alias: Callable[[Alias], Encoder | None] = lambda _alias: None
    proven: set[tuple[str, Modality]] = field(default_factory=set, compare=False)
    check: Callable[[], None] = lambda: None
    encoding: Lock = field(default_factory=Lock, compare=False)

    def close(self) -> None:
        """Close every store."""
        for vectors in self.vectors.values():
            vectors.close()
        self.documents.close()
        self.assets.close()
        self.thumbnails.close()

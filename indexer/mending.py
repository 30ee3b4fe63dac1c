"""What `verify` has found to mend, gathered and then done at once.

Gets: ids and assets, one finding at a time. Gives: nothing. Touches: nothing until `Mending.do`,
which writes to ledger and stores. Never: looks for damage.

Nothing is written while a store is being read through, and each store is asked once for all. The
ledger is told first which files must be done again: killed after that, the next run does them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from retrieval.query.backends import Backends
from retrieval.schema import Document

from .ledger import CHUNK, Ledger
from .write import Writer

_ID_BYTES = 32  # of an asset's


class Mending:
    """What is to be mended of one collection.

    Attributes:
        redone: assets that the next run must do again, those of steps that are done included.
    """

    def __init__(self, backends: Backends, ledger: Ledger, writer: Writer) -> None:
        self.redone: set[str] = set()
        self._backends = backends
        self._ledger = ledger
        self._writer = writer
        self._begin()

    def _begin(self) -> None:
        self._assets: set[str] = set()
        self._documents: list[str] = []
        self._vectors: dict[str, list[str]] = defaultdict(list)
        self._copies: list[str] = []
        self._astray: set[str] = set()

    def redo(self, asset: str) -> None:
        """Have the next run do an asset's files again."""
        self._assets.add(asset)
        self.redone.add(asset)

    def take_out(self, document: Document) -> None:
        """Take a document and its vector out, and have its asset done again."""
        self.redo(document.asset)
        self._documents.append(document.id)
        if document.channel:
            self._vectors[document.channel].append(document.id)

    def drop_vector(self, channel: str, name: str) -> None:
        """Take a vector out that belongs to no document."""
        self._vectors[channel].append(name)

    def drop_copy(self, asset: str) -> None:
        """Take the copy of an asset out."""
        self._copies.append(asset)

    def reconcile(self, asset: str) -> None:
        """Make an asset's documents follow its sightings; see `Writer.reconcile`."""
        self._astray.add(asset)

    def do(self) -> None:
        """Do what was gathered."""
        if self._assets:
            self._ledger.redo(self._assets)
        if self._documents:
            self._backends.documents.delete(self._documents)
        for channel, names in self._vectors.items():
            self._backends.vectors[channel].delete(names)
        for asset in self._copies:
            self._backends.assets.delete(asset)
        for asset in sorted(self._astray):
            self._writer.reconcile(asset)
        if self._astray:
            self._writer.forget_thumbnails()
        self._begin()


class Copies:
    """The ids of the copies that an asset store keeps, read once: 32 bytes each."""

    def __init__(self, ids: Iterable[str]) -> None:
        raw = bytearray()
        for asset in ids:
            raw += bytes.fromhex(asset)
        self._ids = np.sort(np.frombuffer(raw, f"S{_ID_BYTES}"))

    def lacking(self, assets: Sequence[str]) -> set[str]:
        """Those of the assets that have no copy."""
        wanted = np.frombuffer(bytes.fromhex("".join(assets)), self._ids.dtype)
        there = np.isin(wanted, self._ids, kind="sort")
        return {asset for asset, is_there in zip(assets, there, strict=True) if not is_there}

    def chunks(self) -> Iterator[list[str]]:
        """All ids, sorted, some at a time."""
        raw = self._ids.tobytes()
        step = CHUNK * _ID_BYTES
        for start in range(0, len(raw), step):
            text = raw[start : start + step].hex()
            width = 2 * _ID_BYTES
            yield [text[place : place + width] for place in range(0, len(text), width)]

"""What `remove` took out, a second time: the ledger may be lost, and then nothing else knows it.

Gets: the collection's folder; its document store. Gives: URIs; assets. Touches: ``removed.json``,
written whole or not at all; the record ``removed`` of a store that machines share. Never: anything
else.

The list is written before the ledger says so and read only where the ledger is new. The record
names the assets that were removed by their ids: these are out on every machine, whose ledger
follows when it writes next, and stay out until one of their files is restored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from retrieval.abilities import Record, SharedStore
from retrieval.durable import replace_file
from retrieval.errors import CorruptError
from retrieval.protocols import DocumentStore

from .ledger import Ledger
from .rows import Row

NAME = "removed.json"
RECORD = "removed"  # in a document store that machines share


class RemovedAssets:
    """The assets that were removed by their ids; none where the document store isn't shared."""

    def __init__(self, documents: DocumentStore) -> None:
        """Read the record.

        Raises:
            CorruptError: it makes no sense.
        """
        self._store = documents if isinstance(documents, SharedStore) else None
        self._record: Record | None = self._store.record(RECORD) if self._store else None
        self._assets = _assets_of(self._record)

    def __contains__(self, asset: object) -> bool:
        return asset in self._assets

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._assets))

    def add(self, assets: Iterable[str]) -> None:
        """Have every machine leave these out from now on."""
        self._keep(self._assets.union(assets))

    def discard(self, asset: str) -> None:
        """Let one in again."""
        self._keep(self._assets - {asset})

    def follow(self, other: RemovedAssets) -> None:
        """Be as another store has them, when a collection has moved from it."""
        if other._store is not None:
            self._keep(set(other))

    def _keep(self, assets: set[str]) -> None:
        if self._store is None or assets == self._assets:
            return
        replacing = self._record.version if self._record else None
        data = json.dumps(sorted(assets)).encode()
        self._record = self._store.put_record(RECORD, data, replacing=replacing)
        self._assets = assets


def _assets_of(record: Record | None) -> set[str]:
    if record is None:
        return set()
    try:
        assets = json.loads(record.data)
    except ValueError:
        assets = None
    if not isinstance(assets, list) or not all(isinstance(asset, str) for asset in assets):
        raise CorruptError(
            "The record of removed assets in the document store makes no sense.",
            advice="Update Echolens on every machine that writes to the collection.",
        )
    return set(assets)


def read_removed(directory: Path) -> set[str]:
    """The URIs; none where nothing was ever removed.

    Raises:
        CorruptError: the file is damaged.
    """
    path = directory / NAME
    try:
        uris = json.loads(path.read_bytes())
    except FileNotFoundError:
        return set()
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
        raise _damaged(path, "it holds no list of URIs")
    return set(uris)


def write_removed(directory: Path, uris: Iterable[str]) -> None:
    """Replace the list: durable when it returns."""
    replace_file(directory / NAME, json.dumps(sorted(uris), indent=0).encode())


def removed_in(ledger: Ledger) -> set[str]:
    """The URIs that the ledger knows to be removed."""
    return {row.uri for row in ledger.scan("erased")}


def teach(directory: Path, ledger: Ledger) -> None:
    """Tell a ledger that knows nothing what was removed.

    Raises:
        CorruptError: the list is damaged.
    """
    if ledger.is_empty():
        ledger.put(Row(uri, "", None, "", "erased") for uri in sorted(read_removed(directory)))


def _damaged(path: Path, how: str) -> CorruptError:
    return CorruptError(f"{path} is damaged: {how}.", advice="Run `echolens verify --repair`.")

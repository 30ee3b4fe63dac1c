"""Which rows a write changes: those given, and the documents that carry what it changes.

Gets: documents, sightings, URIs. Gives: actions for a bulk request. Touches: the index, reading.
Never: writes.

A row that is there as it should be isn't written again: so writing twice changes nothing, and no
score either.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from ...schema import Document, Sighting
from . import rows as rows_of
from .connection import Action, Connection
from .reading import either, rows
from .rows import (
    Row,
    carried,
    document_of,
    document_row,
    dumped,
    sighting_key,
    sighting_row,
    stored_uri,
)


class Plan:
    """What is known of the assets concerned, and what is to become of them."""

    def __init__(self, connection: Connection, host: str) -> None:
        self._connection = connection
        self._host = host
        self._known: dict[str, Row] = {}  # by key
        self._read: set[str] = set()  # assets whose rows are all known

    def upsert(self, documents: Sequence[Document], sightings: Sequence[Sighting]) -> list[Action]:
        """The actions that write documents and sightings; the last of each id counts."""
        given = {rows_of.document_key(document.id): document for document in documents}
        moved = {
            sighting_key(stored_uri(sighting.uri, self._host)): sighting for sighting in sightings
        }
        assets = {one.asset for one in documents} | {one.asset for one in sightings}
        self._learn(assets, list(moved))
        self._learn({row["asset"] for row in self._known.values()}, ())
        now = time.time_ns() // 1_000  # whole numbers that a double holds
        wanted = {
            key: sighting_row(
                sighting, self._host, self._known.get(key, {}).get("first", now + place)
            )
            for place, (key, sighting) in enumerate(moved.items())
        }
        return self._actions(given, wanted, gone=())

    def forget(self, uris: Sequence[str]) -> list[Action]:
        """The actions that delete sightings; none where nothing is to be deleted."""
        keys = [sighting_key(stored_uri(uri, self._host)) for uri in uris]
        self._learn(set(), keys)
        gone = [key for key in dict.fromkeys(keys) if key in self._known]
        self._learn({self._known[key]["asset"] for key in gone}, ())
        return [*rows_of.deleting(gone), *self._actions({}, {}, gone=gone)] if gone else []

    def _learn(self, assets: set[str], keys: Sequence[str]) -> None:
        """Read all rows of assets, and those rows."""
        for condition in either("asset", sorted(assets - self._read), "key", keys):
            self._known.update((row["key"], row) for row in rows(self._connection, condition))
        self._read |= assets

    def _actions(
        self, given: dict[str, Document], wanted: dict[str, Row], *, gone: Iterable[str]
    ) -> list[Action]:
        sightings = {key: row for key, row in self._known.items() if row["t"] == "s"}
        sightings.update(wanted)
        for key in gone:
            sightings.pop(key, None)
        of_asset: dict[str, list[Row]] = defaultdict(list)
        for row in sightings.values():
            of_asset[row["asset"]].append(row)
        documents = {key: document_of(row) for key, row in self._known.items() if row["t"] == "d"}
        documents.update(given)
        of = {one.asset for one in documents.values()}
        carries = {asset: carried(of_asset.get(asset, ())) for asset in of}
        every = [document_row(one, carries[one.asset]) for one in documents.values()]
        return [rows_of.writing(row) for row in self._changed([*wanted.values(), *every])]

    def _changed(self, wanted: Iterable[Row]) -> Iterator[Row]:
        for row in wanted:
            known = self._known.get(row["key"])
            if known is None or dumped(known) != dumped(row):
                yield row

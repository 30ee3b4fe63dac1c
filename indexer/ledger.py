"""The ledger: what became of every file that a collection was given.

Gets: rows. Gives: rows. Touches: ``ledger.sqlite`` alone. Never: a store of the collection.

A row is written after everything it speaks of is durable, so a row that is there is true. What
must be finished survives a crash as an intent, written down before it begins: an asset that is on
its way into the stores, or whose sightings change, is looked at again at the end of the run or at
the start of the next one, and a document that is being deleted goes from every store.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from itertools import islice
from pathlib import Path
from typing import TypeVar

from retrieval.schema import Document, SkipReason

from .ledger_file import LedgerFile
from .rows import Done, Row, row_of
from .schema import Outcome

CHUNK = 500

T = TypeVar("T")


class Ledger:
    """The ledger of one collection. One thread uses it."""

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self._file = LedgerFile(directory, read_only=read_only)

    # What is known

    def rows(self, uris: Sequence[str]) -> dict[str, Row]:
        """The rows of those URIs that have one."""
        with self._file.errors():
            found = self._file.connection.execute(
                "SELECT files.* FROM json_each(?) JOIN files ON uri = value", [json.dumps(uris)]
            )
            return {row.uri: row for row in map(row_of, found)}

    def made(self, asset: str, recipe: str) -> Iterator[Row]:
        """The rows of the files that have an asset which was indexed by this recipe."""
        for row in self.holding(asset):
            if row.recipe == recipe and row.outcome in ("indexed", "duplicate"):
                yield row

    def holding(self, asset: str) -> Iterator[Row]:
        """The rows of the files that have an asset."""
        with self._file.errors():
            yield from map(
                row_of,
                self._file.connection.execute(
                    "SELECT * FROM files WHERE asset = ? AND outcome != 'erased'", [asset]
                ),
            )

    def scan(self, outcome: Outcome | None = None) -> Iterator[Row]:
        """All rows (of one outcome), in the order of their URIs."""
        condition, values = ("WHERE outcome = ?", [outcome]) if outcome else ("", [])
        with self._file.errors():
            yield from map(
                row_of,
                self._file.connection.execute(
                    f"SELECT * FROM files {condition} ORDER BY uri",  # noqa: S608 (constants)
                    values,
                ),
            )

    def outcomes(self) -> dict[tuple[Outcome, SkipReason | None], int]:
        """How many files there are of each outcome and reason."""
        with self._file.errors():
            counts = self._file.connection.execute(
                "SELECT outcome, reason, count(*) FROM files GROUP BY 1, 2"
            )
            return {
                (outcome, SkipReason(reason) if reason else None): count
                for outcome, reason, count in counts
            }

    def arrivals(self) -> list[tuple[str, str, str]]:
        """(asset, document id, channel) of what was on its way when a run ended early.

        Id and channel are empty for an asset whose documents were not known yet.
        """
        with self._file.errors():
            return self._file.connection.execute(
                "SELECT asset, document, channel FROM arrivals ORDER BY asset, document"
            ).fetchall()

    def stretches(self, asset: str, making: str) -> list[Done]:
        """What is done of a film that was begun so, in its order; see `Done.making`."""
        with self._file.errors():
            found = self._file.connection.execute(
                "SELECT * FROM stretches WHERE asset = ? AND recipe = ? ORDER BY start",
                [asset, making],
            )
            return [
                Done(asset, start, making, following, tuple(json.loads(documents)), script)
                for asset, start, making, following, documents, script in found
            ]

    def begun(self) -> set[str]:
        """Assets of films that aren't done to their ends."""
        with self._file.errors():
            found = self._file.connection.execute("SELECT DISTINCT asset FROM stretches")
            return {asset for (asset,) in found}

    def check(self) -> None:
        """Read everything.

        Raises:
            CorruptError: the file is damaged.
        """
        with self._file.errors():
            (message,) = self._file.connection.execute("PRAGMA integrity_check(1)").fetchone()
            for row in self.scan():
                for text in filter(None, (row.signature, row.given)):
                    json.loads(text)
            self.deletions()
        if message != "ok":
            raise self._file.damaged(str(message))

    def is_empty(self) -> bool:
        """Whether it knows no file."""
        with self._file.errors():
            return self._file.connection.execute("SELECT 1 FROM files LIMIT 1").fetchone() is None

    def waiting(self) -> list[str]:
        """URIs of the files that hold an asset and must be indexed again; see `redo`."""
        with self._file.errors():
            found = self._file.connection.execute(
                "SELECT uri FROM files WHERE asset IS NOT NULL AND recipe = '' "
                "AND outcome IN ('indexed', 'duplicate') ORDER BY uri"
            )
            return [uri for (uri,) in found]

    def roots(self) -> list[str]:
        """Folders that were indexed."""
        with self._file.errors():
            found = self._file.connection.execute("SELECT path FROM roots ORDER BY path")
            return [os.fsdecode(path) for (path,) in found]

    def rechecks(self) -> list[str]:
        """Assets whose sightings changed and whose documents have not yet followed."""
        with self._file.errors():
            return [
                asset
                for (asset,) in self._file.connection.execute(
                    "SELECT asset FROM rechecks ORDER BY asset"
                )
            ]

    # What is written

    def put(self, rows: Iterable[Row]) -> None:
        """Write rows by URI."""
        with self._file.transaction() as connection:
            _put(connection, rows)

    def intend_arrivals(self, arriving: Iterable[tuple[str, str, str]]) -> None:
        """Write down, before it happens, that these (asset, document id, channel) are written."""
        with self._file.transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO arrivals VALUES (?, ?, ?)", arriving)

    def remake(self, entries: Iterable[tuple[str, str, str]]) -> None:
        """Write down, before it happens, that (asset, recipe, URI) gets other documents.

        Until that is done its documents are of two kinds, so no file of it counts as done.
        """
        with self._file.transaction() as connection:
            connection.executemany(
                "UPDATE files SET recipe = '' WHERE asset = ? AND (recipe != ? OR uri = ?) "
                "AND outcome IN ('indexed', 'duplicate')",
                entries,
            )

    def arrived(self, rows: Iterable[Row], begun: Iterable[Done] = ()) -> None:
        """Write the rows of what is durable now; nothing is on its way any more.

        Args:
            rows: of files; of the films that are done to the end no stretch needs to be known.
            begun: stretches of films that aren't. Their files' rows say that they are to be redone.
        """
        begun = list(begun)
        rows = list(rows)
        unfinished = {done.asset for done in begun}
        with self._file.transaction() as connection:
            _put(connection, rows)
            connection.executemany(
                "DELETE FROM stretches WHERE asset = ?",
                ((r.asset,) for r in rows if r.asset and r.asset not in unfinished),
            )
            connection.executemany(
                "DELETE FROM stretches WHERE asset = ? AND recipe != ?",
                ((done.asset, done.making) for done in begun),
            )
            connection.executemany(
                "INSERT OR REPLACE INTO stretches VALUES (?,?,?,?,?,?)",
                (
                    (d.asset, d.start, d.making, d.following, json.dumps(d.documents), d.script)
                    for d in begun
                ),
            )
            connection.execute("DELETE FROM arrivals")

    def depart(self, rows: Iterable[Row]) -> None:
        """Forget files, and write down that their sightings and assets must follow."""
        leaving = list(rows)
        uris = [(row.uri,) for row in leaving]
        with self._file.transaction() as connection:
            _intend_recheck(connection, (row.asset for row in leaving if row.asset))
            connection.executemany("INSERT OR IGNORE INTO departures VALUES (?)", uris)
            connection.executemany("DELETE FROM files WHERE uri = ?", uris)

    def departed(self, uris: Sequence[str]) -> set[str]:
        """Those of the URIs that were forgotten on purpose, and whose sightings may still stand."""
        with self._file.errors():
            found = self._file.connection.execute(
                "SELECT uri FROM json_each(?) JOIN departures ON uri = value", [json.dumps(uris)]
            )
            return {uri for (uri,) in found}

    def close_departures(self) -> None:
        """Their sightings are gone."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM departures")

    def mark_missing(self, uris: Iterable[str]) -> None:
        """Note that files can't be seen now."""
        with self._file.transaction() as connection:
            connection.executemany(
                "UPDATE files SET missing = 1 WHERE uri = ?", ((uri,) for uri in uris)
            )

    def redo(self, assets: Iterable[str]) -> None:
        """Have the next run that meets a file of these assets read it as if it were new."""
        with self._file.transaction() as connection:
            for asset in assets:
                connection.execute(
                    "UPDATE files SET recipe = '', signature = '' WHERE asset = ?", [asset]
                )
                connection.execute("DELETE FROM stretches WHERE asset = ?", [asset])

    def redo_all(self) -> None:
        """The same for every file that has an asset."""
        with self._file.transaction() as connection:
            connection.execute(
                "UPDATE files SET recipe = '', signature = '' WHERE asset IS NOT NULL"
            )
            connection.execute("DELETE FROM stretches")

    def intend_recheck(self, assets: Iterable[str]) -> None:
        """Write down, before it happens, that these assets' sightings change."""
        with self._file.transaction() as connection:
            _intend_recheck(connection, assets)

    def close_recheck(self, assets: Iterable[str]) -> None:
        """Their documents have followed."""
        with self._file.transaction() as connection:
            connection.executemany(
                "DELETE FROM rechecks WHERE asset = ?", ((asset,) for asset in assets)
            )

    def forget_stretches(self, asset: str) -> None:
        """Nothing is done any more of a film whose documents go."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM stretches WHERE asset = ?", [asset])

    def intend_deletion(self, documents: Iterable[Document]) -> None:
        """Write down, before it happens, that these documents go, and their vectors."""
        with self._file.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO deletions VALUES (?, ?)",
                ((document.id, document.channel) for document in documents),
            )

    def deletions(self) -> list[tuple[str, str]]:
        """(document id, channel) of deletions that were begun."""
        with self._file.errors():
            return self._file.connection.execute(
                "SELECT document, channel FROM deletions ORDER BY document"
            ).fetchall()

    def close_deletions(self) -> None:
        """They are gone from every store."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM deletions")

    # What a run met

    def see(self, uris: Sequence[str]) -> None:
        """Remember for this run that these files were met."""
        with self._file.errors():
            self._file.connection.execute(
                "INSERT OR IGNORE INTO temp.seen "
                "SELECT value, value IN (SELECT uri FROM main.files) FROM json_each(?)",
                [json.dumps(uris)],
            )

    def seen(self, uris: Sequence[str]) -> set[str]:
        """Those of the URIs that this run has met before."""
        with self._file.errors():
            found = self._file.connection.execute(
                "SELECT uri FROM json_each(?) JOIN temp.seen ON uri = value", [json.dumps(uris)]
            )
            return {uri for (uri,) in found}

    def unseen(self, root_uri: str) -> Iterator[Row]:
        """Rows of the file `root_uri` or below it that this run has not met."""
        # "/" follows "." and precedes "0" in ASCII: [root/, root0) are the paths below root.
        below = root_uri.rstrip("/")
        with self._file.errors():
            yield from map(
                row_of,
                self._file.connection.execute(
                    "SELECT * FROM files WHERE (uri = ? OR (uri >= ? AND uri < ?)) "
                    "AND uri NOT IN (SELECT uri FROM temp.seen) ORDER BY uri",
                    [root_uri, below + "/", below + "0"],
                ),
            )

    def has_met_known(self, root_uri: str) -> bool:
        """Whether this run met a file below `root_uri` that an earlier run had met."""
        below = root_uri.rstrip("/")
        with self._file.errors():
            found = self._file.connection.execute(
                "SELECT 1 FROM temp.seen WHERE uri > ? AND uri < ? AND known LIMIT 1",
                [below + "/", below + "0"],
            )
            return found.fetchone() is not None

    def device(self, root: bytes) -> int | None:
        """The device number on which a root was last seen with files."""
        with self._file.errors():
            row = self._file.connection.execute(
                "SELECT device FROM roots WHERE path = ?", [root]
            ).fetchone()
            return None if row is None else int(row[0])

    def put_device(self, root: bytes, device: int) -> None:
        """Remember it."""
        with self._file.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO roots VALUES (?, ?)", [root, device])

    def close(self) -> None:
        """Close the file."""
        self._file.connection.close()


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """The items in their order, so many at a time as a store or the ledger is asked about."""
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _intend_recheck(connection: sqlite3.Connection, assets: Iterable[str]) -> None:
    connection.executemany("INSERT OR IGNORE INTO rechecks VALUES (?)", ((a,) for a in assets))


def _put(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?,?)", map(astuple, rows)
    )

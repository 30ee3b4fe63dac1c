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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from retrieval import sqlite_files
from retrieval.errors import CorruptError
from retrieval.schema import Document, SkipReason

from .schema import Outcome

FORMAT = 1
NAME = "ledger.sqlite"
CHUNK = 500
WAIT_S = 5.0  # for another connection's commit

_SCHEMA = """
CREATE TABLE files (
    uri TEXT PRIMARY KEY,
    signature TEXT NOT NULL,
    asset TEXT,
    recipe TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT,
    message TEXT NOT NULL,
    given TEXT,
    missing INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX files_asset ON files (asset);
CREATE INDEX files_outcome ON files (outcome) WHERE outcome IN ('skipped', 'erased');
CREATE TABLE arrivals (asset TEXT, document TEXT, channel TEXT, PRIMARY KEY (asset, document))
    WITHOUT ROWID;
CREATE TABLE departures (uri TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE rechecks (asset TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE deletions (document TEXT PRIMARY KEY, channel TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE roots (path BLOB PRIMARY KEY, device INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One file.

    Attributes:
        signature: its stat and its sidecars', as text; equal means unchanged.
        asset: the hash of its bytes, when they could be read.
        recipe: how it was turned into documents.
        reason: why it was skipped.
        message: the same in words; of an indexed file, what was odd about it.
        given: what its source said of it, as `Given.dump` writes it.
        missing: its root couldn't be seen when it was last looked for.
    """

    uri: str
    signature: str
    asset: str | None
    recipe: str
    outcome: Outcome
    reason: SkipReason | None = None
    message: str = ""
    given: str | None = None
    missing: bool = False


class Ledger:
    """The ledger of one collection. One thread uses it."""

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self._path = directory / NAME
        self._connection = self._open(read_only)

    def _open(self, read_only: bool) -> sqlite3.Connection:
        with self._errors():
            connection = self._connect(read_only)
            try:
                if read_only and _version(connection) == 0:  # no writer has made it yet
                    connection.close()
                    connection = sqlite3.connect(":memory:", isolation_level=None)
                self._prepare(connection, read_only)
            except BaseException:
                connection.close()
                raise
        return connection

    def _connect(self, read_only: bool) -> sqlite3.Connection:
        if not read_only:
            return sqlite_files.open_for_writing(self._path, make=True, wait_s=WAIT_S)
        if not self._path.exists():
            return sqlite3.connect(":memory:", isolation_level=None)
        return sqlite_files.open_for_reading(self._path, wait_s=WAIT_S)

    def _prepare(self, connection: sqlite3.Connection, read_only: bool) -> None:
        version = sqlite_files.version_of(connection, self._path, FORMAT)
        if not read_only:
            sqlite_files.prepare_for_writing(connection, self._path)
        if version == 0:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
        connection.execute(
            "CREATE TEMP TABLE seen (uri TEXT PRIMARY KEY, known INTEGER) WITHOUT ROWID"
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            kind = sqlite_files.kind_of(error)
            if kind is None:
                raise  # a mistake in the calling code, not in the file
            if kind is CorruptError:
                raise self._damaged(str(error)) from error
            raise kind(
                f"{self._path} can't be used: {error}.",
                advice="Make room or allow writing there, then run the same command again.",
            ) from error
        except ValueError as error:  # a value that no writer wrote
            raise self._damaged(str(error)) from error

    def _damaged(self, how: str) -> CorruptError:
        return CorruptError(
            f"{self._path} is damaged: {how}.", advice="Run `echolens verify --repair`."
        )

    @staticmethod
    def discard(directory: Path) -> None:
        """Delete a ledger that is beyond reading."""
        sqlite_files.remove(directory / NAME)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:  # a full disk makes SQLite undo it by itself
                    self._connection.execute("ROLLBACK")

    # What is known

    def rows(self, uris: Sequence[str]) -> dict[str, Row]:
        """The rows of those URIs that have one."""
        with self._errors():
            found = self._connection.execute(
                "SELECT files.* FROM json_each(?) JOIN files ON uri = value", [json.dumps(uris)]
            )
            return {row.uri: row for row in map(_row, found)}

    def holds(self, asset: str, recipe: str) -> bool:
        """Whether an asset was indexed by this recipe from a file that still has it."""
        with self._errors():
            return (
                self._connection.execute(
                    "SELECT 1 FROM files WHERE asset = ? AND recipe = ? "
                    "AND outcome IN ('indexed', 'duplicate') LIMIT 1",
                    [asset, recipe],
                ).fetchone()
                is not None
            )

    def holding(self, asset: str) -> Iterator[Row]:
        """The rows of the files that have an asset."""
        with self._errors():
            yield from map(
                _row,
                self._connection.execute(
                    "SELECT * FROM files WHERE asset = ? AND outcome != 'erased'", [asset]
                ),
            )

    def scan(self, outcome: Outcome | None = None) -> Iterator[Row]:
        """All rows (of one outcome), in the order of their URIs."""
        condition, values = ("WHERE outcome = ?", [outcome]) if outcome else ("", [])
        with self._errors():
            yield from map(
                _row,
                self._connection.execute(
                    f"SELECT * FROM files {condition} ORDER BY uri",  # noqa: S608 (constants)
                    values,
                ),
            )

    def outcomes(self) -> dict[tuple[Outcome, SkipReason | None], int]:
        """How many files there are of each outcome and reason."""
        with self._errors():
            counts = self._connection.execute(
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
        with self._errors():
            return self._connection.execute(
                "SELECT asset, document, channel FROM arrivals ORDER BY asset, document"
            ).fetchall()

    def check(self) -> None:
        """Read everything.

        Raises:
            CorruptError: the file is damaged.
        """
        with self._errors():
            (message,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
            for row in self.scan():
                for text in filter(None, (row.signature, row.given)):
                    json.loads(text)
            self.deletions()
        if message != "ok":
            raise self._damaged(str(message))

    def is_empty(self) -> bool:
        """Whether it knows no file."""
        with self._errors():
            return self._connection.execute("SELECT 1 FROM files LIMIT 1").fetchone() is None

    def waiting(self) -> list[str]:
        """URIs of the files that hold an asset and must be indexed again; see `redo`."""
        with self._errors():
            found = self._connection.execute(
                "SELECT uri FROM files WHERE asset IS NOT NULL AND recipe = '' "
                "AND outcome IN ('indexed', 'duplicate') ORDER BY uri"
            )
            return [uri for (uri,) in found]

    def roots(self) -> list[str]:
        """Folders that were indexed."""
        with self._errors():
            found = self._connection.execute("SELECT path FROM roots ORDER BY path")
            return [os.fsdecode(path) for (path,) in found]

    def rechecks(self) -> list[str]:
        """Assets whose sightings changed and whose documents have not yet followed."""
        with self._errors():
            return [
                asset
                for (asset,) in self._connection.execute(
                    "SELECT asset FROM rechecks ORDER BY asset"
                )
            ]

    # What is written

    def put(self, rows: Iterable[Row]) -> None:
        """Write rows by URI."""
        with self._transaction() as connection:
            _put(connection, rows)

    def intend_arrivals(self, arriving: Iterable[tuple[str, str, str]]) -> None:
        """Write down, before it happens, that these (asset, document id, channel) are written."""
        with self._transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO arrivals VALUES (?, ?, ?)", arriving)

    def arrived(self, rows: Iterable[Row]) -> None:
        """Write the rows of what is durable now; nothing is on its way any more."""
        with self._transaction() as connection:
            _put(connection, rows)
            connection.execute("DELETE FROM arrivals")

    def depart(self, rows: Iterable[Row]) -> None:
        """Forget files, and write down that their sightings and assets must follow."""
        leaving = list(rows)
        uris = [(row.uri,) for row in leaving]
        with self._transaction() as connection:
            _intend_recheck(connection, (row.asset for row in leaving if row.asset))
            connection.executemany("INSERT OR IGNORE INTO departures VALUES (?)", uris)
            connection.executemany("DELETE FROM files WHERE uri = ?", uris)

    def departed(self, uris: Sequence[str]) -> set[str]:
        """Those of the URIs that were forgotten on purpose, and whose sightings may still stand."""
        with self._errors():
            found = self._connection.execute(
                "SELECT uri FROM json_each(?) JOIN departures ON uri = value", [json.dumps(uris)]
            )
            return {uri for (uri,) in found}

    def close_departures(self) -> None:
        """Their sightings are gone."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM departures")

    def mark_missing(self, uris: Iterable[str]) -> None:
        """Note that files can't be seen now."""
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE files SET missing = 1 WHERE uri = ?", ((uri,) for uri in uris)
            )

    def redo(self, assets: Iterable[str]) -> None:
        """Have the next run that meets a file of these assets read it as if it were new."""
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE files SET recipe = '', signature = '' WHERE asset = ?",
                ((asset,) for asset in assets),
            )

    def redo_all(self) -> None:
        """The same for every file that has an asset."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE files SET recipe = '', signature = '' WHERE asset IS NOT NULL"
            )

    def intend_recheck(self, assets: Iterable[str]) -> None:
        """Write down, before it happens, that these assets' sightings change."""
        with self._transaction() as connection:
            _intend_recheck(connection, assets)

    def close_recheck(self, assets: Iterable[str]) -> None:
        """Their documents have followed."""
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM rechecks WHERE asset = ?", ((asset,) for asset in assets)
            )

    def intend_deletion(self, documents: Iterable[Document]) -> None:
        """Write down, before it happens, that these documents go, and their vectors."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO deletions VALUES (?, ?)",
                ((document.id, document.channel) for document in documents),
            )

    def deletions(self) -> list[tuple[str, str]]:
        """(document id, channel) of deletions that were begun."""
        with self._errors():
            return self._connection.execute(
                "SELECT document, channel FROM deletions ORDER BY document"
            ).fetchall()

    def close_deletions(self) -> None:
        """They are gone from every store."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM deletions")

    # What a run met

    def see(self, uris: Sequence[str]) -> None:
        """Remember for this run that these files were met."""
        with self._errors():
            self._connection.execute(
                "INSERT OR IGNORE INTO temp.seen "
                "SELECT value, value IN (SELECT uri FROM main.files) FROM json_each(?)",
                [json.dumps(uris)],
            )

    def seen(self, uris: Sequence[str]) -> set[str]:
        """Those of the URIs that this run has met before."""
        with self._errors():
            found = self._connection.execute(
                "SELECT uri FROM json_each(?) JOIN temp.seen ON uri = value", [json.dumps(uris)]
            )
            return {uri for (uri,) in found}

    def unseen(self, root_uri: str) -> Iterator[Row]:
        """Rows of the file `root_uri` or below it that this run has not met."""
        # "/" follows "." and precedes "0" in ASCII: [root/, root0) are the paths below root.
        below = root_uri.rstrip("/")
        with self._errors():
            yield from map(
                _row,
                self._connection.execute(
                    "SELECT * FROM files WHERE (uri = ? OR (uri >= ? AND uri < ?)) "
                    "AND uri NOT IN (SELECT uri FROM temp.seen) ORDER BY uri",
                    [root_uri, below + "/", below + "0"],
                ),
            )

    def has_met_known(self, root_uri: str) -> bool:
        """Whether this run met a file below `root_uri` that an earlier run had met."""
        below = root_uri.rstrip("/")
        with self._errors():
            found = self._connection.execute(
                "SELECT 1 FROM temp.seen WHERE uri > ? AND uri < ? AND known LIMIT 1",
                [below + "/", below + "0"],
            )
            return found.fetchone() is not None

    def device(self, root: bytes) -> int | None:
        """The device number on which a root was last seen with files."""
        with self._errors():
            row = self._connection.execute(
                "SELECT device FROM roots WHERE path = ?", [root]
            ).fetchone()
            return None if row is None else int(row[0])

    def put_device(self, root: bytes, device: int) -> None:
        """Remember it."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO roots VALUES (?, ?)", [root, device])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _intend_recheck(connection: sqlite3.Connection, assets: Iterable[str]) -> None:
    connection.executemany("INSERT OR IGNORE INTO rechecks VALUES (?)", ((a,) for a in assets))


def _put(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?)",
        (
            (r.uri, r.signature, r.asset, r.recipe, r.outcome, r.reason, r.message, r.given,
             r.missing)
            for r in rows
        ),
    )  # fmt: skip


def _row(values: Sequence[object]) -> Row:
    uri, signature, asset, recipe, outcome, reason, message, given, missing = values
    if outcome not in get_args(Outcome):
        raise ValueError(f"{outcome!r} is no outcome")
    return Row(
        str(uri),
        str(signature),
        None if asset is None else str(asset),
        str(recipe),
        outcome,  # type: ignore[arg-type]  # the column holds nothing else
        None if reason is None else SkipReason(str(reason)),
        str(message),
        None if given is None else str(given),
        bool(missing),
    )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])

"""The ledger's file: how it is opened, what its errors mean, and its transactions.

Gets: the collection's folder. Gives: a connection, in whose tables `ledger` reads and writes.
Touches: ``ledger.sqlite`` alone. Never: knows what a row means.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrieval import sqlite_files
from retrieval.errors import CorruptError

FORMAT = 2
NAME = "ledger.sqlite"
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
    missing INTEGER NOT NULL DEFAULT 0,
    has_gap INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX files_asset ON files (asset);
CREATE INDEX files_outcome ON files (outcome) WHERE outcome IN ('skipped', 'erased');
CREATE TABLE arrivals (asset TEXT, document TEXT, channel TEXT, PRIMARY KEY (asset, document))
    WITHOUT ROWID;
CREATE TABLE departures (uri TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE rechecks (asset TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE deletions (document TEXT PRIMARY KEY, channel TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE stretches (
    asset TEXT,
    start REAL,
    recipe TEXT NOT NULL,
    following REAL NOT NULL,
    documents TEXT NOT NULL,
    script TEXT,
    PRIMARY KEY (asset, start)
) WITHOUT ROWID;
CREATE TABLE roots (path BLOB PRIMARY KEY, device INTEGER NOT NULL) WITHOUT ROWID;
"""
# By the format that a file has: what brings it to the newest one.
_CHANGES = {0: _SCHEMA, 1: "ALTER TABLE files ADD COLUMN has_gap INTEGER NOT NULL DEFAULT 0;"}


class LedgerFile:
    """An open ledger file; read-only, one that nobody has made yet is empty."""

    def __init__(self, directory: Path, *, read_only: bool) -> None:
        self._path = directory / NAME
        self.connection = self._open(read_only)

    def _open(self, read_only: bool) -> sqlite3.Connection:
        with self.errors():
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
        if version == 0 or (version < FORMAT and not read_only):
            change = f"{_CHANGES[version]} PRAGMA user_version = {FORMAT};"
            connection.executescript(f"BEGIN; {change} COMMIT;")
        connection.execute(
            "CREATE TEMP TABLE seen (uri TEXT PRIMARY KEY, known INTEGER) WITHOUT ROWID"
        )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        try:
            with sqlite_files.errors_of(self._path):
                yield
        except ValueError as error:  # a value that no writer wrote
            raise self.damaged(str(error)) from error

    def damaged(self, how: str) -> CorruptError:
        """What to raise when the file makes no sense."""
        return sqlite_files.damaged(self._path, how)

    @staticmethod
    def discard(directory: Path) -> None:
        """Delete a ledger that is beyond reading."""
        sqlite_files.remove(directory / NAME)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written within is there whole, or not at all."""
        with self.errors(), sqlite_files.commit(self.connection):
            yield self.connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])

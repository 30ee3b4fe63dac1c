"""The SQLite catalogue of one channel's rows: what is committed, where, and what is dead.

Gets: raw ids (16 bytes) and row numbers. Gives: the same. Touches: ``catalogue.sqlite``.
Never: the rows themselves.

Read-only opening: ``mode=ro``; where the folder can't be written and there is no write-ahead
log, SQLite could not make the shared memory it wants, so the file is opened ``immutable``. Such a
connection would not notice a writer (another user's), hence it is reopened once the file has
changed or a log has appeared. A catalogue that isn't there yet reads as an empty one.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import CorruptError, LockedError, NewerFormatError, StoreUnreachableError

FORMAT = 1
ID_BYTES = 16
_BUSY_S = 5.0
_CHUNK = 500  # ids a statement; SQLite before 3.32 takes 999 at most

_SCHEMA = f"""
CREATE TABLE state (
    dim INTEGER NOT NULL,         -- of the vectors
    generation INTEGER NOT NULL,  -- names the files
    rows INTEGER NOT NULL,        -- committed
    dead INTEGER NOT NULL,        -- tombstones, numbered 1.. within the generation
    wiped INTEGER NOT NULL        -- those up to this number are zeroed
);
CREATE TABLE live (
    id BLOB PRIMARY KEY,
    row INTEGER NOT NULL,
    checksum INTEGER NOT NULL     -- CRC-32 of id and vector
) WITHOUT ROWID;
CREATE TABLE dead (number INTEGER PRIMARY KEY, row INTEGER NOT NULL);
PRAGMA user_version = {FORMAT};
"""


@dataclass(frozen=True, slots=True)
class State:
    """One committed state: the files' generation, the rows in them, the tombstones among those."""

    generation: int
    rows: int
    dead: int


EMPTY = State(generation=0, rows=0, dead=0)


class Catalogue:
    """Transactions over the catalogue; every other method is called inside one.

    Safe to share between threads: a transaction holds the catalogue's lock.
    """

    def __init__(self, path: Path, *, dim: int, read_only: bool) -> None:
        """Open (for writing: make) the catalogue of vectors of `dim` components.

        Raises: `CorruptError`, `NewerFormatError`, `StoreUnreachableError`, `LockedError`.
        """
        self._path = path
        self._dim = dim
        self._read_only = read_only
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._seen: tuple[int, ...] | None = None  # the file's stat, when opened immutable
        with self._lock, translated(path):
            if not read_only:
                self._connection = self._opened_for_writing()

    def close(self) -> None:
        """Close the connection; the catalogue can't be used afterwards."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    @contextmanager
    def reading(self) -> Iterator[State]:
        """A read transaction: everything read inside belongs to the state given."""
        with self._lock, translated(self._path):
            if not self._connect():
                yield EMPTY
                return
            self._db.execute("BEGIN")
            try:
                yield self._state()
            finally:
                self._db.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[State]:
        """A write transaction: committed at the end, undone by an exception. One at a time."""
        if self._read_only:
            raise StoreUnreachableError(
                f"`{self._path.parent}` is opened read-only and can't be written.",
                advice="Open the collection for writing.",
            )
        with self._lock, translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._state()
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def find(self, ids: Sequence[bytes]) -> dict[bytes, int]:
        """The rows of those ids that are live."""
        found: dict[bytes, int] = {}
        if self._connection is None:
            return found
        for chunk in _chunks(ids):
            marks = ",".join("?" * len(chunk))
            query = f"SELECT id, row FROM live WHERE id IN ({marks})"  # noqa: S608 (question marks)
            found.update(self._db.execute(query, chunk))
        return found

    def after(self, last: bytes, limit: int) -> list[bytes]:
        """The next live ids in their order; ``b""`` is before the first."""
        if self._connection is None:
            return []
        query = "SELECT id FROM live WHERE id > ? ORDER BY id LIMIT ?"
        return [raw for (raw,) in self._db.execute(query, (last, limit))]

    def live(self) -> list[tuple[bytes, int, int]]:
        """(id, row, checksum) of every live row, in the order of the rows."""
        if self._connection is None:
            return []
        return self._db.execute("SELECT id, row, checksum FROM live ORDER BY row").fetchall()

    def buried(self, *, after: int) -> list[int]:
        """The rows of the tombstones with a number above `after`, in their order."""
        if self._connection is None:
            return []
        query = "SELECT row FROM dead WHERE number > ? ORDER BY number"
        return [row for (row,) in self._db.execute(query, (after,))]

    def wiped(self) -> int:
        """The number of the last tombstone whose row is known to be zeroed."""
        (number,) = self._db.execute("SELECT wiped FROM state").fetchone()
        return int(number)

    def damage(self) -> str | None:
        """What SQLite's own check finds first, or None."""
        if self._connection is None:
            return None
        (message,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
        return None if message == "ok" else str(message)

    def put(self, entries: Iterable[tuple[bytes, int, int]]) -> None:
        """Write (id, row, checksum); a known id gets the new row."""
        self._db.executemany("INSERT OR REPLACE INTO live VALUES (?, ?, ?)", entries)

    def remove(self, ids: Iterable[bytes]) -> None:
        """Forget ids; their rows want `bury`."""
        self._db.executemany("DELETE FROM live WHERE id = ?", ((raw,) for raw in ids))

    def bury(self, rows: Iterable[int]) -> None:
        """Put tombstones on rows."""
        (number,) = self._db.execute("SELECT dead FROM state").fetchone()
        graves = [(number + place, row) for place, row in enumerate(rows, start=1)]
        self._db.executemany("INSERT INTO dead VALUES (?, ?)", graves)
        self._db.execute("UPDATE state SET dead = ?", (number + len(graves),))

    def commit_rows(self, rows: int) -> None:
        """Set the number of committed rows."""
        self._db.execute("UPDATE state SET rows = ?", (rows,))

    def commit_wiped(self, number: int) -> None:
        """Note that the tombstones up to `number` are zeroed."""
        self._db.execute("UPDATE state SET wiped = ?", (number,))

    def switch(self, generation: int, moved: Sequence[tuple[int, bytes]]) -> None:
        """Go over to a generation that holds (row, id) for every live id and nothing else."""
        self._db.executemany("UPDATE live SET row = ? WHERE id = ?", moved)
        self._db.execute("DELETE FROM dead")
        self._db.execute(
            "UPDATE state SET generation = ?, rows = ?, dead = 0, wiped = 0",
            (generation, len(moved)),
        )

    def flush(self) -> None:
        """Empty the write-ahead log, where deleted ids would otherwise live on a while.

        Readers that go on for long may prevent it; then the next call or closing does it.
        """
        with self._lock, translated(self._path):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError(f"{self._path} is closed")
        return self._connection

    def _state(self) -> State:
        row = self._db.execute("SELECT generation, rows, dead FROM state").fetchone()
        if row is None:
            raise damaged(self._path, "says nothing about its rows")
        return State(*row)

    def _opened_for_writing(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._open("mode=rwc")
        try:
            self._check_version(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("BEGIN IMMEDIATE")
            if self._check_version(connection) == 0:
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute("INSERT INTO state VALUES (?, 1, 0, 0, 0)", (self._dim,))
            connection.execute("COMMIT")
            self._check_dim(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> bool:
        """Whether there is a catalogue to read; opens it, or opens it anew, if need be."""
        if self._seen is not None and self._seen != self._stat():
            self.close()
            self._seen = None
        if self._connection is None and self._read_only and self._path.exists():
            immutable = not self._log_in_use() and not os.access(self._path.parent, os.W_OK)
            self._seen = self._stat() if immutable else None
            self._connection = self._readable("mode=ro&immutable=1" if immutable else "mode=ro")
        return self._connection is not None or not self._read_only

    def _readable(self, parameters: str) -> sqlite3.Connection | None:
        """A connection for reading; None while a writer is still making the catalogue."""
        connection = self._open(parameters)
        try:
            if self._check_version(connection) == 0:
                connection.close()
                return None
            self._check_dim(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open(self, parameters: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self._path.absolute().as_uri()}?{parameters}",
            uri=True,
            timeout=_BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )

    def _check_version(self, connection: sqlite3.Connection) -> int:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise NewerFormatError(
                f"`{self._path}` has format {version}; this version reads up to {FORMAT}.",
                advice="Install a newer Echolens.",
            )
        return int(version)

    def _check_dim(self, connection: sqlite3.Connection) -> None:
        row = connection.execute("SELECT dim FROM state").fetchone()
        if row != (self._dim,):
            raise damaged(self._path, f"isn't for vectors of {self._dim} components")

    def _log_in_use(self) -> bool:
        log = self._path.with_name(self._path.name + "-wal")
        return log.exists() and log.stat().st_size > 0

    def _stat(self) -> tuple[int, ...]:
        stat = self._path.stat()
        return (stat.st_ino, stat.st_size, stat.st_mtime_ns, self._log_in_use())


_ERRORS = {
    sqlite3.SQLITE_BUSY: LockedError,
    sqlite3.SQLITE_LOCKED: LockedError,
    sqlite3.SQLITE_ERROR: CorruptError,  # a table that isn't there
    sqlite3.SQLITE_CORRUPT: CorruptError,
    sqlite3.SQLITE_NOTADB: CorruptError,
}
_ADVICE = {
    LockedError: "Wait until the other process has ended, then run it again.",
    CorruptError: "Run `echolens verify --repair`.",
    StoreUnreachableError: "Look at the disk's free space and the folder's permissions.",
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Tell what SQLite and the file system raise in the words of `retrieval.errors`."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        kind = _ERRORS.get(code, StoreUnreachableError)
        raise kind(f"`{path}`: {error}.", advice=_ADVICE[kind]) from error
    except OSError as error:
        raise StoreUnreachableError(
            f"`{error.filename or path.parent}`: {error.strerror}.",
            advice=_ADVICE[StoreUnreachableError],
        ) from error


def damaged(path: Path, what: str) -> CorruptError:
    """The error that says that a file is damaged, and how."""
    return CorruptError(f"`{path}` {what}.", advice=_ADVICE[CorruptError])


def _chunks(ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]

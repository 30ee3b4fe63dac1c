"""The SQLite catalogue of one channel's rows: what is committed, where, and what is dead.

Gets: raw ids (16 bytes) and row numbers. Gives: the same. Touches: ``catalogue.sqlite``.
Never: the rows themselves.

Where `sqlite_files` opens it as immutable, the connection would not notice a writer (another
user's), hence it is opened anew once the file has changed or a log has appeared.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import sqlite_files
from ..errors import CorruptError, StoreUnreachableError

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


class Catalogue:
    """Transactions over the catalogue; every other method is called inside one.

    Safe to share between threads: a transaction holds the catalogue's lock.
    """

    def __init__(self, path: Path, *, dim: int, read_only: bool, make: bool) -> None:
        """Open the catalogue of vectors of `dim` components; for writing, make it if `make`.

        Raises: `CorruptError` (also: it is missing), `NewerFormatError`, `StoreUnreachableError`,
        `LockedError`.
        """
        self._path = path
        self._dim = dim
        self._read_only = read_only
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._seen: tuple[int, ...] | None = None  # the file's stat, when opened immutable
        with self._lock, translated(path):
            if read_only:
                self._open_for_reading()
            else:
                self._connection = self._opened_for_writing(make)

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
            self._refresh()
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
        with self._lock, translated(self._path), sqlite_files.commit(self._db):
            yield self._state()

    def find(self, ids: Sequence[bytes]) -> dict[bytes, int]:
        """The rows of those ids that are live."""
        found: dict[bytes, int] = {}
        for chunk in _chunks(ids):
            marks = ",".join("?" * len(chunk))
            query = f"SELECT id, row FROM live WHERE id IN ({marks})"  # noqa: S608 (question marks)
            found.update(self._db.execute(query, chunk))
        return found

    def after(self, last: bytes, limit: int) -> list[bytes]:
        """The next live ids in their order; ``b""`` is before the first."""
        query = "SELECT id FROM live WHERE id > ? ORDER BY id LIMIT ?"
        return [raw for (raw,) in self._db.execute(query, (last, limit))]

    def live(self) -> list[tuple[bytes, int, int]]:
        """(id, row, checksum) of every live row, in the order of the rows."""
        return self._db.execute("SELECT id, row, checksum FROM live ORDER BY row").fetchall()

    def buried(self, *, after: int) -> list[int]:
        """The rows of the tombstones with a number above `after`, in their order."""
        query = "SELECT row FROM dead WHERE number > ? ORDER BY number"
        return [row for (row,) in self._db.execute(query, (after,))]

    def wiped(self) -> int:
        """The number of the last tombstone whose row is known to be zeroed."""
        (number,) = self._db.execute("SELECT wiped FROM state").fetchone()
        return int(number)

    def damage(self) -> str | None:
        """What SQLite's own check finds first, or None."""
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

    def _opened_for_writing(self, make: bool) -> sqlite3.Connection:
        if make:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite_files.open_for_writing(self._path, make=make, wait_s=_BUSY_S)
        try:
            self._version(connection)
            sqlite_files.prepare_for_writing(connection, self._path)
            connection.execute("BEGIN IMMEDIATE")
            if self._version(connection) == 0:
                if not make:
                    raise sqlite_files.missing(self._path)
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute("INSERT INTO state VALUES (?, 1, 0, 0, 0)", (self._dim,))
            connection.execute("COMMIT")
            self._check_dim(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_for_reading(self) -> None:
        seen = self._stat() if sqlite_files.is_frozen(self._path) else None
        connection = sqlite_files.open_for_reading(self._path, wait_s=_BUSY_S)
        try:
            if self._version(connection) == 0:
                raise sqlite_files.missing(self._path)
            self._check_dim(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._seen = connection, seen

    def _refresh(self) -> None:
        """Open the file anew, if it was opened as one that can't change and has changed."""
        if self._seen is not None and self._seen != self._stat():
            before = self._db
            self._open_for_reading()
            before.close()

    def _version(self, connection: sqlite3.Connection) -> int:
        return sqlite_files.version_of(connection, self._path, FORMAT)

    def _check_dim(self, connection: sqlite3.Connection) -> None:
        row = connection.execute("SELECT dim FROM state").fetchone()
        if row != (self._dim,):
            raise damaged(self._path, f"isn't for vectors of {self._dim} components")

    def _stat(self) -> tuple[int, ...] | None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        log = sqlite_files.has_log(self._path)
        return (stat.st_ino, stat.st_size, stat.st_mtime_ns, log)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Tell what SQLite and the file system raise in the words of `retrieval.errors`."""
    try:
        with sqlite_files.errors_of(path):
            yield
    except OSError as error:
        raise StoreUnreachableError(
            f"{error.filename or path.parent}: {error.strerror}.",
            advice="Look at the disk's free space and the folder's permissions.",
        ) from error


def damaged(path: Path, what: str) -> CorruptError:
    """The error that says that a file is damaged, and how."""
    return CorruptError(f"`{path}` {what}.", advice="Run `echolens verify --repair`.")


def _chunks(ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]

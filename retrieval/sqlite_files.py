"""SQLite files: opening, commits, what their errors mean. One set of rules for all who keep one.

Gets: a path, or its open connection. Gives: a connection in autocommit; a transaction; an error in
the library's words. Touches: that file, its ``-wal`` and its ``-shm``. Never: a table.

A writer works in WAL mode with ``synchronous=FULL``, so a commit that returned survives a power
cut, and with ``secure_delete``, so deleted bytes are overwritten with zeros. A reader opens with
``mode=ro``; in a folder that can't be written, where SQLite could not make the index of its log,
it opens the file as immutable, provided that no log holds commits that would be missed. If one
does, SQLite says that it can't open the file, and that is told: an old state is never read.

A connection may be handed from thread to thread, but two may not use it at once: a function in
Python that SQLite calls (the document store has one) waits for Python's lock while SQLite holds
its own, and the other way round.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import (
    CorruptError,
    EcholensError,
    LockedError,
    NewerFormatError,
    StoreUnreachableError,
)

_KINDS: dict[int, type[EcholensError]] = {
    sqlite3.SQLITE_BUSY: LockedError,
    sqlite3.SQLITE_LOCKED: LockedError,
    sqlite3.SQLITE_PROTOCOL: LockedError,
    sqlite3.SQLITE_CORRUPT: CorruptError,
    sqlite3.SQLITE_NOTADB: CorruptError,
    sqlite3.SQLITE_CANTOPEN: StoreUnreachableError,
    sqlite3.SQLITE_FULL: StoreUnreachableError,
    sqlite3.SQLITE_IOERR: StoreUnreachableError,
    sqlite3.SQLITE_NOMEM: StoreUnreachableError,
    sqlite3.SQLITE_PERM: StoreUnreachableError,
    sqlite3.SQLITE_READONLY: StoreUnreachableError,
}
_WORDS: dict[type[EcholensError], tuple[str, str]] = {
    LockedError: ("is being written by another process", "Wait until it has finished."),
    StoreUnreachableError: (
        "can't be read or written",
        "Check the disk's free space and the permissions of the file's folder.",
    ),
    CorruptError: ("is damaged", "Run `echolens verify --repair`."),
}
_WAIT_FOR_READERS_S = 0.5
# SQLITE_ERROR is a mistake in a statement, but for a table that the file should have.
_LOST_TABLE = re.compile("no such (table|column)|vtable constructor failed")


def open_for_writing(path: Path, *, make: bool, wait_s: float) -> sqlite3.Connection:
    """Open a file for its one writer, and make it if that is wanted; then prepare it.

    Args:
        path: of the file.
        make: whether a missing file is made; else it is refused.
        wait_s: for another connection's commit, in seconds.

    Raises:
        CorruptError: the file is missing.
        sqlite3.Error: anything else; see `kind_of`.
    """
    if not make and not path.exists():
        raise missing(path)
    return _connect(path, "mode=rwc" if make else "mode=rw", wait_s)


def prepare_for_writing(connection: sqlite3.Connection, path: Path) -> None:
    """Set what the module promises of a writer; call it once the file has proved to be ours.

    Raises:
        StoreUnreachableError: the file is on a file system that can't lock.
    """
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreUnreachableError(
            f"{path} is on a file system that can't lock, so it can't be shared with readers.",
            advice="Put the collection on a local disk.",
        )
    connection.execute("PRAGMA synchronous = FULL").fetchall()
    connection.execute("PRAGMA secure_delete = ON").fetchall()


def open_for_reading(path: Path, *, wait_s: float) -> sqlite3.Connection:
    """Open a file that is there for reading.

    Raises:
        CorruptError: it is missing.
        sqlite3.Error: anything else; see `kind_of`.
    """
    if not path.exists():
        raise missing(path)
    return _connect(path, "mode=ro&immutable=1" if is_frozen(path) else "mode=ro", wait_s)


def is_frozen(path: Path) -> bool:
    """Whether nobody can be writing: the folder can't be written and no log holds commits."""
    return not os.access(path.parent, os.W_OK) and not has_log(path)


def has_log(path: Path) -> bool:
    """Whether a write-ahead log lies beside the file and isn't empty."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def version_of(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    """The format of the file; 0 where no table was made yet.

    Raises:
        NewerFormatError: it is above `newest`.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > newest:
        raise NewerFormatError(
            f"{path} has format {version}; this Echolens reads up to {newest}.",
            advice="Update it: pip install -U echolens.",
        )
    return int(version)


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turn what SQLite raises about a file into the errors of the library."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        kind = kind_of(error)
        if kind is None:
            raise  # a mistake in the calling code, not in the file
        what, advice = _WORDS[kind]
        raise kind(f"{path} {what}: {error}.", advice=advice) from error


@contextmanager
def commit(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction: all of it is durable afterwards, or none of it happened."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk has already rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def erase_log(connection: sqlite3.Connection, wait_s: float) -> None:
    """Move the log into the file and cut it to nothing: deleted rows stand in it until then.

    Where a reader holds an old state for long, it is left to the next delete, closing or opening.

    Args:
        connection: a writer's.
        wait_s: what it waits otherwise for another connection's commit.
    """
    connection.execute(f"PRAGMA busy_timeout = {round(_WAIT_FOR_READERS_S * 1000)}").fetchall()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute(f"PRAGMA busy_timeout = {round(wait_s * 1000)}").fetchall()


def kind_of(error: sqlite3.DatabaseError) -> type[EcholensError] | None:
    """What a file's error is in the library's words; None: a mistake of the calling code."""
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return None
    # Without a code it is Python's: text in the file that isn't UTF-8.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code == sqlite3.SQLITE_ERROR and _LOST_TABLE.match(str(error)):
        return CorruptError
    return _KINDS.get(code)


def remove(path: Path) -> None:
    """Delete a file that is beyond reading, its log first: that must not meet a new file."""
    for name in (f"{path.name}-wal", f"{path.name}-shm", path.name):
        path.with_name(name).unlink(missing_ok=True)


def damaged(path: Path, how: str) -> CorruptError:
    """The error of a file that makes no sense."""
    what, advice = _WORDS[CorruptError]
    return CorruptError(f"{path} {what}: {how}.", advice=advice)


def missing(path: Path) -> CorruptError:
    """The error of a file that a collection must have, and that isn't there or holds nothing."""
    return CorruptError(
        f"{path} is missing, or nothing is in it: the collection has lost it.",
        advice="Run `echolens verify --repair`, or restore it from a backup.",
    )


def _connect(path: Path, options: str, wait_s: float) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=wait_s,
        isolation_level=None,
        check_same_thread=False,
    )

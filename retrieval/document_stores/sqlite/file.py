"""Opening a SQLite file as a document store: its tables, its version, its errors.

Gets: a path. Gives: connections. Touches: that file, its ``-wal`` and its ``-shm``. Never: rows.

A writer works in WAL mode with ``synchronous=FULL``, so a commit that returned survives a power
cut, and with ``secure_delete``, so deleted bytes are overwritten with zeros. A reader opens with
``mode=ro``; in a folder that can't be written, where SQLite could not make the index of its log,
it opens the file as immutable, provided that no log holds commits that would be missed.

Assets and documents are keyed by BLOBs, half the size of their hex. ``blob`` turns an id into one
in SQL (``unhex`` came only with SQLite 3.41).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import CorruptError, LockedError, NewerFormatError, StoreUnreachableError

FORMAT = 1
WAIT_S = 10.0  # for another connection's commit
WAIT_FOR_READERS_S = 0.5
CACHE_KIB = 32_768

# `words` is derived: document number -> terms, see retrieval.words. It keeps the terms that it
# indexed, since deleting needs them exactly, and another version of Unicode could make others.
WORDS = "CREATE VIRTUAL TABLE words USING fts5(terms, tokenize='porter ascii')"

# Columns without a type keep a value as it came: 3 stays an integer and 3.0 a float.
SCHEMA = f"""
CREATE TABLE documents (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    asset BLOB NOT NULL,
    kind TEXT NOT NULL,
    channel TEXT NOT NULL,
    span_start,
    span_end,
    text TEXT
);
CREATE INDEX documents_of_asset ON documents (asset);

CREATE TABLE sightings (
    number INTEGER PRIMARY KEY,
    uri TEXT NOT NULL UNIQUE,
    asset BLOB NOT NULL,
    captions TEXT NOT NULL
);
CREATE INDEX sightings_of_asset ON sightings (asset);

CREATE TABLE fields (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    UNIQUE (name, type)
);
CREATE TABLE field_values (
    sighting INTEGER NOT NULL REFERENCES sightings ON DELETE CASCADE,
    field INTEGER NOT NULL REFERENCES fields,
    value NOT NULL,
    PRIMARY KEY (sighting, field)
) WITHOUT ROWID;
CREATE INDEX field_values_by_value ON field_values (field, value);

{WORDS};
PRAGMA user_version = {FORMAT};
"""

_UNREACHABLE = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the file, made if it isn't there."""
    with errors_of(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnreachableError(f"{path.parent} can't be made: {error}.") from error
        connection = _connect(path, "mode=rwc")
        try:
            made = _is_made(connection, path)
            _prepare_for_writing(connection, path)
            if not made:
                # The version is set in the same commit as the tables: never a half-made file.
                connection.executescript(f"BEGIN IMMEDIATE;{SCHEMA}COMMIT;")
            erase_log(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """Open the file; None when no store was made there yet."""
    if not path.exists():
        return None
    with errors_of(path):
        connection = _connect(path, "immutable=1" if _is_frozen(path) else "mode=ro")
        try:
            if _is_made(connection, path):
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None


def empty() -> sqlite3.Connection:
    """An empty store in memory: what a reader sees before the first writer came."""
    connection = _connect(None, "mode=memory")
    connection.executescript(SCHEMA)
    return connection


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turn what SQLite raises about a file into the errors of the library."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise  # a mistake in the calling code, not in the file
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in _LOCKED:
            raise LockedError(
                f"Another process is writing to {path} ({error}).",
                advice="Wait until it has finished.",
            ) from error
        if code in _UNREACHABLE:
            raise StoreUnreachableError(
                f"{path} can't be read or written: {error}.",
                advice="Check the disk's free space and the permissions of the file's folder.",
            ) from error
        raise CorruptError(
            f"{path} is damaged: {error}.",
            advice="Run `echolens verify --repair`; if that fails, index anew or restore a copy.",
        ) from error


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


def erase_log(connection: sqlite3.Connection) -> None:
    """Move the log into the file and cut it to nothing: deleted rows stand in it until then.

    Where a reader holds an old state for long, it is left to the next delete, closing or opening.
    """
    connection.execute(f"PRAGMA busy_timeout = {round(WAIT_FOR_READERS_S * 1000)}").fetchall()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute(f"PRAGMA busy_timeout = {round(WAIT_S * 1000)}").fetchall()


def damage(connection: sqlite3.Connection) -> Iterator[str]:
    """What SQLite finds wrong with the file and with the words in it."""
    for (message,) in connection.execute("PRAGMA integrity_check"):
        if message != "ok":
            yield message
    for table, number, _, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"row {number} of {table} refers to what isn't there"
    # FTS5 checks itself by a write that writes nothing, which a reader's connection refuses;
    # so the check is made on a copy, in a temporary file of SQLite's own.
    copy = sqlite3.connect("")
    try:
        connection.backup(copy)
        copy.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    except sqlite3.DatabaseError as error:
        yield f"the words are damaged: {error}"
    finally:
        copy.close()


def _connect(path: Path | None, options: str) -> sqlite3.Connection:
    name = "file:" if path is None else path.absolute().as_uri()
    connection = sqlite3.connect(
        f"{name}?{options}", uri=True, timeout=WAIT_S, isolation_level=None, check_same_thread=False
    )
    # Not a function in Python: Ctrl-C would be raised within it, and SQLite would take that for a
    # failure of the statement.
    connection.create_function("blob", 1, bytes.fromhex, deterministic=True)
    return connection


def _prepare_for_writing(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreUnreachableError(
            f"{path} is on a file system that can't lock, so it can't be shared with readers.",
            advice="Put the collection on a local disk.",
        )
    for pragma in (
        "synchronous = FULL",
        "secure_delete = ON",
        "foreign_keys = ON",
        f"cache_size = -{CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _is_made(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the tables are there, in a format that this version reads."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > FORMAT:
        raise NewerFormatError(
            f"{path} has format {version}; this version reads formats up to {FORMAT}.",
            advice="Install a newer Echolens: pip install -U echolens",
        )
    if version == 0 and connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        raise CorruptError(
            f"{path} is a SQLite file, but not one that Echolens made.",
            advice="Move it away, or name another folder.",
        )
    return bool(version)


def _is_frozen(path: Path) -> bool:
    """Whether nobody can be writing: the folder can't be written and no log holds commits."""
    log = path.with_name(path.name + "-wal")
    return not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)

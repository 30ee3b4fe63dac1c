"""Opening a SQLite file as a document store: its tables, its version, its errors.

Gets: a path. Gives: connections. Touches: that file, its ``-wal`` and its ``-shm``. Never: rows.

Assets and documents are keyed by BLOBs, half the size of their hex. ``blob`` turns an id into one
in SQL (``unhex`` came only with SQLite 3.41).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ... import sqlite_files
from ...errors import CorruptError, OlderFormatError, StoreUnreachableError

FORMAT = 2  # the terms of 1 told the scripts of Chinese apart
WAIT_S = 10.0  # for another connection's commit
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


def open_for_writing(path: Path, *, make: bool) -> sqlite3.Connection:
    """Open the file; made if it isn't there and `make` says so, else that is damage.

    It may have an earlier format: see `is_older`.
    """
    with sqlite_files.errors_of(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnreachableError(f"{path.parent} can't be made: {error}.") from error
        connection = sqlite_files.open_for_writing(path, make=make, wait_s=WAIT_S)
        try:
            made = _format(connection, path) > 0
            if not made and not make:
                raise sqlite_files.missing(path)
            _prepare_for_writing(connection, path)
            if not made:
                # The version is set in the same commit as the tables: never a half-made file.
                connection.executescript(f"BEGIN IMMEDIATE;{SCHEMA}COMMIT;")
            sqlite_files.erase_log(connection, WAIT_S)
        except BaseException:
            connection.close()
            raise
        return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the file; that it isn't there, or holds nothing, is damage."""
    with sqlite_files.errors_of(path):
        connection = sqlite_files.open_for_reading(path, wait_s=WAIT_S)
        try:
            version = _format(connection, path)
            if not version:
                raise sqlite_files.missing(path)
            if version < FORMAT:
                raise OlderFormatError(
                    f"{path} has format {version}; this Echolens reads {FORMAT} alone.",
                    advice="Run `echolens index` once: what writes brings it up to date.",
                )
            _add_functions(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def is_older(connection: sqlite3.Connection) -> bool:
    """Whether the file has an earlier format: its words are to be made anew, and then its mark."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version) < FORMAT


def mark(connection: sqlite3.Connection) -> None:
    """Say that the file has the format of this version."""
    connection.execute(f"PRAGMA user_version = {FORMAT}")


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Take a value that no writer wrote for what it is: damage."""
    try:
        yield
    except (AttributeError, TypeError, ValueError) as error:
        raise sqlite_files.damaged(path, str(error)) from error


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


def _add_functions(connection: sqlite3.Connection) -> None:
    # Not a function in Python: Ctrl-C would be raised within it, and SQLite would take that for a
    # failure of the statement.
    connection.create_function("blob", 1, bytes.fromhex, deterministic=True)


def _prepare_for_writing(connection: sqlite3.Connection, path: Path) -> None:
    sqlite_files.prepare_for_writing(connection, path)
    for pragma in ("foreign_keys = ON", f"cache_size = -{CACHE_KIB}"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    _add_functions(connection)


def _format(connection: sqlite3.Connection, path: Path) -> int:
    """The format of the tables, this one or an earlier one; 0 where there are none."""
    version = sqlite_files.version_of(connection, path, FORMAT)
    if version == 0 and connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        raise CorruptError(
            f"{path} is a SQLite file, but not one that Echolens made.",
            advice="Move it away, or name another folder.",
        )
    return version

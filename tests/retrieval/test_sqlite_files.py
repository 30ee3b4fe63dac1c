"""Opening a SQLite file, and what its errors mean."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from indexer.ledger import Ledger
from indexer.rows import Row
from retrieval import sqlite_files
from retrieval.errors import CorruptError, LockedError, StoreUnreachableError

ROW = Row("file:///a", "", None, "", "indexed")


def killed(folder: Path) -> Path:
    """A folder with the ledger of a writer that was killed: its last commit is in the log."""
    folder.mkdir()
    with closing(Ledger(folder / "..")) as ledger:
        ledger.put([ROW])
        for path in (folder / "..").glob("ledger.sqlite*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, folder)
    return folder


def test_commits_in_a_log_are_never_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that can't be written: opened as immutable, it would show an older state."""
    folder = killed(tmp_path / "closed")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with closing(Ledger(folder, read_only=True)) as ledger:
        assert list(ledger.scan()) == [ROW]


@pytest.mark.parametrize("log", [None, 0, 100])
def test_a_file_is_frozen_where_nobody_can_write_and_no_log_holds_commits(
    log: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.sqlite"
    if log is not None:
        file.with_name("a.sqlite-wal").write_bytes(bytes(log))
    assert not sqlite_files.is_frozen(file)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert sqlite_files.is_frozen(file) == (not log)


def test_what_errors_mean(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    with closing(sqlite_files.open_for_writing(file, make=True, wait_s=0)) as writer:
        sqlite_files.prepare_for_writing(writer, file)
        writer.execute("CREATE TABLE some (n)")
        assert _kind_of(writer, "SELECT * FROM others") is CorruptError
        assert _kind_of(writer, "SELECT m FROM some") is CorruptError
        assert _kind_of(writer, "SELECT FROM WHERE") is None
        writer.execute("BEGIN IMMEDIATE")
        with closing(sqlite_files.open_for_writing(file, make=False, wait_s=0)) as second:
            assert _kind_of(second, "BEGIN IMMEDIATE") is LockedError
        with closing(sqlite_files.open_for_reading(file, wait_s=0)) as reader:
            assert _kind_of(reader, "DELETE FROM some") is StoreUnreachableError
    (tmp_path / "b.sqlite").write_bytes(b"no database " * 100)
    with closing(sqlite_files.open_for_reading(tmp_path / "b.sqlite", wait_s=0)) as reader:
        assert _kind_of(reader, "SELECT * FROM some") is CorruptError


def _kind_of(connection: sqlite3.Connection, sql: str) -> type[Exception] | None:
    with pytest.raises(sqlite3.DatabaseError) as caught:
        connection.execute(sql)
    return sqlite_files.kind_of(caught.value)

"""What is SQLite's own about the document store `sqlite:`: damage, versions, a full disk."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from retrieval.document_stores.sqlite import FILE_NAME, SqliteStore
from retrieval.errors import (
    CorruptError,
    EcholensError,
    FilterError,
    NewerFormatError,
    OlderFormatError,
    StoreUnreachableError,
)
from retrieval.protocols import Place
from retrieval.schema import Compare, Document, Like, Sighting

ASSET = "ab" * 32
PAGE_BYTES = 4096  # SQLite's default
DOG = Document.of(ASSET, "passage", "toy/text", text="a dog on the beach")
SEEN = Sighting("file:///a", ASSET, {"year": 2020})


def store_in(folder: Path, *, read_only: bool = False) -> closing[SqliteStore]:
    return closing(SqliteStore(Place("sqlite:", folder, read_only)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A closed store with one document."""
    with store_in(tmp_path) as store:
        store.upsert([DOG], [SEEN])
    return tmp_path / FILE_NAME


def run_sql(file: Path, sql: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(sql)


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda file: run_sql(file, "PRAGMA user_version = 99"), NewerFormatError),
        (lambda file: file.write_bytes(b"no database at all" * 100), CorruptError),
        (lambda file: file.write_bytes(file.read_bytes()[:5_000]), CorruptError),
        (lambda file: run_sql(file, "PRAGMA user_version = 0"), CorruptError),
    ],
    ids=["newer", "not SQLite", "cut short", "somebody else's"],
)
def test_a_file_that_does_not_fit_is_refused_and_left_alone(
    file: Path, read_only: bool, damage: object, error: type[EcholensError]
) -> None:
    assert callable(damage)
    damage(file)
    before = file.read_bytes()
    with pytest.raises(error) as caught:
        read_all(file.parent, read_only)
    assert str(file) in str(caught.value)
    assert caught.value.advice
    assert file.read_bytes() == before


def read_all(folder: Path, read_only: bool) -> None:
    with store_in(folder, read_only=read_only) as store:
        list(store.scan())
        store.search("dog", 3)


def test_damage_anywhere_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    """Whichever page is overwritten: opening refuses the file, or checking finds the damage."""
    with store_in(tmp_path) as store:
        for n in range(40):
            store.upsert([Document.of(ASSET, "passage", "toy/text", text=f"dog {n} " * 50)], [SEEN])
    file = tmp_path / FILE_NAME
    whole = file.read_bytes()
    assert len(whole) > 20 * PAGE_BYTES
    for start in range(0, len(whole), PAGE_BYTES):
        file.write_bytes(whole[:start] + b"\xa5" * PAGE_BYTES + whole[start + PAGE_BYTES :])
        assert problems_of(tmp_path), f"page {start // PAGE_BYTES}"


def problems_of(folder: Path) -> list[str]:
    try:
        with store_in(folder, read_only=True) as store:
            return [problem.message for problem in store.check()]
    except CorruptError as error:
        return [str(error)]


def test_a_table_that_is_missing_is_damage(file: Path) -> None:
    run_sql(file, "DROP TABLE field_values")
    with store_in(file.parent, read_only=True) as store, pytest.raises(CorruptError):
        store.fields()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE words_content SET c0 = 'a cat'",
        "DELETE FROM words",
        "INSERT INTO words (rowid, terms) VALUES (99, 'nobody')",
        "DELETE FROM words_data WHERE id > 10",
        "UPDATE documents SET text = 'a cat'",
    ],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_words_that_do_not_fit_are_found_and_repaired(
    file: Path, damage: str, read_only: bool
) -> None:
    run_sql(file, damage)
    with store_in(file.parent, read_only=read_only) as store:
        assert list(store.check())
    with store_in(file.parent) as store:
        store.repair()
        assert list(store.check()) == []
        text = store.get([DOG.id])[DOG.id].text
        assert text
        assert store.search(text, 5).ids == (DOG.id,)


UPGRADER = """
import os, signal, sys
from pathlib import Path
from retrieval.document_stores.sqlite import SqliteStore, rows
from retrieval.protocols import Place

left, terms_of = list(range(int(sys.argv[2]))), rows.terms_of

def dying(text):
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left.pop()
    return terms_of(text)

rows.terms_of = dying
SqliteStore(Place("sqlite:", Path(sys.argv[1]), read_only=False))
"""


@pytest.mark.parametrize("after", [0, 1, 1_999])
def test_a_kill_while_a_file_is_brought_up_to_date_leaves_it_as_it_was(
    tmp_path: Path, after: int
) -> None:
    """That many of 2,000 texts have been written by then."""
    texts = [f"dog {n} {'x' * 1_000}" for n in range(2_000)]
    with store_in(tmp_path) as store:
        store.upsert([Document.of(ASSET, "passage", "toy/text", text=t) for t in texts], [SEEN])
    run_sql(tmp_path / FILE_NAME, "UPDATE words SET terms = 'cat'; PRAGMA user_version = 1")
    command = [sys.executable, "-c", UPGRADER, str(tmp_path), str(after)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    with pytest.raises(OlderFormatError), store_in(tmp_path, read_only=True):
        pass
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file:
        assert file.execute("SELECT count(*) FROM words WHERE words MATCH 'cat'").fetchone() == (
            2_000,
        )
    with store_in(tmp_path) as store:
        assert len(store.search("dog", 3_000)) == store.count() == 2_000
        assert store.search("cat", 5).ids == ()
        assert list(store.check()) == []


def test_a_damaged_file_of_an_earlier_format_has_a_way_out(file: Path) -> None:
    run_sql(file, "DROP TABLE documents; PRAGMA user_version = 1")
    for _ in range(2):
        with pytest.raises(CorruptError) as caught, store_in(file.parent):
            pass
        assert "Move the file away" in caught.value.advice


def test_a_reader_in_between_does_not_keep_what_was_deleted(file: Path) -> None:
    """A reader that holds an old state keeps the log; the next opening for writing empties it."""
    with store_in(file.parent) as store:
        with closing(sqlite3.connect(file)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM documents").fetchall()
            store.delete([DOG.id])
            assert reader.execute("SELECT text FROM documents").fetchall() == [(DOG.text,)]
            log = file.with_name(file.name + "-wal")
            assert b"dog on the beach" in file.read_bytes() + log.read_bytes()
        store.delete([])
        assert b"dog on the beach" not in file.read_bytes() + log.read_bytes()


def test_a_file_of_no_bytes_is_a_store_that_was_lost_or_not_yet_made(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    for place in (
        Place("sqlite:", tmp_path),
        Place("sqlite:", tmp_path, read_only=False, existing=True),
    ):
        with pytest.raises(CorruptError, match="nothing is in it"):
            SqliteStore(place)
    with store_in(tmp_path) as store:
        store.upsert([DOG], [SEEN])


@contextmanager
def no_file_longer_than(limit_bytes: int) -> Iterator[None]:
    """A disk that is full, as far as this process can tell."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_told_and_leaves_whole_commits(tmp_path: Path) -> None:
    written, told = 0, StoreUnreachableError("nothing was told")
    with store_in(tmp_path) as store:
        with no_file_longer_than(2**20):
            try:
                for written in range(1_000):
                    text = f"dog number{written} " * 500
                    store.upsert([Document.of(ASSET, "passage", "toy/text", text=text)], [SEEN])
            except StoreUnreachableError as error:
                told = error
        assert told.advice
        assert store.count() == written > 10
        store.upsert([DOG])
        assert store.count() == written + 1
        assert list(store.check()) == []


@pytest.mark.parametrize(
    "where",
    [
        Compare("year", "<", True),
        Compare("year", "=", "\udcff"),
        Compare("\udcff", "=", 1),
        Like("year", "%" * 50_001),
    ],
)
def test_a_filter_that_cannot_be_asked_is_refused(tmp_path: Path, where: Compare | Like) -> None:
    with store_in(tmp_path) as store, pytest.raises(FilterError):
        store.select(where, 5)

"""Thumbnails: kept by asset and time, replaced by the part, erased to the last byte."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import CorruptError, NewerFormatError, StoreUnreachableError
from retrieval.schema import Span, Thumbnail
from retrieval.thumbnails import NAME, Thumbnails

EVER = Span(0.0, math.inf)
A, B = "a" * 64, "b" * 64


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Thumbnails]:
    with closing(Thumbnails(tmp_path, read_only=False)) as thumbnails:
        yield thumbnails


def some(*times: float) -> list[Thumbnail]:
    return [Thumbnail(time_s, b"jpeg at %d ms" % round(time_s * 1000)) for time_s in times]


def test_what_was_kept_is_given_to_readers(kept: Thumbnails, tmp_path: Path) -> None:
    kept.replace([(A, EVER, some(7.5, 1.0)), (B, EVER, some(3.0))])
    for reader in (kept, Thumbnails(tmp_path, read_only=True)):
        with closing(reader):
            assert reader.of(A, EVER) == some(1.0, 7.5)
            assert reader.of(A, Span(1.0, 7.5)) == some(1.0)
            assert reader.of("c" * 64, EVER) == []
            assert reader.assets() == [A, B]


def test_a_collection_without_films_has_no_file(kept: Thumbnails, tmp_path: Path) -> None:
    kept.replace([(A, EVER, [])])
    kept.forget([B])
    kept.check()
    assert (kept.of(A, EVER), kept.assets()) == ([], [])
    assert list(tmp_path.iterdir()) == []


def files_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


stretch = st.integers(0, 3)


@given(st.lists(st.tuples(st.sampled_from([A, B]), stretch, st.sets(st.integers(0, 9)))))
def test_a_part_replaces_its_own_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[str, int, set[int]]]
) -> None:
    model: dict[str, dict[int, list[Thumbnail]]] = {A: {}, B: {}}
    with closing(Thumbnails(tmp_path_factory.mktemp("kept"), read_only=False)) as kept:
        for asset, number, times in writes:
            thumbnails = some(*(10.0 * number + time for time in sorted(times)))
            kept.replace([(asset, Span(10.0 * number, 10.0 * number + 10.0), thumbnails)])
            model[asset][number] = thumbnails
        for asset, parts in model.items():
            wanted = [thumbnail for number in sorted(parts) for thumbnail in parts[number]]
            assert kept.of(asset, EVER) == wanted


def test_what_is_forgotten_is_in_no_file_any_more(kept: Thumbnails, tmp_path: Path) -> None:
    doomed = Thumbnail(2.0, b"the face of somebody " * 500)
    kept.replace([(A, EVER, [doomed]), (B, EVER, some(1.0))])
    kept.forget([A])
    assert kept.assets() == [B]
    assert not any(b"the face of" in data for data in files_in(tmp_path))


def test_what_a_killed_writer_had_deleted_is_erased_by_the_next(
    kept: Thumbnails, tmp_path: Path
) -> None:
    doomed = Thumbnail(2.0, b"the face of somebody " * 500)
    kept.replace([(A, EVER, [doomed]), (B, EVER, some(1.0))])
    with closing(Thumbnails(tmp_path, read_only=True)) as reader:
        assert reader.assets() == [A, B]  # while it is connected, closing leaves the log
        kept.replace([(A, EVER, [])])
        kept.close()
        assert any(b"the face of" in data for data in files_in(tmp_path))
        assert kept.assets() == [B]
        assert not any(b"the face of" in data for data in files_in(tmp_path))


def test_a_damaged_file_says_what_mends_it(kept: Thumbnails, tmp_path: Path) -> None:
    kept.replace([(A, EVER, some(1.0))])
    kept.close()
    (tmp_path / NAME).write_bytes(b"no database, but long enough to be looked at" * 30)
    with pytest.raises(CorruptError, match="damaged") as told:
        kept.check()
    assert "verify --repair" in told.value.advice
    Thumbnails.discard(tmp_path)
    kept.replace([(A, EVER, some(4.0))])
    assert kept.of(A, EVER) == some(4.0)


def test_a_file_without_its_table_is_damaged_and_an_empty_one_is_none(
    kept: Thumbnails, tmp_path: Path
) -> None:
    kept.replace([(A, EVER, some(1.0))])
    with closing(sqlite3.connect(tmp_path / NAME)) as connection:
        connection.execute("DROP TABLE thumbnails")
    with pytest.raises(CorruptError, match="no such table"):
        kept.check()
    kept.close()
    Thumbnails.discard(tmp_path)
    (tmp_path / NAME).touch()  # as a writer leaves it that is killed before its first commit
    with closing(Thumbnails(tmp_path, read_only=True)) as reader:
        reader.check()
        assert (reader.assets(), reader.of(A, EVER)) == ([], [])
    kept.replace([(A, EVER, some(4.0))])
    assert kept.assets() == [A]


def test_a_newer_format_is_refused(kept: Thumbnails, tmp_path: Path) -> None:
    kept.replace([(A, EVER, some(1.0))])
    kept.close()
    with closing(sqlite3.connect(tmp_path / NAME)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(NewerFormatError, match="format 99"):
        kept.assets()


def test_a_reader_writes_nothing(kept: Thumbnails, tmp_path: Path) -> None:
    kept.replace([(A, EVER, some(1.0))])
    reader = Thumbnails(tmp_path, read_only=True)
    with closing(reader), pytest.raises(StoreUnreachableError):
        reader.forget([A])
    assert kept.of(A, EVER) == some(1.0)

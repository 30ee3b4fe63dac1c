"""The files of the embedded vector stores: damage, dying writers, full disks, closed folders."""

from __future__ import annotations

import hashlib
import importlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import (
    CorruptError,
    LockedError,
    NewerFormatError,
    StoreUnreachableError,  # noqa: F401 (for the code that other processes run)
)
from retrieval.protocols import Place
from retrieval.schema import Channel, FloatArray
from retrieval.segments import Segments, SegmentStore, rounding, sweep

DIM = 8
CHANNEL = Channel("toy", "image", DIM, "toy:", "fingerprint")
REPOSITORY = Path(__file__).parents[2]


def ids_of(*names: object) -> list[str]:
    return [hashlib.blake2b(str(name).encode(), digest_size=16).hexdigest() for name in names]


def vectors_of(n: int, seed: int = 0, dim: int = DIM) -> FloatArray:
    raw = np.random.default_rng(seed).standard_normal((n, dim))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


def opened(folder: Path, *, read_only: bool = False) -> SegmentStore:
    return SegmentStore(Place("exact:", folder, read_only), CHANNEL)


def files(folder: Path) -> Path:
    return folder / "vectors" / "toy" / "image"


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A folder with a closed store of twenty vectors, ids 0 to 19."""
    store = opened(tmp_path)
    store.upsert(ids_of(*range(20)), vectors_of(20))
    store.close()
    return tmp_path


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder outside pytest's private one, so that another user can read it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def source_of(code: str) -> list[str]:
    """The command that runs code in a new interpreter, with this file's names at hand."""
    paths = [str(REPOSITORY), str(Path(__file__).parent)]
    return [
        sys.executable,
        "-c",
        f"import sys\nsys.path[:0] = {paths!r}\nfrom test_segments import *\n"
        + textwrap.dedent(code),
    ]


def give_up_root() -> None:
    """Go on as a user whom permission bits bind. Everything must be imported by now."""
    importlib.import_module("mmap")  # NumPy does it late, when root's own folders are closed
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


# ---- writers that die


@pytest.mark.parametrize("tail", [b"\x01", b"\xff" * 4 * DIM * 3])
@pytest.mark.parametrize("name", ["rows-1.f32", "ids-1.bin"])
def test_a_torn_tail_is_ignored_and_overwritten(filled: Path, name: str, tail: bytes) -> None:
    with (files(filled) / name).open("ab") as file:
        file.write(tail)
    reader, store = opened(filled, read_only=True), opened(filled)
    assert reader.count() == 20
    assert list(reader.check()) == []
    store.upsert(ids_of(20), vectors_of(1, seed=5))
    assert reader.search(vectors_of(1, seed=5), 1)[0].ids == tuple(ids_of(20))
    assert list(reader.check()) == []
    assert (files(filled) / "rows-1.f32").stat().st_size == 21 * 4 * DIM
    assert (files(filled) / "ids-1.bin").stat().st_size == 21 * 16
    store.close()
    reader.close()


def test_the_next_opening_finishes_a_zeroing(filled: Path) -> None:
    victim = vectors_of(20)[3].tobytes()
    rows = files(filled) / "rows-1.f32"
    whole = rows.read_bytes()
    store = opened(filled)
    store.delete(ids_of(3))
    store.close()
    rows.write_bytes(whole)  # as a writer leaves it that dies between the commit and the zeroing
    with sqlite3.connect(files(filled) / "catalogue.sqlite") as catalogue:
        catalogue.execute("UPDATE state SET wiped = 0")
    catalogue.close()

    reader = opened(filled, read_only=True)
    assert reader.get(ids_of(3)) == {}
    assert len(list(reader.check())) == 1
    opened(filled).close()
    assert victim not in rows.read_bytes()
    assert list(reader.check()) == []
    reader.close()


def test_the_next_opening_removes_a_compaction_that_was_not_committed(filled: Path) -> None:
    for name in ("rows-2.f32", "ids-2.bin"):
        (files(filled) / name).write_bytes(b"half a generation")
    store = opened(filled)
    assert not list(files(filled).glob("*-2.*"))
    store.delete(ids_of(*range(10)))
    store.compact()
    assert list(store.check()) == []
    assert sorted(path.name for path in files(filled).glob("*-*.*")) == ["ids-2.bin", "rows-2.f32"]
    store.close()


# ---- readers beside a writer


def test_a_snapshot_no_longer_holds_once_a_row_is_being_zeroed(filled: Path) -> None:
    reader = Segments(files(filled), DIM, read_only=True)
    writer = Segments(files(filled), DIM, read_only=False)
    before = reader.snapshot()
    writer.append(np.full((1, 16), 7, np.uint8), vectors_of(1, seed=4))
    assert reader.holds(before)
    assert before.rows.shape == (20, DIM)
    writer.delete(ids_of(0))
    assert not reader.holds(before)
    assert not before.rows[0].any()  # why it must not be believed
    assert np.array_equal(before.rows[1:], vectors_of(20)[1:])
    after = reader.snapshot()
    assert reader.holds(after)
    assert after.alive.tolist() == [False] + [True] * 20
    writer.close()
    reader.close()


def test_a_snapshot_outlives_a_compaction(filled: Path) -> None:
    reader = Segments(files(filled), DIM, read_only=True)
    store = opened(filled)
    store.delete(ids_of(*range(10)))
    before = reader.snapshot()
    store.compact()
    assert np.array_equal(before.rows[10:], vectors_of(20)[10:])
    assert reader.snapshot().rows.shape == (10, DIM)
    store.close()
    reader.close()


def test_a_second_writer_waits_or_is_told(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.segments.catalogue._BUSY_S", 0.05)
    one, other = opened(filled), opened(filled)
    one.upsert(ids_of("one"), vectors_of(1, seed=1))
    other.upsert(ids_of("other"), vectors_of(1, seed=2))
    assert one.count() == 22
    assert list(one.check()) == []
    holder = sqlite3.connect(files(filled) / "catalogue.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LockedError) as caught:
        one.upsert(ids_of("late"), vectors_of(1, seed=3))
    assert caught.value.advice
    holder.execute("ROLLBACK")
    holder.close()
    one.close()
    other.close()


# ---- damage


def test_check_names_the_damaged_row(filled: Path) -> None:
    path = files(filled) / "rows-1.f32"
    data = bytearray(path.read_bytes())
    data[7 * 4 * DIM + 5] ^= 1
    path.write_bytes(data)
    reader = opened(filled, read_only=True)
    assert [problem.id for problem in reader.check()] == ids_of(7)
    reader.close()


def test_check_names_a_swapped_id(filled: Path) -> None:
    path = files(filled) / "ids-1.bin"
    data = path.read_bytes()
    path.write_bytes(data[16:32] + data[:16] + data[32:])
    reader = opened(filled, read_only=True)
    assert {problem.id for problem in reader.check()} == set(ids_of(0, 1))
    reader.close()


def test_components_that_are_no_numbers_are_never_ranked(filled: Path) -> None:
    path = files(filled) / "rows-1.f32"
    data = path.read_bytes()
    path.write_bytes(np.full(DIM, np.nan, "<f4").tobytes() + data[4 * DIM :])
    reader = opened(filled, read_only=True)
    with pytest.raises(CorruptError) as caught:
        reader.search(vectors_of(1), 3)
    assert caught.value.advice
    reader.close()


@pytest.mark.parametrize("name", ["rows-1.f32", "ids-1.bin"])
@pytest.mark.parametrize("size", [None, 0, 100])
def test_a_file_that_is_missing_or_short_is_corrupt(
    filled: Path, name: str, size: int | None
) -> None:
    path = files(filled) / name
    if size is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:size])
    for read_only in (True, False):
        store = opened(filled, read_only=read_only)
        with pytest.raises(CorruptError) as caught:
            store.search(vectors_of(1), 3)
        assert str(files(filled)) in str(caught.value)
        assert len(list(store.check())) == 1
        if not read_only:
            with pytest.raises(CorruptError):
                store.upsert(ids_of("new"), vectors_of(1))
        store.close()


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("content", [b"no database at all" * 100, None])
def test_a_damaged_catalogue_is_corrupt(
    filled: Path, read_only: bool, content: bytes | None
) -> None:
    path = files(filled) / "catalogue.sqlite"
    path.write_bytes(content or path.read_bytes()[:100] + b"\xff" * (path.stat().st_size - 100))
    with pytest.raises(CorruptError) as caught:
        opened(filled, read_only=read_only).search(vectors_of(1), 1)
    assert caught.value.advice


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_format_is_refused(filled: Path, read_only: bool) -> None:
    catalogue = sqlite3.connect(files(filled) / "catalogue.sqlite")
    catalogue.execute("PRAGMA user_version = 99")
    catalogue.close()
    with pytest.raises(NewerFormatError) as caught:
        opened(filled, read_only=read_only).count()
    assert caught.value.advice


@pytest.mark.parametrize("read_only", [True, False])
def test_vectors_of_another_size_are_corrupt(filled: Path, read_only: bool) -> None:
    with pytest.raises(CorruptError):
        Segments(files(filled), DIM + 1, read_only=read_only).snapshot()


# ---- disks and folders


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits there")
def test_a_full_disk_leaves_nothing_half_written(filled: Path) -> None:
    code = f"""
        import resource
        store = opened(Path({str(filled)!r}))
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            store.upsert(ids_of(*range(100, 20_100)), vectors_of(20_000, seed=1))
        except StoreUnreachableError as error:
            print(error.advice)
        assert store.count() == 20 and not list(store.check())
        store.upsert(ids_of("small"), vectors_of(1, seed=2))
        store.close()
    """
    output = subprocess.run(source_of(code), capture_output=True, text=True, check=True).stdout
    assert "free space" in output
    reader = opened(filled, read_only=True)
    assert reader.count() == 21
    assert list(reader.check()) == []
    assert (files(filled) / "rows-1.f32").stat().st_size == 21 * 4 * DIM
    reader.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no permission bits there")
def test_a_folder_that_cannot_be_written_is_read(public_folder: Path) -> None:
    store = opened(public_folder)
    store.upsert(ids_of(*range(20)), vectors_of(20))
    store.close()
    folder = files(public_folder)
    before = sorted(path.name for path in folder.iterdir())
    folder.chmod(0o555)
    code = f"""
        give_up_root()
        reader = Segments(Path({str(folder)!r}), {DIM}, read_only=True)
        print(len(reader.snapshot().rows), len(list(reader.check())))
        try:
            Segments(Path({str(folder)!r}), {DIM}, read_only=False)
        except StoreUnreachableError as error:
            print(error.advice)
    """
    try:
        output = subprocess.run(
            source_of(code), capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert output[0] == "20 0"
        assert "permissions" in output[1]
        assert sorted(path.name for path in folder.iterdir()) == before
    finally:
        folder.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="no permission bits there")
def test_a_reader_without_permission_to_write_follows_a_writer_that_has_it(
    public_folder: Path,
) -> None:
    store = opened(public_folder)
    store.upsert(ids_of(*range(20)), vectors_of(20))
    store.close()
    code = f"""
        give_up_root()
        reader = Segments(Path({str(files(public_folder))!r}), {DIM}, read_only=True)
        for _ in sys.stdin:
            print(len(reader.snapshot().rows), flush=True)
    """
    if os.getuid() != 0:
        pytest.skip("needs a second user")
    with subprocess.Popen(
        source_of(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def rows_seen() -> int:
            print("how many?", file=process.stdin, flush=True)
            return int(process.stdout.readline())  # type: ignore[union-attr]

        assert rows_seen() == 20
        store = opened(public_folder)
        store.upsert(ids_of("more"), vectors_of(1, seed=1))
        assert rows_seen() == 21
        store.close()
        assert rows_seen() == 21


# ---- scores


def test_rounding_bounds_a_product() -> None:
    for dim in (1, 64, 700):
        rows, queries = vectors_of(3000, 1, dim), vectors_of(7, 2, dim)
        rows[:1500] = np.abs(rows[:1500])  # all terms of one sign: the sum rounds most
        queries[:3] = np.abs(queries[:3])
        true = queries.astype(np.float64) @ rows.astype(np.float64).T
        assert np.abs(sweep(rows, queries) - true).max() <= rounding(dim)


def test_equal_vectors_score_equally_wherever_they_lie(tmp_path: Path) -> None:
    channel = Channel("toy", "image", 96, "toy:", "fingerprint")
    store = SegmentStore(Place("exact:", tmp_path, False), channel)
    names, vectors = ids_of(*range(20_011)), vectors_of(20_011, 0, 96)
    vectors[5::7] = vectors[5]
    store.upsert(names, vectors)
    twins = tuple(sorted(names[5::7]))
    queries = vectors_of(5, seed=1, dim=96)
    queries[2] = vectors[5]
    for block in (queries[2:3], queries[1:4], queries):
        place = 0 if len(block) == 1 else 1 if len(block) == 3 else 2
        answer = store.search(block, 1000)[place]
        assert answer.ids == twins[:1000]
        assert len(set(answer.scores.tolist())) == 1
    store.close()

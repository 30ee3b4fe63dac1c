"""`faiss:` gives the answers of `exact:`, out of its index, and never trusts a damaged one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from retrieval.protocols import Place
from retrieval.registry import open_vector_store
from retrieval.schema import Channel, FloatArray
from retrieval.segments import SegmentStore

pytest.importorskip("faiss")
from retrieval.vector_stores.faiss import FaissStore

DIM, N = 16, 4_000
CHANNEL = Channel("toy", "image", DIM, "toy:", "fingerprint")


def ids_of(*names: object) -> list[str]:
    return [hashlib.blake2b(str(name).encode(), digest_size=16).hexdigest() for name in names]


def vectors_of(n: int, seed: int = 0, cluster: float = 1.0) -> FloatArray:
    """(n, DIM) float32 of norm 1, the closer together the smaller `cluster` is."""
    random = np.random.default_rng(seed)
    raw = np.ones(DIM) + cluster * random.standard_normal((n, DIM))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(autouse=True)
def _small_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FaissStore, "smallest", 500)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A collection's folder with a saved index over N vectors, twins among them."""
    store = opened(tmp_path)
    vectors = vectors_of(N)
    vectors[::40] = vectors[0]
    store.upsert(ids_of(*range(N)), vectors)
    store.close()
    return tmp_path


def opened(folder: Path, scheme: str = "faiss:", *, read_only: bool = False) -> SegmentStore:
    store = open_vector_store(Place(scheme, folder, read_only), CHANNEL)
    assert isinstance(store, SegmentStore)
    return store


def index_files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "vectors/toy/image").glob("index-*"))


@pytest.fixture
def only_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbids `faiss:` to look at every row, which would hide an index that isn't used."""

    def refuse(*_: object) -> None:
        raise AssertionError("looked at every row")

    monkeypatch.setattr(FaissStore, "exhaustive", refuse)


def assert_equal_answers(folder: Path, store: SegmentStore, *ks: int) -> None:
    exact = opened(folder, "exact:", read_only=True)
    queries = np.concatenate([vectors_of(20, seed=3), vectors_of(N)[:1]])
    for k in ks:
        for place in range(len(queries)):
            (one,) = store.search(queries[place : place + 1], k)
            (other,) = exact.search(queries[place : place + 1], k)
            assert one.ids == other.ids
            assert np.array_equal(one.scores, other.scores)
    exact.close()


@pytest.mark.parametrize("read_only", [True, False])
def test_answers_out_of_the_index_are_exact(
    folder: Path, only_the_index: None, read_only: bool
) -> None:
    store = opened(folder, read_only=read_only)
    assert_equal_answers(folder, store, 1, 10, 120)
    store.close()


def test_rows_past_the_index_and_dead_ones(folder: Path, only_the_index: None) -> None:
    reader, writer = opened(folder, read_only=True), opened(folder)
    assert_equal_answers(folder, reader, 10)
    writer.upsert(ids_of(*range(N, N + 300)), vectors_of(300, seed=8))
    writer.delete(ids_of(*range(0, 1200, 40)))
    for store in (reader, writer):
        assert_equal_answers(folder, store, 1, 10)
    writer.close()
    reader.close()


def test_vectors_closer_than_half_precision_tells_apart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.upsert(ids_of(*range(N)), vectors_of(N, cluster=1e-4))
    assert_equal_answers(tmp_path, store, 1, 10, 100)
    store.close()


def test_an_index_that_is_damaged_or_of_other_rows_is_not_read(
    folder: Path, only_the_index: None
) -> None:
    path = folder / "vectors/toy/image/index-1.faiss"
    good, label = path.read_bytes(), path.with_suffix(".json").read_text()
    flipped = bytearray(good)
    flipped[-300] ^= 0x40
    for data, text in [
        (bytes(flipped), label),
        (good[:-100], label),
        (good[:3], label),
        (b"", label),
        (good[:-64] + good[-32:] + good[-64:-32], label),
        (good, "{}"),
        (good, "no JSON"),
        (good, label.replace('"format": 1', '"format": 9')),
    ]:
        path.write_bytes(data)
        path.with_suffix(".json").write_text(text)
        reader = opened(folder, read_only=True)
        assert_equal_answers(folder, reader, 10)
        reader.close()


def test_a_saved_index_goes_with_the_first_row_that_dies(folder: Path) -> None:
    assert index_files(folder) == ["index-1.faiss", "index-1.json"]
    store = opened(folder)
    store.upsert(ids_of("new"), vectors_of(1, seed=9))
    assert index_files(folder) == ["index-1.faiss", "index-1.json"]
    store.delete(ids_of(7))
    assert index_files(folder) == []
    store.close()
    assert index_files(folder) == ["index-1.faiss", "index-1.json"]
    store = opened(folder)
    store.delete(ids_of(*range(2000)))
    store.compact()
    assert index_files(folder) == ["index-2.faiss", "index-2.json"]
    assert_equal_answers(folder, store, 10)
    store.close()


def test_a_reader_writes_no_index(folder: Path) -> None:
    for path in (folder / "vectors/toy/image").glob("index-*"):
        path.unlink()
    reader = opened(folder, read_only=True)
    assert_equal_answers(folder, reader, 10)
    reader.close()
    assert index_files(folder) == []


def test_what_a_writer_that_died_left_of_an_index_goes(folder: Path) -> None:
    home = folder / "vectors/toy/image"
    (home / "index-1.faiss.new").write_bytes(vectors_of(1).astype(np.float16).tobytes())
    (home / "index-7.faiss").write_bytes(b"of another generation")
    opened(folder).close()
    assert index_files(folder) == ["index-1.faiss", "index-1.json"]


def test_a_damaged_store_is_opened_checked_and_closed(folder: Path) -> None:
    rows = folder / "vectors/toy/image/rows-1.f32"
    rows.write_bytes(rows.read_bytes()[:100])
    store = opened(folder)
    assert store.count() == N
    assert len(list(store.check())) == 1
    store.close()

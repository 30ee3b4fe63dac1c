"""The laws of `VectorStore`, for every scheme that the registry knows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from retrieval.errors import CorruptError, StoreUnreachableError
from retrieval.protocols import Place, VectorStore
from retrieval.registry import open_vector_store
from retrieval.schema import FloatArray

from .threads import together
from .vector_store_model import (
    CASES,
    CHANNEL,
    DIM,
    NEAR,
    agrees,
    ids_of,
    open_store,
    params,
    ready,
    same,
    untested,
    url_of,
    vectors_of,
)

Opener = Callable[..., VectorStore]


@pytest.fixture(params=params())
def scheme(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What is under test, its libraries installed and its server running."""
    with ready(request, monkeypatch) as case:
        yield case


@pytest.fixture
def opened(scheme: str, tmp_path: Path) -> Iterator[Opener]:
    """Opens the store of the test's folder, any number of times; closes what is left open."""
    stores: list[VectorStore] = []

    def open_it(
        *, read_only: bool = False, existing: bool = False, folder: Path = tmp_path
    ) -> VectorStore:
        stores.append(open_store(scheme, folder, read_only=read_only, existing=existing))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


def tolerance_of(scheme: str) -> float:
    """Of two answers to one question: none where scores are exact."""
    tolerance = CASES[scheme].tolerance
    return tolerance if tolerance >= NEAR else 0


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_registered_scheme_has_a_test_url() -> None:
    assert untested() == set()


# ---- reading and writing


def test_an_empty_store_answers_with_nothing(opened: Opener) -> None:
    for store in (opened(), opened(read_only=True)):
        assert [len(r) for r in store.search(vectors_of(2), 5)] == [0, 0]
        assert len(store.search(vectors_of(1), 5, within=ids_of(1))[0]) == 0
        assert store.count() == 0
        assert list(store.scan()) == []
        assert store.get(ids_of(1)) == {}
        assert list(store.check()) == []


def test_what_was_written_is_there(opened: Opener, scheme: str) -> None:
    store, ids, vectors = opened(), ids_of(*range(20)), vectors_of(20)
    store.upsert(ids, vectors)
    held = dict(zip(ids, vectors, strict=True))
    assert store.count() == 20
    assert sorted(store.scan()) == sorted(ids)
    got = store.get([*ids, *ids_of("absent"), "not an id"])
    assert got.keys() == held.keys()
    assert all(np.array_equal(got[i], held[i]) for i in ids)
    for k in (1, 3, 19, 20, 21, 1000):
        answer = store.search(vectors_of(1, seed=9), k)[0]
        assert len(answer) == min(k, 20)
        assert answer.scores.dtype == np.float32
        assert agrees(answer, held, vectors_of(1, seed=9)[0], k, CASES[scheme].tolerance)


def test_a_known_id_is_replaced(opened: Opener, scheme: str) -> None:
    store, ids = opened(), ids_of(*range(10))
    store.upsert(ids, vectors_of(10))
    store.upsert(ids[:4], vectors_of(4, seed=1))
    held = dict(zip(ids, [*vectors_of(4, seed=1), *vectors_of(10)[4:]], strict=True))
    assert store.count() == 10
    assert agrees(
        store.search(vectors_of(1, 9), 10)[0],
        held,
        vectors_of(1, 9)[0],
        10,
        CASES[scheme].tolerance,
    )
    assert list(store.check()) == []


def test_writing_twice_changes_nothing(opened: Opener, scheme: str, tmp_path: Path) -> None:
    store, ids = opened(), ids_of(*range(10))
    store.upsert(ids, vectors_of(10))
    sizes = {path: len(data) for path, data in files_of(tmp_path).items() if "wal" not in path.name}
    before = store.search(vectors_of(1, 9), 10)[0]
    store.upsert(ids[::-1], vectors_of(10)[::-1])
    assert same(store.search(vectors_of(1, 9), 10)[0], before, tolerance_of(scheme))
    assert store.count() == 10
    if CASES[scheme].erases:
        assert {p: len(d) for p, d in files_of(tmp_path).items() if "wal" not in p.name} == sizes


def test_deleting(opened: Opener, scheme: str) -> None:
    store, ids = opened(), ids_of(*range(10))
    store.upsert(ids, vectors_of(10))
    store.delete([*ids[:3], *ids[:3], *ids_of("absent"), "not an id"])
    held = dict(zip(ids[3:], vectors_of(10)[3:], strict=True))
    assert store.count() == 7
    assert set(store.scan()) == set(ids[3:])
    assert store.get(ids).keys() == set(ids[3:])
    for k in (2, 7, 10):
        assert agrees(
            store.search(vectors_of(1, 9), k)[0],
            held,
            vectors_of(1, 9)[0],
            k,
            CASES[scheme].tolerance,
        )
    store.upsert(ids[:1], vectors_of(1))
    assert store.count() == 8
    store.delete(ids)
    assert len(store.search(vectors_of(1), 3)[0]) == 0


def test_reopening(opened: Opener, scheme: str) -> None:
    store, ids = opened(), ids_of(*range(10))
    store.upsert(ids, vectors_of(10))
    store.delete(ids[:2])
    before = store.search(vectors_of(3, 9), 5)
    store.close()
    for read_only in (True, False, True):
        again = opened(read_only=read_only)
        assert all(
            same(a, b, tolerance_of(scheme))
            for a, b in zip(again.search(vectors_of(3, 9), 5), before, strict=True)
        )
        assert list(again.check()) == []
        again.close()


# ---- order


def test_ties_are_in_the_order_of_the_ids(opened: Opener, scheme: str) -> None:
    store, ids = opened(), ids_of(*range(60))
    vectors = np.repeat(vectors_of(3), 20, axis=0)
    order = np.random.default_rng(1).permutation(60)
    for part in np.split(order, 6):
        store.upsert([ids[i] for i in part], vectors[part])
    for k in (1, 7, 20, 21, 45, 60):
        answer = store.search(vectors[:1], k)[0]
        assert answer.ids[:20] == tuple(sorted(ids[:20]))[:k]
        assert agrees(
            answer, dict(zip(ids, vectors, strict=True)), vectors[0], k, CASES[scheme].tolerance
        )


def test_one_query_or_many_the_same_scores(opened: Opener, scheme: str) -> None:
    store, ids, queries = opened(), ids_of(*range(300)), vectors_of(40, seed=5)
    vectors = vectors_of(300)
    vectors[::3] = vectors[0]
    store.upsert(ids, vectors)
    for k in (5, 100, 300):
        together = store.search(queries, k)
        assert all(
            same(store.search(queries[i : i + 1], k)[0], together[i], tolerance_of(scheme))
            for i in range(0, len(queries), 8 if CASES[scheme].served else 1)
        )


def test_within(opened: Opener, scheme: str) -> None:
    store, ids, vectors = opened(), ids_of(*range(50)), vectors_of(50)
    store.upsert(ids, vectors)
    store.delete(ids[:5])
    held = dict(zip(ids, vectors, strict=True))
    query = vectors_of(1, 9)
    assert len(store.search(query, 5, within=[])[0]) == 0
    assert len(store.search(query, 5, within=[*ids_of("absent"), "not an id", *ids[:5]])[0]) == 0
    few = {*ids[3:12], *ids_of("absent")}
    for k in (1, 4, 100):
        answer = store.search(query, k, within=few)[0]
        assert agrees(answer, {i: held[i] for i in ids[5:12]}, query[0], k, CASES[scheme].tolerance)
    whole = store.search(query, 45)[0]
    assert same(store.search(query, 45, within=ids)[0], whole, tolerance_of(scheme))


# ---- refusals


@pytest.mark.parametrize(
    ("ids", "vectors"),
    [
        (ids_of(1, 2), vectors_of(2)[:, :-1]),
        (ids_of(1, 2), vectors_of(1)),
        (ids_of(1), vectors_of(1)[0]),
        (ids_of(1, 2), np.full((2, DIM), np.nan, np.float32)),
        (ids_of(1, 2), np.full((2, DIM), np.inf, np.float32)),
        (ids_of(1, 2), vectors_of(2) * np.float32(1.01)),
        (ids_of(1, 2), np.zeros((2, DIM), np.float32)),
        (ids_of(1, 1), vectors_of(2)),
        ([ids_of(1)[0], "photo.jpg"], vectors_of(2)),
        ([ids_of(1)[0], ids_of(2)[0].upper()], vectors_of(2)),
        ([ids_of(1)[0], ids_of(2)[0] + "\n"], vectors_of(2)),
    ],
    ids=[
        "wrong dim", "too few", "one dimension", "nan", "infinite", "norm", "zero",
        "id twice", "no id", "upper case", "newline",
    ],
)  # fmt: skip
def test_a_wrong_batch_is_refused_whole(
    opened: Opener, ids: list[str], vectors: FloatArray
) -> None:
    store = opened()
    store.upsert(ids_of("there"), vectors_of(1))
    with pytest.raises(ValueError, match=r"."):
        store.upsert(ids, vectors)
    assert list(store.scan()) == ids_of("there")
    assert list(store.check()) == []


def test_an_empty_batch_is_no_error(opened: Opener) -> None:
    store = opened()
    store.upsert([], np.empty((0, DIM), np.float32))
    store.delete([])
    assert store.search(np.empty((0, DIM), np.float32), 3) == []
    assert store.count() == 0


@pytest.mark.parametrize(
    "queries", [vectors_of(1)[:, 1:], vectors_of(1)[0], vectors_of(1) * np.float32(np.nan)]
)
def test_a_wrong_query_is_refused(opened: Opener, queries: FloatArray) -> None:
    with pytest.raises(ValueError, match=r"."):
        opened().search(queries, 3)


def test_read_only_refuses_to_write_and_reads(opened: Opener) -> None:
    opened().upsert(ids_of(1, 2), vectors_of(2))
    store = opened(read_only=True)
    for write in (
        lambda: store.upsert(ids_of(3), vectors_of(1)),
        lambda: store.delete(ids_of(1)),
        store.compact,
    ):
        with pytest.raises(StoreUnreachableError) as caught:
            write()
        assert caught.value.advice
    assert store.search(vectors_of(1), 1)[0].ids == tuple(ids_of(1))
    assert store.count() == 2


def damage(scheme: str, folder: Path) -> None:
    """Make a store unreadable: all of its files; on a server, a collection of another shape."""
    if not CASES[scheme].served:
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            path.write_bytes(b"no such file" * 1000)
        return
    other = dataclasses.replace(CHANNEL, dim=DIM + 1)
    place = Place(url_of(scheme, folder), folder, read_only=False, anew=True)
    open_vector_store(place, other).close()


def test_a_store_beyond_reading_is_made_anew(scheme: str, tmp_path: Path) -> None:
    """Whatever of it is damaged; a reader throws nothing away."""
    with closing(open_store(scheme, tmp_path)) as store:
        store.upsert(ids_of(*range(4)), vectors_of(4))
    damage(scheme, tmp_path)
    with pytest.raises(CorruptError):
        open_store(scheme, tmp_path, anew=True, read_only=True).check()
    with closing(open_store(scheme, tmp_path, existing=True, anew=True)) as store:
        assert store.count() == 0
        store.upsert(ids_of("new"), vectors_of(1))
    with closing(open_store(scheme, tmp_path, read_only=True)) as store:
        assert list(store.scan()) == ids_of("new")
        assert list(store.check()) == []


@pytest.mark.parametrize("options", [{"read_only": True}, {"existing": True}])
def test_a_store_that_is_not_there_is_never_taken_for_an_empty_one(
    opened: Opener, scheme: str, tmp_path: Path, options: dict[str, bool]
) -> None:
    where = url_of(scheme, tmp_path).partition("?")[0].rpartition("/")
    for _ in range(2):
        with pytest.raises(CorruptError, match="missing") as caught:
            opened(**options)
        assert (where[2] if CASES[scheme].served else str(tmp_path)) in str(caught.value)
        assert "backup" in caught.value.advice
        assert list(tmp_path.iterdir()) == []
    opened().close()
    assert opened(**options).count() == 0


# ---- erased is gone; compaction


def test_deleted_numbers_are_in_no_file(opened: Opener, scheme: str, tmp_path: Path) -> None:
    if not CASES[scheme].erases:
        pytest.skip("its files forget when it compacts them by itself, as its documentation says")
    ids, vectors = ids_of(*range(40)), vectors_of(40)
    store = opened()
    store.upsert(ids, vectors)
    store.close()  # derived files are written by now
    store = opened()
    store.upsert(ids[:1], vectors_of(1, seed=1))  # row 0 is replaced: its old numbers go, too
    store.delete(ids[1:9])
    store.search(vectors_of(1), 5)
    traces = [vectors[i].tobytes() for i in range(9)]
    traces += [vectors[i].astype(np.float16).tobytes() for i in range(9)]
    traces += [bytes.fromhex(i) for i in ids[1:9]]
    for _ in ("while open", "after closing"):
        found = files_of(tmp_path)
        assert any(vectors[9].tobytes() in data for data in found.values())
        assert not [p for p, data in found.items() for trace in traces if trace in data]
        store.close()


def test_compaction_keeps_the_answers(opened: Opener, scheme: str, tmp_path: Path) -> None:
    store, ids = opened(), ids_of(*range(100))
    store.upsert(ids, vectors_of(100))
    store.delete(ids[10:90])
    reader = opened(read_only=True)
    before = store.search(vectors_of(4, 9), 15)
    size = sum(map(len, files_of(tmp_path).values()))
    store.compact()
    for each in (store, reader, opened(read_only=True)):
        after = each.search(vectors_of(4, 9), 15)
        assert all(same(a, b, tolerance_of(scheme)) for a, b in zip(before, after, strict=True))
        assert each.get(ids).keys() == {*ids[:10], *ids[90:]}
        assert list(each.check()) == []
    if CASES[scheme].erases:
        assert sum(map(len, files_of(tmp_path).values())) < size
    store.delete(ids)
    store.compact()
    assert reader.count() == 0


# ---- several threads


def test_threads_that_ask_at_once_get_what_one_gets(opened: Opener, scheme: str) -> None:
    ids, vectors = ids_of(*range(200)), vectors_of(200)
    writer = opened()
    writer.upsert(ids, vectors)
    store, queries = opened(read_only=True), vectors_of(4, seed=9)
    found = [store.search(query[None], 20)[0] for query in queries]

    def ask(number: int) -> None:
        if number == 0:  # a writer beside them, who changes nothing that they are told
            for n in range(5):
                writer.upsert(ids_of(("new", n)), -queries[:1])
                writer.delete(ids_of(("new", n)))
            return
        for n in range(20):
            answer = store.search(queries[[n % 4]], 20)[0]
            assert same(answer, found[n % 4], tolerance_of(scheme))
            assert len(store.get(ids)) == 200

    together(ask)
    assert writer.count() == 200
    assert list(store.check()) == []


# ---- any sequence of operations


def machine(
    opened_at: Callable[[bool], VectorStore], tolerance: float
) -> type[RuleBasedStateMachine]:
    """A state machine that compares a store with a dict."""
    pool = ids_of(*range(12))
    some_ids = st.lists(st.sampled_from(pool), max_size=6, unique=True)
    points = vectors_of(5, seed=3)  # few, so that there are many ties

    class Model(RuleBasedStateMachine):
        @initialize()
        def start(self) -> None:
            self.store = opened_at(False)
            self.store.delete(list(self.store.scan()))
            self.reader = opened_at(True)
            self.held: dict[str, FloatArray] = {}

        @rule(ids=some_ids, picks=st.lists(st.integers(0, 4), min_size=6, max_size=6))
        def upsert(self, ids: list[str], picks: list[int]) -> None:
            vectors = points[picks[: len(ids)]]
            self.store.upsert(ids, vectors)
            self.held.update(zip(ids, vectors, strict=True))

        @rule(ids=some_ids)
        def delete(self, ids: list[str]) -> None:
            self.store.delete(ids)
            for gone in ids:
                self.held.pop(gone, None)

        @rule()
        def compact(self) -> None:
            self.store.compact()

        @rule()
        def reopen(self) -> None:
            self.store.close()
            self.store = opened_at(False)

        @rule(ids=some_ids, k=st.integers(0, 14))
        def search_within(self, ids: list[str], k: int) -> None:
            held = {i: v for i, v in self.held.items() if i in ids}
            answer = self.reader.search(points[:1], k, within=ids)[0]
            assert agrees(answer, held, points[0], k, tolerance)

        @rule(k=st.integers(0, 14), pick=st.integers(0, 4))
        def search(self, k: int, pick: int) -> None:
            answers = [s.search(points[[pick]], k)[0] for s in (self.store, self.reader)]
            assert same(*answers, tolerance if tolerance >= NEAR else 0)
            assert agrees(answers[0], self.held, points[pick], k, tolerance)

        @invariant()
        def the_same_ids(self) -> None:
            if hasattr(self, "held"):
                assert list(self.reader.scan()) == sorted(self.held)
                assert self.reader.count() == len(self.held)

        def teardown(self) -> None:
            if hasattr(self, "store"):
                assert list(self.reader.check()) == []
                self.store.close()
                self.reader.close()

    return Model


def test_any_sequence_agrees_with_a_dict(scheme: str, tmp_path: Path) -> None:
    def opened_at(read_only: bool) -> VectorStore:
        return open_store(scheme, tmp_path, read_only=read_only)

    run_state_machine_as_test(
        machine(opened_at, CASES[scheme].tolerance),
        settings=settings(
            max_examples=min(12, CASES[scheme].examples),
            stateful_step_count=20,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_answers_are_the_naive_ones(scheme: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    @given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 400), k=st.integers(1, 420))
    @settings(
        max_examples=CASES[scheme].examples,
        suppress_health_check=list(HealthCheck),
    )
    def agree(seed: int, n: int, k: int) -> None:
        with closing(open_store(scheme, tmp_path_factory.mktemp("store"))) as store:
            vectors, query = vectors_of(n, seed), vectors_of(1, seed + 1)
            store.upsert(ids_of(*range(n)), vectors)
            held = dict(zip(ids_of(*range(n)), vectors, strict=True))
            assert agrees(store.search(query, k)[0], held, query[0], k, CASES[scheme].tolerance)

    agree()

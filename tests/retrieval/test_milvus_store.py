"""What is special to `milvus:`: servers that are down, killed, slow, strict or strangers; files."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pymilvus")

from retrieval.abilities import Knowing, Served
from retrieval.errors import (
    CorruptError,
    NewerFormatError,
    NotInstalledError,
    StoreUnreachableError,
    UsageError,
)
from retrieval.protocols import Place
from retrieval.registry import open_vector_store
from retrieval.schema import Document, Ranking
from retrieval.vector_stores import milvus
from retrieval.vector_stores.milvus import MilvusStore, connection, order, table
from retrieval.vector_stores.milvus.address import target
from tests.contracts.vector_store_model import CHANNEL, agrees, ids_of, naive, same, vectors_of
from tests.services.milvus import PASSWORD, USER, MilvusServer
from tests.services.process import free_ports, running
from tests.services.proxy import Proxy

REPOSITORY = Path(__file__).parents[2]
NAME = "special"
server_test = [pytest.mark.services, pytest.mark.xdist_group("milvus")]


def open_at(url: str, folder: Path, *, read_only: bool = False, **more: bool) -> MilvusStore:
    store = open_vector_store(Place(url, folder, read_only, **more), CHANNEL)
    assert isinstance(store, MilvusStore)
    return store


@pytest.fixture
def url(milvus_session: MilvusServer) -> Iterator[str]:
    """Of a store that isn't there yet."""
    yield milvus_session.url(NAME)
    milvus_session.drop(NAME)


@pytest.fixture(params=[pytest.param("server", marks=server_test), "lite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MilvusStore]:
    """A new store, for writing."""
    if request.param == "lite":
        pytest.importorskip("milvus_lite")
        at = "milvus:"
    else:
        at = request.getfixturevalue("url")
    with closing(open_at(at, tmp_path)) as opened:
        yield opened


# ---- what it says and knows


def test_names_are_told_apart(tmp_path: Path) -> None:
    urls = [f"milvus://h/{name}" for name in ("a-b", "a_b", "a-b-toy")]
    names = [target(each, tmp_path, CHANNEL).collection for each in urls]
    assert len(set(names)) == 3
    assert all(name.isidentifier() and name.isascii() for name in names)


@pytest.mark.parametrize(
    "wrong",
    [
        "milvus://h/n?index=IVF",
        "milvus://h/n?m=1",
        "milvus://h",
        "milvus:vectors.sqlite",
        "milvus:a.db?index=FLAT",
        "milvus://me:secret@h/n",
    ],
)
def test_a_wrong_url_is_told(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_at(wrong, tmp_path)
    assert caught.value.advice
    assert "secret" not in str(caught.value) + caught.value.advice


def test_it_knows_the_documents_of_its_vectors(store: MilvusStore) -> None:
    assets = ["a" * 64, "b" * 64]
    documents = [Document.of(assets[n % 2], "image", CHANNEL.key, text=str(n)) for n in range(5)]
    known = {each.id: Document(each.id, each.asset, "image", CHANNEL.key) for each in documents}
    store.upsert(list(known), vectors_of(5), documents)
    store.upsert(ids_of("unknown"), vectors_of(1, 9))
    assert isinstance(store, Knowing)
    assert store.documents([*known, *ids_of("unknown", "absent"), "no id"]) == known
    of_assets = store.of_assets([*assets, "c" * 64, '"] or id > "'])
    assert of_assets == {
        asset: sorted((d for d in known.values() if d.asset == asset), key=lambda d: d.id)
        for asset in assets
    }


def test_it_says_what_it_is(store: MilvusStore) -> None:
    store.upsert(ids_of(1, 2), vectors_of(2))
    assert isinstance(store, Served)
    service = store.service()
    assert service.product.startswith("Milvus")
    assert service.version[0].isdigit()
    assert service.lag is not None
    assert service.counts == {"vectors": 2}


# ---- exact where the server isn't


def test_past_what_a_server_gives_every_vector_is_scored(
    store: MilvusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, vectors, query = ids_of(*range(90)), vectors_of(90), vectors_of(1, 9)
    vectors[::4] = vectors[0]
    store.upsert(ids, vectors)
    held = dict(zip(ids, vectors, strict=True))
    for module in (milvus, table):
        monkeypatch.setattr(module, "MOST", 20)
    store._table.rows_at_once = 30
    for k in (5, 19, 20, 60, 200):
        assert agrees(store.search(query, k)[0], held, query[0], k, order.NEAR)
        assert agrees(store.search(vectors[:1], k)[0], held, vectors[0], k, order.NEAR)
    assert list(store.scan()) == sorted(ids)
    assert list(store.check()) == []


def test_near_scores_are_doubtful_and_far_ones_are_not() -> None:
    scores = np.array([0.9, 0.8, 0.8 - 5e-7, 0.7, 0.5, 0.5, 0.5, 0.1], np.float32)
    assert order.doubtful(scores, 8).tolist() == [1, 2, 4, 5, 6]
    assert order.doubtful(scores, 3).tolist() == [1, 2]
    assert order.doubtful(scores, 5).tolist() == [1, 2, 4, 5, 6]
    assert [order.reaches(scores, k) for k in (7, 6, 5, 4, 8)] == [True, True, True, True, False]
    assert not order.reaches(scores[:7], 5)  # it may go on as it ends


def test_rankings_of_parts_make_one() -> None:
    parts = [
        Ranking(("b" * 32, "d" * 32), np.array([0.5, 0.1], np.float32)),
        Ranking(("a" * 32, "c" * 32), np.array([0.5, 0.3], np.float32)),
    ]
    assert [i[0] for i in order.merged(parts, 3).ids] == ["a", "b", "c"]


def test_rows_of_several_segments(store: MilvusStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever order and whatever last bits the server's parts give them."""
    ids, vectors = ids_of(*range(400)), vectors_of(400)
    vectors[::5] = vectors[0]
    for start in (0, 150, 300):
        store.upsert(ids[start : start + 150], vectors[start : start + 150])
        if start < 300:
            store._table._call("flush", store._table.name)
    store.delete(ids[100:120])
    held = {i: v for i, v in zip(ids, vectors, strict=True) if i not in ids[100:120]}
    for k in (3, 50, 379, 380, 400):
        answer = store.search(vectors[:1], k)[0]
        assert same(answer, naive(held, vectors[0], k), order.NEAR)
    monkeypatch.setattr(milvus, "MOST", 17)
    assert list(store.scan()) == sorted(held)


# ---- what is there doesn't fit


@pytest.mark.services
@pytest.mark.xdist_group("milvus")
def test_what_is_strange_is_refused(
    url: str, milvus_session: MilvusServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        later.setattr(table, "FORMAT", 2)
        open_at(url, tmp_path).close()
    with pytest.raises(NewerFormatError, match="format 2"):
        open_at(url, tmp_path, read_only=True)
    name = target(url, tmp_path, CHANNEL).collection
    with closing(milvus_session.client()) as client:
        client.drop_collection(name)
        client.create_collection(name, dimension=8, metric_type="COSINE")
    with pytest.raises(CorruptError, match="wasn't made by Echolens"):
        open_at(url, tmp_path)


@pytest.mark.services
@pytest.mark.xdist_group("milvus")
def test_a_writer_goes_on_where_the_making_was_broken_off(
    url: str, milvus_session: MilvusServer, tmp_path: Path
) -> None:
    open_at(url, tmp_path).close()
    name = target(url, tmp_path, CHANNEL).collection
    with closing(milvus_session.client()) as client:
        client.release_collection(name)
        client.drop_index(name, "vector")
    with pytest.raises(CorruptError, match="no index"):
        open_at(url, tmp_path, read_only=True)
    with closing(open_at(url, tmp_path, existing=True)) as store:
        store.upsert(ids_of(1), vectors_of(1))
        assert store.search(vectors_of(1), 1)[0].ids == tuple(ids_of(1))


# ---- servers that are down


def test_without_its_packages_the_one_to_install_is_told() -> None:
    code = """
import sys
sys.modules["grpc"] = sys.modules["pymilvus"] = None
from retrieval import registry
from retrieval.errors import NotInstalledError
try:
    registry.check("vector_store", "milvus://h/n")
except NotInstalledError as error:
    print(error, error.advice)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "`pymilvus`" in done.stdout
    assert "grpc" not in done.stdout
    assert "echolens[milvus]" in done.stdout


def test_nobody_listens(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (port,) = free_ports(1)
    with pytest.raises(StoreUnreachableError, match=f"127.0.0.1:{port}.*refused") as caught:
        open_at(f"milvus://127.0.0.1:{port}/n", tmp_path)
    assert caught.value.advice
    assert capfd.readouterr().err == ""


def test_no_such_host(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachableError, match="can't be reached"):
        open_at("milvus://no-such-host.invalid/n?tls=false", tmp_path)


@pytest.mark.services
@pytest.mark.xdist_group("milvus")
def test_a_server_without_tls_is_told(milvus_session: MilvusServer, tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachableError, match="can't be reached") as caught:
        open_at(f"{milvus_session.url(NAME)}&tls=true&timeout=5", tmp_path)
    assert "`tls=false`" in caught.value.advice


@pytest.mark.services
@pytest.mark.xdist_group("milvus")
def test_another_servers_port(milvus_session: MilvusServer, tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachableError):
        open_at(f"milvus://127.0.0.1:{milvus_session.ports['http']}/n", tmp_path)


@pytest.mark.services
@pytest.mark.xdist_group("milvus")
def test_a_connection_that_stalls_or_is_cut_comes_back(
    milvus_session: MilvusServer, url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Proxy(milvus_session.ports["proxy_port"]) as proxy:
        at = f"milvus://127.0.0.1:{proxy.port}/{NAME}?consistency=strong&timeout=8"
        open_at(url, tmp_path).close()
        with closing(open_at(at, tmp_path)) as store:
            for fault in (proxy.stall, proxy.cut):
                fault()
                with pytest.raises(StoreUnreachableError, match="can't be reached"):
                    store.upsert(ids_of(fault), vectors_of(1))
                proxy.restore()
                store.upsert(ids_of(fault), vectors_of(1))
            assert store.count() == 2
    assert capfd.readouterr().err == ""


@pytest.mark.services
@pytest.mark.xdist_group("milvus")
def test_a_killed_server_loses_nothing_that_it_acknowledged(
    own_milvus_server: MilvusServer, tmp_path: Path
) -> None:
    server, acknowledged = own_milvus_server, 0
    url = server.url(NAME)

    def write_on() -> None:
        nonlocal acknowledged
        while True:
            store.upsert(ids_of(*range(acknowledged, acknowledged + 10)), vectors_of(10))
            acknowledged += 10

    with closing(open_at(url, tmp_path)) as store:
        killer = threading.Timer(1.0, server.kill)
        killer.start()
        with pytest.raises(StoreUnreachableError, match="can't be reached") as caught:
            write_on()
        killer.join()
        assert str(server.ports["proxy_port"]) in str(caught.value)
        with pytest.raises(StoreUnreachableError):
            open_at(url, tmp_path, read_only=True)
        server.start()
        for opened in (store, open_at(url, tmp_path, read_only=True)):
            there, acked = set(opened.scan()), ids_of(*range(acknowledged))
            assert acked
            assert there >= set(acked)
            assert len(there) == opened.count()
            assert list(opened.check()) == []
            assert set(opened.get(acked)) == set(acked)
        store.upsert(ids_of("after"), vectors_of(1))
        opened.close()


@pytest.mark.services
@pytest.mark.xdist_group("milvus")
def test_a_reader_is_told_that_a_server_is_loading_and_a_writer_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = MilvusServer(tmp_path / "server", "common.session.ttl=60")  # so long it loads
    monkeypatch.setattr(connection, "LOADING_S", 1.0)  # a slow machine starts for most of that
    with running(server):
        url = server.url(NAME)
        with closing(open_at(url, tmp_path)) as store:
            store.upsert(ids_of(1), vectors_of(1))
        server.kill()
        server.start()
        with (
            pytest.raises(StoreUnreachableError, match="still loading"),
            closing(open_at(url, tmp_path, read_only=True)) as store,
        ):
            store.count()
        patient = server.url(NAME, "consistency=strong&timeout=120")  # a request outlasts it too
        with closing(open_at(patient, tmp_path, existing=True)) as store:
            assert store.count() == 1


@pytest.mark.services
@pytest.mark.xdist_group("milvus")
def test_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = MilvusServer(tmp_path / "server", "authorization_enabled=true")
    with running(server):
        url = server.url(NAME)
        for password in (None, "wrong-password"):
            if password:
                monkeypatch.setenv("ECHOLENS_MILVUS_USER", USER)
                monkeypatch.setenv("ECHOLENS_MILVUS_PASSWORD", password)
            with pytest.raises(StoreUnreachableError, match="refuses access") as caught:
                open_at(url, tmp_path)
            assert "ECHOLENS_MILVUS_TOKEN" in caught.value.advice
            assert "wrong-password" not in f"{caught.value}{caught.value.advice}"
        monkeypatch.setenv("ECHOLENS_MILVUS_PASSWORD", PASSWORD)
        with closing(open_at(url, tmp_path)) as store:
            assert store.count() == 0


# ---- Milvus Lite


def test_lite_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "milvus_lite.server_manager", None)
    with pytest.raises(NotInstalledError) as caught:
        open_at("milvus:", tmp_path)
    assert "echolens[milvus-lite]" in caught.value.advice


def test_a_file_is_one_processs_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    store = open_at("milvus:", tmp_path)
    store.upsert(ids_of(1), vectors_of(1))
    code = f"""
from pathlib import Path
from retrieval.errors import LockedError
from tests.retrieval.test_milvus_store import open_at
try:
    print(open_at("milvus:", Path({str(tmp_path)!r}), read_only=True).count())
except LockedError as error:
    print("locked:", error.advice)
"""
    for end, said in ((lambda: None, "locked: "), (store.close, "1\n")):
        end()
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith(said)


def test_channels_share_a_file(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    import dataclasses

    other = dataclasses.replace(CHANNEL, modality="text")
    with closing(open_at("milvus:", tmp_path)) as store:
        second = open_vector_store(Place("milvus:", tmp_path, read_only=False), other)
        store.upsert(ids_of(1), vectors_of(1))
        second.close()
        second.close()
        assert store.count() == 1

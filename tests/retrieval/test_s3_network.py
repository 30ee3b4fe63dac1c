"""`s3:` over a bad network and with a full disk: told in time, nothing half-written is read, and
the same again after the fault completes it.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig
from urllib3 import Retry

from retrieval.asset_stores.s3 import S3Store
from retrieval.errors import StoreUnreachableError
from retrieval.protocols import Place
from tests.services.disk import small_disk
from tests.services.process import running
from tests.services.proxy import Proxy
from tests.services.s3 import CREDENTIALS, S3Server

pytestmark = pytest.mark.services

DATA = os.urandom(3 * 2**20)
ASSET = hashlib.sha256(DATA).hexdigest()
LARGE = os.urandom(20 * 2**20)  # goes in two parts
LARGE_ASSET = hashlib.sha256(LARGE).hexdigest()
ASSETS = ((ASSET, DATA), (LARGE_ASSET, LARGE))


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Retry, "sleep", lambda self, response=None: None)


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[Proxy]:
    with Proxy(s3_server.ports["s3.port"]) as proxy:
        yield proxy


@pytest.fixture
def store(s3_server: S3Server, proxy: Proxy, tmp_path: Path) -> Iterator[S3Store]:
    """A store behind the proxy."""
    endpoint = f"http://127.0.0.1:{proxy.port}"
    url = s3_server.url().replace(s3_server.endpoint, endpoint) + "&timeout=5"
    with closing(S3Store(Place(url, tmp_path, read_only=False), lambda _: [])) as store:
        yield store


def _put(store: S3Store, asset: str, data: bytes) -> None:
    store.put(asset, io.BytesIO(data))


def _read(store: S3Store, asset: str) -> bytes:
    with store.open(asset) as file:
        return file.read()


@pytest.mark.parametrize(("asset", "data"), ASSETS, ids=["whole", "in parts"])
def test_a_connection_cut_once_is_not_noticed(
    store: S3Store, proxy: Proxy, asset: str, data: bytes
) -> None:
    proxy.cut_after(len(data) // 2, of="requests")
    _put(store, asset, data)
    proxy.cut_after(len(data) // 2)
    assert _read(store, asset) == data
    assert proxy.dropped == 2
    assert list(store.scan()) == [asset]


@pytest.mark.parametrize(("asset", "data"), ASSETS, ids=["whole", "in parts"])
def test_a_connection_cut_again_and_again_is_told_and_nothing_half_is_kept(
    store: S3Store, proxy: Proxy, asset: str, data: bytes
) -> None:
    proxy.cut_after(len(data) // 2, of="requests", once=False)
    with pytest.raises(StoreUnreachableError, match="broke off") as caught:
        _put(store, asset, data)
    assert caught.value.advice
    proxy.restore()
    assert not store.exists(asset)
    assert list(store.scan()) == []
    _put(store, asset, data)
    proxy.cut_after(len(data) // 8, once=False)
    with pytest.raises(StoreUnreachableError):
        _read(store, asset)
    proxy.restore()
    assert _read(store, asset) == data


def test_an_answer_that_was_lost_is_no_second_copy(
    s3_server: S3Server, store: S3Store, proxy: Proxy
) -> None:
    client, bucket = s3_server.client(), store._at.bucket
    client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
    proxy.cut_after(0)  # the object is kept, and the word of it is lost
    _put(store, ASSET, DATA)
    assert proxy.dropped == 1
    assert len(list(client.list_objects(bucket, recursive=True, include_version=True))) == 1
    assert _read(store, ASSET) == DATA


def test_a_network_that_is_down_is_told_until_it_is_up(store: S3Store, proxy: Proxy) -> None:
    _put(store, ASSET, DATA)
    proxy.cut()
    uses: list[Callable[[], object]] = [
        lambda: _put(store, LARGE_ASSET, LARGE),
        lambda: _read(store, ASSET),
        lambda: store.exists(ASSET),
        lambda: store.delete(ASSET),
        lambda: list(store.scan()),
        store.service,
    ]
    for use in uses:
        with pytest.raises(StoreUnreachableError, match="connection refused"):
            use()
    proxy.restore()
    assert _read(store, ASSET) == DATA


def test_a_stalled_network_is_waited_for_as_long_as_the_url_says(
    s3_server: S3Server, proxy: Proxy, tmp_path: Path, store: S3Store
) -> None:
    url = f"s3://{store._at.bucket}/assets?endpoint=http://127.0.0.1:{proxy.port}&timeout=0.2"
    proxy.stall()
    with (
        closing(S3Store(Place(url, tmp_path), lambda _: [])) as hasty,
        pytest.raises(StoreUnreachableError, match=r"no answer within 0\.2 seconds"),
    ):
        hasty.exists(ASSET)
    proxy.restore()
    _put(store, ASSET, DATA)
    assert _read(store, ASSET) == DATA


def test_a_slow_network_is_no_fault(store: S3Store, proxy: Proxy) -> None:
    proxy.slow(3 * 2**20)
    _put(store, ASSET, DATA)
    assert _read(store, ASSET) == DATA


def test_a_full_disk_is_told_and_with_room_again_all_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    datas = [os.urandom(2 * 2**20) for _ in range(8)]
    named = {hashlib.sha256(data).hexdigest(): data for data in datas}
    taken: list[str] = []
    with (
        small_disk(tmp_path / "s3/data", 160) as disk,
        running(S3Server(tmp_path / "s3")) as server,
        closing(S3Store(Place(server.url(), tmp_path, read_only=False), lambda _: [])) as store,
    ):

        def put_all() -> None:
            for asset, data in named.items():
                _put(store, asset, data)
                taken.append(asset)
                if len(taken) == 2:
                    disk.fill(leaving=2**20)

        with pytest.raises(StoreUnreachableError, match=server.endpoint):
            put_all()
        assert 2 <= len(taken) < len(named)
        disk.free()
        for asset in store.scan():  # whatever is there is whole
            assert _read(store, asset) == named[asset]
        assert set(store.scan()) >= set(taken)
        for asset, data in named.items():
            _put(store, asset, data)
        for asset, data in named.items():
            assert _read(store, asset) == data

"""`s3:` against a real server: what it keeps, what it erases, and how it fails."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from retrieval.abilities import Served
from retrieval.asset_stores import s3
from retrieval.asset_stores.s3 import S3Store
from retrieval.asset_stores.s3.address import parse
from retrieval.errors import BadInputError, CorruptError, EcholensError, StoreUnreachableError
from retrieval.protocols import Place
from retrieval.registry import open_asset_store
from tests.services.s3 import ACCESS_KEY, SECRET_KEY, S3Server

pytestmark = pytest.mark.services

BYTES = bytes(range(256)) * 40
ASSET = hashlib.sha256(BYTES).hexdigest()
LARGE = 24 * 2**20
UNICODE = quote("Bücher/狗 的+照片")

Opener = Callable[..., S3Store]


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Opener]:
    """Opens the store of a URL, for writing if nothing is said; closes what is open."""
    stores: list[S3Store] = []

    def open_it(url: str, **how: bool) -> S3Store:
        place = Place(url, tmp_path, **{"read_only": False, **how})
        store = open_asset_store(place, lambda _: [])
        assert isinstance(store, S3Store)
        stores.append(store)
        return store

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def client(s3_server: S3Server) -> Minio:
    """The server seen past the store."""
    return s3_server.client()


def _keys(client: Minio, url: str) -> list[str]:
    """Of all versions of all objects of a bucket, delete markers too."""
    listed = client.list_objects(parse(url).bucket, recursive=True, include_version=True)
    return [str(found.object_name) for found in listed]


def _uploads(client: Minio, url: str) -> list[Any]:
    return list(client._list_multipart_uploads(parse(url).bucket).uploads)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---- the bucket


@pytest.mark.parametrize("region", ["", "&region=us-east-1"])  # without it the client asks first
@pytest.mark.parametrize("how", [{"read_only": True}, {"existing": True}])
def test_a_bucket_that_is_missing_is_not_taken_for_an_empty_one(
    s3_server: S3Server, client: Minio, opener: Opener, how: dict[str, bool], region: str
) -> None:
    url = s3_server.url() + region
    uses: list[Callable[[S3Store], object]] = [
        lambda store: store.exists(ASSET),
        lambda store: store.open(ASSET),
        lambda store: list(store.scan()),
    ]
    for use in uses:
        with pytest.raises(CorruptError, match=parse(url).bucket) as caught:
            use(opener(url, **how))
        assert caught.value.advice
    assert not client.bucket_exists(parse(url).bucket)


@pytest.mark.parametrize("how", [{}, {"existing": True, "anew": True}])
def test_a_writer_of_a_new_store_makes_the_bucket(
    s3_server: S3Server, opener: Opener, how: dict[str, bool]
) -> None:
    url = s3_server.url()
    opener(url, **how).put(ASSET, io.BytesIO(BYTES))
    assert list(opener(url, existing=True).scan()) == [ASSET]


def test_a_bucket_of_many_is_listed_whole(s3_server: S3Server, opener: Opener) -> None:
    store = opener(s3_server.url())
    datas = [str(number).encode() for number in range(1100)]  # a page has 1,000
    for data in datas:
        store.put(_hash(data), io.BytesIO(data))
    assert list(store.scan()) == sorted(map(_hash, datas))


@pytest.mark.parametrize("prefix", ["", "one", UNICODE])
def test_keys_under_a_prefix_leave_others_alone(
    s3_server: S3Server, client: Minio, opener: Opener, prefix: str
) -> None:
    url = s3_server.url(prefix)
    address = parse(url)
    foreign = [f"{address.prefix}notes.txt", f"other/{ASSET[:2]}/{ASSET}", f"one2/{ASSET}"]
    store = opener(url)
    for key in (*foreign, f"{address.prefix}{ASSET[:2]}/{ASSET}.jpg"):
        client.put_object(address.bucket, key, io.BytesIO(b"theirs"), 6)
    before = _keys(client, url)
    store.put(ASSET, io.BytesIO(BYTES))
    assert list(store.scan()) == [ASSET]
    assert f"{address.prefix}{ASSET[:2]}/{ASSET}" in _keys(client, url)
    store.delete(ASSET)
    assert _keys(client, url) == before
    assert list(store.scan()) == []


# ---- writing


def test_what_is_there_is_not_sent_again(
    s3_server: S3Server, client: Minio, opener: Opener
) -> None:
    url = s3_server.url()
    opener(url).put(ASSET, io.BytesIO(BYTES))
    client.set_bucket_versioning(parse(url).bucket, VersioningConfig(ENABLED))
    opener(url).put(ASSET, io.BytesIO(BYTES))
    assert len(_keys(client, url)) == 1


def test_a_copy_that_was_cut_short_is_replaced(
    s3_server: S3Server, client: Minio, opener: Opener
) -> None:
    url = s3_server.url()
    store = opener(url)
    store.put(ASSET, io.BytesIO(BYTES))
    client.put_object(parse(url).bucket, _keys(client, url)[0], io.BytesIO(BYTES[:5]), 5)
    store.put(ASSET, io.BytesIO(BYTES))
    assert store.open(ASSET).read() == BYTES


class Stream(io.RawIOBase):
    """What can't be sought, and gives less than it's asked for."""

    def __init__(self, data: bytes) -> None:
        self._rest = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._rest.read(min(size, 300_000) if size >= 0 else size)


@pytest.fixture(scope="module")
def large() -> bytes:
    return os.urandom(LARGE)


def test_a_large_stream_goes_in_parts(
    s3_server: S3Server, client: Minio, opener: Opener, large: bytes
) -> None:
    url = s3_server.url()
    opener(url).put(_hash(large), Stream(large))  # type: ignore[arg-type]
    stored = client.stat_object(parse(url).bucket, _keys(client, url)[0])
    assert str(stored.etag).endswith("-2")
    with opener(url, read_only=True).open(_hash(large)) as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == _hash(large)  # type: ignore[arg-type]


def test_of_a_large_file_that_changed_nothing_is_left(
    s3_server: S3Server, client: Minio, opener: Opener, large: bytes
) -> None:
    url = s3_server.url()
    with pytest.raises(BadInputError):
        opener(url).put(ASSET, Stream(large))  # type: ignore[arg-type]
    assert _keys(client, url) == _uploads(client, url) == []


def test_the_parts_of_a_killed_writer_are_swept(
    s3_server: S3Server, client: Minio, opener: Opener, large: bytes
) -> None:
    url = s3_server.url(UNICODE)
    opener(url)
    address = parse(url)
    ours, theirs = f"{address.prefix}{ASSET[:2]}/{ASSET}", f"{address.prefix}film"
    for key in (ours, theirs):
        upload = client._create_multipart_upload(address.bucket, key, {})
        client._upload_part(address.bucket, key, large[: 5 * 2**20], None, upload, 1)
    opener(url, read_only=True)
    store = opener(url)  # another machine may be sending just now, and this one be refused
    assert len(_uploads(client, url)) == 2
    store.put(_hash(BYTES), io.BytesIO(BYTES))
    left = [str(upload.object_name).rpartition("/")[2] for upload in _uploads(client, url)]
    assert left == ["film"]  # the client reads the "+" before it as a space


def test_what_is_deleted_is_gone_in_all_versions(
    s3_server: S3Server, client: Minio, opener: Opener
) -> None:
    url = s3_server.url()
    store, bucket = opener(url), parse(url).bucket
    store.put(ASSET, io.BytesIO(BYTES))  # before there were versions
    key = _keys(client, url)[0]
    client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
    client.put_object(bucket, key, io.BytesIO(b"older"), 5)
    client.remove_object(bucket, key)  # leaves a marker
    assert not store.exists(ASSET)
    store.put(ASSET, io.BytesIO(BYTES))
    assert len(_keys(client, url)) == 4
    store.delete(ASSET)
    assert _keys(client, url) == []


def test_a_server_killed_amid_puts_loses_nothing_that_it_took(
    own_s3_server: S3Server, opener: Opener
) -> None:
    url = own_s3_server.url()
    store = opener(url)
    datas = [os.urandom(5_000) + bytes(number) for number in range(400)]
    taken: list[bytes] = []
    enough = Event()
    killer = Thread(target=lambda: enough.wait(60) and own_s3_server.kill())
    killer.start()

    def put_all() -> None:
        for data in datas:
            store.put(_hash(data), io.BytesIO(data))
            taken.append(data)
            if len(taken) == 150:
                enough.set()

    with pytest.raises(StoreUnreachableError):
        put_all()
    killer.join()
    own_s3_server.start()
    assert 150 <= len(taken) < len(datas)
    held = set(opener(url, existing=True).scan())
    assert held >= {_hash(data) for data in taken}
    for data in taken:
        assert store.open(_hash(data)).read() == data
    for data in datas:
        store.put(_hash(data), io.BytesIO(data))
    assert list(store.scan()) == sorted(map(_hash, datas))


def test_a_new_asset_takes_one_request_and_so_does_reading_it(
    s3_server: S3Server, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opener(s3_server.url())
    asked: list[str] = []
    execute = store._client._url_open

    def noted(method: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(method)
        return execute(method, *args, **kwargs)

    store.delete(ASSET)  # learns the bucket's region, and sweeps it
    monkeypatch.setattr(store._client, "_url_open", noted)
    store.put(ASSET, io.BytesIO(BYTES))
    with store.open(ASSET) as file:
        assert file.read() == BYTES
    assert asked == ["PUT", "GET"]
    for _ in range(2):  # the second knows that the first was there
        store.put(ASSET, io.BytesIO(BYTES))
    assert asked[2:] == ["PUT", "HEAD", "HEAD"]
    store.put(_hash(b"new"), io.BytesIO(b"new"))
    store.put(_hash(b"newer"), io.BytesIO(b"newer"))
    assert asked[5:] == ["HEAD", "PUT", "PUT"]


# ---- reading

_steps = st.lists(
    st.one_of(
        st.tuples(st.just("seek"), st.integers(0, len(BYTES) + 50), st.sampled_from([0, 1, 2])),
        st.tuples(st.sampled_from(["read", "read1", "readinto"]), st.integers(0, 5_000)),
        st.just(("read", -1)),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def kept(s3_session: S3Server) -> str:
    return s3_session.url()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_steps, ahead=st.sampled_from([1, 700, 4096, 2**20]))
@example(steps=[("seek", 3, 2), ("read", 10), ("seek", 0, 0), ("read", -1)], ahead=700)
def test_it_reads_and_seeks_as_a_file_does(
    s3_server: S3Server,
    opener: Opener,
    kept: str,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[tuple[Any, ...]],
    ahead: int,
) -> None:
    monkeypatch.setattr(s3, "AHEAD_BYTES", ahead)
    store = opener(kept)
    store.put(ASSET, io.BytesIO(BYTES))
    with store.open(ASSET) as file:
        plain = io.BytesIO(BYTES)
        for name, number, *rest in steps:
            if name == "seek":
                (whence,) = rest
                start = {0: 0, 1: plain.tell(), 2: len(BYTES)}[whence]
                assert file.seek(number - start, whence) == plain.seek(number)
            elif name == "readinto":
                one, other = bytearray(number), bytearray(number)
                assert file.readinto(one) == plain.readinto(other)  # type: ignore[attr-defined]
                assert one == other
            elif name == "read1":  # may give less, but not nothing
                data = file.read1(number)  # type: ignore[attr-defined]
                assert data == plain.read(len(data))
                assert data or not number or not plain.read(1)
            else:
                assert file.read(number) == plain.read(number)
            assert file.tell() == plain.tell()


def test_only_what_is_read_is_fetched(
    s3_server: S3Server, opener: Opener, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opener(s3_server.url())
    store.put(_hash(large), io.BytesIO(large))
    fetched: list[int] = []
    get = store._get
    monkeypatch.setattr(
        store, "_get", lambda key, at, length: fetched.append(length) or get(key, at, length)
    )
    with store.open(_hash(large)) as file:
        assert fetched == [s3.AHEAD_BYTES]
        assert file.seek(-100, os.SEEK_END) == LARGE - 100
        assert file.read() == large[-100:]
        file.seek(10)
        assert file.read(5) == large[10:15]
    assert sum(fetched) <= 100 + s3.AHEAD_BYTES


def test_a_copy_deleted_while_it_is_read_is_missing(
    s3_server: S3Server, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "AHEAD_BYTES", 1000)
    store = opener(s3_server.url())
    store.put(ASSET, io.BytesIO(BYTES))
    with store.open(ASSET) as file:
        store.delete(ASSET)
        with pytest.raises(FileNotFoundError, match=ASSET):
            file.read()


def test_the_server_is_known_by_its_own_word(s3_server: S3Server, opener: Opener) -> None:
    url = s3_server.url()
    opener(url)
    store = opener(url, read_only=True)
    assert isinstance(store, Served)
    service = store.service()
    assert service.product == "SeaweedFS"
    assert service.version.split(".")[0].isdigit()


# ---- access


def _all_uses(opener: Opener, url: str) -> Iterator[EcholensError]:
    """What each use of a store raises."""
    uses: list[Callable[[], object]] = [
        lambda: opener(url),
        lambda: opener(url, read_only=True).exists(ASSET),
        lambda: opener(url, read_only=True).open(ASSET),
        lambda: list(opener(url, read_only=True).scan()),
    ]
    for use in uses:
        with pytest.raises(StoreUnreachableError) as caught:
            use()
        yield caught.value


def test_a_wrong_secret_is_told_and_not_repeated(
    s3_server: S3Server, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = s3_server.url()
    opener(url).put(ASSET, io.BytesIO(BYTES))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    for error in _all_uses(opener, url):
        assert "refuses access" in str(error)
        assert s3_server.endpoint in str(error)
        assert "AWS_SECRET_ACCESS_KEY" in error.advice
        assert "hush" not in f"{error} {error.advice}"


def test_without_credentials_nothing_is_asked(
    s3_server: S3Server, opener: Opener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    url = s3_server.url()
    for error in _all_uses(opener, url):
        assert "no credentials" in str(error)
        assert "AWS_ACCESS_KEY_ID" in error.advice
    (tmp_path / "aws").write_text(
        "[default]\naws_access_key_id = a\naws_secret_access_key = %hush\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws"))
    for error in _all_uses(opener, url):
        assert "hush" not in f"{error} {error.__cause__!r}"


def test_credentials_may_come_from_their_file(
    s3_server: S3Server, opener: Opener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = f"[mine]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    (tmp_path / "aws").write_text(lines)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws"))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    store = opener(s3_server.url())
    store.put(ASSET, io.BytesIO(BYTES))
    assert store.exists(ASSET)

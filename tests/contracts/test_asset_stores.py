"""The laws of `AssetStore`, for every scheme that the registry knows, and those of each kind."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest

from retrieval.errors import BadInputError, StoreUnreachableError
from retrieval.protocols import AssetStore, Place
from retrieval.registry import open_asset_store, schemes
from retrieval.schema import SkipReason, uri_of

# What each scheme needs to be tested: the URL of a store whose data goes with the folder, or
# nothing where that is a server's, which the test starts.
TEST_URLS = {"folder": "folder:", "inplace": "inplace:", "s3": None}
KEEP_COPIES = ("folder", "s3")

BYTES = bytes(range(256)) * 5_000  # more than one chunk
ASSET = hashlib.sha256(BYTES).hexdigest()
ABSENT = "ab" * 32
NO_IDS = ["", "..", "../../etc/passwd", ASSET[:-1], ASSET.upper(), "none"]

Opener = Callable[..., AssetStore]


def _params(schemes: Iterable[str]) -> list[object]:
    """Those of a server are marked."""
    marks = {True: [pytest.mark.services], False: []}
    return [pytest.param(name, marks=marks[TEST_URLS[name] is None]) for name in schemes]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The collection's folder."""
    folder = tmp_path / "collection"
    folder.mkdir()
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The user's own file, with a name that is hard to take."""
    path = tmp_path / os.fsdecode(b"my \xff '\n\xe7\x8b\x97.jpg")
    path.write_bytes(BYTES)
    return path


@pytest.fixture
def opener(home: Path, source: Path) -> Iterator[Opener]:
    """Opens a store of the collection by its URL, any number of times; closes what is open."""
    stores: list[AssetStore] = []

    def locate(asset: str) -> list[str]:
        places = ["https://example.org/a.jpg", uri_of(source.parent / "gone.jpg"), uri_of(source)]
        return places if asset == ASSET else []

    def open_it(url: str, *, read_only: bool = False) -> AssetStore:
        stores.append(open_asset_store(Place(url, home, read_only), locate))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


def _of(request: pytest.FixtureRequest, opener: Opener) -> Opener:
    url = TEST_URLS[request.param]
    return partial(opener, url or request.getfixturevalue(f"{request.param}_server").url())


@pytest.fixture(params=_params(TEST_URLS))
def opened(request: pytest.FixtureRequest, opener: Opener) -> Opener:
    """Opens the store of each scheme in turn."""
    return _of(request, opener)


@pytest.fixture(params=_params(KEEP_COPIES))
def keeper(request: pytest.FixtureRequest, opener: Opener) -> Opener:
    """Opens the store of each scheme that keeps copies."""
    return _of(request, opener)


def test_every_scheme_has_a_test_url() -> None:
    assert {name for name, _ in schemes("asset_store")} == set(TEST_URLS)


def test_an_absent_asset_is_missing(opened: Opener) -> None:
    for store in (opened(), opened(read_only=True)):
        for asset in (ABSENT, *NO_IDS):
            assert not store.exists(asset)
            with pytest.raises(FileNotFoundError):
                store.open(asset)
        assert list(store.scan()) == []
    opened().delete(ABSENT)


def test_what_was_put_can_be_read_and_sought(opened: Opener) -> None:
    store = opened()
    for _ in range(2):
        store.put(ASSET, io.BytesIO(BYTES))
    store.close()
    for store in (opened(), opened(read_only=True)):
        assert store.exists(ASSET)
        with store.open(ASSET) as file:
            assert file.read() == BYTES
            file.seek(-2, os.SEEK_END)
            assert file.read() == BYTES[-2:]


def test_deleting_leaves_the_users_file(opened: Opener, source: Path) -> None:
    store = opened()
    store.put(ASSET, io.BytesIO(BYTES))
    for _ in range(2):
        store.delete(ASSET)
    assert source.read_bytes() == BYTES
    assert list(store.scan()) == []


# ---- copies


@pytest.mark.parametrize("size", [0, 1, len(BYTES)])
def test_a_copy_is_kept_by_its_hash(keeper: Opener, size: int) -> None:
    store, data = keeper(), BYTES[:size]
    asset, other = (hashlib.sha256(part).hexdigest() for part in (data, b"other"))
    assert store.copies
    store.put(asset, io.BytesIO(data))
    store.put(other, io.BytesIO(b"other"))
    for each in (store, keeper(read_only=True)):
        assert list(each.scan()) == sorted([asset, other])
        with each.open(asset) as file:
            assert file.read() == data
    store.delete(asset)
    for each in (store, keeper(read_only=True)):
        assert list(each.scan()) == [other]
        assert not each.exists(asset)
        with pytest.raises(FileNotFoundError):
            each.open(asset)


def test_a_copy_is_taken_from_where_the_file_stands(keeper: Opener) -> None:
    for _ in range(2):
        file = io.BytesIO(b"before" + BYTES)
        file.seek(6)
        keeper().put(ASSET, file)
        assert content_of(keeper()) == BYTES


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def content_of(store: AssetStore) -> bytes:
    with store.open(ASSET) as file:
        return file.read()


def test_a_folder_keeps_copies_by_their_hash(opener: Opener, home: Path) -> None:
    store = opener("folder:")
    store.put(ASSET, io.BytesIO(BYTES))
    other = hashlib.sha256(b"other").hexdigest()
    store.put(other, io.BytesIO(b"other"))
    assert list(store.scan()) == sorted([ASSET, other])
    (home / "assets" / "notes.txt").write_text("the user's")
    (home / "assets" / ASSET[:2] / ASSET[2:4] / "notes.txt").write_text("the user's")
    assert list(store.scan()) == sorted([ASSET, other])
    store.delete(ASSET)
    assert list(store.scan()) == [other]
    assert not store.exists(ASSET)
    assert all(path.name in (other, "notes.txt") for path in files_below(home))


def test_a_folder_may_be_anywhere(opener: Opener, home: Path, tmp_path: Path) -> None:
    store = opener(f"folder:{tmp_path / 'far' / 'away'}")
    store.put(ASSET, io.BytesIO(BYTES))
    assert len(files_below(tmp_path / "far" / "away")) == 1
    assert files_below(home) == []


def test_a_file_that_changed_is_refused_and_nothing_kept(keeper: Opener, home: Path) -> None:
    store = keeper()
    with pytest.raises(BadInputError) as caught:
        store.put(ASSET, io.BytesIO(BYTES + b"more"))
    assert caught.value.reason is SkipReason.CHANGING
    assert list(store.scan()) == files_below(home) == []
    store.put(ASSET, io.BytesIO(BYTES))
    for changed in (b"less", BYTES[::-1]):
        with pytest.raises(BadInputError):
            store.put(ASSET, io.BytesIO(changed))
    assert content_of(store) == BYTES


def test_a_file_that_cannot_be_read_is_not_the_stores_fault(keeper: Opener, home: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(BadInputError) as caught:
        keeper().put(ASSET, Broken())
    assert caught.value.reason is SkipReason.UNREADABLE
    assert list(keeper().scan()) == files_below(home) == []


def test_an_asset_that_is_no_hash_is_refused(keeper: Opener, home: Path) -> None:
    for asset in NO_IDS:
        with pytest.raises(ValueError, match="64 hex digits"):
            keeper().put(asset, io.BytesIO(b""))
        keeper().delete(asset)
    assert list(keeper().scan()) == list(home.iterdir()) == []


def test_a_torn_copy_is_no_asset_and_is_swept(opener: Opener, home: Path) -> None:
    opener("folder:").put(ASSET, io.BytesIO(BYTES))
    torn = home / "assets" / "incoming" / f"{ABSENT}.torn"
    torn.write_bytes(b"half")
    reader = opener("folder:", read_only=True)
    assert list(reader.scan()) == [ASSET]
    assert torn.exists()
    opener("folder:")
    assert not torn.exists()
    assert reader.exists(ASSET)


def test_a_damaged_copy_is_replaced(opener: Opener, home: Path) -> None:
    store = opener("folder:")
    store.put(ASSET, io.BytesIO(BYTES))
    files_below(home)[0].write_bytes(b"rot")
    store.put(ASSET, io.BytesIO(BYTES))
    assert content_of(store) == BYTES


def test_read_only_refuses_to_write_and_makes_nothing(keeper: Opener, home: Path) -> None:
    store = keeper(read_only=True)
    for write in (lambda: store.put(ASSET, io.BytesIO(BYTES)), lambda: store.delete(ASSET)):
        with pytest.raises(StoreUnreachableError) as caught:
            write()
        assert caught.value.advice
    assert list(home.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(opener: Opener, home: Path) -> None:
    (home / "assets").write_text("a file is in the way")
    with pytest.raises(StoreUnreachableError) as caught:
        opener("folder:").put(ASSET, io.BytesIO(BYTES))
    assert str(home / "assets") in str(caught.value)


# ---- in place


def test_in_place_the_paths_tried_are_named(opener: Opener, source: Path) -> None:
    source.unlink()
    source.mkdir()
    store = opener("inplace:")
    assert not store.exists(ASSET)
    with pytest.raises(FileNotFoundError) as caught:
        store.open(ASSET)
    assert "gone.jpg" in str(caught.value)
    assert "狗.jpg" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_in_place_a_pipe_is_not_waited_for(opener: Opener, source: Path) -> None:
    source.unlink()
    os.mkfifo(source)
    with pytest.raises(FileNotFoundError):
        opener("inplace:").open(ASSET)


def test_in_place_writes_nothing(opener: Opener, home: Path) -> None:
    store = opener("inplace:")
    store.put(ASSET, io.BytesIO(b"whatever"))
    store.delete(ASSET)
    assert list(store.scan()) == list(home.iterdir()) == []

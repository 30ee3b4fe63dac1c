"""The laws of `AssetStore`, for every scheme that the registry knows, and those of each kind."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.errors import BadInputError, StoreUnreachableError
from retrieval.protocols import AssetStore, Place
from retrieval.registry import open_asset_store, schemes
from retrieval.schema import SkipReason, uri_of

# What each scheme needs to be tested: the URL of a store whose data goes with the folder.
TEST_URLS = {"folder": "folder:", "inplace": "inplace:"}

BYTES = bytes(range(256)) * 5_000  # more than one chunk
ASSET = hashlib.sha256(BYTES).hexdigest()
ABSENT = "ab" * 32
NO_IDS = ["", "..", "../../etc/passwd", ASSET[:-1], ASSET.upper(), "none"]

Opener = Callable[..., AssetStore]


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
def opener(home: Path, source: Path) -> Opener:
    """Opens a store of the collection by its URL."""

    def locate(asset: str) -> list[str]:
        places = ["https://example.org/a.jpg", uri_of(source.parent / "gone.jpg"), uri_of(source)]
        return places if asset == ASSET else []

    def open_it(url: str, *, read_only: bool = False) -> AssetStore:
        return open_asset_store(Place(url, home, read_only), locate)

    return open_it


@pytest.fixture(params=TEST_URLS)
def opened(request: pytest.FixtureRequest, opener: Opener) -> Opener:
    """Opens the store of each scheme in turn."""
    return lambda *, read_only=False: opener(TEST_URLS[request.param], read_only=read_only)


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


def test_a_file_that_changed_is_refused_and_nothing_kept(opener: Opener, home: Path) -> None:
    store = opener("folder:")
    with pytest.raises(BadInputError) as caught:
        store.put(ASSET, io.BytesIO(BYTES + b"more"))
    assert caught.value.reason is SkipReason.CHANGING
    assert files_below(home) == []
    store.put(ASSET, io.BytesIO(BYTES))
    with pytest.raises(BadInputError):
        store.put(ASSET, io.BytesIO(b"less"))
    assert content_of(store) == BYTES


def test_a_file_that_cannot_be_read_is_not_the_stores_fault(opener: Opener, home: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(BadInputError) as caught:
        opener("folder:").put(ASSET, Broken())
    assert caught.value.reason is SkipReason.UNREADABLE
    assert files_below(home) == []


def test_an_asset_that_is_no_hash_is_refused(opener: Opener, home: Path) -> None:
    for asset in NO_IDS:
        with pytest.raises(ValueError, match="64 hex digits"):
            opener("folder:").put(asset, io.BytesIO(b""))
    assert list(home.iterdir()) == []


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


def test_read_only_refuses_to_write_and_makes_nothing(opener: Opener, home: Path) -> None:
    store = opener("folder:", read_only=True)
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

"""The laws of `SharedStore`: records, the fence between writers, and whose files are whose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.abilities import SharedStore
from retrieval.errors import LockedError, StoreUnreachableError
from retrieval.protocols import DocumentStore
from retrieval.schema import Compare, Sighting

from .toys import SCHEMES, Opener, asset_of, image, seen

SHARED = [its for its in SCHEMES.values() if its.shared]
pytestmark = pytest.mark.parametrize(
    "scheme", [pytest.param(its.name, marks=its.marks) for its in SHARED], indirect=True
)

Opened = Callable[..., "Shared"]


class Shared(DocumentStore, SharedStore):
    """A document store that machines share."""


@pytest.fixture
def shared(opened: Opener) -> Opened:
    """Opens the store of the test's folder, which is there."""
    opened()
    return opened


# ---- records


@pytest.mark.parametrize("data", [b"", b"{}", bytes(range(256)) * 8_000])
def test_a_record_is_what_was_put_and_survives_reopening(shared: Opened, data: bytes) -> None:
    store = shared()
    assert store.record("manifest") is None
    put = store.put_record("manifest", data, replacing=None)
    assert put.data == data
    assert store.record("other") is None
    assert store.count() == 0
    assert [*store.scan(), *store.scan_sightings(), *store.check()] == []
    store.close()
    for read_only in (True, False):
        assert shared(read_only=read_only).record("manifest") == put


def test_of_two_writers_one_replaces_a_record_and_the_other_is_told(shared: Opened) -> None:
    one, other = shared(), shared()
    first = one.put_record("manifest", b"1", replacing=None)
    with pytest.raises(LockedError) as caught:
        other.put_record("manifest", b"1", replacing=None)
    assert caught.value.advice
    second = other.put_record("manifest", b"2", replacing=first.version)
    assert second.version != first.version
    with pytest.raises(LockedError):
        one.put_record("manifest", b"3", replacing=first.version)
    assert one.record("manifest") == other.record("manifest") == second
    assert one.put_record("manifest", b"3", replacing=second.version).data == b"3"


def test_a_record_that_is_not_there_is_not_replaced(shared: Opened) -> None:
    store = shared()
    version = store.put_record("other", b"1", replacing=None).version
    with pytest.raises(LockedError):
        store.put_record("manifest", b"1", replacing=version)
    assert store.record("manifest") is None


def test_a_reader_puts_no_record_and_fences_nobody(shared: Opened) -> None:
    reader = shared(read_only=True)
    with pytest.raises(StoreUnreachableError):
        reader.put_record("manifest", b"1", replacing=None)
    with pytest.raises(StoreUnreachableError):
        reader.fence("token")


# ---- the fence


def test_a_writer_that_was_fenced_off_writes_nothing_more(shared: Opened) -> None:
    stale, new = shared(), shared()
    stale.fence("first")
    stale.upsert([image(1), image(2)], [seen(1), seen(2)])
    new.fence("second/Ü")
    for write in (
        lambda: stale.upsert([image(3)], [seen(3)]),
        lambda: stale.upsert([], [seen(1, year=1)]),
        lambda: stale.delete([image(1).id]),
        lambda: stale.forget(["file:///1"]),
    ):
        with pytest.raises(LockedError) as caught:
            write()
        assert "another machine" in str(caught.value).lower()
        assert caught.value.advice
    assert {document.id for document in new.scan()} == {image(1).id, image(2).id}
    assert sorted(new.scan_sightings(), key=lambda one: one.uri) == [seen(1), seen(2)]
    assert stale.count() == 2
    new.upsert([image(3)], [seen(3)])
    new.delete([image(1).id])
    new.forget(["file:///1"])
    assert new.count() == 2


def test_one_who_fences_again_goes_on(shared: Opened) -> None:
    store, other = shared(), shared()
    for _ in range(2):
        store.fence("mine")
        store.upsert([image(1)])
    other.fence("theirs")
    store.fence("mine")
    store.upsert([image(2)])
    with pytest.raises(LockedError):
        other.upsert([image(3)])
    assert store.count() == 2


def test_records_are_not_fenced(shared: Opened) -> None:
    stale, new = shared(), shared()
    stale.fence("first")
    new.fence("second")
    put = stale.put_record("lease", b"mine", replacing=None)
    assert new.record("lease") == put


# ---- hosts


def test_a_file_is_named_with_its_machine_everywhere_else(shared: Opened) -> None:
    anna, bob, nobody = (shared(host=host) for host in ("anna", "bob", ""))
    anna.upsert([image(1)], [seen(1, "file:///p/a", year=1), seen(1, "https://web/a")])
    bob.upsert([image(2)], [seen(2, "file:///p/a", year=2)])
    uris = {
        "anna": ["file:///p/a", "file://bob/p/a", "https://web/a"],
        "bob": ["file:///p/a", "file://anna/p/a", "https://web/a"],
        "": ["file://anna/p/a", "file://bob/p/a", "https://web/a"],
    }
    for host, store in (("anna", anna), ("bob", bob), ("", nobody)):
        assert [one.uri for one in store.scan_sightings()] == uris[host]
        its = store.sightings([asset_of(1), asset_of(2)])
        assert sorted(one.uri for all_ in its.values() for one in all_) == uris[host]
    assert bob.sightings([asset_of(1)])[asset_of(1)][0] == Sighting(
        "file://anna/p/a", asset_of(1), {"year": 1}
    )


def test_a_machine_forgets_and_moves_its_own_file_or_the_one_that_it_names(shared: Opened) -> None:
    anna, bob = shared(host="anna"), shared(host="bob")
    anna.upsert([image(1), image(2)], [seen(1, "file:///p", year=1), seen(1, "file:///q")])
    bob.upsert([], [seen(2, "file:///p", year=1)])
    anna.upsert([], [seen(2, "file:///p", year=3)])
    assert anna.select(Compare("year", "=", 3), 9) == [image(2).id]
    assert set(anna.select(Compare("year", "=", 1), 9) or ()) == {image(2).id}
    anna.forget(["file:///p"])
    assert [one.uri for one in anna.scan_sightings()] == ["file:///q", "file://bob/p"]
    bob.forget(["file://anna/q", "file:///nothing"])
    assert [one.uri for one in bob.scan_sightings()] == ["file:///p"]


def test_names_of_machines_do_not_run_into_paths(shared: Opened, tmp_path: Path) -> None:
    odd, plain = shared(host="a b/c"), shared(host="a")
    odd.upsert([image(1)], [seen(1, "file:///x")])
    plain.upsert([image(2)], [seen(2, "file:///x")])
    assert [one.uri for one in odd.scan_sightings()] == ["file:///x", "file://a/x"]
    assert next(one.uri for one in plain.scan_sightings()) == "file:///x"
    plain.forget(["file:///x"])
    assert [one.uri for one in odd.scan_sightings()] == ["file:///x"]

"""The lease: one writer, and who is gone doesn't hold it for ever."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import pytest

from indexer.lease import RECORD, Holder, Lease
from retrieval.abilities import Record
from retrieval.errors import CorruptError, EcholensError, LockedError, StoreUnreachableError

SECONDS = 0.5


class Shared:
    """Records in memory, as several machines would see them; `down` makes it not answer."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.records: dict[str, Record] = {}
        self.written = 0
        self.fenced: list[str] = []
        self.down = False
        self.deaf = False  # writes arrive, and their answers are lost
        self.error: EcholensError | None = None

    def record(self, name: str) -> Record | None:
        self._reach()
        return self.records.get(name)

    def put_record(self, name: str, data: bytes, *, replacing: str | None) -> Record:
        self._reach()
        with self.lock:
            known = self.records.get(name)
            if (known.version if known else None) != replacing:
                raise LockedError("another version")
            self.written += 1
            self.records[name] = Record(data, str(self.written))
            if self.deaf:
                raise StoreUnreachableError("no answer")
            return self.records[name]

    def fence(self, token: str) -> None:
        self._reach()
        self.fenced.append(token)

    def _reach(self) -> None:
        if self.error is not None:
            raise self.error
        if self.down:
            raise StoreUnreachableError("down")


@pytest.fixture
def store() -> Shared:
    return Shared()


@pytest.fixture
def anna(store: Shared) -> Iterator[Lease]:
    lease = Lease(store, "anna:/photos", SECONDS)
    yield lease
    lease.release()


def stop(lease: Lease) -> None:
    """As a killed process: it renews no more and gives nothing back."""
    lease._ended.set()
    lease._thread.join()


def test_another_is_refused_while_it_is_renewed(store: Shared, anna: Lease) -> None:
    with pytest.raises(LockedError, match="anna") as caught:
        Lease(store, "berta:/photos", SECONDS)
    assert caught.value.advice
    time.sleep(2 * SECONDS)
    anna.check()
    assert len(store.fenced) == 1


def test_what_was_given_back_is_taken_at_once(store: Shared) -> None:
    Lease(store, "anna:/photos", 60).release()
    berta = Lease(store, "berta:/photos", 60)  # which would wait a minute for one that is held
    berta.check()
    berta.release()


def test_one_that_stands_still_is_taken_over_and_its_holder_stops(store: Shared) -> None:
    anna = Lease(store, "anna:/photos", SECONDS)
    stop(anna)
    berta = Lease(store, "berta:/photos", SECONDS)
    berta.check()
    with pytest.raises(LockedError, match="lost"):
        anna.check()
    assert len(set(store.fenced)) == 2
    anna.release()  # doesn't give back what another has
    berta.check()
    with pytest.raises(LockedError, match="berta"):
        Lease(store, "clara:/photos", SECONDS)
    berta.release()


def test_the_same_folder_takes_its_own_back_at_once(store: Shared) -> None:
    stop(Lease(store, "anna:/photos", 60))
    again = Lease(store, "anna:/photos", 60)
    again.check()
    again.release()


def test_a_renewal_whose_answer_is_lost_is_no_loss(store: Shared, anna: Lease) -> None:
    store.deaf = True
    time.sleep(SECONDS / 3)
    store.deaf = False
    time.sleep(2 * SECONDS)
    anna.check()


def test_who_cannot_renew_stops_before_another_may_begin(store: Shared, anna: Lease) -> None:
    store.down = True
    time.sleep(1.5 * SECONDS)
    with pytest.raises(LockedError, match="renewed"):
        anna.check()
    store.down = False
    time.sleep(SECONDS)
    with pytest.raises(LockedError):
        anna.check()  # for good: what happened meanwhile isn't known


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="no such clock here")
def test_who_slept_with_the_machine_knows_it(
    store: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = Lease(store, "anna:/photos", 60)
    clock = time.clock_gettime
    slept = {time.CLOCK_BOOTTIME: 3600}  # Python's own monotonic clock stands still meanwhile
    monkeypatch.setattr(time, "clock_gettime", lambda which: clock(which) + slept.get(which, 0))
    with pytest.raises(LockedError, match="renewed"):
        anna.check()
    anna.release()


def test_who_finds_the_store_gone_stops_and_says_why(store: Shared) -> None:
    anna = Lease(store, "anna:/photos", SECONDS)
    store.error = CorruptError("The index is missing.")
    while anna._thread.is_alive():
        time.sleep(SECONDS / 10)
    with pytest.raises(LockedError, match="index is missing"):
        anna.check()
    anna.release()


def test_of_two_that_find_it_free_one_gets_it(store: Shared) -> None:
    Lease(store, "anna:/photos", SECONDS).release()
    free = store.records[RECORD]
    berta = Lease(store, "berta:/photos", SECONDS)
    with pytest.raises(LockedError):
        store.put_record(RECORD, b"{}", replacing=free.version)
    berta.check()
    berta.release()


def test_a_holder_is_known_again_and_is_no_other_folder(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    name = Holder(folder, "anna").name
    assert name.startswith(f"anna:{folder}#")
    assert Holder(folder, "anna").name == name

    folder.rename(tmp_path / "kept")
    shutil.copytree(tmp_path / "kept", folder)  # as on another machine of the same name
    assert Holder(folder, "anna").name != name

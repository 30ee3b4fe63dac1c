"""One writer among several machines: a lease in the collection's shared document store.

Gets: a `SharedStore`, a `Holder`. Gives: a `Lease`. Touches: the record ``lease``, the store's
fence, a thread that renews, the files ``.writer`` and ``host`` of a folder. Never: a document.

The lease is a record that its holder renews every few seconds. Clocks of machines differ, so
nobody reads a time out of it: who finds it held watches whether it changes, and takes it over when
it stood still for `LEASE_S` by its own clock. The holder stops writing, by its own clock, that long
after its last renewal. Documents that are on their way meanwhile are refused by the store itself,
which the taker fences (`SharedStore.fence`). Vectors and assets have no fence: who writes them asks
the lease first. What is written late all the same is named by its content and changes nothing; a
deletion that is on its way at that moment isn't stopped.

A writer that was killed is taken over at once by the next one of the same folder, whose lock shows
that the former is dead.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TypeVar, cast

from retrieval.abilities import Record, SharedStore
from retrieval.durable import replace_file
from retrieval.errors import CorruptError, EcholensError, LockedError, MissingPartError
from retrieval.hosts import keep_host

if TYPE_CHECKING:
    from retrieval.protocols import DocumentStore
    from retrieval.query.backends import Backends

LEASE_S = 15.0
BEATS = 5  # renewals in that time
RECORD = "lease"
MARK = ".writer"
WRITING = frozenset(("upsert", "delete", "compact", "put"))

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Holder:
    """The one writer of a collection's folder, who holds its lock.

    Attributes:
        directory: the collection's folder.
        host: what its machine is called.
    """

    directory: Path
    host: str

    @property
    def name(self) -> str:
        """``anna:/srv/photos#...``: its mark is this very folder's, on whatever machine.

        Two machines may be called alike, and their folders too; a copied folder brings the mark
        along, but not the place on the disk.
        """
        path = self.directory / MARK
        try:
            mark = path.read_text()
        except FileNotFoundError:
            mark = uuid.uuid4().hex
            replace_file(path, mark.encode())
        place = hashlib.blake2b(f"{mark} {path.stat().st_ino}".encode(), digest_size=6).hexdigest()
        return f"{self.host or 'this machine'}:{self.directory}#{place}"


@dataclass(frozen=True, slots=True)
class _State:
    """The record's content: who has it, since which take-over, how often renewed, given back."""

    holder: str
    token: str
    renewals: int = 0
    free: bool = False


class Lease:
    """The right to write, as long as `check` doesn't raise."""

    def __init__(self, store: SharedStore, holder: str, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._state = _State(holder, uuid.uuid4().hex)
        self._ended = Event()
        self._lost: str | None = None
        self._record, self._good_until = self._take()
        self._thread = Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise `LockedError` unless this writer is still the one."""
        if self._lost is None and _now() >= self._good_until:
            self._lost = "it could not be renewed in time"
        if self._lost is not None:
            raise LockedError(
                f"The right to write to the collection is lost: {self._lost}.",
                advice="Nothing half-done stays: run the same command again to go on.",
            )

    def release(self) -> None:
        """Give it back, so that the next writer needn't wait."""
        self._ended.set()
        self._thread.join()
        if self._lost is None:
            with suppress(EcholensError):  # it runs out by itself
                self._put(replace(self._state, free=True), self._record.version)

    def _take(self) -> tuple[Record, float]:
        held = self._store.record(RECORD)
        if held is not None and not self._is_ours_to_take(held):
            self._watch(held)
        start = _now()
        record = self._put(self._state, held.version if held else None)
        self._store.fence(self._state.token)
        return record, start + self._seconds

    def _is_ours_to_take(self, held: Record) -> bool:
        state = _parse(held)
        return state.free or state.holder == self._state.holder

    def _watch(self, held: Record) -> None:
        """Wait until a lease has run out; refused as soon as it is seen to be renewed."""
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            time.sleep(self._seconds / BEATS / 4)
            seen = self._store.record(RECORD)
            if seen is None or seen.version != held.version:
                writer, _, _ = _parse(seen or held).holder.partition("#")
                raise LockedError(
                    f"{writer} is writing to the collection.",
                    advice="Wait until it has ended; searching goes on meanwhile.",
                )

    def _renew(self) -> None:
        while not self._ended.wait(self._seconds / BEATS):
            start = _now()
            self._state = replace(self._state, renewals=self._state.renewals + 1)
            try:
                self._record = self._put(self._state, self._record.version)
            except LockedError:
                if not self._was_written():
                    self._lost = "another machine has taken over"
                    return
                continue  # how long ago isn't known, so nothing is won by it
            except MissingPartError:
                continue  # `check` sees when it becomes too late
            except EcholensError as error:
                self._lost = str(error).rstrip(".")
                return
            self._good_until = start + self._seconds

    def _was_written(self) -> bool:
        """Whether a write that looked refused was ours, and only its answer was lost."""
        with suppress(EcholensError):
            held = self._store.record(RECORD)
            if held is not None and _parse(held).token == self._state.token:
                self._record = held
                return True
        return False

    def _put(self, state: _State, replacing: str | None) -> Record:
        data = json.dumps(asdict(state)).encode()
        return self._store.put_record(RECORD, data, replacing=replacing)


def _now() -> float:
    """Seconds by a clock that goes on while the machine sleeps: who wakes up knows that it did."""
    if sys.platform == "win32":
        return time.monotonic()
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@contextmanager
def leased(backends: Backends, holder: Holder) -> Iterator[Backends]:
    """The back ends of one writer; those of a shared collection under a lease.

    Raises:
        LockedError: another machine is writing, or has taken over meanwhile.
    """
    with held(backends.documents, holder) as check:
        yield replace(
            backends,
            vectors={key: _asking(store, check) for key, store in backends.vectors.items()},
            assets=_asking(backends.assets, check),
            check=check,
        )


@contextmanager
def held(documents: DocumentStore, holder: Holder) -> Iterator[Callable[[], None]]:
    """Be the one writer of a document store; gives what raises when that is lost.

    Raises:
        LockedError: another machine is writing there.
    """
    if not isinstance(documents, SharedStore):
        yield lambda: None
        return
    keep_host(holder.directory, holder.host)
    lease = Lease(documents, holder.name, LEASE_S)
    try:
        documents.upsert([])  # brings a store of an earlier format up to date, now that it's ours
        yield lease.check
    finally:
        lease.release()


class _Asking:
    """A store whose writing methods ask first whether they still may."""

    def __init__(self, store: object, check: Callable[[], None]) -> None:
        self._store = store
        self._check = check

    def __getattr__(self, name: str) -> Any:
        if name in WRITING:
            self._check()
        return getattr(self._store, name)


def _asking(store: S, check: Callable[[], None]) -> S:
    return cast("S", _Asking(store, check))


def _parse(record: Record) -> _State:
    try:
        return _State(**json.loads(record.data))
    except (ValueError, TypeError) as error:
        raise CorruptError(
            "The lease in the document store makes no sense.",
            advice="Update Echolens on every machine that writes to the collection.",
        ) from error

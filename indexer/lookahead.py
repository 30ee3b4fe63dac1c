"""Reading ahead without filling the memory: how many readings may wait for their turn.

Gets: items, and a function that starts reading one elsewhere. Gives: a future each, at once; the
readings start in the order given. Touches: nothing. Never: a file, a process.

How large a reading will be isn't known before it is there: a thousand snapshots, or one scroll of
30,000 pixels. So what is there and waits is counted in bytes, and another one starts only while
that leaves room and few are under way. It holds at most `ROOM` bytes and what is under way. Each
finished reading starts the next from whichever thread tells of it: the main line may be in the
encoder for seconds, and the decoders work on.

It can't lock up: the one that the main line waits for started before all that wait behind it. A
reading out of turn (`at_once`) starts whatever the room, for the same reason.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from functools import partial
from threading import RLock

from retrieval.schema import Wants

from .schema import Item, Reading

ROOM = 256 * 2**20

Pending = Future[Reading]
Start = Callable[[Item, Wants | None, float], Pending]


@dataclass(frozen=True, slots=True)
class _Job:
    item: Item
    wants: Wants | None
    start: float
    pending: Pending = field(default_factory=Future)


class LookAhead:
    """Starts readings while there is room for them."""

    def __init__(self, start: Start, *, under_way: int, room: int = ROOM) -> None:
        """Take a function that starts a reading.

        Args:
            start: gives a future that another thread completes.
            under_way: how many may have started and not finished.
            room: bytes that finished readings may take until they are released.
        """
        self._start = start
        self._most_under_way = under_way
        self._room = room
        self._waiting: deque[_Job] = deque()
        self._under_way = 0
        self._held = 0
        self._lock = RLock()  # a reading that has already finished tells so while it is started

    def submit(
        self, item: Item, wants: Wants | None, *, start: float = 0.0, at_once: bool = False
    ) -> Pending:
        """Read an item when its turn comes, or `at_once`; `release` the reading once it is used.

        Of a film one stretch is read, from `start` seconds on.
        """
        job = _Job(item, wants, start)
        with self._lock:
            if at_once:
                self._begin(job)
            else:
                self._waiting.append(job)
        self._go_on()
        return job.pending

    def release(self, reading: Reading) -> None:
        """A finished reading has left: others may start."""
        with self._lock:
            self._held -= reading.bytes
        self._go_on()

    def abandon(self, pending: Pending) -> None:
        """Nobody waits for a reading any more: it takes no room once it is there."""
        pending.add_done_callback(self._release_abandoned)

    def _release_abandoned(self, pending: Pending) -> None:
        if not pending.cancelled() and pending.exception() is None:
            self.release(pending.result())

    def _go_on(self) -> None:
        with self._lock:
            while (
                self._waiting and self._under_way < self._most_under_way and self._held < self._room
            ):
                self._begin(self._waiting.popleft())

    def _begin(self, job: _Job) -> None:
        try:
            task = self._start(job.item, job.wants, job.start)
        except RuntimeError as error:  # the pool has ended
            job.pending.set_exception(error)
            return
        self._under_way += 1
        task.add_done_callback(partial(self._finish, job.pending))

    def _finish(self, pending: Pending, task: Pending) -> None:
        error = CancelledError() if task.cancelled() else task.exception()
        with self._lock:
            self._under_way -= 1
            if error is None:
                self._held += task.result().bytes
        if error is None:
            pending.set_result(task.result())
        else:
            pending.set_exception(error)
        self._go_on()

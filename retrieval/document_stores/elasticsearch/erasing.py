"""Making what was deleted leave the server's files.

Gets: a connection. Gives: nothing. Touches: the segments of its index, and the row ``e:pending``.
Never: a row that searches see.

Elasticsearch keeps a deleted row in its segments until it has noted that every copy of the shard
knows of it, which it does every 30 seconds (its retention leases); a merge leaves the row out only
after that. So what was deleted is out of the files some 30 seconds later: this goes on in the
background, and closing a store waits for it. The row ``e:pending`` is written with each deletion:
where a writer died before the end, the next one goes on with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from threading import Event, Lock, Thread
from typing import Any

from ...errors import EcholensError
from .connection import Action, Connection
from .rows import writing

PENDING = "e:pending"
POLL_S = 0.5
WAIT_S = 90.0  # for the leases, which take 30


def pending() -> Action:
    """The action that notes that something is to be erased; it goes with what deletes it."""
    return writing({"t": "e", "key": PENDING, "at": uuid.uuid4().hex})


class Eraser:
    """Erases in the background whatever is pending."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = Lock()
        self._thread: Thread | None = None
        self._given_up = Event()

    def begin(self) -> None:
        """See to it that what is pending now gets erased."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name="echolens erasing", daemon=True)
                self._thread.start()

    def finish(self) -> None:
        """Wait until all is erased, or can't be just now: then the next writer goes on."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            while (noted := self._noted()) is not None:
                if not self._await_leases():
                    return
                self._merge()
                self._strike(noted)
        except EcholensError:
            return  # the note stays, for the next writer

    def _noted(self) -> dict[str, Any] | None:
        name = self._connection.name
        found = self._connection.exists(
            lambda client: client.get(index=name, id=PENDING, source=False)
        )
        with self._lock:
            if found is None:
                self._thread = None  # under the lock: who notes more from now on begins anew
        return found

    def _await_leases(self) -> bool:
        """Whether every copy of every shard has let go of what was deleted before now."""
        wanted = {copy: highest for copy, highest, _ in self._copies()}
        for _ in range(round(WAIT_S / POLL_S)):
            kept = {copy: lowest for copy, _, lowest in self._copies()}
            if all(kept.get(copy, highest + 1) > highest for copy, highest in wanted.items()):
                return True
            self._given_up.wait(POLL_S)
        return False

    def _copies(self) -> Iterator[tuple[tuple[str, int], int, int]]:
        """Of each copy of a shard: which it is, its last operation, the first one that it keeps."""
        name = self._connection.name
        told = self._connection.ask(
            lambda client: client.indices.stats(index=name, level="shards", metric=["docs"])
        )
        if name not in told["indices"]:
            raise self._connection.missing()
        for number, copies in told["indices"][name]["shards"].items():
            for place, copy in enumerate(copies):
                leases = copy.get("retention_leases", {}).get("leases", [])
                last = int(copy.get("seq_no", {}).get("max_seq_no", -1))
                first = min((int(lease["retaining_seq_no"]) for lease in leases), default=last + 1)
                yield (number, place), last, first

    def _merge(self) -> None:
        name = self._connection.name
        self._connection.ask(lambda client: client.indices.flush(index=name, force=True))
        self._connection.ask(
            lambda client: client.indices.forcemerge(index=name, only_expunge_deletes=True),
            patient=True,
        )
        self._connection.ask(lambda client: client.indices.flush(index=name, force=True))

    def _strike(self, noted: dict[str, Any]) -> None:
        """Take the note away, unless more was noted meanwhile."""
        name = self._connection.name
        self._connection.exists(
            lambda client: client.options(ignore_status=409).delete(
                index=name,
                id=PENDING,
                if_seq_no=noted["_seq_no"],
                if_primary_term=noted["_primary_term"],
            )
        )

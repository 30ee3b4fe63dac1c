"""Several threads that do the same at once, and must come to an end."""

from __future__ import annotations

import faulthandler
import threading
from collections.abc import Callable

THREADS = 6


def together(work: Callable[[int], object], *, within_s: float = 60) -> None:
    """Call `work` with 0, 1, … in a thread each, all started at once; raise what any of them does.

    The threads are daemons: one that is stuck makes the test fail, and doesn't hold up its end.
    Where one holds Python's own lock, nothing of Python goes on: then the process is ended.
    """
    start = threading.Barrier(THREADS)
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:  # noqa: BLE001 (raised below)
            failures.append(error)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(THREADS)]
    faulthandler.dump_traceback_later(2 * within_s, exit=True)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(within_s)
    faulthandler.cancel_dump_traceback_later()
    assert not any(thread.is_alive() for thread in threads), "a thread is stuck"
    if failures:
        raise failures[0]

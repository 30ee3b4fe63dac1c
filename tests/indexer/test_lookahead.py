"""Reading ahead: in order, within its room, and never locked up."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.encode import whole_batches
from indexer.lookahead import LookAhead, Pending
from indexer.schema import Item, Reading, Stat
from retrieval.schema import Draft, Wants


def _item(name: str) -> Item:
    return Item(uri=name, modality="image", media_type="image/png", stat=Stat(name, 1, 1))


def _reading(size: int) -> Reading:
    return Reading({}, (), (Draft("image", (np.zeros(size, np.uint8),)),))


class _Pool:
    """Starts readings and finishes them when the test says so."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.tasks: dict[str, Pending] = {}

    def start(self, item: Item, wants: Wants | None, start: float) -> Pending:
        self.started.append(item.uri)
        self.tasks[item.uri] = Future()
        return self.tasks[item.uri]


def test_no_more_are_under_way_than_allowed() -> None:
    pool = _Pool()
    ahead = LookAhead(pool.start, under_way=2, room=100)
    pending = [ahead.submit(_item(name), None) for name in "abcd"]

    assert pool.started == ["a", "b"]
    pool.tasks["b"].set_result(_reading(1))
    assert pool.started == ["a", "b", "c"]
    assert [p.done() for p in pending] == [False, True, False, False]


def test_none_starts_while_what_waits_fills_the_room() -> None:
    pool = _Pool()
    ahead = LookAhead(pool.start, under_way=1, room=100)
    first, *_ = [ahead.submit(_item(name), None) for name in "abc"]

    pool.tasks["a"].set_result(_reading(100))

    assert pool.started == ["a"]
    ahead.release(first.result())
    assert pool.started == ["a", "b"]


def test_one_out_of_turn_starts_whatever_the_room() -> None:
    pool = _Pool()
    ahead = LookAhead(pool.start, under_way=1, room=100)
    for name in "abc":
        ahead.submit(_item(name), None)
    pool.tasks["a"].set_result(_reading(100))

    ahead.submit(_item("urgent"), None, at_once=True)

    assert pool.started == ["a", "urgent"]


def test_a_failure_and_an_end_reach_the_one_that_waits() -> None:
    pool = _Pool()
    ahead = LookAhead(pool.start, under_way=3, room=100)
    failed, cancelled = (ahead.submit(_item(name), None) for name in "ab")

    pool.tasks["a"].set_exception(MemoryError())
    pool.tasks["b"].cancel()

    assert isinstance(failed.exception(), MemoryError)
    with pytest.raises(CancelledError):
        cancelled.result()


def test_a_pool_that_has_ended_starts_nothing_and_says_so() -> None:
    def ended(item: Item, wants: Wants | None, start: float) -> Pending:
        raise RuntimeError("Pool is not active")

    pending = LookAhead(ended, under_way=1).submit(_item("a"), None)

    assert isinstance(pending.exception(timeout=0), RuntimeError)


@given(
    sizes=st.lists(st.integers(0, 300), max_size=30),
    under_way=st.integers(1, 4),
    at_a_time=st.integers(1, 8),
)
def test_all_come_in_order_and_within_the_room(
    sizes: list[int], under_way: int, at_a_time: int
) -> None:
    """The main line takes the oldest of at most `at_a_time`; the pool finishes what it likes."""
    pool = _Pool()
    ahead = LookAhead(pool.start, under_way=under_way, room=200)
    waiting: list[tuple[int, Pending]] = []
    taken: list[int] = []

    def finish_all() -> None:
        while running := [n for n in pool.started if not pool.tasks[n].done()]:
            pool.tasks[running[-1]].set_result(_reading(sizes[int(running[-1])]))

    def take() -> None:
        finish_all()
        held = sum(sizes[n] for n, pending in waiting if pending.done())
        assert held < 200 + under_way * max(sizes)
        number, pending = waiting.pop(0)
        ahead.release(pending.result(timeout=0))
        taken.append(number)

    for number in range(len(sizes)):
        waiting.append((number, ahead.submit(_item(str(number)), None)))
        if len(waiting) >= at_a_time:
            take()
    while waiting:
        take()
    assert taken == list(range(len(sizes)))


@pytest.mark.parametrize(
    ("sizes", "files"), [([], 64), ([32], 64), ([16, 32], 64), ([48], 96), ([256], 256), ([1], 64)]
)
def test_files_fill_whole_batches_of_the_encoder(sizes: list[int], files: int) -> None:
    assert whole_batches(sizes, 64) == files


def test_an_abandoned_reading_takes_no_room() -> None:
    pool = _Pool()
    ahead = LookAhead(pool.start, under_way=1, room=100)
    ahead.abandon(ahead.submit(_item("a"), None, at_once=True))
    ahead.abandon(ahead.submit(_item("b"), None, at_once=True))
    later = ahead.submit(_item("c"), None)
    pool.tasks["a"].set_result(_reading(200))
    pool.tasks["b"].set_exception(CancelledError())
    assert pool.started == ["a", "b", "c"]
    pool.tasks["c"].set_result(_reading(1))
    assert later.done()

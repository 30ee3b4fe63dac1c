"""The laws of `VectorStore` that take two processes: readers beside a writer, a killed writer."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from .vector_store_model import CASES, agrees, ids_of, open_store, params, ready, vectors_of

REPOSITORY = Path(__file__).parents[2]
BATCH = 10
WRITER = """
    from pathlib import Path
    from tests.contracts.vector_store_model import ids_of, open_store, vectors_of

    store = open_store({scheme!r}, Path({folder!r}))
    for batch in range({first}, {last}):
        names = [(batch, place) for place in range({size})]
        store.upsert(ids_of(*names), vectors_of({size}, seed=batch))
        if {deletes} and batch % 3 == 2:
            store.delete(ids_of(*((batch - 1, place) for place in range({size}))))
        print(batch, flush=True)
    store.close()
"""


@pytest.fixture(params=params(processes=True))
def scheme(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What is under test: what several processes may have open at once."""
    with ready(request, monkeypatch) as case:
        yield case


@contextmanager
def writer(
    scheme: str, folder: Path, first: int, last: int, deletes: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """A process that writes batches and prints the number of each once it has returned."""
    code = textwrap.dedent(WRITER).format(
        scheme=scheme, folder=str(folder), first=first, last=last, deletes=deletes, size=BATCH,
    )  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def batches_in(ids: set[str], upto: int) -> list[int]:
    """The numbers of the batches that are there; fails when one is there in part."""
    there = []
    for batch in range(upto):
        present = ids & set(ids_of(*((batch, place) for place in range(BATCH))))
        assert len(present) in (0, BATCH), f"batch {batch} is there in part"
        there += [batch] if present else []
    return there


def test_two_readers_see_whole_batches_while_a_writer_goes_on(scheme: str, tmp_path: Path) -> None:
    open_store(scheme, tmp_path).close()  # readers find a store that was made
    readers, last, seen = [open_store(scheme, tmp_path, read_only=True) for _ in "ab"], 40, 0
    with writer(scheme, tmp_path, 0, last, deletes=True) as process:
        while process.poll() is None:
            for reader in readers:
                query = vectors_of(1, seed=seen)
                answer = reader.search(query, 10_000)[0]
                there = batches_in(set(answer.ids), last)
                held = {
                    i: v
                    for batch in there
                    for i, v in zip(
                        ids_of(*((batch, place) for place in range(BATCH))),
                        vectors_of(BATCH, seed=batch),
                        strict=True,
                    )
                }
                assert agrees(answer, held, query[0], 10_000, CASES[scheme].tolerance)
                newest = max(there, default=0)
                assert newest >= seen
                seen = newest
        assert process.returncode == 0
    expected = [b for b in range(last) if b % 3 != 1]
    for reader in readers:
        assert batches_in(set(reader.scan()), last) == expected
        reader.close()


def test_a_killed_writer_loses_nothing_that_it_acknowledged(scheme: str, tmp_path: Path) -> None:
    random, acknowledged = np.random.default_rng(7), -1
    for _ in range(5):
        with writer(scheme, tmp_path, acknowledged + 1, 10_000) as process:
            assert process.stdout is not None
            acknowledged = int(process.stdout.readline())
            time.sleep(random.uniform(0, 0.06))
            process.kill()
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        for read_only in (True, False):
            store = open_store(scheme, tmp_path, read_only=read_only)
            there = batches_in(set(store.scan()), acknowledged + 3)
            assert there[: acknowledged + 1] == list(range(acknowledged + 1))
            assert list(store.check()) == []
            newest = vectors_of(BATCH, seed=acknowledged)
            assert store.search(newest[:1], 1)[0].ids == tuple(ids_of((acknowledged, 0)))
            store.close()

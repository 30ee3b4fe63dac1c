"""The laws of `DocumentStore`: several threads."""

from __future__ import annotations

import pytest

from retrieval.schema import Compare
from tests.contracts.threads import together

from .toys import Opener, asset_of, image, passage, seen


@pytest.mark.parametrize("read_only", [True, False])
def test_threads_that_ask_at_once_get_what_one_gets(opened: Opener, read_only: bool) -> None:
    store = opened()
    documents = [passage(n, f"dog number{n} {'sea ' * (n % 7)}") for n in range(300)]
    store.upsert(documents, [seen(n, year=n % 9) for n in range(300)])
    store = opened(read_only=read_only)
    ids, where = [document.id for document in documents], Compare("year", ">", 4)
    found, some = store.search("dog sea", 50, where=where), store.passing(ids, where)

    def ask(_: int) -> None:
        for n in range(25):
            assert store.search("dog sea", 50, where=where).ids == found.ids
            assert store.passing(ids, where) == some
            assert len(store.get(ids)) == 300
            assert store.sightings([asset_of(n)])[asset_of(n)] == [seen(n, year=n % 9)]

    together(ask)


def test_threads_that_write_at_once_lose_nothing(opened: Opener) -> None:
    store = opened()

    def write(number: int) -> None:
        for n in range(5):
            store.upsert([image((number, n)), passage((number, n), "dog")], [seen((number, n))])
            store.delete([image((number, n)).id])
            assert store.count() >= n

    together(write)
    assert len(store.search("dog", 100)) == store.count() == 30
    assert list(store.check()) == []

"""`Collection.search` from several threads: opened once, and each gets what one alone gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from indexer import create, index
from retrieval import collection as collection_module
from retrieval import open_collection, parse_query
from retrieval.query.parse import Query
from tests import collections, corpus

from .threads import together


def test_searches_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media = tmp_path / "media"
    media.mkdir()
    for n in range(12):
        picture = corpus.picture(media / f"{n}.png", seed=n)
        corpus.text(media / f"{n}.txt", f"thing number {n}, {'red' if n % 2 else 'blue'}")
    photos = create("photos", settings=collections.settings(tmp_path / "home"))
    index([str(media)], photos)
    queries: list[str | Query] = ["red thing", parse_query("7", add=[picture.read_bytes()])]
    where = "size > 10 AND NOT name LIKE '3%'"
    alone = [[hit.asset for hit in photos.search(query, where=where)] for query in queries]
    photos.close()

    opened: list[Any] = []
    open_backends = collection_module.open_backends

    def count(*arguments: Any) -> Any:
        opened.append(open_backends(*arguments))
        return opened[-1]

    monkeypatch.setattr(collection_module, "open_backends", count)
    with open_collection(photos.directory, settings=photos.settings) as fresh:

        def ask(_: int) -> None:
            for n in range(10):
                results = fresh.search(queries[n % 2], where=where)
                assert [hit.asset for hit in results] == alone[n % 2]
                assert not results.degraded

        together(ask)
    assert len(opened) == 1

"""The laws of `DocumentStore`: filters mean the same on every back end."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.protocols import Place
from retrieval.registry import open_document_store
from retrieval.schema import And, Compare, FieldValue, Filter, Not, Sighting, TooMany

from ..naive_filters import admits, field_maps, filters
from .toys import TEST_URLS, Opener, asset_of, image, passage, seen


def test_one_sighting_must_satisfy_the_filter_whole(opened: Opener) -> None:
    store = opened()
    store.upsert(
        [image(1), image(2)],
        [
            seen(1, "file:///a", year=2020, camera="x"),
            seen(1, "file:///b", year=2021, camera="y"),
            seen(2, "file:///c", year=2020, camera="y"),
        ],
    )
    where = And((Compare("year", "=", 2020), Compare("camera", "=", "y")))
    assert store.select(where, 9) == [image(2).id]
    assert store.matches([image(1).id, image(2).id, image(9).id], where) == {image(2).id}
    assert set(store.select(Not(where), 9) or ()) == {image(1).id}


def test_select_says_when_there_are_too_many(opened: Opener) -> None:
    store = opened()
    store.upsert([image(n) for n in range(5)] + [passage(1, "x")], [seen(n, n=n) for n in range(5)])
    ids = sorted([*(image(n).id for n in range(5)), passage(1, "x").id])
    assert store.select(None, 6) == ids
    assert store.select(None, 5) == TooMany(5)
    assert store.select(None, 5, channel="toy/text") == [passage(1, "x").id]
    assert store.select(Compare("n", "<", 3), 3) == TooMany(3)
    assert store.select(Compare("n", "<", 0), 0) == []


def test_a_filter_of_very_many_terms(opened: Opener) -> None:
    store = opened()
    store.upsert([image(n) for n in range(3)], [seen(n, n=n) for n in range(3)])
    where = And(tuple(Compare("n", "!=", n) for n in range(1, 1_500)))
    assert store.select(where, 9) == [image(0).id]
    assert store.matches([image(n).id for n in range(3)], where) == {image(0).id}


def test_filters_mean_what_the_naive_ones_mean(scheme: str, tmp_path: Path) -> None:
    """Any fields, any filter tree: the same documents by every way that filters."""
    assets = st.lists(st.lists(field_maps(), max_size=2), min_size=1, max_size=5)

    @settings(
        max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(assets, st.lists(filters(), min_size=1, max_size=5))
    def same(assets: list[list[dict[str, FieldValue]]], wheres: list[Filter]) -> None:
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            store = open_document_store(Place(TEST_URLS[scheme], Path(folder), read_only=False))
            documents = {n: passage(n, "a dog") for n in range(len(assets))}
            store.upsert(
                list(documents.values()),
                [
                    Sighting(f"file:///{n}/{m}", asset_of(n), fields)
                    for n, its in enumerate(assets)
                    for m, fields in enumerate(its)
                ],
            )
            every = [document.id for document in documents.values()]
            for where in (None, *wheres):
                wanted = {documents[n].id for n, its in enumerate(assets) if admits(its, where)}
                assert store.select(where, 99) == sorted(wanted)
                assert store.matches(every, where) == wanted
                assert store.search("dog", 99, where=where).ids == tuple(sorted(wanted))
            store.close()

    same()

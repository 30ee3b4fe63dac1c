"""The laws of `DocumentStore`: filters mean the same on every back end."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.query.where import bounded, holds
from retrieval.schema import (
    MAX_FILTER_DEPTH,
    And,
    Compare,
    FieldValue,
    Filter,
    Not,
    Or,
    Sighting,
    TooMany,
)

from ..naive_filters import admits, field_maps, filters
from .toys import Opener, asset_of, image, passage, seen


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
    assert store.passing([image(1).id, image(2).id, image(9).id], where) == {image(2).id: image(2)}
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
    assert store.passing([image(n).id for n in range(3)], where).keys() == {image(0).id}


def test_filters_mean_what_the_naive_ones_mean(opened: Opener) -> None:
    """Any fields, any filter tree: the same documents by every way that filters."""
    store = opened()
    assets = st.lists(st.lists(field_maps(), max_size=2), min_size=1, max_size=5)

    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(assets, st.lists(filters(), min_size=1, max_size=5))
    def same(assets: list[list[dict[str, FieldValue]]], wheres: list[Filter]) -> None:
        documents = {n: passage(n, "a dog") for n in range(len(assets))}
        sightings = [
            Sighting(f"file:///{n}/{m}", asset_of(n), fields)
            for n, its in enumerate(assets)
            for m, fields in enumerate(its)
        ]
        store.upsert(list(documents.values()), sightings)
        every = [document.id for document in documents.values()]
        try:
            for where in (None, *wheres):
                wanted = {documents[n].id for n, its in enumerate(assets) if admits(its, where)}
                assert store.select(where, 99) == sorted(wanted)
                assert store.passing(every, where).keys() == wanted
                assert store.search("dog", 99, where=where).ids == tuple(sorted(wanted))
        finally:
            store.delete(every)
            store.forget([sighting.uri for sighting in sightings])

    same()


@pytest.mark.parametrize("siblings", [1, 2, 110])
@pytest.mark.parametrize("operators", ["AO", "ANON"], ids=["and, or", "and, not, or, not"])
def test_a_filter_as_deep_as_the_engine_lets_in(
    opened: Opener, operators: str, siblings: int
) -> None:
    """Nested on the right, as a person's parentheses are, under the engine's own level."""
    store = opened()
    store.upsert([image(1), passage(2, "dog")], [seen(1, year=2020), seen(2, year=1)])
    newer, older = Compare("year", ">", 2000), Compare("year", "<", 1000)
    where: Filter = newer
    for level in range(MAX_FILTER_DEPTH):
        match operators[level % len(operators)]:
            case "A":
                where = And((*(newer,) * siblings, where))
            case "O":
                where = Or((*(older,) * siblings, where))
            case "N":
                where = Not(where)
    where = And((Compare("year", "!=", 3), bounded(where) or where))
    years = {image(1).id: 2020.0, passage(2, "dog").id: 1.0}
    wanted = {id_ for id_, year in years.items() if holds(where, {"year": year})}
    assert store.select(where, 9) == sorted(wanted)
    assert store.passing(list(years), where).keys() == wanted
    assert set(store.search("dog", 9, where=where).ids) == wanted - {image(1).id}

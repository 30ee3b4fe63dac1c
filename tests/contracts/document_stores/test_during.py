"""The laws of `DocumentStore`: only what lies in a time."""

from __future__ import annotations

import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.protocols import DocumentStore
from retrieval.schema import TIMED_KINDS, Compare, Document, Kind, Span, TooMany

from .toys import Opener, asset_of, seen

TIMES = st.sampled_from([0.0, 0.5, 1.0, 1.04, 7.25, 60.0, 3_600.0])
KINDS: list[Kind] = ["image", "passage", "shot", "window", "speech"]


def part(name: object, kind: Kind, start: float, end: float) -> Document:
    return Document.of(asset_of(name), kind, "toy/any", Span(start, end), f"dog {start} to {end}")


DRAWN = st.builds(
    part, st.sampled_from([1, 2]), st.sampled_from(KINDS), TIMES, TIMES
)  # some of them empty, some the wrong way round


def lies_in(document: Document, during: Span) -> bool:
    """The law, in the plainest words."""
    span = document.span
    assert span is not None
    timed = document.kind in TIMED_KINDS and span.start < span.end
    return timed and span.start < during.end and during.start < span.end


def check(store: DocumentStore, documents: list[Document], during: Span) -> None:
    every = {document.id: document for document in documents}
    for where, numbers in ((None, (1, 2)), (Compare("year", ">", 2020), (2,))):
        assets = [asset_of(number) for number in numbers]
        wanted = sorted(d.id for d in every.values() if d.asset in assets and lies_in(d, during))
        assert store.select(where, 99, during=during) == wanted
        assert sorted(store.passing(list(every), where, during=during)) == wanted
        assert sorted(store.search("dog", 99, where=where, during=during).ids) == wanted
        assert store.select(where, 99, during=during, channel="other") == []
        if wanted:
            assert store.select(where, len(wanted) - 1, during=during) == TooMany(len(wanted) - 1)


def test_only_what_lies_in_the_time_passes(opened: Opener) -> None:
    store = opened()
    sightings = [seen(1, year=2020), seen(2, year=2021)]

    @settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(DRAWN, max_size=8), TIMES, TIMES)
    def same(documents: list[Document], one: float, other: float) -> None:
        store.upsert(documents, sightings)
        try:
            if one != other:
                check(store, documents, Span(min(one, other), max(one, other)))
            check(store, documents, Span(0.0, math.inf))
        finally:
            store.delete([document.id for document in documents])

    same()


def test_times_are_found_after_reopening(opened: Opener) -> None:
    store = opened()
    shot = part(1, "shot", 2.0, 4.5)
    store.upsert([shot, part(1, "passage", 2.0, 4.5)], [seen(1)])
    store.close()
    again = opened(existing=True)
    assert again.select(None, 9, during=Span(4.4, 5.0)) == [shot.id]
    assert again.select(None, 9, during=Span(4.5, 5.0)) == []
    assert list(again.check()) == []
    assert again.get([shot.id]) == {shot.id: shot}

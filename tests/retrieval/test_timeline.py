"""Moments of a search on real stores, against the naive ranking of every moment."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.query import engine, fusion, legs, timeline
from retrieval.query.engine import search
from retrieval.query.moments import EVER, Moment, moments, overlaps, silent
from retrieval.query.parse import parse_query
from retrieval.query.where import holds
from retrieval.schema import Background, Compare, Filter, Kind, Span, TooMany
from tests.encoders import HashEncoder
from tests.films_made import BACKGROUND, WORDS, Film, Made, Part, films_made

QUERY = parse_query(WORDS)


@contextmanager
def made(films: Sequence[Film], *, background: Background | None = BACKGROUND) -> Iterator[Made]:
    with (
        tempfile.TemporaryDirectory() as folder,
        films_made(Path(folder), films, background=background) as collection,
    ):
        yield collection


def shallow(patch: pytest.MonkeyPatch, depth: int = 1) -> None:
    """Searches begin at a small depth, so that going deeper is tried."""
    for module in (engine, timeline, legs):
        patch.setattr(module, "first_depth", lambda _k: depth)
    patch.setattr(engine, "GROWTH", 2)
    patch.setattr(timeline, "GROWTH", 2)
    patch.setattr(engine, "FIRST_SCORED", 1)
    patch.setattr(timeline, "FIRST_FILMS", 1)


# ------------------------------------------------------------------------ the naive model


def gains_of(
    collection: Made, where: Filter | None, during: Span, *, by_rank: bool = False
) -> list[dict[str, float]]:
    """What each leg gives to documents in a time, every one of them scored."""
    (query,) = HashEncoder().encode("text", [WORDS], role="query").astype(np.float64)
    store = collection.backends.documents
    seen = store.select(where, 10**6, during=during)
    assert not isinstance(seen, TooMany)
    told = []
    for channel in collection.backends.manifest.channels:
        its = [d.id for d in collection.documents if d.channel == channel.key and d.id in seen]
        cosines = {id_: float(collection.vectors[id_] @ query) for id_ in its}
        if by_rank:
            ranking = sorted(its, key=lambda id_: (-np.float32(cosines[id_]), id_))
            told.append(_by_rank(ranking))
        else:
            told.append(
                {
                    id_: (cosine - BACKGROUND.mean) / BACKGROUND.std
                    for id_, cosine in cosines.items()
                }
            )
    words = store.search(WORDS, 10**6, where=where)
    return [*told, _by_rank([id_ for id_ in words.ids if id_ in seen])]


def _by_rank(ids: Sequence[str]) -> dict[str, float]:
    first = ids[: fusion.RECIPROCAL_DEPTH]
    return {id_: 61 / (60 + rank) for rank, id_ in enumerate(first, start=1)}


def naive(
    collection: Made,
    where: Filter | None = None,
    during: Span | None = None,
    *,
    by_rank: bool = False,
) -> dict[str, list[Moment]]:
    """All moments of every asset that passes."""
    gains = gains_of(collection, where, during or EVER, by_rank=by_rank)
    found = {}
    for number, film in enumerate(collection.films):
        if holds(where, {"modality": film.modality, **film.fields}):
            its = moments(collection.of(number), gains, during=during or EVER)
            found[collection.asset(number)] = [one.moment for one in its]
    return found


TIMES = st.integers(0, 8).map(float)
COSINES = st.integers(-4, 9).map(lambda tenths: tenths / 10)
TEXTS = st.sampled_from(["a red boat", "the boat", "nothing of it", "red red red"])


@st.composite
def parts(draw: st.DrawFn) -> Part:
    kinds: list[Kind] = ["shot", "shot", "speech", "window"]
    kind = draw(st.sampled_from(kinds))
    start, end = sorted(draw(st.lists(TIMES, min_size=2, max_size=2, unique=True)))
    text = draw(TEXTS) if kind == "speech" else None
    return Part(kind, start, end, draw(COSINES), text)


FILMS = st.lists(
    st.builds(
        Film,
        st.lists(parts(), max_size=6).map(tuple),
        st.lists(st.tuples(TEXTS, COSINES), max_size=1).map(tuple),
        st.fixed_dictionaries({"year": st.integers(2000, 2001).map(float)}),
        st.sampled_from(["video", "video", "audio", "image"]),
    ),
    max_size=6,
)
WHERES = st.sampled_from([None, None, Compare("year", "=", 2001.0)])
DURING = st.one_of(
    st.none(), st.tuples(TIMES, TIMES).filter(lambda t: t[0] < t[1]), st.just((3.0, float("inf")))
)


def same(found: Sequence[Moment], expected: Sequence[Moment]) -> None:
    assert [one.score for one in found] == pytest.approx([e.score for e in expected], abs=1e-4)


@settings(deadline=None, max_examples=60)
@given(films=FILMS, where=WHERES, between=DURING, k=st.integers(1, 12), by_rank=st.booleans())
def test_promise_4_the_k_best_moments_are_those_of_ranking_every_moment(
    films: list[Film],
    where: Filter | None,
    between: tuple[float, float] | None,
    k: int,
    by_rank: bool,
) -> None:
    background = None if by_rank else BACKGROUND
    with made(films, background=background) as collection, pytest.MonkeyPatch.context() as patch:
        during = Span(*between) if between else None
        truth = naive(collection, where, during, by_rank=by_rank)
        shallow(patch)
        query = replace(QUERY, between=between)
        results = search(collection.backends, query, k=k, where=where, group_by="moment")
    every = sorted((-m.score, asset, m.start) for asset, its in truth.items() for m in its)
    assert len(results) == min(k, len(every))
    assert [hit.score for hit in results] == pytest.approx([-s for s, *_ in every[:k]], abs=1e-4)
    for hit in results:
        (moment,) = hit.moments
        assert hit.span == moment.span
        assert hit.score == moment.score == pytest.approx(sum(leg.contribution for leg in hit.legs))
        assert any(
            (known.start, known.end) == (moment.start, moment.end)
            and known.score == pytest.approx(moment.score, abs=1e-4)
            for known in truth[hit.asset]
        )
    assert len({(hit.asset, hit.span) for hit in results}) == len(results)
    assert not results.degraded


@settings(deadline=None, max_examples=60)
@given(films=FILMS, where=WHERES, between=DURING, k=st.integers(1, 6), by_rank=st.booleans())
def test_assets_come_with_their_best_moments_whatever_the_depth(
    films: list[Film],
    where: Filter | None,
    between: tuple[float, float] | None,
    k: int,
    by_rank: bool,
) -> None:
    background = None if by_rank else BACKGROUND
    with made(films, background=background) as collection, pytest.MonkeyPatch.context() as patch:
        during = Span(*between) if between else None
        truth = naive(collection, where, during, by_rank=by_rank)
        query = replace(QUERY, between=between)
        whole = search(collection.backends, query, k=99, where=where)
        shallow(patch)
        results = search(collection.backends, query, k=k, where=where)
        lacking = {collection.asset(n): silent(collection.of(n)) for n in range(len(films))}
        answers = {
            collection.asset(n)
            for n, film in enumerate(films)
            if holds(where, film.fields)
            and any(during is None or overlaps(d, during) for d in collection.of(n))
        }
    assert len(results) == min(k, len(answers))
    assert {hit.asset for hit in whole} == answers
    assert [(hit.asset, hit.moments) for hit in results] == [
        (hit.asset, hit.moments) for hit in whole[:k]
    ]
    for hit in whole:
        expected = truth[hit.asset][: timeline.SHOWN]
        assert len(hit.moments) == len(expected)
        same(hit.moments, expected)
        assert hit.silent == (lacking[hit.asset] if expected else ())

"""Moments of a search on real stores, against the naive ranking of every moment."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrieval.query import engine, fusion, legs, timeline
from retrieval.query.engine import search
from retrieval.query.fusion import Weights
from retrieval.query.moments import EVER, Moment, moments, overlaps, silent
from retrieval.query.parse import Query, parse_query
from retrieval.query.where import holds
from retrieval.schema import Background, Compare, Document, Filter, Kind, Span, TooMany
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


@dataclass(frozen=True)
class Asked:
    """What is asked beside the words."""

    where: Filter | None = None
    between: tuple[float, float] | None = None
    kinds: frozenset[Kind] = frozenset()
    by_rank: bool = False
    weights: Weights = field(default_factory=Weights)

    @property
    def query(self) -> Query:
        return replace(QUERY, between=self.between, kinds=self.kinds, weights=self.weights)

    @property
    def during(self) -> Span:
        return Span(*self.between) if self.between else EVER

    def shows(self, document: Document, *, timed: bool) -> bool:
        in_time = overlaps(document, self.during) or not (timed or self.between)
        return in_time and (not self.kinds or document.kind in self.kinds)


def gains_of(collection: Made, asked: Asked, *, timed: bool = True) -> list[dict[str, float]]:
    """What each leg gives to documents, every one of them scored.

    Without `timed` by their assets' ranks, as when assets are ranked.
    """
    query = HashEncoder().encode("text", [WORDS], role="query")
    store = collection.backends.documents
    passing = store.select(asked.where, 10**6)
    assert not isinstance(passing, TooMany)
    shown = {
        d.id: d.id if timed else d.asset
        for d in collection.documents
        if d.id in passing and asked.shows(d, timed=timed)
    }
    told = []
    for channel in collection.backends.manifest.channels:
        its = [d.id for d in collection.documents if d.channel == channel.key and d.id in shown]
        vectors = collection.backends.vectors[channel.key]
        (ranking,) = vectors.search(query, len(its), within=its)
        if asked.by_rank:
            told.append(_by_rank(ranking.ids, shown))
        else:
            spreads = (ranking.scores.astype(np.float64) - BACKGROUND.mean) / BACKGROUND.std
            speech = {d.id for d in collection.documents if d.kind == "speech"}
            weight = 1 if asked.kinds == {"speech"} else asked.weights.speech
            weights = np.array([weight if id_ in speech else 1 for id_ in ranking.ids])
            told.append(dict(zip(ranking.ids, (weights * spreads).tolist(), strict=True)))
    words = store.search(WORDS, 10**6, where=asked.where).ids
    return [*told, _by_rank([id_ for id_ in words if id_ in shown], shown)]


def _by_rank(ids: Sequence[str], group_of: Mapping[str, str]) -> dict[str, float]:
    ranks = {group: rank for rank, group in enumerate(dict.fromkeys(map(group_of.get, ids)), 1)}
    places = {id_: ranks[group_of[id_]] for id_ in ids}
    return {
        id_: 61 / (60 + rank) for id_, rank in places.items() if rank <= fusion.RECIPROCAL_DEPTH
    }


def naive(collection: Made, asked: Asked) -> dict[str, list[Moment]]:
    """All moments of every asset that passes."""
    gains = gains_of(collection, asked)
    found = {}
    for number, film in enumerate(collection.films):
        if holds(asked.where, {"modality": film.modality, **film.fields}):
            its = moments(collection.of(number), gains, during=asked.during)
            found[collection.asset(number)] = [one.moment for one in its]
    return found


def naive_assets(collection: Made, asked: Asked) -> dict[str, float]:
    """The score of every asset that has a document that may be seen."""
    gains = gains_of(collection, asked, timed=False)
    scores = {}
    for number, film in enumerate(collection.films):
        shown = [d.id for d in collection.of(number) if asked.shows(d, timed=False)]
        if shown and holds(asked.where, {"modality": film.modality, **film.fields}):
            bests = [[leg[id_] for id_ in shown if id_ in leg] for leg in gains]
            scores[collection.asset(number)] = sum(max(best) for best in bests if best)
    return scores


TIMES = st.integers(0, 8).map(float)
# Sums that are just half of others, where rounding would tell, are to be rare.
COSINES = st.builds(
    lambda one, other: one / 10 + other / 1_409, st.integers(-4, 8), st.integers(0, 97)
)
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
BETWEEN = st.one_of(
    st.none(), st.tuples(TIMES, TIMES).filter(lambda t: t[0] < t[1]), st.just((3.0, float("inf")))
)
KINDS: st.SearchStrategy[frozenset[Kind]] = st.sampled_from(
    [frozenset(), frozenset(), frozenset({"speech"}), frozenset({"shot", "window"})]
)
WEIGHTS = st.builds(Weights, speech=st.sampled_from([fusion.SPEECH_WEIGHT, 0.0, 0.5, 1.0, 2.0]))
ASKED = st.builds(Asked, WHERES, BETWEEN, KINDS, st.booleans(), WEIGHTS)


TWO_THIRDS_BY_RANK = Film((Part("shot", 0, 1, 0.0), Part("speech", 0, 2, 0.0, "a red boat")))


@settings(max_examples=40)
@example(films=[TWO_THIRDS_BY_RANK], asked=Asked(by_rank=True), k=1)
@given(films=FILMS, asked=ASKED, k=st.integers(1, 12))
def test_promise_4_the_k_best_moments_are_those_of_ranking_every_moment(
    films: list[Film], asked: Asked, k: int
) -> None:
    background = None if asked.by_rank else BACKGROUND
    with made(films, background=background) as collection, pytest.MonkeyPatch.context() as patch:
        truth = naive(collection, asked)
        shallow(patch)
        results = search(
            collection.backends, asked.query, k=k, where=asked.where, group_by="moment"
        )
    every = sorted((-m.score, asset, m.start) for asset, its in truth.items() for m in its)
    assert len(results) == min(k, len(every))
    assert [hit.score for hit in results] == pytest.approx([-s for s, *_ in every[:k]], abs=1e-4)
    for hit in results:
        (moment,) = hit.moments
        assert hit.span == moment.span
        assert hit.score == moment.score
        assert hit.score == pytest.approx(sum(leg.contribution for leg in hit.legs))
        assert any(
            (known.start, known.end) == (moment.start, moment.end)
            and known.score == pytest.approx(moment.score, abs=1e-4)
            for known in truth[hit.asset]
        )
    assert len({(hit.asset, hit.span) for hit in results}) == len(results)
    assert not results.degraded


@settings(max_examples=40)
@given(films=FILMS, asked=ASKED, k=st.integers(1, 6))
def test_assets_come_with_their_best_moments_whatever_the_depth(
    films: list[Film], asked: Asked, k: int
) -> None:
    background = None if asked.by_rank else BACKGROUND
    with made(films, background=background) as collection, pytest.MonkeyPatch.context() as patch:
        truth, assets = naive(collection, asked), naive_assets(collection, asked)
        whole = search(collection.backends, asked.query, k=99, where=asked.where)
        shallow(patch)
        results = search(collection.backends, asked.query, k=k, where=asked.where)
        lacking = {collection.asset(n): silent(collection.of(n)) for n in range(len(films))}
    assert {hit.asset: hit.score for hit in whole} == pytest.approx(assets, abs=1e-4)
    assert [(hit.asset, hit.moments) for hit in results] == [
        (hit.asset, hit.moments) for hit in whole[:k]
    ]
    for hit in whole:
        expected = truth[hit.asset][: timeline.SHOWN]
        assert [one.score for one in hit.moments] == pytest.approx(
            [one.score for one in expected], abs=1e-4
        )
        assert hit.silent == lacking[hit.asset]

"""The law of moments, over pairs of vector store and document store: k means k, and the best ones.

Films of many documents, so that searches go deeper before the first moments are certain.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from retrieval.query import engine, legs, timeline
from retrieval.query.engine import search
from retrieval.query.moments import Moment
from retrieval.schema import Compare, Kind
from tests.films_made import Film, Made, Part, films_made
from tests.retrieval.test_timeline import Asked, naive, naive_assets

from .test_filtered_search import PAIRS, _drop, _marks

COUNT = 40
SPEECH: frozenset[Kind] = frozenset({"speech"})
ASKED = {
    "anything": Asked(),
    "in a time": Asked(between=(31.0, 47.5)),
    "towards the end": Asked(between=(150.0, float("inf"))),
    "what was said": Asked(kinds=SPEECH),
    "in some films": Asked(where=Compare("year", "=", 2003.0)),
    "said in a time in some films": Asked(Compare("year", "<", 2003.0), (31.0, 47.5), SPEECH),
}


def film(number: int) -> Film:
    """Up to three minutes of shots, speech and windows that answer by chance."""
    chance = np.random.default_rng(number)
    parts: list[Part] = []
    kinds: dict[Kind, float] = {"shot": 6.0, "speech": 9.0, "window": 10.0}
    for kind, length in kinds.items():
        for start in np.arange(0.0, chance.uniform(20, 180), length).tolist():
            cosine = float(np.clip(chance.normal(0.05, 0.2), -0.9, 0.9))
            text = f"{chance.choice(['red', 'boat', 'it'])} {number} {start}"
            parts.append(
                Part(kind, start, start + length, cosine, text if kind == "speech" else None)
            )
    captions = ((f"a red boat {number}", 0.5),) if number % 3 == 0 else ()
    return Film(tuple(parts), captions, {"year": 2000.0 + number % 5})


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=_marks(its)) for name, its in PAIRS.items()]
)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Made]:
    """A collection of films in each pair."""
    schemes = str(request.param).split("+")
    name = f"moments{uuid.uuid4().hex[:12]}"
    with ExitStack() as end:
        urls = []
        for scheme in schemes:
            if extra := {"faiss": "faiss", "milvus": "pymilvus"}.get(scheme):
                pytest.importorskip(extra)
            server: Any = None
            if scheme in ("milvus", "elasticsearch"):
                server = request.getfixturevalue(f"{scheme}_session")
                end.callback(_drop, scheme, server, name)
            urls.append(server.url(name) if server else f"{scheme}:")
        folder = tmp_path_factory.mktemp("moments")
        films = [film(number) for number in range(COUNT)]
        vectors, documents = urls
        with films_made(folder, films, vectors=vectors, documents=documents) as collection:
            yield collection


Truth = tuple[dict[str, list[Moment]], dict[str, float]]


@pytest.fixture(scope="module")
def truths(filled: Made) -> dict[str, Truth]:
    """What is found if everything is looked at, for each of `ASKED`."""
    return {name: (naive(filled, its), naive_assets(filled, its)) for name, its in ASKED.items()}


@pytest.mark.parametrize(("k", "depth"), [(1, None), (10, None), (10, 50), (300, 50)])
@pytest.mark.parametrize("name", ASKED)
def test_as_many_moments_as_there_are_and_the_best_ones(
    name: str,
    k: int,
    depth: int | None,
    filled: Made,
    truths: dict[str, Truth],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if depth:
        for module in (engine, timeline, legs):
            monkeypatch.setattr(module, "first_depth", lambda _k: depth)
    asked, (truth, _) = ASKED[name], truths[name]
    best = sorted((-m.score, asset, m.start) for asset, its in truth.items() for m in its)[:k]
    found = search(filled.backends, asked.query, k=k, where=asked.where, group_by="moment")
    assert [hit.score for hit in found] == pytest.approx([-score for score, *_ in best], abs=1e-3)
    if name == "anything" and k == 10:
        assert [(hit.asset, hit.moments[0].start) for hit in found] == [its[1:] for its in best]
    assert not found.degraded


@pytest.mark.parametrize("name", ASKED)
def test_films_come_with_their_moments(name: str, filled: Made, truths: dict[str, Truth]) -> None:
    asked, (truth, assets) = ASKED[name], truths[name]
    found = search(filled.backends, asked.query, k=25, where=asked.where)
    assert len(found) == min(25, len(assets))
    assert {hit.asset: hit.score for hit in found} == pytest.approx(
        {hit.asset: assets[hit.asset] for hit in found}, abs=1e-3
    )
    for hit in found:
        expected = truth[hit.asset][: timeline.SHOWN]
        assert [one.score for one in hit.moments] == pytest.approx(
            [one.score for one in expected], abs=1e-3
        )

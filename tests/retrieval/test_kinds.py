"""A query of some kinds sees nothing else, as if the collection held nothing else."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings

from retrieval.query.engine import search
from retrieval.query.fusion import Weights
from retrieval.query.parse import parse_query
from retrieval.query.present import Results
from retrieval.schema import Kind
from tests.films_made import WORDS, Film, Part, films_made

from .test_timeline import FILMS, made

SPEECH: frozenset[Kind] = frozenset({"speech"})
QUERY = parse_query(WORDS)
GroupBy = Literal["asset", "moment", "document"]


def _told(results: Results) -> list[tuple[object, ...]]:
    return [(hit.asset, hit.span, round(hit.score, 4), hit.document) for hit in results]


@settings(max_examples=40)
@given(films=FILMS)
def test_kinds_are_as_if_nothing_else_was_there(films: list[Film]) -> None:
    # Without captions: BM25 weighs a word by how many texts of the collection have it.
    films = [replace(film, captions=()) for film in films]
    spoken = [
        replace(film, parts=tuple(p for p in film.parts if p.kind == "speech")) for film in films
    ]
    of_speech = replace(QUERY, kinds=SPEECH)
    in_full = replace(QUERY, weights=Weights(speech=1.0))  # as it counts when asked for alone
    groups: tuple[GroupBy, ...] = ("moment", "asset", "document")
    with made(films) as everything, made(spoken) as speech:
        for group_by in groups:
            found = search(everything.backends, of_speech, k=50, group_by=group_by)
            wanted = search(speech.backends, in_full, k=50, group_by=group_by)
            assert _told(found) == _told(wanted)


def test_what_was_said_is_found_and_what_is_shown_is_not() -> None:
    said = Part("speech", 10, 14, 0.2, "a red boat comes in")
    shown = Part("shot", 0, 20, 0.9)
    films = [Film((shown,)), Film((shown, said), captions=(("a red boat", 0.9),))]
    with tempfile.TemporaryDirectory() as folder, films_made(Path(folder), films) as collection:
        results = search(collection.backends, replace(QUERY, kinds=SPEECH), group_by="moment")
        late = search(
            collection.backends,
            replace(QUERY, kinds=SPEECH, between=(15.0, 20.0)),
            group_by="moment",
        )

    (hit,) = results
    assert hit.asset == collection.asset(1)
    assert (hit.moments[0].start, hit.moments[0].end) == (10, 14)
    assert [(one.kind, one.text) for one in hit.moments[0].evidence] == [("speech", said.text)]
    assert hit.kind == "speech"
    assert hit.score == pytest.approx(sum(leg.contribution for leg in hit.legs))
    assert len(late) == 0

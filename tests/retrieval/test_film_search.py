"""Films that are found: what their hits say, what is left out, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from retrieval import open_collection
from retrieval.errors import QueryError, StoreUnreachableError, UsageError, WeightsMissingError
from retrieval.protocols import DocumentStore
from retrieval.query import engine, legs, timeline
from retrieval.query.backends import AbsentStore, Backends
from retrieval.query.engine import search
from retrieval.query.parse import DocumentRef, Query, parse_query
from retrieval.query.parse import Part as Asked
from retrieval.schema import Document, Span
from tests.films_made import SPACE, WORDS, Film, Made, Part, films_made

from .test_engine import Down, FailsLater
from .test_standin import KnowingStore

QUERY = parse_query(WORDS)
DOWN = StoreUnreachableError("The documents at x can't be reached.", advice="Start it.")


def shots(*cosines: float) -> tuple[Part, ...]:
    """Shots of ten seconds."""
    return tuple(Part("shot", 10.0 * n, 10.0 * n + 10, c) for n, c in enumerate(cosines))


FILMS = (
    Film(
        (
            *shots(0.1, 0.8, 0.75, 0.1, 0.5),
            Part("speech", 12, 16, 0.3, "a red boat leaves"),
            Part("speech", 41, 44, 0.2, "the end"),
            Part("window", 10, 20, 0.3),
        )
    ),
    Film(shots(0.3, 0.1), captions=(("a red boat, filmed", 0.9),)),
    Film((Part("speech", 0, 3, 0.7, "red boat, red boat"),), modality="audio"),
    Film((), captions=(("a red boat", 0.9),), modality="image"),
)


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with films_made(tmp_path_factory.mktemp("films"), FILMS) as collection:
        yield collection


def places(results: Sequence[Any]) -> list[tuple[str, Span]]:
    return [(hit.paths[0], hit.span) for hit in results]


# ------------------------------------------------------------------------------ what is shown


def test_a_film_comes_with_its_moments_and_what_it_lacks(some: Made) -> None:
    hits = {hit.paths[0]: hit for hit in search(some.backends, QUERY)}
    assert len(hits) == 4
    film = hits["/0.mp4"]
    assert [one.span for one in film.moments] == [Span(10, 20), Span(40, 50)]
    assert [one.kind for one in film.moments[0].evidence] == ["shot", "speech", "window"]
    assert film.moments[0].evidence[1].text == "a red boat leaves"
    assert film.moments[0].link(film.paths[0]) == "/0.mp4#t=10.0,20.0"
    assert (film.modality, film.kind, film.span) == ("video", "shot", Span(10, 20))
    assert film.silent == ()
    assert hits["/1.mp4"].silent == ("speech", "sound")
    assert hits["/2.mp4"].silent == ("shots", "sound")
    assert (hits["/2.mp4"].kind, hits["/2.mp4"].span) == ("speech", Span(0, 3))
    picture = hits["/3.mp4"]
    assert (picture.moments, picture.silent, picture.kind) == ((), (), "passage")


def test_a_caption_adds_to_the_film_and_to_none_of_its_moments(some: Made) -> None:
    (film,) = (hit for hit in search(some.backends, QUERY) if hit.paths[0] == "/1.mp4")
    assert film.score > film.moments[0].score + 3
    assert film.moments[0].score == pytest.approx((0.3 - 0.05) / 0.2)


def test_moments_are_hits_by_themselves(some: Made) -> None:
    hits = search(some.backends, QUERY, group_by="moment", k=99)
    assert ("/0.mp4", Span(10, 20)) == places(hits)[0]
    assert [path for path, _ in places(hits)].count("/0.mp4") == 2
    assert "/3.mp4" not in [path for path, _ in places(hits)]
    assert hits[0].moments[0].span == hits[0].span
    assert hits[0].document == hits[0].moments[0].evidence[0].document
    assert {leg.name.partition(" ")[0] for leg in hits[0].legs} == {
        f"{SPACE}/video", f"{SPACE}/audio", f"{SPACE}/text", "words"
    }  # fmt: skip
    for k in range(1, len(hits)):
        assert search(some.backends, QUERY, group_by="moment", k=k).hits == hits.hits[:k]


def test_the_best_moment_of_a_film_is_the_same_in_both_lists(some: Made) -> None:
    films = search(some.backends, QUERY)
    flat = search(some.backends, QUERY, group_by="moment", k=99)
    for hit in films:
        assert [one for one in flat if one.asset == hit.asset][:1] == [] or hit.moments[0] == next(
            one.moments[0] for one in flat if one.asset == hit.asset
        )
    assert {hit.asset for hit in flat} == {hit.asset for hit in films if hit.moments}


@pytest.mark.parametrize(("modality", "count"), [("video", 2), ("audio", 1), ("image", 1)])
def test_a_modality_gives_whole_files_with_their_moments(
    some: Made, modality: Any, count: int
) -> None:
    hits = search(some.backends, QUERY, modality=modality)
    assert [hit.modality for hit in hits] == [modality] * count
    assert all(bool(hit.moments) == (modality != "image") for hit in hits)
    flat = search(some.backends, QUERY, modality=modality, group_by="moment", k=99)
    assert {hit.asset for hit in flat} == {hit.asset for hit in hits if hit.moments}


def test_a_film_shows_at_most_so_many_moments(some: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "SHOWN", 1)
    assert max(len(hit.moments) for hit in search(some.backends, QUERY)) == 1


def test_results_show_times(some: Made) -> None:
    for results in (
        search(some.backends, QUERY, modality="video"),
        search(some.backends, QUERY, group_by="moment"),
        search(some.backends, QUERY, group_by="document", modality="video"),
    ):
        assert "/0.mp4  0:10.0-0:20.0" in repr(results)
        assert "/0.mp4  0:10.0-0:20.0" in results._repr_html_()
    assert "0:10.0-0:20.0, 0:40.0-0:50.0" in repr(search(some.backends, QUERY))
    (picture,) = search(some.backends, QUERY, modality="image")
    assert ":" not in repr(picture.paths)


# ----------------------------------------------------------------------- within a time


def test_within_a_time_only_what_lies_there_counts(some: Made) -> None:
    query = replace(QUERY, between=(18.0, 30.0))
    film, other = search(some.backends, query)
    assert film.paths == ("/0.mp4",)
    assert [one.span for one in other.moments] == [Span(18, 20)]
    assert [one.span for one in film.moments] == [Span(18, 30)]
    assert film.moments[0].evidence[0].span == Span(10, 20)
    flat = search(some.backends, query, group_by="moment")
    assert places(flat) == [("/0.mp4", Span(18, 30)), ("/1.mp4", Span(18, 20))]
    documents = search(some.backends, query, group_by="document", k=99)
    assert {hit.span for hit in documents} == {Span(10, 20), Span(20, 30)}
    assert len(search(some.backends, replace(QUERY, between=(0.0, float("inf"))))) == 3
    assert len(search(some.backends, replace(QUERY, between=(500.0, 600.0)))) == 0


NO_TIMES = [(5.0, 5.0), (6.0, 5.0), (-1.0, 5.0), (float("nan"), 5.0), (0.0, float("nan")),
            (float("inf"), float("inf"))]  # fmt: skip


@pytest.mark.parametrize("between", NO_TIMES)
def test_what_is_no_time_is_refused(between: tuple[float, float]) -> None:
    with pytest.raises(QueryError, match="no time") as caught:
        replace(QUERY, between=between)
    assert caught.value.advice


# -------------------------------------------------------------------- what isn't an answer


def test_like_a_shot_gives_other_films_or_other_moments(some: Made) -> None:
    shot = next(d for d in some.of(0) if d.kind == "shot" and d.span == Span(10, 20))
    like = parse_query(add=[DocumentRef(shot.id)])
    assert "/0.mp4" not in [hit.paths[0] for hit in search(some.backends, like)]
    flat = search(some.backends, like, group_by="moment", k=99)
    assert "/0.mp4" in [hit.paths[0] for hit in flat]
    assert all(shot.id != one.document for hit in flat for one in hit.moments[0].evidence)


def test_hidden_documents_make_no_moments(some: Made) -> None:
    first = {d.id for d in some.of(0) if d.span is not None and d.span.start < 30}
    query = replace(QUERY, hidden=frozenset(first))
    (film,) = (hit for hit in search(some.backends, query) if hit.paths[0] == "/0.mp4")
    assert [one.span for one in film.moments] == [Span(40, 50)]
    flat = search(some.backends, query, group_by="moment")
    assert ("/0.mp4", Span(40, 50)) in places(flat)


# ------------------------------------------------------------------------ what is missing


def test_promise_8_without_an_encoder_words_find_moments_and_say_so(some: Made) -> None:
    def without_weights(_: Any) -> Any:
        raise WeightsMissingError("The weights of `hash:` aren't here.", advice="Fetch them.")

    backends = replace(some.backends, encoder=without_weights)
    hits = search(backends, QUERY)
    assert hits.degraded
    film = next(hit for hit in hits if hit.paths[0] == "/0.mp4")
    assert [one.span for one in film.moments] == [Span(12, 16)]
    flat = search(backends, QUERY, group_by="moment")
    assert set(places(flat)) == {("/0.mp4", Span(12, 16)), ("/2.mp4", Span(0, 3))}
    assert flat.degraded


@pytest.mark.parametrize("group_by", ["asset", "moment"])
def test_promise_8_a_store_that_fails_at_whichever_call_is_labelled(
    some: Made, group_by: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is that of a store that was down from the start, or whole; never in between."""
    for module in (engine, timeline, legs):
        monkeypatch.setattr(module, "first_depth", lambda _k: 2)
    key = f"{SPACE}/video"

    def found(store: Any) -> Any:
        vectors: dict[str, Any] = {**some.backends.vectors, key: store}
        return search(replace(some.backends, vectors=vectors), QUERY, k=3, group_by=group_by)

    store = some.backends.vectors[key]
    whole, without = found(store), found(Down())
    assert whole.hits != without.hits
    for calls in range(100):
        results = found(FailsLater(store, calls))
        if not results.degraded:
            break
        assert results.hits == without.hits
        assert [note for note in results.notes if "went away" in note and key in note]
    assert calls > 2
    assert results.hits == whole.hits


def without_its_documents(made: Made, *, spans: bool) -> Backends:
    """The document store is down; vector stores know whose their vectors are, perhaps the times."""
    known = [d if spans else Document(d.id, d.asset, d.kind, d.channel) for d in made.documents]
    vectors: dict[str, Any] = {
        key: KnowingStore(store, [d for d in known if d.channel == key])
        for key, store in made.backends.vectors.items()
    }
    absent = cast("DocumentStore", AbsentStore(DOWN))
    return replace(made.backends, vectors=vectors, documents=absent)


def test_promise_8_without_the_documents_films_are_found_without_moments(some: Made) -> None:
    backends = without_its_documents(some, spans=False)
    hits = search(backends, QUERY)
    assert len(hits) == 4
    assert all(hit.moments == () for hit in hits)
    (note,) = hits.notes
    assert "times" in note
    assert str(DOWN) in note
    for query, group_by in ((QUERY, "moment"), (replace(QUERY, between=(0.0, 9.0)), "asset")):
        with pytest.raises(StoreUnreachableError, match="documents at x"):
            search(backends, query, group_by=cast("Any", group_by))


def test_stores_that_know_times_give_moments_without_the_documents(some: Made) -> None:
    backends = without_its_documents(some, spans=True)
    silenced = replace(QUERY, weights=replace(QUERY.weights, words=0.0))
    found, whole = search(backends, silenced), search(some.backends, silenced)
    assert [[m.span for m in hit.moments] for hit in found] == [
        [m.span for m in hit.moments] for hit in whole
    ]
    assert found.degraded


# ------------------------------------------------------------------------ the public door


@pytest.mark.parametrize("between", [5, "5-6", (1,), (1, 2, 3), (True, 2), ("1", "2")])
def test_what_is_no_pair_of_numbers_is_used_wrongly(tmp_path: Path, between: Any) -> None:
    from indexer import create

    create(tmp_path / "c", encoder="starter:")
    with open_collection(tmp_path / "c") as collection:
        with pytest.raises(UsageError, match="between") as caught:
            collection.search("a boat", between=between)
        assert caught.value.advice
        assert len(collection.search("a boat", between=(1, 2), group_by="moment")) == 0
        query = Query((Asked("a boat"),))
        with pytest.raises(QueryError, match="no time"):
            collection.search(query, between=(2, 1))

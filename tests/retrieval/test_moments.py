"""Moments by their laws: any documents, any scores."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from retrieval.query.moments import (
    CUT,
    EVER,
    Moment,
    label,
    moments,
    overlaps,
    silent,
)
from retrieval.schema import TIMED_KINDS, Document, Kind, Span

ASSET = "a" * 64
Gains = dict[str, float]


def part(kind: Kind, start: float, end: float, text: str | None = None) -> Document:
    return Document.of(ASSET, kind, f"toy/{kind}", Span(start, end), text)


def shots(*borders: float) -> list[Document]:
    return [part("shot", start, end) for start, end in pairwise(borders)]


def given_to(documents: Sequence[Document], *scores: float) -> Gains:
    return {document.id: score for document, score in zip(documents, scores, strict=True)}


def spans(documents: Sequence[Document], *legs: Gains, during: Span = EVER) -> list[Span]:
    return [found.moment.span for found in moments(documents, legs, during=during)]


# ------------------------------------------------------------------------------- examples


def test_neighbours_that_answer_are_merged_and_others_are_not() -> None:
    film = shots(0, 10, 20, 30, 40, 50)
    found = moments(film, [given_to(film, 0.2, 4.0, 3.0, 0.4, 1.0)])
    assert [(one.moment.span, one.moment.score) for one in found] == [
        (Span(10, 30), 4.0),
        (Span(40, 50), 1.0),
    ]


def test_what_leans_against_a_better_moment_is_its_slope() -> None:
    film = shots(0, 1, 2, 3, 4, 5)
    assert spans(film, given_to(film, 4.0, 1.9, 1.8, 0.5, 0.4)) == [Span(0, 1)]
    assert spans(film, given_to(film, 4.0, 1.0, 1.9, 0.5, 0.4)) == [Span(0, 1), Span(2, 3)]


def test_a_film_that_answers_as_a_whole_is_one_moment() -> None:
    film = shots(*range(101))
    scores = [3 + math.sin(number) / 2 for number in range(100)]
    assert spans(film, given_to(film, *scores)) == [Span(0, 100)]


def test_what_is_seen_said_and_heard_at_once_adds_up() -> None:
    film = shots(0, 10, 20, 30)
    said, heard = part("speech", 12, 16, "a red boat"), part("window", 10, 20)
    legs = [given_to(film, 0.1, 2.0, 0.1), {said.id: 4.0}, {heard.id: 1.0, said.id: 0.5}]
    (best, *_) = moments([heard, said, *film], legs)
    assert best.moment.span == Span(12, 16)  # beside it are 3 of 7
    assert best.moment.score == 2.0 + 4.0 + 1.0
    assert [(one.kind, one.score, one.text) for one in best.moment.evidence] == [
        ("speech", 4.5, "a red boat"),
        ("shot", 2.0, None),
        ("window", 1.0, None),
    ]
    assert best.telling == (film[1].id, said.id, heard.id)


def test_a_leg_that_is_silent_lowers_nothing() -> None:
    film = shots(0, 10, 20)
    said = part("speech", 0, 10)
    with_speech = moments([*film, said], [given_to(film, 2.0, 2.0), {said.id: 1.0}])
    assert with_speech[0].moment.score == 3.0
    assert moments(film, [given_to(film, 2.0, 2.0), {}])[0].moment.score == 2.0


def test_what_has_no_time_makes_no_moment() -> None:
    caption = Document.of(ASSET, "passage", "toy/text", None, "a boat")
    chapter = Document.of(ASSET, "passage", "toy/text", Span(0, 99), "a boat")
    empty = part("shot", 5, 5)
    film = [caption, chapter, empty]
    assert moments(film, [given_to(film, 9.0, 9.0, 9.0)]) == []


def test_below_nothing_the_best_is_still_the_best() -> None:
    film = shots(0, 10, 20, 30)
    assert spans(film, given_to(film, -1.0, -0.2, -0.2)) == [Span(10, 30)]
    (found,) = moments(film, [given_to(film, -1.0, -0.2, -0.2)])
    assert [one.document for one in found.moment.evidence] == [film[1].id]


def test_gaps_part_moments() -> None:
    film = [part("speech", 0, 4), part("speech", 4.5, 9)]
    assert spans(film, given_to(film, 2.0, 3.0)) == [Span(4.5, 9), Span(0, 4)]


def test_a_deep_link_has_the_seconds() -> None:
    moment = Moment(13, 24.5004, 1.0)
    assert moment.fragment == "t=13.0,24.5"
    assert moment.link("a film.mp4") == "a film.mp4#t=13.0,24.5"
    assert Moment(0.0415, 1e6, 1.0).fragment == "t=0.042,1000000.0"


def test_kinds_have_words_for_persons() -> None:
    span = Span(0, 1)
    assert label("shot", span) == "shot"
    assert label("window", span) == "sound"
    assert label("speech", span) == "speech"
    assert label("image") == "picture"
    assert label("passage", span) == "passage"
    assert label("passage") == "caption"


def test_what_an_asset_has_none_of_is_silent() -> None:
    caption = Document.of(ASSET, "passage", "toy/text", None, "a boat")
    assert silent([caption]) == ()
    assert silent([caption, *shots(0, 1)]) == ("speech", "sound")
    assert silent([part("speech", 0, 1)]) == ("shots", "sound")
    assert silent([part("speech", 0, 1), part("window", 0, 1), part("shot", 0, 1)]) == ()


# ----------------------------------------------------------------------------------- laws

TIMES = st.integers(0, 12).map(lambda tenths: tenths / 2)
SCORES = st.integers(-4, 16).map(lambda quarters: quarters / 4)


@st.composite
def films(draw: st.DrawFn) -> tuple[list[Document], list[Gains]]:
    kinds: list[Kind] = ["shot", "speech", "window", "passage"]
    one = st.tuples(st.sampled_from(kinds), TIMES, TIMES)
    drawn = draw(st.lists(one, max_size=10, unique=True))
    documents = [part(kind, min(a, b), max(a, b)) for kind, a, b in drawn]
    documents = list({document.id: document for document in documents}.values())
    legs = [
        {
            document.id: draw(SCORES)
            for document in documents
            if draw(st.sampled_from([True, True, False]))
        }
        for _ in range(draw(st.integers(0, 3)))
    ]
    return documents, legs


def scored(documents: Sequence[Document], legs: Sequence[Gains]) -> list[Document]:
    """The documents that count."""
    said = {id_ for leg in legs for id_ in leg}
    return [one for one in documents if overlaps(one, EVER) and one.id in said]


def score_at(time: float, documents: Sequence[Document], legs: Sequence[Gains]) -> float | None:
    """The definition: the sum over the legs of the best document that covers a time."""
    here = [one for one in scored(documents, legs) if one.span.start <= time < one.span.end]  # type: ignore[union-attr]
    bests = [max((leg[one.id] for one in here if one.id in leg), default=None) for leg in legs]
    told = [best for best in bests if best is not None]
    return sum(told) if told else None


def seconds(moment: Moment) -> list[float]:
    """Times in each segment that a moment may be made of: borders lie on half seconds."""
    return [half / 2 for half in range(int(2 * moment.start), int(2 * moment.end))]


@given(films())
@example((shots(0, 1, 2), []))
def test_a_moment_is_a_run_of_at_least_a_share_of_its_peak(
    film: tuple[list[Document], list[Gains]],
) -> None:
    documents, legs = film
    for found in moments(documents, legs):
        values = [score_at(time, documents, legs) for time in seconds(found.moment)]
        assert None not in values
        peak = max(value for value in values if value is not None)
        assert found.moment.score == pytest.approx(peak)
        assert min(value for value in values if value is not None) >= min(peak * CUT, peak) - 1e-6


@given(films())
def test_moments_come_best_first_and_lie_apart_in_what_is_scored(
    film: tuple[list[Document], list[Gains]],
) -> None:
    documents, legs = film
    found = [one.moment for one in moments(documents, legs)]
    assert [(-one.score, one.start) for one in found] == sorted(
        (-one.score, one.start) for one in found
    )
    ordered = sorted(found, key=lambda one: one.start)
    assert all(one.start < one.end for one in ordered)
    assert all(one.end <= other.start for one, other in pairwise(ordered))


@given(films())
def test_the_best_second_lies_in_the_best_moment_and_what_stands_alone_in_one_of_its_own(
    film: tuple[list[Document], list[Gains]],
) -> None:
    documents, legs = film
    found = [one.moment for one in moments(documents, legs)]
    values = [(half / 2, score_at(half / 2, documents, legs)) for half in range(14)]
    for is_there, together in groupby(values, key=lambda one: one[1] is not None):
        island = list(together)
        if is_there:  # between two gaps
            inside = [one for one in found if island[0][0] <= one.start <= island[-1][0]]
            best = max(value for _, value in island if value is not None)
            assert inside[0].score == pytest.approx(best)
            assert any(
                value == best and inside[0].start <= time < inside[0].end for time, value in island
            )
    assert bool(found) == any(value is not None for _, value in values)


@given(films())
def test_evidence_is_the_best_of_its_kind_and_overlaps_the_moment(
    film: tuple[list[Document], list[Gains]],
) -> None:
    documents, legs = film
    by_id = {document.id: document for document in documents}
    for found in moments(documents, legs):
        moment = found.moment
        assert moment.evidence
        assert len({one.kind for one in moment.evidence}) == len(moment.evidence)
        for one in moment.evidence:
            assert overlaps(by_id[one.document], moment.span)
            assert one.span == by_id[one.document].span
            assert one.score == pytest.approx(sum(leg.get(one.document, 0.0) for leg in legs))
            rivals = [d for d in scored(documents, legs) if d.kind == one.kind]
            inside = [d for d in rivals if overlaps(d, moment.span)]
            best = max(sum(leg.get(d.id, 0.0) for leg in legs) for d in inside)
            assert one.score == pytest.approx(best)
        told = [id_ for id_ in found.telling if id_ is not None]
        assert all(overlaps(by_id[id_], moment.span) for id_ in told)
        gains = [leg[id_] for leg, id_ in zip(legs, found.telling, strict=True) if id_]
        assert moment.score == pytest.approx(sum(gains))


@given(films(), st.randoms(use_true_random=False))
def test_the_order_of_documents_does_not_matter(
    film: tuple[list[Document], list[Gains]], chance: random.Random
) -> None:
    documents, legs = film
    shuffled = chance.sample(documents, len(documents))
    mixed = [dict(chance.sample(list(leg.items()), len(leg))) for leg in legs]
    assert moments(shuffled, mixed) == moments(documents, legs)


@given(films(), TIMES, TIMES)
def test_a_document_without_a_score_changes_nothing(
    film: tuple[list[Document], list[Gains]], one: float, other: float
) -> None:
    documents, legs = film
    assume(one != other)
    more = part("shot", min(one, other), max(one, other), "that nobody scored")
    assert moments([*documents, more], legs) == moments(documents, legs)


@given(films(), st.sampled_from([0.25, 3.0, 1_000.0]))
def test_scaling_all_weights_keeps_the_moments(
    film: tuple[list[Document], list[Gains]], factor: float
) -> None:
    documents, legs = film
    scaled = [{id_: factor * score for id_, score in leg.items()} for leg in legs]
    before, after = moments(documents, legs), moments(documents, scaled)
    assert [one.moment.span for one in after] == [one.moment.span for one in before]
    assert [one.moment.score for one in after] == [factor * one.moment.score for one in before]


@given(films(), TIMES, TIMES)
def test_within_a_time_moments_are_those_of_the_clipped_documents(
    film: tuple[list[Document], list[Gains]], one: float, other: float
) -> None:
    documents, legs = film
    assume(one != other)
    during = Span(min(one, other), max(one, other))
    found = moments(documents, legs, during=during)
    clipped = {
        document.id: replace(
            document,
            span=Span(max(document.span.start, during.start), min(document.span.end, during.end)),
        )
        for document in documents
        if document.span is not None and document.kind in TIMED_KINDS
    }
    expected = moments(list(clipped.values()), legs)
    assert [(m.moment.span, m.moment.score) for m in found] == [
        (m.moment.span, m.moment.score) for m in expected
    ]
    for moment in (m.moment for m in found):
        assert during.start <= moment.start < moment.end <= during.end


@given(films(), st.integers(0, 4))
def test_a_limit_gives_the_first_ones(film: tuple[list[Document], list[Gains]], limit: int) -> None:
    documents, legs = film
    assert moments(documents, legs, limit=limit) == moments(documents, legs)[:limit]

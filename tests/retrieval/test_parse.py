"""The grammar of queries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import QueryError
from retrieval.query.fusion import Weights
from retrieval.query.parse import (
    QUOTED_WORDS_WEIGHT,
    DocumentRef,
    Part,
    Query,
    parse_query,
    spoken_query,
    weighted,
)


def weights_and_texts(words: str) -> list[tuple[float, object]]:
    return [(part.weight, part.content) for part in parse_query(words).parts]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("a dog on the beach", [(1, "a dog on the beach")]),
        ("  horse  ", [(1, "horse")]),
        ("horse + stripes", [(1, "horse"), (1, "stripes")]),
        ("apple - fruit", [(1, "apple"), (-1, "fruit")]),
        ("- fruit + apple", [(-1, "fruit"), (1, "apple")]),
        ("2:golden retriever + .5:night", [(2, "golden retriever"), (0.5, "night")]),
        ("a - 3.:b - c", [(1, "a"), (-3, "b"), (-1, "c")]),
        ('2:"New York - Brooklyn" + fog', [(2, "New York - Brooklyn"), (1, "fog")]),
        ('"2:night"', [(1, "2:night")]),
        ("well-known C++ t-shirt", [(1, "well-known C++ t-shirt")]),
        ("the 5 o'clock train, 12:30", [(1, "the 5 o'clock train, 12:30")]),
        ("12:30", [(1, "12:30")]),
        ("16:9 picture", [(1, "16:9 picture")]),
        ("re: your letter", [(1, "re: your letter")]),
        ('a 5" nail - a 3" nail', [(1, 'a 5" nail'), (-1, 'a 3" nail')]),
        ("夜 + 2:海滩\n- 狗", [(1, "夜"), (2, "海滩"), (-1, "狗")]),
    ],
)
def test_words_follow_the_grammar(words: str, parts: list[tuple[float, str]]) -> None:
    assert weights_and_texts(words) == parts


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ('""', "part of the query is empty"),
        ("2:", "part of the query is empty"),
        ("cat +", "Nothing follows the `+`"),
        ("cat + - dog", "Nothing follows the `+`"),
        ("-", "Nothing follows the `-`"),
        ("- dog", "only says what not to find"),
        ("- dog - cat", "only says what not to find"),
        ("1..5:cat", "`1..5` is no weight"),
        ("2x:cat", "`2x` is no weight"),
        ("-1:cat", "`-1` is no weight"),
        ("0:cat", "`0` is no weight"),
        ("nan:cat", "`nan` is no weight"),
        ("inf:cat", "`inf` is no weight"),
        ("1e999:cat", "`1e999` is no weight"),
    ],
)
def test_a_query_that_cannot_be_asked_says_why_and_what_to_do(words: str, message: str) -> None:
    with pytest.raises(QueryError, match=message.replace("+", r"\+")) as caught:
        parse_query(words)
    assert caught.value.advice


def test_further_parts_come_from_anywhere() -> None:
    query = parse_query(
        "night",
        add=[b"picture", DocumentRef("d1"), "2:rain + wind", Part(b"another", "image", 3.0)],
        subtract=["0.5:snow", b"third"],
    )
    assert query.parts == (
        Part("night"),
        Part(b"picture", "image"),
        Part(DocumentRef("d1"), None),
        Part("rain + wind", "text", 2.0),
        Part(b"another", "image", 3.0),
        Part("snow", "text", -0.5),
        Part(b"third", "image", -1.0),
    )
    shown = "night + (image) + document d1 + 2:rain + wind + 3:(image) - 0.5:snow - (image)"
    assert str(query) == shown


@pytest.mark.parametrize("weight", [0.0, float("nan"), float("inf"), -float("inf")])
def test_a_weight_must_be_a_finite_number_other_than_0(weight: float) -> None:
    with pytest.raises(QueryError, match="weight"):
        Query((Part("cat"), Part("dog", weight=weight)))


@pytest.mark.parametrize("part", [Part(" "), Part(b"", "image"), Part(DocumentRef(""), None)])
def test_an_empty_part_is_refused(part: Part) -> None:
    with pytest.raises(QueryError, match="empty"):
        Query((Part("cat"), part))


def test_no_query_at_all_is_refused() -> None:
    with pytest.raises(QueryError, match="empty"):
        parse_query()


PARTS = st.tuples(
    st.sampled_from([1.0, 2.0, 0.5, 1.25, -1.0, -3.0]),
    st.from_regex(r"[a-z一-三]+( [a-z一-三]+){0,2}", fullmatch=True).filter(
        lambda text: text.partition(":")[0] not in ("nan", "inf")
    ),
)


@given(st.lists(PARTS, min_size=1, max_size=5).filter(lambda ps: any(w > 0 for w, _ in ps)))
def test_what_a_query_shows_is_the_query(parts: list[tuple[float, str]]) -> None:
    query = Query(tuple(Part(text, "text", weight) for weight, text in parts))
    assert parse_query(str(query)) == query


@given(st.text())
def test_any_words_give_a_query_or_a_query_error(words: str) -> None:
    try:
        query = parse_query(words)
    except QueryError as error:
        assert error.advice  # noqa: PT017 (either outcome is right)
    else:
        assert all(str(part.content).strip() for part in query.parts)


def test_a_weight_is_split_off() -> None:
    assert weighted("0.5:./cat.jpg") == (0.5, "./cat.jpg")
    assert weighted("C:/cat.jpg") == (1.0, "C:/cat.jpg")


def test_more_parts_than_anybody_means_are_refused() -> None:
    assert len(parse_query(" + ".join(["dog"] * 64)).parts) == 64
    with pytest.raises(QueryError, match="65 parts; 64 is the most"):
        parse_query(" + ".join(["dog"] * 65))


def test_who_asks_for_what_was_said_gets_no_signs_and_speech_alone() -> None:
    query = spoken_query("2:ten - nine")
    assert query.parts == (Part("2:ten - nine"),)
    assert query.kinds == {"speech"}
    assert query.weights == Weights(words=QUOTED_WORDS_WEIGHT)

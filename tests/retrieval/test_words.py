"""The terms of word search: what folds, what splits, what a query asks for."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.words import STOP_WORDS, index_terms, query_terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Two dogs, 3 cats", ["two", "dogs", "3", "cats"]),
        ("a well-known IMG_0042.jpg", ["a", "well", "known", "img", "0042", "jpg"]),
        (
            "Café CRÈME Tromsø Łódź Straße İzmir",
            ["cafe", "creme", "tromso", "lodz", "strasse", "izmir"],
        ),
        ("ＦＵＬＬ　ｗｉｄｔｈ ﬁne", ["full", "width", "fine"]),
        ("the dog's bone, the dogs’ bones", ["the", "dog", "bone", "the", "dogs", "bones"]),
        ("l’été", ["l", "ete"]),
        ("co\u00adoperate", ["cooperate"]),
        ("小狗", ["小", "狗", "小狗"]),
        ("iPhone手机", ["iphone", "手", "机", "手机"]),
        ("小,狗", ["小", "狗"]),
        ("がか", ["が", "か", "がか"]),
        ("ｶﾞ", ["ガ"]),
        ("강아지", ["강", "아", "지", "강아", "아지"]),
        ("हिन्दी", ["हिन्दी"]),
        ("مُحَمَّد", ["محمد"]),
        ("Ёлка", ["елка"]),
        ("ΆΝΕΜΟΣ", ["ανεμοσ"]),
        ("", []),
        ("!? — 🐶❤️ _", []),
    ],
)
def test_a_text_is_found_by_these_terms(text: str, terms: list[str]) -> None:
    assert index_terms(text) == terms


@pytest.mark.parametrize(
    ("words", "terms"),
    [
        ("the dogs on the beach", ["dogs", "beach"]),
        ("to be or to be", ["to", "be", "or"]),
        ("dog Dog DOG", ["dog"]),
        ("小狗", ["小狗"]),
        ("海", ["海"]),
        ("一只小狗", ["一只", "只小", "小狗"]),
        ("a dog 在海滩", ["dog", "在海", "海滩"]),
        ("the dog's", ["dog"]),
        ("...", []),
        ("\udcff", []),
    ],
)
def test_a_query_asks_for_these_terms(words: str, terms: list[str]) -> None:
    assert query_terms(words) == terms


@given(st.text())
def test_every_text_is_found_by_its_own_words(text: str) -> None:
    assert set(query_terms(text)) <= set(index_terms(text))
    assert bool(query_terms(text)) == bool(index_terms(text))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_how_a_text_is_composed_and_cased_changes_no_term(text: str) -> None:
    terms = index_terms(text)
    for form in ("NFC", "NFD", "NFKC"):
        assert index_terms(unicodedata.normalize(form, text)) == terms
    assert index_terms(text.casefold()) == terms


@given(st.text())
def test_a_term_is_a_word_to_every_store(text: str) -> None:
    """Terms joined by spaces come apart at the spaces only, and hold nothing to fold."""
    for term in index_terms(text):
        assert term.split() == [term]
        assert all(c.isalnum() for c in term if c.isascii())
        assert term == term.casefold()
        assert '"' not in term


def test_stop_words_are_terms() -> None:
    assert all(index_terms(word) == [word] for word in STOP_WORDS)

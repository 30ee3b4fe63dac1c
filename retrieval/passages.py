"""Cutting a text into passages that an encoder reads whole, and what it leaves unread of one.

Gets: a text and the room in tokens. Gives: half-open spans of code points. Touches: nothing: pure.
Never: files, encodings, encoders.

A text is cut where it hurts least: between paragraphs; where one is too long between sentences;
then between lines, at commas, between words; within a word only as the last resort. Neighbouring
pieces of one level share a passage as long as they fit. Passages are in order, don't overlap, and
every character that isn't white space lies in exactly one.

Tokens are estimated, since the cut must not depend on an encoder's tokenizer: a character of a
script written without spaces counts as one token, any other as a quarter.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator

PASSAGES_VERSION = 1  # part of every recipe that cuts through here; raise it when cuts change

_SMALLEST = 4  # tokens; less room than that would only make confetti
_UNKNOWN = 128  # tokens, for an encoder that doesn't say how much it reads
_ENDS = 2  # start and end, which encoders add

# Kana, Han, Hangul, Thai and their like, full-width forms, emoji.
_DENSE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff"
    "\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
    "\U0001f000-\U0003ffff]"
)
_SENTENCE_END = re.compile(
    r"""(?x)
      (?<![.!?…]) [.!?…]++ ["'”’»)\]]*+ (?=\s)   # needs white space behind: 3.14, example.org
    | (?:[。！？｡]|……)+ [”’」』）】》]*     # needs none
    """
)
# A full stop after one of these, or after an initial, ends no sentence.
_ABBREVIATED = re.compile(
    r"(?i)(?:^|[\s(\"'“‘])(?:mr|mrs|ms|dr|prof|st|sr|jr|vs|etc|fig|no|vol|pp|ca|cf|al|inc|ltd|co"
    r"|z\.b|d\.h|u\.a|usw|bzw|nr|e\.g|i\.e|\w)\.$"
)
_BETWEEN = (
    re.compile(r"\n[^\S\n]*\n|\f"),  # paragraphs, pages
    _SENTENCE_END,
    re.compile(r"\n"),
    re.compile(r"[;:,](?=\s)|[，；：、]"),
    re.compile(r"\s"),
)

Cut = tuple[int, int]


def tokens(text: str) -> float:
    """An estimate of how many tokens an encoder makes of a text."""
    dense = 0 if text.isascii() else len(_DENSE.findall(text))
    return dense + (len(text) - dense) / 4


def room_of(text_tokens: int | None) -> int:
    """The tokens that a passage may have, for an encoder that reads so many; None: not known."""
    return (text_tokens or _UNKNOWN) - _ENDS


def passages(text: str, room: int) -> Iterator[Cut]:
    """The spans ``[start, end)`` of a text's passages, each of at most `room` estimated tokens.

    A passage neither starts nor ends with white space. A text of white space has none.
    """
    whole = _trimmed(text, 0, len(text))
    if whole is not None:
        yield from _packed(text, whole, max(room, _SMALLEST), 0)


def unread(text: str, fits: Callable[[str], bool]) -> str:
    """The end of a text behind its longest beginning that `fits`; "" when all of it does."""
    if fits(text):
        return ""
    ends = range(len(text))
    return text[bisect_left(ends, True, key=lambda end: not fits(text[:end])) - 1 :]


def _packed(text: str, span: Cut, room: int, level: int) -> Iterator[Cut]:
    """Pieces of `span` that fit, as large as the cuts of this level and the finer ones allow."""
    if _fits(text, span, room):
        yield span
        return
    open_: Cut | None = None
    for piece in _pieces(text, span, room, level):
        joined = piece if open_ is None else (open_[0], piece[1])
        if _fits(text, joined, room):
            open_ = joined
            continue
        if open_ is not None:
            yield open_
        *full, open_ = _packed(text, piece, room, level + 1)
        yield from full
    if open_ is not None:
        yield open_


def _pieces(text: str, span: Cut, room: int, level: int) -> Iterator[Cut]:
    """`span` cut at every place of one level, white space trimmed off."""
    start, end = span
    if level < len(_BETWEEN):
        cuts: Iterator[int] = (match.end() for match in _BETWEEN[level].finditer(text, start, end))
        if _BETWEEN[level] is _SENTENCE_END:
            cuts = (cut for cut in cuts if _ends_sentence(text, cut))
    else:
        # A quarter of the room: always fits, and few pieces have to be tried.
        cuts = iter(range(start + max(1, room // 4), end, max(1, room // 4)))
    for cut in cuts:
        if (piece := _trimmed(text, start, cut)) is not None:
            yield piece
        start = cut
    if (piece := _trimmed(text, start, end)) is not None:
        yield piece


def _ends_sentence(text: str, cut: int) -> bool:
    if text[cut - 1] == "." and _ABBREVIATED.search(text, max(0, cut - 8), cut):
        return False
    rest = text[cut : cut + 8].lstrip()
    return not rest[:1].islower()


def _fits(text: str, span: Cut, room: int) -> bool:
    start, end = span
    # Beyond 4 characters a token nothing fits, and long texts needn't be counted for that.
    return end - start <= 4 * room and tokens(text[start:end]) <= room


def _trimmed(text: str, start: int, end: int) -> Cut | None:
    inner = text[start:end]
    left = len(inner) - len(inner.lstrip())
    right = len(inner.rstrip())
    return (start + left, start + right) if left < right else None

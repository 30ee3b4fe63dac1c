r"""Bytes of a text in whatever encoding become a string.

Gets: bytes. Gives: text with ``\\n`` line ends. Touches: charset-normalizer, where UTF-8 fails.
Never: files, names, markup.

The order of trust: a byte order mark; UTF-8, which other encodings hardly ever resemble; what the
text declares about itself; a guess among the encodings in wide use. Chinese is told by where the
tables of GB18030 and Big5 keep their common characters, since a caption of five characters is too
short for statistics.
"""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

from .errors import BadInputError
from .schema import SkipReason

ENCODINGS_VERSION = 1  # part of every recipe that decodes through here

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GUESSES = ["gb18030", "big5", "shift_jis", "euc_kr", "cp1252", "cp1251"]
_SAMPLE = 1 << 18  # bytes that a guess looks at
_CONTROLS = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")
_MOST_CONTROLS = 0.01  # of the bytes, in a text that isn't UTF-8
_COMMON = 0.8  # of the characters, in a text that is taken for Chinese
_LETTERS = re.compile(rb"[A-Za-z]")
_HIGH = re.compile(rb"[\x80-\xff]")
_HIGH_RUN = re.compile(rb"[\x80-\xff]{3}")
_PAIRS = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")


def decode_text(data: bytes, declared: str | None = None) -> str:
    r"""The text of `data`, without byte order mark, its line ends made ``\\n``.

    `declared` is an encoding that the text names itself; it is believed when nothing better is
    known and it fits.

    Raises:
        BadInputError: corrupt, when it is binary or in no encoding that can be recognised.
    """
    text = _decoded(data, declared)
    if "\0" in text:
        raise BadInputError(SkipReason.CORRUPT, "is binary, not text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(data: bytes, declared: str | None) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            with suppress(UnicodeDecodeError):
                return data[len(mark) :].decode(encoding)
    with suppress(UnicodeDecodeError):
        return data.decode("utf-8")
    if b"\0" in data or len(_CONTROLS.findall(data)) > _MOST_CONTROLS * len(data):
        raise BadInputError(SkipReason.CORRUPT, "is binary, not text")
    for name in (declared, _guess(data)):
        with suppress(UnicodeDecodeError, LookupError):
            if name:
                return data.decode(name)
    raise BadInputError(SkipReason.CORRUPT, "is in no text encoding that can be recognised")


def _guess(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    sample = data
    if len(data) > _SAMPLE:
        # Ended after a line, since no encoding of the list has a newline within a character.
        sample = data[: data.rfind(b"\n", 0, _SAMPLE) + 1] or data
    known = _chinese(sample) or _western(sample)
    if known is not None:
        return known
    best = from_bytes(sample, cp_isolation=_GUESSES).best()
    return None if best is None else best.encoding


def _chinese(sample: bytes) -> str | None:
    """GB18030 or Big5, when nearly every character would be one of its common ones."""
    # Both keep their punctuation at 0xA1 to 0xA3.
    pairs = [pair for pair in _PAIRS.findall(sample) if not 0xA1 <= pair[0] <= 0xA3]
    gb = sum(0xB0 <= pair[0] <= 0xD7 and pair[1] >= 0xA1 for pair in pairs)
    big5 = sum(0xA4 <= pair[0] <= 0xC6 and not 0x7F <= pair[1] <= 0xA0 for pair in pairs)
    if not pairs or max(gb, big5) < _COMMON * len(pairs):
        return None
    if big5 > gb:
        return "big5"
    # Korean lies in the first half of the same range.
    korean = len(pairs) >= 6 and max(pair[0] for pair in pairs) <= 0xC8
    return None if korean else "gb18030"


def _western(sample: bytes) -> str | None:
    """Windows-1252, when accented letters stand singly among many plain ones."""
    accented = len(_HIGH.findall(sample))
    plain = len(_LETTERS.findall(sample))
    return "cp1252" if plain > 2 * accented and not _HIGH_RUN.search(sample) else None

"""What every document store takes: ids, field values, and what filters compare them with.

Gets: values of callers. Gives: them, as they are kept. Touches: nothing: pure. Never: a store.

A field's value is text, a truth value or a finite number. Whole numbers are kept exactly up to 64
bits and become floats beyond, so that every store orders and compares the same numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Literal

from .errors import FilterError
from .schema import Document, FieldValue, Sighting, printable

INT64 = range(-(2**63), 2**63)

_HEX = re.compile("(?:[0-9a-f]{2})+")


def is_id(text: str) -> bool:
    """Whether this can be the id of a document or an asset: whole bytes in lower-case hex."""
    return _HEX.fullmatch(text) is not None


def kept_value(value: FieldValue) -> FieldValue:
    """`value` as stores keep it: an integer beyond 64 bits becomes a float.

    Raises:
        ValueError: a number that isn't finite.
    """
    if isinstance(value, str) or (isinstance(value, int) and value in INT64):
        return value
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"a field's value must be finite, not {number}")
    return number


def check_documents(documents: Iterable[Document]) -> None:
    """Refuse documents that can't be kept.

    Raises:
        ValueError: an id or asset that isn't hex, or text that isn't valid Unicode.
    """
    for document in documents:
        for id_ in (document.id, document.asset):
            if not is_id(id_):
                raise ValueError(f"ids are in hex, not like {id_!r}")
        if not is_unicode(document.text or ""):
            raise ValueError(f"the text of document {document.id} isn't valid Unicode")


def check_sightings(sightings: Iterable[Sighting]) -> None:
    """Refuse sightings that can't be kept.

    Raises:
        ValueError: an asset that isn't hex, a number that isn't finite, or text that isn't valid
            Unicode.
    """
    for sighting in sightings:
        if not is_id(sighting.asset):
            raise ValueError(f"ids are in hex, not like {sighting.asset!r}")
        values = [kept_value(value) for value in sighting.fields.values()]
        for text in (sighting.uri, *sighting.captions, *sighting.fields, *values):
            if isinstance(text, str) and not is_unicode(text):
                raise ValueError(f"{printable(text)!r} isn't valid Unicode")


def comparable(op: str, value: FieldValue) -> Literal["boolean", "number", "text"]:
    """The type of values that a comparison is about.

    Raises:
        FilterError: truth values are to be ordered.
    """
    if isinstance(value, bool):
        if op not in ("=", "!="):
            raise FilterError(f"True and false have no order: `{op}` can't compare them.")
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def check_unicode(text: str) -> None:
    """Refuse text that no store can ask for.

    Raises:
        FilterError: it isn't valid Unicode.
    """
    if not is_unicode(text):
        raise FilterError(f"`{printable(text)}` in the filter isn't valid Unicode.")


def is_unicode(text: str) -> bool:
    """Whether `text` is free of lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

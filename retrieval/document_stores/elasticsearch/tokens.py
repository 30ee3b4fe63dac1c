"""A sighting's fields as terms of one keyword field, in an order that is that of their values.

Gets: names and values. Gives: terms. Touches: nothing: pure. Never: a server.

Each value gives two terms: one that says that the field has a value of that type, and one that is
the value. Both begin with a digest of the field's name, so that no name is dangerous and names
don't mix; then comes the type's letter, so that values of different types never meet:

    <16 hex digits of the name> ! n                     a number is there
    <16 hex digits of the name> n bff8000000000000800   1.5
    <16 hex digits of the name> b 1                     true
    <16 hex digits of the name> t beach                 text

A number is the IEEE double nearest to it, with its bits turned so that they sort, and what a whole
number beyond 2^53 is off that double. Text sorts by code points, which UTF-8 does by itself. A text
longer than a term may be is cut, and a digest of all of it added: it is still found by ``=``.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from ...schema import FieldValue
from ...values import kept_value

VALUES = "sightings.f"  # the field, in documents

MOST_BYTES = 32_000  # of a text in a term, of 32,766
_LETTERS: Mapping[Literal["boolean", "number", "text"], str] = {
    "boolean": "b",
    "number": "n",
    "text": "t",
}
_SIGN = 1 << 63
_OFFSET = 0x800  # a double below 2^63 is at most 512 off the whole number that it stands for


def tokens(fields: Mapping[str, FieldValue]) -> list[str]:
    """The terms of a sighting, sorted."""
    found = []
    for name, value in fields.items():
        found += [presence(name, type_of(value)), token(name, value)]
    return sorted(found)


def presence(name: str, type_: Literal["boolean", "number", "text"]) -> str:
    """The term of every sighting whose field has a value of that type."""
    return f"{_digest_of_name(name)}!{_LETTERS[type_]}"


def token(name: str, value: FieldValue) -> str:
    """The term of a value."""
    return beginning(name, type_of(value)) + _sortable(value)


def beginning(name: str, type_: Literal["boolean", "number", "text"]) -> str:
    """What the terms of all values of a type begin with; a letter more sorts after them all."""
    return _digest_of_name(name) + _LETTERS[type_]


def after(beginning_: str) -> str:
    """The least text that sorts after all that begins so."""
    return beginning_[:-1] + chr(ord(beginning_[-1]) + 1)


def type_of(value: FieldValue) -> Literal["boolean", "number", "text"]:
    """The type of a value, as values are compared."""
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def cut(text: str) -> str:
    """`text` as a term may be."""
    encoded = text.encode()
    if len(encoded) <= MOST_BYTES:
        return text
    digest = hashlib.blake2b(encoded, digest_size=16).hexdigest()
    return encoded[:MOST_BYTES].decode("utf-8", "ignore") + digest


@lru_cache(maxsize=4_096)
def _digest_of_name(name: str) -> str:
    return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()


def _sortable(value: FieldValue) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        return cut(value)
    number = kept_value(value)
    double = float(number)
    off = number - int(double) if isinstance(number, int) else 0
    (bits,) = struct.unpack(">Q", struct.pack(">d", double + 0.0))  # -0.0 becomes 0.0
    turned = bits ^ (2 * _SIGN - 1) if bits & _SIGN else bits | _SIGN
    return f"{turned:016x}{off + _OFFSET:03x}"

"""What a filter means, in the plainest words: the model that every compiler of filters is held to.

`satisfies` is the meaning for one sighting's fields, `admits` for an asset's sightings; `filters`
and `field_maps` draw trees and fields that meet each other often.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping

from hypothesis import strategies as st

from retrieval.schema import And, Compare, Exists, FieldValue, Filter, Like, Not, Or

OPERATORS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def admits(sightings: Iterable[Mapping[str, FieldValue]], where: Filter | None) -> bool:
    """Whether one of an asset's sightings satisfies the filter whole."""
    return any(where is None or satisfies(fields, where) for fields in sightings)


def satisfies(fields: Mapping[str, FieldValue], where: Filter) -> bool:
    """Whether a sighting with these fields satisfies the filter."""
    match where:
        case And(terms):
            return all(satisfies(fields, term) for term in terms)
        case Or(terms):
            return any(satisfies(fields, term) for term in terms)
        case Not(term):
            return not satisfies(fields, term)
        case Exists(name):
            return name in fields
        case Compare(name, op, value):
            return (
                name in fields
                and sort_of(fields[name]) == sort_of(value)
                and bool(OPERATORS[op](fields[name], value))
            )
        case Like(name, pattern):
            value = fields.get(name)
            return isinstance(value, str) and is_like(value, pattern)


def sort_of(value: FieldValue) -> str:
    """Values of two sorts never compare: 1, true and "1" are three different things."""
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def is_like(text: str, pattern: str) -> bool:
    """SQL's LIKE: ``%`` any run, ``_`` any one character; only ASCII letters fold."""
    wanted = {"%": ".*", "_": "."}
    expression = "".join(wanted.get(c, re.escape(ascii_lower(c))) for c in pattern)
    return re.fullmatch(expression, ascii_lower(text), re.DOTALL) is not None


def ascii_lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


# Few names, and awkward ones; few values, so that comparisons often meet.
NAMES = st.sampled_from(["year", "名称", 'a"b', "a.b", "$", "'; DROP TABLE documents; --", ""])
TEXTS = st.one_of(
    st.sampled_from(
        ["", "a", "A", "é", "É", "小狗", "2020-01-01", "1", "\U0001f600", "￿", "a%b_c"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4),
)
NUMBERS = st.one_of(
    st.integers(-2, 2),
    st.sampled_from([0.0, -0.0, 0.5, 1.0, 2.0, 2**53, 2**53 + 1, -(2**63), 1e300, 5e-324]),
    st.floats(allow_nan=False, allow_infinity=False),
)
VALUES = st.one_of(TEXTS, NUMBERS, st.booleans())
PATTERNS = st.one_of(
    st.text(st.sampled_from("%_aAéÉ小狗\\[]*?"), max_size=5),
    TEXTS.map(lambda text: text[:1] + "%"),
)


def field_maps() -> st.SearchStrategy[dict[str, FieldValue]]:
    """Fields of a sighting."""
    return st.dictionaries(NAMES, VALUES, max_size=4)


def filters() -> st.SearchStrategy[Filter]:
    """Filter trees of every kind of node."""
    ordered = st.builds(Compare, NAMES, st.sampled_from(list(OPERATORS)), st.one_of(TEXTS, NUMBERS))
    truth = st.builds(Compare, NAMES, st.sampled_from(["=", "!="]), st.booleans())
    leaves = st.one_of(ordered, truth, st.builds(Like, NAMES, PATTERNS), st.builds(Exists, NAMES))
    return st.recursive(leaves, _combined, max_leaves=8)


def _combined(terms: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(terms, max_size=3).map(tuple)
    return st.one_of(st.builds(And, several), st.builds(Or, several), st.builds(Not, terms))

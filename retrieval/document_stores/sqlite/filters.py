"""The filter tree as an SQL condition on sightings.

Gets: a filter. Gives: SQL text with its parameters. Touches: nothing: pure. Never: puts a name or
a value of the user into the text; they are parameters, so no field name can be dangerous.

Every leaf asks whether a row is there, so no condition is ever NULL and NOT means "doesn't hold":
an absent field has no row. A field's values of different types lie under different numbers of
``fields``, so a comparison with a value of another type finds no row either, and is false.
"""
# ruff: noqa: S608 (SQL is put together from constants; what a user gives is a parameter)

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, Literal

from ...errors import FilterError
from ...schema import And, Compare, Exists, FieldValue, Filter, Like, Not, Or
from ...values import check_unicode, comparable, kept_value

# Whether the leaf is asked of one sighting at a time (few documents are checked) or gives the
# set of all its sightings, through the index on values (all documents are).
Direction = Literal["of_each", "of_all"]

_LEAF = {
    "of_each": "EXISTS (SELECT 1 FROM field_values v WHERE v.sighting = s.number AND {})",
    "of_all": "s.number IN (SELECT v.sighting FROM field_values v WHERE {})",
}
_NUMBERS = "v.field IN (SELECT number FROM fields WHERE name = ?{})"
_OF_TYPE = {
    "boolean": " AND type = 'boolean'",
    "number": " AND type = 'number'",
    "text": " AND type IN ('text', 'date')",
}
_OPERATORS = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

MAX_COMPARISONS = 2_000
MAX_PATTERN_BYTES = 50_000  # what LIKE takes


@dataclass(frozen=True, slots=True)
class Condition:
    """An SQL condition and the parameters of its question marks, in order.

    Attributes:
        height: places on the stack of SQLite's parser that its parentheses and NOTs take.
    """

    sql: str
    parameters: tuple[Any, ...] = ()
    height: int = 0


def admitted(where: Filter | None, direction: Direction) -> Condition:
    """The condition that a document ``d`` has a sighting that satisfies `where` whole.

    Raises:
        FilterError: too many comparisons, too long a pattern, booleans compared by order, or
            text that isn't valid Unicode.
    """
    of_sighting = compile_filter(where, direction)
    if direction == "of_each" or where is None:
        sql = f"EXISTS (SELECT 1 FROM sightings s WHERE s.asset = d.asset AND {of_sighting.sql})"
    else:
        sql = f"d.asset IN (SELECT s.asset FROM sightings s WHERE {of_sighting.sql})"
    return Condition(sql, of_sighting.parameters)


def compile_filter(where: Filter | None, direction: Direction) -> Condition:
    """The condition that a sighting ``s`` satisfies `where`; see `admitted`."""
    condition = Condition("1") if where is None else _compile(where, direction)
    if condition.sql.count("FROM fields") > MAX_COMPARISONS:
        raise FilterError(
            f"The filter has more than {MAX_COMPARISONS} comparisons.",
            advice="Ask in several searches.",
        )
    return condition


def _compile(where: Filter, direction: Direction) -> Condition:
    match where:
        case And(terms):
            return _joined([_compile(term, direction) for term in terms], "AND", empty="1")
        case Or(terms):
            return _joined([_compile(term, direction) for term in terms], "OR", empty="0")
        case Not(term):
            inner = _compile(term, direction)
            return Condition(f"NOT {inner.sql}", inner.parameters, inner.height + 1)
        case Compare(name, op, value):
            of_type = _OF_TYPE[comparable(op, value)]
            return _leaf(direction, name, of_type, f" AND v.value {_OPERATORS[op]} ?", value)
        case Like(name, pattern):
            if len(pattern.encode("utf-8", "replace")) > MAX_PATTERN_BYTES:
                raise FilterError(f"A LIKE pattern is longer than {MAX_PATTERN_BYTES} bytes.")
            return _leaf(direction, name, _OF_TYPE["text"], " AND v.value LIKE ?", pattern)
        case Exists(name):
            return _leaf(direction, name, "", "", None)


def _leaf(
    direction: Direction, name: str, of_type: str, test: str, value: FieldValue | None
) -> Condition:
    sql = _LEAF[direction].format(_NUMBERS.format(of_type) + test)
    parameters = (name,) if value is None else (name, kept_value(value))
    for text in parameters:
        if isinstance(text, str):
            check_unicode(text)
    return Condition(sql, parameters)


def _joined(terms: list[Condition], operator: str, *, empty: str) -> Condition:
    """The terms in a tree that is as low as may be: SQLite limits how deep an expression goes.

    Its parser's stack has 100 places in most builds. It keeps the ``(`` before a left side, and the
    ``(``, the left side and the operator before a right one; so the two lowest are joined first,
    the higher of them on the left. What `MAX_FILTER_DEPTH` allows stays below 40, and 55 fit.
    """
    if not terms:
        return Condition(empty)
    heap = [(term.height, place, term) for place, term in enumerate(terms)]
    heapify(heap)
    place = len(heap)
    while len(heap) > 1:
        (*_, low), (*_, high) = heappop(heap), heappop(heap)
        height = max(high.height + 1, low.height + 3)
        sql = f"({high.sql} {operator} {low.sql})"
        joined = Condition(sql, high.parameters + low.parameters, height)
        heappush(heap, (height, place, joined))
        place += 1
    return heap[0][-1]

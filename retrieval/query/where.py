"""The ``where`` that a person writes, and what a filter means for one sighting.

Gets: text, and the collection's field types; a filter, and fields. Gives: a filter tree; yes or no.
Touches: nothing: pure. Never: passes a person's text on to a store.

A ``where`` is an SQL expression. sqlglot parses it; the nodes named below are turned into the small
tree of `retrieval.schema`, and every other one is refused. sqlglot takes half a second to import,
so only a search with a ``where`` does.

A date that is cut short names an interval, as people mean it: ``= '2024-05'`` is any time in that
May, ``> '2024'`` is after that year. It is rewritten here into comparisons with the interval's
ends, so that every store goes on comparing text.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from retrieval.errors import FilterError
from retrieval.schema import (
    MAX_FILTER_DEPTH,
    And,
    Compare,
    Exists,
    FieldType,
    FieldValue,
    Filter,
    Like,
    Not,
    Or,
    printable,
)

_EXAMPLE = "Write it like: year >= 2020 AND (camera LIKE 'Canon%' OR taken < '2019-06')."
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(.*))?)?)?)?)?", re.ASCII
)
_END_OF_TIME = "9999-12-31T24"  # after every date that can be written
_OPERATORS = {"eq": "=", "neq": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def parse_where(text: str, fields: Mapping[str, FieldType]) -> Filter:
    """Parse an SQL WHERE expression.

    Taken: ``AND OR NOT ( ) = != <> < <= > >= IN LIKE BETWEEN IS [NOT] NULL TRUE FALSE``, numbers,
    strings, ``DATE '2020-05-01'``. A date may be cut short, and is then all that it names:
    ``'2020-05'`` is that month.

    Args:
        text: the expression; field names may be in double quotes.
        fields: name and type of every known field.

    Raises:
        FilterError: it doesn't parse, uses anything else, names an unknown field, or compares a
            field with a value of another type.
    """
    from sqlglot import parse
    from sqlglot.errors import SqlglotError

    if not text.strip():
        raise FilterError("The filter is empty.", advice=_EXAMPLE)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise FilterError(f"The filter `{printable(text)}` isn't valid UTF-8.", advice=_EXAMPLE)
    try:
        statements = parse(text)
        if len(statements) != 1 or statements[0] is None:
            raise FilterError("The filter is more than one expression.", advice=_EXAMPLE)
        return _Reader({"modality": "text", **fields}).tree(statements[0])
    except SqlglotError as error:
        details = getattr(error, "errors", None)
        near = details[0].get("highlight") if details else None
        where = f" near `{near}`" if near else ""
        raise FilterError(f"The filter `{text}` doesn't parse{where}.", advice=_EXAMPLE) from error
    except RecursionError as error:
        raise FilterError("The filter is nested too deeply.", advice=_EXAMPLE) from error


class _Reader:
    """sqlglot's nodes into ours, for a collection's fields. Nodes are told by their `key`."""

    def __init__(self, fields: Mapping[str, FieldType]) -> None:
        self._fields = fields
        self._readers: Mapping[str, tuple[Callable[[Any], Filter], set[str]]] = {
            "paren": (lambda node: self.tree(node.this), {"this"}),
            "and": (lambda node: And(self._terms(node)), {"this", "expression"}),
            "or": (lambda node: Or(self._terms(node)), {"this", "expression"}),
            "not": (lambda node: _negated(self.tree(node.this)), {"this"}),
            "in": (self._in, {"this", "expressions"}),
            "between": (self._between, {"this", "low", "high"}),
            "like": (self._like, {"this", "expression"}),
            "is": (self._is_null, {"this", "expression"}),
            **{key: (self._compare, {"this", "expression"}) for key in _OPERATORS},
        }

    def tree(self, node: Any) -> Filter:
        reader, arguments = self._readers.get(node.key, (None, set()))
        given = {name for name, value in node.args.items() if value}
        # sqlglot says NOT LIKE by an argument of the node, since version 28 or so.
        if reader is None or given - arguments - {"negate"}:
            raise _refused(node)
        found = reader(node)
        return _negated(found) if "negate" in given else found

    def _terms(self, node: Any) -> tuple[Filter, ...]:
        return tuple(self.tree(term) for term in node.flatten())

    def _compare(self, node: Any) -> Filter:
        op: Any = _OPERATORS[node.key]
        left, right = node.this, node.expression
        if left.key != "column" and right.key == "column":
            left, right, op = right, left, _FLIPPED.get(op, op)
        name = self._field(left)
        value = self._value(name, right)
        if isinstance(value, bool) and op not in ("=", "!="):
            raise FilterError(
                f"`{name}` is true or false and has no order (`{node.sql()}`).",
                advice=f"Write `{name} = TRUE`.",
            )
        return self._comparison(name, op, value)

    def _comparison(self, name: str, op: Any, value: FieldValue) -> Filter:
        if self._fields[name] != "date":
            return Compare(name, op, value)
        start, end = _interval(str(value))
        if end is None:
            return Compare(name, op, start)
        below, inside = Compare(name, "<", start), Compare(name, ">=", start)
        up_to, above = Compare(name, "<", end), Compare(name, ">=", end)
        meant: Mapping[str, Filter] = {
            "=": And((inside, up_to)),
            "!=": Or((below, above)),
            "<": below,
            "<=": up_to,
            ">": above,
            ">=": inside,
        }
        return meant[op]

    def _in(self, node: Any) -> Filter:
        name = self._field(node.this)
        return Or(
            tuple(self._comparison(name, "=", self._value(name, item)) for item in node.expressions)
        )

    def _between(self, node: Any) -> Filter:
        name = self._field(node.this)
        if self._fields[name] == "boolean":
            raise _refused(node)
        low, high = (self._value(name, node.args[end]) for end in ("low", "high"))
        return And((self._comparison(name, ">=", low), self._comparison(name, "<=", high)))

    def _like(self, node: Any) -> Filter:
        name, pattern = self._field(node.this), node.expression
        if self._fields[name] not in ("text", "date") or not _is_string(pattern):
            raise FilterError(
                f"LIKE compares text with a pattern in quotes, which `{node.sql()}` doesn't.",
                advice="Write it like: camera LIKE 'Canon%'.",
            )
        return Like(name, pattern.this)

    def _is_null(self, node: Any) -> Filter:
        if node.expression.key != "null":
            raise _refused(node)
        return Not(Exists(self._field(node.this)))

    def _field(self, node: Any) -> str:
        if node.key != "column":
            raise _refused(node)
        name = ".".join(part.name for part in node.parts)
        if name in self._fields:
            return name
        folded = {known.casefold(): known for known in self._fields}
        near = difflib.get_close_matches(name.casefold(), folded, n=1)
        hint = f"Did you mean `{folded[near[0]]}`? " if near else ""
        raise FilterError(
            f"No field is called `{name}`.",
            advice=f"{hint}Known: {', '.join(sorted(self._fields))}.",
        )

    def _value(self, name: str, node: Any) -> FieldValue:
        wanted, value = self._fields[name], _literal(node)
        is_type = {
            "boolean": isinstance(value, bool),
            "number": isinstance(value, float),
            "text": isinstance(value, str),
            "date": isinstance(value, str) and _DATE.fullmatch(value) is not None,
        }
        if is_type[wanted]:
            return value
        example = {"boolean": "TRUE", "number": "2020", "text": "'words'", "date": "'2020-05'"}
        raise FilterError(
            f"`{name}` holds {_PLURAL[wanted]} and can't be compared with `{node.sql()}`.",
            advice=f"Write it like: {name} = {example[wanted]}.",
        )


_PLURAL = {"boolean": "true or false", "number": "numbers", "text": "text", "date": "dates"}


def _interval(date: str) -> tuple[str, str | None]:
    """``[start, end)`` of a date cut short; no end where it is an instant, with more than seconds.

    Both are as short as can be, since a file's date may lack its time: in text, ``2024-05-06`` is
    less than ``2024-05-06T00``.
    """
    found = _DATE.fullmatch(date)
    assert found is not None
    given = [int(part) for part in found.groups()[:6] if part is not None]
    start = date.replace(" ", "T", 1)
    try:
        first = datetime(*[*given, *(1, 1, 0, 0, 0)[len(given) - 1 :]])  # type: ignore[arg-type]
    except ValueError as error:
        raise FilterError(
            f"There is no date `{date}` ({error}).", advice="Write it like: taken >= '2024-05'."
        ) from error
    if found[7]:
        return start, None
    try:
        return start, _shortest(_next(first, len(given)))
    except (OverflowError, ValueError):
        return start, _END_OF_TIME


def _next(moment: datetime, parts: int) -> datetime:
    """The start of the next year (1 part), month (2), day, hour, minute or second (6)."""
    if parts == 1:
        return moment.replace(year=moment.year + 1)
    if parts == 2:
        return (moment + timedelta(days=31)).replace(day=1)
    return moment + timedelta(**{("days", "hours", "minutes", "seconds")[parts - 3]: 1})


def _shortest(moment: datetime) -> str:
    """ISO 8601 without the zeros that a time ends in."""
    text = moment.isoformat()
    for zeros in (":00", ":00", "T00"):
        text = text.removesuffix(zeros)
    return text


def _literal(node: Any) -> FieldValue:
    if node.key == "boolean":
        return bool(node.this)
    if node.key == "neg":
        number = _literal(node.this)
        if isinstance(number, float):
            return -number
    if node.key == "cast" and node.to.sql() == "DATE" and _is_string(node.this):
        return str(node.this.this)
    if node.key == "null":
        raise FilterError(
            "Nothing equals NULL.", advice="Write `field IS NULL` or `field IS NOT NULL`."
        )
    if node.key == "column":
        raise FilterError(
            f"A field is compared with a value, and `{node.sql()}` is none.",
            advice=f"Text goes into single quotes: '{node.name}'.",
        )
    if node.key != "literal":
        raise _refused(node)
    if node.is_string:
        return str(node.this)
    number = float(node.this)
    if not math.isfinite(number):
        raise FilterError(f"The number `{node.this}` is too large.", advice=_EXAMPLE)
    return number


def _is_string(node: Any) -> bool:
    return node.key == "literal" and bool(node.is_string)


def _negated(term: Filter) -> Filter:
    return term.term if isinstance(term, Not) else Not(term)


def _refused(node: Any) -> FilterError:
    if node.key == "alias":  # `0x10` is to sqlglot the number 0, to be called x10
        return FilterError(
            f"The filter doesn't parse near `{node.alias}`.",
            advice=f"Numbers are decimal, text is in single quotes. {_EXAMPLE}",
        )
    return FilterError(f"A filter can't say `{node.sql()}`.", advice=_EXAMPLE)


def bounded(where: Filter | None) -> Filter | None:
    """The filter itself, which is no deeper than every store can compile it.

    Raises:
        FilterError: it has more than `MAX_FILTER_DEPTH` levels of And, Or and Not.
    """
    level = [where]
    for _ in range(MAX_FILTER_DEPTH + 1):
        level = [term for node in level for term in _inside(node)]
        if not level:
            return where
    raise FilterError(
        f"The filter is nested more than {MAX_FILTER_DEPTH} levels deep.",
        advice="Write it with fewer parentheses, or ask in several searches.",
    )


def _inside(where: Filter | None) -> tuple[Filter, ...]:
    if isinstance(where, And | Or):
        return where.terms
    return (where.term,) if isinstance(where, Not) else ()


def both(first: Filter | None, second: Filter | None) -> Filter | None:
    """The filter that admits what both admit; None admits everything."""
    terms = tuple(term for term in (first, second) if term is not None)
    return And(terms) if len(terms) > 1 else (terms[0] if terms else None)


def holds(where: Filter | None, fields: Mapping[str, FieldValue]) -> bool:
    """Whether one sighting's fields satisfy a filter whole, as every document store means it."""
    match where:
        case None:
            return True
        case And(terms):
            return all(holds(term, fields) for term in terms)
        case Or(terms):
            return any(holds(term, fields) for term in terms)
        case Not(term):
            return not holds(term, fields)
        case Exists(name):
            return name in fields
        case Like(name, pattern):
            value = fields.get(name)
            return isinstance(value, str) and _like_pattern(pattern).fullmatch(value) is not None
        case Compare(name, op, value):
            return name in fields and _compared(fields[name], op, value)


@lru_cache
def _like_pattern(pattern: str) -> re.Pattern[str]:
    special = {"%": ".*", "_": "."}
    source = "".join(special.get(character) or re.escape(character) for character in pattern)
    # Of the letters, LIKE folds ASCII alone; re.IGNORECASE without re.ASCII would fold more.
    return re.compile(source, re.DOTALL | re.IGNORECASE | re.ASCII)


def _compared(field: FieldValue, op: str, value: FieldValue) -> bool:
    return _kind(field) is _kind(value) and bool(_COMPARISONS[op](field, value))


def _kind(value: FieldValue) -> type:
    return next(kind for kind in (bool, str, object) if isinstance(value, kind))

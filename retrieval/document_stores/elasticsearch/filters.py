"""The filter tree as an Elasticsearch query on the sightings that a document carries.

Gets: a filter. Gives: a query. Touches: nothing: pure. Never: a field name of a user's in a query;
a term begins with a digest of it, see `tokens`.

Servers limit how deep a query goes and how many clauses it has. So what is joined by the same
operator is joined at one level, what stands twice is asked once, and alternatives that name single
values (``IN``) are one clause, however many they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from ...errors import FilterError
from ...schema import And, Compare, Exists, Filter, Like, Not, Or, Span
from ...values import check_unicode, comparable
from .tokens import VALUES, after, beginning, presence, token

MAX_TERMS = 60_000  # of one clause
MAX_PATTERN_CHARACTERS = 5_000

Query = dict[str, Any]

_EVERY: Query = {"match_all": {}}
_NONE: Query = {"match_none": {}}
_SPECIAL = {"%": "*", "_": "?", "*": r"\*", "?": r"\?", "\\": r"\\"}


def admitted(where: Filter | None) -> Query:
    """The query for documents with a sighting that satisfies `where` whole.

    Raises:
        FilterError: too long a pattern, booleans compared by order, or text that isn't valid
            Unicode.
    """
    if where is None:
        return {"term": {"seen": True}}
    return {"nested": {"path": "sightings", "query": compiled(where), "score_mode": "none"}}


def overlapping(during: Span) -> Query:
    """The query for documents that overlap a time; those of films and recordings alone have one."""
    end = {"lt": during.end} if math.isfinite(during.end) else {}
    return {"range": {"time": {"gte": during.start, **end, "relation": "intersects"}}}


def compiled(where: Filter) -> Query:
    """The query for sightings that satisfy `where`."""
    match where:
        case And(terms):
            return _all([compiled(term) for term in terms])
        case Or(terms):
            return _any([compiled(term) for term in terms])
        case Not(term):
            return _not(compiled(term))
        case Exists(name):
            check_unicode(name)
            return _terms(presence(name, type_) for type_ in ("boolean", "number", "text"))
        case Like(name, pattern):
            return _like(name, pattern)
        case Compare():
            return _compare(where)


def _compare(where: Compare) -> Query:
    name, op, value = where.field, where.op, where.value
    type_ = comparable(op, value)
    for text in (name, value):
        if isinstance(text, str):
            check_unicode(text)
    wanted = token(name, value)
    if op == "=":
        return _terms([wanted])
    if op == "!=":
        return _all([_terms([presence(name, type_)]), _not(_terms([wanted]))])
    first = beginning(name, type_)
    bounds = {
        "<": {"gte": first, "lt": wanted},
        "<=": {"gte": first, "lte": wanted},
        ">": {"gt": wanted, "lt": after(first)},
        ">=": {"gte": wanted, "lt": after(first)},
    }
    return {"range": {VALUES: bounds[op]}}


def _like(name: str, pattern: str) -> Query:
    check_unicode(name)
    check_unicode(pattern)
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise FilterError(f"A LIKE pattern is longer than {MAX_PATTERN_CHARACTERS} characters.")
    wanted = "".join(_SPECIAL.get(character, character) for character in pattern)
    value = beginning(name, "text") + wanted
    return {"wildcard": {VALUES: {"value": value, "case_insensitive": True}}}


def _terms(wanted: Iterable[str]) -> Query:
    return {"terms": {VALUES: list(wanted)}}


def _all(queries: list[Query]) -> Query:
    """Every one holds; those that are conjunctions themselves become a part of this one."""
    must: list[Query] = []
    must_not: list[Query] = []
    for query in queries:
        inside = query.get("bool")
        if inside is not None and "should" not in inside:
            must += inside.get("filter", [])
            must_not += inside.get("must_not", [])
        elif query != _EVERY:
            must.append(query)
    must, must_not = _unlike(must), _unlike(_together(must_not))
    if not must and not must_not:
        return _EVERY
    if len(must) == 1 and not must_not:
        return must[0]
    return {
        "bool": {
            **({"filter": must} if must else {}),
            **({"must_not": must_not} if must_not else {}),
        }
    }


def _any(queries: list[Query]) -> Query:
    """At least one holds."""
    should: list[Query] = []
    for query in queries:
        should += query.get("bool", {}).get("should", None) or [query]
    should = _unlike(_together(query for query in should if query != _NONE))
    if not should:
        return _NONE
    if len(should) == 1:
        return should[0]
    return {"bool": {"should": should, "minimum_should_match": 1}}


def _not(query: Query) -> Query:
    inside = query.get("bool", {})
    if "should" in inside:
        return {"bool": {"must_not": inside["should"]}}
    if inside and "filter" not in inside:  # not (none of these)
        return _any(inside["must_not"])
    return {"bool": {"must_not": [query]}}


def _together(queries: Iterable[Query]) -> list[Query]:
    """Alternatives, of which those that name single values are one clause."""
    wanted: dict[str, None] = {}
    others = []
    for query in queries:
        if "terms" in query:
            wanted.update(dict.fromkeys(query["terms"][VALUES]))
        else:
            others.append(query)
    values = list(wanted)
    pieces = (values[start : start + MAX_TERMS] for start in range(0, len(values), MAX_TERMS))
    return [_terms(piece) for piece in pieces] + others


def _unlike(queries: list[Query]) -> list[Query]:
    return list({json.dumps(query): query for query in queries}.values())

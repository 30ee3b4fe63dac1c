"""What is derived in the index, compared with what it is derived from.

Gets: a connection. Gives: problems, and the actions that mend them. Touches: the index, reading.
Never: writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from ...protocols import Problem
from . import reading
from .connection import Action, Connection
from .reading import in_pieces, of_sort
from .rows import Row, carried, document_of, document_row, dumped, writing

_PAGE = 1_000

T = TypeVar("T")


def problems(connection: Connection) -> Iterator[tuple[Problem, Action | None]]:
    """Every document's row that isn't as it should be, and the action that mends it."""
    for page in _batches(reading.rows(connection, of_sort("d"))):
        sightings = _sightings_of(connection, page)
        for row in page:
            yield from _of_row(row, sightings)


def repairs(connection: Connection) -> Iterator[list[Action]]:
    """What mends them, in batches."""
    mending = (action for _, action in problems(connection) if action is not None)
    yield from _batches(mending)


def _of_row(row: Row, sightings: dict[str, list[Row]]) -> Iterator[tuple[Problem, Action | None]]:
    id_ = str(row.get("key")).partition(":")[2]
    try:
        wanted = document_row(document_of(row), carried(sightings.get(row["asset"], ())))
    except (AttributeError, KeyError, TypeError, ValueError):
        yield Problem(id_, "its row isn't one that Echolens wrote"), None
        return
    if dumped(wanted) == dumped(row):
        return
    if wanted.get("words") != row.get("words"):
        yield Problem(id_, "the words kept for it are not those of its text"), writing(wanted)
    else:
        yield Problem(id_, "what is kept of its sightings is out of date"), writing(wanted)


def _sightings_of(connection: Connection, page: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    assets = sorted({str(row.get("asset")) for row in page})
    for condition in in_pieces(assets):
        for row in reading.rows(connection, of_sort("s", condition)):
            found.setdefault(row["asset"], []).append(row)
    return found


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, _PAGE)):
        yield batch

"""What the ledger knows of a file, and of a film that isn't done to its end.

Gets and gives: frozen values. Touches: nothing. Never: a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from retrieval.schema import SkipReason

from .schema import Given, Outcome


@dataclass(frozen=True, slots=True)
class Row:
    """One file.

    Attributes:
        signature: its stat and its sidecars', as text; equal means unchanged.
        asset: the hash of its bytes, when they could be read.
        recipe: how it was turned into documents.
        reason: why it was skipped.
        message: the same in words; of an indexed file, what was odd about it.
        given: what its source said of it, as `Given.dump` writes it.
        missing: its root couldn't be seen when it was last looked for.
        has_gap: something of a film is missing that failed, and that another attempt may bring.
    """

    uri: str
    signature: str
    asset: str | None
    recipe: str
    outcome: Outcome
    reason: SkipReason | None = None
    message: str = ""
    given: str | None = None
    missing: bool = False
    has_gap: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """A stretch of a film that is durable, while the film isn't yet done to its end.

    Attributes:
        start: of it, in seconds.
        making: its recipe and the transcripts beside its file, as `triage.making` says them.
        following: where to go on.
        documents: ids of its documents.
        script: what is left of a transcript without times; None where there is none.
    """

    asset: str
    start: float
    making: str
    following: float
    documents: tuple[str, ...]
    script: str | None = None


def given_of(row: Row | None) -> Given | None:
    """What a file's source said of it, if it said anything."""
    return Given.load(row.given) if row and row.given else None


def row_of(values: Sequence[object]) -> Row:
    """The row of a line of the table; ValueError for what no writer wrote."""
    uri, signature, asset, recipe, outcome, reason, message, given, missing, *later = values
    if outcome not in get_args(Outcome):
        raise ValueError(f"{outcome!r} is no outcome")
    return Row(
        str(uri),
        str(signature),
        None if asset is None else str(asset),
        str(recipe),
        outcome,  # type: ignore[arg-type]  # the column holds nothing else
        None if reason is None else SkipReason(str(reason)),
        str(message),
        None if given is None else str(given),
        bool(missing),
        bool(later and later[0]),  # a ledger of format 1 that is only read has no such column
    )

"""How an evaluation goes about it: one record, that its steps and its run card read.

Gets and gives: values. Touches: nothing. Never: a default that depends on the machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from .measures import DEFAULT
from .perturb import Change


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """How an evaluation goes about it.

    Attributes:
        measures: see `measures.parse_measure`.
        slices: fields of the queries, or ``length``, that the measures are told apart by; by
            ``language`` they are anyway where queries are in several.
        changes: how pictures and words are spoilt, beside the clean run.
        folds: COCO's 1K protocol has 5: every picture is ranked within its fifth of the corpus.
        held_in: so many texts of each picture are not asked with, and may be found by.
        queries: at most so many of each direction; None for all.
        exact: whether the exact way is measured.
        backwards: whether the other direction is measured too.
        search: whether a searcher is asked; films are measured by what it holds of them anyway.
    """

    measures: tuple[str, ...] = DEFAULT
    slices: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    folds: int = 1
    held_in: int = 0
    queries: int | None = None
    exact: bool = True
    backwards: bool = True
    search: bool = True

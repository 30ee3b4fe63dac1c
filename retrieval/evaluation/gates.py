"""Gates: what a figure must be for the answer to be yes.

Gets: ``r@10>=0.60`` as a person writes it; an evaluation. Gives: a verdict a row. Touches: nothing:
pure. Never: lets a gate through that nothing was measured for.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from ..errors import UsageError
from .measures import parse_measure, values_of
from .moment_measures import is_moment_measure
from .schema import (
    IMAGE_TO_TEXT,
    TEXT_TO_ANY_MOMENT,
    TEXT_TO_IMAGE,
    TEXT_TO_MOMENT,
    WAYS,
    Evaluation,
    Key,
    Measurement,
    MomentMeasurement,
    foremost,
    headline,
)

RSUM = "rsum"  # in percent, of both directions

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_SHORT = {
    "t2i": TEXT_TO_IMAGE,
    "i2t": IMAGE_TO_TEXT,
    "t2v": "text to video",
    "v2t": "video to text",
    "t2a": "text to audio",
    "a2t": "audio to text",
    "t2m": TEXT_TO_MOMENT,
    "vcmr": TEXT_TO_ANY_MOMENT,
}
_FORM = re.compile(r"(?:([^:<>=]*):)?([^:<>=]+)(>=|<=|>|<)([^:<>=%]+)(%?)")
_DIRECTION = re.compile(
    "(image|text|queries|video|audio) to (image|text|documents|video|audio|moment|any moment)"
)
_SHALLOW = "fewer hits were looked at (see --depth)"
_EXAMPLE = "Write it like: r@10>=0.60, t2i:r@1>25%, medr<=20 or rsum>=300."


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition.

    Attributes:
        text: as it was written.
        direction: "" both.
        measure: its name, or ``rsum``.
        bound: a share from 0 to 1 for measures in percent; a rank; percent for ``rsum``.
    """

    text: str
    direction: str
    measure: str
    operator: str
    bound: float

    def holds(self, value: float) -> bool:
        """Whether a value meets it; one that is undefined doesn't."""
        return _OPERATORS[self.operator](value, self.bound)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a gate holds in one row.

    Attributes:
        key: the row; None when the gate concerns none.
        value: in the gate's unit; nan when there is none.
        why: of a failure, a whole sentence; "" when it holds.
    """

    gate: Gate
    key: Key | None
    value: float
    why: str = ""

    @property
    def holds(self) -> bool:
        """Whether the gate lets this row through."""
        return not self.why


def parse_gate(text: str) -> Gate:
    """Parse ``[direction:]measure OP value``.

    Direction: ``t2i``, ``i2t``, for films ``t2v``, ``v2t``, ``t2m`` and ``vcmr``, for sounds
    ``t2a``, ``a2t``; or the words, such as ``text to image``; without it the gate must hold in all.
    OP: ``>= <= > <``. Value: a share (0.6) or percent (60%); for ranks a number.

    Raises:
        UsageError: it doesn't parse, names no measure, or its value can't be meant.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise UsageError(f"The gate `{text}` doesn't parse.", advice=_EXAMPLE)
    direction, name, sign, number, percent = form.groups()
    measure = name.strip().lower()
    unit: str = "rank"
    if measure != RSUM:
        unit = "percent" if is_moment_measure(measure) else parse_measure(measure).unit
    if measure == RSUM and direction:
        raise UsageError(f"`{RSUM}` is of both directions (`{text}`).", advice=_EXAMPLE)
    try:
        bound = Decimal(number.strip())
    except InvalidOperation:
        bound = Decimal("NaN")
    if not bound.is_finite():
        raise UsageError(f"`{number.strip()}` in `{text}` is no number.", advice=_EXAMPLE)
    if percent and unit == "rank":
        raise UsageError(
            f"`{measure}` isn't a share: `{text}` can't be in percent.", advice=_EXAMPLE
        )
    share = bound / 100 if percent else bound
    if unit == "percent" and not 0 <= share <= 1:
        raise UsageError(
            f"`{text}` can never tell anything: `{measure}` is from 0 to 1.",
            advice=f"Write {number.strip()}% if that is meant." if 1 < share <= 100 else _EXAMPLE,
        )
    return Gate(text.strip(), _direction(direction or ""), measure, sign, float(share))


def _direction(text: str) -> str:
    plain = " ".join(text.lower().split())
    found = _SHORT.get(plain, plain)
    if found and not _DIRECTION.fullmatch(found):
        raise UsageError(f"`{text}` is no direction.", advice=_EXAMPLE)
    return found


def check(gates: Iterable[Gate], evaluation: Evaluation) -> list[Verdict]:
    """The verdicts of each gate, one for each row that it concerns; all must hold.

    A gate concerns of each direction the row that stands for it (see `headline`): the deployed one,
    else the exact one, else another engine's.
    """
    return [verdict for gate in gates for verdict in _check(gate, evaluation)]


def _check(gate: Gate, evaluation: Evaluation) -> list[Verdict]:
    rows = headline(evaluation.measurements)
    if is_moment_measure(gate.measure):
        return _of_moments(gate, evaluation)
    if gate.measure == RSUM:
        values = {key: evaluation.rsum[key].value for key in foremost(evaluation.rsum).values()}
    else:
        wanted = [row for there, row in rows.items() if gate.direction in ("", there)]
        values = {row.key: _value(gate.measure, row) for row in wanted}
    if not values:
        what = f"no {gate.measure}" + (f" of {gate.direction}" if gate.direction else "")
        why = f"There is {what}; measured: {', '.join(rows) or 'nothing'}."
        return [Verdict(gate, None, math.nan, why)]
    searched = any(row.key.way == WAYS[0] for row in rows.values())
    return [
        _lacks_search(gate, key) if searched and key.way != WAYS[0] else _verdict(gate, key, value)
        for key, value in values.items()
    ]


def _of_moments(gate: Gate, evaluation: Evaluation) -> list[Verdict]:
    """Of a measure of moments: in each direction that has a plain row."""
    rows = {row.key: row for row in evaluation.moments if row.key.plain and row.queries}
    wanted = [row for key, row in rows.items() if gate.direction in ("", key.direction)]
    if not wanted:
        what = f"no {gate.measure}" + (f" of {gate.direction}" if gate.direction else "")
        there = ", ".join(key.direction for key in rows) or "no moments"
        return [Verdict(gate, None, math.nan, f"There is {what}; measured: {there}.")]
    return [_verdict(gate, row.key, _of_row(gate.measure, row)) for row in wanted]


def _of_row(name: str, row: MomentMeasurement) -> float:
    known = row.measures.get(name)
    return known.value if known else math.nan


def _lacks_search(gate: Gate, key: Key) -> Verdict:
    """Where one direction was measured through a collection, another way can't stand in for it."""
    why = f"{key.direction} was not measured through the collection."
    return Verdict(gate, key, math.nan, why)


def _value(name: str, row: Measurement) -> float:
    """As measured, else from the ranks."""
    if name in row.measures:
        return row.measures[name].value
    measure = parse_measure(name)
    return measure.over(values_of([measure], row.ranks)[measure])


def _verdict(gate: Gate, key: Key, value: float) -> Verdict:
    if gate.holds(value):
        return Verdict(gate, key, value)
    if math.isnan(value):
        lacks = "it wasn't measured" if is_moment_measure(gate.measure) else _SHALLOW
        why = f"{gate.measure} of {key} isn't known: {lacks}."
        return Verdict(gate, key, value, why)
    return Verdict(gate, key, value, f"{gate.measure} of {key} is {value:.10g}.")

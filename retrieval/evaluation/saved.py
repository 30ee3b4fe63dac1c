"""An evaluation as JSON, so that a later one can be compared with it query by query.

Gets: an evaluation; the text of a file. Gives: the text; the evaluation. Touches: nothing: pure.
Never: opens a file; guesses at what a damaged one said.

    {"format": 1,
     "card": {section: {name: value}},
     "measurements": [{"key": {"direction": .., "way": .., "legs": .., "labels": .., "changed": ..},
                       "measures": {"r@1": {"value": 0.254, "low": 0.235, "high": 0.273}, ..},
                       "slices": [{"field": .., "value": .., "queries": 500, "measures": ..}],
                       "asked": 0, "depth": null,
                       "ranks": [[3], [1, null], ..], "gains": [[1], [1, 2], ..]}],
     "asked": [{"queries": [id, ..], "clusters": [id, ..]}],
     "moments": [{"key": .., "measures": .., "slices": .., "asked": 1, "depth": 100,
                  "values": {"r1@0.5": [0, 1, null, ..], ..}}],
     "rsum": .., "index_recall": .., "problems": .., "notes": .., "degraded": false}

A row of ``asked`` is shared by all measurements of the same queries; a file of a version that knew
no moments has none of these. A rank of null is one that did
not come back; ``gains`` are left out where all are 1. A measure without a value is null, one beyond
all ranks the string "inf". The first documents returned are not kept: they are places in a corpus
that the file doesn't have.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import NewerFormatError, UsageError
from .schema import (
    Estimate,
    Evaluation,
    IndexRecall,
    Key,
    Measurement,
    MomentMeasurement,
    Problem,
    Ranks,
    Row,
    Slice,
)

FORMAT = 1

_Asked = tuple[tuple[str, ...], tuple[str, ...]]  # queries, clusters


def dump(evaluation: Evaluation) -> str:
    """All of an evaluation but `data` and `Measurement.first`; ASCII, each part on a line."""
    asked: dict[_Asked, int] = {}
    rows: tuple[Row, ...] = (*evaluation.measurements, *evaluation.moments)
    for one in rows:
        asked.setdefault((one.queries, one.clusters), len(asked))
    parts: dict[str, Any] = {
        "format": FORMAT,
        "card": evaluation.card,
        "measurements": [
            _of_measurement(one, asked[one.queries, one.clusters])
            for one in evaluation.measurements
        ],
        "moments": [
            _of_moments(one, asked[one.queries, one.clusters]) for one in evaluation.moments
        ],
        "asked": [{"queries": queries, "clusters": clusters} for queries, clusters in asked],
        "rsum": [
            {"key": asdict(key), **_of_estimate(estimate)}
            for key, estimate in evaluation.rsum.items()
        ],
        "index_recall": [
            {"channel": one.channel, "queries": one.queries, "recall": _of_estimates(one.recall)}
            for one in evaluation.index_recall
        ],
        "problems": [asdict(problem) for problem in evaluation.problems],
        "notes": list(evaluation.notes),
        "degraded": evaluation.degraded,
    }
    lines = (
        f"{json.dumps(name)}: {json.dumps(part, allow_nan=False)}" for name, part in parts.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def load(text: str) -> Evaluation:
    """The evaluation that `dump` wrote.

    Raises:
        UsageError: the text is something else, or damaged.
        NewerFormatError: a newer version wrote it.
    """
    try:
        parts = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _unfit(f"it isn't JSON ({error})") from error
    if not isinstance(parts, dict) or not isinstance(parts.get("format"), int):
        raise _unfit("it has no format number")
    if parts["format"] > FORMAT:
        raise NewerFormatError(
            f"The saved evaluation has format {parts['format']}; this version reads {FORMAT}.",
            advice="Update Echolens, or evaluate again with this version.",
        )
    try:
        return _evaluation(parts)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise _unfit(f"{type(error).__name__}: {error}") from error


def _unfit(why: str) -> UsageError:
    return UsageError(
        f"This is no saved evaluation, or a damaged one: {why}.",
        advice="Save one with `echolens evaluate --json`.",
    )


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _of_measurement(one: Measurement, asked: int) -> dict[str, Any]:
    whole = {
        **_of_row(one, asked),
        "depth": one.ranks.depth,
        "ranks": _by_query(one.ranks.starts, map(_of_rank, one.ranks.ranks.tolist())),
    }
    if (one.ranks.gains != 1).any():
        whole["gains"] = _by_query(one.ranks.starts, one.ranks.gains.tolist())
    return whole


def _of_row(one: Row, asked: int) -> dict[str, Any]:
    """What rows of ranks and rows of moments share."""
    return {
        "key": asdict(one.key),
        "measures": _of_estimates(one.measures),
        "slices": [
            {
                "field": part.field,
                "value": part.value,
                "queries": part.queries,
                "measures": _of_estimates(part.measures),
            }
            for part in one.slices
        ],
        "asked": asked,
    }


def _of_moments(one: MomentMeasurement, asked: int) -> dict[str, Any]:
    values = {name: [*map(_of_number, of.tolist())] for name, of in one.values.items()}
    return {**_of_row(one, asked), "depth": one.depth, "values": values}


def _by_query(starts: Any, values: Iterable[Any]) -> list[list[Any]]:
    flat = list(values)
    return [flat[start:end] for start, end in pairwise(starts.tolist())]


def _of_rank(rank: float) -> int | float | None:
    if math.isinf(rank):
        return None
    return int(rank) if rank.is_integer() else rank


def _of_estimates(estimates: Mapping[Any, Estimate]) -> dict[str, dict[str, float | str | None]]:
    return {str(name): _of_estimate(one) for name, one in estimates.items()}


def _of_estimate(one: Estimate) -> dict[str, float | str | None]:
    ends = {"value": one.value, "low": one.low, "high": one.high}
    return {name: _of_number(number) for name, number in ends.items()}


def _of_number(number: float) -> float | str | None:
    if math.isfinite(number):
        return float(number)
    return None if math.isnan(number) else str(float(number))


def _evaluation(parts: Mapping[str, Any]) -> Evaluation:
    asked = [(_texts(one["queries"]), _texts(one["clusters"])) for one in parts["asked"]]
    return Evaluation(
        card={str(name): dict(section) for name, section in parts["card"].items()},
        measurements=tuple(_measurement(one, asked) for one in parts["measurements"]),
        rsum={_key(one["key"]): _estimate(one) for one in parts["rsum"]},
        index_recall=tuple(
            IndexRecall(
                str(one["channel"]),
                _count(one["queries"]),
                {int(k): estimate for k, estimate in _estimates(one["recall"]).items()},
            )
            for one in parts["index_recall"]
        ),
        problems=tuple(
            Problem(str(one["what"]), _count(one["count"]), _texts(one["examples"]))
            for one in parts["problems"]
        ),
        notes=_texts(parts["notes"]),
        degraded=_flag(parts["degraded"]),
        moments=tuple(_moments(one, asked) for one in parts.get("moments", ())),
    )


def _measurement(saved: Mapping[str, Any], asked: list[_Asked]) -> Measurement:
    queries, clusters = asked[_count(saved["asked"])]
    ranks = saved["ranks"]
    if not len(queries) == len(clusters) == len(ranks):
        raise ValueError(f"{len(queries)} queries, {len(clusters)} clusters, {len(ranks)} ranks")
    starts = np.cumsum([0, *map(len, ranks)], dtype=np.int64)
    flat = np.array([math.inf if rank is None else rank for row in ranks for rank in row], float)
    gains = np.ones(len(flat))
    if "gains" in saved:
        if [len(row) for row in saved["gains"]] != [len(row) for row in ranks]:
            raise ValueError("gains and ranks differ in number")
        gains = np.array([gain for row in saved["gains"] for gain in row], float)
    if (flat < 1).any() or not np.isfinite(gains).all():
        raise ValueError("a rank is under 1, or a gain is no number")
    depth = None if saved["depth"] is None else _count(saved["depth"])
    return Measurement(
        key=_key(saved["key"]),
        queries=queries,
        clusters=clusters,
        ranks=Ranks(starts, flat, gains, depth),
        measures=_estimates(saved["measures"]),
        slices=_slices(saved["slices"]),
    )


def _moments(saved: Mapping[str, Any], asked: list[_Asked]) -> MomentMeasurement:
    queries, clusters = asked[_count(saved["asked"])]
    values = {str(name): np.array([*map(_number, of)]) for name, of in saved["values"].items()}
    if {len(queries)} != {len(clusters), *map(len, values.values())}:
        raise ValueError(f"{len(queries)} questions have other numbers of values")
    if any(((of < 0) | (of > 1)).any() for of in values.values()):
        raise ValueError("a value of a question is no share")
    return MomentMeasurement(
        _key(saved["key"]),
        queries,
        clusters,
        values,
        _estimates(saved["measures"]),
        _slices(saved["slices"]),
        None if saved["depth"] is None else _count(saved["depth"]),
    )


def _slices(saved: Iterable[Mapping[str, Any]]) -> tuple[Slice, ...]:
    return tuple(
        Slice(
            str(one["field"]),
            str(one["value"]),
            _count(one["queries"]),
            _estimates(one["measures"]),
        )
        for one in saved
    )


def _key(saved: Mapping[str, Any]) -> Key:
    return Key(**{str(name): str(value) for name, value in saved.items()})


def _texts(saved: Any) -> tuple[str, ...]:
    if not isinstance(saved, list) or not all(isinstance(one, str) for one in saved):
        raise TypeError("a list of strings is something else")
    return tuple(saved)


def _count(saved: Any) -> int:
    if not isinstance(saved, int) or saved < 0:
        raise TypeError(f"{saved!r} is no count")
    return saved


def _flag(saved: Any) -> bool:
    if not isinstance(saved, bool):
        raise TypeError(f"{saved!r} is neither true nor false")
    return saved


def _estimates(saved: Mapping[str, Any]) -> dict[str, Estimate]:
    return {name: _estimate(one) for name, one in saved.items()}


def _estimate(saved: Mapping[str, Any]) -> Estimate:
    return Estimate(*(_number(saved[name]) for name in ("value", "low", "high")))


def _number(saved: Any) -> float:
    return math.nan if saved is None else float(saved)

"""The report: what an evaluation says, as tables for a terminal and as a page of Markdown.

Gets: an evaluation; what it was compared with; the gates' verdicts. Gives: tables of text, and the
page. Touches: nothing: pure. Never: prints, rounds what is kept (`saved` has every digit).

Shares are in percent, with ± the longer side of their 95 % interval: it never claims more than was
measured. Ranks are lopsided and have both ends. "> 100" is a rank beyond the 100 that were looked
at, "-" a figure that isn't defined, or that nobody looked deep enough for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..schema import printable
from .compare import Comparison
from .gates import RSUM, Verdict
from .measures import parse_measure
from .moment_measures import is_moment_measure
from .schema import (
    Estimate,
    Evaluation,
    IndexRecall,
    Key,
    Measurement,
    MomentMeasurement,
    Row,
    Slice,
)

SHORT = ("r@1", "r@5", "r@10", "medr")  # what a terminal has room for
SHORT_OF_MOMENTS = ("r1@0.5", "r1@0.7", "r10@0.5", "map@avg", "miou", "hit@1")
_WORSE_SHOWN = 10  # queries a row on a terminal
_WORSE_ON_PAGE = 50

_LABELS = {"medr": "MedR", "meanr": "MeanR", "mrr": "MRR", "map": "mAP", "map@r": "mAP@R"}
_LABELS |= {"rprec": "R-Prec", "ndcg": "nDCG", "r": "R", "p": "P"}
_LABELS |= {"map@avg": "mAP", "miou": "mIoU", "hit@1": "HIT@1", "hlmap": "HL-mAP"}
_MARKUP = re.compile(r"[\\`*_{}\[\]<>|~$&#]")


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of one printable line each.

    Attributes:
        right: names of the columns that are set to the right, with spaces between them.
        note: a sentence under it, or "".
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: str = ""
    note: str = ""


def tables(
    evaluation: Evaluation,
    comparison: Comparison | None = None,
    verdicts: Sequence[Verdict] = (),
    *,
    full: bool = False,
) -> tuple[Table, ...]:
    """All tables of the report that have rows, in order; notes are for the caller to show.

    Args:
        evaluation: what was measured.
        comparison: with a baseline.
        verdicts: of gates.
        full: every measure, more of the queries that got worse, the run card.
    """
    found = [
        *_recall(evaluation, full),
        _rsum(evaluation.rsum),
        _moments(evaluation.moments, full),
        _index_recall(evaluation.index_recall),
        *_slices(evaluation, full),
        *(_comparison(comparison, full) if comparison else ()),
        _verdicts(verdicts),
        _problems(evaluation),
    ]
    if full:
        found.append(card_table(evaluation))
    return tuple(table for table in found if table.rows)


def markdown(
    evaluation: Evaluation,
    comparison: Comparison | None = None,
    verdicts: Sequence[Verdict] = (),
    pictures: Sequence[str] = (),
) -> str:
    """The report as a page, in GitHub's Markdown.

    Args:
        evaluation: what was measured.
        comparison: with a baseline.
        verdicts: of gates.
        pictures: links to plots, relative to where the page will be.
    """
    name = evaluation.card.get("data", {}).get("name", "")
    lines = [f"# Recall on {_escaped(str(name))}" if name else "# Recall", ""]
    notes = (*evaluation.notes, *(comparison.notes if comparison else ()))
    lines += [f"- {_escaped(note)}" for note in notes]
    for table in tables(evaluation, comparison, verdicts, full=True):
        lines += ["", f"## {_escaped(table.title)}", "", *_markdown_rows(table)]
        if table.note:
            lines += ["", _escaped(table.note)]
    for link in pictures:
        lines += ["", f"![{_escaped(link.rpartition('/')[2])}](<{re.sub('[<>]', '', link)}>)"]
    return re.sub("\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def card_table(evaluation: Evaluation) -> Table:
    """The run card, a value a row."""
    rows = (
        (part, name, printable(str(value)))
        for part, values in evaluation.card.items()
        for name, value in values.items()
    )
    return Table("Run card", ("part", "name", "value"), tuple(rows))


def label(measure: str) -> str:
    """A measure as papers write it: ``R@1``, ``nDCG@10``, ``R1@0.5``."""
    stem, at, cut = measure.partition("@")
    if "." in cut and stem.startswith("r"):
        return measure.upper()
    return _LABELS.get(measure) or f"{_LABELS.get(stem, stem)}{at}{cut}"


def shown(estimate: Estimate, unit: str, depth: int | None = None, *, ends: bool = True) -> str:
    """One figure with its interval.

    Args:
        estimate: of it.
        unit: ``percent`` (a share, shown times 100), ``rank``, or ``points`` (shown as it is).
        depth: as in `Ranks`: what a rank is beyond that is infinite.
        ends: whether a rank has its interval.
    """
    if math.isnan(estimate.value):
        return "-"
    if unit != "rank":
        scale = 100 if unit == "percent" else 1
        if unit == "percent" and estimate.value in (0, 1) and estimate.low < estimate.high:
            return _at_an_end(estimate)
        margin = max(estimate.high - estimate.value, estimate.value - estimate.low)
        return f"{scale * estimate.value:.1f}" + (
            "" if math.isnan(margin) else f" ± {scale * margin:.1f}"
        )
    value = shown_rank(estimate.value, depth)
    if not ends or math.isinf(estimate.value) or math.isnan(estimate.low):
        return value
    return f"{value} [{shown_rank(estimate.low, depth)}, {shown_rank(estimate.high, depth)}]"


def _at_an_end(share: Estimate) -> str:
    """All or nothing, and what it may be of others: ± would pass the end."""
    if share.value == 1:
        return f"100.0 (≥ {100 * share.low:.1f})"
    return f"0.0 (≤ {100 * share.high:.1f})"


def shown_rank(rank: float, depth: int | None = None) -> str:
    """A rank; "> 100" or "not found" for one that didn't come back."""
    if math.isinf(rank):
        return f"> {depth:,}" if depth else "not found"
    return f"{rank:,.0f}" if rank == int(rank) else f"{rank:,.1f}"


# --- tables -----------------------------------------------------------------------------------


def _recall(evaluation: Evaluation, full: bool) -> list[Table]:
    """One table; or one a direction, where a column for it would make them too wide to read."""
    rows = evaluation.measurements
    keys = [row.key for row in rows]
    if not any(key.labels or key.changed or key.legs != "fused" for key in keys):
        return [_main("Recall", rows, full)]
    return [
        _main(f"Recall, {direction}", [row for row in rows if row.key.direction == direction], full)
        for direction in dict.fromkeys(key.direction for key in keys)
    ]


def _main(title: str, rows: Sequence[Measurement], full: bool) -> Table:
    names = _measures((row.measures for row in rows), full)
    head, keys = _keys([row.key for row in rows])
    if title != "Recall":  # it names the direction
        head, keys = head[1:], [key[1:] for key in keys]
    cells = (
        (*key, f"{len(row.queries):,}", *_figures(row.measures, names, row.ranks.depth, full))
        for key, row in zip(keys, rows, strict=True)
    )
    right = ("queries", *map(label, names))
    note = _legend(names, [row.ranks.depth for row in rows if row.ranks.depth is not None])
    return Table(title, (*head, *right), tuple(cells), " ".join(right), note)


def _moments(rows: Sequence[MomentMeasurement], full: bool) -> Table:
    names = _measures((row.measures for row in rows), full, SHORT_OF_MOMENTS)
    head, keys = _keys([row.key for row in rows])
    cells = (
        (*key, f"{len(row.queries):,}", *_figures(row.measures, names, row.depth, full))
        for key, row in zip(keys, rows, strict=True)
    )
    right = ("queries", *map(label, names))
    note = "In percent, ± the longer side of the 95 % interval, which draws films."
    note += " R1@0.5: the first moment has an IoU of 0.5 with a right one."
    return Table("Moments", (*head, *right), tuple(cells), " ".join(right), note)


def _slices(evaluation: Evaluation, full: bool) -> Iterable[Table]:
    rows: tuple[Row, ...] = (*evaluation.measurements, *evaluation.moments)
    for row in filter(lambda row: row.key.plain, rows):
        for field in dict.fromkeys(part.field for part in row.slices):
            yield _slice_table(row, field, full)


def _slice_table(row: Row, field: str, full: bool) -> Table:
    parts = [part for part in row.slices if part.field == field]
    short = SHORT_OF_MOMENTS if isinstance(row, MomentMeasurement) else SHORT
    names = _measures((part.measures for part in parts), full, short)
    right = ("queries", *map(label, names))
    depth = row.depth if isinstance(row, MomentMeasurement) else row.ranks.depth
    cells = tuple(_slice_cells(part, names, depth, full) for part in parts)
    column = printable(field) or "field"
    return Table(f"{row.key}: by {column}", (column, *right), cells, " ".join(right))


def _slice_cells(
    part: Slice, names: Sequence[str], depth: int | None, full: bool
) -> tuple[str, ...]:
    figures = _figures(part.measures, names, depth, full)
    return (printable(part.value), f"{part.queries:,}", *figures)


def _rsum(rsum: Mapping[Key, Estimate]) -> Table:
    head, keys = _keys(list(rsum))
    cells = (
        (*key, shown(estimate, "points")) for key, estimate in zip(keys, rsum.values(), strict=True)
    )
    note = "RSUM: R@1 + R@5 + R@10 of both directions; 600 at most."
    return Table("RSUM", (*head, "RSUM"), tuple(cells), "RSUM", note)


def _index_recall(found: Sequence[IndexRecall]) -> Table:
    depths = sorted({k for one in found for k in one.recall})
    right = ("queries", *(f"nearest-{k}" for k in depths))
    cells = (
        (
            printable(one.channel),
            f"{one.queries:,}",
            *(shown(one.recall[k], "percent") if k in one.recall else "-" for k in depths),
        )
        for one in found
    )
    note = "Share of the K exact nearest among the first K of the index, in percent. It is no R@K."
    return Table("Index recall", ("channel", *right), tuple(cells), " ".join(right), note)


def _comparison(comparison: Comparison, full: bool) -> Iterable[Table]:
    head, keys = _keys([one.key for one in comparison.differences])
    right = ("queries", "before", "now", "difference", "p")
    cells = (
        (
            *key,
            label(one.measure),
            f"{one.queries:,}",
            f"{100 * one.before:.1f}",
            f"{100 * one.now:.1f}",
            _signed(one.test.difference),
            "< 0.001" if one.test.p < 0.001 else f"{one.test.p:.3f}",
            one.verdict,
        )
        for key, one in zip(keys, comparison.differences, strict=True)
    )
    columns = (*head, "measure", *right, "verdict")
    note = "Paired randomisation test; a difference is shown at p < 0.05."
    yield Table("Against the baseline", columns, tuple(cells), " ".join(right), note)
    yield from _worse(comparison, _WORSE_ON_PAGE if full else _WORSE_SHOWN)
    changed = tuple(tuple(map(printable, change)) for change in comparison.settings)
    if full:
        yield Table("What the run cards say differently", ("name", "before", "now"), changed)


def _worse(comparison: Comparison, most: int) -> Iterable[Table]:
    for key, worse in comparison.worse.items():
        cells = tuple(
            (shown_rank(one.before), shown_rank(one.now), printable(one.query))
            for one in worse[:most]
        )
        which = f"the first {most} of {len(worse):,}" if len(worse) > most else f"{len(worse):,}"
        title = f"{key}: queries that got worse, {which}"
        yield Table(title, ("before", "now", "query"), cells, "before now")


def _verdicts(verdicts: Sequence[Verdict]) -> Table:
    cells = (
        (
            "met" if one.holds else "not met",
            printable(one.gate.text),
            str(one.key) if one.key else one.why,
            _gate_value(one),
        )
        for one in verdicts
    )
    return Table("Gates", ("gate", "required", "row", "value"), tuple(cells), "value")


def _gate_value(verdict: Verdict) -> str:
    measure, value = verdict.gate.measure, verdict.value
    if math.isnan(value):
        return "-"
    if measure == RSUM:
        return f"{value:.1f}"
    return shown_rank(value) if _unit(measure) == "rank" else f"{100 * value:.2f} %"


def _problems(evaluation: Evaluation) -> Table:
    cells = (
        (f"{one.count:,}", printable(one.what), printable(one.named)) for one in evaluation.problems
    )
    return Table("Problems of the data", ("count", "what", "examples"), tuple(cells), "count")


# --- cells ------------------------------------------------------------------------------------


def _keys(keys: Sequence[Key]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The columns that tell rows apart: those that say nothing in any row are left out."""
    telling = {"direction": True, "way": True, "legs": any(key.legs != "fused" for key in keys)}
    telling |= {name: any(getattr(key, name) for key in keys) for name in ("labels", "changed")}
    head = tuple(name for name, tells in telling.items() if tells)
    return head, [tuple(_cell(key, name) for name in head) for key in keys]


def _cell(key: Key, name: str) -> str:
    """A part of a key; only a search has legs that could be fused."""
    if name == "legs" and key.way != "deployed" and key.legs == "fused":
        return "-"
    return printable(getattr(key, name)) or "-"


def _measures(
    rows: Iterable[Mapping[str, Estimate]], full: bool, short: Sequence[str] = SHORT
) -> list[str]:
    names = list(dict.fromkeys(name for measures in rows for name in measures))
    if full or len(names) <= len(short):
        return names
    return [name for name in short if name in names] or names[: len(short)]


def _figures(
    measures: Mapping[str, Estimate], names: Sequence[str], depth: int | None, full: bool
) -> Iterable[str]:
    for name in names:
        if name not in measures:
            yield "-"
        else:
            yield shown(measures[name], _unit(name), depth, ends=full)


def _unit(name: str) -> str:
    return "percent" if is_moment_measure(name) else parse_measure(name).unit


def _legend(names: Sequence[str], depths: Sequence[int]) -> str:
    measures = list(map(parse_measure, names))
    ranks = [label(one.name) for one in measures if one.unit == "rank"]
    endless = [label(one.name) for one in measures if one.unit != "rank" and one.cutoff is None]
    legend = "In percent, ± the longer side of the 95 % interval"
    legend += f"; ranks from 1: {', '.join(ranks)}." if ranks else "."
    if endless and depths:
        where = f"Where a search ends at {min(depths):,}"
        legend += f" {where}, a deeper answer counts as none in {', '.join(endless)}."
    return legend


def _signed(difference: Estimate) -> str:
    return ("+" if difference.value >= 0 else "") + shown(difference, "percent")


def _markdown_rows(table: Table) -> list[str]:
    right = table.right.split()
    rule = "|".join(" ---: " if name in right else " --- " for name in table.head)
    rows = (" | ".join(map(_escaped, cells)) for cells in (table.head, *table.rows))
    first, *others = (f"| {row} |" for row in rows)
    return [first, f"|{rule}|", *others]


def _escaped(text: str) -> str:
    """One line in which nothing is markup."""
    return _MARKUP.sub(r"\\\g<0>", printable(text))

"""Plots: recall by depth, where the answers came, and the queries that went worst.

Gets: an evaluation, the data sets that were measured. Gives: PNG files. Touches: the folder that
it is given; the pictures on the sheet. Never: a window, matplotlib's global state, data's texts in
matplotlib (the sheet is lettered by `previews`, which finds fonts for every script).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..durable import replace_file
from ..errors import NotInstalledError, StoreUnreachableError
from .measures import first_rank, parse_measure, values_of
from .report import shown_rank
from .schema import Evaluation, Float64Array, Measurement, headline
from .significance import estimates
from .worst import worst_sheet

DEEPEST = 100  # K of the curve
_MOST_LINES = 8
_DEEPEST_BIN = 50_000  # deeper ranks share a bar
_INK, _FAINT, _GRID = "#1c1c1a", "#757570", "#e4e4df"
_LOST = "#b5b5af"
# Okabe and Ito's, which colour-blind readers tell apart, the lightest left out.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7a5c00", "#56b4e9", "#1c1c1a", "#757570")
_TICKS = (1, 2, 5, 10, 20, 50, 100)
_DPI = 160


def draw(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write recall_curve.png, ranks.png and worst.png; what there was nothing for is left out.

    Args:
        evaluation: what was measured; the sheet needs its `data`.
        folder: made, if it isn't there; files of these names are replaced.

    Raises:
        NotInstalledError: matplotlib isn't here.
        StoreUnreachableError: the folder can't be written.
    """
    figure_of = _matplotlib()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnreachableError(
            f"{folder} can't be made: {error.strerror}.",
            advice="Name a folder that can be written.",
        ) from error
    drawings = {
        "recall_curve.png": _recall_curves(figure_of, evaluation),
        "ranks.png": _rank_histograms(figure_of, evaluation),
        "worst.png": worst_sheet(evaluation),
    }
    written = []
    for name, png in drawings.items():
        if png:
            replace_file(folder / name, png)
            written.append(folder / name)
    return written


def _matplotlib() -> Callable[..., Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NotInstalledError(
            "Plots need the package matplotlib, which is not installed.",
            advice="pip install 'echolens[plots]'",
        ) from error
    figure: Callable[..., Any] = Figure
    return figure


# --- recall by depth --------------------------------------------------------------------------


def _recall_curves(figure_of: Callable[..., Any], evaluation: Evaluation) -> bytes:
    """A panel a direction, a line a row with its bootstrap band, each labelled where it ends."""
    panels = _by_direction(evaluation)
    if not panels:
        return b""
    figure, axes = _figure(figure_of, len(panels), width=5.4)
    colours: dict[str, str] = {}
    for axis, (direction, rows) in zip(axes, panels.items(), strict=True):
        shown = sorted(rows, key=lambda row: not row.key.plain)[:_MOST_LINES]
        for row in shown:  # a name has one colour in all panels
            colours.setdefault(_line_name(row), _COLOURS[len(colours) % len(_COLOURS)])
        left_out = f"; {len(shown)} of {len(rows)} rows" if len(rows) > len(shown) else ""
        queries = f"{len(rows[0].queries):,} queries"
        _title(axis, direction, f"R@K in percent, with 95 % intervals, {queries}{left_out}")
        ends = [_recall_curve(axis, row, colours[_line_name(row)]) for row in shown]
        _label_ends(axis, [_line_name(row) for row in shown], ends)
        axis.set_xscale("log")
        axis.set_xlim(1, DEEPEST)
        axis.set_ylim(0, 100)
        axis.set_xticks(_TICKS, [str(k) for k in _TICKS])
        axis.minorticks_off()
        axis.set_xlabel("K", color=_FAINT)
        axis.grid(axis="y", color=_GRID, linewidth=0.8)
    return _png(figure)


def _recall_curve(axis: Any, row: Measurement, colour: str) -> tuple[float, float, str]:
    """Draw a line with its band. Gives its end: K, percent, colour."""
    last = min(DEEPEST, row.ranks.depth or DEEPEST)
    depths = np.unique(np.rint(np.geomspace(1, last, 40)).astype(int))
    measures = [parse_measure(f"r@{k}") for k in depths]
    found = estimates(values_of(measures, row.ranks), row.clusters)
    at = [found[measure.name] for measure in measures]
    low, middle, high = (
        [100 * number for number in numbers]
        for numbers in zip(*((one.low, one.value, one.high) for one in at), strict=True)
    )
    axis.fill_between(depths, low, high, color=colour, alpha=0.15, linewidth=0)
    style = (0, (4, 2)) if row.key.changed else "-"
    axis.plot(depths, middle, color=colour, linewidth=1.8, linestyle=style, clip_on=False)
    return float(last), middle[-1], colour


def _label_ends(axis: Any, names: Sequence[str], ends: Sequence[tuple[float, float, str]]) -> None:
    """Names beside the ends of the lines, moved apart where they would overlap."""
    places = _apart([percent for _, percent, _ in ends], least=5.5, top=98)
    for name, (k, _, colour), place in zip(names, ends, places, strict=True):
        axis.annotate(
            name,
            (k, place),
            xytext=(6, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            fontsize=9,
            annotation_clip=False,
            parse_math=False,
        )


def _apart(wanted: Sequence[float], *, least: float, top: float) -> list[float]:
    """Places in the same order, `least` apart, near those wanted and at most at `top`."""
    order = sorted(range(len(wanted)), key=lambda at: wanted[at])
    places = [0.0] * len(wanted)
    lowest = float("-inf")
    for at in order:
        lowest = places[at] = max(wanted[at], lowest + least)
    highest = top
    for at in reversed(order):
        places[at] = min(places[at], highest)
        highest = places[at] - least
    return places


# --- where the answers came -------------------------------------------------------------------


def _rank_histograms(figure_of: Callable[..., Any], evaluation: Evaluation) -> bytes:
    """A panel a direction: the share of queries by the rank of their first answer."""
    rows = list(headline(evaluation.measurements).values())
    if not rows:
        return b""
    bins = [_binned(first_rank(row.ranks), row.ranks.depth) for row in rows]
    width = max(5.4, 0.62 * max(len(names) for names, _ in bins))
    figure, axes = _figure(figure_of, len(rows), width=width)
    for axis, row, (names, shares) in zip(axes, rows, bins, strict=True):
        median = parse_measure("medr").over(first_rank(row.ranks))
        what = f"Percent of {len(row.queries):,} queries by the rank of their first right answer"
        _title(axis, str(row.key), f"{what}; median {shown_rank(median, row.ranks.depth)}")
        colours = [_COLOURS[0] if name[0].isdigit() else _LOST for name in names]
        bars = axis.bar(range(len(names)), shares, width=0.82, color=colours)
        axis.bar_label(
            bars, [f"{share:.1f}" for share in shares], padding=2, color=_INK, fontsize=9
        )
        axis.set_xticks(range(len(names)), names, fontsize=8)
        axis.set_xlim(-0.6, len(names) - 0.4)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="x", length=0)
    return _png(figure)


def _binned(first: Float64Array, depth: int | None) -> tuple[list[str], list[float]]:
    """Bins 1, 2, 3-5, 6-10, 11-20 ... to the deepest rank, and one of those not found.

    Gives: their names, and their shares of the queries in percent.
    """
    found = first[np.isfinite(first)]
    ends = [1]
    while ends[-1] < min(found.max(initial=1), _DEEPEST_BIN):
        ends.append(ends[-1] * 5 // 2 if str(ends[-1]).startswith("2") else ends[-1] * 2)
    names = [_bin_name(before + 1, end) for before, end in zip([0, *ends], ends, strict=False)]
    if found.max(initial=1) > _DEEPEST_BIN:
        names.append(f"{_DEEPEST_BIN + 1:,}\nor more")
    counts = np.bincount(np.searchsorted(ends, found), minlength=len(names)).tolist()
    if len(found) < len(first):
        names.append(shown_rank(np.inf, depth).replace("not found", "not\nfound"))
        counts.append(len(first) - len(found))
    return names, [100 * count / len(first) for count in counts]


def _bin_name(start: int, end: int) -> str:
    if start == end:
        return str(end)
    return f"{start}-{end}" if end <= 200 else f"{start:,}-\n{end:,}"


# --- looks ------------------------------------------------------------------------------------


def _by_direction(evaluation: Evaluation) -> dict[str, list[Measurement]]:
    panels: dict[str, list[Measurement]] = {}
    for row in evaluation.measurements:
        if row.queries:
            panels.setdefault(row.key.direction, []).append(row)
    return panels


def _line_name(row: Measurement) -> str:
    return str(row.key).removeprefix(f"{row.key.direction}, ")


def _figure(figure_of: Callable[..., Any], panels: int, *, width: float) -> tuple[Any, list[Any]]:
    figure = figure_of(figsize=(width * panels, 3.9), dpi=_DPI, layout="constrained")
    figure.set_facecolor("white")
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.12, wspace=0.06)
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    for axis in axes:
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axis.spines[side].set_color(_FAINT)
        axis.tick_params(colors=_FAINT, labelsize=9)
        axis.set_axisbelow(True)
    return figure, axes


def _title(axis: Any, title: str, below: str) -> None:
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "parse_math": False}
    axis.annotate(title, (0, 1), (0, 24), fontsize=12, color=_INK, weight="bold", **place)
    axis.annotate(below, (0, 1), (0, 9), fontsize=8.5, color=_FAINT, **place)


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()

"""The measures of moments: what each question gets for the windows that were guessed.

Gets: `Scored`, one question with its windows and guesses. Gives: a number from 0 to 1. Touches:
nothing: pure. Never: I/O, a film.

IoU(a, b) = |a and b| / |a or b|, in seconds. Names say the convention: ``r1@0.5`` is R1@0.5, the
share of questions whose first guess has an IoU of at least 0.5 with one of its windows; ``r@5`` of
`measures` is another thing. Where all films are searched at once (VCMR, video corpus moment
retrieval), a guess in another film has an IoU of 0 with everything, so one set of measures does
for both. A question that found nothing counts as 0.

The figures are those of QVHighlights' own scripts (standalone_eval of Moment-DETR, Lei et al.
2021), which round to two digits of a percent; this doesn't.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .moments import CLIP_S, Guess, MomentQuery
from .schema import Float64Array

DEFAULT = (
    "r1@0.5", "r1@0.7", "r5@0.5", "r10@0.5", "map@avg", "map@0.5", "map@0.75", "miou", "hit@1",
    "hlmap",
)  # fmt: skip
IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))  # that map@avg is the mean over
MOST_GUESSES = 10  # that average precision looks at
VERY_GOOD = 4.0  # the least score of a clip that is a highlight


@dataclass(frozen=True, slots=True)
class Scored:
    """A question and what was found for it, as numbers.

    Attributes:
        windows: (w, 2) float64 starts and ends, all of them answers.
        guesses: (g, 2) float64, best first.
        right: (g,) bool, whether a guess is in the question's film.
        highlights: (c, p) bool, whether clip c is a highlight to person p; None: nobody was asked.
        clips: (c,) float64, the score of each clip of the question's film by the guesses; (0,)
            where none of them is in it.
    """

    windows: Float64Array
    guesses: Float64Array
    right: NDArray[np.bool_]
    highlights: NDArray[np.bool_] | None = None
    clips: Float64Array = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True)
class MomentMeasure:
    """One measure, chosen by name; it is summed up by its mean.

    Attributes:
        of: what a question gets, from 0 to 1; nan where it wasn't judged for that.
    """

    name: str
    of: Callable[[Scored], float] = field(compare=False, repr=False)
    summary: Literal["mean"] = "mean"
    unit: Literal["percent"] = "percent"

    def over(self, values: Float64Array) -> float:
        """The mean over the values of some questions; nan over none."""
        return float(np.mean(values)) if len(values) else float("nan")


def is_moment_measure(name: str) -> bool:
    """Whether a name is that of a measure of moments."""
    plain = name.strip().lower()
    return plain in _WHOLE or _FORM.fullmatch(plain) is not None


def parse_moment_measure(name: str) -> MomentMeasure:
    """The measure of that name; case doesn't matter.

    Raises:
        UsageError: there is none; its advice lists those that there are.
    """
    plain = name.strip().lower()
    if plain in _WHOLE:
        return MomentMeasure(plain, _WHOLE[plain])
    form = _FORM.fullmatch(plain)
    if form is None:
        raise UsageError(
            f"There is no measure of moments `{name}`.",
            advice=f"Those that there are: rK@T, map@T, {', '.join(_WHOLE)}; K is a whole number "
            "from 1 on, T an IoU from 0.01 to 1, such as r1@0.5.",
        )
    threshold = float(form["t"])
    if form["k"]:
        return MomentMeasure(plain, partial(recall_at, k=int(form["k"]), threshold=threshold))
    return MomentMeasure(plain, partial(average_precision, threshold=threshold))


def moment_values(
    measures: Iterable[MomentMeasure], found: Sequence[Scored]
) -> dict[MomentMeasure, Float64Array]:
    """What each question gets by each measure, (n,) float64; without those that judge none."""
    values = {
        measure: np.array([measure.of(one) for one in found], np.float64) for measure in measures
    }
    return {measure: of for measure, of in values.items() if not np.isnan(of).all()}


def scored(query: MomentQuery, guesses: Sequence[Guess]) -> Scored:
    """A question and its guesses, best first, as numbers.

    A clip's score is the best one of the guesses in its film that overlap it.
    """
    judged = query.saliency
    windows = np.array(query.windows, np.float64).reshape(-1, 2)
    spans = np.array([(one.start, one.end) for one in guesses], np.float64).reshape(-1, 2)
    right = np.array([one.film == query.film for one in guesses], np.bool_)
    if judged is None:
        return Scored(windows, spans, right)
    people = max(map(len, judged.scores), default=1)
    highlights = np.zeros((judged.count, people), np.bool_)
    for clip, scores in zip(judged.clips, judged.scores, strict=True):
        if clip < judged.count:
            highlights[clip, : len(scores)] = np.array(scores) >= VERY_GOOD
    own = [one for one in guesses if one.film == query.film]
    clips = clip_scores(own, judged.count if own else 0)
    return Scored(windows, spans, right, highlights, clips)


def clip_scores(guesses: Sequence[Guess], count: int) -> Float64Array:
    """(count,) the best score of the guesses that overlap each clip.

    A clip that none overlaps has a score below all of them.
    """
    least = min((one.score for one in guesses), default=0.0) - 1.0
    scores = np.full(count, least, np.float64)
    for one in guesses:
        first, last = max(int(one.start // CLIP_S), 0), int(np.ceil(one.end / CLIP_S))
        scores[first:last] = np.maximum(scores[first:last], one.score)
    return scores


# --- the measures -----------------------------------------------------------------------------


def iou(a: Float64Array, b: Float64Array) -> Float64Array:
    """Intersection over union of each of a with each of b.

    Args:
        a: (n, 2) starts and ends, in seconds.
        b: (m, 2).

    Returns:
        (n, m) from 0 to 1; 0 where neither of the two has a length.
    """
    starts = np.maximum(a[:, None, 0], b[None, :, 0])
    ends = np.minimum(a[:, None, 1], b[None, :, 1])
    both = np.maximum(ends - starts, 0.0)
    either = (a[:, 1] - a[:, 0])[:, None] + (b[:, 1] - b[:, 0])[None, :] - both
    shares: Float64Array = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    return shares


def best_ious(one: Scored) -> Float64Array:
    """(g,) by guess, the highest IoU with any of the windows; 0 in another film."""
    return np.where(one.right, iou(one.guesses, one.windows).max(axis=1, initial=0.0), 0.0)


def recall_at(one: Scored, k: int, threshold: float) -> float:
    """``rK@T``: 1 if one of the first K guesses has IoU >= T with one of the windows, else 0.

    R1@0.5 and R1@0.7 of QVHighlights and Charades-STA (Gao et al. 2017: "R@n, IoU=m"). Over all
    films it is the R@K of VCMR (TVR, Lei et al. 2020): right film, and right in time.
    """
    return float((best_ious(one)[:k] >= threshold).any())


def mean_iou(one: Scored) -> float:
    """``miou``: the IoU of the first guess with the window that it fits best; 0 without a guess."""
    best = best_ious(one)
    return float(best[0]) if len(best) else 0.0


def average_precision(one: Scored, threshold: float) -> float:
    """``map@T``: interpolated average precision of detection at one IoU.

    The guesses are taken from the best on, `MOST_GUESSES` at most. Each hits, among the windows
    that it fits with IoU >= T and that no guess before it hit, the one that it fits best; else it
    is a false one. With precision p(i) after i guesses, AP = (1 / w) * the sum, over those that
    hit, of the highest p(j), j >= i. ActivityNet's AP, as in QVHighlights' ``MR-mAP``.
    """
    fits = iou(one.guesses, one.windows) * one.right[:, None]
    taken: set[int] = set()
    hits = []
    for row in fits[:MOST_GUESSES]:
        order = np.argsort(row, kind="stable")[::-1].tolist()
        free = (at for at in order if row[at] >= threshold and at not in taken)
        hit = next(free, None)
        hits.append(hit is not None)
        if hit is not None:
            taken.add(hit)
    if not taken:
        return 0.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    from_there = np.maximum.accumulate(precision[::-1])[::-1]
    return float(from_there[np.array(hits)].sum() / len(one.windows))


def average_of_precisions(one: Scored) -> float:
    """``map@avg``: the mean of ``map@T`` over T = 0.5, 0.55 ... 0.95, QVHighlights' average mAP."""
    return float(np.mean([average_precision(one, threshold) for threshold in IOUS]))


def highlight_hit(one: Scored) -> float:
    """``hit@1``: 1 if the clip with the highest score is a highlight to anybody, else 0.

    A highlight is a clip that a person called very good (4 of 4), as in QVHighlights'
    ``HL-min-VeryGood-Hit1``. The first of equal ones counts.
    """
    if one.highlights is None:
        return float("nan")
    if not len(one.clips):
        return 0.0
    return float(one.highlights[int(np.argmax(one.clips))].any())


def highlight_precision(one: Scored) -> float:
    """``hlmap``: average precision of the clips by their scores, meaned over the people.

    Clips of equal score come at once. With precision p(s) and recall r(s) down to score s, a
    person's AP is the mean, over the scores at which recall rises, of the highest p at that score
    or a lower one; 0 where nothing is a highlight to that person, 1 where everything is. As in
    QVHighlights' ``HL-min-VeryGood-mAP``.
    """
    if one.highlights is None:
        return float("nan")
    if not len(one.clips):
        return 0.0
    people = one.highlights.shape[1]
    return float(np.mean([_clip_precision(one.highlights[:, p], one.clips) for p in range(people)]))


def _clip_precision(wanted: NDArray[np.bool_], scores: Float64Array) -> float:
    if not wanted.any() or wanted.all():
        return float(wanted.all())
    levels = np.unique(scores)[::-1]
    hits = np.array([np.count_nonzero(wanted & (scores >= level)) for level in levels])
    shown = np.array([np.count_nonzero(scores >= level) for level in levels])
    from_there = np.maximum.accumulate((hits / shown)[::-1])[::-1]
    return float(from_there[np.diff(hits, prepend=0) > 0].mean())


_FORM = re.compile(r"(?:r(?P<k>[1-9][0-9]{0,5})|map)@(?P<t>0\.(?=0*[1-9])[0-9]{1,6}|1\.0)")
_WHOLE: Mapping[str, Callable[[Scored], float]] = MappingProxyType(
    {
        "map@avg": average_of_precisions,
        "miou": mean_iou,
        "hit@1": highlight_hit,
        "hlmap": highlight_precision,
    }
)

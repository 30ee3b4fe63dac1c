"""The measures: what each query gets, and how that is summed up.

Gets: `Ranks`. Gives: (n,) float64, a value a query, and one number over all of them. Touches:
nothing: pure. Never: I/O, scores, the corpus.

Ties were settled when documents were ranked, so all measures follow from the ranks of the relevant
documents. In the formulas a query has R relevant documents, the i-th of them to come back at rank
r(i); one that didn't come back has the rank inf and adds 0. A query that found none of them counts
as 0 (in rank measures as inf), as at TREC: means are over all judged queries.

Names say the convention, since the field uses one name for two things. ``r@K`` is the R@K of the
CLIP papers (is any relevant document among the first K), ``recall@K`` the textbook's (which share
of them is). A new measure is one function and one line of a table below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .schema import Float64Array, IntArray, Ranks

DEFAULT = ("r@1", "r@5", "r@10", "medr", "meanr", "mrr", "map@r", "rprec", "ndcg@10")

ALL = np.inf  # a cut-off that cuts nothing


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure, chosen by name.

    Attributes:
        name: ``r@10`` ...
        of: the values of all queries, (n,) float64.
        summary: how these become one number.
        unit: ``percent``: values are shares from 0 to 1, shown times 100; ``rank``: from 1.
        cutoff: the K of its name: no document deeper than this counts. None where all do.

    `of` takes the ranks as they are; `values_of` knows what nobody looked deep enough for.
    """

    name: str
    of: Callable[[Ranks], Float64Array] = field(compare=False, repr=False)
    summary: Literal["mean", "median"] = "mean"
    unit: Literal["percent", "rank"] = "percent"
    cutoff: int | None = None

    def over(self, values: Float64Array) -> float:
        """The one number over the values of some queries; nan over none."""
        if not len(values):
            return float("nan")
        return float(np.mean(values) if self.summary == "mean" else np.median(values))


def parse_measure(name: str) -> Measure:
    """The measure of that name; case doesn't matter.

    Raises:
        UsageError: there is none; its advice lists those that there are.
    """
    plain = name.strip().lower()
    if plain in _WHOLE:
        return _WHOLE[plain]
    form = re.fullmatch(r"([a-z]+)@([1-9][0-9]{0,8})", plain)
    if form and form[1] in _CUT:
        k = int(form[2])
        return Measure(plain, partial(_CUT[form[1]], k=k), cutoff=k)
    known = ", ".join((*(f"{one}@K" for one in _CUT), *_WHOLE))
    raise UsageError(
        f"There is no measure `{name}`.",
        advice=f"Those that there are: {known}; K is a whole number from 1 on.",
    )


def values_of(measures: Iterable[Measure], ranks: Ranks) -> dict[Measure, Float64Array]:
    """What every query gets by each of the measures; nan where K is deeper than the ranks are.

    A measure without a K takes what is deeper for not found, as trec_eval does of a run that ends.
    """
    return {
        measure: measure.of(ranks)
        if ranks.depth is None or (measure.cutoff or 0) <= ranks.depth
        else np.full(len(ranks), np.nan)
        for measure in measures
    }


def cut(ranks: Ranks, depth: int | None) -> Ranks:
    """The ranks as if no more than `depth` documents had been looked at; None: all of them."""
    if depth is None or (ranks.depth is not None and ranks.depth <= depth):
        return ranks
    return replace(ranks, ranks=np.where(ranks.ranks <= depth, ranks.ranks, np.inf), depth=depth)


def select(ranks: Ranks, queries: IntArray | NDArray[np.bool_]) -> Ranks:
    """The ranks of some of the queries: places in the order wanted, or a mask.

    Each measure is of one query at a time, so a slice's values can be picked from the whole's, too.
    """
    places = np.arange(len(ranks))[queries]
    counts = np.diff(ranks.starts)[places]
    starts = np.concatenate(([0], np.cumsum(counts)))
    pairs = np.arange(starts[-1]) + np.repeat(ranks.starts[places] - starts[:-1], counts)
    return Ranks(starts, ranks.ranks[pairs], ranks.gains[pairs], ranks.depth)


def with_unfindable(ranks: Ranks, missing: IntArray) -> Ranks:
    """The ranks with further relevant documents, gain 1, that the corpus doesn't hold.

    They count in R, as in trec_eval: whoever judged them relevant meant them to be found.

    Args:
        ranks: of those that the corpus holds.
        missing: (n,) how many more each query has.
    """
    places = np.repeat(ranks.starts[1:], missing)
    starts = ranks.starts + np.concatenate(([0], np.cumsum(missing)))
    return Ranks(
        starts,
        np.insert(ranks.ranks, places, np.inf),
        np.insert(ranks.gains, places, 1.0),
        ranks.depth,
    )


# --- the measures -----------------------------------------------------------------------------


def hit_at(ranks: Ranks, k: float) -> Float64Array:
    """``r@K``, the R@K of the CLIP papers: 1 if r(1) <= K, else 0.

    Any relevant document is enough, so an image with five captions that finds one of them has all.
    Also called success@K, hit rate. As in VSE++ (Faghri et al. 2018), CLIP (Radford et al. 2021)
    and CLIP_benchmark, whose ``text_retrieval_recall@K`` it is.
    """
    return (first_rank(ranks) <= k).astype(np.float64)


def recall_at(ranks: Ranks, k: float) -> Float64Array:
    """``recall@K``, true recall: |{i: r(i) <= K}| / R, as trec_eval's ``recall_K``."""
    return _share(ranks, ranks.ranks <= k)


def precision_at(ranks: Ranks, k: int) -> Float64Array:
    """``p@K``, precision: |{i: r(i) <= K}| / K, as trec_eval's ``P_K``.

    Where fewer than K documents came back, those that are lacking count as wrong.
    """
    return _sums(ranks, ranks.ranks <= k) / k


def first_rank(ranks: Ranks) -> Float64Array:
    """r(1), inf where nothing relevant came back. ``medr`` is its median, ``meanr`` its mean.

    The median of an even number of queries is the mean of the middle two (VSE++'s code rounds it
    down). A query that found nothing within the depth has a rank, but nobody knows which: the mean
    is inf then, and the median only when it falls on such queries.
    """
    starts, judged = ranks.starts[:-1], np.diff(ranks.starts) > 0
    first = np.full(len(ranks), np.inf)
    # reduceat takes an empty segment for the element that follows; so it sees the others only.
    first[judged] = np.minimum.reduceat(ranks.ranks, starts[judged])
    return first


def reciprocal_rank(ranks: Ranks, k: float = ALL) -> Float64Array:
    """``mrr``, ``mrr@K``: 1 / r(1), 0 if r(1) > K. trec_eval's ``recip_rank``."""
    first = first_rank(ranks)
    return np.where(first <= k, 1 / first, 0.0)


def average_precision(ranks: Ranks, k: float | IntArray = ALL) -> Float64Array:
    """``map``, ``map@K``: (1 / R) * sum over r(i) <= K of i / r(i).

    Divided by R even when K < R, as in trec_eval's ``map`` and ``map_cut_K``, ranx and ir_measures;
    others divide by min(K, R).
    """
    order = np.lexsort((ranks.ranks, _query_of(ranks)))
    ordered = ranks.ranks[order]
    within = ordered <= _per_pair(ranks, k)
    return _share(ranks, np.where(within, _numbers(ranks) / ordered, 0.0))


def average_precision_at_r(ranks: Ranks) -> Float64Array:
    """``map@r``, mAP@R: (1 / R) * sum over the ranks r = 1..R of P(r) if the r-th is relevant.

    That is ``map@K`` with K = R of each query. Equation 1 of Musgrave, Belongie and Lim, "A metric
    learning reality check", 2020; the measure that the ECCV Caption paper (Chun et al. 2022)
    proposes instead of R@K, since it agrees better with what people find good.
    """
    return average_precision(ranks, np.diff(ranks.starts))


def r_precision(ranks: Ranks) -> Float64Array:
    """``rprec``, R-precision: |{i: r(i) <= R}| / R, as trec_eval's ``Rprec``."""
    return _share(ranks, ranks.ranks <= _per_pair(ranks, np.diff(ranks.starts)))


def ndcg(ranks: Ranks, k: float = ALL) -> Float64Array:
    """``ndcg``, ``ndcg@K``: DCG / ideal DCG, DCG = sum over r(i) <= K of g(i) / log2(r(i) + 1).

    Gains are linear (g, not 2^g - 1), as in trec_eval's ``ndcg`` and ``ndcg_cut_K``, ranx's and
    ir_measures' defaults. The ideal ranks all that was judged by falling gain and is cut at K too.
    Järvelin and Kekäläinen 2002.
    """
    ideal_order = np.lexsort((-ranks.gains, _query_of(ranks)))
    ideal = _sums(ranks, _discounted(ranks.gains[ideal_order], _numbers(ranks), k))
    own = _sums(ranks, _discounted(ranks.gains, ranks.ranks, k))
    return np.divide(own, ideal, out=np.zeros(len(ranks)), where=ideal > 0)


# --- by name ----------------------------------------------------------------------------------

_CUT: Mapping[str, Callable[..., Float64Array]] = MappingProxyType(
    {
        "r": hit_at,
        "recall": recall_at,
        "p": precision_at,
        "mrr": reciprocal_rank,
        "map": average_precision,
        "ndcg": ndcg,
    }
)

_WHOLE: Mapping[str, Measure] = MappingProxyType(
    {
        measure.name: measure
        for measure in (
            Measure("medr", first_rank, "median", "rank"),
            Measure("meanr", first_rank, "mean", "rank"),
            Measure("mrr", reciprocal_rank),
            Measure("map", average_precision),
            Measure("map@r", average_precision_at_r),
            Measure("rprec", r_precision),
            Measure("ndcg", ndcg),
        )
    }
)


# --- arithmetic by query ----------------------------------------------------------------------


def _query_of(ranks: Ranks) -> IntArray:
    """(p,) the query that each relevant document belongs to."""
    return np.repeat(np.arange(len(ranks)), np.diff(ranks.starts))


def _numbers(ranks: Ranks) -> IntArray:
    """(p,) 1, 2, ... R within each query."""
    return np.arange(len(ranks.ranks)) - ranks.starts[_query_of(ranks)] + 1


def _per_pair(ranks: Ranks, k: float | IntArray) -> float | IntArray:
    """A cut-off that may differ from query to query, one for each relevant document."""
    return k if isinstance(k, float | int) else np.repeat(k, np.diff(ranks.starts))


def _discounted(gains: Float64Array, at: Float64Array | IntArray, k: float) -> Float64Array:
    return np.where(at <= k, gains / np.log2(at + 1.0), 0.0)


def _sums(ranks: Ranks, of_pairs: NDArray[np.float64] | NDArray[np.bool_]) -> Float64Array:
    """(n,) sums of what each query's relevant documents add."""
    sums = np.bincount(_query_of(ranks), weights=of_pairs, minlength=len(ranks))
    return sums.astype(np.float64)  # of no pair at all they would be whole numbers


def _share(ranks: Ranks, of_pairs: NDArray[np.float64] | NDArray[np.bool_]) -> Float64Array:
    """(n,) sums over R."""
    return _sums(ranks, of_pairs) / np.maximum(np.diff(ranks.starts), 1)

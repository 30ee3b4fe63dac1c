"""How sure a figure is: confidence intervals, and tests of a difference between two runs.

Gets: the values of queries, and the cluster of each. Gives: `Estimate`s and p-values. Touches:
nothing: pure, and the same data gives the same answer, since the seed is a constant. Never: I/O.

The captions of one picture are no independent sample of the world: a picture that is easy is easy
for all five. So what is drawn, and what is flipped, is the picture with all its captions (the
cluster). Drawing single captions gives intervals that are too narrow, by about half where the five
agree. The corpus stays whole: the question is how the figure would differ over other queries, not
over another corpus. An interval is therefore no comparison of two data sets.

Neither the order of queries nor that of clusters matters: clusters are sorted by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import numpy as np

from .measures import parse_measure, values_of
from .schema import Estimate, Float64Array, IntArray, Ranks, Slice

RESAMPLES = 1_000
PERMUTATIONS = 10_000
MOST_SLICES = 100
OUTSIDE = RESAMPLES * 25 // 1000  # those beyond either end of a 95 % interval

_SUMMED = tuple(parse_measure(f"r@{k}") for k in (1, 5, 10))  # RSUM
_SEED = 0xEC40
_WORD = 10**18  # sorts behind every number
_CELLS = 1 << 20  # of a block of resamples x queries: what bounds the memory (8 MB an array)

# (r, m) float64, how often each of m clusters was drawn in r resamples -> (r,) the statistic.
Statistic = Callable[[Float64Array], Float64Array]


class Summed(Protocol):
    """A measure whose values of some queries become one number."""

    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> Literal["mean", "median"]: ...

    @property
    def unit(self) -> Literal["percent", "rank"]: ...

    def over(self, values: Float64Array) -> float: ...


AMeasure = TypeVar("AMeasure", bound=Summed)


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Two runs over the same queries.

    Attributes:
        difference: of their means, the first's less the second's, with its 95 % interval.
        p: how often chance alone gives a difference as large, either way.
    """

    difference: Estimate
    p: float


def estimates(
    values: Mapping[AMeasure, Float64Array], clusters: Sequence[str]
) -> dict[str, Estimate]:
    """Each measure over all queries with its interval: percentile bootstrap over clusters.

    Args:
        values: by measure, (n,) what each query got.
        clusters: the cluster of each of the n queries.

    Returns:
        By the measures' names. The interval always holds the value; all of it is nan where there is
        no query, or a query's value is nan.
    """
    places, count = _places(clusters)
    statistics = [
        _mean(of_queries, places, count)
        if measure.summary == "mean"
        else _median(of_queries, places)
        for measure, of_queries in values.items()
    ]
    points = [measure.over(of_queries) for measure, of_queries in values.items()]
    found = _estimate(points, statistics, count, len(places))
    return {
        measure.name: _not_too_sure(one, count) if measure.unit == "percent" else one
        for measure, one in zip(values, found, strict=True)
    }


def _not_too_sure(share: Estimate, count: int) -> Estimate:
    """Where every query got 0, or every one 1, no resample differs; yet that isn't certainty.

    Then the interval is Clopper and Pearson's (1934) for one trial a cluster, all with one outcome:
    down to 0.025 ** (1 / count).
    """
    least = 0.025 ** (1 / count) if count else 0.0
    if math.isnan(share.low):
        return share
    if share.value == 1:
        return Estimate(1.0, least, 1.0)
    return Estimate(0.0, 0.0, 1 - least) if share.value == 0 else share


def slices(
    values: Mapping[AMeasure, Float64Array],
    clusters: Sequence[str],
    by: Mapping[str, Sequence[str]],
) -> tuple[Slice, ...]:
    """The measures over the queries that have the same value of a field, values in natural order.

    Args:
        values: by measure, (n,) what each query got.
        clusters: the cluster of each query.
        by: field -> (n,) its value of each query.
    """
    names = np.asarray(clusters, dtype=np.str_)
    found = []
    for field, labels in by.items():
        known, place = np.unique(np.asarray(labels, dtype=np.str_), return_inverse=True)
        names_of = known.tolist()
        for number in sorted(range(len(known)), key=lambda one: _natural(names_of[one])):
            value, chosen = names_of[number], place == number
            some = {measure: of_queries[chosen] for measure, of_queries in values.items()}
            count = int(np.count_nonzero(chosen))
            found.append(Slice(field, value, count, estimates(some, names[chosen].tolist())))
    return tuple(found)


def _natural(text: str) -> list[tuple[int, str]]:
    """A key by which 6 comes before 11, and numbers before words."""
    parts = re.split(r"(\d{1,18})", text)
    return [(int(part), "") if part.isdecimal() else (_WORD, part) for part in parts if part]


def rsum(directions: Sequence[tuple[Ranks, Sequence[str]]]) -> Estimate:
    """RSUM: the sum of R@1, R@5 and R@10 over both directions, in percent; at most 600.

    It is nan where one of the two wasn't looked at ten documents deep.

    Args:
        directions: ranks of the queries, and their clusters, by the same names in each direction: a
            picture is drawn with its captions, as queries of the one, and itself, of the other.
    """
    values = [
        100 * np.sum(list(values_of(_SUMMED, ranks).values()), axis=0) for ranks, _ in directions
    ]
    names = [name for _, clusters in directions for name in clusters]
    places, count = _places(names)
    of_direction = np.split(places, np.cumsum([len(one) for one in values])[:-1])
    means = [_mean(*one, count) for one in zip(values, of_direction, strict=True)]
    point = float(sum(np.mean(one) for one in values))

    def statistic(drawn: Float64Array) -> Float64Array:
        total: Float64Array = np.sum([mean(drawn) for mean in means], axis=0)
        return total

    if point in (0.0, 600.0):  # no resample differs; yet that isn't certainty
        return Estimate(point, math.nan, math.nan)
    [estimate] = _estimate([point], [statistic], count, len(places))
    return estimate


def paired_test(a: Float64Array, b: Float64Array, clusters: Sequence[str]) -> PairedTest:
    """Whether run `a` differs from run `b`: two-sided randomisation test over clusters.

    Under the hypothesis that the runs are alike, which of them gave a picture's captions their
    values is chance, so the sign of a whole cluster's difference may be flipped. p = (1 + those of
    10,000 random flips that differ at least as much) / 10,001: never 0, since what was seen is one
    of the possibilities (Phipson and Smyth, "Permutation p-values should never be zero", 2010).

    Args:
        a: (n,) what each query got, finite, of a measure that is summed up by its mean.
        b: of the other run, in the same order.
        clusters: the cluster of each query.
    """
    differences = a - b
    if not np.all(np.isfinite(differences)):
        raise ValueError("a paired test needs finite values; ranks of what wasn't found have none")
    places, count = _places(clusters)
    mean = float(np.mean(differences)) if count else float("nan")
    [difference] = _estimate([mean], [_mean(differences, places, count)], count, len(places))
    sums = np.bincount(places, weights=differences, minlength=count)
    as_large = sum(int(np.sum(one)) for one in _flipped(sums[sums != 0]))
    return PairedTest(difference, (1 + as_large) / (1 + PERMUTATIONS))


def _places(clusters: Sequence[str]) -> tuple[IntArray, int]:
    """(n,) the place of each query's cluster among the sorted names; how many there are."""
    names, places = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    return places.astype(np.int64), len(names)


def _estimate(
    points: Sequence[float], statistics: Sequence[Statistic], count: int, queries: int
) -> list[Estimate]:
    """The interval of each statistic; all of them are computed over the same resamples.

    One cluster alone says nothing of others, so there is no interval.
    """
    if count == 1:
        return [Estimate(point, math.nan, math.nan) for point in points]
    blocks = _resamples(count, queries) if count else ()
    drawn = [[statistic(block) for statistic in statistics] for block in blocks]
    found = []
    for place, point in enumerate(points):
        if math.isnan(point):
            found.append(Estimate(point, point, point))
            continue
        resampled = np.concatenate([block[place] for block in drawn])
        # Order statistics, nothing between two of them: one may be inf.
        low, high = (float(bound) for bound in np.sort(resampled)[[OUTSIDE - 1, -OUTSIDE]])
        found.append(Estimate(point, min(low, point), max(high, point)))
    return found


def _resamples(count: int, queries: int) -> Iterator[Float64Array]:
    """How often each of `count` clusters is drawn, in blocks (r, count) of all the resamples."""
    random = np.random.default_rng(_SEED)
    rows = max(_CELLS // queries, 1)
    for start in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - start)
        cells = random.integers(count, size=(size, count)) + np.arange(size)[:, None] * count
        times = np.bincount(cells.ravel(), minlength=size * count)
        yield times.reshape(size, count).astype(np.float64)


def _mean(values: Float64Array, places: IntArray, count: int) -> Statistic:
    """The mean over the queries of the clusters drawn; inf as soon as one of them is."""
    finite = np.isfinite(values)
    sums = np.bincount(places, weights=np.where(finite, values, 0.0), minlength=count)
    sizes = np.bincount(places, minlength=count).astype(np.float64)
    endless = np.bincount(places, weights=~finite, minlength=count)

    def statistic(drawn: Float64Array) -> Float64Array:
        # Where clusters of the other direction alone were drawn there is no mean; it counts as 0.
        means = (drawn @ sums) / np.maximum(drawn @ sizes, 1.0)
        return np.where(drawn @ endless > 0, np.inf, means) if endless.any() else means

    return statistic


def _median(values: Float64Array, places: IntArray) -> Statistic:
    """The median over the queries of the clusters drawn, an even number's the middle two's mean."""
    order = np.argsort(values, kind="stable")
    ordered, cluster = values[order], places[order]

    def statistic(drawn: Float64Array) -> Float64Array:
        # How many queries were drawn that have at most this value.
        upto: Float64Array = np.cumsum(drawn[:, cluster], axis=1)
        total = upto[:, -1:]
        middle = [np.sum(upto <= (total - 1 + up) // 2, axis=1) for up in (0, 1)]
        medians: Float64Array = (ordered[middle[0]] + ordered[middle[1]]) / 2
        return medians

    return statistic


def _flipped(sums: Float64Array) -> Iterator[IntArray]:
    """For all permutations, in blocks, whether flipping some signs gives as large a sum."""
    random = np.random.default_rng(_SEED)
    observed = abs(np.sum(sums))
    # Flips that give the same sum give it up to rounding only, and count as the same.
    least = observed - 1e-9 * np.sum(np.abs(sums))
    rows = max(_CELLS // max(len(sums), 1), 1)
    for start in range(0, PERMUTATIONS, rows):
        size = (min(rows, PERMUTATIONS - start), len(sums))
        signs = random.integers(2, size=size, dtype=np.int8).astype(np.float64)
        yield (np.abs(2 * (signs @ sums) - np.sum(sums)) >= least).astype(np.int64)

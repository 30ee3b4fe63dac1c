"""What changed since a baseline: row by row by a paired test, and query by query.

Gets: two evaluations of the same data. Gives: a comparison. Touches: nothing: pure. Never: compares
means of different queries, or ranks that one of them only looked at: what one of them lacks is left
out, and told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import UsageError
from .measures import cut, first_rank, parse_measure, select, values_of
from .schema import Evaluation, Key, Measurement, MomentMeasurement, Ranks, Row
from .significance import PairedTest, paired_test

COMPARED = tuple(map(parse_measure, ("r@1", "r@10", "mrr")))
COMPARED_MOMENTS = ("r1@0.5", "r1@0.7", "map@avg", "miou")
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure of one row, then and now, over the queries that both have.

    Attributes:
        before, now: shares from 0 to 1.
        test: of now less before.
    """

    key: Key
    measure: str
    queries: int
    before: float
    now: float
    test: PairedTest

    @property
    def verdict(self) -> str:
        """In words: ``better``, ``worse`` or ``no difference shown``."""
        if self.test.p >= SIGNIFICANT:
            return "no difference shown"
        return "better" if self.now > self.before else "worse"


@dataclass(frozen=True, slots=True)
class Worse:
    """A query whose first relevant document comes later now; ranks from 1, inf: not at all."""

    query: str
    before: float
    now: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that a report says of a baseline.

    Attributes:
        worse: by row, the queries that got worse, most first. Rows without any are there too.
        settings: what the run cards say differently: (name, before, now).
        notes: rows, queries and depths that only one of the two has.
    """

    differences: tuple[Difference, ...]
    worse: Mapping[Key, tuple[Worse, ...]]
    settings: tuple[tuple[str, str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Pair:
    """A row of both, over the queries that both have, as deep as both looked."""

    key: Key
    queries: tuple[str, ...]
    clusters: tuple[str, ...]
    before: Ranks
    now: Ranks


def compare(evaluation: Evaluation, baseline: Evaluation) -> Comparison:
    """Set an evaluation against an earlier one of the same data, by the same protocol.

    Raises:
        UsageError: data or protocol differ, or the two have no row with common queries.
    """
    _same_data(evaluation, baseline)
    _same_protocol(evaluation, baseline)
    earlier = {one.key: one for one in baseline.measurements}
    both = [(one, earlier[one.key]) for one in evaluation.measurements if one.key in earlier]
    pairs = [_pair(now, before) for now, before in both]
    notes = ["The baseline is of degraded answers."] if baseline.degraded else []
    notes += _only_in("this run", evaluation, baseline)
    notes += _only_in("the baseline", baseline, evaluation)
    for (now, before), pair in zip(both, pairs, strict=True):
        notes += _left_out(now, before, pair)
    pairs = [pair for pair in pairs if pair.queries]
    of_moments = _of_moments(evaluation, baseline)
    if not pairs and not of_moments:
        raise UsageError(
            "This run and the baseline have nothing to compare: no row with queries in common.",
            advice="; ".join(notes) or "Both are empty.",
        )
    return Comparison(
        (*(one for pair in pairs for one in _differences(pair)), *of_moments),
        {pair.key: _worse(pair) for pair in pairs},
        _settings(evaluation, baseline),
        tuple(notes),
    )


def _same_data(evaluation: Evaluation, baseline: Evaluation) -> None:
    now, before = (_digests(one) for one in (evaluation, baseline))
    if now[0] is None and before[0] is None:
        raise UsageError(
            "Neither this run nor the baseline says what data it measured.",
            advice="Compare evaluations whose run cards have the digest of their data.",
        )
    if now != before:
        raise UsageError(
            f"The baseline was measured on other data: {_unlike(evaluation, baseline, 'data')}.",
            advice="Evaluate the same data, with the same split, or take another baseline.",
        )


def _digests(evaluation: Evaluation) -> tuple[object, object]:
    """Of the data, and of the windows that it has where moments were measured."""
    card = evaluation.card.get("data", {})
    return card.get("digest"), card.get("windows")


def _same_protocol(evaluation: Evaluation, baseline: Evaluation) -> None:
    """What decides ranks beside data and search: among what, and against which captions."""
    if unlike := _unlike(evaluation, baseline, "protocol"):
        raise UsageError(
            f"The baseline was measured by another protocol: {unlike}.",
            advice="Evaluate with the same --folds and --held-in, or take another baseline.",
        )


def _unlike(evaluation: Evaluation, baseline: Evaluation, section: str) -> str:
    """What a section of the two run cards says differently."""
    now, before = (one.card.get(section, {}) for one in (evaluation, baseline))
    return ", ".join(
        f"{name} {before.get(name, 'not given')} there, {now.get(name, 'not given')} here"
        for name in {**before, **now}
        if now.get(name) != before.get(name)
    )


def _only_in(whose: str, one: Evaluation, other: Evaluation) -> list[str]:
    rows: tuple[Row, ...] = (*one.measurements, *one.moments)
    others: tuple[Row, ...] = (*other.measurements, *other.moments)
    known = {row.key for row in others}
    return [f"Only {whose} has {row.key}." for row in rows if row.key not in known]


def _pair(now: Measurement, before: Measurement) -> _Pair:
    place = {query: index for index, query in enumerate(before.queries)}
    here = [index for index, query in enumerate(now.queries) if query in place]
    queries = tuple(now.queries[index] for index in here)
    there = [place[query] for query in queries]
    depths = [one.ranks.depth for one in (before, now) if one.ranks.depth is not None]
    depth = min(depths, default=None)
    return _Pair(
        now.key,
        queries,
        tuple(now.clusters[index] for index in here),
        before=cut(select(before.ranks, np.array(there, np.int64)), depth),
        now=cut(select(now.ranks, np.array(here, np.int64)), depth),
    )


def _left_out(now: Measurement, before: Measurement, pair: _Pair) -> list[str]:
    notes, common = [], len(pair.queries)
    if not len(now.queries) == len(before.queries) == common:
        notes.append(
            f"{now.key}: {common:,} queries compared; {len(now.queries) - common:,} are in this "
            f"run only, {len(before.queries) - common:,} in the baseline only."
        )
    for whose, ranks in (("this run", now.ranks), ("the baseline", before.ranks)):
        if ranks.depth != pair.now.depth:
            notes.append(
                f"{now.key}: compared {pair.now.depth:,} documents deep; {whose} looked deeper."
            )
    return notes


def _differences(pair: _Pair) -> Iterator[Difference]:
    """By each measure that both looked deep enough for."""
    before, now = (values_of(COMPARED, ranks) for ranks in (pair.before, pair.now))
    for measure in COMPARED:
        if not np.isnan(now[measure]).any():
            yield Difference(
                pair.key,
                measure.name,
                len(pair.queries),
                measure.over(before[measure]),
                measure.over(now[measure]),
                paired_test(now[measure], before[measure], pair.clusters),
            )


def _of_moments(evaluation: Evaluation, baseline: Evaluation) -> list[Difference]:
    """Of rows about moments: by each measure, over the questions that both judged by it."""
    earlier = {row.key: row for row in baseline.moments}
    found: list[Difference] = []
    for now in evaluation.moments:
        before = earlier.get(now.key)
        for name in COMPARED_MOMENTS:
            if before is not None and name in now.values and name in before.values:
                found += _moment_difference(name, now, before)
    return found


def _moment_difference(
    name: str, now: MomentMeasurement, before: MomentMeasurement
) -> Iterator[Difference]:
    then = dict(zip(before.queries, before.values[name].tolist(), strict=True))
    rows = [
        (then[query], value, cluster)
        for query, value, cluster in zip(
            now.queries, now.values[name].tolist(), now.clusters, strict=True
        )
        if not math.isnan(value + then.get(query, math.nan))
    ]
    if rows:
        olds, news = (np.array([row[side] for row in rows]) for side in (0, 1))
        test = paired_test(news, olds, [row[2] for row in rows])
        means = float(olds.mean()), float(news.mean())
        yield Difference(now.key, name, len(rows), *means, test)


def _worse(pair: _Pair) -> tuple[Worse, ...]:
    """Most first: by how many times deeper the answer came.

    From 1 to 10 is more than from 500 to 1,000. An answer that didn't come back counts as the
    first one after all that did, since nobody knows its rank.
    """
    before, now = first_rank(pair.before), first_rank(pair.now)
    end = _end(pair)
    times = np.minimum(now, end) / np.minimum(before, end)
    places = np.flatnonzero(now > before)
    order = sorted(places.tolist(), key=lambda at: (-times[at], before[at], pair.queries[at]))
    return tuple(Worse(pair.queries[at], float(before[at]), float(now[at])) for at in order)


def _end(pair: _Pair) -> float:
    """A rank just beyond all that either run has."""
    ranks = np.concatenate((pair.before.ranks, pair.now.ranks))
    return float(np.max(ranks, initial=pair.now.depth or 0, where=np.isfinite(ranks))) + 1


def _settings(evaluation: Evaluation, baseline: Evaluation) -> tuple[tuple[str, str, str], ...]:
    now, before = _flat(evaluation), _flat(baseline)
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return tuple((name, before.get(name, "-"), now.get(name, "-")) for name in names)


def _flat(evaluation: Evaluation) -> dict[str, str]:
    return {
        f"{section}: {name}": str(value)
        for section, values in evaluation.card.items()
        for name, value in values.items()
    }

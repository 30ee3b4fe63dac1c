"""The run of another engine, scored: what it returned, by the measures that ours is scored by.

Gets: a run and qrels, in TREC's files, from a data set or in memory. Gives: an `Evaluation`, or
just the measures. Touches: those files. Never: an encoder, a collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .card import digest, how_measured, where_measured
from .measures import DEFAULT, parse_measure, values_of
from .qrels import read_qrels
from .run import Run, ranks_of, read_run
from .schema import EXAMPLES, Dataset, Estimate, Evaluation, Item, Key, Measurement, Problem, Qrels
from .searcher import Card
from .significance import estimates
from .tasks import clusters_of, directions


@dataclass(frozen=True, slots=True)
class _Judgements:
    """What a run is scored by.

    Attributes:
        name: where they are from.
        clusters: by query, what is resampled together, where that isn't the query itself.
        sides: the queries and the corpus, where they are known.
    """

    name: str
    qrels: Qrels
    direction: str = "queries to documents"
    clusters: Mapping[str, str] = field(default_factory=dict)
    sides: tuple[tuple[Item, ...], ...] = ()
    problems: tuple[Problem, ...] = ()


def score_run(
    run: Path,
    *,
    qrels: Path | None = None,
    dataset: Dataset | None = None,
    measures: tuple[str, ...] = DEFAULT,
    card: Mapping[str, Card] | None = None,
) -> Evaluation:
    """Score a run in TREC's format by qrels of TREC, or of a data set in the direction it asks.

    Raises:
        UsageError: a file can't be used, or a measure is unknown.
    """
    found = read_run(run)
    judged = _judgements(found, qrels, dataset)
    ranks, queries = ranks_of(found, judged.qrels)
    names = tuple(judged.clusters.get(query, query) for query in queries)
    values = values_of(map(parse_measure, measures), ranks)
    key = Key(judged.direction, "run")
    data: Card = {
        "run": str(run),
        "judgements": judged.name,
        "queries": len(queries),
        "relevant pairs": len(ranks.ranks),
        "digest": digest(judged.qrels, *judged.sides),
    }
    sections: dict[str, Card] = {
        "data": data,
        "protocol": {"ties": "by document id", "what isn't returned": "isn't found"},
        "measured": how_measured(measures),
        **where_measured(),
    }
    return Evaluation(
        card={**(card or {}), **sections},
        measurements=(Measurement(key, queries, names, ranks, estimates(values, names)),),
        problems=(*judged.problems, *_problems(found, judged.qrels, queries)),
    )


def measures_of(
    ranked: Mapping[str, Sequence[str]],
    qrels: Qrels,
    *,
    measures: Sequence[str] = DEFAULT,
    clusters: Mapping[str, str] | None = None,
) -> dict[str, Estimate]:
    """The measures of rankings that somebody has in memory.

    Args:
        ranked: by query, ids of documents, best first, twice told ones once; a judged query that
            isn't there found nothing.
        qrels: by query, the gain of each document; above 0: relevant.
        measures: see `measures.parse_measure`.
        clusters: by query, what is resampled together; None: each query by itself.

    Raises:
        UsageError: a measure is unknown.
    """
    run = {
        query: tuple((one, -float(place)) for place, one in enumerate(dict.fromkeys(documents)))
        for query, documents in ranked.items()
    }
    ranks, queries = ranks_of(run, qrels)
    names = [(clusters or {}).get(query, query) for query in queries]
    return estimates(values_of(map(parse_measure, measures), ranks), names)


def _judgements(run: Run, qrels: Path | None, dataset: Dataset | None) -> _Judgements:
    """Those of the file, or of the data set in the direction in which it knows most queries."""
    if dataset is None:
        assert qrels is not None, "a run is scored by qrels or by a data set"
        return _Judgements(str(qrels), read_qrels(qrels))
    asked = max(directions(dataset), key=lambda one: sum(query in one.qrels for query in run))
    return _Judgements(
        asked.name,
        asked.qrels,
        asked.direction,
        clusters_of(asked),
        (asked.queries, asked.corpus),
        asked.problems,
    )


def _problems(run: Run, qrels: Qrels, judged: tuple[str, ...]) -> list[Problem]:
    known = set(judged)
    found = {
        "judged queries without results": [query for query in judged if not run.get(query)],
        "queries of the run that nobody judged": [query for query in run if query not in qrels],
        "judged queries without a relevant document": [q for q in qrels if q not in known],
    }
    return [Problem(what, len(ids), tuple(ids[:EXAMPLES])) for what, ids in found.items() if ids]

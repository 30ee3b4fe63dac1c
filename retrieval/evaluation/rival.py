"""The run of another engine, scored: what it returned, by the measures that ours is scored by.

Gets: a run and qrels, in TREC's files or from a data set. Gives: an `Evaluation`. Touches: those
files. Never: an encoder, a collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .measures import DEFAULT, parse_measure, values_of
from .qrels import inverted, read_qrels
from .run import Run, ranks_of, read_run
from .schema import Dataset, Evaluation, Key, Measurement, Problem, Qrels
from .searcher import Card
from .significance import estimates

WAY = "run"
_EXAMPLES = 5


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
    direction, judgements, clusters = _judgements(found, qrels, dataset)
    ranks, queries = ranks_of(found, judgements)
    names = tuple(clusters.get(query, query) for query in queries)
    values = values_of(map(parse_measure, measures), ranks)
    row = Measurement(Key(direction, WAY), queries, names, ranks, estimates(values, names))
    data: Card = {"run": str(run), "judgements": str(qrels or (dataset and dataset.name))}
    return Evaluation(
        card={**(card or {}), "data": data},
        measurements=(row,),
        problems=(*(dataset.problems if dataset else ()), *_problems(found, judgements, queries)),
    )


def _judgements(
    run: Run, qrels: Path | None, dataset: Dataset | None
) -> tuple[str, Qrels, Mapping[str, str]]:
    """(direction, qrels, cluster of each query that has one other than itself)."""
    if dataset is None:
        assert qrels is not None, "a run is scored by qrels or by a data set"
        return "queries to documents", read_qrels(qrels), {}
    backwards = inverted(dataset.qrels)
    forwards, back = (sum(query in side for query in run) for side in (dataset.qrels, backwards))
    if back > forwards:
        asked, found = dataset.direction.split(" to ")
        return f"{found} to {asked}", backwards, {}
    pictures = {query: next(iter(relevant)) for query, relevant in dataset.qrels.items()}
    return dataset.direction, dataset.qrels, pictures


def _problems(run: Run, qrels: Qrels, judged: tuple[str, ...]) -> list[Problem]:
    known = set(judged)
    found = {
        "judged queries without results": [query for query in judged if not run.get(query)],
        "queries of the run that nobody judged": [query for query in run if query not in qrels],
        "judged queries without a relevant document": [q for q in qrels if q not in known],
    }
    return [Problem(what, len(ids), tuple(ids[:_EXAMPLES])) for what, ids in found.items() if ids]

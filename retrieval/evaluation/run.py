"""Runs as TREC keeps them: what a search gave for each query.

Gets: a file. Gives: a run, and the ranks of what is relevant. Touches: that file. Never: a search.

A run is ordered by falling score, ties by document id, ascending; the column of ranks is ignored,
as trec_eval does. (trec_eval itself lets ties fall by descending id; whoever needs its very figure
for a run with ties has to break them before.) What it doesn't hold wasn't found, however far it
goes, as at TREC.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .datasets.files import filled_lines, malformed
from .schema import Qrels, Ranks

Run = Mapping[str, tuple[tuple[str, float], ...]]  # query id -> (document id, score), best first


def read_run(path: Path) -> Run:
    """Read ``query Q0 document rank score tag`` lines.

    Raises:
        UsageError: the file can't be read, a line isn't such a one, or a document comes twice.
    """
    found: dict[str, dict[str, float]] = {}
    for number, line in filled_lines(path):
        try:
            query, _, document, _, text, _ = line.split()
            score = float(text)
        except ValueError as error:
            why = "it isn't `query Q0 document rank score tag`"
            raise malformed(path, number, why) from error
        if math.isnan(score):
            raise malformed(path, number, "its score is no number")
        if document in found.setdefault(query, {}):
            raise malformed(path, number, f"{query} has {document} twice")
        found[query][document] = score
    return {query: _ordered(scores) for query, scores in found.items()}


def ranks_of(run: Run, qrels: Qrels) -> tuple[Ranks, tuple[str, ...]]:
    """Where the relevant documents came, and the ids of the queries that were judged.

    A judged query without results counts: its ranks are inf. One without a relevant document is
    left out; the caller counts it.
    """
    queries: list[str] = []
    starts, ranks, gains = [0], list[float](), list[float]()
    for query, judgements in qrels.items():
        relevant = {document: gain for document, gain in judgements.items() if gain > 0}
        if not relevant:
            continue
        places = {document: rank for rank, (document, _) in enumerate(run.get(query, ()), start=1)}
        queries.append(query)
        ranks += [places.get(document, math.inf) for document in relevant]
        gains += relevant.values()
        starts.append(len(ranks))
    found = Ranks(
        np.array(starts, np.int64),
        np.array(ranks, np.float64),
        np.array(gains, np.float64),
    )
    return found, tuple(queries)


def _ordered(scores: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(scores.items(), key=lambda pair: (-pair[1], pair[0])))

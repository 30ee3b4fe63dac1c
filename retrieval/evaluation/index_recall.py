"""Index recall: how much of the exact answer a vector store gives.

Gets: a vector store and queries. Gives: `IndexRecall`. Touches: the store, read-only. Never: qrels:
it tells what the index loses, and not how good the vectors are.

All stored vectors are read once, block by block, and compared exactly. A document that the store
returned counts as right when its own cosine reaches that of the k-th best, so that equal ones may
come in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from ..protocols import VectorStore
from ..schema import FloatArray
from .measures import parse_measure
from .schema import IndexRecall
from .significance import estimates

CUTS = (1, 10, 100)
_BLOCK = 4096  # vectors that are compared at once
_ROUNDING = 1e-6  # of a cosine, by whichever route it was computed


def index_recall(store: VectorStore, channel: str, queries: FloatArray) -> IndexRecall:
    """Ask a store with (n, dim) queries of norm 1, and look at everything that it holds.

    Recall at k is the mean share of the k exact nearest documents that are among the first k the
    store returned; for no k that is more than it holds, which would tell nothing.
    """
    cuts = [k for k in CUTS if k <= store.count()] or CUTS[:1]
    exact = _best_scores(store, queries, max(cuts))
    returned = store.search(queries, max(cuts))
    values = {k: np.ones(len(queries)) for k in cuts}
    for number, ranking in enumerate(returned):
        vectors = store.get(ranking.ids)
        scores = np.array([vectors[id_] @ queries[number] for id_ in ranking.ids if id_ in vectors])
        for k in cuts:
            wanted = exact[number, :k]
            least = wanted[-1] if len(wanted) else np.inf
            right = np.count_nonzero(scores[:k] >= least - _ROUNDING)
            values[k][number] = min(1.0, right / max(len(wanted), 1))
    clusters = tuple(map(str, range(len(queries))))
    measured = estimates({parse_measure(f"recall@{k}"): row for k, row in values.items()}, clusters)
    return IndexRecall(channel, len(queries), {k: measured[f"recall@{k}"] for k in cuts})


def _best_scores(store: VectorStore, queries: FloatArray, count: int) -> FloatArray:
    """(n, count or all there are) exact cosines of the nearest documents, falling."""
    best = np.empty((len(queries), 0), np.float32)
    for block in _blocks(store):
        scores = np.concatenate([best, queries @ block.T], axis=1)
        best = -np.sort(-scores, axis=1)[:, :count]
    return best


def _blocks(store: VectorStore) -> Iterator[FloatArray]:
    ids = iter(store.scan())
    while block := list(islice(ids, _BLOCK)):
        found = store.get(block)
        if found:
            yield np.stack(list(found.values()))

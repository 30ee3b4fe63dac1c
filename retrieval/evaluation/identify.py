"""The pictures of a data set, read once: which bytes they are, and which can't be used.

Gets: a data set. Gives: the same with each picture's `asset`; without those that can't be read, and
with copies merged, all of it told as problems. Touches: the pictures' bytes. Never: an encoder.

Two pictures with the same bytes are one asset, so they are one item of the corpus: whichever of
them a search gives, a person sees the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from .qrels import merged
from .schema import Dataset, Item, Problem

EXAMPLES = 5


def identified(dataset: Dataset) -> Dataset:
    """The data set with the SHA-256 of each picture; unreadable ones leave it, copies are one."""
    assets: dict[str, str] = {}
    failed: list[str] = []
    for item in (*dataset.queries, *dataset.corpus):
        if item.media is not None and item.id not in assets:
            try:
                assets[item.id] = hashlib.sha256(item.media.read()).hexdigest()
            except OSError:
                failed.append(item.id)
    known = replace(
        dataset,
        queries=_with_assets(dataset.queries, assets),
        corpus=_with_assets(dataset.corpus, assets),
    )
    return merged(without(known, failed, "images that can't be read"), assets)


def _with_assets(items: Iterable[Item], assets: Mapping[str, str]) -> tuple[Item, ...]:
    return tuple(replace(item, asset=assets.get(item.id, "")) for item in items)


def without(dataset: Dataset, ids: Collection[str], what: str) -> Dataset:
    """The data set without some of its items, and without the queries that nothing answers then."""
    gone = set(ids)
    if not gone:
        return dataset
    corpus = tuple(item for item in dataset.corpus if item.id not in gone)
    qrels = {
        query: {document: gain for document, gain in relevant.items() if document not in gone}
        for query, relevant in dataset.qrels.items()
        if query not in gone
    }
    qrels = {query: relevant for query, relevant in qrels.items() if relevant}
    queries = tuple(item for item in dataset.queries if item.id in qrels)
    problems = [*dataset.problems, Problem(what, len(gone), _examples(dataset, gone))]
    lost = len(dataset.queries) - len(queries) - sum(q.id in gone for q in dataset.queries)
    if lost:
        problems.append(Problem("queries that lose all that answers them", lost))
    return replace(dataset, queries=queries, corpus=corpus, qrels=qrels, problems=tuple(problems))


def _examples(dataset: Dataset, ids: Collection[str]) -> tuple[str, ...]:
    items = {item.id: item for item in (*dataset.queries, *dataset.corpus)}
    names = (m.name if (m := items[id_].media) is not None else id_ for id_ in ids)
    return tuple(sorted(names))[:EXAMPLES]

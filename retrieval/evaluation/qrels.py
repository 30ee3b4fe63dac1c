"""Judgements: turned round, put in places, joined where two pictures are one, cut into folds.

Gets: a `Dataset` or qrels. Gives: new ones; nothing is changed in place. Touches: the file of
`read_qrels` alone. Never: a picture, a store.

A data set maps captions to pictures one to one or many to one; a collection keeps equal bytes once.
`merged` makes the data set so too: copies become one item that is relevant wherever one of them
was, since no search could tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import UsageError
from .datasets.files import filled_lines, malformed
from .schema import EXAMPLES, NOUNS, Dataset, Item, Judged, Problem, Qrels

_COPIES = "that are copies of another"


def read_qrels(path: Path) -> Qrels:
    """TREC's judgements: ``query 0 document gain`` a line.

    Raises:
        UsageError: the file can't be read, a line isn't such a one, or a pair is judged twice.
    """
    qrels: dict[str, dict[str, float]] = {}
    for number, line in filled_lines(path):
        try:
            query, _, document, score = line.split()
            gain = float(score)
        except ValueError as error:
            raise malformed(path, number, "it isn't `query 0 document gain`") from error
        if not math.isfinite(gain):
            raise malformed(path, number, f"its gain is {score}")
        if document in qrels.setdefault(query, {}):
            raise malformed(path, number, f"{query} and {document} are judged twice")
        qrels[query][document] = gain
    return qrels


def inverted(qrels: Qrels) -> Qrels:
    """The same judgements, asked from the other side, in the order in which they come up."""
    turned_round: dict[str, dict[str, float]] = {}
    for query, documents in qrels.items():
        for document, gain in documents.items():
            turned_round.setdefault(document, {})[query] = gain
    return turned_round


def owners(direction: Dataset) -> Mapping[str, tuple[str, ...]]:
    """By item of the corpus, the queries that it is relevant to."""
    return {
        name: tuple(query for query, gain in queries.items() if gain > 0)
        for name, queries in inverted(direction.qrels).items()
    }


def turned(dataset: Dataset) -> Dataset:
    """The other direction: what was searched asks, what asked is searched.

    An item that answers no query can't ask: it leaves, and is counted.

    Raises:
        UsageError: none can ask.
    """
    qrels = inverted(dataset.qrels)
    queries = tuple(item for item in dataset.corpus if _relevant(qrels.get(item.id, {})))
    if not queries:
        raise UsageError(
            f"{dataset.name} has no relevant pair, so nothing can be asked the other way round.",
            advice="Check its judgements.",
        )
    kept = {item.id for item in queries}
    left = [item.id for item in dataset.corpus if item.id not in kept]
    noun = NOUNS[dataset.corpus[0].modality]
    pictures = dataset.corpus[0].media is not None
    what = f"{noun} without a caption" if pictures else "queries without a relevant document"
    return replace(
        dataset,
        queries=queries,
        corpus=dataset.queries,
        qrels={item.id: qrels[item.id] for item in queries},
        problems=_told(dataset.problems, what, left),
    )


def judged(dataset: Dataset) -> Judged:
    """The relevant documents of each query of a data set, by places in its corpus.

    Judgements of ids that it doesn't hold count for nothing.
    """
    place = {item.id: number for number, item in enumerate(dataset.corpus)}
    rows = [
        sorted(
            (place[document], gain)
            for document, gain in dataset.qrels.get(query.id, {}).items()
            if gain > 0 and document in place
        )
        for query in dataset.queries
    ]
    pairs = [pair for row in rows for pair in row]
    return Judged(
        starts=np.cumsum([0, *map(len, rows)], dtype=np.int64),
        documents=np.array([place for place, _ in pairs], np.int64),
        gains=np.array([gain for _, gain in pairs], np.float64),
    )


def merged(dataset: Dataset, key_of: Mapping[str, str]) -> Dataset:
    """Make pictures with the same content one: the first of them, with the judgements of all.

    Args:
        dataset: of either direction; texts stay as they are.
        key_of: the content's hash by a picture's id; one without a key is no copy.
    """
    queries, query_ids = _first_of_each(dataset.queries, key_of)
    corpus, corpus_ids = _first_of_each(dataset.corpus, key_of)
    qrels: dict[str, dict[str, float]] = {}
    for query, documents in dataset.qrels.items():
        union = qrels.setdefault(query_ids.get(query, query), {})
        for document, gain in documents.items():
            first = corpus_ids.get(document, document)
            union[first] = max(gain, union.get(first, gain))
    copies = [one for ids in (query_ids, corpus_ids) for one, first in ids.items() if one != first]
    media = next((i for i in (*dataset.corpus, *dataset.queries) if i.media is not None), None)
    noun, problems = NOUNS[media.modality if media else "image"], dataset.problems
    return replace(
        dataset,
        queries=queries,
        corpus=corpus,
        qrels=qrels,
        problems=_told(dataset.problems, f"{noun} {_COPIES}", copies) if copies else problems,
    )


def tells_copies(problem: Problem) -> bool:
    """Whether it is about copies, which are no fault of the data."""
    return problem.what.endswith(_COPIES)


def fold(dataset: Dataset, number: int, count: int) -> Dataset:
    """One of `count` consecutive parts of the pictures, with their captions.

    COCO's figures on 1K pictures are means over the five folds of Karpathy's 5K test pictures, in
    the order of his file. Where the pictures can't be cut evenly, the first parts have one more.

    Args:
        dataset: of either direction: its pictures are cut (the corpus, if both or neither are).
        number: from 0, below `count`.
        count: of parts.

    Raises:
        UsageError: there is no such part, or nothing in it is asked for.
    """
    asking = dataset.queries[0].media is not None and dataset.corpus[0].media is None
    pictures = dataset.queries if asking else dataset.corpus
    size = len(pictures)
    if not 0 <= number < count <= size:
        raise UsageError(
            f"Fold {number} of {count} can't be had of {size:,} items.",
            advice="Folds count from 0, and none may be empty.",
        )
    start, end = (part * (size // count) + min(part, size % count) for part in (number, number + 1))
    part = {item.id for item in pictures[start:end]}
    if asking:
        qrels = {query: found for query, found in dataset.qrels.items() if query in part}
        part = {document for found in qrels.values() for document in found}
    else:
        qrels = {query: _within(found, part) for query, found in dataset.qrels.items()}
    queries = tuple(item for item in dataset.queries if _relevant(qrels.get(item.id, {})))
    if not queries:
        raise UsageError(
            f"Fold {number} of {count} of {dataset.name} answers no query.",
            advice="Ask for fewer folds.",
        )
    return replace(
        dataset,
        queries=queries,
        corpus=tuple(item for item in dataset.corpus if item.id in part),
        qrels={item.id: qrels[item.id] for item in queries},
    )


def _within(judgements: Mapping[str, float], ids: Set[str]) -> Mapping[str, float]:
    return {document: gain for document, gain in judgements.items() if document in ids}


def _relevant(judgements: Mapping[str, float]) -> bool:
    return any(gain > 0 for gain in judgements.values())


def _first_of_each(
    items: Sequence[Item], key_of: Mapping[str, str]
) -> tuple[tuple[Item, ...], dict[str, str]]:
    """The items without copies, and for each picture the id of the one that stands for it."""
    first: dict[str, str] = {}
    stands_for: dict[str, str] = {}
    for item in items:
        if item.media is not None and item.id in key_of:
            stands_for[item.id] = first.setdefault(key_of[item.id], item.id)
    return tuple(one for one in items if stands_for.get(one.id, one.id) == one.id), stands_for


def _told(problems: tuple[Problem, ...], what: str, ids: Sequence[str]) -> tuple[Problem, ...]:
    """The problems with one about these ids, in the place of an older one of the kind."""
    others = tuple(problem for problem in problems if problem.what != what)
    return (*others, Problem(what, len(ids), tuple(ids[:EXAMPLES]))) if ids else others

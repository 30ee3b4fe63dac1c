"""The straight line of an evaluation: read, encode, rank, measure.

Gets: a data set, an encoder's `Embedding`, perhaps a `Searcher`. Gives: an `Evaluation`. Touches:
what these touch. Never: a collection by itself; decides what is good enough (`gates` does).

Each direction is measured as it is, by further judgements where there are some, and once for each
change; the exact way (embeddings alone) and the deployed way (through the searcher) side by side.
Films and sounds have parts, which a searcher holds: their exact way is by the vectors that it has
of these, channel by channel, and nothing is decoded.
A change of words is one of questions. One of pictures is one of whatever holds them: as questions
they are asked both ways; as the corpus the exact way alone, since a collection holds them unspoilt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import UsageError
from ..schema import FloatArray, Role
from .card import card_of, joined_cards
from .embeddings import Embedding
from .exact import rank_exactly
from .folds import rank_in_folds
from .identify import identified, without_pictures
from .judgements import further_qrels, unfindable
from .measures import parse_measure, values_of, with_unfindable
from .options import EvaluateOptions
from .perturb import Change
from .placed import ranks_among
from .pooled import rank_by_wholes, rank_wholes
from .qrels import judged, tells_copies
from .schema import (
    NOUNS,
    TIMED,
    Dataset,
    Estimate,
    Evaluation,
    IndexRecall,
    IntArray,
    Item,
    Key,
    Measurement,
    Problem,
    Qrels,
    Ranks,
)
from .searcher import Card, Found, Searcher, Searching
from .significance import MOST_SLICES, estimates, rsum, slices
from .tasks import (
    LANGUAGE,
    Task,
    check_slices,
    clusters_of,
    directions,
    is_timed,
    tasks_of,
    values_to_slice_by,
)

FIRST = 10  # documents of each query that are kept for the report


@dataclass(frozen=True, slots=True)
class _Labels:
    """Whose judgements: the data's own ("") or others', and the queries that they are of."""

    labels: str
    qrels: Qrels


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is measured of one direction.

    Attributes:
        data: the whole direction.
        judgements: the data's own first.
        clusters: by query, what is resampled together.
        tasks: the clean one first.
    """

    data: Dataset
    judgements: tuple[_Labels, ...]
    clusters: Mapping[str, str]
    tasks: tuple[Task, ...]


def evaluate(
    dataset: Dataset,
    embedding: Embedding,
    *,
    options: EvaluateOptions | None = None,
    searcher: Searcher | None = None,
    card: Mapping[str, Card] | None = None,
) -> Evaluation:
    """Measure how well a data set's texts and pictures find each other.

    Args:
        dataset: from `datasets.open_dataset`.
        embedding: encodes them.
        options: how to go about it.
        searcher: holds the corpus and is asked too; None for the exact way alone.
        card: sections that the run card begins with.

    Raises:
        UsageError: nothing is left to measure, or an option doesn't fit the data set.
        EcholensError: what the encoder or the searcher raises.
    """
    options = options or EvaluateOptions()
    _check(dataset, options, searcher)
    dataset = identified(dataset, embedding.documents.limits, embedding.documents.watch)
    if searcher is not None:
        dataset = searcher.known(dataset)
    check_slices(dataset, options.slices)
    timed = is_timed(dataset)
    if not timed:
        dataset = _readable(dataset, embedding)
    plans, notes = _plans(dataset, options)
    rows: list[Measurement] = []
    recalls: list[IndexRecall] = []
    sections: dict[str, Card] = {**(card or {}), **card_of(dataset, embedding, options)}
    for plan in plans:
        for task in plan.tasks:
            if options.exact and timed and searcher is not None:
                rows += _exact_by_parts(plan, task, searcher, options)
            elif options.exact:
                rows += _exact(plan, task, embedding, options)
            searching = _opened(task, searcher, options)
            if searching is not None:
                vectors = {embedding.space: _asked(embedding, task)}
                rows += _deployed(plan, task, searching.found(vectors), options)
                if task.change is None:
                    recalls += searching.index_recall(vectors)
                    sections[f"searchable, {task.direction.direction}"] = searching.searchable()
    copies = [f"Merged: {one}." for one in dataset.problems if tells_copies(one)]
    return Evaluation(
        card=sections,
        measurements=tuple(rows),
        rsum=_rsums(rows),
        index_recall=tuple(recalls),
        problems=_problems(dataset, plans),
        notes=(*copies, *notes, *embedding.notes, *(searcher.notes if searcher else ())),
        degraded=searcher is not None and searcher.degraded,
        data={plan.data.direction: plan.tasks[0].data for plan in plans},
    )


def joined(evaluations: Sequence[Evaluation]) -> Evaluation:
    """One evaluation of several that measured different directions."""
    return Evaluation(
        card=joined_cards([one.card for one in evaluations]),
        measurements=tuple(row for one in evaluations for row in one.measurements),
        rsum={key: estimate for one in evaluations for key, estimate in one.rsum.items()},
        index_recall=tuple(row for one in evaluations for row in one.index_recall),
        problems=tuple(dict.fromkeys(p for one in evaluations for p in one.problems)),
        notes=tuple(dict.fromkeys(note for one in evaluations for note in one.notes)),
        degraded=any(one.degraded for one in evaluations),
        data={direction: data for one in evaluations for direction, data in one.data.items()},
    )


def _check(dataset: Dataset, options: EvaluateOptions, searcher: Searcher | None) -> None:
    """Refuse what doesn't need the data to be read to be refused."""
    for name in options.measures:
        parse_measure(name)
    if is_timed(dataset) and (searcher is None or options.folds > 1):
        noun = next(NOUNS[i[0].modality] for i in (dataset.corpus, dataset.queries) if i[0].media)
        raise UsageError(
            f"{noun.capitalize()} are measured through a collection that holds them, not in folds."
            if searcher is not None
            else f"An encoder by itself can't be asked for {noun}: a collection must hold them.",
            advice="Index them first (echolens index FOLDER -c NAME), then evaluate with -c NAME.",
        )
    if not options.exact and (searcher is None or options.folds > 1):
        raise UsageError(
            "Nothing would be measured: a collection is never searched in folds.",
            advice="Leave out the folds, or measure the exact way.",
        )


def _readable(dataset: Dataset, embedding: Embedding) -> Dataset:
    """The data set without the pictures that can't be used; the others are encoded then."""
    pictures = [item for item in (*dataset.corpus, *dataset.queries) if item.media is not None]
    failed = embedding.of(pictures, "document").failed
    readable = without_pictures(dataset, failed, "images that can't be decoded")
    if not readable.queries:
        raise UsageError(
            f"Nothing of {dataset.name} can be measured: {'; '.join(map(str, readable.problems))}.",
            advice="Look at the pictures that are named.",
        )
    return readable


def _plans(dataset: Dataset, options: EvaluateOptions) -> tuple[list[_Plan], list[str]]:
    """The directions that are measured, and notes on what of them can't be."""
    notes: list[str] = []
    plans = []
    if options.folds > len(dataset.corpus):
        raise UsageError(
            f"{len(dataset.corpus):,} items can't be cut into {options.folds:,} folds.",
            advice="Ask for fewer folds.",
        )
    whole = options.folds == 1 and options.queries is None and not options.held_in
    for number, direction in enumerate(directions(dataset) if options.backwards else [dataset]):
        further = further_qrels(direction)
        note = further.note
        if further.qrels and not whole:
            note = f"{' and '.join(further.qrels)} judge the whole test split, asked without folds."
        notes += [note] if note and note not in notes else []
        others = [_Labels(name, qrels) for name, qrels in further.qrels.items() if whole]
        tasks = tasks_of(
            direction,
            held_in=0 if number else options.held_in,
            queries=options.queries,
            changes=options.changes,
        )
        own = _Labels("", direction.qrels)
        plans.append(_Plan(direction, (own, *others), clusters_of(direction), tuple(tasks)))
    return plans, notes


def _problems(dataset: Dataset, plans: Sequence[_Plan]) -> tuple[Problem, ...]:
    """Those of the data, and of its other direction; copies are no fault."""
    known = {one.what: one for plan in plans for one in plan.data.problems}
    known |= {one.what: one for one in dataset.problems}
    return tuple(one for one in known.values() if not tells_copies(one))


def _vectors(
    embedding: Embedding, items: Sequence[Item], role: Role, change: Change | None
) -> FloatArray:
    """The vectors of items that could be read before."""
    found = embedding.of(items, role, change)
    if found.failed:
        name, why = next(iter(found.failed.items()))
        raise UsageError(
            f"{len(found.failed):,} pictures can't be read any more; the first is {name}: {why}.",
            advice="Run the same command again.",
        )
    return found.vectors


def _asked(embedding: Embedding, task: Task) -> FloatArray:
    return _vectors(embedding, task.queries, "query", task.change_of_queries)


def _exact(
    plan: _Plan, task: Task, embedding: Embedding, options: EvaluateOptions
) -> Iterator[Measurement]:
    """The rows of a task by the embeddings alone, one by each of the judgements."""
    queries = _asked(embedding, task)
    corpus = _vectors(embedding, task.direction.corpus, "document", task.change_of_corpus)
    if options.folds > 1:
        ranks, first = rank_in_folds(task, queries, corpus, options.folds, first=FIRST)
        yield _measured(plan, task.key("exact"), task.data, (ranks, first), options)
        return
    for one, data, asked in _judged_by(plan, task):
        found = rank_exactly(queries[asked], corpus, judged(data), first=FIRST)
        yield _measured(plan, task.key("exact", labels=one.labels), data, found, options)


def _exact_by_parts(
    plan: _Plan, task: Task, searcher: Searcher, options: EvaluateOptions
) -> Iterator[Measurement]:
    """The rows of a task about films or sounds by their parts: one by each of their channels.

    Texts are encoded as questions in both directions: both are of one table of cosines.
    """
    asks = task.queries[0].media is not None
    wholes, texts = task.queries, task.direction.corpus
    if not asks:
        wholes, texts = texts, wholes
    channels = searcher.parts(wholes)
    for part in channels:
        vectors = _vectors(part.embedding, texts, "query", task.change_of_queries)
        relevant = judged(task.data)
        if asks:
            found = rank_by_wholes(part.vectors, part.owners, vectors, len(wholes), relevant)
        else:
            found = rank_wholes(vectors, part.vectors, part.owners, len(wholes), relevant)
        legs = part.channel if len(channels) > 1 else "fused"
        yield _measured(plan, task.key("exact", legs), task.data, found, options)


def _deployed(
    plan: _Plan, task: Task, found: Iterable[Found], options: EvaluateOptions
) -> Iterator[Measurement]:
    """The rows of a task through a searcher: each way of searching by each of the judgements."""
    for way in found:
        for one, data, asked in _judged_by(plan, task):
            places = way.places[asked]
            ranked = ranks_among(places, judged(data)), places[:, :FIRST]
            key = task.key("deployed", way.legs, one.labels)
            yield _measured(plan, key, data, ranked, options)


def _judged_by(plan: _Plan, task: Task) -> Iterator[tuple[_Labels, Dataset, IntArray]]:
    """By judgements, the queries that were judged, and their places; changed ones by the own."""
    place_of = {item.id: place for place, item in enumerate(task.queries)}
    for one in plan.judgements if task.change is None else plan.judgements[:1]:
        data = task.judged_by(one.qrels)
        yield one, data, np.array([place_of[item.id] for item in data.queries], np.int64)


def _opened(task: Task, searcher: Searcher | None, options: EvaluateOptions) -> Searching | None:
    """The searcher, ready for a task; None where it can't be asked.

    It holds its pictures unspoilt, and all of the corpus at once. Films can't be asked with.
    """
    if searcher is None or not options.search:
        return None
    if options.folds > 1 or task.change_of_corpus is not None:
        return None
    if task.queries[0].modality in TIMED:
        return None
    return searcher.open(task)


def _measured(
    plan: _Plan,
    key: Key,
    data: Dataset,
    ranked: tuple[Ranks, IntArray],
    options: EvaluateOptions,
) -> Measurement:
    ranks, first = ranked
    queries = tuple(item.id for item in data.queries)
    if key.labels:  # others may know of relevant documents that this corpus lacks
        corpus = [item.id for item in data.corpus]
        ranks = with_unfindable(ranks, unfindable(data.qrels, queries, corpus))
    values = values_of(map(parse_measure, options.measures), ranks)
    names = tuple(plan.clusters[query] for query in queries)
    by = values_to_slice_by(data, _fields(data, options), plan.clusters)
    return Measurement(
        key=key,
        queries=queries,
        clusters=names,
        ranks=ranks,
        measures=estimates(values, names),
        slices=slices(values, names, by),
        first=first,
    )


def _fields(data: Dataset, options: EvaluateOptions) -> tuple[str, ...]:
    """What is told apart by: what was asked for, and languages where there are several."""
    languages = {item.fields.get(LANGUAGE) for item in data.queries}
    by_itself = (LANGUAGE,) if 1 < len(languages) <= MOST_SLICES else ()
    return tuple(dict.fromkeys((*options.slices, *by_itself)))


def _rsums(found: Sequence[Measurement]) -> dict[Key, Estimate]:
    """RSUM of the rows that stand there in both directions."""
    by_key = {one.key: one for one in found}
    sums = {}
    for key, one in by_key.items():
        asks, _, asked = key.direction.partition(" to ")
        other = by_key.get(replace(key, direction=f"{asked} to {asks}"))
        if asks == "text" != asked and other is not None:
            both = [(one.ranks, one.clusters), (other.ranks, other.clusters)]
            sums[replace(key, direction="both")] = rsum(both)
    return sums

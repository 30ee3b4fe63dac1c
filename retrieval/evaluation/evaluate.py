"""The straight line of an evaluation: read, encode, rank, measure.

Gets: a data set, an encoder's `Embedding`, perhaps a `Searcher`. Gives: an `Evaluation`. Touches:
what these touch. Never: a collection by itself; decides what is good enough (`gates` does).

Each direction is measured as it is, by further judgements where there are some, and once for each
change; the exact way (embeddings alone) and the deployed way (through the searcher) side by side.
A change of words is one of questions. One of pictures is one of whatever holds them: as questions
they are asked both ways; as the corpus the exact way alone, since a collection holds them unspoilt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import UsageError
from ..schema import FloatArray
from .card import card_of, joined_cards
from .embeddings import Embedding
from .exact import rank_exactly
from .folds import rank_in_folds
from .identify import identified, without
from .judgements import further_qrels, unfindable
from .measures import DEFAULT, Measure, parse_measure, values_of, with_unfindable
from .perturb import Change
from .qrels import COPIES, judged
from .schema import (
    Dataset,
    Estimate,
    Evaluation,
    IndexRecall,
    IntArray,
    Key,
    Measurement,
    Ranks,
)
from .searcher import Card, Searcher
from .significance import MOST_SLICES, estimates, rsum, slices
from .tasks import LENGTH, changed, clusters, directions, hold_in, sampled, values_to_slice_by

LANGUAGE = "language"
FIRST = 10  # documents of each query that are kept for the report
RSUM_OF = ("text to image", "image to text")


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """How an evaluation goes about it.

    Attributes:
        measures: see `measures.parse_measure`.
        slices: fields of the queries, or ``length``, that the measures are told apart by; by
            ``language`` they are anyway where queries are in several.
        changes: how pictures and words are spoilt, beside the clean run.
        folds: COCO's 1K protocol has 5: every picture is ranked within its fifth of the corpus.
        held_in: so many texts of each picture are not asked with, and may be found by.
        queries: at most so many of each direction; None for all.
        exact: whether the exact way is measured.
        backwards: whether the other direction is measured too.
    """

    measures: tuple[str, ...] = DEFAULT
    slices: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    folds: int = 1
    held_in: int = 0
    queries: int | None = None
    exact: bool = True
    backwards: bool = True


@dataclass(frozen=True, slots=True)
class _Task:
    """One row to be measured, but for the way and the legs."""

    data: Dataset
    labels: str = ""
    change: Change | None = None

    @property
    def name(self) -> str:
        return self.change.name if self.change else ""

    def key(self, way: str, legs: str = "fused") -> Key:
        return Key(self.data.direction, way, legs, self.labels, self.name)


def evaluate(
    dataset: Dataset,
    embedding: Embedding,
    *,
    options: EvaluateOptions = EvaluateOptions(),
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
    measures = tuple(map(parse_measure, options.measures))
    _check_slices(dataset, options)
    dataset = _readable(identified(dataset), embedding)
    copies = [f"Merged: {one}." for one in dataset.problems if one.what == COPIES]
    tasks, notes = _tasks(dataset, options)
    found: list[Measurement] = []
    recalls: list[IndexRecall] = []
    sections: dict[str, Card] = {**(card or {}), **card_of(dataset, embedding, options)}
    for task in tasks:
        queries = _vectors_of_queries(task, embedding)
        if options.exact:
            ranks, first = _exact(task, queries, embedding, options.folds)
            found.append(_measured(task, task.key("exact"), ranks, first, measures, options))
        asks = searcher is not None and _can_be_asked(task, options)
        searching = searcher.open(task.data) if searcher is not None and asks else None
        if searching is not None:
            vectors = {embedding.space: queries}
            for one in searching.found(vectors):
                key = task.key("deployed", one.legs)
                found.append(_measured(task, key, one.ranks, one.first, measures, options))
            if task.change is None and not task.labels:
                recalls += searching.index_recall(vectors)
                sections[f"searchable, {task.data.direction}"] = searching.searchable()
    return Evaluation(
        card=sections,
        measurements=tuple(found),
        rsum=_rsums(found),
        index_recall=tuple(recalls),
        problems=tuple(one for one in dataset.problems if one.what != COPIES),
        notes=(*copies, *notes, *(searcher.notes if searcher is not None else ())),
        degraded=searcher is not None and searcher.degraded,
        data={task.data.direction: task.data for task in tasks if not task.labels + task.name},
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


def _check_slices(dataset: Dataset, options: EvaluateOptions) -> None:
    known = {name for item in (*dataset.queries, *dataset.corpus) for name in item.fields}
    for field in options.slices:
        if field not in {LENGTH, *known}:
            raise UsageError(
                f"{dataset.name} has no field `{field}` that it could be sliced by.",
                advice=f"Known: {', '.join(sorted({LENGTH, *known}))}.",
            )


def _readable(dataset: Dataset, embedding: Embedding) -> Dataset:
    """The data set without the pictures that can't be decoded; the others are encoded then."""
    pictures = [item for item in (*dataset.corpus, *dataset.queries) if item.media is not None]
    failed = embedding.of(pictures, "document").failed
    readable = without(dataset, failed, "images that can't be decoded")
    if not readable.queries:
        raise UsageError(
            f"Nothing of {dataset.name} can be measured: {'; '.join(map(str, readable.problems))}.",
            advice="Say where its pictures are with --images FOLDER.",
        )
    return readable


def _tasks(dataset: Dataset, options: EvaluateOptions) -> tuple[list[_Task], list[str]]:
    """What is measured, and notes on what can't be."""
    notes: list[str] = []
    tasks: list[_Task] = []
    for number, whole in enumerate(directions(dataset) if options.backwards else [dataset]):
        data = sampled(hold_in(whole, 0 if number else options.held_in), options.queries)
        if not data.queries:
            raise UsageError(
                f"All captions of {dataset.name} are held in, so none is left to ask with.",
                advice="Hold in fewer.",
            )
        tasks.append(_Task(data))
        further = further_qrels(whole, backwards=bool(number))
        notes += [further.note] if further.note and further.note not in notes else []
        if options.folds == 1 and options.queries is None and not options.held_in:
            tasks += [_Task(_judged_by(whole, q), name) for name, q in further.qrels.items()]
        tasks += [
            _Task(replace(data, queries=changed(data.queries, change)), change=change)
            for change in options.changes
            if change.modality in _changeable(data)
        ]
    return tasks, notes


def _changeable(data: Dataset) -> set[str]:
    """Modalities that may be changed: of the questions, and pictures wherever they are."""
    return {data.queries[0].modality, *({data.corpus[0].modality} & {"image"})}


def _judged_by(data: Dataset, qrels: Mapping[str, Mapping[str, float]]) -> Dataset:
    queries = tuple(item for item in data.queries if item.id in qrels)
    return replace(data, queries=queries, qrels=qrels)


def _can_be_asked(task: _Task, options: EvaluateOptions) -> bool:
    """Whether a searcher can be asked: it holds the whole corpus, and holds it unspoilt."""
    queries = task.data.queries[0].modality
    return options.folds == 1 and (task.change is None or task.change.modality == queries)


def _vectors_of_queries(task: _Task, embedding: Embedding) -> FloatArray:
    change = task.change if _asks_with_pictures(task) else None
    return embedding.of(task.data.queries, "query", change).vectors


def _asks_with_pictures(task: _Task) -> bool:
    return task.data.queries[0].media is not None


def _exact(
    task: _Task, queries: FloatArray, embedding: Embedding, folds: int
) -> tuple[Ranks, IntArray]:
    """Ranks of what is relevant, and the first documents, by the embeddings alone."""
    data = task.data
    spoils_pictures = task.change is not None and task.change.modality == "image"
    change = task.change if spoils_pictures and not _asks_with_pictures(task) else None
    corpus = embedding.of(data.corpus, "document", change).vectors
    if folds == 1:
        return rank_exactly(queries, corpus, judged(data), first=FIRST)
    return rank_in_folds(data, queries, corpus, folds, first=FIRST)


def _measured(
    task: _Task,
    key: Key,
    ranks: Ranks,
    first: IntArray,
    measures: Sequence[Measure],
    options: EvaluateOptions,
) -> Measurement:
    if task.labels:  # others may know of relevant documents that this corpus lacks
        corpus = [item.id for item in task.data.corpus]
        asked = [item.id for item in task.data.queries]
        ranks = with_unfindable(ranks, unfindable(task.data.qrels, asked, corpus))
    values = values_of(measures, ranks)
    names = clusters(task.data)
    by = values_to_slice_by(task.data, _fields(task.data, options))
    return Measurement(
        key=key,
        queries=tuple(item.id for item in task.data.queries),
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
        other = by_key.get(replace(key, direction=RSUM_OF[1]))
        if key.direction == RSUM_OF[0] and other is not None:
            both = [(one.ranks, one.clusters), (other.ranks, other.clusters)]
            sums[replace(key, direction="both")] = rsum(both)
    return sums

"""What ``echolens evaluate`` measures: its options become an evaluation.

Gets: click's options. Gives: an `Evaluation`. Touches: what the library does. Never: computes a
figure, prints.

There are several ways to measure, and most options mean something in some of them only. One table
says which; whatever else was given is refused, since an option that is ignored gives a figure of
something else than was asked for. So no option has a default here: the library has them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from .options import Call
from .progress import ProgressLine

if TYPE_CHECKING:
    from retrieval import Collection
    from retrieval.deployed import DeployedCollection
    from retrieval.evaluation.datasets import DatasetOptions
    from retrieval.evaluation.embeddings import Embedding
    from retrieval.evaluation.options import EvaluateOptions
    from retrieval.evaluation.schema import Dataset, Evaluation

KNOWN_ITEMS = 100  # queries of each kind where a collection measures itself
KNOWN_ITEM_CHANGES = "jpeg:30,blur:2"
TREC = "trec:"

Options = Mapping[str, Any]
Card = Mapping[str, Mapping[str, Any]]


class Way(StrEnum):
    """What is measured, as messages call it."""

    JUDGED_RUN = "a run by the judgements of TREC"
    RUN = "a run on DATA (--run)"
    KNOWN_ITEMS = "a collection without DATA"
    ENCODER = "DATA by an encoder alone (--encoder)"
    EXACT = "DATA by a collection's encoder alone (--exact)"
    COLLECTION = "DATA through a collection"


_OF_REPORT = ("measures", "require", "baseline", "json", "markdown")
_OF_DATA = ("data", "images", "split", "split_file", "captions", "per_image")
_OF_RUN = (*_OF_REPORT, "data", "run")
_OF_ANY = (*_OF_REPORT, "queries", "perturb", "slices", "plots", "device", "precision")
_ALONE = (*_OF_ANY, *_OF_DATA, "exact", "folds")
_THROUGH = (*_OF_ANY, "collection", "where", "depth")

MEANS: Mapping[Way, frozenset[str]] = MappingProxyType(
    {
        Way.JUDGED_RUN: frozenset(_OF_RUN),
        Way.RUN: frozenset((*_OF_RUN, *_OF_DATA)),
        Way.KNOWN_ITEMS: frozenset(_THROUGH),
        Way.ENCODER: frozenset((*_ALONE, "encoder")),
        Way.EXACT: frozenset((*_ALONE, "collection")),
        Way.COLLECTION: frozenset((*_THROUGH, *_OF_DATA, "held_in")),
    }
)


def way_of(call: Call, options: Options) -> Way:
    """The way that the options ask for; an option that means nothing in it is refused."""
    way = _way(call, options)
    of_call = {name: getattr(call, name) for name in ("collection", "device", "precision")}
    for name, value in {**options, **of_call}.items():
        if value == "":
            raise click.UsageError(f"--{_option(name)} is empty.")
        if _is_given(value) and name not in MEANS[way]:
            others = [other.value for other in Way if name in MEANS[other]]
            only = f", only for {' or '.join(others)}" if len(others) < 3 else ""
            raise click.UsageError(f"--{_option(name)} means nothing for {way}{only}.")
    return way


def _option(name: str) -> str:
    return {"slices": "slice", "measures": "measure"}.get(name, name).replace("_", "-")


def _way(call: Call, options: Options) -> Way:
    judgements = (options["data"] or "").startswith(TREC)
    if options["run"] is not None:
        if options["data"] is None:
            raise click.UsageError("--run needs judgements: name a data set, or trec:QRELS.")
        return Way.JUDGED_RUN if judgements else Way.RUN
    if judgements:
        raise click.UsageError("trec:QRELS judges a run: name it with --run.")
    if options["data"] is None:
        return Way.KNOWN_ITEMS
    if options["encoder"] is not None or not _has_collection(call):
        return Way.ENCODER
    return Way.EXACT if options["exact"] else Way.COLLECTION


def _has_collection(call: Call) -> bool:
    """Whether the default collection is there; one that was named has to be."""
    from retrieval.errors import CollectionNotFoundError

    try:
        call.open().close()
    except CollectionNotFoundError:
        if call.collection is not None:
            raise
        return False
    return True


def opened(way: Way, call: Call) -> AbstractContextManager[Collection | None]:
    """The collection that a way needs, open until its report is drawn; None where it needs none."""
    return nullcontext() if way in (Way.RUN, Way.JUDGED_RUN, Way.ENCODER) else call.open()


def measured(
    way: Way,
    collection: Collection | None,
    call: Call,
    options: Options,
    card: Card,
    progress: ProgressLine,
) -> Evaluation:
    """Do what the options ask for; `collection` is what `opened` gave."""
    from retrieval.evaluation.evaluate import evaluate

    if way in (Way.RUN, Way.JUDGED_RUN):
        return _of_run(way, options, card)
    if collection is None:
        data, chosen = _data(options), _chosen(options)
        return evaluate(data, _encoder(call, options, progress), options=chosen, card=card)
    if way is Way.KNOWN_ITEMS:
        return _of_known_items(collection, options, card, progress)
    found = _of_data(way, collection, options, card, progress)
    named = call.collection is not None or _given(options, "where", "held_in", "depth")
    missed = all(row.key.way == "exact" for row in found.measurements)
    if missed and not named:
        return replace(found, degraded=False)  # nobody asked for the default one
    return found


def _of_run(way: Way, options: Options, card: Card) -> Evaluation:
    """The run of another engine, by qrels or by the judgements of a data set."""
    from retrieval.evaluation.rival import score_run

    run, measures = _path(options["run"]), _given(options, "measures")
    if way is Way.JUDGED_RUN:
        qrels = _path(options["data"].removeprefix(TREC))
        return score_run(run, qrels=qrels, card=card, **measures)
    return score_run(run, dataset=_data(options), card=card, **measures)


def _of_known_items(
    collection: Collection, options: Options, card: Card, progress: ProgressLine
) -> Evaluation:
    """Known items of a collection, through it."""
    from retrieval.deployed import embedding_of
    from retrieval.evaluation.evaluate import evaluate, joined
    from retrieval.known_items import known_captions, known_pictures

    perturbed = {"perturb": KNOWN_ITEM_CHANGES, **_given(options, "perturb")}
    chosen = replace(_chosen({**options, **perturbed}), exact=False, backwards=False)
    searcher = _searcher(collection, options, progress)
    count = options["queries"] or KNOWN_ITEMS
    data = [make(collection, count, searcher.filter) for make in (known_pictures, known_captions)]
    if not any(data):
        which = " that passes the filter" if options["where"] else " that could be looked for"
        raise click.UsageError(f"The collection {collection.directory} holds no picture{which}.")
    embedding = embedding_of(collection, progress)
    return joined(
        [
            evaluate(known, embedding, options=chosen, searcher=searcher, card=card)
            for known in data
            if known is not None
        ]
    )


def _of_data(
    way: Way, collection: Collection, options: Options, card: Card, progress: ProgressLine
) -> Evaluation:
    """A data set by a collection's encoder, and through the collection unless only `exact`.

    Of films and sounds the collection holds what the exact way needs.
    """
    from retrieval.deployed import embedding_of
    from retrieval.evaluation.datasets import has_moments, open_moments
    from retrieval.evaluation.evaluate import evaluate
    from retrieval.evaluation.evaluate_moments import evaluate_moments
    from retrieval.evaluation.tasks import is_timed

    chosen = replace(_chosen(options), search=way is Way.COLLECTION)
    embedding = embedding_of(collection, progress)
    if has_moments(options["data"]):
        moments = open_moments(options["data"], _dataset_options(options))
        searcher = _searcher(collection, options, progress)
        return evaluate_moments(moments, embedding, searcher, options=chosen, card=card)
    data = _data(options)
    asks = way is Way.COLLECTION or is_timed(data)
    asked = _searcher(collection, options, progress) if asks else None
    return evaluate(data, embedding, options=chosen, searcher=asked, card=card)


def _encoder(call: Call, options: Options, progress: ProgressLine) -> Embedding:
    from retrieval.collection import limits_of
    from retrieval.evaluation.embeddings import Embedder, Embedding
    from retrieval.registry import open_encoder

    settings, url = call.settings(), options["encoder"]
    if url is None:
        url = settings.encoder
        call.note(f"note: there is no collection, so the encoder {url} is measured by itself")
    embedder = Embedder(
        open_encoder(url, settings.compute),
        limits=limits_of(settings),
        folder=settings.embeddings,
        watch=progress,
    )
    return Embedding(url, embedder)


def _data(options: Options) -> Dataset:
    from retrieval.evaluation.datasets import open_dataset

    return open_dataset(options["data"], _dataset_options(options))


def _dataset_options(options: Options) -> DatasetOptions:
    from retrieval.evaluation.datasets import CaptionsFile, DatasetOptions

    given = _given(options, "split", "per_image")
    for name in ("images", "split_file"):
        if options[name] is not None:
            given[name] = _path(options[name])
    captions = tuple(map(CaptionsFile.parse, options["captions"]))
    return DatasetOptions(captions=captions, **given)


def _searcher(
    collection: Collection, options: Options, progress: ProgressLine
) -> DeployedCollection:
    from retrieval.deployed import DeployedCollection

    return DeployedCollection(collection, watch=progress, **_given(options, "where", "depth"))


def _chosen(options: Options) -> EvaluateOptions:
    from retrieval.evaluation.options import EvaluateOptions
    from retrieval.evaluation.perturb import parse_changes

    wanted = options["perturb"]
    changes = () if wanted is None else parse_changes(wanted)
    given = _given(options, "measures", "slices", "folds", "held_in", "queries")
    return EvaluateOptions(changes=changes, **given)


def _given(options: Options, *names: str) -> dict[str, Any]:
    """Those of the options that were given; the library has defaults for the others."""
    return {name: options[name] for name in names if _is_given(options[name])}


def _is_given(value: object) -> bool:
    return value is not None and value is not False and value != ()


def _path(given: str) -> Path:
    return Path(os.path.expanduser(given))

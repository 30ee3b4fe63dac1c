"""What ``echolens evaluate`` measures: its options become an evaluation.

Gets: click's options. Gives: an `Evaluation`. Touches: what the library does. Never: computes a
figure, prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Call
from .progress import ProgressLine

if TYPE_CHECKING:
    from retrieval import Collection
    from retrieval.deployed import DeployedCollection
    from retrieval.evaluation.evaluate import EvaluateOptions
    from retrieval.evaluation.schema import Dataset, Evaluation

OF_DATA = ("images", "split", "split_file", "captions", "per_image")
PATHS = ("images", "split_file")
OF_COLLECTION = ("where", "held_in")
KNOWN_ITEMS = 100  # queries of each kind where a collection measures itself
KNOWN_ITEM_CHANGES = "jpeg:30,blur:2"
TREC = "trec:"

Options = Mapping[str, Any]
Card = Mapping[str, Mapping[str, Any]]


def measured(call: Call, options: Options, card: Card, progress: ProgressLine) -> Evaluation:
    """Do what the options ask for; each way refuses the options that mean nothing to it."""
    if options["run"]:
        return _of_run(options, card)
    if options["data"] is None:
        return _of_collection(call, options, card, progress)
    if options["encoder"] and call.collection is not None:
        raise click.UsageError("A collection has its encoder: name it or --encoder, not both.")
    data = _data(options)
    collection = None if options["encoder"] else _collection(call)
    if collection is None:
        return _of_encoder(call, data, options, card, progress)
    with collection:
        return _of_data(collection, data, options, card, progress)


def _of_run(options: Options, card: Card) -> Evaluation:
    """The run of another engine, by qrels or by the judgements of a data set."""
    from retrieval.evaluation.measures import DEFAULT
    from retrieval.evaluation.rival import score_run

    _refuse(options, (*OF_COLLECTION, "encoder", "exact", "perturb", "slices", "plots"), "--run")
    data, run, measures = options["data"], Path(options["run"]), options["measures"] or DEFAULT
    if data is None:
        raise click.UsageError("--run needs judgements: name a data set, or trec:QRELS.")
    if data.startswith(TREC):
        _refuse(options, OF_DATA, TREC.rstrip(":"))
        qrels = Path(data.removeprefix(TREC))
        return score_run(run, qrels=qrels, measures=measures, card=card)
    return score_run(run, dataset=_data(options), measures=measures, card=card)


def _of_collection(call: Call, options: Options, card: Card, progress: ProgressLine) -> Evaluation:
    """Known items of a collection, through it."""
    from retrieval.deployed import embedding_of
    from retrieval.evaluation.evaluate import evaluate, joined
    from retrieval.known_items import known_captions, known_pictures

    _refuse(options, (*OF_DATA, "encoder", "exact", "held_in"), "a collection without DATA")
    count = options["queries"] or KNOWN_ITEMS
    with call.open() as collection:
        data = [make(collection, count) for make in (known_pictures, known_captions)]
        embedding = embedding_of(collection, progress)
        chosen = replace(
            _chosen(options, changes=options["perturb"] or KNOWN_ITEM_CHANGES),
            exact=False,
            backwards=False,
        )
        return joined(
            [
                evaluate(
                    known,
                    embedding,
                    options=chosen,
                    searcher=_searcher(collection, options, progress),
                    card=card,
                )
                for known in data
                if known is not None
            ]
            or [_nothing(collection)]
        )


def _nothing(collection: Collection) -> Evaluation:
    raise click.UsageError(
        f"The collection {collection.directory} holds no picture that could be looked for."
    )


def _of_encoder(
    call: Call, data: Dataset, options: Options, card: Card, progress: ProgressLine
) -> Evaluation:
    """An encoder by itself."""
    from retrieval.evaluation.embeddings import Embedder, Embedding
    from retrieval.evaluation.evaluate import evaluate
    from retrieval.registry import open_encoder

    _refuse(options, OF_COLLECTION, "an encoder without a collection")
    settings = call.settings()
    url = options["encoder"] or settings.encoder
    encoder = open_encoder(url, settings.compute)
    embedder = Embedder(encoder, folder=settings.embeddings, watch=progress)
    return evaluate(data, Embedding(url, embedder), options=_chosen(options), card=card)


def _of_data(
    collection: Collection, data: Dataset, options: Options, card: Card, progress: ProgressLine
) -> Evaluation:
    """A data set by a collection's encoder, and through the collection unless only `exact`."""
    from retrieval.deployed import embedding_of
    from retrieval.evaluation.evaluate import evaluate

    return evaluate(
        data,
        embedding_of(collection, progress),
        options=_chosen(options),
        searcher=None if options["exact"] else _searcher(collection, options, progress),
        card=card,
    )


def _data(options: Options) -> Dataset:
    from retrieval.evaluation.datasets import CaptionsFile, DatasetOptions, open_dataset

    given = {name: options[name] for name in OF_DATA if options[name] is not None}
    paths = {name: Path(given[name]) for name in PATHS if name in given}
    captions = tuple(map(CaptionsFile.parse, options["captions"]))
    return open_dataset(options["data"], DatasetOptions(**{**given, **paths, "captions": captions}))


def _collection(call: Call) -> Collection | None:
    """The collection that was named, else the default one if it is there."""
    from retrieval.errors import CollectionNotFoundError

    try:
        return call.open()
    except CollectionNotFoundError:
        if call.collection is not None:
            raise
        call.note("note: there is no collection, so the encoder is measured by itself")
        return None


def _searcher(
    collection: Collection, options: Options, progress: ProgressLine
) -> DeployedCollection:
    from retrieval.deployed import DeployedCollection

    return DeployedCollection(
        collection,
        where=options["where"],
        captions_held_in=bool(options["held_in"]),
        depth=options["depth"],
        watch=progress,
    )


def _chosen(options: Options, *, changes: str | None = None) -> EvaluateOptions:
    from retrieval.evaluation.evaluate import EvaluateOptions
    from retrieval.evaluation.measures import DEFAULT
    from retrieval.evaluation.perturb import parse_changes

    wanted = changes if changes is not None else options["perturb"]
    return EvaluateOptions(
        slices=options["slices"],
        changes=parse_changes(wanted) if wanted else (),
        folds=options["folds"],
        held_in=options["held_in"],
        queries=options["queries"],
        measures=options["measures"] or DEFAULT,
    )


def _refuse(options: Options, names: tuple[str, ...], where: str) -> None:
    """Refuse options that would be ignored."""
    for name in names:
        if options[name]:
            option = {"slices": "slice"}.get(name, name).replace("_", "-")
            raise click.UsageError(f"--{option} means nothing for {where}.")

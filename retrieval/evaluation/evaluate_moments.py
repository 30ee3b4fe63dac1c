"""The straight line of an evaluation of moments: read, ask, measure.

Gets: a `MomentSet`, an encoder's `Embedding`, a search engine. Gives: an `Evaluation`. Touches:
what these touch. Never: decodes a film.

Every question is asked twice: for parts of the film that it is about, and for parts of any film
(VCMR), where the film has to be found, too. Which film it is, is also measured by itself, as text
to video. What is drawn anew for an interval is films with their questions: those about one film are
no independent sample.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Protocol

import numpy as np

from ..errors import UsageError
from .embeddings import Embedding
from .evaluate import evaluate
from .identify import identified
from .measures import DEFAULT as RANKING
from .moment_measures import (
    DEFAULT,
    MomentMeasure,
    is_moment_measure,
    moment_values,
    parse_moment_measure,
    scored,
)
from .moments import Guesses, MomentQuery, MomentSet
from .options import EvaluateOptions
from .perturb import Change
from .qrels import tells_copies
from .schema import (
    TEXT_TO_ANY_MOMENT,
    TEXT_TO_MOMENT,
    Dataset,
    Estimate,
    Evaluation,
    Float64Array,
    Key,
    MomentMeasurement,
    Problem,
    Progress,
)
from .searcher import Card, MomentSearcher, MomentSearching, Searcher
from .significance import estimates, slices
from .tasks import clusters_of, sampled, values_to_slice_by


class FilmSearcher(Searcher, MomentSearcher, Protocol):
    """One that finds films, and moments of them."""


def evaluate_moments(
    moments: MomentSet,
    embedding: Embedding,
    searcher: FilmSearcher,
    *,
    options: EvaluateOptions | None = None,
    card: Mapping[str, Card] | None = None,
) -> Evaluation:
    """Measure how well questions find their films, and the right parts of these.

    Args:
        moments: from `datasets.open_moments`.
        embedding: encodes the questions.
        searcher: holds the films.
        options: how to go about it; of its measures those of moments are taken for these.
        card: sections that the run card begins with.

    Raises:
        UsageError: nothing is left to measure, or an option doesn't fit the data set.
        EcholensError: what the encoder or the searcher raises.
    """
    options = options or EvaluateOptions()
    measures = [parse_moment_measure(one) for one in options.measures if is_moment_measure(one)]
    others = tuple(one for one in options.measures if not is_moment_measure(one))
    backwards = options.backwards and moments.whole is not None
    options = replace(options, measures=others or RANKING, backwards=backwards)
    data = identified(moments.data, embedding.documents.limits, embedding.documents.watch)
    if not data.queries:
        raise UsageError(
            f"Nothing of {moments.name} can be measured: {'; '.join(map(str, data.problems))}.",
            advice="Look at the films that are named.",
        )
    whole = data if moments.whole is None else _with_assets(moments.whole, data)
    found = evaluate(whole, embedding, options=options, searcher=searcher, card=card)
    if not options.search:
        return found
    left = moments.of(searcher.known(data))
    opened = searcher.open_moments(left.films)
    if opened is None:
        return replace(found, notes=_notes(found, searcher), degraded=searcher.degraded)
    chosen = measures or [*map(parse_moment_measure, DEFAULT)]
    rows = tuple(_rows(left, opened, embedding, searcher.depth, options, chosen))
    data_card = {**found.card["data"], "windows": digest_of(moments)}
    return replace(
        found,
        card={**found.card, "data": data_card, "moments": opened.searchable()},
        moments=rows,
        problems=_problems(data, found),
        notes=_notes(found, searcher),
        degraded=searcher.degraded,
    )


def _with_assets(whole: Dataset, data: Dataset) -> Dataset:
    """A data set with the same films as another, whose bytes were read."""
    assets = {film.id: film.asset for film in data.corpus}
    films = (replace(film, asset=assets.get(film.id, "")) for film in whole.corpus)
    return replace(whole, corpus=tuple(films))


def digest_of(moments: MomentSet) -> str:
    """SHA-256, in hex, of the windows and of what people judged."""
    return hashlib.sha256(json.dumps(_plain(moments)).encode("ascii")).hexdigest()


def _plain(moments: MomentSet) -> list[object]:
    return [
        (one.id, one.film, one.windows, asdict(one.saliency) if one.saliency else None)
        for one in moments.queries
    ]


def score_moments(
    queries: Sequence[MomentQuery],
    guesses: Guesses,
    *,
    key: Key | None = None,
    measures: Sequence[MomentMeasure] = (),
    depth: int | None = None,
) -> MomentMeasurement:
    """Measure what somebody guessed: ours or another's.

    Args:
        queries: every one of them counts; one without a guess as 0.
        guesses: by question, best first.
        key: of the row; None: another's, of the films that are named.
        measures: none: the default ones.
        depth: how many were looked at for each question.
    """
    asked = [scored(query, guesses.get(query.id, ())) for query in queries]
    values = moment_values(measures or [*map(parse_moment_measure, DEFAULT)], asked)
    clusters = tuple(query.film for query in queries)
    return MomentMeasurement(
        key=key or Key(TEXT_TO_MOMENT, "run"),
        queries=tuple(query.id for query in queries),
        clusters=clusters,
        values={measure.name: of for measure, of in values.items()},
        measures=_estimates(values, clusters),
        depth=depth,
    )


def _rows(
    moments: MomentSet,
    opened: MomentSearching,
    embedding: Embedding,
    depth: int,
    options: EvaluateOptions,
    measures: Sequence[MomentMeasure],
) -> Iterator[MomentMeasurement]:
    """Both ways of asking, as it is and for each change of words."""
    queries = moments.queries
    if options.queries is not None:
        kept = sampled((query.id for query in queries), options.queries)
        queries = tuple(query for query in queries if query.id in kept)
    words = [change for change in options.changes if change.modality == "text"]
    for change in (None, *words):
        asked = [_changed(query, change) for query in queries]
        for direction in (TEXT_TO_MOMENT, TEXT_TO_ANY_MOMENT):
            key = Key(direction, "deployed", changed=change.name if change else "")
            guesses = _asked(asked, opened, embedding, direction)
            row = score_moments(asked, guesses, key=key, measures=measures, depth=depth)
            yield _sliced(row, moments.data, options.slices)


def _changed(query: MomentQuery, change: Change | None) -> MomentQuery:
    return query if change is None else replace(query, text=change.of(query.text, query.text))


def _asked(
    queries: Sequence[MomentQuery], opened: MomentSearching, embedding: Embedding, direction: str
) -> Guesses:
    """Ask every question once."""
    rows = embedding.of([query.item for query in queries], "query").vectors
    found = {}
    for number, (query, row) in enumerate(zip(queries, rows, strict=True)):
        embedding.documents.watch(Progress(f"searches, {direction}", number, len(queries)))
        within = direction == TEXT_TO_MOMENT
        found[query.id] = opened.guesses(query, {embedding.space: row}, within=within)
    return found


def _estimates(
    values: Mapping[MomentMeasure, Float64Array], clusters: Sequence[str]
) -> dict[str, Estimate]:
    """Each measure over the questions that were judged for it."""
    names = np.asarray(clusters, dtype=np.str_)
    found: dict[str, Estimate] = {}
    for measure, of_queries in values.items():
        judged = ~np.isnan(of_queries)
        found |= estimates({measure: of_queries[judged]}, names[judged].tolist())
    return found


def _sliced(row: MomentMeasurement, data: Dataset, fields: Sequence[str]) -> MomentMeasurement:
    """The row told apart by fields, without measures that some questions weren't judged for."""
    kept = set(row.queries)
    some = replace(data, queries=tuple(item for item in data.queries if item.id in kept))
    by = values_to_slice_by(some, fields, clusters_of(data))
    values = {
        parse_moment_measure(name): of for name, of in row.values.items() if not np.isnan(of).any()
    }
    return replace(row, slices=slices(values, row.clusters, by))


def _problems(data: Dataset, found: Evaluation) -> tuple[Problem, ...]:
    """Those of the questions, and of what was measured besides; copies are no fault."""
    known = {one.what: one for one in (*data.problems, *found.problems)}
    return tuple(one for one in known.values() if not tells_copies(one))


def _notes(found: Evaluation, searcher: Searcher) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*found.notes, *searcher.notes)))

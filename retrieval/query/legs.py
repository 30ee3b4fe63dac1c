"""Step 3, legs: first-stage searches, each of which ranks documents in its own way.

Gets: query vectors or words, a depth, a gate. Gives: ranked groups. Touches: read methods of the
stores. Never: writes.

A leg is a channel asked by one query modality, or words (BM25).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from retrieval.errors import MissingPartError
from retrieval.protocols import DocumentStore, VectorStore
from retrieval.schema import (
    CHANNEL_OF_KIND,
    Background,
    Channel,
    Document,
    FloatArray,
    Kind,
    Ranking,
)

from .backends import Backends
from .encode import Missing, QueryVector
from .filters import Gate
from .fusion import RECIPROCAL_DEPTH, LegGroups, Scale, certain
from .grouping import Groups, collapse
from .parse import Query

_LEAST_SPREAD = 1e-6  # of cosines; below it a background tells nothing apart


class Leg(Scale, Protocol):
    """One first-stage search of one query.

    Attributes:
        name: in hits and notes.
        weight: its share in the fused score.
        background: of its scores, or None where its ranks count.
        kinds: what a document counts by its kind; {} where each counts the same, as by ranks.
    """

    @property
    def kinds(self) -> Mapping[Kind, float]: ...

    def search(self, depth: int) -> Ranking:
        """The `depth` best documents, some of which may be invisible; fewer if there are fewer."""
        ...

    def through(self, gate: Gate) -> Leg:
        """The same leg, for what another gate shows."""
        ...


@dataclass(frozen=True, eq=False)
class VectorLeg:
    """A channel, searched with the vector of one query modality."""

    name: str
    weight: float
    background: Background | None
    channel: str
    vector: FloatArray
    kinds: Mapping[Kind, float]
    store: VectorStore
    gate: Gate

    def search(self, depth: int) -> Ranking:
        """See `Leg`."""
        return self.gate.search(self.store, self.vector, depth)

    def through(self, gate: Gate) -> VectorLeg:
        """See `Leg`."""
        return replace(self, gate=gate)

    def score(self, ids: Sequence[str]) -> Ranking:
        """Those documents of the channel alone, exactly, whatever their place."""
        return self.store.search(self.vector[None], len(ids), within=ids)[0]


@dataclass(frozen=True, eq=False)
class WordsLeg:
    """The words of the query, by BM25; its ranks count."""

    words: str
    weight: float
    gate: Gate
    store: DocumentStore
    name: str = "words"
    background: Background | None = None
    kinds: Mapping[Kind, float] = field(default_factory=dict)

    def search(self, depth: int) -> Ranking:
        """See `Leg`."""
        where, during = self.gate.where, self.gate.during
        return self.store.search(self.words, depth, where=where, during=during)

    def through(self, gate: Gate) -> WordsLeg:
        """See `Leg`."""
        return replace(self, gate=gate)


class LegFailed(Exception):  # noqa: N818 (caught by the engine alone; not for users)
    """A part that a leg needs is missing; the engine goes on without the leg."""

    def __init__(self, leg: Leg, error: MissingPartError) -> None:
        super().__init__(leg.name)
        self.leg = leg
        self.error = error


@contextmanager
def _asking(leg: Leg) -> Iterator[None]:
    """Around every call of a leg."""
    try:
        yield
    except MissingPartError as error:
        raise LegFailed(leg, error) from error


@dataclass(frozen=True, slots=True)
class Opened:
    """A query's legs, notes on how they are fused, and those that had to be left out."""

    legs: tuple[Leg, ...]
    notes: tuple[str, ...]
    missing: tuple[Missing, ...]


def open_legs(
    backends: Backends,
    query: Query,
    vectors: Sequence[QueryVector],
    channels: Sequence[Channel],
    gate: Gate,
) -> Opened:
    """The legs of a query.

    A leg whose weight is 0 is left out. So is one that only subtracts in a channel without
    background statistics: being least like something is no rank that could be added.
    """
    legs: list[Leg] = []
    missing: list[Missing] = []
    scale = 1 / sum(abs(part.weight) for part in query.parts)
    for channel in channels:
        for asked in vectors:
            weight = query.weights.of_channel(channel.key)
            if asked.space != channel.space or not weight:
                continue
            name = f"{channel.key} by {asked.modality}"
            background = _background(backends, channel, asked)
            if background is None and asked.subtracts_only:
                missing.append(Missing(name, _no_background(channel)))
                continue
            store = backends.vectors[channel.key]
            weight *= asked.length * scale
            key, kinds = channel.key, _kinds(query, channel) if background else {}
            legs.append(VectorLeg(name, weight, background, key, asked.vector, kinds, store, gate))
    words = _words_legs(backends, query, gate, scale)
    return Opened((*legs, *words), _ranked_notes([*legs, *words]), tuple(missing))


def _kinds(query: Query, channel: Channel) -> dict[Kind, float]:
    """What a document of a channel counts, by those of its kinds that may be found.

    {} where all count the same: weights tell kinds of one channel apart, not channels.
    """
    kinds = {
        kind: query.weights.of_kind(kind)
        for kind in query.kinds or CHANNEL_OF_KIND
        if CHANNEL_OF_KIND[kind] == channel.modality
    }
    return kinds if len(set(kinds.values())) > 1 else {}


def _no_background(channel: Channel) -> MissingPartError:
    return MissingPartError(
        f"`{channel.key}` has no background scores yet, so nothing can be subtracted in it.",
        advice="Subtract words from words, or pictures from pictures.",
    )


def _background(backends: Backends, channel: Channel, asked: QueryVector) -> Background | None:
    """The channel's background for a mixed vector: the parts' means add up as their vectors do."""
    known = backends.manifest.background.get(channel.key, {}).get(asked.modality)
    if known is None or not known.std > _LEAST_SPREAD:
        return None
    return replace(known, mean=known.mean * asked.total / asked.length)


def _ranked_notes(legs: Sequence[Leg]) -> tuple[str, ...]:
    """A note on channels that are fused by rank; a leg by itself loses nothing by it."""
    names = [leg.name for leg in legs if leg.background is None and isinstance(leg, VectorLeg)]
    if not names or len(legs) < 2:
        return ()
    return (f"Fused by rank, for want of background scores: {', '.join(names)}.",)


def _words_legs(backends: Backends, query: Query, gate: Gate, scale: float) -> list[Leg]:
    """The leg of the words that are asked for, if there are any and a text is, or finds, a hit.

    It needs no channel: where no encoder takes texts, they are found by their words alone.
    """
    wanted = [(p.content, p.weight) for p in query.parts if p.weight > 0]
    texts = [(text, weight) for text, weight in wanted if isinstance(text, str)]
    weight = query.weights.words * sum(weight for _, weight in texts) * scale
    if not weight or gate.modality not in (None, "text"):
        return []
    words = " ".join(text for text, _ in texts)
    return [WordsLeg(words, weight, gate, backends.documents)]


def first_depth(k: int) -> int:
    """How deep legs are searched at first: most often deep enough, also for those by rank."""
    return max(RECIPROCAL_DEPTH + 24, 4 * k)


def listen(leg: Leg, gate: Gate, depth: int) -> LegGroups:
    """Search one leg to a depth and group what may be seen of it. Raises `LegFailed`."""
    with _asking(leg):
        ranking = leg.search(depth)
    floor = float(ranking.scores[-1]) if len(ranking) >= depth else None
    groups, kinds = _grouped(leg, ranking, gate), tuple(leg.kinds.values()) or (1.0,)
    said = LegGroups(leg.name, leg.weight, leg.background, groups, floor=floor, kinds=kinds)
    return certain(said)


def counts(leg: Leg, documents: Iterable[Document]) -> dict[str, float]:
    """What those of the documents count that don't count 1 in a leg."""
    weights = ((one.id, leg.kinds.get(one.kind, 1.0)) for one in documents)
    return {id_: weight for id_, weight in weights if weight != 1}


def _grouped(leg: Leg, ranking: Ranking, gate: Gate) -> Groups:
    group_of = gate.groups(ranking.ids)
    mean = 0.0 if leg.background is None else leg.background.mean
    documents = map(gate.document, group_of) if leg.kinds else ()
    return collapse(ranking, group_of, counts(leg, documents), mean)


def complete(leg: Leg, said: LegGroups, gate: Gate, keys: Sequence[str]) -> LegGroups:
    """Add the leg's scores of those groups that it has not come to yet. Raises `LegFailed`."""
    further = [key for key in keys if key not in said.groups]
    if not isinstance(leg, VectorLeg) or leg.background is None or said.floor is None:
        return said  # by rank, or at its end: what isn't in it gets nothing from it
    ids = sorted(doc.id for doc in gate.members(further) if doc.channel == leg.channel)
    if not ids:
        return said
    with _asking(leg):
        ranking = leg.score(ids)
    return replace(said, beyond=_grouped(leg, ranking, gate))


def places(leg: Leg, gate: Gate) -> Ranking:
    """The documents that get something by their rank in a leg that goes by ranks.

    Ranks are among what the gate shows. Raises `LegFailed`.
    """
    depth = first_depth(1)
    while True:
        with _asking(leg):
            ranking = leg.search(depth)
        groups = gate.groups(ranking.ids)
        if len(groups) >= RECIPROCAL_DEPTH or len(ranking) < depth:
            break
        depth *= 4
    shown = [place for place, id_ in enumerate(ranking.ids) if id_ in groups][:RECIPROCAL_DEPTH]
    return Ranking(tuple(ranking.ids[place] for place in shown), ranking.scores[shown])


def scores(leg: VectorLeg, documents: Sequence[Document]) -> Ranking:
    """Those of the documents that a leg's channel has, exactly scored. Raises `LegFailed`."""
    ids = sorted(document.id for document in documents if document.channel == leg.channel)
    if not ids:
        return Ranking((), np.empty(0, np.float32))
    with _asking(leg):
        return leg.score(ids)

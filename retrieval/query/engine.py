"""The query line: parse, encode, legs, group, fuse, find moments, present.

Gets: a collection's back ends and a query. Gives: `Results`. Touches: read methods of the stores
that the query needs. Never: a branch on back end or modality.

A leg that fails because a part is missing (a store that doesn't answer, an encoder that isn't
installed), at its first call or later, is left out and the result says so; when all fail, the first
failure is raised. Without the document store, vectors answer alone where they can (see `standin`).
An encoder that gives wrong vectors is never left out: its error is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from retrieval.errors import MissingPartError, QueryError
from retrieval.registry import MODALITIES
from retrieval.schema import CHANNEL_OF_KIND, Channel, Compare, Filter, Modality, Span

from .backends import Backends
from .encode import Missing, encode
from .filters import Gate
from .fusion import Fused, LegGroups, Scored, explain, fuse, in_order, promising, settled, surpassed
from .legs import Leg, LegFailed, complete, first_depth, listen, open_legs
from .moments import EVER
from .parse import Query
from .present import Remarks, Results, present
from .standin import DocumentsDown, watched, without_documents
from .timeline import Answer, best_moments, with_moments
from .where import both, bounded, parse_where

GroupBy = Literal["asset", "document", "moment"]
GROWTH = 4  # how much deeper a leg is searched when it was not deep enough
FIRST_SCORED = 64  # groups that are scored in every leg at first, the most promising ones


def search(
    backends: Backends,
    query: Query,
    *,
    k: int = 10,
    where: Filter | str | None = None,
    modality: Modality | None = None,
    group_by: GroupBy | None = None,
) -> Results:
    """Find the k best answers.

    Args:
        backends: the collection, opened.
        query: see `parse_query`.
        k: how many hits; so many come back whenever so many exist.
        where: a filter, or an SQL WHERE expression (see `parse_where`).
        modality: what kind of hit comes back: assets of that modality, or, where hits are
            documents, documents of it. It silences no leg: a caption finds its picture.
        group_by: what a hit is. None: what the modality's entry in the registry says (for texts a
            document: a caption, a passage), else an asset. Assets come with their best moments;
            moments by themselves may be several of one film.

    Raises:
        QueryError, FilterError: the question can't be asked.
        EncoderMismatchError: an encoder isn't the collection's.
        MissingPartError: nothing could answer.
    """
    if k < 1:
        raise QueryError(f"{k} hits can't be found.", advice="Ask for at least 1.")
    asked = _Asked(query, k, where, modality, group_by)
    try:
        return _answer(watched(backends), asked)
    except DocumentsDown as down:
        return _answer(without_documents(backends, down.error), asked, down.error)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What `search` was asked; see there."""

    query: Query
    k: int
    where: Filter | str | None
    modality: Modality | None
    group_by: GroupBy | None


def _answer(backends: Backends, asked: _Asked, down: MissingPartError | None = None) -> Results:
    """The line itself; `down` is what keeps the document store from answering."""
    query, k, where, modality = asked.query, asked.k, asked.where, asked.modality
    entry = MODALITIES.get(modality) if modality else None
    group_by = asked.group_by or (entry.hit if entry else "asset")
    of_documents = modality if group_by == "document" else None
    of_assets = modality if group_by != "document" else None
    if isinstance(where, str):
        where = parse_where(where, backends.manifest.fields)
    where = bounded(where)
    if of_assets is not None:
        where = both(Compare("modality", "=", of_assets), where)

    channels = _channels(backends, query, of_documents)
    encoded = encode(backends, query, channels)
    examples = encoded.examples
    gate = Gate(
        backends.documents,
        where,
        group_by="document" if group_by == "document" else "asset",
        modality=of_documents,
        left_out={d.asset for d in examples} if group_by == "asset" else (),
        hidden=query.hidden.union(() if group_by == "asset" else (d.id for d in examples)),
    )
    gate.kinds = query.kinds
    if query.between or group_by == "moment":
        if down is not None:
            raise down  # nobody else knows times
        gate = gate.in_time(Span(*query.between) if query.between else EVER)
    opened = open_legs(backends, query, encoded.vectors, channels, gate)
    rank = best_moments if group_by == "moment" else _ranked
    answers, silent = _rank(rank, opened.legs, gate, k)
    missing = (*encoded.missing, *opened.missing, *silent)
    if missing and len(silent) == len(opened.legs):
        raise missing[0].error
    if down is not None:
        told = [one for one in missing if one.error is not down]
        known = "words, paths, metadata, times"
        missing = (Missing(f"What the document store knows ({known})", down), *told)
    remarks = Remarks(opened.notes, encoded.unread, missing)
    return present(answers, gate, backends.documents, query=str(query), remarks=remarks)


def _channels(backends: Backends, query: Query, modality: Modality | None) -> list[Channel]:
    """The channels that have what may be found: documents of a modality, of the query's kinds."""
    telling = {CHANNEL_OF_KIND[kind] for kind in query.kinds or CHANNEL_OF_KIND}
    return [
        channel
        for channel in backends.manifest.channels
        if channel.modality in telling and modality in (None, channel.modality)
    ]


_Rank = Callable[[Sequence[Leg], Gate, int], list[Answer]]


def _rank(
    rank: _Rank, legs: Sequence[Leg], gate: Gate, k: int
) -> tuple[list[Answer], list[Missing]]:
    """The first k of all legs; one that fails, at whichever call, is left out from the start."""
    silent: dict[str, Missing] = {}
    while True:
        try:
            answers = rank([leg for leg in legs if leg.name not in silent], gate, k)
            return answers, [*silent.values()]
        except LegFailed as failure:
            silent[failure.leg.name] = Missing(failure.leg.name, failure.error)


def _ranked(legs: Sequence[Leg], gate: Gate, k: int) -> list[Answer]:
    """Legs, group and fuse, deeper and deeper until the first k are those of ranking everything."""
    said: dict[Leg, LegGroups] = {}
    depths = dict.fromkeys(legs, first_depth(k))
    due = list(legs)
    while True:
        said.update((leg, listen(leg, gate, depths[leg])) for leg in due)
        fused = _fuse_promising(said, gate, k)
        if settled(fused, list(said.values()), k):
            return with_moments(_explain(said, gate, fused[:k]), legs, gate)
        due = _unfinished(said)
        depths.update((leg, depths[leg] * GROWTH) for leg in due)


def _fuse_promising(said: Mapping[Leg, LegGroups], gate: Gate, k: int) -> list[Scored]:
    """Fuse the groups found so far, from the most promising on, until no other can matter."""
    order = promising(list(said.values()))
    fused: list[Scored] = []
    start, size = 0, FIRST_SCORED + 3 * (k - 1)
    while start < len(order) and not surpassed(fused, k, order[start][0]):
        keys = [key for _, key in order[start : start + size]]
        legs = [complete(leg, groups, gate, keys) for leg, groups in said.items()]
        fused = in_order([*fused, *fuse(legs, keys)])
        start, size = start + size, 2 * size
    return fused


def _explain(said: Mapping[Leg, LegGroups], gate: Gate, fused: Sequence[Scored]) -> list[Fused]:
    keys = [key for _, key in fused]
    legs = [complete(leg, groups, gate, keys) for leg, groups in said.items()]
    return [explain(legs, group) for group in fused]


def _unfinished(said: Mapping[Leg, LegGroups]) -> list[Leg]:
    """The legs to search deeper: those that fall short by themselves, if there are any."""
    unfinished = [leg for leg, groups in said.items() if groups.floor is not None]
    short = [leg for leg in unfinished if leg.background is not None or not said[leg].whole]
    return short or unfinished

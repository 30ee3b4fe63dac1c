"""Moments out of legs: those of films that were found, or the best of all films.

Gets: legs, a gate, ranked assets. Gives: answers with moments. Touches: read methods of the stores.
Never: writes; a formula (see `moments`, `fusion`).

What a leg says of a film's documents is asked exactly and at once for several films. In a leg that
goes by ranks only the first `RECIPROCAL_DEPTH` documents with a time say anything; the others are
as if the leg didn't know them.

The best moments of all films are found as the best assets are (see `fusion`): no moment has more
than the sum of what the best documents of its film have in each leg. So films are looked at in the
order of that sum, and legs are searched deeper, until the k-th moment is above all that can come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

from retrieval.schema import Document, Ranking

from .filters import Gate
from .fusion import Fused, LegGroups, LegScore, ceilings, scored, settled, surpassed, worth
from .grouping import Best
from .legs import Leg, VectorLeg, counts, first_depth, listen, places, scores
from .moments import EVER, Found, Moment, moments, overlaps, silent

SHOWN = 5  # moments of an asset that was found, at most
GROWTH = 4  # how much deeper a leg is searched when it was not deep enough
FIRST_FILMS = 8  # films that are looked at first, the most promising ones


@dataclass(frozen=True, slots=True)
class Answer:
    """A ranked group, and where in its time the answer lies.

    Attributes:
        moments: best first; () for what has no time.
        silent: see `moments.silent`.
        is_moment: whether the answer is its one moment, and not the whole asset.
    """

    fused: Fused
    moments: tuple[Moment, ...] = ()
    silent: tuple[str, ...] = ()
    is_moment: bool = False


def with_moments(fused: Sequence[Fused], legs: Sequence[Leg], gate: Gate) -> list[Answer]:
    """Answers that are assets, each with its best moments. Raises `LegFailed`."""
    if gate.group_by == "document":
        return [Answer(group) for group in fused]
    gate = gate if gate.during is not None else gate.in_time(EVER)
    documents = gate.of_assets([group.key for group in fused])
    timed = [
        group.key
        for group in fused
        if any(overlaps(document, EVER) for document in documents[group.key])
    ]
    found = _Timelines(legs, gate).found(timed, SHOWN) if timed else {}
    return [
        Answer(
            group,
            tuple(one.moment for one in found[group.key]),
            silent(documents[group.key]),
        )
        if group.key in found
        else Answer(group)
        for group in fused
    ]


def best_moments(legs: Sequence[Leg], gate: Gate, k: int) -> list[Answer]:
    """The k best moments of all assets, ties by asset and time. Raises `LegFailed`.

    Args:
        legs: of the query.
        gate: shows assets' documents, those with a time only.
        k: so many come back whenever so many exist.
    """
    lines = _Timelines(legs, gate)
    said = {leg: lines.standing(n) for n, leg in enumerate(legs) if not _by_score(leg)}
    due = [leg for leg in legs if _by_score(leg)]
    depth = first_depth(k)
    while True:
        said.update((leg, listen(leg, gate, depth)) for leg in due)
        ordered = [said[leg] for leg in legs]
        found = _first(lines, ordered, k)
        ranked = [(one.moment.score, asset) for asset, one in found]
        if settled(ranked, ordered, k):
            return [lines.answer(asset, one) for asset, one in found[:k]]
        due = [leg for leg in legs if said[leg].floor is not None]
        depth *= GROWTH


def _first(lines: _Timelines, said: Sequence[LegGroups], k: int) -> list[tuple[str, Found]]:
    """The moments of the films found so far, until no other film can matter."""
    order = ceilings(said)
    found: list[tuple[str, Found]] = []
    start, size = 0, FIRST_FILMS
    while start < len(order):
        if surpassed([(one.moment.score, asset) for asset, one in found], k, order[start][0]):
            break
        films = lines.found([asset for _, asset in order[start : start + size]], k)
        found += [(asset, one) for asset, its in films.items() for one in its]
        found.sort(key=lambda pair: (-pair[1].moment.score, pair[0], pair[1].moment.start))
        start, size = start + size, 2 * size
    return found


def _by_score(leg: Leg) -> bool:
    return leg.background is not None


class _Timelines:
    """What legs say of the documents of assets in time; remembers what it has asked for."""

    def __init__(self, legs: Sequence[Leg], gate: Gate) -> None:
        self._gate = gate
        self._said = [_Said(leg.through(gate)) for leg in legs]
        for said in self._said:
            if not _by_score(said.leg):
                said.take(places(said.leg, gate), {})
        self._found: dict[str, list[Found]] = {}

    def found(self, assets: Sequence[str], limit: int) -> dict[str, list[Found]]:
        """The moments of assets, `limit` of each at most, the same one at each call."""
        new = [asset for asset in assets if asset not in self._found]
        documents = self._gate.members(new)
        for said in self._said:
            if isinstance(said.leg, VectorLeg) and _by_score(said.leg):
                said.take(scores(said.leg, documents), counts(said.leg, documents))
        its: dict[str, list[Document]] = {asset: [] for asset in new}
        for document in documents:
            its[document.asset].append(document)
        gains, during = [said.gains for said in self._said], self._gate.during or EVER
        self._found.update(
            (asset, moments(its[asset], gains, during=during, limit=limit)) for asset in new
        )
        return {asset: self._found[asset] for asset in assets}

    def standing(self, number: int) -> LegGroups:
        """What a leg that goes by ranks says of assets, all of it."""
        said = self._said[number]
        groups: dict[str, Best] = {}
        group_of = self._gate.groups(list(said.places))
        for id_, best in said.places.items():
            groups.setdefault(group_of[id_], best)
        return LegGroups(said.leg.name, said.leg.weight, None, groups)

    def answer(self, asset: str, found: Found) -> Answer:
        """A moment as an answer of its own; its score is the sum of what the legs say."""
        told = zip(self._said, found.telling, strict=True)
        legs = [said.of(id_) for said, id_ in told if id_ is not None]
        legs.sort(key=lambda one: (-one.contribution, one.name))
        fused = Fused(asset, found.moment.score, tuple(legs))
        lacking = silent(self._gate.of_assets([asset])[asset])
        return Answer(fused, (found.moment,), lacking, is_moment=True)


class _Said:
    """What one leg says of documents.

    Attributes:
        places: of each document; its rank is 0 in a leg that goes by scores.
        gains: what each gets.
    """

    def __init__(self, leg: Leg) -> None:
        self.leg = leg
        self.places: dict[str, Best] = {}
        self.gains: dict[str, float] = {}

    def take(self, ranking: Ranking, weights: Mapping[str, float]) -> None:
        """Remember a ranking: of some documents, or of all that get something by their rank.

        Args:
            ranking: of documents.
            weights: of those that don't count 1.
        """
        leg, points = self.leg, ranking.scores.tolist()
        ranks = repeat(0) if _by_score(leg) else range(1, len(ranking) + 1)
        for id_, score, rank in zip(ranking.ids, points, ranks, strict=False):
            self.places[id_] = Best(id_, score, rank, weights.get(id_, 1.0))
            self.gains[id_] = leg.weight * worth(leg.background, self.places[id_])

    def of(self, id_: str) -> LegScore:
        """What it says of a document, as a hit shows it."""
        best = self.places[id_]
        return scored(self.leg, best, best.rank or None)

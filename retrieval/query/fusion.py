"""Step 5, fuse: the legs' rankings of groups become one.

Gets: each leg's groups with their scores. Gives: one ranking, and whether it is settled. Touches:
nothing: pure. Never: I/O, clock, settings.

A leg with background statistics adds its standardised score, ``weight * (s - mean) / std``: how
many spreads a group stands above what unrelated queries get. A group that is absent from such a leg
adds 0, the background's mean: not having a caption is no evidence against a picture. A leg without
statistics (words, by BM25) adds ``weight * 61 / (60 + rank)``, for its first 1,000 groups.

What a leg says by scores counts by the kind of the document that says it, too. What is said in a
film seldom has to do with what is asked, and then a line of speech is noise, as loud as that of the
shots: it counts for less (see `SPEECH_WEIGHT`), unless speech alone is looked for in its channel.

The answer must not depend on how deep the legs were searched, or k = 10 would not begin k = 100.
So it is that of ranking everything, found without doing so by the threshold algorithm (Fagin, Lotem
and Naor, "Optimal aggregation algorithms for middleware", 2001). No group that was seen can have
more than `promising` says, so only those that may be among the first k are scored in every leg; and
no unseen one can have more than `bound`. Once the k-th is above both, nothing can change the first
k.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from retrieval.schema import Background, Kind

from .grouping import Best, Groups

WORDS_WEIGHT = 1.0
CHANNEL_WEIGHT = 1.0
SPEECH_WEIGHT = 0.75
RECIPROCAL_OFFSET = 60  # k of reciprocal rank fusion (Cormack, Clarke and Buettcher 2009)
RECIPROCAL_DEPTH = 1_000

# Stores may compute the same cosine by two routes (all rows, or some); the bound allows for that.
_ROUNDING = 1e-4


@dataclass(frozen=True, slots=True)
class Weights:
    """How much a leg counts.

    Attributes:
        words: the leg of BM25.
        channels: by channel key, those that differ from `CHANNEL_WEIGHT`.
        speech: lines of speech, beside the other documents of their channel: not where speech
            alone may be found in it, nor in a leg that goes by ranks.
    """

    words: float = WORDS_WEIGHT
    channels: Mapping[str, float] = field(default_factory=dict)
    speech: float = SPEECH_WEIGHT

    def __post_init__(self) -> None:
        for weight in (self.words, *self.channels.values(), self.speech):
            if not 0 <= weight < float("inf"):
                raise ValueError(f"a leg's weight must be finite and at least 0, not {weight}")

    def of_channel(self, key: str) -> float:
        """The weight of a channel's legs."""
        return self.channels.get(key, CHANNEL_WEIGHT)

    def of_kind(self, kind: Kind) -> float:
        """What a document of a kind counts in its channel's legs."""
        return self.speech if kind == "speech" else 1.0


@dataclass(frozen=True, slots=True)
class LegGroups:
    """What one leg says.

    Attributes:
        weight: at least 0.
        background: of its scores; None where it has none, and its ranks count.
        groups: those found by searching, best first.
        floor: no document that wasn't found scores more; None when there is no further one.
        beyond: some groups outside `groups`, with their exact scores; their ranks mean nothing.
        kinds: the weights of the kinds that a document of the leg may have.
    """

    name: str
    weight: float
    background: Background | None
    groups: Groups
    floor: float | None = None
    beyond: Groups = field(default_factory=dict)
    kinds: tuple[float, ...] = (1.0,)

    @property
    def whole(self) -> bool:
        """Whether every group that gets something from this leg by its rank is named.

        Always so for a leg that goes by scores: what those of unnamed groups can be is bounded.
        """
        by_score = self.background is not None
        return by_score or self.floor is None or len(self.groups) >= RECIPROCAL_DEPTH


class Scale(Protocol):
    """What a leg's scores are measured by."""

    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> float: ...
    @property
    def background(self) -> Background | None: ...


@dataclass(frozen=True, slots=True)
class LegScore:
    """What one leg said of one hit.

    Attributes:
        name: the leg.
        rank: from 1; None where it isn't known: the hit lay deeper than the leg had to be
            searched, or too near the end of that search to be `certain`; and of a moment, in a
            leg that goes by scores.
        score: the leg's own (cosine, BM25).
        standardised: spreads above the background; None for a leg without statistics.
        contribution: what it added to the fused score, by the weights of the leg and of the kind
            of the document.
        document: the hit's best document in this leg.
    """

    name: str
    rank: int | None
    score: float
    standardised: float | None
    contribution: float
    document: str


@dataclass(frozen=True, slots=True)
class Fused:
    """One group of the answer: its key, fused score, and what the legs said, most telling first."""

    key: str
    score: float
    legs: tuple[LegScore, ...]


Scored = tuple[float, str]  # (fused score, group key)


def fuse(legs: Sequence[LegGroups], keys: Iterable[str]) -> list[Scored]:
    """Rank groups by the sum over the legs, ties by group key.

    Args:
        legs: what each of them says, whole as far as these groups are concerned.
        keys: the groups.
    """
    fused = []
    for key in keys:
        score = 0.0  # summed in the order of the legs: a float's sum depends on it
        for leg in legs:
            best = leg.groups.get(key) or leg.beyond.get(key)
            if best is not None:
                score += leg.weight * worth(leg.background, best)
        fused.append((score, key))
    return in_order(fused)


def in_order(groups: Iterable[Scored]) -> list[Scored]:
    """Best first, ties by group key."""
    return sorted(groups, key=lambda group: (-group[0], group[1]))


def explain(legs: Sequence[LegGroups], group: Scored) -> Fused:
    """A fused group with what each leg said of it."""
    score, key = group
    scores = (_leg_score(leg, key) for leg in legs)
    said = [one for one in scores if one is not None]
    telling = sorted(said, key=lambda one: (-one.contribution, one.name))
    return Fused(key, score, tuple(telling))


def certain(leg: LegGroups) -> LegGroups:
    """The leg without those groups of which a document that wasn't found might say more.

    So it may be where kinds weigh differently: the best score isn't the most telling one then.
    """
    if leg.floor is None or len(leg.kinds) < 2:
        return leg
    most = _worth_at_most(leg, leg.floor)
    known = {key: best for key, best in leg.groups.items() if worth(leg.background, best) >= most}
    return replace(leg, groups=known)


def promising(legs: Sequence[LegGroups]) -> list[Scored]:
    """Every group that a leg has found, with the most that it can have, best first.

    In a leg that hasn't come to it yet, a group has at most the floor, or it is absent and gets 0.
    """
    most: dict[str, float] = {}
    ceilings = [max(_at_floor(leg), 0.0) for leg in legs]
    for leg, ceiling in zip(legs, ceilings, strict=True):
        for key, best in leg.groups.items():
            gained = leg.weight * worth(leg.background, best) - ceiling
            most[key] = most.get(key, sum(ceilings)) + gained
    return in_order((score, key) for key, score in most.items())


def ceilings(legs: Sequence[LegGroups]) -> list[Scored]:
    """Every asset that a leg has found, with the most that one moment of it can have, best first.

    A leg that has a document of the asset needn't have one that covers the moment.
    """
    floors = {leg.name: _at_floor(leg) for leg in legs if leg.floor is not None}
    most: list[Scored] = []
    for key in {key: None for leg in legs for key in leg.groups}:
        parts = []
        for leg in legs:
            best = leg.groups.get(key)
            if best is not None:
                parts.append(leg.weight * worth(leg.background, best))
            elif leg.name in floors:
                parts.append(floors[leg.name])
        most.append((_sum_at_most(parts), key))
    return in_order(most)


def surpassed(fused: Sequence[Scored], k: int, most: float) -> bool:
    """Whether the first k of `fused` are out of reach for a group that has `most` at most."""
    return len(fused) >= k and fused[k - 1][0] > most + _ROUNDING


def settled(fused: Sequence[Scored], legs: Sequence[LegGroups], k: int) -> bool:
    """Whether searching deeper can't change the first k of `fused`."""
    if all(leg.floor is None for leg in legs):
        return True
    return all(leg.whole for leg in legs) and surpassed(fused, k, bound(legs))


def bound(legs: Sequence[LegGroups]) -> float:
    """The most that a group can have which no leg has found, once every leg is `whole`.

    Such a group is in at least one unfinished leg.
    """
    return _sum_at_most([_at_floor(leg) for leg in legs if leg.floor is not None])


def _sum_at_most(parts: Sequence[float]) -> float:
    """The largest sum of some of the parts, of at least one."""
    positive = [part for part in parts if part > 0]
    return sum(positive) if positive else max(parts, default=float("-inf"))


def _at_floor(leg: LegGroups) -> float:
    """The most that a leg gives to a group that it hasn't come to."""
    if leg.floor is None:
        return 0.0
    return leg.weight * _worth_at_most(leg, leg.floor)


def _worth_at_most(leg: LegGroups, score: float) -> float:
    """What a document that wasn't found, with that score, is worth at most, whatever its kind."""
    rank = len(leg.groups) + 1
    return max(worth(leg.background, Best("", score, rank, weight)) for weight in leg.kinds)


def _leg_score(leg: LegGroups, key: str) -> LegScore | None:
    found = leg.groups.get(key)
    best = found or leg.beyond.get(key)
    if best is None:
        return None
    rank = None if found is None else found.rank
    return scored(leg, best, rank)


def scored(leg: Scale, best: Best, rank: int | None) -> LegScore:
    """What a leg said of a document, at a rank if it is known."""
    spreads = None if leg.background is None else _spreads(leg.background, best.score)
    contribution = leg.weight * worth(leg.background, best)
    return LegScore(leg.name, rank, best.score, spreads, contribution, best.document)


def worth(background: Background | None, best: Best) -> float:
    """What a place in a leg is worth, before the leg's weight."""
    if background is not None:
        return best.weight * _spreads(background, best.score)
    if best.rank > RECIPROCAL_DEPTH:
        return 0.0
    return (RECIPROCAL_OFFSET + 1) / (RECIPROCAL_OFFSET + best.rank)


def _spreads(background: Background, score: float) -> float:
    return (score - background.mean) / background.std

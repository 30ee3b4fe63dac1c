"""Step 4, group: a leg's documents collapse to what a hit is, before the legs are fused.

Gets: a ranking of documents, and the group of each. Gives: a ranking of groups. Touches: nothing:
pure. Never: I/O, clock, settings.

A picture and its caption are different documents; only as one asset do their legs add evidence.
A group's rank and score in a leg are its best document's; kinds of documents may weigh differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from retrieval.schema import Ranking


@dataclass(frozen=True, slots=True)
class Best:
    """A group's best document in one leg, its score there and the group's rank, from 1.

    Attributes:
        weight: of the document's kind.
    """

    document: str
    score: float
    rank: int
    weight: float = 1.0


Groups = Mapping[str, Best]  # in the order of the ranking, best first


def collapse(
    ranking: Ranking,
    group_of: Mapping[str, str],
    weights: Mapping[str, float] = MappingProxyType({}),
    mean: float = 0.0,
) -> Groups:
    """Collapse documents to groups, each at its best document's place.

    Args:
        ranking: documents, best first.
        group_of: the group key of each; documents that are absent here are left out.
        weights: of those documents whose distance from the mean counts for more or less than
            itself; they may change places.
        mean: of the scores of what has nothing to do with the query.
    """
    placed = list(zip(ranking.ids, ranking.scores.tolist(), strict=True))
    if weights:
        placed.sort(key=lambda one: (weights.get(one[0], 1.0) * (mean - one[1]), one[0]))
    groups: dict[str, Best] = {}
    for document, score in placed:
        group = group_of.get(document)
        if group is not None and group not in groups:
            weight = weights.get(document, 1.0)
            groups[group] = Best(document, score, len(groups) + 1, weight)
    return groups

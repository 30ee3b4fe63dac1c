"""Step 4, group: a leg's documents collapse to what a hit is, before the legs are fused.

Gets: a ranking of documents, and the group of each. Gives: a ranking of groups. Touches: nothing:
pure. Never: I/O, clock, settings.

A picture and its caption are different documents; only as one asset do their legs add evidence.
A group's rank and score in a leg are its best document's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrieval.schema import Ranking


@dataclass(frozen=True, slots=True)
class Best:
    """A group's best document in one leg, its score there and the group's rank, from 1."""

    document: str
    score: float
    rank: int


Groups = Mapping[str, Best]  # in the order of the ranking, best first


def collapse(ranking: Ranking, group_of: Mapping[str, str]) -> Groups:
    """Collapse documents to groups, each at its best document's place.

    Args:
        ranking: documents, best first.
        group_of: the group key of each; documents that are absent here are left out.
    """
    groups: dict[str, Best] = {}
    for document, score in zip(ranking.ids, ranking.scores.tolist(), strict=True):
        group = group_of.get(document)
        if group is not None and group not in groups:
            groups[group] = Best(document, score, len(groups) + 1)
    return groups

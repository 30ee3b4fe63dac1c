"""Ranks of what is relevant in a ranking that somebody gave.

Gets: places of documents, best first. Gives: `Ranks`. Touches: nothing: pure. Never: scores.
"""

from __future__ import annotations

import numpy as np

from .schema import IntArray, Judged, Ranks


def ranks_among(places: IntArray, judged: Judged) -> Ranks:
    """Where the relevant documents stand.

    Args:
        places: (n, depth) int64 places in the corpus of what n queries found, best first; -1 is
            never relevant.
        judged: of these queries.
    """
    queries = np.repeat(np.arange(len(judged)), np.diff(judged.starts))
    hits = places[queries] == judged.documents[:, None]
    ranks = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1.0, np.inf)
    return Ranks(judged.starts, ranks, judged.gains, depth=places.shape[1])

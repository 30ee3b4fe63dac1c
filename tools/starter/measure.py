"""How well captions find photos and photos captions, as ``echolens evaluate`` measures it.

Gets: vectors. Gives: recalls with intervals. Touches: nothing. Never: a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation.exact import rank_exactly
from retrieval.evaluation.measures import parse_measure, values_of
from retrieval.evaluation.report import shown
from retrieval.evaluation.schema import Estimate, Judged
from retrieval.evaluation.significance import estimates
from retrieval.schema import FloatArray

MEASURES = ("r@1", "r@5", "r@10")


@dataclass(frozen=True)
class Recall:
    """R@1, 5 and 10 in both directions."""

    text_to_image: Mapping[str, Estimate]
    image_to_text: Mapping[str, Estimate]


def recall(texts: FloatArray, photos: FloatArray, owner: NDArray[np.int64]) -> Recall:
    """Recall of (m, dim) captions and (n, dim) photos, caption i belonging to photo ``owner[i]``.

    Every photo has a caption.
    """
    m, n = len(owner), len(photos)
    forth = Judged(np.arange(m + 1), owner, np.ones(m))
    starts = np.concatenate(([0], np.cumsum(np.bincount(owner, minlength=n))))
    back = Judged(starts, np.argsort(owner, kind="stable"), np.ones(m))
    return Recall(
        _estimates(texts, photos, forth, owner),
        _estimates(photos, texts, back, np.arange(n)),
    )


def _estimates(
    queries: FloatArray, corpus: FloatArray, judged: Judged, clusters: NDArray[np.int64]
) -> Mapping[str, Estimate]:
    ranks, _ = rank_exactly(queries, corpus, judged, first=0)
    return estimates(values_of(map(parse_measure, MEASURES), ranks), clusters.astype(str).tolist())


def table(rows: Mapping[tuple[str, str], Recall]) -> str:
    """A table in Markdown: set, block, recalls in both directions."""
    lines = [
        "| set | block | text to image R@1, 5, 10 | image to text R@1, 5, 10 |",
        "|---|---|---|---|",
    ]
    for (where, block), found in rows.items():
        forth, back = (_cell(one) for one in (found.text_to_image, found.image_to_text))
        lines.append(f"| {where} | {block} | {forth} | {back} |")
    return "\n".join(lines)


def _cell(found: Mapping[str, Estimate]) -> str:
    return ", ".join(shown(found[name], "percent") for name in MEASURES)

"""How well captions find photos and photos captions, with intervals.

Gets: scores, or vectors. Gives: recalls. Touches: nothing. Never: a model.

Text to image: each caption is a query, all photos of the set are the gallery. Image to text: a
photo is a query and counts as found when any of its captions is among the first K. What ties with
the right one doesn't push it down. Intervals are the middle 95 % of 1000 bootstrap samples of the
photos, each with its captions; the gallery stays whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CUTS = (1, 5, 10)
SAMPLES = 1000


@dataclass(frozen=True)
class Recall:
    """Percentages at 1, 5 and 10, and half the width of their intervals."""

    text_to_image: tuple[float, ...]
    text_to_image_margin: tuple[float, ...]
    image_to_text: tuple[float, ...]
    image_to_text_margin: tuple[float, ...]


def recall(scores: NDArray[np.float32], owner: NDArray[np.int64]) -> Recall:
    """Recall from (m captions, n photos) scores, caption i belonging to photo ``owner[i]``."""
    m, n = scores.shape
    right = scores[np.arange(m), owner]
    place = (scores > right[:, None]).sum(axis=1)
    best = np.full(n, -np.inf, np.float32)
    np.maximum.at(best, owner, right)
    photo_place = (scores > best).sum(axis=0)
    captions = np.bincount(owner, minlength=n)
    random = np.random.default_rng(0)
    drawn = random.multinomial(n, np.full(n, 1 / n), SAMPLES)
    found = [np.bincount(owner, place < k, minlength=n) for k in CUTS]
    texts = [100 * (drawn @ hits) / (drawn @ captions) for hits in found]
    photos = [100 * (drawn @ (photo_place < k)) / n for k in CUTS]
    return Recall(
        tuple(100 * float((place < k).mean()) for k in CUTS),
        tuple(map(_margin, texts)),
        tuple(100 * float((photo_place < k).mean()) for k in CUTS),
        tuple(map(_margin, photos)),
    )


def table(rows: Mapping[tuple[str, str], Recall]) -> str:
    """A table in Markdown: set, block, recalls in both directions."""
    lines = [
        "| set | block | text to image R@1, 5, 10 | image to text R@1, 5, 10 |",
        "|---|---|---|---|",
    ]
    for (where, block), found in rows.items():
        forth = _cell(found.text_to_image, found.text_to_image_margin)
        back = _cell(found.image_to_text, found.image_to_text_margin)
        lines.append(f"| {where} | {block} | {forth} | {back} |")
    return "\n".join(lines)


def _cell(values: tuple[float, ...], margins: tuple[float, ...]) -> str:
    return ", ".join(f"{v:.1f} ± {m:.1f}" for v, m in zip(values, margins, strict=True))


def _margin(values: NDArray[np.float64]) -> float:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(high - low) / 2

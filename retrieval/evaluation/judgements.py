"""Further judgements of MS COCO: ECCV Caption and CxC.

Gets: a data set with COCO's ids. Gives: qrels by name, or why there are none. Touches: the files
of the package `eccv_caption`. Never: the network; judgements of another corpus.

COCO relates a caption to the one picture that it was written for, though it fits others as well:
ECCV Caption (Chun et al. 2022) finds 8.5 times as many relevant pictures, and 3.6 times as many
captions. COCO's own labels call a system wrong that returns one of those. Both judged pairs of the
Karpathy test split, and their figures mean something over all of its 5,000 pictures and 25,000
captions only: so a data set that isn't that gets no such figures.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .schema import Dataset, IntArray, Item, Qrels

COCO = "coco"  # `Dataset.ids` of those that carry COCO's own
ECCV = "ECCV Caption"
CXC = "CxC"
PICTURES = 5_000  # of the split that they judged


@dataclass(frozen=True, slots=True)
class FurtherQrels:
    """What others judged.

    Attributes:
        qrels: by the name of the judgements. Queries that they didn't judge are absent. What they
            found relevant is there even if the corpus lacks it (see `unfindable`).
        note: what a report has to say of them: why they are absent; "" when there is nothing, as of
            captions of one's own, which only have COCO's form.
    """

    qrels: Mapping[str, Qrels] = field(default_factory=dict)
    note: str = ""


def further_qrels(dataset: Dataset) -> FurtherQrels:
    """The further judgements of a data set with COCO's ids; none, and no note, of any other.

    Args:
        dataset: texts and pictures; the judgements are those of the side that asks.
    """
    if dataset.ids != COCO:
        return FurtherQrels()
    backwards = dataset.queries[0].modality == "image"
    metrics = _metrics()
    if metrics is None:
        what = f"{ECCV} and {CXC} were not measured: `pip install 'echolens[eccv]'` brings them."
        return FurtherQrels(note=what if len(_ids(dataset, "image")) == PICTURES else "")
    fits, note = _fit(dataset, metrics.coco_gts, backwards)
    if not fits:
        return FurtherQrels(note=note)
    direction = "i2t" if backwards else "t2i"
    given = {ECCV: metrics.eccv_gts, CXC: metrics.cxc_gts}
    return FurtherQrels({name: _qrels(of[direction]) for name, of in given.items()}, note)


def unfindable(qrels: Qrels, queries: Sequence[str], corpus: Sequence[str]) -> IntArray:
    """(n,) how many relevant documents of each query the corpus lacks.

    ECCV Caption holds two sixth captions, which are none of the split's 25,000. Its own measures
    count them as relevant; for `measures.with_unfindable`.
    """
    there = frozenset(corpus)
    return np.array(
        [sum(gain > 0 and one not in there for one, gain in qrels[q].items()) for q in queries],
        np.int64,
    )


def _metrics() -> Any:
    """The package's own record, which holds the judgements; None where it isn't installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells which of its optional packages aren't there
        try:
            from eccv_caption import Metrics
        except ImportError:
            return None
        return Metrics()


def _fit(
    dataset: Dataset, split: Mapping[str, Mapping[int, Sequence[int]]], backwards: bool
) -> tuple[bool, str]:
    """Whether the data set is the split that was judged; why it isn't, or what to tell of it."""
    captions, pictures = _ids(dataset, "text"), _ids(dataset, "image")
    judged_captions, judged_pictures = ({str(one) for one in split[of]} for of in ("t2i", "i2t"))
    if not pictures & judged_pictures:
        return False, ""
    if pictures != judged_pictures or not judged_captions <= captions:
        return False, (
            f"{ECCV} and {CXC} were not measured: they judge COCO's Karpathy test split, "
            f"{len(judged_pictures):,} pictures with {len(judged_captions):,} captions. This data "
            f"set has {len(pictures & judged_pictures):,} and {len(captions & judged_captions):,} "
            f"of these, and {len(pictures - judged_pictures):,} other pictures."
        )
    more = len(captions - judged_captions) if backwards else 0
    note = f"{ECCV} and {CXC}: {more:,} captions are searched that they didn't judge."
    return True, note if more else ""


def _ids(dataset: Dataset, modality: str) -> set[str]:
    sides: tuple[tuple[Item, ...], ...] = (dataset.queries, dataset.corpus)
    return {item.id for side in sides for item in side if item.modality == modality}


def _qrels(given: Mapping[int, Sequence[int]]) -> dict[str, dict[str, float]]:
    return {str(query): {str(one): 1.0 for one in relevant} for query, relevant in given.items()}

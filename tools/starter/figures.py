"""The table of figures: each block alone, together, and as the encoder gives them.

Gets: the folders to measure on. Gives: a table. Touches: the features' cache. Never: training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.encoders.starter import encoder
from retrieval.encoders.starter.conse import Classes
from retrieval.encoders.starter.files import FILES, array, unit
from retrieval.encoders.starter.heads import Head

from . import features, measure
from .data import Captioned, coco, flickr
from .features import Array, Cache
from .measure import Recall

CHINESE = {
    "Chinese, by people": "captions_zh.tsv",
    "Chinese, translated": "captions_zh_mt.tsv",
}


@dataclass(frozen=True)
class Blocks:
    """Vectors of some inputs: each block alone, (n, ...) norm 1."""

    trained: Array
    classes: Array

    @property
    def joined(self) -> Array:
        return encoder.joined(self.trained, self.classes)

    @property
    def finished(self) -> Array:
        return unit(self.joined @ array("projection.npy"))


SHOWN: dict[str, Callable[[Blocks], Array]] = {
    "training-free (`conse:`)": lambda blocks: blocks.classes,
    "trained heads": lambda blocks: blocks.trained,
    "both, not projected": lambda blocks: blocks.joined,
    f"both, {encoder.DIM} dimensions (`starter:`)": lambda blocks: blocks.finished,
}


def table_of(cache: Cache, data: Path, coco_folder: Path | None) -> str:
    """The whole table, in Markdown."""
    rows: dict[tuple[str, str], Recall] = {}
    sets = {"Flickr8k dev, English": flickr(data, "dev")}
    if coco_folder:
        sets["coco-mini, English"] = coco(coco_folder)
    for name, captioned in sets.items():
        seen, said = of_photos(cache, captioned), of_texts(cache, captioned)
        for block, part in SHOWN.items():
            rows[name, block] = measure.recall(part(said), part(seen), captioned.owner)
    if (FILES / "chinese_head.npz").is_file():
        head = Head(FILES / "chinese_head.npz")
        for name, table in CHINESE.items():
            captioned = flickr(data, "dev", table)
            read = head(features.of_chinese(cache, captioned.texts))
            rows[f"Flickr8k dev, {name}", "`starter:chinese`"] = measure.recall(
                read, of_photos(cache, captioned).finished, captioned.owner
            )
    return measure.table(rows)


def of_photos(cache: Cache, captioned: Captioned) -> Blocks:
    seen = features.of_photos(cache, captioned.photos)
    head = Head(FILES / "picture_head.npz")
    trained = head(np.sqrt(np.maximum(seen.features, 0)))
    return Blocks(trained, Classes().of_pictures(seen.probabilities))


def of_texts(cache: Cache, captioned: Captioned) -> Blocks:
    said = features.of_english(cache, captioned.texts)
    return Blocks(Head(FILES / "english_head.npz")(said), Classes().of_texts(said))

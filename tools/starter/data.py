"""Photos and captions, as the folders of the training and test data lay them out.

Gets: a folder. Gives: paths and sentences, in an order that is always the same. Touches: that
folder. Never: a model.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Captioned:
    """n photos with m captions.

    Attributes:
        photos: their paths.
        texts: the captions.
        owner: (m,) int64: the photo that each caption belongs to.
    """

    photos: list[Path]
    texts: list[str]
    owner: NDArray[np.int64]


def flickr(folder: Path, split: str, table: str = "captions.tsv") -> Captioned:
    """A split of Flickr8k: photos by name, five captions of each in their order."""
    with (folder / table).open(encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if row["split"] == split
        ]
    rows.sort(key=lambda row: (row["image"], int(row["caption_index"])))
    names = sorted({row["image"] for row in rows})
    place = {name: i for i, name in enumerate(names)}
    return Captioned(
        [folder / "images" / name for name in names],
        [row["caption"] for row in rows],
        np.array([place[row["image"]] for row in rows]),
    )


def coco(folder: Path) -> Captioned:
    """COCO's format: all photos of `captions.json`."""
    held = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
    place = {image["id"]: i for i, image in enumerate(held["images"])}
    notes = sorted(held["annotations"], key=lambda note: place[note["image_id"]])
    return Captioned(
        [folder / "images" / image["file_name"] for image in held["images"]],
        [note["caption"] for note in notes],
        np.array([place[note["image_id"]] for note in notes]),
    )


def read_pictures(paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    """(h, w, 3) uint8 RGB."""
    from PIL import Image

    for path in paths:
        with Image.open(path) as image:
            yield np.asarray(image.convert("RGB"))


def evenly(items: Sequence[Any], count: int) -> list[Any]:
    """`count` of the items, evenly spread."""
    return [items[i] for i in np.linspace(0, len(items) - 1, count).astype(int)]

"""Small data sets made by code, in the layouts that the field uses.

Gets: a folder. Gives: the path that is opened. Touches: that folder. Never: randomness without a
seed. `coco_set` writes pictures that can be looked at; elsewhere a picture is a file, which is all
that a reader wants of it.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retrieval.evaluation.schema import Dataset, Problem
from tests import corpus

COLOURS: dict[str, corpus.Colour] = {
    "red": (200, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 70, 200),
    "yellow": (230, 210, 50),
    "purple": (130, 50, 150),
    "orange": (235, 130, 30),
    "white": (245, 245, 245),
    "black": (15, 15, 15),
    "grey": (128, 128, 128),
    "pink": (245, 160, 190),
}
PHRASES = (
    "a {} ground with four corners",
    "something {} and a disc",
    "a picture that is mostly {}",
    "{}, with a round spot",
    "four corners on {}",
)


def coco_set(folder: Path, pictures: int = 6, captions: int = 5) -> Path:
    """COCO 2017's layout: ``annotations/captions_val2017.json`` beside ``val2017/``.

    Picture n (from 1) has the id n, the ground of the n-th colour (they come round again with
    other corners), and captions that name it: n * 100, n * 100 + 1 and so on.

    Returns:
        the captions' file.
    """
    images, annotations = [], []
    (folder / "val2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for number in range(1, pictures + 1):
        colour = list(COLOURS)[(number - 1) % len(COLOURS)]
        name = f"{number:012}.jpg"
        corpus.picture(folder / "val2017" / name, colour=COLOURS[colour], seed=number)
        images.append({"id": number, "file_name": name})
        for place in range(captions):
            text = PHRASES[place % len(PHRASES)].format(colour)
            annotations.append({"id": number * 100 + place, "image_id": number, "caption": text})
    data = {"info": {}, "images": images, "annotations": annotations}
    return written(folder / "annotations" / "captions_val2017.json", data)


def karpathy(
    path: Path, splits: Mapping[int, str], texts: Sequence[str] = ("a cat", "a dog")
) -> Path:
    """``dataset_coco.json``: pictures of COCO 2014 by id, with the split of each."""
    images = [
        {
            "filepath": "val2014",
            "filename": f"COCO_val2014_{image:012}.jpg",
            "cocoid": image,
            "imgid": place,
            "split": split,
            "sentids": [image * 100 + number for number in range(len(texts))],
            "sentences": [
                {"raw": f"{text} {image}", "sentid": image * 100 + number, "tokens": text.split()}
                for number, text in enumerate(texts)
            ],
        }
        for place, (image, split) in enumerate(splits.items())
    ]
    return written(path, {"images": images, "dataset": "coco"})


def written(path: Path, data: Any) -> Path:
    """A JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), "utf-8")
    return path


def lines(path: Path, *rows: str | Mapping[str, Any], end: str = "\n") -> Path:
    """A text file of these lines; mappings are written as JSON."""
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(text + end for text in texts).encode())
    return path


def files(folder: Path, *names: str) -> Path:
    """Files of these names, in place of pictures; each holds its name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def shard(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    """A tar of these members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def told(dataset: Dataset) -> dict[str, int]:
    """How often each problem was met."""
    return {problem.what: problem.count for problem in dataset.problems}


def examples(dataset: Dataset, what: str) -> tuple[str, ...]:
    """What one kind of problem names."""
    problem: Problem = next(one for one in dataset.problems if one.what == what)
    return problem.examples


def texts(dataset: Dataset) -> dict[str, str]:
    """What is asked, by id."""
    return {item.id: item.text for item in dataset.queries}


def names(dataset: Dataset) -> list[str]:
    """What the pictures of the corpus are called, in order."""
    return [str(item.fields["name"]) for item in dataset.corpus]


def relevant(dataset: Dataset) -> set[tuple[str, str]]:
    """The relevant pairs."""
    return {
        (query, document)
        for query, documents in dataset.qrels.items()
        for document, gain in documents.items()
        if gain > 0
    }

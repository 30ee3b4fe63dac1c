"""COCO captions 2014 and 2017: ``captions_val2017.json``, with or without Karpathy's split file.

Gets: the JSON (``images``: ``id``, ``file_name``; ``annotations``: ``image_id``, ``caption`` and,
in COCO's own, ``id``). Gives: its pictures; ids are COCO's own. Touches: that file and the split
file. Never: a picture.

With a split file its order is taken, since the protocol of five folds goes by it. It covers both
halves of COCO 2014, so pictures of it are only missed in the split that is measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import UsageError
from .files import head, load_json, valid
from .gather import Caption, Content, DatasetOptions, Picture, Problems
from .karpathy import splits_of


def recognises(path: Path) -> bool:
    """Whether it looks like COCO captions."""
    start = head(path) if path.suffix == ".json" else ""
    keys = ('"annotations"', '"image_id"', '"file_name"')
    return any(key in start for key in keys) and '"sentences"' not in start


def read(path: Path, options: DatasetOptions) -> Content:
    """Read the pictures and their captions.

    Raises:
        UsageError: a file can't be read, or isn't what it should be.
    """
    data = load_json(path)
    problems = Problems()
    try:
        pictures = _pictures(data, _split_in(path), problems)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{path} is not a COCO captions file: {type(error).__name__}: {error}.",
            advice="It needs `images` (id, file_name) and `annotations` (image_id, caption).",
        ) from error
    if options.split_file is None:
        return Content(path, pictures, problems, ids="coco")
    split_of = splits_of(options.split_file)
    missed: dict[str, Problems] = defaultdict(Problems)
    known = {picture.id for picture in pictures}
    for image_id, split in split_of.items():
        if image_id not in known:
            missed[split].add("images of the split file that the captions lack", image_id)
    return Content(path, _in_splits(pictures, split_of, problems), problems, "coco", missed)


def _pictures(data: Any, split: str, problems: Problems) -> list[Picture]:
    names = {coco_id(image["id"]): image["file_name"] for image in data["images"]}
    captions: dict[str, list[Caption]] = defaultdict(list)
    for annotation in data["annotations"]:
        image_id, text = coco_id(annotation["image_id"]), annotation["caption"]
        index = len(captions[image_id])
        caption_id = coco_id(annotation.get("id", f"{image_id}#{index}"))
        caption = Caption(caption_id, text + "", {"index": index})
        if image_id in names:
            captions[image_id].append(caption)
        else:
            problems.add("captions without an image", caption.id)
    return [
        Picture(image_id, valid(image["file_name"]), captions[image_id], split)
        for image in data["images"]
        for image_id in (coco_id(image["id"]),)
    ]


def coco_id(value: object) -> str:
    """An id as text."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"an id is {value!r}")
    return str(value)


def _split_in(path: Path) -> str:
    """``val2017`` of ``captions_val2017.json``."""
    prefix = "captions_"
    return path.stem.removeprefix(prefix) if path.stem.startswith(prefix) else ""


def _in_splits(
    pictures: list[Picture], split_of: Mapping[str, str], problems: Problems
) -> list[Picture]:
    place = {image_id: number for number, image_id in enumerate(split_of)}
    for picture in pictures:
        if picture.id not in place:
            problems.add("images that the split file lacks", picture.id)
    inside = [replace(one, split=split_of[one.id]) for one in pictures if one.id in place]
    return sorted(inside, key=lambda one: place[one.id])

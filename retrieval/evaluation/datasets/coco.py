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
from ...schema import printable
from .files import head, load_json, valid
from .gather import Caption, Content, DatasetOptions, Picture, Problems
from .karpathy import splits_of
from .parts import identity, part

_IMAGES = "`images`"
_ANNOTATIONS = "`annotations`"


def recognises(path: Path) -> bool:
    """Whether it looks like COCO captions."""
    start = head(path) if path.suffix == ".json" else ""
    keys = ('"annotations"', '"image_id"', '"file_name"')
    return any(key in start for key in keys) and '"sentences"' not in start


def read(path: Path, options: DatasetOptions) -> Content:
    """Read the pictures and their captions.

    Raises:
        UsageError: a file can't be read, or isn't what it should be; or the split file is of
            other pictures.
    """
    data = load_json(path)
    problems = Problems()
    try:
        pictures = _pictures(data, _split_in(path), problems)
    except ValueError as error:
        raise UsageError(
            f"{path} is not a COCO captions file: {error}.",
            advice="It needs `images` (id, file_name) and `annotations` (image_id, caption).",
        ) from error
    if options.split_file is None:
        return Content(path, pictures, problems, ids="coco")
    split_of = splits_of(options.split_file)
    missed: dict[str, Problems] = defaultdict(Problems)
    known = {picture.id for picture in pictures}
    if known and not known & split_of.keys():
        raise UsageError(
            f"No picture of {options.split_file} is in {path}: the split file has for example "
            f"{printable(next(iter(split_of)))}, the captions have {printable(pictures[0].id)}.",
            advice="Check --split-file: it must list the ids that the captions' `images` have.",
        )
    for image_id, split in split_of.items():
        if image_id not in known:
            missed[split].add("images of the split file that the captions lack", image_id)
    return Content(path, _in_splits(pictures, split_of, problems), problems, "coco", missed)


def _pictures(data: Any, split: str, problems: Problems) -> list[Picture]:
    """The pictures with their captions. Raises ValueError: in words, what isn't as it should be."""
    names = [
        (identity(image, "id", _IMAGES, place), part(image, "file_name", str, _IMAGES, place))
        for place, image in enumerate(part(data, "images", list))
    ]
    captions: dict[str, list[Caption]] = {image_id: [] for image_id, _ in names}
    for place, one in enumerate(part(data, "annotations", list)):
        image_id = identity(one, "image_id", _ANNOTATIONS, place)
        text = part(one, "caption", str, _ANNOTATIONS, place)
        index = len(captions.get(image_id, ()))
        own = "id" in one
        caption_id = identity(one, "id", _ANNOTATIONS, place) if own else f"{image_id}#{index}"
        if image_id in captions:
            captions[image_id].append(Caption(caption_id, text, {"index": index}))
        else:
            problems.add("captions without an image", caption_id)
    return [Picture(one, valid(name), captions[one], split) for one, name in names]


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

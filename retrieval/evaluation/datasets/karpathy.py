"""Karpathy's JSON by itself: ``dataset_coco.json``, ``dataset_flickr30k.json``, ``..8k.json``.

Gets: the JSON (``images``: ``filename``, ``split``, ``sentences`` with ``raw`` and ``sentid``; for
COCO also ``filepath`` and ``cocoid``). Gives: its pictures, ids of COCO where it has them, else
file names. Touches: that file. Never: a picture.

``restval``, the rest of COCO's validation half, counts as ``train``, as in every paper since.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import UsageError
from .files import head, load_json, mended, valid
from .gather import Caption, Content, DatasetOptions, Picture, Problems
from .parts import identity, part

_IMAGES = "`images`"


def recognises(path: Path) -> bool:
    """Whether it looks like one of Karpathy's files."""
    start = head(path) if path.suffix == ".json" else ""
    return '"sentences"' in start or '"sentids"' in start


def read(path: Path, _: DatasetOptions) -> Content:
    """Read the pictures and their captions.

    Raises:
        UsageError: the file can't be read, or isn't what it should be.
    """
    data = load_json(path)
    try:
        images = part(data, "images", list)
        pictures = [_picture(image, place) for place, image in enumerate(images)]
    except ValueError as error:
        raise _not_karpathys(path, error) from error
    coco = bool(images) and all("cocoid" in image for image in images)
    return Content(path, pictures, Problems(), ids="coco" if coco else "")


def splits_of(path: Path) -> dict[str, str]:
    """The split of each COCO id, in the order of a split file.

    Raises:
        UsageError: the file can't be read, isn't Karpathy's split of COCO, or is of no picture.
    """
    data = load_json(path)
    try:
        found = {
            identity(image, "cocoid", _IMAGES, place): _split(image, place)
            for place, image in enumerate(part(data, "images", list))
        }
    except ValueError as error:
        raise _not_karpathys(path, error) from error
    if not found:
        raise UsageError(f"{path} lists no images.", advice="Check --split-file.")
    return found


def _picture(image: Any, place: int) -> Picture:
    name = valid(part(image, "filename", str, _IMAGES, place))
    folder = valid(part(image, "filepath", str, _IMAGES, place)) if "filepath" in image else ""
    coco = "cocoid" in image
    picture_id = identity(image, "cocoid", _IMAGES, place) if coco else mended(name)
    sentences = f"`sentences` of entry {place + 1:,} of {_IMAGES}"
    captions = []
    for number, one in enumerate(part(image, "sentences", list, _IMAGES, place)):
        text = part(one, "raw", str, sentences, number)
        own = identity(one, "sentid", sentences, number) if "sentid" in one else ""
        captions.append(Caption(own or f"{picture_id}#{number}", text, {"index": number}))
    whole = f"{folder}/{name}" if folder else name
    return Picture(picture_id, whole, captions, _split(image, place))


def _split(image: Any, place: int) -> str:
    split = mended(part(image, "split", str, _IMAGES, place)) if "split" in image else ""
    return "train" if split == "restval" else split


def _not_karpathys(path: Path, error: ValueError) -> UsageError:
    return UsageError(
        f"{path} is not one of Karpathy's files: {error}.",
        advice="It needs `images` with filename, split and sentences (raw), and cocoid for COCO.",
    )

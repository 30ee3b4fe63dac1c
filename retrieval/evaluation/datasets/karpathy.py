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
        pictures = [_picture(image) for image in data["images"]]
        coco = bool(pictures) and all("cocoid" in image for image in data["images"])
    except (KeyError, TypeError, AttributeError) as error:
        raise _not_karpathys(path, error) from error
    return Content(path, pictures, Problems(), ids="coco" if coco else "")


def splits_of(path: Path) -> dict[str, str]:
    """The split of each COCO id, in the order of a split file.

    Raises:
        UsageError: the file can't be read, or isn't Karpathy's split of COCO.
    """
    data = load_json(path)
    try:
        return {str(image["cocoid"]): _split(image) for image in data["images"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise _not_karpathys(path, error) from error


def _picture(image: Any) -> Picture:
    name = valid(image["filename"])
    folder = valid(image.get("filepath", ""))
    picture_id = str(image["cocoid"]) if "cocoid" in image else mended(name)
    captions = [
        Caption(
            str(one.get("sentid", f"{picture_id}#{number}")), one["raw"] + "", {"index": number}
        )
        for number, one in enumerate(image["sentences"])
    ]
    return Picture(picture_id, f"{folder}/{name}" if folder else name, captions, _split(image))


def _split(image: Any) -> str:
    split = mended(image.get("split", ""))
    return "train" if split == "restval" else split


def _not_karpathys(path: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{path} is not one of Karpathy's files: {type(error).__name__}: {error}.",
        advice="It needs `images` with filename, split and sentences (raw), and cocoid for COCO.",
    )

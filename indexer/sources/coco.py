"""COCO captions: the pictures that a captions JSON lists, each with its captions.

Gets: the JSON and the folder of its pictures. Gives: items. Touches: the JSON, and one stat a
picture. Never: decodes a picture. The format is that of ``captions_val2017.json``: ``images``
(``id``, ``file_name``) and ``annotations`` (``image_id``, ``caption``).
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from retrieval.errors import UsageError

from ..files import item_of
from ..schema import Excluded, Given, Item, Skipped, valid_text

GUESS_BY = 100  # pictures that are looked for in each folder where they may be


class CocoSource:
    """The pictures of a COCO captions file. What it doesn't list has not vanished: no roots."""

    def __init__(self, captions: Path, images: Path | None = None) -> None:
        """Read `captions`; pictures lie in `images`, by default where COCO has them.

        Raises:
            UsageError: the file can't be read or isn't COCO captions, or no folder of its
                pictures is found.
        """
        self._path = captions
        self._images, self._captions = _read(captions)
        self._folder = images or _folder_beside(captions, self._images)

    @property
    def roots(self) -> tuple[str, ...]:
        return ()

    def items(self) -> Iterator[Item | Skipped | Excluded]:
        for image_id, name in sorted(self._images.items(), key=lambda pair: pair[1]):
            item = item_of(os.path.abspath(self._folder / name))
            if isinstance(item, Item):
                given = Given(tuple(self._captions.get(image_id, ())), {"coco_id": image_id})
                item = replace(item, given=given)
            yield item


def _read(path: Path) -> tuple[dict[int, str], dict[int, list[str]]]:
    try:
        data: Any = json.loads(path.read_bytes())
        images = {int(image["id"]): str(image["file_name"]) for image in data["images"]}
        captions: dict[int, list[str]] = defaultdict(list)
        for annotation in data["annotations"]:
            text = valid_text(" ".join(str(annotation["caption"]).split()))
            if text and text not in captions[int(annotation["image_id"])]:
                captions[int(annotation["image_id"])].append(text)
    except OSError as error:
        raise UsageError(
            f"{path} can't be read: {error.strerror}.", advice="Check the path."
        ) from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UsageError(
            f"{path} is not a COCO captions file: {type(error).__name__}: {error}.",
            advice="It needs `images` (id, file_name) and `annotations` (image_id, caption).",
        ) from error
    _refuse_escapes(path, images)
    return images, captions


def _refuse_escapes(path: Path, images: dict[int, str]) -> None:
    for name in images.values():
        if "\0" in name or name != valid_text(name):
            raise UsageError(
                f"{path} names a picture as no file can be called: {name!a}.",
                advice="Mend its file_name.",
            )
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UsageError(
                f"{path} names a picture outside its folder: {name!r}.",
                advice="Mend its file_name; it must lie below --images.",
            )


def _folder_beside(captions: Path, images: dict[int, str]) -> Path:
    """Find the pictures: ``images/``, or COCO's ``annotations/captions_X.json`` beside ``X/``."""
    split = captions.stem.removeprefix("captions_")
    beside, above = captions.parent, captions.parent.parent
    candidates = [beside / "images", above / split, beside / split, above / "images", beside]
    names = list(islice(images.values(), GUESS_BY))
    for folder in candidates:
        if any((folder / name).is_file() for name in names):
            return folder
    raise UsageError(
        f"The pictures of {captions} were not found beside it.",
        advice="Say where they are with --images FOLDER.",
    )

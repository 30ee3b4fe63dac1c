"""Data sets: the pictures that a file of captions lists, each with its captions.

Gets: a data set in any format whose pictures are files, as `retrieval.evaluation.datasets` reads
them, so that what was indexed can be measured. Gives: items. Touches: that file, and a few stats a
picture. Never: decodes a picture.

Several entries for one file are one item with the captions of all. What the reader found wrong, and
what evaluations leave out, is told as warnings; a missing picture is an item that was skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from retrieval.evaluation.datasets import Content, DatasetOptions, read_content
from retrieval.evaluation.datasets.files import mended
from retrieval.evaluation.datasets.gather import Picture, Problems, choose
from retrieval.evaluation.datasets.pictures import folder_of
from retrieval.schema import FieldValue, printable

from ..files import item_of
from ..schema import Excluded, Given, Item, Skipped


class CaptionsSource:
    """The pictures of a file of captions. What it doesn't list has not vanished: no roots."""

    def __init__(self, captions: str, options: DatasetOptions | None = None) -> None:
        """Read `captions`, and look for its pictures.

        Args:
            captions: ``FORMAT:PATH``, or a path whose format shows.
            options: where its pictures are, and which split is taken: all of them by default.

        Raises:
            UsageError: the file can't be read, lists no pictures, or none that are files; there is
                no such split; no folder of its pictures is found.
        """
        options = options or DatasetOptions()
        content = read_content(captions, options)
        pictures, problems = _chosen(content, options.split)
        names = [(picture.name, *picture.also) for picture in pictures]
        folder = folder_of(names, options.images, content.path, content.modality)
        self._given: dict[str, Given] = {}
        owner: dict[str, str] = {}
        for picture in pictures:
            found = folder.find(picture.name, *picture.also)
            path = os.path.abspath(found.path if found else folder.path / picture.name)
            if owner.setdefault(picture.id, path) != path:
                problems.add("ids given twice", picture.id)
            before = self._given.get(path, Given())
            self._given[path] = _joined(before, picture, content.ids, problems)
        name = printable(str(content.path))
        self._warnings = tuple(f"{name}: {problem}" for problem in problems.all())

    @property
    def roots(self) -> tuple[str, ...]:
        return ()

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._warnings

    def items(self) -> Iterator[Item | Skipped | Excluded]:
        for path, given in self._given.items():
            yield replace(item_of(path), given=given)


def _chosen(content: Content, split: str | None) -> tuple[Sequence[Picture], Problems]:
    """The pictures of a split, or of all splits, and what is wrong with them."""
    splits = [picture.split for picture in content.pictures]
    problems = Problems()
    problems.extend(content.problems)
    if split is not None or not splits:
        split = choose(content.path, list(dict.fromkeys(splits)), split, splits.count)
    for name, those in content.of_split.items():
        if split in (None, name):
            problems.extend(those)
    return [one for one in content.pictures if split in (None, one.split)], problems


def _joined(before: Given, picture: Picture, ids: str, problems: Problems) -> Given:
    """What is said of a file, and what one more entry for it says; the first field counts."""
    texts = []
    for caption in picture.captions:
        text = mended(caption.text)
        texts.append(text)
        if not text:
            problems.add("empty captions", caption.id)
    fields = _fields(picture, ids)
    if "split" in fields and before.fields.get("split", fields["split"]) != fields["split"]:
        problems.add("images in several splits, of which the first counts", picture.name)
    captions = dict.fromkeys(filter(None, (*before.captions, *texts)))
    return Given(tuple(captions), {**fields, **before.fields})


def _fields(picture: Picture, ids: str) -> Mapping[str, FieldValue]:
    fields: dict[str, FieldValue] = {"split": picture.split} if picture.split else {}
    if ids == "coco" and picture.id.isdecimal() and len(picture.id) < 19:
        fields["coco_id"] = int(picture.id)
    return fields

"""Captions and ids that a table gives twice.

Gets: its rows, one after the other. Gives: by split, what is repeated in it, counted. Touches:
nothing. Never: leaves a row out.

A caption that a picture has twice is told and stays: a few of Flickr8k are so, and without them its
figures would be others than the papers'. Where a table numbers its captions they are not looked at:
two numbers are its maker's word that there are two, and the same number twice is an id given twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from ...schema import FieldValue
from .files import mended
from .gather import Caption, Problems


class Repeats:
    """What was seen of a table."""

    def __init__(self) -> None:
        self._problems: dict[str, Problems] = defaultdict(Problems)
        self._captions: set[tuple[str, str, FieldValue, str]] = set()
        self._ids: list[tuple[str, str, str]] = []  # split, picture, id

    def add_captions(self, split: str, picture: str, captions: Iterable[Caption]) -> None:
        """The captions of a row; an empty one is another problem."""
        for caption in captions:
            text = mended(caption.text)
            key = (split, picture, caption.fields.get("language", ""), text)
            if text and key in self._captions:
                self._problems[split].add("captions given twice", caption.id)
            self._captions.add(key)

    def add_id(self, split: str, picture: str, value: object) -> None:
        """What a row's column ``id`` holds, if anything."""
        if isinstance(value, str | int) and value != "":
            self._ids.append((split, picture, mended(str(value))))

    def told(self) -> Mapping[str, Problems]:
        """By split, what came twice; to be asked once, at the end.

        Rows of one picture may share an id where that picture has no other: it is the picture's.
        """
        ids_of: dict[tuple[str, str], set[str]] = defaultdict(set)
        for split, picture, row_id in self._ids:
            ids_of[split, picture].add(row_id)
        first: dict[tuple[str, str], str] = {}
        for split, picture, row_id in self._ids:
            known = (split, row_id) in first
            owner = first.setdefault((split, row_id), picture)
            if known and (owner != picture or len(ids_of[split, picture]) > 1):
                self._problems[split].add("ids given twice", row_id)
        return self._problems

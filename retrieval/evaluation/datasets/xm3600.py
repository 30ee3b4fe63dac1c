"""Crossmodal-3600: ``captions.jsonl``, each picture with captions in 36 languages.

Gets: lines such as ``{"image/key": "0a1b", "image/locale": "en", "en": {"caption": ["A cat."]}}``.
Gives: its pictures ``0a1b.jpg`` with the captions of every language, which is a field of each.
Touches: that file. Never: a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...schema import FieldValue
from .files import first_line, json_lines, mended
from .gather import Caption, Content, DatasetOptions, Picture, Problems


def recognises(path: Path) -> bool:
    """Whether its first object has a key of a picture as this set writes it."""
    start = first_line(path) if path.is_file() else ""
    return start.startswith("{") and '"image/key"' in start


def read(path: Path, _: DatasetOptions) -> Content:
    """Read the pictures and their captions.

    Raises:
        UsageError: the file can't be read.
    """
    problems = Problems()
    pictures = []
    for line, value in json_lines(path):
        try:
            key = mended(value["image/key"])
            pictures.append(Picture(key, f"{key}.jpg", list(_captions(key, value))))
        except (KeyError, TypeError, AttributeError):
            problems.add("lines that can't be read", f"line {line}")
    return Content(path, pictures, problems)


def _captions(key: str, value: Mapping[str, Any]) -> Iterator[Caption]:
    for language, given in value.items():
        if isinstance(given, dict):
            for number, text in enumerate(given["caption"]):
                fields: dict[str, FieldValue] = {"language": mended(language), "index": number}
                yield Caption(mended(f"{key}#{language}#{number}"), text + "", fields)

"""Token files: a caption a line, after its picture's name and number.

Gets: ``1000268201_693b08cb0e.jpg#0<TAB>A child in a pink dress .`` (Flickr8k, Flickr30k);
``...jpg#zhc#0 <caption>`` (Flickr8k-CN, whose sets are called by language and make);
``COCO_val2014_000000043734#0<TAB><caption>`` (COCO-CN). Gives: their pictures. Touches: that file.
Never: a picture.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...schema import FieldValue
from .files import filled_lines, first_line, mended, valid
from .gather import Caption, Content, DatasetOptions, Picture, Problems

_LINE = re.compile(
    r"(?P<name>[^\t#]+)(?:#(?P<set>[A-Za-z]\w*))?#(?P<number>\d+)(?:\s+(?P<text>.*))?"
)
_LANGUAGES = ("zh", "en")


def recognises(path: Path) -> bool:
    """Whether its first line is that of a token file."""
    return path.is_file() and _LINE.fullmatch(first_line(path)) is not None


def read(path: Path, _: DatasetOptions) -> Content:
    """Read the pictures and their captions.

    Raises:
        UsageError: the file can't be read.
    """
    problems = Problems()
    captions: dict[str, list[Caption]] = {}
    for number, line in filled_lines(path):
        found = _LINE.fullmatch(line)
        if found is None:
            problems.add("lines that can't be read", f"line {number}")
            continue
        name = valid(found["name"]).strip()
        caption_id = mended(line[: found.end("number")])
        captions.setdefault(name, []).append(
            Caption(caption_id, found["text"] or "", _fields(found))
        )
    pictures = [Picture(mended(name), name, given) for name, given in captions.items()]
    return Content(path, pictures, problems)


def _fields(found: re.Match[str]) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {"index": int(found["number"])}
    if found["set"]:
        fields["set"] = found["set"]
        language = found["set"][:2].lower()  # zhc: Chinese, from a crowd; zhb: by Baidu
        if language in _LANGUAGES:
            fields["language"] = language
    return fields

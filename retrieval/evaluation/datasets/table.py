"""Tables of pairs: CSV, TSV or JSONL with a column of files and one of captions.

Gets: one's own pairs of pictures, films or sounds and what is said of them; ``captions.tsv``;
Kaggle's ``results.csv`` (Flickr30k, ``| `` between cells) and ``captions.txt`` (Flickr8k);
``flickr_annotations_30k.csv`` (in ``raw`` a JSON list); Clotho's ``file_name,caption_1,caption_2``
and so on. Gives: their files; other columns become fields of the caption. Touches: that file.
Never: a picture.

What the files are shows in the column's name (``video``, ``audio``), else in most files' suffixes.
A table without captions may have classes (``category``): each is one question, and everything in it
answers.

Only commas go with quotes: in a TSV, and between bars, a quotation mark is one of the caption's. An
unclosed quote is refused, since it would swallow the rest of the file in silence.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import UsageError
from ...schema import FieldValue, Modality, printable
from .files import empty, first_line, json_lines, malformed, mended, numbered_lines, valid
from .gather import Caption, Content, DatasetOptions, Picture, Problems
from .pictures import SUFFIXES_OF
from .repeats import Repeats

PICTURE = ("image", "file", "file_name", "filename", "image_name", "path", "video", "audio")
CAPTION = ("caption", "captions", "text", "sentence", "comment", "title", "raw", "transcript")
CLASS = ("category", "class", "label")
INDEX = ("caption_index", "comment_number")
_NUMBERED = ("sentids", *INDEX)
_KNOWN = {"split", "language", *_NUMBERED}
_ONE_OF_SEVERAL = re.compile(r"caption_[0-9]{1,3}")

Row = Mapping[str, Any]  # by column, in lower case


def recognises(path: Path) -> bool:
    """Whether its header, or its first object, has a column of pictures and one of captions."""
    start = first_line(path) if path.is_file() else ""
    if start.startswith("{"):
        try:
            columns = {str(key).lower() for key in json.loads(start)}
        except (ValueError, RecursionError):
            return False
    else:
        columns = set(header(path))
    return bool(columns & set(PICTURE)) and bool(_captions_in(columns))


def read(path: Path, _: DatasetOptions) -> Content:
    """Read the pictures and their captions.

    Raises:
        UsageError: the file can't be read, or has no such columns.
    """
    problems, repeats, columns = Problems(), Repeats(), list[str]()
    captions: dict[tuple[str, str], list[Caption]] = {}
    numbers: Counter[tuple[str, str, str]] = Counter()
    for line, row in _rows(path, problems):
        try:
            name, split = _cell(row, PICTURE), str(row.get("split") or "")
            of_picture = captions.setdefault((split, name), [])
            columns = columns or list(row)
            of_row = _captions(row, name, split, numbers)
            of_picture += of_row
            repeats.add_id(split, name, row.get("id"))
            if not any(row.get(column) not in (None, "") for column in _NUMBERED):
                repeats.add_captions(split, name, of_row)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            problems.add("lines that can't be read", f"line {line}")
    pictures = [
        Picture(mended(name), name, found, split) for (split, name), found in captions.items()
    ]
    named = {"video", "audio"} & set(columns) if "image" not in columns else set()
    modality: Modality = "video" if "video" in named else "audio" if named else _modality(pictures)
    classes = bool(columns) and _are_classes(columns)
    told = {} if classes else repeats.told()
    return Content(path, pictures, problems, "", told, modality, classes)


def _modality(pictures: Sequence[Picture]) -> Modality:
    """What most files are; a GIF goes with the others."""
    found: Counter[Modality] = Counter()
    for picture in pictures:
        suffix = PurePosixPath(picture.name).suffix.lower()
        known = [of for of, suffixes in SUFFIXES_OF.items() if suffix in suffixes]
        if suffix != ".gif":
            found[known[0] if known else "image"] += 1
    return max(found, key=lambda one: found[one]) if found else "image"


def _captions_in(columns: Iterable[str]) -> list[str]:
    """The columns that hold captions: one, and others of several; else one of classes."""
    there = list(columns)
    first = next((name for name in CAPTION if name in there), None)
    numbered = [name for name in there if _ONE_OF_SEVERAL.fullmatch(name)]
    numbered.sort(key=lambda name: int(name.rpartition("_")[2]))
    found = [*([first] if first else []), *numbered]
    return found or [name for name in CLASS if name in there][:1]


def _are_classes(columns: Iterable[str]) -> bool:
    return bool(set(_captions_in(columns)) & set(CLASS))


def header(path: Path) -> list[str]:
    """The columns that the first line of a CSV or TSV names, in lower case."""
    line = first_line(path)
    return _named(line.split(_delimiter(line)))


def lacks_columns(path: Path, columns: Sequence[str]) -> UsageError:
    """The error of a table that lacks a column of pictures, of captions, or both."""
    lacking = [
        what
        for what, names in (("pictures", PICTURE), ("captions", (*CAPTION, *CLASS)))
        if not set(names) & set(columns)
    ]
    return UsageError(
        f"{path} has the columns {', '.join(map(printable, columns)) or '(none)'}: none of "
        f"{' and none of '.join(lacking)}.",
        advice=f"Columns of pictures: {', '.join(PICTURE)}. Of captions: {', '.join(CAPTION)}.",
    )


def _captions(
    row: Row, name: str, split: str, numbers: Counter[tuple[str, str, str]]
) -> list[Caption]:
    """The captions of one row; numbered where the table doesn't."""
    given = [(column, row[column]) for column in _captions_in(row)]
    texts = [text for column, value in given for text in _texts(column, value)]
    if _are_classes(row):
        return [Caption(mended(str(text)), text + "") for text in texts]
    texts = texts[:1] + [text for text in texts[1:] if text != ""] if len(given) > 1 else texts
    language = mended(str(row.get("language") or ""))
    number = next((int(row[column]) for column in INDEX if row.get(column) not in (None, "")), None)
    ids = _texts("raw", row["sentids"]) if row.get("sentids") else []
    captions = []
    for place, text in enumerate(texts):
        index = numbers[name, split, language] if number is None else number + place
        numbers[name, split, language] += 1
        parts = [name, language, str(index)] if language else [name, str(index)]
        caption_id = str(ids[place]) if place < len(ids) else mended("#".join(parts))
        fields: dict[str, FieldValue] = {"language": language} if language else {}
        captions.append(Caption(caption_id, text + "", {**fields, "index": index, **_others(row)}))
    return captions


def _texts(column: str, value: Any) -> list[Any]:
    """One caption, or a list of them: JSON's own, or in a cell of the column ``raw``."""
    if column == "raw" and isinstance(value, str):
        value = json.loads(value)
    return value if isinstance(value, list) else [value]


def _others(row: Row) -> dict[str, FieldValue]:
    used = {next((one for one in PICTURE if one in row), ""), *_captions_in(row)} | _KNOWN
    return {
        column: mended(value) if isinstance(value, str) else value
        for column, value in row.items()
        if column not in used and isinstance(value, str | int | float) and value != ""
    }


def _cell(row: Row, names: tuple[str, ...]) -> str:
    value = next(row[name] for name in names if name in row)
    if not isinstance(value, str) or not value.strip():
        raise ValueError("no name")
    return valid(value).strip()


def _rows(path: Path, problems: Problems) -> Iterator[tuple[int, Row]]:
    """Each row with the number of its line."""
    if first_line(path).startswith("{"):
        for line, value in json_lines(path):
            row = (
                {str(key).lower(): one for key, one in value.items()}
                if isinstance(value, dict)
                else {}
            )
            if any(one in row for one in PICTURE) and _captions_in(row):
                yield line, row
            else:
                problems.add("lines that can't be read", f"line {line}")
        return
    rows = _cells(path)
    _, first = next(rows, (0, []))
    if not first:
        raise empty(path)
    columns = _named(first)
    if not any(one in columns for one in PICTURE) or not _captions_in(columns):
        raise lacks_columns(path, columns)
    for line, cells in rows:
        if len(cells) == len(columns):
            yield line, dict(zip(columns, cells, strict=True))
        else:
            problems.add("lines that can't be read", f"line {line}")


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row that isn't blank, the header too."""
    delimiter = _delimiter(first_line(path))
    lines = (line for _, line in numbered_lines(path))
    if delimiter != ",":
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, [cell.strip() for cell in line.split(delimiter)]
        return
    reader = csv.reader(lines, strict=True)
    try:
        for cells in reader:
            if len(cells) > 1 or "".join(cells).strip():
                yield reader.line_num, cells
    except csv.Error as error:
        raise malformed(path, reader.line_num, str(error)) from error


def _delimiter(header: str) -> str:
    return next((one for one in "\t|" if one in header), ",")


def _named(cells: Sequence[str]) -> list[str]:
    return [cell.strip().strip('"').lower() for cell in cells]

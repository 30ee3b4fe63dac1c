"""The rows of a CSV that must have certain columns.

Gets: a file, the columns. Gives: its rows by column; those that lack one are problems. Touches:
that file. Never: takes an unclosed quote for a caption that goes on to the end of the file.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from .files import first_line, malformed, numbered_lines
from .gather import Problems


def columns_of(path: Path) -> set[str]:
    """What the first line of a CSV names; nothing where there is none to read."""
    if not path.is_file():
        return set()
    return {cell.strip().strip('"') for cell in first_line(path).split(",")}


def rows(path: Path, needed: Collection[str], problems: Problems) -> Iterator[Mapping[str, str]]:
    """Each row in which all the needed columns are filled.

    Raises:
        UsageError: the file can't be read.
    """
    reader = csv.reader((line for _, line in numbered_lines(path)), strict=True)
    try:
        names: list[str] = []
        for cells in reader:
            if not "".join(cells).strip():
                continue
            if not names:
                names = [cell.strip() for cell in cells]
                continue
            row = dict(zip(names, cells, strict=False))
            if len(cells) == len(names) and all(row.get(column, "").strip() for column in needed):
                yield row
            else:
                problems.add("lines that can't be read", f"line {reader.line_num}")
    except csv.Error as error:
        raise malformed(path, reader.line_num, str(error)) from error

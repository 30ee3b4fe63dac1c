"""Where text goes: results to stdout, everything else to stderr.

Gets: lines, records, paths, rows. Gives: bytes on a stream. Touches: stdout and stderr. Never:
colours (so NO_COLOR is always kept), decides what is shown, fails when the reader has gone away.

Tables are laid out here rather than by a library: with the widths of Chinese and of combining
characters that Unicode tells it needs thirty lines, and no command waits a tenth of a second for
an import.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

GAP = "  "
PATHS = ("file", "path")  # columns that hold paths
LEAST = 12  # columns that a cell keeps, however narrow the terminal


def line(text: str = "") -> None:
    """One line of a result on stdout."""
    _write(sys.stdout, f"{text}\n".encode(sys.stdout.encoding, "backslashreplace"))


def record(fields: Mapping[str, Any]) -> None:
    """One JSON object in one line of UTF-8 on stdout."""
    text = json.dumps(fields, ensure_ascii=False, allow_nan=False)
    _write(sys.stdout, f"{text}\n".encode("utf-8", "backslashreplace"))


def path(name: str, *, end: bytes = b"\n") -> None:
    """A path on stdout in the very bytes that the file system knows it by."""
    _write(sys.stdout, os.fsencode(name) + end)


def note(text: str) -> None:
    """One line for the person at the terminal, on stderr."""
    _write(sys.stderr, f"{text}\n".encode(sys.stderr.encoding, "backslashreplace"))


def replace_line(text: str) -> None:
    """Overwrite the terminal's current line on stderr; an empty `text` clears it."""
    shown = fit(text, shutil.get_terminal_size().columns - 1)
    end = "" if text else "\r"
    _write(sys.stderr, f"\r{shown}{end}".encode(sys.stderr.encoding, "backslashreplace"))


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: str = "",
    wrap: bool = False,
    longest: int | None = None,
) -> None:
    """Rows under their heads on stdout, fitted to the terminal.

    There paths lose their middle and the last column its end, as much as is too wide; in a pipe
    nothing is lost but what is over `longest`.

    Args:
        head: names of the columns; one called ``file`` or ``path`` has paths.
        rows: a cell for each column.
        right: columns that are set to the right.
        wrap: whether the last column goes on below instead of being cut.
        longest: columns of the last one, at most.
    """
    widths = [max(map(width, column)) for column in zip(head, *rows, strict=True)]
    if longest is not None:
        widths[-1] = min(widths[-1], longest)
    columns = terminal_columns()
    if columns is not None:
        _narrow(widths, [name in PATHS for name in head], columns - len(GAP) * (len(widths) - 1))
    for cells in (head, *rows):
        *others, last = cells
        below = list(_wrapped(last, widths[-1])) if wrap else [last]
        for index, part in enumerate(below):
            shown = (*(others if index == 0 else [""] * len(others)), part)
            padded = (
                (fit_path if name in PATHS else fit)(cell, size, to_right=name in right.split())
                for name, cell, size in zip(head, shown, widths, strict=True)
            )
            line(GAP.join(padded).rstrip())


def terminal_columns() -> int | None:
    """Columns of the terminal that stdout is; None when it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _narrow(widths: list[int], are_paths: Sequence[bool], room: int) -> None:
    """Take from the paths and the last column, the wider first, what is over `room`."""
    flexible = [i for i, is_path in enumerate(are_paths) if is_path or i == len(widths) - 1]
    left = room - sum(size for i, size in enumerate(widths) if i not in flexible)
    for taken, index in enumerate(sorted(flexible, key=lambda i: widths[i])):
        share = max(left // (len(flexible) - taken), LEAST)
        widths[index] = min(widths[index], share)
        left -= widths[index]


def _wrapped(text: str, size: int) -> Iterator[str]:
    """Lines of at most `size` columns, broken at spaces where there are any."""
    line = ""
    for word in text.split(" "):
        if width(f"{line} {word}" if line else word) <= size:
            line = f"{line} {word}" if line else word
            continue
        if line:
            yield line
        line = word
        while width(line) > size:
            piece = _cut(line, size) or line[0]
            yield piece
            line = line[len(piece) :]
    yield line


def fit_path(text: str, size: int, *, to_right: bool = False) -> str:
    """`text` in exactly `size` columns: padded, or without its middle, since names come last."""
    if width(text) > size:
        start = _cut(text, (size - 1) // 3)
        end = _cut(text[::-1], size - 1 - width(start))[::-1]
        text = f"{start}…{end}"
    return fit(text, size, to_right=to_right)


def fit(text: str, size: int, *, to_right: bool = False) -> str:
    """`text` in exactly `size` columns: padded, or cut with an ellipsis."""
    if width(text) > size:
        text = _cut(text, size - 1) + "…"
    padding = " " * (size - width(text))
    return padding + text if to_right else text + padding


def width(text: str) -> int:
    """Columns of a text on a terminal: 2 for a wide character, 0 for a combining one."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cut(text: str, size: int) -> str:
    taken = 0
    for index, character in enumerate(text):
        taken += _columns(character)
        if taken > size:
            return text[:index]
    return text


def _write(stream: TextIO, data: bytes) -> None:
    if stream is sys.stderr and not sys.stdout.closed:
        sys.stdout.flush()
    try:
        stream.buffer.write(data)
        stream.buffer.flush()
    except BrokenPipeError:
        # The reader (`head`, a pager) has seen enough: the command goes on to its own exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

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
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

GAP = "  "


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


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: str = "") -> None:
    """Rows under their heads on stdout; columns whose head is in `right` are set to the right.

    On a terminal the last column is cut to what fits; in a pipe nothing is cut.
    """
    widths = [max(map(width, column)) for column in zip(head, *rows, strict=True)]
    if sys.stdout.isatty():
        taken = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
        widths[-1] = min(widths[-1], max(shutil.get_terminal_size().columns - taken, 12))
    for cells in (head, *rows):
        padded = (
            fit(cell, size, to_right=name in right.split())
            for name, cell, size in zip(head, cells, widths, strict=True)
        )
        line(GAP.join(padded).rstrip())


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

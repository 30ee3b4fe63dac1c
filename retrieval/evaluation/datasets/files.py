"""Reading the text files that data sets are made of.

Gets: paths. Gives: lines and JSON values, with the number of the line. Touches: those files, which
it only reads. Never: guesses an encoding: data sets are UTF-8, with or without a byte order mark.

What can't be read at all is a `UsageError` that names file and line: half a data set would give a
figure that looks right.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import UsageError

HEAD = 1 << 16  # bytes that are enough to recognise a format by


def mended(text: str) -> str:
    """`text` in one line, without what UTF-8 can't hold."""
    return " ".join(valid(text).split())


def valid(text: str) -> str:
    """`text` without lone surrogates, which JSON may spell; a file's name may have odd spaces."""
    return text.encode("utf-8", "replace").decode("utf-8")


def malformed(path: Path, line: int, why: str, advice: str = "Mend that line.") -> UsageError:
    """The error of a file that breaks its own format."""
    return UsageError(f"{path}, line {line:,} can't be read: {why}.", advice=advice)


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Every line with its number from 1, its end (``\\n`` or ``\\r\\n``) kept.

    Raises:
        UsageError: the file can't be opened, or a line isn't UTF-8.
    """
    number, raw = 0, b""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise not_utf8(path, raw, error, number) from error


def filled_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that hold something, with their numbers, without their ends."""
    for number, line in numbered_lines(path):
        if line.strip():
            yield number, line.rstrip("\r\n")


def json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The value of each line that holds one, with the line's number.

    Raises:
        UsageError: a line isn't JSON.
    """
    for number, line in filled_lines(path):
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise malformed(path, number, _why(error)) from error


def load_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        UsageError: it can't be opened, is empty, or isn't JSON in UTF-8.
    """
    data = b""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
        if not text or text.isspace():
            raise empty(path)
        return json.loads(text)
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise not_utf8(path, data, error) from error
    except json.JSONDecodeError as error:
        raise malformed(path, error.lineno, _why(error), _WHOLE) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} can't be read as JSON: {_why(error)}.", advice=_WHOLE) from error


def head(path: Path) -> str:
    """The beginning of a file, for recognising it; "" when there is none to read."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD).decode("utf-8-sig", "replace")
    except OSError:
        return ""


def first_line(path: Path) -> str:
    """The first line of a file that holds something; "" when there is none to read."""
    return head(path).lstrip().partition("\n")[0].rstrip("\r")


def unreadable(path: Path, error: OSError) -> UsageError:
    """The error of a file that can't be opened."""
    return UsageError(f"{path} can't be read: {error.strerror or error}.", advice="Check the path.")


def empty(path: Path) -> UsageError:
    """The error of a file that holds nothing."""
    return UsageError(f"{path} is empty.", advice="Check that it was written, or fetch it again.")


def not_utf8(path: Path, data: bytes, error: UnicodeDecodeError, line: int = 0) -> UsageError:
    """The error of a file in another encoding.

    Args:
        path: the file, for the message.
        data: what was decoded.
        error: from that.
        line: its number; 0 counts those in `data`.
    """
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    why = "it is UTF-16, not UTF-8" if utf16 else "it isn't UTF-8"
    number = line or data.count(b"\n", 0, error.start) + 1
    return malformed(path, number, why, "Save the file as UTF-8.")


def _why(error: Exception) -> str:
    """Why a value isn't JSON that can be used."""
    if isinstance(error, json.JSONDecodeError):
        return f"it isn't JSON ({error.msg}, column {error.colno:,})"
    deep = isinstance(error, RecursionError)
    return "it is nested too deeply" if deep else "it holds a number that is too long"


_WHOLE = "Check that the file is whole."

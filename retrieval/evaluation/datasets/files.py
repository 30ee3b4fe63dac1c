"""Reading the text files that data sets are made of.

Gets: paths. Gives: lines and JSON values, with the number of the line. Touches: those files, which
it only reads. Never: guesses an encoding: data sets are UTF-8, with or without a byte order mark.

What can't be read at all is a `UsageError` that names file and line: half a data set would give a
figure that looks right.
"""

from __future__ import annotations

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
    number = 0
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except OSError as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise malformed(path, number, "it isn't UTF-8", "Save the file as UTF-8.") from error


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
            raise malformed(path, number, f"it isn't JSON ({error})") from error


def load_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        UsageError: it can't be opened or isn't JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error) from error
    except json.JSONDecodeError as error:
        raise malformed(path, error.lineno, f"it isn't JSON ({error.msg})", _WHOLE) from error
    except (ValueError, RecursionError) as error:
        why = f"{path} can't be read as JSON: {error}."
        raise UsageError(why, advice=_WHOLE) from error


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


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path} can't be read: {error.strerror}.", advice="Check the path.")


_WHOLE = "Check that the file is whole."

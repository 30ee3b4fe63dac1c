"""What is wrong with a path that no format recognises, where that can be told.

Gets: the path. Gives: the error. Touches: the beginning of the file (all of a ``.json``), or the
names in the folder. Never: a picture.

It names the nearest format and what that misses. Which formats there are is its caller's to say.
"""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...schema import printable
from .files import HEAD, empty, json_lines, load_json, malformed, not_utf8, unreadable
from .parts import named
from .table import header, lacks_columns

_SHOWN = 8  # names of a folder, keys of an object
_WIDTH = 60  # characters of a line
_TABLES = (".csv", ".tsv")


def unrecognised(path: Path, known: str) -> UsageError:
    """The error of a path that is in no known format.

    Args:
        path: exists.
        known: what may be written instead, for where nothing better can be advised.
    """
    try:
        text = None if path.is_dir() else _beginning(path)
        if text is None:
            return _folder(path)
        if not text.strip():
            return empty(path)
        if path.suffix == ".json":
            return _json(path, load_json(path))
        if "\n" not in text.lstrip() and path.stat().st_size > HEAD:
            long = f"{path} doesn't show its format: its first line is longer than {HEAD:,} bytes."
            return UsageError(long, advice=known)
        if path.suffix == ".jsonl" or text.lstrip().startswith("{"):
            return _objects(path)
    except OSError as error:
        return unreadable(path, error)
    except UsageError as error:
        return error
    if path.suffix in _TABLES:
        return lacks_columns(path, header(path))
    line = printable(text.strip().partition("\n")[0].strip())
    shown = line if len(line) <= _WIDTH else line[: _WIDTH - 3] + "..."
    return UsageError(
        f"{path} is in no format of data sets that is known; it begins with `{shown}`.",
        advice=known,
    )


def _beginning(path: Path) -> str:
    """What a file begins with. Raises OSError, or UsageError where it isn't text in UTF-8."""
    with path.open("rb") as file:
        data = file.read(HEAD)
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=len(data) < HEAD)
    except UnicodeDecodeError as error:
        raise not_utf8(path, data, error) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        why = "it holds a zero byte, as UTF-16 and files that are no text do"
        raise malformed(path, line, why, "Save the file as UTF-8, or check the path.")
    return text


def _folder(path: Path) -> UsageError:
    held = sorted(f"{one.name}/" if one.is_dir() else one.name for one in path.iterdir())
    return UsageError(
        f"{path} is a folder that is neither `wds` nor `beir`: "
        f"it holds {_some([printable(name) for name in held])}.",
        advice="A `wds` folder holds dataset_type.txt and SPLIT/nshards.txt beside SPLIT/0.tar; a "
        "`beir` folder holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv. Of any other format "
        "give the file.",
    )


def _json(path: Path, value: Any) -> UsageError:
    keys = isinstance(value, dict) and _some([f"`{printable(key)}`" for key in value])
    return UsageError(
        f"{path} is in no format of data sets that is known: it is JSON, "
        f"{f'an object with {keys}' if keys else named(value)}.",
        advice="COCO captions have `images` and `annotations`; Karpathy's files have `images` with "
        "`sentences`. Pairs of one's own are one object a line, not a list.",
    )


def _objects(path: Path) -> UsageError:
    """Of JSONL; raises UsageError where its first line isn't JSON."""
    line, value = next(json_lines(path))
    if not isinstance(value, dict):
        return malformed(path, line, f"it is {named(value)}, not an object")
    return lacks_columns(path, [str(key).lower() for key in value])


def _some(names: list[str]) -> str:
    more = [f"and {len(names) - _SHOWN:,} more"] if len(names) > _SHOWN else []
    return ", ".join([*names[:_SHOWN], *more]) or "nothing"

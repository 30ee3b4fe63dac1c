"""The parts of a JSON file that has to have a certain shape, or words for what is wrong with it.

Gets: values as JSON gives them. Gives: one part, of the kind that it has to be. Touches: nothing.
Never: speaks Python: who reads the message knows the file, not this program.
"""

from __future__ import annotations

from typing import Any

from .files import valid

ID = (int, str)
_KINDS: dict[Any, str] = {str: "a text", list: "a list", ID: "a whole number or a text"}
_JSON = {str: "a text", list: "a list", dict: "an object", int: "a number", float: "a number"}


def part(value: Any, key: str, kind: Any, of: str = "", place: int | None = None) -> Any:
    """What an object holds under `key`.

    Args:
        value: the object.
        key: one of its keys.
        kind: `str`, `list` or `ID`.
        of: the list that the object is in, as a message calls it; "" for the file as a whole.
        place: of the object in that list, from 0.

    Raises:
        ValueError: it is no object, has no such key, or something else under it; in words.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{_where(of, place)} is {named(value)}, not an object")
    if key not in value:
        raise ValueError(f"{_where(of, place)} has no `{key}`")
    found = value[key]
    if isinstance(found, bool) or not isinstance(found, kind):
        raise ValueError(
            f"`{key}` of {_where(of, place)} is {named(found)}, which should be {_KINDS[kind]}"
        )
    return found


def identity(value: Any, key: str, of: str, place: int) -> str:
    """The id that an object holds under `key`, as text. Raises ValueError as `part` does."""
    return valid(str(part(value, key, ID, of, place)))


def named(value: Any) -> str:
    """What a value is, in the words of JSON."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return _JSON[type(value)]


def _where(of: str, place: int | None) -> str:
    if not of:
        return "the whole of it"
    return f"entry {(place or 0) + 1:,} of {of}"

"""Metadata: the fields that every file has, and one type for each field of a collection.

Gets: items, readings, the field types so far. Gives: fields of a sighting, new types, warnings.
Touches: nothing. Never: drops a value without a warning.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from retrieval.schema import FieldType, FieldValue, field_type, path_of, printable

from .schema import Given, Item, Reading

# What readers and `fields_of` give has its type from the start: a photo's sidecar must not make
# `width` a text for all others.
BUILT_IN: Mapping[str, FieldType] = {
    "modality": "text",
    "media_type": "text",
    "path": "text",
    "folder": "text",
    "name": "text",
    "size": "number",
    "modified": "date",
    "width": "number",
    "height": "number",
    "format": "text",
    "taken": "date",
    "year": "number",
    "camera": "text",
    "latitude": "number",
    "longitude": "number",
    "characters": "number",
    "title": "text",
    "pages": "number",
}


def fields_of(item: Item, given: Given, reading: Reading) -> dict[str, FieldValue]:
    """A sighting's fields. The built-in ones win, then sidecars and the file, then the source."""
    path = printable(path_of(item.uri))
    return {
        **given.fields,
        **reading.fields,
        "modality": item.modality,
        "media_type": item.media_type,
        "path": path,
        "folder": os.path.dirname(path),
        "name": os.path.basename(path),
        "size": item.stat.size,
        "modified": _iso(item.stat.mtime_ns),
    }


def _iso(mtime_ns: int) -> str:
    try:
        moment = datetime.fromtimestamp(mtime_ns // 10**9, UTC)
    except (OverflowError, ValueError, OSError):
        moment = datetime.fromtimestamp(0, UTC)  # a file system's nonsense is no reason to fail
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


@dataclass
class FieldTypes:
    """The types of a collection's fields, each fixed when the field is first seen."""

    known: dict[str, FieldType] = field(default_factory=lambda: dict(BUILT_IN))

    def keep(self, held: Collection[str]) -> None:
        """Forget fields of the users' own that nothing has any more: a name can tell something."""
        self.known = {n: kind for n, kind in self.known.items() if n in BUILT_IN or n in held}

    def fit(self, values: Mapping[str, FieldValue]) -> tuple[dict[str, FieldValue], list[str]]:
        """Values in their fields' types, and a warning for each that can't be."""
        fitting: dict[str, FieldValue] = {}
        warnings = []
        for name, value in values.items():
            wanted = self.known.setdefault(name, field_type(value))
            converted = _convert(value, wanted)
            if converted is None:
                warnings.append(
                    f"field {printable(name)}: {printable(repr(value))[:60]} is no {wanted}; "
                    "left out"
                )
            else:
                fitting[name] = converted
        return fitting, warnings


def _convert(value: FieldValue, wanted: FieldType) -> FieldValue | None:
    if wanted == "number":
        return None if isinstance(value, bool) else _number(value)
    if field_type(value) == wanted:
        return value
    if wanted == "text":
        return str(value).lower() if isinstance(value, bool) else str(value)
    return None


def _number(value: float | str) -> float | None:
    """A number that every store can keep: finite, and an integer of at most 64 bits."""
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else number

"""Documents and sightings as rows of the index, both ways.

Gets: values. Gives: rows as JSON would give them, values. Touches: nothing: pure. Never: a server.

A document carries its text's words and, of each sighting of its asset, the fields: so one query
answers words and filter together. Both are derived, `document_row` alone derives them, and a row
that isn't what it gives for the same document and sightings is out of date.

In the index, the URI of a file names its machine, if the store was told what this one is called.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ...schema import TIMED_KINDS, Document, FieldType, FieldValue, Sighting, Span, field_type
from ...values import kept_value
from ...words import index_terms
from .connection import Action
from .tokens import cut, tokens

Row = dict[str, Any]

_FILE = "file://"
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def document_key(id_: str) -> str:
    """The row's id of a document."""
    return f"d:{id_}"


def sighting_key(uri: str) -> str:
    """The row's id of a sighting, whose URI is as the index keeps it."""
    return f"s:{hashlib.blake2b(uri.encode(), digest_size=16).hexdigest()}"


def carried(sightings: Iterable[Row]) -> list[Row]:
    """What documents carry of their asset's sightings, which are rows themselves."""
    its = {tuple(tokens(fields_of(row))) for row in sightings}
    return [{"f": list(one)} for one in sorted(its)]


def document_row(document: Document, carries: list[Row]) -> Row:
    """The row of a document that carries that of its asset's sightings."""
    row: Row = {
        "t": "d",
        "key": document_key(document.id),
        "asset": document.asset,
        "channel": document.channel,
        "kind": document.kind,
        "seen": bool(carries),
        "sightings": carries,
    }
    if document.span is not None:
        row["span"] = [document.span.start, document.span.end]
        if document.kind in TIMED_KINDS and document.span.start < document.span.end:
            row["time"] = {"gte": document.span.start, "lt": document.span.end}
    if document.text is not None:
        row["text"] = document.text
        row["words"] = terms_of(document.text)
    return row


def document_of(row: Row) -> Document:
    """The document of a row."""
    span = row.get("span")
    return Document(
        row["key"].partition(":")[2],
        row["asset"],
        row["kind"],
        row["channel"],
        None if span is None else Span(*span),
        row.get("text"),
    )


def outline_of(columns: Mapping[str, Sequence[str]]) -> Document:
    """The document of the columns of a row, without its span and its text."""
    key, asset, kind, channel = (columns[name][0] for name in ("key", "asset", "kind", "channel"))
    return Document(key.partition(":")[2], asset, kind, channel)  # type: ignore[arg-type]


def sighting_row(sighting: Sighting, host: str, first: int) -> Row:
    """The row of a sighting.

    Args:
        sighting: with its URI as callers see it.
        host: what this machine is called, or "".
        first: when it was first written, by a clock that doesn't go back.
    """
    uri = stored_uri(sighting.uri, host)
    values = {name: kept_value(value) for name, value in sighting.fields.items()}
    return {
        "t": "s",
        "key": sighting_key(uri),
        "asset": sighting.asset,
        "uri": cut(uri),
        "whole_uri": uri,
        "first": first,
        "fields": [f"{field_type(value)} {name}" for name, value in values.items()],
        "values": [[name, value] for name, value in values.items()],
        "captions": list(sighting.captions),
    }


def sighting_of(row: Row, host: str) -> Sighting:
    """The sighting of a row, as it is called on this machine."""
    uri = shown_uri(row["whole_uri"], host)
    return Sighting(uri, row["asset"], fields_of(row), tuple(row["captions"]))


def fields_of(row: Row) -> dict[str, FieldValue]:
    """The fields of a sighting's row."""
    return dict(row["values"])


def field_of(term: str) -> tuple[str, FieldType]:
    """Name and type that a term of a sighting's ``fields`` says."""
    type_, _, name = term.partition(" ")
    return name, type_  # type: ignore[return-value]


def stored_uri(uri: str, host: str) -> str:
    """A URI as the index keeps it: that of a file here names this machine."""
    if host and uri.startswith(f"{_FILE}/"):
        return f"{own(host)}{uri.removeprefix(f'{_FILE}/')}"
    return uri


def shown_uri(uri: str, host: str) -> str:
    """A URI as callers see it: that of a file here doesn't name this machine."""
    if host and uri.startswith(own(host)):
        return f"{_FILE}/{uri.removeprefix(own(host))}"
    return uri


def own(host: str) -> str:
    """What the URIs of a machine's files begin with."""
    return f"{_FILE}{quote(host, safe='')}/"


def terms_of(text: str) -> str:
    """What the index is given of a text's words."""
    return " ".join(index_terms(text))


def dumped(row: Mapping[str, Any]) -> bytes:
    """A row as it is sent; equal rows, and none else, are equal so."""
    return _ENCODER.encode(row).encode()


def writing(row: Row) -> Action:
    """The action that writes a row over whatever has its id."""
    return dumped({"index": {"_id": row["key"]}}), dumped(row)


def deleting(keys: Sequence[str]) -> list[Action]:
    """The actions that delete rows."""
    return [(dumped({"delete": {"_id": key}}), None) for key in keys]

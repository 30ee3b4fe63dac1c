"""Documents and sightings as rows of the SQLite tables, both ways.

Gets: values and a connection in a transaction. Gives: rows, values. Touches: the tables of
`file`. Never: opens, commits or closes.
"""
# ruff: noqa: S608 (SQL is put together from constants; what a user gives is a parameter)

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from ...schema import Document, FieldValue, Sighting, Span, field_type
from ...values import is_id, kept_value
from ...words import index_terms
from .file import WORDS

DOCUMENT = "d.id, d.asset, d.kind, d.channel, d.span_start, d.span_end, d.text"
OUTLINE = "d.id, d.asset, d.kind, d.channel, NULL, NULL, NULL"
IDS = "IN (SELECT blob(value) FROM json_each(?))"
_ADD_WORDS = "INSERT INTO words (rowid, terms) VALUES (?, ?)"

# One row for each field of a sighting; one with NULLs for a sighting without fields.
SIGHTINGS = """
SELECT s.uri, s.asset, s.captions, f.name, f.type, v.value FROM sightings s
LEFT JOIN field_values v ON v.sighting = s.number LEFT JOIN fields f ON f.number = v.field
"""


def listed(ids: Iterable[str]) -> str:
    """The parameter of `IDS`. What can't be an id is left out, as it can't be in the store."""
    return json.dumps([id_ for id_ in ids if is_id(id_)])


def document_of(row: Sequence[Any]) -> Document:
    """The document of a row of the columns `DOCUMENT`, or `OUTLINE`."""
    id_, asset, kind, channel, start, end, text = row
    span = None if start is None else Span(start, end)
    return Document(id_.hex(), asset.hex(), kind, channel, span, text)


def sightings_of(rows: Iterable[Sequence[Any]]) -> Iterator[Sighting]:
    """The sightings of rows of the query `SIGHTINGS`; one sighting's rows follow each other."""
    for uri, its in groupby(rows, key=itemgetter(0)):
        fields: dict[str, FieldValue] = {}
        for _, asset, captions, name, type_, value in its:  # noqa: B007 (used after the loop)
            if name is not None:
                fields[name] = bool(value) if type_ == "boolean" else value
        yield Sighting(uri, asset.hex(), fields, tuple(json.loads(captions)))


def write_documents(connection: sqlite3.Connection, documents: Mapping[str, Document]) -> None:
    """Write documents, given by id; those that are there as they are cost no writing."""
    rows = connection.execute(
        f"SELECT {DOCUMENT} FROM documents d WHERE d.id {IDS}", (listed(documents),)
    )
    known = {document.id: document for document in map(document_of, rows)}
    changed = [document for id_, document in documents.items() if known.get(id_) != document]
    delete_documents(connection, [document.id for document in changed if document.id in known])
    for document in changed:
        span = document.span
        cursor = connection.execute(
            "INSERT INTO documents (id, asset, kind, channel, span_start, span_end, text)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                bytes.fromhex(document.id),
                bytes.fromhex(document.asset),
                document.kind,
                document.channel,
                None if span is None else span.start,
                None if span is None else span.end,
                document.text,
            ),
        )
        if document.text is not None:
            connection.execute(_ADD_WORDS, (cursor.lastrowid, terms_of(document.text)))


def write_all_words(connection: sqlite3.Connection) -> None:
    """Make the table of words anew from the documents."""
    connection.execute("DROP TABLE words")
    connection.execute(WORDS)
    texts = connection.execute("SELECT number, text FROM documents WHERE text IS NOT NULL")
    connection.executemany(_ADD_WORDS, ((number, terms_of(text)) for number, text in texts))


def delete_documents(connection: sqlite3.Connection, ids: Sequence[str]) -> bool:
    """Delete documents and their words; whether there were words."""
    wanted = (listed(ids),)
    numbers = f"(SELECT number FROM documents WHERE id {IDS})"
    words = connection.execute(f"DELETE FROM words WHERE rowid IN {numbers}", wanted)
    connection.execute(f"DELETE FROM documents WHERE id {IDS}", wanted)
    return words.rowcount > 0


def write_sightings(connection: sqlite3.Connection, sightings: Mapping[str, Sighting]) -> None:
    """Write sightings, given by URI; a known one is replaced with all its fields."""
    delete_sightings(connection, list(sightings))
    numbers: dict[tuple[str, str], int] = {}
    for sighting in sightings.values():
        cursor = connection.execute(
            "INSERT INTO sightings (uri, asset, captions) VALUES (?, ?, ?)",
            (sighting.uri, bytes.fromhex(sighting.asset), _json(sighting.captions)),
        )
        connection.executemany(
            "INSERT INTO field_values VALUES (?, ?, ?)",
            [
                (cursor.lastrowid, _number_of(connection, numbers, name, value), kept_value(value))
                for name, value in sighting.fields.items()
            ],
        )


def delete_sightings(connection: sqlite3.Connection, uris: Sequence[str]) -> None:
    """Delete sightings with their fields."""
    connection.execute(
        "DELETE FROM sightings WHERE uri IN (SELECT value FROM json_each(?))",
        (json.dumps(list(uris)),),
    )


def delete_unused_fields(connection: sqlite3.Connection) -> None:
    """Delete the names of fields that no sighting carries: a name can tell something too."""
    connection.execute(
        "DELETE FROM fields WHERE NOT EXISTS"
        " (SELECT 1 FROM field_values v WHERE v.field = fields.number)"
    )


def terms_of(text: str) -> str:
    """What the words table keeps of a text."""
    return " ".join(index_terms(text))


def _number_of(
    connection: sqlite3.Connection,
    numbers: dict[tuple[str, str], int],
    name: str,
    value: FieldValue,
) -> int:
    """The number of (name, type of the value), given at first sight; `numbers` remembers."""
    key = (name, field_type(value))
    if key not in numbers:
        connection.execute("INSERT OR IGNORE INTO fields (name, type) VALUES (?, ?)", key)
        row = connection.execute("SELECT number FROM fields WHERE name = ? AND type = ?", key)
        numbers[key] = row.fetchone()[0]
    return numbers[key]


def _json(captions: Sequence[str]) -> str:
    return json.dumps(captions, ensure_ascii=False)

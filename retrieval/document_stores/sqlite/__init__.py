"""The document store `sqlite:`: documents, sightings and words in one SQLite file.

Gets: documents, sightings, words, filters. Gives: documents, ids, rankings. Touches:
``documents.sqlite`` in the place's directory. Never: another back end, the user's files.

Words go through `retrieval.words` into an FTS5 table whose tokenizer is ``porter ascii``: it
splits our terms at their spaces, stems those in ASCII, and takes every other character as part of
a term. Fields lie in rows of their own, indexed by value, so a filter that admits little is
answered from the index and one over everything reads no JSON.

Erasing. FTS5 only marks deleted entries and drops them when it merges, so a delete that took
words away merges the whole index before it commits; zeroing freed bytes and emptying the log do
the rest. That costs time in proportion to the index (0.15 s at 100,000 captions) for each call
of `delete`, not for each document: callers delete in large batches.

Threads take turns: one connection, and a lock around all that is done with it.
"""
# ruff: noqa: S608 (SQL is put together from constants; what a user gives is a parameter)

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from threading import RLock
from typing import Any

import numpy as np

from ... import sqlite_files
from ...errors import CorruptError, StoreUnreachableError
from ...protocols import Place, Problem
from ...schema import TIMED_KINDS, Document, FieldType, Filter, Ranking, Sighting, Span, TooMany
from ...words import query_terms
from . import file as sqlite_file
from . import rows as rows_of
from .filters import Condition, admitted
from .rows import DOCUMENT, IDS, OUTLINE, SIGHTINGS, document_of, listed, sightings_of, terms_of

FILE_NAME = "documents.sqlite"
PAGE = 1_000  # rows that `scan` reads at once

# The type of a field name: that of the first of its values' types seen that is still carried.
_FIELDS = """
SELECT name, type FROM fields f
WHERE EXISTS (SELECT 1 FROM field_values v WHERE v.field = f.number) ORDER BY number DESC
"""

_TIMED = ", ".join(f"'{kind}'" for kind in sorted(TIMED_KINDS))
_DURING = (
    f"d.kind IN ({_TIMED}) AND d.span_start < d.span_end AND d.span_end > ? AND d.span_start < ?"
)

_DOCUMENTS_WITH_WORDS = """
SELECT d.id, d.text, w.terms FROM documents d LEFT JOIN words w ON w.rowid = d.number
UNION ALL
SELECT NULL, NULL, w.terms FROM words w WHERE w.rowid NOT IN (SELECT number FROM documents)
"""

# BM25 ranks by the 24 bits that a float32 keeps, so that what looks equal in a Ranking is a tie
# here too: x * (2^29 + 1) - (x * (2^29 + 1) - x) rounds a double to 24 bits.
_SEARCH = f"""
WITH found AS MATERIALIZED (
    SELECT d.id AS id, -bm25(words) * {2**29 + 1}.0 AS shifted, -bm25(words) AS score
    FROM words JOIN documents d ON d.number = words.rowid
    WHERE words MATCH ? AND {{condition}}
)
SELECT id, shifted - (shifted - score) AS rounded FROM found ORDER BY rounded DESC, id LIMIT ?
"""


class SqliteStore:
    """A `DocumentStore` in one file; see the protocol for what each method promises."""

    def __init__(self, place: Place) -> None:
        """Open the store of a place; for writing, make it if it isn't there and may be new.

        Raises:
            NewerFormatError: a newer version wrote it.
            OlderFormatError: an older one did, and it is opened for reading.
            CorruptError: it is missing, damaged, or no store of ours.
            StoreUnreachableError: no permission, no space, or a file system that can't lock.
        """
        self._path = place.directory / FILE_NAME
        self._read_only = place.read_only
        self._lock = RLock()
        if place.read_only:
            self._connection = sqlite_file.open_for_reading(self._path)
        else:
            make = place.anew or not place.existing
            if place.anew:
                sqlite_files.remove(self._path)
            self._connection = sqlite_file.open_for_writing(self._path, make=make)
            try:
                self._upgrade()
            except BaseException:
                self._connection.close()
                raise

    def upsert(self, documents: Sequence[Document], sightings: Sequence[Sighting] = ()) -> None:
        """Write documents and sightings in one commit.

        Raises:
            ValueError: an id or asset that isn't hex, or a field that isn't a finite number,
                a truth value or text. Nothing is written then.
        """
        with self._writing() as connection:
            rows_of.write_documents(connection, {document.id: document for document in documents})
            rows_of.write_sightings(connection, {sighting.uri: sighting for sighting in sightings})
            rows_of.delete_unused_fields(connection)

    def forget(self, uris: Sequence[str]) -> None:
        """Delete sightings; their captions and fields are gone from the files too."""
        with self._writing() as connection:
            rows_of.delete_sightings(connection, uris)
            rows_of.delete_unused_fields(connection)
        self._erase_log()

    def delete(self, ids: Sequence[str]) -> None:
        """Delete documents; their texts are gone from the files too (see the module)."""
        with self._writing() as connection:
            if rows_of.delete_documents(connection, ids):
                connection.execute("INSERT INTO words (words) VALUES ('optimize')")
        self._erase_log()

    def get(self, ids: Sequence[str]) -> dict[str, Document]:
        """The documents of those ids that are there."""
        sql = f"SELECT {DOCUMENT} FROM documents d WHERE d.id {IDS}"
        return {document.id: document for document in self._documents(sql, listed(ids))}

    def of_assets(self, assets: Sequence[str]) -> dict[str, list[Document]]:
        """Each asset's documents, in the order of (kind, span, id)."""
        found = self._documents(
            f"SELECT {DOCUMENT} FROM documents d WHERE d.asset {IDS}"
            " ORDER BY d.asset, d.kind, d.span_start, d.span_end, d.id",
            listed(assets),
        )
        return {asset: list(its) for asset, its in groupby(found, key=lambda d: d.asset)}

    def sightings(self, assets: Sequence[str]) -> dict[str, list[Sighting]]:
        """Each asset's sightings, in the order of their URIs."""
        found = self._sightings(f"s.asset {IDS} ORDER BY s.asset, s.uri", listed(assets))
        return {asset: list(its) for asset, its in groupby(found, key=lambda s: s.asset)}

    def search(
        self,
        words: str,
        k: int,
        *,
        where: Filter | None = None,
        channel: str | None = None,
        during: Span | None = None,
    ) -> Ranking:
        """The k best documents by BM25 for any of the words."""
        terms = query_terms(words)
        rows: list[Any] = []
        if terms and k > 0:
            condition = _passing(admitted(where, "of_each"), channel, during)
            sql = _SEARCH.format(condition=condition.sql)
            match = " OR ".join(f'"{term}"' for term in terms)
            rows = self._read(sql, match, *condition.parameters, k)
        scores = np.fromiter((row[1] for row in rows), np.float32, len(rows))
        return Ranking(tuple(row[0].hex() for row in rows), scores)

    def select(
        self,
        where: Filter | None,
        limit: int,
        *,
        channel: str | None = None,
        during: Span | None = None,
    ) -> list[str] | TooMany:
        """Sorted ids of all documents that pass, or `TooMany`."""
        condition = _passing(admitted(where, "of_all"), channel, during)
        sql = f"SELECT d.id FROM documents d WHERE {condition.sql} LIMIT ?"
        rows = self._read(sql, *condition.parameters, limit + 1)
        return TooMany(limit) if len(rows) > limit else sorted(row[0].hex() for row in rows)

    def passing(
        self, ids: Sequence[str], where: Filter | None, *, during: Span | None = None
    ) -> dict[str, Document]:
        """Those of the ids that are there and pass, without their spans and texts."""
        condition = _passing(admitted(where, "of_each"), during=during)
        sql = f"SELECT {OUTLINE} FROM documents d WHERE d.id {IDS} AND {condition.sql}"
        found = self._documents(sql, listed(ids), *condition.parameters)
        return {document.id: document for document in found}

    def count(self, channel: str | None = None) -> int:
        """The number of documents (of one channel)."""
        condition = _passing(Condition("1"), channel)
        sql = f"SELECT count(*) FROM documents d WHERE {condition.sql}"
        number: int = self._read(sql, *condition.parameters)[0][0]
        return number

    def scan(self, channel: str | None = None) -> Iterator[Document]:
        """All documents by id, a page at a time: what is committed meanwhile may be missed."""
        last = b""
        condition = _passing(Condition("d.id > ?"), channel)
        sql = f"SELECT {DOCUMENT} FROM documents d WHERE {condition.sql} ORDER BY d.id LIMIT {PAGE}"
        while page := self._documents(sql, last, *condition.parameters):
            yield from page
            last = bytes.fromhex(page[-1].id)

    def scan_sightings(self) -> Iterator[Sighting]:
        """All sightings by URI, a page at a time, like `scan`."""
        last = ""
        in_page = (
            "s.number IN (SELECT number FROM sightings WHERE uri > ? ORDER BY uri"
            f" LIMIT {PAGE}) ORDER BY s.uri"
        )
        while page := self._sightings(in_page, last):
            yield from page
            last = page[-1].uri

    def fields(self) -> Mapping[str, FieldType]:
        """Names and types of the fields that sightings carry."""
        return dict(self._read(_FIELDS))

    def check(self) -> Iterator[Problem]:
        """Damage in the file, and words that don't fit the documents."""
        problems: list[Problem] = []
        try:
            with sqlite_file.understood(self._path), self._using() as connection:
                problems.extend(_problems(connection))
        except CorruptError as error:  # so damaged that the rest can't be read
            problems.append(Problem(FILE_NAME, str(error), whole=True))
        yield from problems

    def repair(self) -> None:
        """Build the words and every index anew."""
        with sqlite_file.understood(self._path), self._writing() as connection:
            rows_of.write_all_words(connection)
            connection.execute("REINDEX")
        self._erase_log()

    def close(self) -> None:
        """Close the file; the store can't be used afterwards. A second time does nothing."""
        with self._lock:
            self._connection.close()

    def _upgrade(self) -> None:
        """Bring a file of an earlier format up to date in one commit; only its words differ."""
        with self._using() as connection:
            if not sqlite_file.is_older(connection):
                return
        try:
            with sqlite_file.understood(self._path), self._writing() as connection:
                rows_of.write_all_words(connection)
                sqlite_file.mark(connection)
        except CorruptError as error:
            error.advice = (
                "Move the file away and run `echolens verify --repair`; it says what to index."
            )
            raise
        self._erase_log()

    def _read(self, sql: str, *parameters: Any) -> list[Any]:
        """The rows of one statement, hence of one committed state."""
        with self._using() as connection:
            return connection.execute(sql, parameters).fetchall()

    def _sightings(self, condition: str, parameter: str) -> list[Sighting]:
        rows = self._read(f"{SIGHTINGS} WHERE {condition}", parameter)
        with sqlite_file.understood(self._path):
            return list(sightings_of(rows))

    def _documents(self, sql: str, *parameters: Any) -> list[Document]:
        rows = self._read(sql, *parameters)
        with sqlite_file.understood(self._path):
            return [document_of(row) for row in rows]

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time."""
        with self._lock, sqlite_files.errors_of(self._path):
            yield self._connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if self._read_only:
            raise StoreUnreachableError(
                f"{self._path} is open for reading only.",
                advice="Open the collection for writing.",
            )
        with self._using() as connection, sqlite_files.commit(connection):
            yield connection

    def _erase_log(self) -> None:
        with self._using() as connection:
            sqlite_files.erase_log(connection, sqlite_file.WAIT_S)


def _problems(connection: sqlite3.Connection) -> Iterator[Problem]:
    for message in sqlite_file.damage(connection):
        yield Problem(FILE_NAME, message)
    for id_, text, terms in connection.execute(_DOCUMENTS_WITH_WORDS):
        if id_ is None:
            yield Problem(FILE_NAME, "words are kept that belong to no document")
        elif terms != (None if text is None else terms_of(text)):
            yield Problem(id_.hex(), "the words kept for it are not those of its text")


def _passing(
    condition: Condition, channel: str | None = None, during: Span | None = None
) -> Condition:
    """`condition`, and of that channel, and in that time."""
    sql, parameters = condition.sql, condition.parameters
    if channel is not None:
        sql, parameters = f"{sql} AND d.channel = ?", (*parameters, channel)
    if during is not None:
        sql, parameters = f"{sql} AND {_DURING}", (*parameters, during.start, during.end)
    return Condition(sql, parameters)

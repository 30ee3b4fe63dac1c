"""The document store `elasticsearch://HOST:PORT/NAME`: one index of an Elasticsearch server.

Gets: documents, sightings, words, filters, records. Gives: documents, ids, rankings. Touches: the
index NAME and the aliases of its writers. Never: another index, the user's files, a local folder.

Options of the URL, beside those of every server: ``shards`` (1) and ``replicas`` (auto: 1 where the
cluster has two nodes or more), of an index that is made.

Every write is one bulk request that ends in a refresh, so on one shard readers see a batch whole or
not at all, and what a method wrote is found when it returns. With more shards a reader may see a
part of a batch for a moment, and so it may after a server died in the middle of a request, until
the writer, whose call failed, has written the batch again.

Words and filters mean what they mean on every document store (`tokens`, `filters`). Erasing takes
some 30 seconds, in the background; `close` waits for it (`erasing`).

A text is compared with others, and matched by LIKE, by its first 32,000 bytes; equal is only what
is equal as a whole. A query with more than 1,000 different words asks for the rarest of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from heapq import merge
from itertools import islice
from threading import RLock

import numpy as np

from ...abilities import Record, Service
from ...errors import CorruptError, EcholensError, FilterError, StoreUnreachableError
from ...protocols import Place, Problem
from ...schema import Document, FieldType, Filter, Ranking, Sighting, Span, TooMany
from ...servers.address import parse
from ...values import check_documents, check_sightings, is_id
from ...words import query_terms
from . import checking, reading, records
from . import rows as rows_of
from .connection import PRODUCT, Action, Connection
from .erasing import Eraser, pending
from .filters import Query, admitted, overlapping
from .index import OPTIONS, PORT, open_index, put_format, put_properties, writers_alias
from .planning import Plan
from .reading import of_sort
from .rows import document_key, document_of, outline_of, sighting_of


class ElasticsearchStore:
    """A `DocumentStore`, `SharedStore` and `Served`; see these for what each method promises."""

    @staticmethod
    def check_url(url: str) -> None:
        """Refuse a URL that isn't one, or has a secret in it."""
        parse(url, port=PORT, options=OPTIONS)

    def __init__(self, place: Place) -> None:
        """Open the index of the place's URL; for writing, make it if it isn't there and may be new.

        Raises:
            UsageError: the URL isn't one, or has a secret in it.
            NewerFormatError: a newer version made the index.
            OlderFormatError: an older one did, and it is opened for reading.
            CorruptError: it is missing, closed, or none of ours.
            StoreUnreachableError: no answer, or no access.
        """
        self._connection = Connection(parse(place.url, port=PORT, options=OPTIONS))
        self._read_only = place.read_only
        self._host = place.host
        self._stale = not place.read_only  # whether rows may be written that searches don't see
        self._writing_lock = RLock()
        self._alias = writers_alias(self._connection.name)
        self._eraser = Eraser(self._connection)
        try:
            self._older = open_index(self._connection, place)
        except BaseException:
            self._connection.close()
            raise

    def upsert(self, documents: Sequence[Document], sightings: Sequence[Sighting] = ()) -> None:
        """Write documents and sightings; readers see them all at once.

        Raises:
            ValueError: an id or asset that isn't hex, or a field that isn't a finite number,
                a truth value or text. Nothing is written then.
            LockedError: another writer has fenced.
        """
        check_documents(documents)
        check_sightings(sightings)
        with self._writing():
            self._write(Plan(self._connection, self._host).upsert(documents, sightings))

    def forget(self, uris: Sequence[str]) -> None:
        """Delete sightings; their captions and fields leave the files too (see `erasing`)."""
        with self._writing():
            self._erase(Plan(self._connection, self._host).forget(uris))

    def delete(self, ids: Sequence[str]) -> None:
        """Delete documents; their texts leave the files too (see `erasing`)."""
        wanted = [document_key(id_) for id_ in dict.fromkeys(ids) if is_id(id_)]
        with self._writing():
            there = [row["key"] for row in reading.by_keys(self._connection, wanted)]
            self._erase(rows_of.deleting(there))

    def get(self, ids: Sequence[str]) -> dict[str, Document]:
        """The documents of those ids that are there."""
        wanted = [document_key(id_) for id_ in ids if is_id(id_)]
        with self._understood():
            found = map(document_of, reading.by_keys(self._connection, wanted))
            return {document.id: document for document in found}

    def of_assets(self, assets: Sequence[str]) -> dict[str, list[Document]]:
        """Each asset's documents, in the order of (kind, span, id)."""
        found: dict[str, list[Document]] = {}
        with self._understood():
            for row in self._of_assets("d", assets):
                found.setdefault(row["asset"], []).append(document_of(row))
        for its in found.values():
            its.sort(key=_place_in_asset)
        return found

    def sightings(self, assets: Sequence[str]) -> dict[str, list[Sighting]]:
        """Each asset's sightings, in the order of their URIs."""
        found: dict[str, list[Sighting]] = {}
        with self._understood():
            for row in self._of_assets("s", assets):
                found.setdefault(row["asset"], []).append(sighting_of(row, self._host))
        for its in found.values():
            its.sort(key=_uri)
        return found

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
        conditions = _passing(where, channel, during)
        hits: list[reading.Hit] = []
        if terms and k > 0:
            asked = reading.for_words(self._connection, terms)
            query = {"bool": {"must": [asked], "filter": conditions}}
            with self._asking(where):
                hits = reading.best(self._connection, query, k)
        scores = np.fromiter((hit["_score"] for hit in hits), np.float32, len(hits))
        return Ranking(tuple(_id(hit["_id"]) for hit in hits), scores)

    def select(
        self,
        where: Filter | None,
        limit: int,
        *,
        channel: str | None = None,
        during: Span | None = None,
    ) -> list[str] | TooMany:
        """Sorted ids of all documents that pass, or `TooMany`."""
        query = of_sort("d", *_passing(where, channel, during))
        with self._asking(where):
            found = list(islice(reading.keys(self._connection, query), limit + 1))
        return TooMany(limit) if len(found) > limit else [_id(key) for key in found]

    def passing(
        self, ids: Sequence[str], where: Filter | None, *, during: Span | None = None
    ) -> dict[str, Document]:
        """Those of the ids that are there and pass, without their spans and texts."""
        found: dict[str, Document] = {}
        wanted = [document_key(id_) for id_ in ids if is_id(id_)]
        with self._asking(where):
            for start in range(0, len(wanted), reading.IDS):
                these: Query = {"terms": {"key": wanted[start : start + reading.IDS]}}
                query = of_sort("d", these, *_passing(where, None, during))
                for outline in map(outline_of, reading.outlines(self._connection, query)):
                    found[outline.id] = outline
        return found

    def count(self, channel: str | None = None) -> int:
        """The number of documents (of one channel)."""
        return reading.counted(self._connection, of_sort("d", *_of_channel(channel)))

    def scan(self, channel: str | None = None) -> Iterator[Document]:
        """All documents by id, a page at a time: what is written meanwhile may be missed."""
        with self._understood():
            for row in reading.rows(self._connection, of_sort("d", *_of_channel(channel))):
                yield document_of(row)

    def scan_sightings(self) -> Iterator[Sighting]:
        """All sightings by URI, a page at a time, like `scan`."""
        here: Query = {"prefix": {"uri": rows_of.own(self._host)}}
        elsewhere: Query = {"bool": {"must_not": [here]}}
        queries = [of_sort("s", here), of_sort("s", elsewhere)] if self._host else [of_sort("s")]
        with self._understood():
            yield from merge(*map(self._sightings_by_uri, queries), key=_uri)

    def fields(self) -> Mapping[str, FieldType]:
        """Names and types of the fields that sightings carry."""
        return reading.fields(self._connection)

    def check(self) -> Iterator[Problem]:
        """Documents whose words or fields aren't those of their text and their sightings."""
        for problem, _ in checking.problems(self._connection):
            yield problem

    def repair(self) -> None:
        """Derive words and fields anew where they don't fit."""
        with self._writing():
            self._mend()

    def record(self, name: str) -> Record | None:
        """What was last put under a name, whether or not searches see it yet."""
        return records.read(self._connection, name)

    def put_record(self, name: str, data: bytes, *, replacing: str | None) -> Record:
        """Write a record over its version `replacing`; None: over none."""
        self._refuse_if_read_only()
        return records.put(self._connection, name, data, replacing=replacing)

    def fence(self, token: str) -> None:
        """Refuse from now on what any store wrote under another token; this one's is `token`."""
        self._refuse_if_read_only()
        with self._writing_lock:
            self._alias = records.fence(self._connection, token)
            self._refresh()  # what another writer left half done is read as it is from now on
            self._eraser.begin()

    def service(self) -> Service:
        """Ask the server. Nothing lags: every write ends in a refresh."""
        version = self._connection.ask(lambda client: client.info())["version"]["number"]
        counts = {
            words: reading.counted(self._connection, of_sort(sort))
            for sort, words in (("d", "documents"), ("s", "sightings"))
        }
        return Service(PRODUCT, str(version), lag=0, counts=counts)

    def close(self) -> None:
        """Wait until what was deleted is erased, and let go of the server."""
        self._eraser.finish()
        self._connection.close()

    def _upgrade(self) -> None:
        """Bring an index of an earlier format up to date: its words, and last what it says it has.

        Killed in between, the next writer goes on. The first writing method does this and not the
        opening: by then other writers are fenced off, and the lease is renewed meanwhile.
        """
        put_properties(self._connection)
        self._mend()
        put_format(self._connection)
        self._older = False

    def _mend(self) -> None:
        for actions in checking.repairs(self._connection):
            self._write(actions)

    def _write(self, actions: Sequence[Action]) -> None:
        if actions:
            self._connection.bulk(actions, alias=self._alias)

    def _erase(self, actions: Sequence[Action]) -> None:
        if actions:
            self._connection.bulk([*actions, pending()], alias=self._alias)
            self._eraser.begin()

    def _refresh(self) -> None:
        name = self._connection.name
        self._connection.ask(lambda client: client.indices.refresh(index=name))

    def _of_assets(self, sort: str, assets: Sequence[str]) -> Iterator[rows_of.Row]:
        for condition in reading.in_pieces([asset for asset in assets if is_id(asset)]):
            yield from reading.rows(self._connection, of_sort(sort, condition))

    def _sightings_by_uri(self, query: Query) -> Iterator[Sighting]:
        for row in reading.rows(self._connection, query, "uri"):
            yield sighting_of(row, self._host)

    def _refuse_if_read_only(self) -> None:
        if self._read_only:
            raise StoreUnreachableError(
                f"The {self._connection} is open for reading only.",
                advice="Open the collection for writing.",
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One writing method at a time; what one left half done is seen by the next."""
        self._refuse_if_read_only()
        with self._writing_lock, self._understood():
            try:
                if self._stale:
                    self._refresh()
                if self._older:
                    self._upgrade()
                yield
                self._stale = False
            except EcholensError:
                self._stale = True
                raise

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Take a row that no writer wrote for what it is: damage."""
        try:
            yield
        except (AttributeError, KeyError, TypeError) as error:
            raise CorruptError(
                f"The {self._connection} holds a row that Echolens didn't write ({error!r}).",
                advice="Run `echolens verify --repair`, or bring the index back from a backup.",
            ) from error

    @contextmanager
    def _asking(self, where: Filter | None) -> Iterator[None]:
        """Tell a filter that is more than the server computes from a server in trouble."""
        try:
            yield
        except StoreUnreachableError as error:
            if where is None or not reading.is_too_much(error):
                raise
            raise FilterError(
                "The filter has more comparisons, or a more complicated LIKE, than the server "
                "computes.",
                advice="Ask in several searches.",
            ) from error


def _id(key: str) -> str:
    return key.partition(":")[2]


def _uri(sighting: Sighting) -> str:
    return sighting.uri


def _passing(where: Filter | None, channel: str | None, during: Span | None) -> list[Query]:
    """The conditions that a document passes a filter, is of a channel, and lies in a time."""
    in_time = [] if during is None else [overlapping(during)]
    return [admitted(where), *_of_channel(channel), *in_time]


def _of_channel(channel: str | None) -> list[Query]:
    """The condition that a document is of a channel, if one is named."""
    return [] if channel is None else [{"term": {"channel": channel}}]


def _place_in_asset(document: Document) -> tuple[str, bool, float, float, str]:
    span = document.span
    start, end = (0.0, 0.0) if span is None else (span.start, span.end)
    return document.kind, span is not None, start, end, document.id

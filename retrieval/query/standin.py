"""Answering from vectors alone, while the document store can't be reached.

Gets: a collection's back ends. Gives: back ends whose document store is a stand-in. Touches: read
methods of vector stores that are `Knowing`. Never: a text, a path, a time, or any field but
``modality``; these are left out, and the result says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, cast

from retrieval.abilities import Knowing
from retrieval.errors import MissingPartError, StoreUnreachableError
from retrieval.protocols import DocumentStore, VectorStore
from retrieval.schema import (
    CHANNEL_OF_KIND,
    TIMED_KINDS,
    And,
    Compare,
    Document,
    Exists,
    Filter,
    Like,
    Modality,
    Not,
    Or,
    Ranking,
    Sighting,
    Span,
)

from .backends import AbsentStore, Backends
from .moments import overlaps
from .where import holds


class DocumentsDown(Exception):  # noqa: N818 (caught by the engine alone; not for users)
    """The document store, whatever it was asked, can't be reached."""

    def __init__(self, error: MissingPartError) -> None:
        super().__init__(str(error))
        self.error = error


def watched(backends: Backends) -> Backends:
    """The same back ends; an unreachable document store raises `DocumentsDown`."""
    return replace(backends, documents=cast("DocumentStore", _Watched(backends.documents)))


def without_documents(backends: Backends, error: MissingPartError) -> Backends:
    """The same back ends, answering from what vector stores know.

    Raises:
        MissingPartError: they know nothing, or can't be reached either.
    """
    knowing = {key: store for key, store in backends.vectors.items() if _knows(store)}
    if not knowing:
        raise _nothing_answers(backends.vectors, error)
    stand_in = StandIn(cast("Mapping[str, Knowing]", knowing), error)
    return replace(backends, documents=cast("DocumentStore", stand_in))


@dataclass(frozen=True)
class StandIn:
    """The reading half of a `DocumentStore`, as far as vector stores know it; else it raises.

    Attributes:
        vectors: by channel key.
        error: what keeps the document store from answering.
    """

    vectors: Mapping[str, Knowing]
    error: MissingPartError

    def get(self, ids: Sequence[str]) -> dict[str, Document]:
        """The documents, without their texts."""
        found: dict[str, Document] = {}
        for store in self.vectors.values():
            found |= store.documents([id_ for id_ in ids if id_ not in found])
        return found

    def of_assets(self, assets: Sequence[str]) -> dict[str, list[Document]]:
        """Each asset's documents that have vectors."""
        found: dict[str, list[Document]] = defaultdict(list)
        for store in self.vectors.values():
            for asset, documents in store.of_assets(assets).items():
                found[asset] += documents
        return dict(found)

    def passing(
        self, ids: Sequence[str], where: Filter | None, *, during: Span | None = None
    ) -> dict[str, Document]:
        """Those of the ids that are there and pass a filter on the modality, and lie in a time."""
        documents = self.get(ids)
        if during is not None:
            documents = {id_: one for id_, one in documents.items() if self._lies_in(one, during)}
        if where is None:
            return documents
        if _fields_of(where) != {"modality"}:
            raise self.error
        of_assets = self.of_assets(sorted({document.asset for document in documents.values()}))
        modalities = {asset: _modality(its) for asset, its in of_assets.items()}
        return {
            id_: document
            for id_, document in documents.items()
            if holds(where, {"modality": modalities[document.asset]})
        }

    def _lies_in(self, document: Document, during: Span) -> bool:
        if document.span is None and document.kind in TIMED_KINDS:
            raise self.error
        return overlaps(document, during)

    def sightings(self, _: Sequence[str]) -> dict[str, list[Sighting]]:
        """None: nobody else knows where files are."""
        return {}

    def search(self, *_: object, **__: object) -> Ranking:
        """Words are in the document store alone."""
        raise self.error

    def select(self, *_: object, **__: object) -> NoReturn:
        """So are the fields that filters are about."""
        raise self.error


class _Watched:
    """A document store whose errors are told from those of other stores."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*arguments: Any, **options: Any) -> Any:
            try:
                return getattr(self._store, name)(*arguments, **options)
            except MissingPartError as error:
                raise DocumentsDown(error) from error

        return ask


def _knows(store: VectorStore) -> bool:
    return not isinstance(store, AbsentStore) and isinstance(store, Knowing)


def _nothing_answers(
    vectors: Mapping[str, VectorStore], error: MissingPartError
) -> MissingPartError:
    absent = [store.error for store in vectors.values() if isinstance(store, AbsentStore)]
    if not absent or str(absent[0]) == str(error):
        return error
    return StoreUnreachableError(f"{error} {absent[0]}", advice=error.advice)


def _modality(documents: Sequence[Document]) -> Modality:
    """Of an asset: a picture with captions is a picture."""
    found = {CHANNEL_OF_KIND[document.kind] for document in documents}
    return next(iter(found - {"text"}), "text")


def _fields_of(where: Filter) -> set[str]:
    match where:
        case And(terms) | Or(terms):
            return set().union(*map(_fields_of, terms))
        case Not(term):
            return _fields_of(term)
        case Compare(field=name) | Like(field=name) | Exists(field=name):
            return {name}

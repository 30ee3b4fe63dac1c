"""Erasing the stores that a collection has left.

Gets: a session of the collection where it is now. Gives: what was erased. Touches: the old stores,
``moves.json``. Never: a store in use, by whatever name; a copy of an asset that has no other.

Two URLs may name one place: ``exact:`` and ``faiss:`` keep the same files. So each old store is
asked first: something is put into it, and if the store in use has it then, they are one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from io import BytesIO

import numpy as np

from retrieval import registry
from retrieval.abilities import SharedStore
from retrieval.collection import MANIFEST_RECORD, uris_of
from retrieval.hosts import host_of
from retrieval.protocols import AssetStore, DocumentStore, Place, VectorStore
from retrieval.schema import Channel, Document

from ..opening import Session
from ..sharing import withdraw
from .journal import identity_in, read_journal, write_journal
from .parts import chunks, is_whole
from .schema import Role, Stores

_BYTES = b"Echolens: is this the same store?"
_ASSET = sha256(_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class Discarded:
    """What became of the stores that were left, each as ``role URL``; ids of assets that stay."""

    erased: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def discard(session: Session) -> Discarded:
    """Erase every store that the collection was in, or began to move to, and isn't in."""
    directory, manifest = session.backends.directory, session.backends.manifest
    journal = read_journal(directory)
    erasers: dict[Role, Callable[[Session, str], list[str] | None]] = {
        "vectors": _vectors,
        "documents": _documents,
        "assets": _assets,
    }
    erased: list[str] = []
    shared: list[str] = []
    kept: list[str] = []
    for role, url in journal.old(Stores(manifest.vectors, manifest.documents, manifest.assets)):
        left = erasers[role](session, url)
        kept += left or ()
        if left:
            continue
        (shared if left is None else erased).append(f"{role} {url}")
        journal = journal.without(role, url)
        write_journal(directory, journal)
    return Discarded(tuple(erased), tuple(shared), tuple(kept))


def _place(session: Session, url: str) -> Callable[..., Place]:
    directory = session.backends.directory
    host = host_of(directory, session.settings)
    return partial(Place, url, directory, read_only=False, host=host)


def _vectors(session: Session, url: str) -> list[str] | None:
    """Make the store of each channel anew; None where it is the one in use."""
    place = _place(session, url)
    for channel in session.backends.manifest.channels:
        with closing(registry.open_vector_store(place(), channel)) as old:
            if _is_one_vectors(old, session.backends.vectors[channel.key], channel):
                return None
        registry.open_vector_store(place(anew=True), channel).close()
    return []


def _is_one_vectors(old: VectorStore, new: VectorStore, channel: Channel) -> bool:
    mark = _mark(channel.key)
    vector = np.full((1, channel.dim), channel.dim**-0.5, np.float32)
    old.upsert([mark.id], vector, [mark])
    try:
        return mark.id in new.get([mark.id])
    finally:
        old.delete([mark.id])


def _documents(session: Session, url: str) -> list[str] | None:
    """Make the store anew; word of the move stays in one that other machines may ask."""
    place = _place(session, url)
    with closing(registry.open_document_store(place())) as old:
        if _is_one_documents(old, session.backends.documents):
            return None
        told = isinstance(old, SharedStore) and old.record(MANIFEST_RECORD) is not None
    with closing(registry.open_document_store(place(anew=True))) as old:
        if told:
            identity_in(old, read_journal(session.backends.directory))
            withdraw(old, session.backends.manifest)
    return []


def _is_one_documents(old: DocumentStore, new: DocumentStore) -> bool:
    mark = _mark("")
    old.upsert([mark])
    try:
        return mark.id in new.get([mark.id])
    finally:
        old.delete([mark.id])


def _mark(channel: str) -> Document:
    """A document that no search finds, since no file has its asset."""
    return Document.of(_ASSET, "image", channel)


def _assets(session: Session, url: str) -> list[str] | None:
    """Delete the copies, each once its asset is found whole where it is now, or needed no more."""
    backends = session.backends

    place = _place(session, url)
    with closing(registry.open_asset_store(place(), partial(uris_of, backends.documents))) as old:
        if not old.copies:
            return []
        if _is_one_assets(old, backends.assets):
            return None
        return list(_delete_copies(old, backends.assets, backends.documents))


def _is_one_assets(old: AssetStore, new: AssetStore) -> bool:
    old.put(_ASSET, BytesIO(_BYTES))
    try:
        return new.exists(_ASSET)
    finally:
        old.delete(_ASSET)


def _delete_copies(old: AssetStore, new: AssetStore, documents: DocumentStore) -> Iterator[str]:
    """Delete the copies; gives the ids of those that stay."""
    for chunk in chunks(old.scan()):
        needed = documents.sightings(chunk)
        for asset in chunk:
            if asset in needed and not is_whole(new, asset):
                yield asset
            else:
                old.delete(asset)

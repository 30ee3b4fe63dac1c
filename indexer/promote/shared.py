"""Moves from and to document stores that several machines reach.

Gets: a collection, a document store. Gives: nothing, or refuses. Touches: ``manifest.json``.
Never: a document.
"""

from __future__ import annotations

import json
from contextlib import closing

from retrieval import registry
from retrieval.abilities import SharedStore
from retrieval.collection import Collection
from retrieval.errors import UsageError
from retrieval.hosts import host_of
from retrieval.manifest import read_manifest, write_manifest
from retrieval.protocols import DocumentStore, Place

from ..lease import RECORD, Holder
from ..sharing import manifest_in
from .journal import read_journal


def follow(collection: Collection) -> None:
    """Finish a move of ours that was killed after the store that is left was told of it."""
    directory = collection.directory
    manifest, places = read_manifest(directory), read_journal(directory).places
    if not set(places.get("documents", ())) - {manifest.documents}:
        return
    place = Place(
        manifest.documents, directory, existing=True, host=host_of(directory, collection.settings)
    )
    with closing(registry.open_document_store(place)) as documents:
        moved = manifest_in(documents, manifest.documents)
    if moved is None or moved.documents == manifest.documents:
        return
    if moved.documents in places["documents"]:
        write_manifest(directory, moved)


def refuse_taken(documents: DocumentStore, url: str, holder: Holder) -> None:
    """Refuse a store that was published before a kill, and that another machine has gone on with.

    Raises:
        UsageError: it has, so what is there now is the collection.
    """
    if not isinstance(documents, SharedStore):
        return
    there, lease = manifest_in(documents, url), documents.record(RECORD)
    if there is None or lease is None:
        return
    if there.documents == url and json.loads(lease.data).get("holder") != holder.name:
        raise UsageError(
            f"The collection was published in {url}, and another machine has written there since.",
            advice=f"Go on with it there: `echolens init NAME --attach {url}`.",
        )

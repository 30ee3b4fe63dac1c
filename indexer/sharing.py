"""What a collection keeps of itself in a document store that several machines reach.

Gets: a document store, a manifest, probes. Gives: nothing, or what is kept there. Touches: records
of a `SharedStore`, and ``manifest.json``. Never: a document.

The record of the manifest is written first and the file after it: the record is what counts, and
each machine takes it from there when it opens the collection.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from retrieval.abilities import Record, SharedStore
from retrieval.collection import MANIFEST_RECORD
from retrieval.errors import CollectionNotFoundError, LockedError, UsageError
from retrieval.manifest import Manifest, dump_manifest, load_manifest, write_manifest
from retrieval.probes import Probes, dump_probes, load_probes
from retrieval.protocols import DocumentStore
from retrieval.query.backends import Backends
from retrieval.schema import Sighting, is_here

PROBES_RECORD = "probes"


def keep_manifest(backends: Backends, manifest: Manifest) -> None:
    """Replace the manifest that a writer's back ends say, wherever it is kept.

    Raises:
        LockedError: another machine is writing by now, or has replaced it since it was read.
        StoreUnreachableError: no answer, no space, no permission; what was there stays.
    """
    documents = backends.documents
    if isinstance(documents, SharedStore):
        backends.check()
        record = documents.record(MANIFEST_RECORD)
        if record is None or _loaded(record, backends.manifest.documents) != backends.manifest:
            raise LockedError(
                f"Another machine has changed the manifest in {backends.manifest.documents}.",
                advice="Run the same command again.",
            )
        documents.put_record(MANIFEST_RECORD, dump_manifest(manifest), replacing=record.version)
    write_manifest(backends.directory, manifest)


def publish(documents: DocumentStore, manifest: Manifest, probes: Probes) -> None:
    """Put a new collection's records into its document store, if that is shared; manifest last."""
    if isinstance(documents, SharedStore):
        keep_probes(documents, probes)
        _put(documents, MANIFEST_RECORD, dump_manifest(manifest))


def keep_probes(documents: DocumentStore, probes: Probes) -> None:
    """Bring a shared store's record of the probes up to date."""
    if isinstance(documents, SharedStore):
        _put(documents, PROBES_RECORD, dump_probes(probes))


def refuse_published(documents: DocumentStore, url: str) -> None:
    """Refuse to make a collection where there is one already."""
    if isinstance(documents, SharedStore) and documents.record(MANIFEST_RECORD) is not None:
        raise UsageError(
            f"There is a collection in {url} already.",
            advice=f"Search and index it from here: `echolens init NAME --attach {url}`.",
        )


def published(documents: DocumentStore, url: str) -> tuple[Manifest, Probes]:
    """What `publish` put into a shared store, the manifest as it is by now.

    Raises:
        CollectionNotFoundError: there is no collection in it.
        CorruptError, NewerFormatError: it can't be read.
    """
    assert isinstance(documents, SharedStore)
    manifest, probes = documents.record(MANIFEST_RECORD), documents.record(PROBES_RECORD)
    if manifest is None or probes is None:
        raise CollectionNotFoundError(
            f"There is no collection in {url}.",
            advice="Make one: `echolens init NAME --documents URL`, or check the name in the URL.",
        )
    return (
        _loaded(manifest, url),
        load_probes(probes.data, where=f"The record of probes in {url}"),
    )


def manifest_in(documents: DocumentStore, url: str) -> Manifest | None:
    """The manifest that a shared store keeps, as it is by now; None where it keeps none."""
    record = documents.record(MANIFEST_RECORD) if isinstance(documents, SharedStore) else None
    return None if record is None else _loaded(record, url)


def withdraw(documents: DocumentStore, moved: Manifest) -> None:
    """Leave word in a store that the collection has moved out of it."""
    if isinstance(documents, SharedStore):
        _put(documents, MANIFEST_RECORD, dump_manifest(moved))


def hosts_of(sightings: Iterable[Sighting]) -> set[str]:
    """The machines that have an asset's files; none where one lies here, or none is known."""
    uris = [sighting.uri for sighting in sightings]
    if any(is_here(uri) or not uri.startswith("file://") for uri in uris):
        return set()
    return {unquote(uri.split("/")[2]) for uri in uris}


def _loaded(record: Record, url: str) -> Manifest:
    return load_manifest(record.data, where=f"The manifest in {url}")


def _put(store: SharedStore, name: str, data: bytes) -> None:
    known = store.record(name)
    if known is None or known.data != data:
        store.put_record(name, data, replacing=known.version if known else None)

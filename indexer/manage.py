"""What one does with a collection besides indexing: figures, failures, taking files out.

Gets: a collection. Gives: values. Touches: ledger and stores. Never: the user's files.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from retrieval.abilities import Served
from retrieval.collection import Collection
from retrieval.errors import MissingPartError, UsageError
from retrieval.protocols import DocumentStore
from retrieval.query.backends import AbsentStore, Backends
from retrieval.schema import Channel, SkipReason, is_here, printable, uri_of

from .fields import FieldTypes
from .ledger import CHUNK, Ledger
from .opening import Session, writing
from .removed import RemovedAssets, removed_in, write_removed
from .report import Failure, Status, StoreStatus
from .rows import Row
from .schema import Paths, paths_of
from .sharing import keep_manifest
from .write import Writer

_ASSET = re.compile(r"[0-9a-f]{64}")
_URI = re.compile(r"file://([^/]*)/.*", re.DOTALL)


def failures(collection: Collection, *, every: bool = False) -> Iterator[Failure]:
    """The files that should have been indexed and could not be, in the order of their paths.

    Args:
        collection: the collection.
        every: also those that are skipped and are no failure: of other kinds, without content,
            taken out.
    """
    with closing(Ledger(collection.directory, read_only=True)) as ledger:
        for row in ledger.scan("skipped"):
            if row.reason is not None and (every or row.reason.is_failure):
                yield Failure(row.uri, row.reason, row.message)
        for row in ledger.scan("erased") if every else ():
            yield Failure(row.uri, SkipReason.REMOVED, "was taken out; `index --restore` undoes it")


def status(collection: Collection) -> Status:
    """Figures of a collection, and how its stores are."""
    backends = collection.backends
    with closing(Ledger(collection.directory, read_only=True)) as ledger:
        outcomes = ledger.outcomes()
    files: Counter[str] = Counter()
    for (outcome, _), count in outcomes.items():
        files[outcome] += count
    stores = {store.role: store for store in _stores(backends)}
    documents = None if stores["documents"].error else backends.documents
    assets, media_s = _assets(documents) if documents else ({}, 0.0)
    return Status(
        stores=tuple(stores.values()),
        assets=assets,
        documents=_documents(documents, backends.manifest.channels) if documents else {},
        vectors={
            key: store.count()
            for key, store in backends.vectors.items()
            if not stores[f"vectors {key}"].error
        },
        files=dict(files),
        failures={r: n for (_, r), n in outcomes.items() if r is not None and r.is_failure},
        fields=dict(documents.fields()) if documents else {},
        bytes=_size_of(collection.directory),
        media_s=media_s,
    )


def _documents(documents: DocumentStore, channels: Sequence[Channel]) -> dict[str, int]:
    """How many documents there are of each channel, and under "" of none."""
    counts = {channel.key: documents.count(channel.key) for channel in channels}
    rest = documents.count() - sum(counts.values())
    return {key: count for key, count in {**counts, "": rest}.items() if count > 0}


def _assets(documents: DocumentStore) -> tuple[dict[str, int], float]:
    """How many assets there are of each modality, and how long all of them last, in seconds."""
    found: dict[str, set[str]] = {}
    lengths: dict[str, float] = {}
    for sighting in documents.scan_sightings():
        found.setdefault(str(sighting.fields.get("modality", "")), set()).add(sighting.asset)
        duration_s = sighting.fields.get("duration_s")
        if isinstance(duration_s, int | float):
            lengths[sighting.asset] = float(duration_s)
    counts = {modality: len(assets) for modality, assets in sorted(found.items())}
    return counts, sum(lengths.values())


def _stores(backends: Backends) -> Iterator[StoreStatus]:
    manifest = backends.manifest
    yield _asked("documents", manifest.documents, backends.documents)
    for key, store in backends.vectors.items():
        yield _asked(f"vectors {key}", manifest.vectors, store)
    yield _asked("assets", manifest.assets, backends.assets)


def _asked(role: str, url: str, store: object) -> StoreStatus:
    try:
        if isinstance(store, AbsentStore):
            raise store.error
        return StoreStatus(role, url, store.service() if isinstance(store, Served) else None)
    except MissingPartError as error:
        return StoreStatus(role, url, error=str(error))


def _size_of(folder: Path) -> int:
    """Bytes of all files below a folder; those that a writer takes away meanwhile don't count."""
    size = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += os.stat(os.path.join(root, name)).st_size
    return size


def remove(paths: Paths, collection: Collection, *, dry_run: bool = False) -> int:
    """Take files, all files below folders, or assets by id out of a collection, and keep them out.

    The user's files are not touched. What was erased stays out in later runs, until one with
    ``restore``. Where machines share the collection, an asset that is named by its id goes
    whichever of them have it, and a path is one of this machine's.

    Returns:
        How many files were taken out.

    Raises:
        UsageError: nothing of that name was indexed, or on another machine.
    """
    collection.close()
    with writing(collection, prove=False) as session:
        ledger = session.ledger
        elsewhere = _elsewhere(paths_of(paths), session.backends.documents)
        rows = {
            row.uri: row
            for path in paths_of(paths)
            for row in _named(path, ledger, is_elsewhere=path in elsewhere)
        }
        count = len(rows) + sum(elsewhere.values())
        if dry_run:
            return count
        RemovedAssets(session.backends.documents).add(filter(_ASSET.fullmatch, paths_of(paths)))
        held = list(rows.values())
        write_removed(collection.directory, removed_in(ledger) | {row.uri for row in held})
        for start in range(0, len(held), CHUNK):
            chunk = held[start : start + CHUNK]
            ledger.intend_recheck(row.asset for row in chunk if row.asset)
            ledger.put(Row(row.uri, "", None, "", "erased") for row in chunk)
        Writer(session.backends, ledger).finish()
        _forget_fields(session)
        for store in session.backends.vectors.values():
            store.compact()
    return count


def _forget_fields(session: Session) -> None:
    manifest = session.backends.manifest
    types = FieldTypes(dict(manifest.fields))
    types.keep(session.backends.documents.fields())
    if types.known != manifest.fields:
        keep_manifest(session.backends, replace(manifest, fields=types.known))


def _elsewhere(named: Sequence[str], documents: DocumentStore) -> dict[str, int]:
    """How many files on other machines the assets have that are named by their ids."""
    seen = documents.sightings([name for name in named if _ASSET.fullmatch(name)])
    counts = {asset: sum(not is_here(one.uri) for one in its) for asset, its in seen.items()}
    return {asset: count for asset, count in counts.items() if count}


def _named(path: str, ledger: Ledger, *, is_elsewhere: bool) -> Iterator[Row]:
    found = is_elsewhere
    if _ASSET.fullmatch(path):
        candidates = list(ledger.holding(path))
    else:
        uri = path if _URI.fullmatch(path) else uri_of(os.path.expanduser(path))
        candidates = list(ledger.unseen(uri))
    for row in candidates:
        if row.outcome != "erased":
            found = True
            yield row
    if not found:
        raise _unknown(path)


def _unknown(path: str) -> UsageError:
    uri = _URI.fullmatch(path)
    if uri is None or not uri[1]:
        return UsageError(
            f"Nothing called {printable(path)} was indexed.",
            advice="Give a path as it was indexed, a folder, or an asset id; see `search`.",
        )
    return UsageError(
        f"{printable(path)} is a file of the machine `{printable(unquote(uri[1]))}`, not of this.",
        advice="Remove it there, or here by its asset id, which takes it out on all machines; "
        "see `search --format jsonl`.",
    )

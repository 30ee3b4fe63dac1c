"""A collection, opened: reads the manifest and alone builds the `Backends` record.

Gets: a name or a folder. Gives: a `Collection`, whose one verb is `search`. Touches: the
collection's folder, read-only unless the indexer opens it for writing. Never: writes anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Literal, Self, TypeVar, cast, get_args

from . import registry
from .abilities import SharedStore
from .errors import (
    CollectionNotFoundError,
    CorruptError,
    MissingPartError,
    NotInstalledError,
    StoreUnreachableError,
    UnknownSchemeError,
    UsageError,
)
from .hosts import host_of
from .manifest import NAME, Manifest, load_manifest, read_manifest
from .probes import Probes, read_probes
from .protocols import DocumentStore, Encoder, Limits, Place, VectorStore
from .query.backends import AbsentStore, Backends
from .query.engine import search
from .query.parse import Query, parse_query
from .query.present import Results
from .schema import Alias, Channel, Compute, Filter, Modality
from .settings import Settings, load_settings
from .thumbnails import Thumbnails

S = TypeVar("S")
MANIFEST_RECORD = "manifest"  # in a document store that several machines share


class Collection:
    """What was indexed, ready to be asked. Use it as a context manager, or `close` it.

    Several threads may search at once; it is closed when none does any more.
    """

    def __init__(self, directory: Path, settings: Settings) -> None:
        self.directory = directory
        self.settings = settings
        self._opening = Lock()
        self._opened: Backends | None = None

    @property
    def backends(self) -> Backends:
        """The stores, opened read-only when first needed."""
        with self._opening:
            if self._opened is None:
                self._opened = open_backends(self.directory, self.settings)
            return self._opened

    @property
    def manifest(self) -> Manifest:
        """What the collection is."""
        return self.backends.manifest

    def search(
        self,
        query: str | Query,
        *,
        k: int = 10,
        where: Filter | str | None = None,
        modality: Modality | None = None,
        group_by: Literal["asset", "document", "moment"] | None = None,
        between: tuple[float, float] | None = None,
    ) -> Results:
        """Find the `k` best answers to words, or to a `Query` of several parts.

        Args:
            query: words, or a `Query` (see `parse_query`).
            k: how many hits; so many come back whenever so many exist.
            where: an SQL WHERE expression over the metadata: ``year >= 2020``.
            modality: what kind of hit comes back; None for any.
            group_by: one hit an asset (the default; a film comes with its best moments), one a
                document, or one a moment of a film or a recording.
            between: (start, end) in seconds; only what lies in that time of films counts.
        """
        _check_call(query, k, where, modality, group_by)
        asked = parse_query(query) if isinstance(query, str) else query
        if between is not None:
            asked = replace(asked, between=_checked_times(between))
        return search(self.backends, asked, k=k, where=where, modality=modality, group_by=group_by)

    def close(self) -> None:
        """Close the stores, if they were opened; the next use opens them again."""
        with self._opening:
            backends, self._opened = self._opened, None
        if backends is not None:
            backends.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Collection({str(self.directory)!r})"


def open_collection(
    name: str | os.PathLike[str] | None = None, *, settings: Settings | None = None
) -> Collection:
    """Open a collection by its name or its folder; without one, the user's default.

    Raises:
        CollectionNotFoundError: there is none; `indexer.create` makes one.
        CollectionError: it is damaged, or a newer Echolens wrote it.
    """
    settings = settings or load_settings()
    directory = directory_of(name, settings)
    try:
        read_manifest(directory)
    except CollectionNotFoundError as error:
        here = Path(os.fspath(name) if name is not None else settings.collection)
        if here.absolute() != directory and (here / NAME).is_file():
            error.advice = f"The folder here of that name is one: write `./{here}`."
        raise
    return Collection(directory, settings)


def _check_call(
    query: object, k: object, where: object, modality: object, group_by: object
) -> None:
    """Refuse what isn't of the types that `search` takes; Python itself wouldn't."""
    takes = {
        "query": (isinstance(query, str | Query), "words, or what `parse_query` gives"),
        "k": (isinstance(k, int), "a whole number"),
        "where": (
            where is None or isinstance(where, str | Filter),
            "an SQL WHERE expression: 'year >= 2020'",
        ),
        "modality": (modality is None or modality in get_args(Modality), "'image' or 'text'"),
        "group_by": (
            group_by in (None, "asset", "document", "moment"),
            "'asset', 'document' or 'moment'",
        ),
    }
    given = {"query": query, "k": k, "where": where, "modality": modality, "group_by": group_by}
    for name, (fits, example) in takes.items():
        if not fits:
            raise UsageError(f"`{name}` can't be {given[name]!r}.", advice=f"Give {example}.")


def _checked_times(between: object) -> tuple[float, float]:
    """Two times; that they are ones is for `Query` to say."""
    if isinstance(between, Sequence) and len(between) == 2:
        start, end = between
        if all(isinstance(t, int | float) and not isinstance(t, bool) for t in between):
            return float(start), float(end)
    raise UsageError(f"`between` can't be {between!r}.", advice="Give two times: (60, 90.5).")


def directory_of(name: str | os.PathLike[str] | None, settings: Settings) -> Path:
    """The folder of a collection: a path is itself, a bare name lies in the user's data folder."""
    text = os.fspath(name) if name is not None else settings.collection
    if not text.strip() or "\0" in text:
        raise UsageError(f"{text!r} is no name of a collection.", advice="Give a name or a path.")
    is_path = text.startswith((".", "~")) or any(s in text for s in (os.sep, os.altsep) if s)
    path = Path(os.path.expanduser(text))
    return (path if is_path else settings.home / path).absolute()


def open_backends(
    directory: Path, settings: Settings, *, read_only: bool = True, new: Manifest | None = None
) -> Backends:
    """Open every store of a collection; for writing only where the indexer holds its lock.

    Args:
        directory: the collection's folder.
        settings: the user's.
        read_only: whether the stores refuse to be written.
        new: of a collection that is being made: what its manifest will say. Its stores are made.

    Raises:
        CorruptError: a store is missing, or damaged.
        MissingPartError: a store doesn't answer, or its package isn't here. For reading, one raises
            that only when it is used, so that the others can answer.
    """
    manifest = new or read_manifest(directory)
    place = partial(
        Place,
        directory=directory,
        read_only=read_only,
        existing=new is None,
        host=host_of(directory, settings),
    )
    blamed = named_by(directory) if new is None else nullcontext()
    with ExitStack() as opened, blamed:
        at = place(manifest.documents)
        documents = _open(partial(registry.open_document_store, at), at)
        opened.callback(documents.close)
        manifest = manifest if new else shared_manifest(documents, manifest)
        vectors: dict[str, VectorStore] = {}
        at = place(manifest.vectors)
        for channel in manifest.channels:
            vectors[channel.key] = _open(partial(registry.open_vector_store, at, channel), at)
            opened.callback(vectors[channel.key].close)
        at = place(manifest.assets)
        assets = _open(partial(registry.open_asset_store, at, partial(uris_of, documents)), at)
        opened.pop_all()
    return Backends(
        directory=directory,
        manifest=manifest,
        documents=documents,
        vectors=vectors,
        assets=assets,
        encoder=_encoder_opener(directory, settings),
        probes=_probe_reader(directory),
        thumbnails=Thumbnails(directory, read_only=read_only),
        limits=limits_of(settings),
        alias=_alias_opener(settings),
    )


def limits_of(settings: Settings) -> Limits:
    """What one input may cost, as the user's settings say."""
    return Limits(
        bytes=settings.max_file_mb << 20,
        pixels=settings.max_megapixels * 1_000_000,
        seconds=settings.decode_seconds,
        memory=settings.decode_memory_mb << 20,
    )


def uris_of(documents: DocumentStore, asset: str) -> list[str]:
    """Where an asset was seen, as an asset store that keeps no copies asks it."""
    return [sighting.uri for sighting in documents.sightings([asset]).get(asset, [])]


def shared_manifest(documents: DocumentStore, known: Manifest) -> Manifest:
    """The manifest that counts: the record in a shared document store, else the one known here.

    Raises:
        CorruptError: the store has no such record.
        CollectionNotFoundError: the collection was moved out of the store.
    """
    if isinstance(documents, AbsentStore) or not isinstance(documents, SharedStore):
        return known
    where = f"The manifest in {known.documents}"
    record = documents.record(MANIFEST_RECORD)
    if record is None:
        raise CorruptError(f"{where} is missing.", advice="Bring the store back from a backup.")
    manifest = load_manifest(record.data, where=where)
    if manifest.documents != known.documents:
        raise CollectionNotFoundError(
            f"The collection in {known.documents} was moved to `{manifest.documents}`.",
            advice="Attach that one, if it is a server: `echolens init NAME --attach URL`.",
        )
    return manifest


def _open(store: Callable[[], S], place: Place) -> S:
    """Open a store; where it isn't to be had, a reader gets what raises that when it is used."""
    try:
        with named_by(place.directory) if place.existing else nullcontext():
            return store()
    except (NotInstalledError, StoreUnreachableError) as error:
        if not place.read_only:
            raise
        return cast("S", AbsentStore(error))


@contextmanager
def named_by(directory: Path, kind: type[UsageError] = UnknownSchemeError) -> Iterator[None]:
    """What the manifest names isn't used wrongly: what it needs is missing here.

    Args:
        directory: the manifest's.
        kind: of an error that says so. A store's may also tell of credentials: not those.
    """
    try:
        yield
    except kind as error:
        raise NotInstalledError(
            f"{error} The manifest of {directory} names it.",
            advice="Install the package that brings it, in the version that made the collection.",
        ) from error


def _encoder_opener(directory: Path, settings: Settings) -> Callable[[Channel], Encoder]:
    @cache
    def open_url(url: str) -> Encoder:
        with named_by(directory, UsageError):
            return registry.open_encoder(url, settings.compute)

    return lambda channel: open_url(channel.encoder)


def _alias_opener(settings: Settings) -> Callable[[Alias], Encoder | None]:
    """What opens aliases, on the processor and in whatever precision they were exported."""
    compute = Compute("cpu", "auto", settings.threads or None)

    @cache
    def open_alias(alias: Alias) -> Encoder | None:
        try:
            encoder = registry.open_encoder(alias.encoder, compute)
            return encoder if encoder.fingerprint == alias.fingerprint else None
        except (MissingPartError, UsageError):
            return None  # the channel's own encoder gives the same vectors, only later

    return open_alias


def _probe_reader(directory: Path) -> Callable[[], Probes]:
    return cache(partial(read_probes, directory))

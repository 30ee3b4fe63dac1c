"""Making a collection, attaching one that is shared, and opening one for writing.

Gets: a name, store and encoder URLs. Gives: a `Collection`, or a `Session` that may write to it.
Touches: the collection's folder: its manifest, probes and lock; its records where it is shared.
Never: a document.

The manifest is written last, after the stores were made, so a collection is there whole or not at
all, and a store that is missing later was lost and is no empty one. What a creation that was killed
leaves is known by its lock, and holds no document yet. Opening for writing
encodes the probes again and compares: an encoder that went wrong in silence writes nothing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from retrieval import registry
from retrieval.collection import Collection, directory_of, open_backends, shared_manifest
from retrieval.errors import (
    CollectionNotFoundError,
    CorruptError,
    EncoderMismatchError,
    LockedError,
    StoreMissingError,
    StoreUnreachableError,
    UsageError,
)
from retrieval.hosts import host_of
from retrieval.manifest import NAME, Manifest, read_manifest, write_manifest
from retrieval.probes import Probes, check_encoder, make_probes, write_probes
from retrieval.protocols import Encoder, Place
from retrieval.query.backends import Backends
from retrieval.schema import Channel, Modality
from retrieval.settings import Settings, load_settings

from .fields import BUILT_IN
from .folder import LOCK, make_folder, undone
from .lease import Holder, leased
from .ledger import Ledger
from .removed import teach
from .sharing import manifest_in, publish, published, refuse_published

INDEXED_MODALITIES: tuple[Modality, ...] = tuple(registry.MODALITIES)


@dataclass(frozen=True, slots=True)
class Session:
    """A collection, opened by its one writer, or read-only to be looked at whole."""

    backends: Backends
    ledger: Ledger
    settings: Settings


def create(
    name: str | os.PathLike[str] | None = None,
    *,
    encoder: str | None = None,
    vectors: str | None = None,
    documents: str | None = None,
    assets: str | None = None,
    settings: Settings | None = None,
) -> Collection:
    """Make a collection; what isn't said is the user's setting. Open it if it is there already.

    Raises:
        UsageError: it is there with another encoder or other stores than were asked for, or its
            folder holds other things.
    """
    settings = settings or load_settings()
    directory = directory_of(name, settings)
    encoder = encoder and _absolute(encoder, settings)
    asked = {"encoder": encoder, "vectors": vectors, "documents": documents, "assets": assets}
    if (directory / NAME).exists():
        _check_asked(directory, read_manifest(directory), asked)
        return Collection(directory, settings)
    registry.check("vector_store", vectors or settings.vectors)
    registry.check("document_store", documents or settings.documents)
    registry.check("asset_store", assets or settings.assets)
    url = encoder or _absolute(settings.encoder, settings)
    new = make_folder(directory)
    with locked(directory):
        if (directory / NAME).exists():  # another process has made it meanwhile
            _check_asked(directory, read_manifest(directory), asked)
            return Collection(directory, settings)
        with undone(directory, new=new):
            manifest = Manifest(
                channels=_make_channels(directory, url, settings),
                vectors=vectors or settings.vectors,
                documents=documents or settings.documents,
                assets=assets or settings.assets,
                fields=BUILT_IN,
            )
            _make_stores(directory, manifest, settings)
            write_manifest(directory, manifest)
    return Collection(directory, settings)


def attach(
    name: str | os.PathLike[str] | None, url: str, *, settings: Settings | None = None
) -> Collection:
    """Make this machine know a collection that lies in a shared document store.

    One that it knows already, and that was moved there from another such store, it knows there
    from then on, with all that its ledger says.

    Args:
        name: what it is called here, or its folder.
        url: of its document store.
        settings: the user's.

    Raises:
        UsageError: the folder is another collection already, the store isn't one that machines
            share, the collection knows it by another URL, or the vectors are on the machine that
            made it.
        CollectionNotFoundError: there is no collection in the store.
        StoreUnreachableError: it doesn't answer.
    """
    settings = settings or load_settings()
    directory = directory_of(name, settings)
    known = read_manifest(directory) if (directory / NAME).exists() else None
    if known is not None and known.documents == url:
        return Collection(directory, settings)
    place = partial(Place, directory=directory, existing=True, host=host_of(directory, settings))
    if known is not None and url not in _moves(known.documents, place):
        raise UsageError(
            f"{directory} is a collection already, and another one.",
            advice="Give the attached one a name or a folder of its own with --collection.",
        )
    if not registry.is_shared(url):
        raise UsageError(
            f"`{url}` is on one machine alone, so nothing can be attached.",
            advice="Give the URL of a server: elasticsearch://HOST:PORT/NAME.",
        )
    manifest, probes = _attached(place(url))
    if manifest.documents != url:
        raise UsageError(
            f"The collection in {url} says that it is in `{manifest.documents}`: it was moved "
            "there, or that is what the machine that made it calls the same server.",
            advice="Attach it by that URL. If it is one that means nothing here, like localhost, "
            "make the collection anew with a host name that every machine knows.",
        )
    if "://" not in manifest.vectors:
        raise UsageError(
            f"The vectors of the collection in {url} are not on a server (`{manifest.vectors}`).",
            advice="On the machine that made it: `echolens promote --vectors milvus://HOST:PORT/NAME`.",
        )
    new = make_folder(directory)
    with locked(directory), undone(directory, new=new):
        write_probes(directory, probes)
        write_manifest(directory, manifest)
    return Collection(directory, settings)


def _attached(place: Place) -> tuple[Manifest, Probes]:
    """What a shared store keeps of the collection in it; nothing was lost if there is none."""
    try:
        with closing(registry.open_document_store(place)) as documents:
            return published(documents, place.url)
    except StoreMissingError as error:
        raise CollectionNotFoundError(
            f"There is no collection in {place.url}.", advice="Check the name in the URL."
        ) from error


def _moves(url: str, place: Callable[[str], Place]) -> Iterator[str]:
    """Where a collection has moved, as the document stores say that it has left one by one."""
    seen: set[str] = set()
    while url not in seen and registry.is_shared(url):
        seen.add(url)
        with closing(registry.open_document_store(place(url))) as documents:
            moved = manifest_in(documents, url)
        if moved is None:
            return
        url = moved.documents
        yield url


@contextmanager
def writing(collection: Collection, *, prove: bool = True) -> Iterator[Session]:
    """Open a collection for its one writer, after its encoder has proved to be the same.

    Args:
        collection: closed by its caller.
        prove: False for what encodes nothing: it goes without the encoder and its weights.

    Raises:
        LockedError: another process is writing.
        EncoderMismatchError: the encoder isn't the one that the collection was made with.
    """
    with locked(collection.directory), _leased_session(collection) as session:
        if prove:
            known = session.backends.probes()
            if (measured := prove_encoders(session.backends)) is not known:
                write_probes(collection.directory, measured)
        yield session


@contextmanager
def _leased_session(collection: Collection) -> Iterator[Session]:
    holder = Holder(collection.directory, host_of(collection.directory, collection.settings))
    with (
        _session(collection, read_only=False) as session,
        leased(session.backends, holder) as backends,
    ):
        documents, manifest = backends.documents, backends.manifest
        if shared_manifest(documents, manifest) != manifest:  # until the lease was ours
            raise LockedError(
                f"Another machine has changed the collection in {manifest.documents} just now.",
                advice="Run the same command again.",
            )
        if manifest != read_manifest(collection.directory):
            write_manifest(collection.directory, manifest)
        yield replace(session, backends=backends)


@contextmanager
def looking(collection: Collection) -> Iterator[Session]:
    """Open a collection read-only while nobody writes to it; in a closed folder nobody can.

    Raises:
        LockedError: another process is writing.
    """
    with (
        undisturbed(collection.directory),
        _session(collection, read_only=True) as session,
    ):
        yield session


def undisturbed(folder: Path) -> AbstractContextManager[None]:
    """Keep writers out, for one who only reads; in a closed folder nobody can write."""
    return locked(folder) if os.access(folder, os.W_OK) else nullcontext()


@contextmanager
def _session(collection: Collection, *, read_only: bool) -> Iterator[Session]:
    directory, settings = collection.directory, collection.settings
    with (
        closing(open_backends(directory, settings, read_only=read_only)) as backends,
        closing(Ledger(directory, read_only=read_only)) as ledger,
    ):
        for vectors in backends.vectors.values():
            vectors.get([])  # damaged rows are told before anything is written
        if not read_only:
            teach(directory, ledger)
        yield Session(backends, ledger, settings)


def prove_encoders(backends: Backends) -> Probes:
    """Compare each channel's encoder with the one that made the collection.

    Returns:
        what is kept of the probes; with more tolerances where a precision is new here.

    Raises:
        EncoderMismatchError: it is another, or gives wrong vectors.
        MissingPartError: its package or its weights aren't here.
    """
    for channel in backends.manifest.channels:
        _check_fingerprint(backends, channel)
    stored = backends.probes()
    for channel in {channel.encoder: channel for channel in backends.manifest.channels}.values():
        stored = check_encoder(backends.encoder(channel), stored, where=f"`{channel.encoder}`")
    return stored


def _check_asked(directory: Path, manifest: Manifest, asked: dict[str, str | None]) -> None:
    actual = {
        "encoder": manifest.channels[0].encoder,
        "vectors": manifest.vectors,
        "documents": manifest.documents,
        "assets": manifest.assets,
    }
    for role, url in asked.items():
        if url is not None and url != actual[role]:
            raise UsageError(
                f"The collection {directory} has {role} `{actual[role]}`, not the one given.",
                advice="Leave the option out, or make another collection with --collection.",
            )


def _absolute(url: str, settings: Settings) -> str:
    """The encoder's URL as every process understands it, wherever it runs."""
    scheme, _ = registry.split(url)
    return f"{scheme}:{registry.open_encoder(url, settings.compute).location}"


def _make_stores(directory: Path, manifest: Manifest, settings: Settings) -> None:
    new = open_backends(directory, settings, read_only=False, new=manifest)
    with closing(new) as backends:
        refuse_published(backends.documents, manifest.documents)
        filled = next(_filled(backends), None)
        if filled is not None and "://" in filled:
            raise UsageError(
                f"`{filled}` holds what belongs to another collection.",
                advice="Give it another name in the URL (of a bucket: another prefix).",
            )
        if filled is not None:
            raise CorruptError(
                f"{directory} holds what was indexed, and its {NAME} is missing.",
                advice=f"Restore {NAME} from a backup, or index again into a new collection.",
            )
        publish(backends.documents, manifest, backends.probes())


def _filled(backends: Backends) -> Iterator[str]:
    """The URLs of those stores that hold something."""
    manifest = backends.manifest
    if backends.documents.count():
        yield manifest.documents
    if any(store.count() for store in backends.vectors.values()):
        yield manifest.vectors
    if next(backends.assets.scan(), None) is not None:
        yield manifest.assets


def _make_channels(directory: Path, url: str, settings: Settings) -> tuple[Channel, ...]:
    encoder = registry.open_encoder(url, settings.compute)
    channels = tuple(
        Channel(encoder.space.key, modality, encoder.space.dim, url, encoder.fingerprint)
        for modality in INDEXED_MODALITIES
        if modality in encoder.space.modalities
    )
    if not channels:
        raise UsageError(
            f"`{url}` takes none of {', '.join(INDEXED_MODALITIES)}.",
            advice="Choose another encoder: `echolens encoders` lists them.",
        )
    write_probes(directory, make_probes(encoder))
    return channels


def _check_fingerprint(backends: Backends, channel: Channel) -> None:
    encoder: Encoder = backends.encoder(channel)
    if encoder.fingerprint != channel.fingerprint:
        raise EncoderMismatchError(
            f"Channel {channel.key} was made with other weights or preprocessing than "
            f"`{channel.encoder}` has now (fingerprint {channel.fingerprint[:12]} then, "
            f"{encoder.fingerprint[:12]} now).",
            advice="Bring the same weights back, or index into a new collection.",
        )


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Be the one writer of a collection.

    Raises:
        LockedError: another process is.
        StoreUnreachableError: the folder can't be locked.
    """
    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LockedError(
            f"Another process is writing to {directory}.",
            advice="Wait until it has ended; searching goes on meanwhile.",
        ) from error
    except (OSError, NotImplementedError) as error:
        raise _unlockable(directory, error) from error
    try:
        yield
    finally:
        lock.release()


def _unlockable(directory: Path, error: Exception) -> StoreUnreachableError:
    """What kept the lock from being taken: no room, no permission, or a file system without."""
    code = getattr(error, "errno", None)
    why = getattr(error, "strerror", None) or str(error)
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreUnreachableError(
            f"{directory} can't be written: {why}.",
            advice="Searching it works; to change it, ask for permission or copy the folder.",
        )
    if code in (errno.ENOSPC, errno.EDQUOT):
        return StoreUnreachableError(
            f"{directory} can't be written: {why}.", advice="Make room and run it again."
        )
    return StoreUnreachableError(
        f"{directory / LOCK} can't be locked: {why}.",
        advice="Keep the collection on a local disk: some network file systems can't lock.",
    )

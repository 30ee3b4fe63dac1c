"""Opening a collection for writing, and for being looked at while nobody writes.

Gets: a `Collection`. Gives: a `Session`. Touches: the collection's folder: its manifest, probes
and lock; its records where it is shared. Never: a document.

Opening for writing encodes the probes again and compares: an encoder that went wrong in silence
writes nothing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from retrieval.collection import Collection, open_backends, shared_manifest
from retrieval.errors import (
    EncoderMismatchError,
    LockedError,
    StoreUnreachableError,
)
from retrieval.hosts import host_of
from retrieval.manifest import read_manifest, write_manifest
from retrieval.probes import Probes, check_encoder, write_probes
from retrieval.protocols import Encoder
from retrieval.query.backends import Backends
from retrieval.schema import Channel
from retrieval.settings import Settings

from .folder import LOCK
from .lease import Holder, leased
from .ledger import Ledger
from .removed import teach


@dataclass(frozen=True, slots=True)
class Session:
    """A collection, opened by its one writer, or read-only to be looked at whole."""

    backends: Backends
    ledger: Ledger
    settings: Settings


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
    with undisturbed(collection.directory), reading(collection) as session:
        yield session


def reading(collection: Collection) -> AbstractContextManager[Session]:
    """Open a collection read-only, whoever writes to it meanwhile."""
    return _session(collection, read_only=True)


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

"""Making a collection, and attaching one that lies in a store which machines share.

Gets: a name, store and encoder URLs. Gives: a `Collection`. Touches: its folder: manifest, probes
and lock; its records where it is shared. Never: a document.

The manifest is written last, after the stores were made, so a collection is there whole or not at
all, and a store that is missing later was lost and is no empty one. What a creation that was killed
leaves is known by its lock, and holds no document yet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from retrieval import registry
from retrieval.collection import Collection, directory_of, open_backends
from retrieval.errors import CollectionNotFoundError, CorruptError, StoreMissingError, UsageError
from retrieval.hosts import host_of
from retrieval.manifest import NAME, Manifest, read_manifest, write_manifest
from retrieval.probes import Probes, write_probes
from retrieval.protocols import Place
from retrieval.query.backends import Backends
from retrieval.settings import Settings, load_settings

from .channels import channels_of, extend
from .fields import BUILT_IN
from .folder import make_folder, undone
from .opening import locked
from .probing import probes_of
from .sharing import manifest_in, publish, published, refuse_published


def create(  # noqa: PLR0913 - a URL each of what the manifest names
    name: str | os.PathLike[str] | None = None,
    *,
    encoder: str | None = None,
    vectors: str | None = None,
    documents: str | None = None,
    assets: str | None = None,
    audio_encoders: Sequence[str] = (),
    transcriber: str | None = None,
    settings: Settings | None = None,
) -> Collection:
    """Make a collection; what isn't said is the user's setting. Open it if it is there already.

    Args:
        name: of a collection, or its folder.
        encoder: URL of the first encoder, for pictures, texts and films.
        vectors: store URL.
        documents: store URL.
        assets: store URL.
        audio_encoders: URLs of further encoders, for sounds. One that is there already gets those
            that it hasn't yet.
        transcriber: URL of what writes down speech; "" for nothing. One that is there takes it.
        settings: the user's.

    Raises:
        UsageError: it is there with another encoder or other stores than were asked for, or its
            folder holds other things.
    """
    settings = settings or load_settings()
    directory = directory_of(name, settings)
    encoder = encoder and absolute(encoder, settings)
    asked = _Asked(encoder, vectors, documents, assets, audio_encoders, transcriber)
    if (directory / NAME).exists():
        return _as_asked(directory, asked, settings)
    manifest = _without_channels(asked, settings)
    encoder = encoder or absolute(settings.encoder, settings)
    audio_urls = _audio_urls(audio_encoders or _listed(settings.audio_encoder), encoder, settings)
    new = make_folder(directory)
    with locked(directory):
        if not (directory / NAME).exists():
            with undone(directory, new=new):
                channels = channels_of(encoder, audio_urls, settings.compute)
                _make(directory, replace(manifest, channels=channels), settings)
            return Collection(directory, settings)
    return _as_asked(directory, asked, settings)  # another process has made it meanwhile


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a collection was asked to be; None where nothing was said. See `create`."""

    encoder: str | None
    vectors: str | None
    documents: str | None
    assets: str | None
    audio_encoders: Sequence[str]
    transcriber: str | None


def _as_asked(directory: Path, asked: _Asked, settings: Settings) -> Collection:
    """The collection that is there, with what may be added to it.

    Raises:
        UsageError: it is another one than was asked for.
    """
    manifest = read_manifest(directory)
    _check_asked(directory, manifest, asked)
    return extend(
        Collection(directory, settings),
        audio_encoders=_audio_urls(asked.audio_encoders, manifest.channels[0].encoder, settings),
        transcriber=asked.transcriber and _transcriber_url(asked.transcriber, settings),
    )


def _without_channels(asked: _Asked, settings: Settings) -> Manifest:
    """The manifest of a new collection but for its channels, which need the encoders' weights."""
    manifest = Manifest(
        channels=(),
        vectors=asked.vectors or settings.vectors,
        documents=asked.documents or settings.documents,
        assets=asked.assets or settings.assets,
        fields=BUILT_IN,
    )
    registry.check("vector_store", manifest.vectors)
    registry.check("document_store", manifest.documents)
    registry.check("asset_store", manifest.assets)
    transcriber = settings.transcriber if asked.transcriber is None else asked.transcriber
    if not transcriber:
        return manifest
    return replace(manifest, transcriber=_transcriber_url(transcriber, settings))


def _make(directory: Path, manifest: Manifest, settings: Settings) -> None:
    """Probes and stores first, the manifest last."""
    write_probes(directory, probes_of(manifest.channels, settings.compute))
    _make_stores(directory, manifest, settings)
    write_manifest(directory, manifest)


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


def _check_asked(directory: Path, manifest: Manifest, asked: _Asked) -> None:
    for role, url, actual in (
        ("encoder", asked.encoder, manifest.channels[0].encoder),
        ("vectors", asked.vectors, manifest.vectors),
        ("documents", asked.documents, manifest.documents),
        ("assets", asked.assets, manifest.assets),
    ):
        if url is not None and url != actual:
            raise UsageError(
                f"The collection {directory} has {role} `{actual}`, not the one given.",
                advice="Leave the option out, or make another collection with --collection.",
            )


def absolute(url: str, settings: Settings) -> str:
    """An encoder's URL as every process understands it, wherever it runs."""
    scheme, _ = registry.split(url)
    return f"{scheme}:{registry.open_encoder(url, settings.compute).location}"


def _audio_urls(urls: Sequence[str], first: str, settings: Settings) -> list[str]:
    """The same of encoders of sounds, which may be built around the first encoder."""
    return [absolute(registry.around(url, first), settings) for url in urls]


def _listed(url: str) -> list[str]:
    return [url] if url else []


def _transcriber_url(url: str, settings: Settings) -> str:
    """The same of a transcriber, which may be needed hours later only: its folder is looked at."""
    registry.check("transcriber", url)
    scheme, _ = registry.split(url)
    return f"{scheme}:{registry.open_transcriber(url, settings.compute).location}"


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

"""The channels of a collection: made with it, or added to it later.

Gets: encoder URLs. Gives: channels and probes; a collection that has more channels. Touches: the
encoders; the manifest, the probes and a new channel's store. Never: a document.

The first encoder makes a channel of each modality that it takes, a film's shots being pictures to
it. Each audio encoder makes one more, of sounds: in its own space, or in the first encoder's
(`tags:`). Its space may take texts, too; these lie in the first encoder's, where all others do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from retrieval import registry
from retrieval.collection import Collection
from retrieval.errors import UsageError
from retrieval.manifest import Manifest
from retrieval.probes import Probes, write_probes
from retrieval.protocols import Encoder, Place
from retrieval.schema import INPUT_OF_MODALITY, Channel, Compute, Modality

from .opening import Session, writing
from .probing import probes_of
from .sharing import keep_manifest, keep_probes

INDEXED_MODALITIES: tuple[Modality, ...] = tuple(registry.MODALITIES)


def channels_of(url: str, audio_urls: Sequence[str], compute: Compute) -> tuple[Channel, ...]:
    """The channels of a new collection.

    Args:
        url: of the first encoder, as `absolute` gives it.
        audio_urls: of those for sounds.
        compute: what they compute with.

    Raises:
        UsageError: an encoder takes nothing that is indexed, or no sounds.
    """
    first = registry.open_encoder(url, compute)
    channels = [
        _channel(url, first, modality)
        for modality in INDEXED_MODALITIES
        if INPUT_OF_MODALITY[modality] in first.space.modalities
    ]
    if not channels:
        raise UsageError(
            f"`{url}` takes none of {', '.join(INDEXED_MODALITIES)}.",
            advice="Choose another encoder: `echolens encoders` lists them.",
        )
    channels.extend(_audio_channel(audio_url, compute) for audio_url in audio_urls)
    return _each_once(channels)


def _audio_channel(url: str, compute: Compute) -> Channel:
    encoder = registry.open_encoder(url, compute)
    if "audio" not in encoder.space.modalities:
        raise UsageError(
            f"`{url}` takes no sounds.",
            advice="Choose another --audio-encoder: `echolens encoders` lists them.",
        )
    return _channel(url, encoder, "audio")


def _channel(url: str, encoder: Encoder, modality: Modality) -> Channel:
    return Channel(encoder.space.key, modality, encoder.space.dim, url, encoder.fingerprint)


def _each_once(channels: Iterable[Channel]) -> tuple[Channel, ...]:
    found: dict[str, Channel] = {}
    for channel in channels:
        if found.setdefault(channel.key, channel) != channel:
            raise UsageError(
                f"`{found[channel.key].encoder}` and `{channel.encoder}` would both put "
                f"{channel.modality} into the space `{channel.space}`.",
                advice="Name one of them.",
            )
    return tuple(found.values())


def extend(
    collection: Collection, *, audio_encoders: Sequence[str] = (), transcriber: str | None = None
) -> Collection:
    """Give a collection further encoders of sounds, or another transcriber.

    What it holds stays; the next run of `index` reads films and recordings again. What it has
    already changes nothing.

    Raises:
        UsageError: a sound would be put into one space by two encoders.
        LockedError: another process is writing to the collection.
    """
    manifest = collection.manifest
    compute = collection.settings.compute
    asked = [_audio_channel(url, compute) for url in audio_encoders]
    held = [replace(channel, aliases=()) for channel in manifest.channels]
    new = [channel for channel in asked if channel not in held]
    if not new and transcriber in (None, manifest.transcriber):
        return collection
    wanted = replace(
        manifest,
        channels=_each_once([*manifest.channels, *new]),
        transcriber=manifest.transcriber if transcriber is None else transcriber,
    )
    collection.close()
    with writing(collection, prove=False) as session:
        _add(session, wanted, new)
    return collection


def _add(session: Session, wanted: Manifest, new: Sequence[Channel]) -> None:
    """Stores first, then probes, the manifest last: what is named in it is there."""
    backends = session.backends
    if new:
        known, made = backends.probes(), probes_of(new, session.settings.compute)
        probes = Probes({**known.vectors, **made.vectors}, {**known.tolerances, **made.tolerances})
        place = Place(wanted.vectors, backends.directory, read_only=False)
        for channel in new:
            registry.open_vector_store(place, channel).close()
        write_probes(backends.directory, probes)
        keep_probes(backends.documents, probes)
    keep_manifest(backends, wanted)

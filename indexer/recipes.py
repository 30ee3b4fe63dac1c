"""How files become documents in a collection: what is decoded for its encoders, and its recipe.

Gets: an opened collection. Gives: `Wants`, a recipe's digest a modality, the transcriber's opener.
Touches: nothing; a transcriber is opened by whoever first needs it. Never: a file, a store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial

from retrieval import registry
from retrieval.listeners import Transcriber
from retrieval.manifest import Manifest
from retrieval.protocols import Limits
from retrieval.query.backends import Backends
from retrieval.schema import INPUT_OF_MODALITY, Modality, Sighting, Wants

from .opening import Session

# Channels that a file's documents may lie in; captions are texts, and pictures may move.
_CHANNELS: Mapping[Modality, tuple[Modality, ...]] = {
    "image": ("image", "text", "video"),
    "text": ("text",),
    "audio": ("audio", "text"),
    "video": ("video", "audio", "text"),
}


def wants_of(backends: Backends, *, fast: bool = False) -> Wants:
    """What all encoders of a collection look at, so that each file is decoded once."""
    wants = {
        modality: [
            backends.encoder(channel).wants
            for channel in backends.manifest.channels
            if INPUT_OF_MODALITY[channel.modality] == modality
        ]
        for modality in ("image", "text", "audio")
    }
    return Wants(
        pixels=max((w.pixels or 0 for w in wants["image"]), default=0) or None,
        text_tokens=min((w.text_tokens for w in wants["text"] if w.text_tokens), default=None),
        sample_rate=max((w.sample_rate or 0 for w in wants["audio"]), default=0) or None,
        window_s=min((w.window_s for w in wants["audio"] if w.window_s), default=None),
        speech=bool(backends.manifest.transcriber),
        fast=fast,
    )


def recipes_of(manifest: Manifest, limits: Limits, *, fast: bool = False) -> Mapping[Modality, str]:
    """A short digest, by modality, of everything that decides which documents a file becomes."""
    return {
        modality: hashlib.sha256(
            json.dumps(
                [
                    [[c.key, c.fingerprint] for c in manifest.channels
                     if c.modality in _CHANNELS[modality]],
                    [manifest.transcriber, fast] if entry.timed else [],
                    dict(registry.open_modality(modality, limits).recipe),
                ],
                sort_keys=True,
            ).encode()
        ).hexdigest()[:16]
        for modality, entry in registry.MODALITIES.items()
    }  # fmt: skip


def is_timed(sighting: Sighting) -> bool:
    """Whether it is one of a film or a recording, of which a caption may be all that is found."""
    entry = registry.MODALITIES.get(str(sighting.fields.get("modality", "")))  # type: ignore[call-overload]
    return entry is not None and bool(entry.timed)


def transcriber_of(session: Session) -> Callable[[], Transcriber] | None:
    """What opens the collection's transcriber; None where it has none."""
    url = session.backends.manifest.transcriber
    return partial(registry.open_transcriber, url, session.settings.compute) if url else None

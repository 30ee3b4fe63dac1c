"""Vectors that were encoded before, on disk: a vector store whose ids are digests of the content.

Gets: an encoder, a folder, digests. Gives: vectors. Touches: that folder, which may be deleted at
any time. Never: an encoder's weights.

An encoder's vectors lie under its fingerprint and the precision that it computes in. Several
evaluations may run at once: writing takes turns, and readers see whole committed states.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock

from .. import registry
from ..errors import CorruptError, StoreUnreachableError
from ..protocols import Encoder, Place, VectorStore
from ..schema import Channel, FloatArray, Modality


class VectorCache:
    """The vectors of one encoder."""

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        """Keep them below `folder`, which is made when there is something to keep."""
        self._encoder = encoder
        self._folder = folder / f"{encoder.fingerprint[:32]}-{encoder.compute.precision}"

    def get(self, modality: Modality, keys: Sequence[str]) -> dict[str, FloatArray]:
        """The (dim,) vectors of those keys (32 hex characters) that are there."""
        if not self._folder.is_dir():
            return {}
        try:
            store = self._open(modality, read_only=True)
        except CorruptError:  # none of this modality was kept, or it is to be made again
            return {}
        try:
            return store.get(keys)
        finally:
            store.close()

    def put(self, modality: Modality, keys: Sequence[str], vectors: FloatArray) -> None:
        """Keep (n, dim) vectors; where the folder can't be written, they just aren't kept."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / "lock"):
                self._write(modality, keys, vectors)
        except (OSError, StoreUnreachableError):
            return

    def _write(self, modality: Modality, keys: Sequence[str], vectors: FloatArray) -> None:
        try:
            store = self._open(modality)
        except CorruptError:
            store = self._open(modality, anew=True)
        try:
            store.upsert(keys, np.ascontiguousarray(vectors, np.float32))
        finally:
            store.close()

    def _open(
        self, modality: Modality, *, read_only: bool = False, anew: bool = False
    ) -> VectorStore:
        space = self._encoder.space
        channel = Channel(space.key, modality, space.dim, "", self._encoder.fingerprint)
        place = Place("exact:", self._folder, read_only=read_only, anew=anew)
        return registry.open_vector_store(place, channel)

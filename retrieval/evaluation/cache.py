"""Vectors that were encoded before: in memory, and on disk in a vector store.

Gets: an encoder, a folder, digests of contents. Gives: vectors. Touches: that folder, which may be
deleted at any time. Never: an encoder's weights; a vector that can't be one.

An encoder's vectors lie under its fingerprint and the precision that it computes in, by digests in
the place of document ids. Several evaluations may run at once: writing takes turns, and readers see
whole committed states. Where the folder can't be written, memory alone keeps them; what is damaged
there is encoded and written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from .. import registry
from ..errors import CollectionError, EcholensError, StoreUnreachableError
from ..protocols import Encoder, Place, VectorStore
from ..schema import Channel, FloatArray, Modality
from ..vectors import fault


class VectorCache:
    """The vectors of one encoder.

    Attributes:
        note: why they could not be kept on disk; "" when nothing is wrong.
    """

    def __init__(self, folder: Path | None, encoder: Encoder) -> None:
        """Keep them in memory, and below `folder` if there is one; it is made when needed."""
        self._encoder = encoder
        self._folder: Path | None = None
        if folder is not None:
            name = f"{encoder.fingerprint[:32]}-{encoder.compute.precision}"
            self._folder = folder / name
        self._held: dict[str, FloatArray] = {}
        self._damaged: set[Modality] = set()
        self.note = ""

    def get(self, modality: Modality, keys: Sequence[str]) -> dict[str, FloatArray]:
        """The (dim,) vectors of those keys (32 hex characters) that are kept."""
        found = {key: self._held[key] for key in keys if key in self._held}
        missing = [key for key in keys if key not in found]
        if missing and self._folder is not None and self._folder.is_dir():
            found |= self._read(modality, missing)
        return found

    def put(self, modality: Modality, keys: Sequence[str], vectors: FloatArray) -> None:
        """Keep (n, dim) float32 vectors of norm 1."""
        self._held.update(zip(keys, vectors, strict=True))
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / "lock"):
                self._write(modality, keys, vectors)
        except (OSError, EcholensError) as error:  # memory has them
            self.note = f"Vectors are not kept for the next run: {error}"

    def _read(self, modality: Modality, keys: Sequence[str]) -> dict[str, FloatArray]:
        try:
            store = self._open(modality, read_only=True)
            try:
                found = store.get(keys)
            finally:
                store.close()
        except CollectionError:  # damaged, or none of this modality was kept yet
            self._damaged.add(modality)
            return {}
        except StoreUnreachableError:
            return {}
        shape = (1, self._encoder.space.dim)
        if any(fault(vector[None], shape) for vector in found.values()):
            self._damaged.add(modality)
            return {}
        return found

    def _write(self, modality: Modality, keys: Sequence[str], vectors: FloatArray) -> None:
        try:
            store = self._open(modality, anew=modality in self._damaged)
        except CollectionError:
            store = self._open(modality, anew=True)
        self._damaged.discard(modality)
        try:
            store.upsert(keys, vectors)
        finally:
            store.close()

    def _open(
        self, modality: Modality, *, read_only: bool = False, anew: bool = False
    ) -> VectorStore:
        assert self._folder is not None
        space = self._encoder.space
        channel = Channel(space.key, modality, space.dim, "", self._encoder.fingerprint)
        place = Place("exact:", self._folder, read_only=read_only, anew=anew)
        return registry.open_vector_store(place, channel)

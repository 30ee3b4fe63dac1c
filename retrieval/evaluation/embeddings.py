"""Vectors of a data set's items: each encoded once, whichever data set it stands in.

Gets: items, an encoder. Gives: their vectors, and which could not be read. Touches: the encoder,
the pictures' bytes, the cache. Never: a collection.

Before anything is encoded the encoder is compared with its probes: with those of the collection,
else with itself, so that one that gives a constant is refused. (What was kept before was encoded
under the same fingerprint, and needs no encoder.) Where it encodes questions and documents alike,
as those probes tell, an item that is both is encoded once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from .. import registry
from ..errors import BadInputError, EncoderMismatchError
from ..probes import Probes, check_encoder, make_probes, probe_inputs
from ..protocols import Encoder, Limits
from ..schema import FloatArray, Modality, Role
from ..vectors import fault
from .cache import VectorCache
from .identify import bytes_of
from .perturb import Change
from .schema import Item, Progress, Watcher

CHUNK = 128  # items whose inputs are in memory at once, and that are kept at once
_ALIKE = 1e-5  # 1 - cosine; below it two vectors of one input are the same


@dataclass(frozen=True, slots=True)
class Embedded:
    """(n, dim) float32 vectors of n items, norm 1; those in `failed` (id -> why) have norm 0."""

    vectors: FloatArray
    failed: Mapping[str, str]


class Embedder:
    """Encodes items with one encoder."""

    def __init__(
        self,
        encoder: Encoder,
        *,
        limits: Limits | None = None,
        folder: Path | None = None,
        stored: Callable[[], Probes] | None = None,
        watch: Watcher | None = None,
    ) -> None:
        """Encode with `encoder`.

        Args:
            encoder: one that is sound.
            limits: what one picture may cost.
            folder: keeps them for the next run; None keeps them in memory alone.
            stored: gives the probes of the collection that it must be the encoder of.
            watch: called now and then with the progress.
        """
        self.encoder = encoder
        self.limits = limits or Limits()
        self._cache = VectorCache(folder, encoder)
        self._stored = stored
        self.watch = watch or (lambda _: None)

    @property
    def note(self) -> str:
        """Why vectors could not be kept for the next run; "" when they were."""
        return self._cache.note

    def of(self, items: Sequence[Item], role: Role, change: Change | None = None) -> Embedded:
        """The vectors of items of one modality, as questions or as documents.

        Raises:
            EncoderMismatchError: the encoder gives vectors that can't be right.
            MissingPartError: its package or its weights aren't here.
        """
        if not items:
            return Embedded(np.empty((0, self.encoder.space.dim), np.float32), {})
        modality = items[0].modality
        known: dict[str, FloatArray] = {}
        for asked in ("any", role):
            keys = {item.id: self._key(item, asked, change) for item in items}
            found = self._cache.get(modality, list(dict.fromkeys(keys.values())))
            known |= {id_: found[key] for id_, key in keys.items() if key in found}
        failed: dict[str, str] = {}
        fresh = [item for item in items if item.id not in known]
        for chunk in _chunks(fresh, CHUNK):
            self._tell(modality, change, len(known) + len(failed), len(items))
            known |= self._encode(chunk, role, change, failed)
        self._tell(modality, change, len(items), len(items))
        nothing = np.zeros(self.encoder.space.dim, np.float32)
        return Embedded(np.stack([known.get(item.id, nothing) for item in items]), failed)

    def _tell(self, modality: Modality, change: Change | None, done: int, total: int) -> None:
        how = f", {change.name}," if change else ""
        self.watch(Progress(f"{modality}s{how} encoded", done, total))

    def _encode(
        self, items: Sequence[Item], role: Role, change: Change | None, failed: dict[str, str]
    ) -> dict[str, FloatArray]:
        """Vectors by id; what can't be read goes into `failed`."""
        modality = items[0].modality
        kept = "any" if self._roles_are_alike(modality) else role
        inputs: dict[str, Any] = {}
        for item in items:
            try:
                inputs[item.id] = self._input(item, change)
            except (BadInputError, OSError) as error:
                failed[item.id] = str(error)
        if not inputs:
            return {}
        values, size = list(inputs.values()), self.encoder.batch_size
        batches = (values[start : start + size] for start in range(0, len(values), size))
        vectors = np.concatenate(
            [self.encoder.encode(modality, batch, role=role) for batch in batches]
        )
        if wrong := fault(vectors, (len(values), self.encoder.space.dim)):
            raise EncoderMismatchError(
                f"The encoder of `{self.encoder.space.key}` gave vectors {wrong}.",
                advice="Try ECHOLENS_DEVICE=cpu; if it goes on, the weights are damaged.",
            )
        rows = dict(zip(inputs, vectors, strict=True))
        keys = {self._key(i, kept, change): rows[i.id] for i in items if i.id in rows}
        self._cache.put(modality, list(keys), np.stack(list(keys.values())))
        return rows

    def _input(self, item: Item, change: Change | None) -> Any:
        if item.media is None:
            value: Any = item.text
        else:
            reader = registry.open_modality(item.modality, self.limits)
            value = reader.query_input(bytes_of(item.media, self.limits), self.encoder.wants)
        return change.of(value, item.content) if change else value

    def _key(self, item: Item, role: str, change: Change | None) -> str:
        """Digest of everything that decides an item's vector but the encoder."""
        recipe = {} if item.media is None else dict(self._recipe(item.modality))
        parts = [item.modality, role, item.content, change.name if change else "", recipe]
        text = json.dumps(parts, sort_keys=True)
        return hashlib.blake2b(text.encode("ascii"), digest_size=16).hexdigest()

    def _recipe(self, modality: Modality) -> Mapping[str, str | int | float]:
        recipe = registry.open_modality(modality, self.limits).recipe
        return {**recipe, "wants": self.encoder.wants.pixels or 0}

    @cached_property
    def _probes(self) -> Probes:
        if self._stored is None:
            return make_probes(self.encoder)
        where = f"The encoder of `{self.encoder.space.key}`"
        return check_encoder(self.encoder, self._stored(), where=where)

    def _roles_are_alike(self, modality: Modality) -> bool:
        count = len(probe_inputs(modality))
        rows = self._probes.rows(self.encoder.space.key, modality, count)
        cosines = np.einsum("ij,ij->i", rows[:count], rows[count:])
        return bool(count) and bool((cosines > 1 - _ALIKE).all())


@dataclass(frozen=True)
class Embedding:
    """How an evaluation encodes: by one encoder; questions by an export of it, where there is one.

    Attributes:
        url: the encoder's, as the registry opens it.
        documents: encodes everything.
        queries: by modality, what encodes questions instead.
    """

    url: str
    documents: Embedder
    queries: Mapping[Modality, Embedder] = field(default_factory=dict)

    @property
    def space(self) -> str:
        """The key of the space that the vectors are of."""
        return self.documents.encoder.space.key

    def of(self, items: Sequence[Item], role: Role, change: Change | None = None) -> Embedded:
        """See `Embedder.of`."""
        asked = self.queries.get(items[0].modality) if items and role == "query" else None
        return (asked or self.documents).of(items, role, change)

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say of how vectors are kept."""
        every = (self.documents, *self.queries.values())
        return tuple(dict.fromkeys(one.note for one in every if one.note))

    def card(self) -> Mapping[str, str | int | float | bool]:
        """The encoder, for the run card."""
        encoder = self.documents.encoder
        exports = {f"questions of {m}": one.encoder.location for m, one in self.queries.items()}
        return {
            "encoder": self.url,
            "space": encoder.space.key,
            "dimensions": encoder.space.dim,
            "fingerprint": encoder.fingerprint,
            "computes on": str(encoder.compute),
            **exports,
        }


def _chunks(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk

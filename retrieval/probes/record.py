"""What a collection keeps of its encoder's probes: vectors, and how alike they must stay.

Gets and gives: values. Touches: nothing. Never: an encoder, a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrieval.errors import CorruptError
from retrieval.schema import FloatArray, Modality, Precision

Tolerances = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Probes:
    """The content of ``probes.npz``.

    Attributes:
        vectors: by `probe_key`, (2n, dim) float32 of norm 1: a row for each of the n probes as a
            document, then a row for each as a query; each was encoded alone.
        tolerances: by `tolerance_key`, the least cosine with its row in `vectors` at which a
            vector computed in that precision counts as the same.
    """

    vectors: Mapping[str, FloatArray]
    tolerances: Tolerances

    def rows(self, space: str, modality: Modality, count: int) -> FloatArray:
        """The (2 * count, dim) vectors of a modality that has `count` probes.

        Raises:
            CorruptError: they aren't there.
        """
        key = probe_key(space, modality)
        vectors = self.vectors.get(key)
        if vectors is None or len(vectors) != 2 * count:
            raise CorruptError(
                f"The collection keeps no probe of its encoder for {key}.",
                advice="Restore probes.npz from a backup, or index again into a new collection.",
            )
        return vectors

    def tolerance(
        self, space: str, modality: Modality, precision: Precision, declared: float
    ) -> float:
        """The least cosine for a precision: measured, or what an encoder declares for it.

        A precision that nobody has measured yet is compared with vectors that were themselves
        computed in another, perhaps a coarser one; the looser of both decides.
        """
        known = self.tolerances.get(tolerance_key(space, modality, precision))
        if known is not None:
            return known
        prefix = tolerance_key(space, modality, "")
        others = [least for key, least in self.tolerances.items() if key.startswith(prefix)]
        return min([declared, *others])


def probe_key(space: str, modality: Modality) -> str:
    """The name of a modality's probe vectors, ``space/modality``; also where no channel has it.

    A collection of pictures alone is asked in words, so the words' half of the encoder counts too.
    """
    return f"{space}/{modality}"


def tolerance_key(space: str, modality: Modality, precision: str) -> str:
    """The name of a tolerance, ``space/modality@precision``."""
    return f"{probe_key(space, modality)}@{precision}"

"""The trained heads: from what a tower gives to vectors that pictures and texts share.

Gets: (n, features) float32 of a tower. Gives: ``(n, members * width)`` float32 of norm 1. Touches:
a ``.npz`` beside the other files. Never: a tower.

A head is ``unit(W1 x + b1 + W3 gelu(W2 x + b2) + b3)`` of the standardised features, clipped so
that no odd input runs away. Several members, trained alike from other seeds, stand side by side:
the dot product of such vectors is the mean of the members' cosines. Weights are int8, one scale a
row of W1, W2, W3, which costs nothing that the dev split shows; they unfold when the file opens.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...schema import FloatArray
from .files import unit

MATRICES = ("w1", "w2", "w3")


class Head:
    """The members of one head; the file is read when it is made."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        self._mean, self._scale = arrays["mean"], arrays["scale"]
        self._clip = float(arrays["clip"])
        self._b = {name: arrays[name] for name in ("b1", "b2")}
        self._w = {
            name: arrays[name].astype(np.float32) * arrays[f"{name}_scale"][..., None]
            for name in MATRICES
        }

    def __call__(self, features: FloatArray) -> FloatArray:
        """(n, features) -> (n, members * width) float32, norm 1."""
        x = np.clip((features - self._mean) * self._scale, -self._clip, self._clip)
        parts = []
        for member in range(len(self._w["w1"])):
            w1, w2, w3 = (self._w[name][member] for name in MATRICES)
            hidden = gelu(x @ w2.T + self._b["b2"][member])
            parts.append(unit(x @ w1.T + hidden @ w3.T + self._b["b1"][member]))
        return np.concatenate(parts, axis=1) / np.float32(np.sqrt(len(parts)))


def gelu(x: FloatArray) -> FloatArray:
    """Half of x times ``1 + erf(x / sqrt 2)``; erf to 1.5e-7 (Abramowitz and Stegun 7.1.26)."""
    z = np.abs(x) * np.float32(0.70710678)
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (
        0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
    )
    erf = np.copysign(1 - series * np.exp(-z * z), x)
    return np.asarray(0.5 * x * (1 + erf), np.float32)

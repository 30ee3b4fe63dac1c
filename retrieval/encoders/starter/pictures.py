"""The picture tower: an ImageNet classifier, for what it names and for what it sees.

Gets: (h, w, 3) uint8 RGB pictures. Gives: class probabilities, and the pooled features under them.
Touches: ``classifier.onnx``. Never: texts.

A picture is squeezed to a square, whole, whatever its shape: a crop would lose what stands at the
edges, and captions speak of that too.

The classifier's int8 weights have seven bits. With eight, processors without VNNI saturate in
silence, and the same picture gets another vector on another machine (cosine down to 0.84). What is
left is rounding: kernels may differ down to 0.997 on photos, 0.98 on bare textures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...onnx_runtime import open_session
from ...schema import FloatArray
from .files import file

SIDE = 260
FEATURES = 1280
CLASSES = 1000
AT_ONCE = 8
RECIPE = f"whole picture, bicubic {SIDE}, (x-127)/128; pooled features"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the classifier makes of n pictures.

    Attributes:
        features: (n, 1280) float32, 0 to 6: the mean over the picture under the last layer.
        probabilities: (n, 1000) float32, rows add up to 1; `class_names` names the columns.
    """

    features: FloatArray
    probabilities: FloatArray


class PictureTower:
    """The classifier; it opens when first asked."""

    def __init__(self, threads: int | None) -> None:
        self._threads = threads

    def look(self, pictures: Sequence[NDArray[np.uint8]]) -> Seen:
        """What it makes of pictures of any size."""
        features = np.zeros((len(pictures), FEATURES), np.float32)
        logits = np.zeros((len(pictures), CLASSES), np.float32)
        for start in range(0, len(pictures), AT_ONCE):
            batch = np.stack([pixels_of(p) for p in pictures[start : start + AT_ONCE]])
            rows = slice(start, start + AT_ONCE)
            logits[rows], features[rows] = self._session.run(
                ["logits", "features"], {"pixels": batch}
            )
        raised = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return Seen(features, raised / raised.sum(axis=1, keepdims=True))

    @cached_property
    def _session(self) -> Any:
        return open_session(file("classifier.onnx"), threads=self._threads)


def class_names() -> list[str]:
    """The names of the 1000 ImageNet classes, in the classifier's order."""
    return file("class_names.txt").read_text(encoding="utf-8").splitlines()


def pixels_of(picture: NDArray[np.uint8]) -> FloatArray:
    """What the classifier looks at: an (h, w, 3) uint8 picture as (3, 260, 260) float32."""
    from PIL import Image

    resized = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray((np.asarray(resized, np.float32) - 127.0) / 128.0).transpose(2, 0, 1)

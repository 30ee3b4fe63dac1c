"""From pictures to pixels, as ``preprocessor_config.json`` describes it.

Gets: a `Layout`, (h, w, 3) uint8 RGB arrays. Gives: (n, 3, height, width) float32. Touches: that
JSON file. Never: a model file.

Pillow resizes and the middle is cut out as torchvision does it, so that an export of open_clip sees
the very pixels that open_clip sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.schema import FloatArray

from .folder import Layout, damaged

# A picture longer than this many times its width is cropped to that around its middle where the
# model sees only the middle anyway; resized whole, a strip of 1 x 30000 takes gigabytes.
_LONGEST_ASPECT = 10


@dataclass(frozen=True, slots=True)
class Pictures:
    """How an export wants its pictures.

    Attributes:
        shortest: pixels that the shorter side gets; None squeezes the picture to `size`.
        size: (height, width) of what the model sees.
        resample: Pillow's number of the filter.
        scale: what a byte is multiplied by.
        mean, std: of each colour, after that.
    """

    shortest: int | None
    size: tuple[int, int]
    resample: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def batch(self, pictures: Sequence[NDArray[np.uint8]]) -> FloatArray:
        """(n, 3, height, width) float32."""
        return np.stack([self._pixels(picture) for picture in pictures])

    def _pixels(self, picture: NDArray[np.uint8]) -> FloatArray:
        from PIL import Image

        height, width = self.size
        if self.shortest is None:
            seen = Image.fromarray(np.ascontiguousarray(picture))
            seen = seen.resize((width, height), Image.Resampling(self.resample))
        else:
            seen = Image.fromarray(_middle(picture))
            short, long = sorted(seen.size)
            long = int(self.shortest * long / short)
            upright = seen.size[0] <= seen.size[1]
            resized = (self.shortest, long) if upright else (long, self.shortest)
            seen = seen.resize(resized, Image.Resampling(self.resample))
            left, top = round((seen.size[0] - width) / 2), round((seen.size[1] - height) / 2)
            seen = seen.crop((left, top, left + width, top + height))
        values = np.asarray(seen, np.float32) * np.float32(self.scale)
        normal = (values - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.asarray(normal.transpose(2, 0, 1), np.float32)


def read_pictures(layout: Layout) -> Pictures:
    """What ``preprocessor_config.json`` says.

    Raises:
        CorruptError: it says something that isn't done here, or lacks a part.
    """
    path = layout.folder / "preprocessor_config.json"
    given = layout.json(path.name)
    try:
        size = given.get("size", layout.part("vision_config").get("image_size", 224))
        shortest, sides = _sizes(size, given, squeezes=layout.kind == "siglip")
        rescales, normalises = (given.get(f"do_{x}", True) for x in ("rescale", "normalize"))
        if not given.get("do_resize", True):
            raise ValueError("do_resize is false")
        return Pictures(
            shortest,
            sides,
            int(given.get("resample", 3)),
            float(given.get("rescale_factor", 1 / 255)) if rescales else 1.0,
            tuple(given["image_mean"]) if normalises else (0.0,) * 3,
            tuple(given["image_std"]) if normalises else (1.0,) * 3,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"can't be followed ({error!r})") from error


def _sizes(
    size: Any, given: Mapping[str, Any], *, squeezes: bool
) -> tuple[int | None, tuple[int, int]]:
    """(shorter side or None, (height, width) of what is seen)."""
    if isinstance(size, int):
        size = {"height": size, "width": size} if squeezes else {"shortest_edge": size}
    if "height" in size:
        return None, (int(size["height"]), int(size["width"]))
    shortest = int(size["shortest_edge"])
    crop = given.get("crop_size", shortest)
    crop = {"height": crop, "width": crop} if isinstance(crop, int) else crop
    sides = int(crop["height"]), int(crop["width"])
    if not given.get("do_center_crop", True):
        raise ValueError("pictures of any shape: do_center_crop is false")
    if max(sides) > shortest:
        raise ValueError(f"crop_size {sides} exceeds the shortest edge {shortest}")
    return shortest, sides


def _middle(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, or the middle of one that is all too long."""
    limit = min(picture.shape[:2]) * _LONGEST_ASPECT
    top, left = (max(0, (side - limit) // 2) for side in picture.shape[:2])
    return np.ascontiguousarray(picture[top : top + limit, left : left + limit])

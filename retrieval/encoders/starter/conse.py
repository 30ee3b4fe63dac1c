"""How a picture gets into a space of sentences with no training at all, and an encoder of that.

ConSE (Norouzi et al. 2014, "Zero-Shot Learning by Convex Combination of Semantic Embeddings",
ICLR): a classifier names what it sees; the sentence vectors of "a photo of a CLASS", weighted by
the probabilities of the ten best classes, add up to the picture's vector. From both sides the mean
of all the classes' vectors is taken away, since they lie in a cone and every vector of a cone
resembles every other one. That mean comes from the class names alone: no photo, no caption.

Gets: texts and pictures, or what the towers made of them. Gives: ``(n, 384)`` float32 of norm 1.
Touches: ``class_vectors.npy``, and what the towers touch. Never: a file that was trained on photos
with captions, stores, the user's paths, the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ...schema import Compute, FloatArray, Modality, Role, Space, Wants
from . import pictures, sentences
from .files import array, fingerprint, unit
from .options import refuse_modality, resolved
from .pictures import PictureTower
from .sentences import SentenceTower, sentence_vectors

DIM = sentences.WIDTH
CLASSES_ADDED = 10
PROMPT = "a photo of a {}"
RECIPE = f"conse/2 top {CLASSES_ADDED} of `{PROMPT}`, the classes' mean taken away"
PARTS = ("classifier.onnx", "class_vectors.npy")


class Classes:
    """The sentence vectors of the 1000 classes; they load when first asked."""

    @cached_property
    def vectors(self) -> FloatArray:
        """(1000, 384) float32, norm 1."""
        return array("class_vectors.npy")

    @cached_property
    def mean(self) -> FloatArray:
        """(384,) float32."""
        return np.asarray(self.vectors.mean(axis=0), np.float32)

    def of_pictures(self, probabilities: FloatArray) -> FloatArray:
        """(n, 384) float32, norm 1, from (n, 1000) probabilities."""
        vectors = np.zeros((len(probabilities), DIM), np.float32)
        for row, of_picture in enumerate(probabilities):
            best = np.argsort(-of_picture, kind="stable")[:CLASSES_ADDED]
            weights = of_picture[best] / of_picture[best].sum()
            vectors[row] = weights @ self.vectors[best]
        return unit(vectors - self.mean)

    def of_texts(self, features: FloatArray) -> FloatArray:
        """(n, 384) float32, norm 1, from (n, 1152) features of the sentence tower."""
        return unit(sentence_vectors(features) - self.mean)


class ConseEncoder:
    """``conse:`` puts English texts and photos into one space, with no training on captions."""

    space = Space("conse-384", DIM, frozenset({"text", "image"}))
    wants = Wants(pixels=pictures.SIDE, text_tokens=sentences.TOKENS)
    batch_size = sentences.AT_ONCE
    location = ""

    def __init__(self, location: str = "", compute: Compute = Compute()) -> None:
        """Make the encoder; nothing is loaded yet.

        Args:
            location: what follows ``conse:``; there is nothing to choose, so it is empty.
            compute: device and precision ``auto``, or what they resolve to; threads of one run.
        """
        self.compute = resolved("conse", location, compute, known=("",))
        self._sentences = SentenceTower(compute.threads)
        self._pictures = PictureTower(compute.threads)
        self._classes = Classes()

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits of the weights' digests, noted when they were built, and the recipe."""
        recipe = (RECIPE, pictures.RECIPE, sentences.RECIPE)
        return fingerprint(recipe, (*PARTS, *sentences.PARTS))

    def tolerance(self, modality: Modality) -> float:
        """Pictures go through int8 kernels, which round otherwise on another kind of processor."""
        return 0.99 if modality == "image" else 0.9999

    def unread(self, text: str) -> str:
        """The end of a text past the sentence model's 256 tokens."""
        return self._sentences.unread(text)

    def encode(
        self,
        modality: Modality,
        inputs: Sequence[Any],
        *,
        role: Role,  # noqa: ARG002 - questions and documents are encoded alike
    ) -> FloatArray:
        """Encode texts (str) or pictures ((h, w, 3) uint8 RGB arrays) as (n, 384), norm 1."""
        if modality == "text":
            return self._classes.of_texts(self._sentences.features(inputs))
        if modality == "image":
            return self._classes.of_pictures(self._pictures.look(inputs).probabilities)
        raise refuse_modality("conse", modality)

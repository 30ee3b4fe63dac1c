"""Sounds in the space of another encoder, through the names of what a tagger hears in them.

Gets: `Sound`s, a tagger, an encoder of texts; the registry opens both and hands them over. Gives:
``(n, dim)`` float32 of norm 1 in the encoder's space. Touches: what the two touch. Never: stores,
training, a text or a picture, which the encoder itself takes.

What follows the scheme is ``TAGGER+ENCODER``, where ENCODER is a whole URL:

    tags:/home/me/yamnet+starter:             a folder with a model of one's own, see `folder`
    tags:NAME+open_clip:ViT-B-32/laion2b      a tagger of a package (entry point `echolens.tagger`)

A new collection takes ``tags:TAGGER`` alone, too, and puts its first encoder behind it.

The vector of a sound is ::

    m(c) = mean probability of class c over many sounds
    w(c) = max(0, mean over the sound's frames of p(c) - m(c)), for the ten largest; else 0
    v    = sum of w(c) * (t(c) - t̄) + 0.001 * (t(silence) - t̄), divided by its length

with t(c) the encoder's vector of the text "the sound of c" and t̄ the mean over all classes. It is
ConSE (Norouzi et al. 2014, "Zero-Shot Learning by Convex Combination of Semantic Embeddings", ICLR)
for sounds, as Xie and Virtanen (2019, "Zero-Shot Audio Classification Based on Class Label
Embeddings", WASPAA) join sounds and words through the vectors of class names, with two means
taken away. That of the class, because a tagger gives some classes to nearly everything (speech,
music, noise), and what is said of every sound tells none apart. That of the texts, because they lie
in a cone (Liang et al. 2022, "Mind the Gap", NeurIPS), and every vector of a cone resembles every
other one. The last term gives a sound of which nothing is said a vector too, that of silence, and
lets it come near by degrees; beside anything that is heard it is nothing.

The means m(c) come with the tagger, where they were measured over many recordings; else they are
those over a few dull sounds made by code (`means`), which only tell what it says of nothing.

Good for: one space for pictures, words and sounds. Whatever has no name among the classes, it is
deaf to; an encoder trained on sounds with captions (`clap:`) tells finer differences.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from retrieval.errors import UsageError
from retrieval.listeners import Tagger
from retrieval.protocols import Encoder
from retrieval.schema import Compute, FloatArray, Modality, Role, Space, Wants
from retrieval.sounds import at_rate, windows
from retrieval.timed import Sound

from .means import built_in_means
from .names import Named, parse, with_encoder

CLASSES_ADDED = 10
SILENCE_WEIGHT = 1e-3
SHORTEST_S = 1.0  # what is shorter gets silence behind it
PROMPT = "the sound of {}"
RECIPE = (
    f"tags/1 top {CLASSES_ADDED} of `{PROMPT}` over the class's mean, {SILENCE_WEIGHT} of silence, "
    "the texts' mean taken away"
)


class TagsEncoder:
    """An encoder of sounds; see the package's docstring for its location."""

    batch_size = 16

    def __init__(
        self,
        location: str,
        compute: Compute,  # noqa: ARG002 - what it is made of was opened with it
        tagger: Tagger,
        inner: Encoder,
    ) -> None:
        """Take a location and what the registry opened for it (`made_of`); nothing loads yet.

        Raises:
            UsageError: the encoder takes no texts.
        """
        named = parse(location)
        if "text" not in inner.space.modalities:
            raise UsageError(
                f"`{named.encoder}` takes no texts, which the sounds of `tags:` become.",
                advice="Name an encoder that does, such as `starter:`.",
            )
        self._named = named
        self._tagger = tagger
        self._inner = inner
        self.space = Space(inner.space.key, inner.space.dim, frozenset[Modality](("audio",)))
        self.wants = Wants(sample_rate=tagger.rate, window_s=tagger.window_s)

    @staticmethod
    def made_of(location: str) -> Sequence[tuple[str, str]]:
        """(role, URL) of what it is made with, in the order of the arguments."""
        named = parse(location)
        return (("tagger", named.tagger), ("encoder", named.encoder))

    @staticmethod
    def around(location: str, encoder: str) -> str:
        """The location with an encoder's URL, where it names none."""
        return with_encoder(location, encoder)

    @property
    def location(self) -> str:
        """What follows the scheme, paths made absolute."""
        return str(Named.of(self._named, self._tagger.location, self._inner.location))

    @property
    def compute(self) -> Compute:
        """The inner encoder's; the tagger computes as it likes."""
        return self._inner.compute

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the recipe, the tagger's fingerprint with its classes, the inner encoder's."""
        means = self._tagger.means
        parts = [
            RECIPE,
            self._tagger.fingerprint,
            list(self._tagger.classes),
            None if means is None else [float(mean) for mean in means],
            self._inner.fingerprint,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def tolerance(self, modality: Modality) -> float:  # noqa: ARG002 - there is one only
        """The inner encoder's for texts; never more than 0.999, since taggers round, too."""
        return min(0.999, self._inner.tolerance("text"))

    def unread(self, text: str) -> str:
        """It takes no texts; what the inner encoder leaves of one."""
        return self._inner.unread(text)

    def encode(
        self,
        modality: Modality,
        inputs: Sequence[Any],
        *,
        role: Role,  # noqa: ARG002 - a sound is a sound
    ) -> FloatArray:
        """Encode `Sound`s of any length and rate as (n, dim), norm 1.

        Raises:
            ValueError: another modality than audio.
        """
        if modality != "audio":
            raise ValueError(f"tags: takes audio, not {modality}")
        rows = [self._vector(self._heard(sound)) for sound in inputs]
        return np.array(rows, np.float32).reshape(-1, self.space.dim)

    def _heard(self, sound: Sound) -> FloatArray:
        """(classes,) float32: how probable each class is in a sound, over all of it."""
        samples: FloatArray = at_rate(sound, self._tagger.rate)
        shortest = round(SHORTEST_S * self._tagger.rate)
        samples = np.pad(samples, (0, max(0, shortest - len(samples))))
        size = max(shortest, round(self._tagger.window_s * self._tagger.rate))
        frames = [self._tagger.probabilities(window) for window in windows(samples, size)]
        return np.asarray(np.concatenate(frames).mean(axis=0), np.float32)

    def _vector(self, probabilities: FloatArray) -> FloatArray:
        """(dim,) of norm 1."""
        above = np.maximum(probabilities - self._means, 0)
        best = np.argsort(-above, kind="stable")[:CLASSES_ADDED]
        total = above[best] @ self._texts[best] + SILENCE_WEIGHT * self._texts[-1]
        return np.asarray(total / np.linalg.norm(total), np.float32)

    @cached_property
    def _means(self) -> FloatArray:
        means = self._tagger.means
        return built_in_means(self._tagger) if means is None else means

    @cached_property
    def _texts(self) -> FloatArray:
        """(classes + 1, dim): each class, then silence, the mean of the classes taken away.

        Raises:
            UsageError: the tagger has but one class.
        """
        if len(set(self._tagger.classes)) < 2:
            raise UsageError(
                f"The tagger of `tags:{self.location}` knows fewer than two classes.",
                advice="Name one that tells sounds apart.",
            )
        names = [PROMPT.format(name) for name in (*self._tagger.classes, "silence")]
        vectors = self._inner.encode("text", names, role="document")
        return np.asarray(vectors - vectors[:-1].mean(axis=0), np.float32)


__all__ = ["TagsEncoder"]

"""CLAP: sounds and texts in one space, learned from sounds with captions.

Gets: texts, `Sound`s. Gives: (n, dim) float32 of norm 1. Touches: the model's files; the hub, when
something is named whose files aren't on this disk. Never: stores, the user's files, random weights.

What follows the scheme:

    clap:                             laion/larger_clap_general
    clap:OWNER/NAME                   a model of the hub that transformers loads as a ClapModel
    clap:/home/me/clap                a folder with its files

Importing torch and transformers takes seconds, so nothing does before the first `encode`,
`fingerprint` or `compute`: a few JSON files tell the space and what it wants.

A model hears ten seconds at once. What is shorter is repeated to that length as the model's own
settings say (CLAP was trained so). What is longer, transformers cuts by chance; here it goes
through in windows that cover all of it, and its vector is the normalised mean of theirs, so that a
sound always gets the same vector. For the same reason the "fused" models get every window as
one that isn't longer: their fusion of four views is for what was cut.

The role makes no difference. Precision is fp32 or bf16; there is no int8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from retrieval.errors import UsageError
from retrieval.passages import unread
from retrieval.schema import Compute, FloatArray, Modality, Precision, Role, Space, Wants
from retrieval.sounds import at_rate, windows
from retrieval.timed import Sound
from retrieval.torch_compute import is_out_of_memory, resolve, too_small

from .files import Files
from .model import Loaded, check_installed, load, load_tokenizer
from .names import Folder, parse, space_key

_MODALITIES = frozenset[Modality](("text", "audio"))
_CHARACTERS_PER_TOKEN = 16  # no more matter to a tokenizer of words' pieces

# The least cosine to the same input's vector as another machine made it, perhaps in bf16.
TOLERANCES: dict[Precision, float] = {"fp32": 0.999, "bf16": 0.999}


class ClapEncoder:
    """An encoder of sounds and texts; see the package's docstring for its location."""

    batch_size = 8

    def __init__(self, location: str = "", compute: Compute = Compute()) -> None:
        """Take a location; its files are looked for when they are needed.

        Raises:
            UsageError: the location names no model, or the precision is int8.
        """
        if compute.precision == "int8":
            raise UsageError(
                "`clap:` computes in fp32 or bf16, not in int8.",
                advice="Leave --precision out.",
            )
        self._files = Files(parse(location))
        self._asked = compute

    @staticmethod
    def check_url(url: str) -> None:
        """Refuse a URL that names no model."""
        parse(url.partition(":")[2])

    @property
    def location(self) -> str:
        """What follows the scheme, the default spelt out, a path made absolute."""
        return str(self._files.named)

    @cached_property
    def space(self) -> Space:
        """The space of the model; reads the files of a folder."""
        named, digest = self._files.named, ""
        if isinstance(named, Folder):
            digest = self._files.digest
        else:
            check_installed()  # before anything is downloaded
        return Space(space_key(named, digest), self._files.dim, _MODALITIES)

    @cached_property
    def compute(self) -> Compute:
        """The device that torch finds, and the precision that it is quick in."""
        check_installed()
        return resolve(self._asked)

    @cached_property
    def wants(self) -> Wants:
        """Rate and length of the sounds, and the length of the texts that the model takes."""
        told = self._files.preprocessing
        return Wants(
            text_tokens=self._context,
            sample_rate=int(told.get("sampling_rate", 48_000)),
            window_s=float(told.get("max_length_s", 10)),
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of tensors (as fp32), preprocessing and tokenizer; loads the model."""
        return self._loaded.fingerprint

    def tolerance(self, modality: Modality) -> float:  # noqa: ARG002 - the same for both
        """That of the precision."""
        return TOLERANCES[self.compute.precision]

    def unread(self, text: str) -> str:
        """The end of a text past the tokens that the model reads; loads the tokenizer alone."""
        return unread(text, self._fits)

    def encode(
        self,
        modality: Modality,
        inputs: Sequence[Any],
        *,
        role: Role,  # noqa: ARG002 - questions and documents are encoded alike
    ) -> FloatArray:
        """Encode texts, or `Sound`s of any length and rate.

        Returns:
            (n, dim) float32 of norm 1.

        Raises:
            ValueError: a modality that the model doesn't take.
            NotInstalledError: a package of the extra isn't here.
            WeightsMissingError: the files aren't here, can't be had, or are damaged.
            UsageError: weights of another model, or a device whose memory isn't enough.
        """
        if modality == "text":
            rows = [self._attempt(self._read, batch) for batch in self._batches(iter(inputs))]
            return np.concatenate([np.zeros((0, self.space.dim), np.float32), *rows])
        if modality != "audio":
            raise ValueError(f"clap: takes text and audio, not {modality}")
        return self._sounds(inputs)

    def _sounds(self, sounds: Sequence[Sound]) -> FloatArray:
        """The mean of each sound's windows, normalised."""
        owners: list[int] = []
        rows = [
            self._attempt(self._loaded.hear, batch)
            for batch in self._batches(self._windows(sounds, owners))
        ]
        total = np.zeros((len(sounds), self.space.dim), np.float32)
        if rows:
            np.add.at(total, owners, np.concatenate(rows))
        return np.asarray(total / np.linalg.norm(total, axis=1, keepdims=True), np.float32)

    def _windows(self, sounds: Sequence[Sound], owners: list[int]) -> Iterator[FloatArray]:
        """Each sound's windows; `owners` gets the number of the sound that each is of."""
        extractor = self._loaded.extractor
        for number, sound in enumerate(sounds):
            samples = at_rate(sound, extractor.sampling_rate)
            if not len(samples):
                samples = np.zeros(1, np.float32)
            for window in windows(samples, extractor.nb_max_samples):
                owners.append(number)
                yield window

    def _read(self, texts: Sequence[str]) -> FloatArray:
        tokens = self._tokenizer(
            [self._bounded(text) for text in texts],
            padding=True,
            truncation=True,
            max_length=self._context,
            return_tensors="pt",
        )
        return self._loaded.read(tokens)

    def _attempt(self, tower: Callable[[Sequence[Any]], FloatArray], batch: Any) -> FloatArray:
        try:
            return tower(batch)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise too_small(self.compute.device, f"`clap:{self.location}`") from error
            raise

    def _batches(self, inputs: Iterator[Any]) -> Iterator[list[Any]]:
        batch: list[Any] = []
        for one in inputs:
            batch.append(one)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _fits(self, text: str) -> bool:
        """Whether all of a text is read."""
        bounded = self._bounded(text)
        return (
            len(bounded) == len(text) and len(self._tokenizer(bounded).input_ids) <= self._context
        )

    def _bounded(self, text: str) -> str:
        """The part of a text that can matter, as valid Unicode."""
        part = text[: self._context * _CHARACTERS_PER_TOKEN]
        return part.encode("utf-8", "replace").decode("utf-8")

    @property
    def _context(self) -> int:
        """Tokens of a text; RoBERTa's positions begin behind that of the padding."""
        told = dict(self._files.config.get("text_config") or {})
        return int(told.get("max_position_embeddings", 514)) - int(told.get("pad_token_id", 1)) - 1

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self._files)

    @cached_property
    def _loaded(self) -> Loaded:
        return load(self._files, self.compute, self._tokenizer)


__all__ = ["ClapEncoder"]

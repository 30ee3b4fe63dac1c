"""Any model of open_clip, with open_clip's own preprocessing and tokenizer.

Gets: texts, and pictures as (h, w, 3) uint8 RGB arrays. Gives: (n, dim) float32 of norm 1.
Touches: the weights' file; the hub, when a tag is named whose weights aren't on this disk. Never:
stores, the user's files, random weights.

What follows the scheme:

    open_clip:ViT-B-32/laion2b_s34b_b79k        a tag of open_clip; downloaded once, then offline
    open_clip:ViT-B-32//home/me/tuned.pt        a checkpoint by its absolute path, /home/me/tuned.pt
    open_clip:ViT-B-32/~/tuned.pt               or from the home folder, or as ./tuned.pt

Importing open_clip takes seconds, so nothing does before the first `encode` or `fingerprint`: the
model's JSON file tells the space and what it wants. Both towers stand in one file and load at once.

A tag's space is named by model and tag; a checkpoint's by model and the digest of the file, which
is read for it. The fingerprint reads every tensor (about a second for a ViT-B/32): ask for it when
opening for writing, while a search is covered by its probe.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import UsageError
from retrieval.schema import Compute, FloatArray, Modality, Precision, Role, Space, Wants

from .weights import Weights, damaged, find_weights, load_tokenizer, model_config, split_location

_MODALITIES = frozenset[Modality](("text", "image"))
_DEFAULT_CONTEXT = 77  # open_clip's, for the models whose file names none

# Longer texts are cut before they are tokenized: open_clip's tokenizer takes quadratic time for a
# word without end. A token has about four characters, so what is cut here could never be read.
_CHARACTERS_PER_TOKEN = 16

# A picture longer than this many times its width is cropped to that around its middle where the
# model sees only the middle square anyway; resized whole, a strip of 1 x 30000 takes gigabytes.
_LONGEST_ASPECT = 10

# What the tokenizer makes of these stands for it in the fingerprint. Never to be changed.
_TOKENIZED = (
    "",
    "A photo of 3 dogs, running; isn't it GREAT?",
    "naïve café – Straße, Ωmega, Москва",
    "一只黑色的小狗在海边奔跑。",
    "🙂🚲 &amp; <b>x</b>\ttab",
)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model that is ready: open_clip's module, its picture transform and its tokenizer."""

    model: Any
    transform: Callable[[Any], Any]
    tokenizer: Callable[..., Any]
    device: str


class OpenClipEncoder:
    """An encoder of texts and pictures; see the module's docstring for its location.

    Attributes:
        batch_size: inputs that go through the model at once.
    """

    def __init__(self, location: str, compute: Compute = Compute()) -> None:
        """Take a location; its weights are looked for when they are needed.

        Raises:
            UsageError: the location names no model or no weights.
        """
        self._model, self._named = split_location(location)
        self._asked = compute
        self.batch_size = 32

    @cached_property
    def space(self) -> Space:
        """The space of the model with these weights; reads a checkpoint given by its path."""
        weights = self._named if isinstance(self._named, str) else self._weights.digest[:8]
        key = re.sub(r"[^a-z0-9]+", "-", f"{self._model} {weights}".lower()).strip("-")
        return Space(key, self._dim, _MODALITIES)

    @cached_property
    def compute(self) -> Compute:
        """The device that torch finds, and fp32."""
        if self._asked.precision not in ("auto", "fp32"):
            raise UsageError(
                f"`open_clip:` computes in fp32, not in {self._asked.precision}.",
                advice="Leave the precision out.",
            )
        return Compute(_device(self._asked.device), "fp32", self._asked.threads)

    @cached_property
    def wants(self) -> Wants:
        """The side of the pictures and the length of the texts that the model takes."""
        side = self._config["vision_cfg"].get("image_size", 224)
        return Wants(pixels=side if isinstance(side, int) else max(side), text_tokens=self._context)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of tensors (as fp32), preprocessing and tokenizer; loads the model."""
        loaded = self._loaded
        digest = hashlib.sha256()
        for name, tensor in sorted(loaded.model.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} ".encode())
            values = tensor.detach().float().cpu().numpy()
            digest.update(values.astype("<f4", copy=False).tobytes())
        tokens = loaded.tokenizer(list(_TOKENIZED)).tolist()
        about = [loaded.model.visual.preprocess_cfg, tokens]
        digest.update(json.dumps(about, sort_keys=True).encode())
        return digest.hexdigest()

    @property
    def location(self) -> str:
        """The model, and the tag or the checkpoint's absolute path."""
        named = self._named if isinstance(self._named, str) else self._named.absolute()
        return f"{self._model}/{named}"

    def tolerance(self, modality: Modality) -> float:  # noqa: ARG002 - the same for both
        """In fp32 another machine or batch moves a vector by far less."""
        return 0.9999

    def encode(
        self,
        modality: Modality,
        inputs: Sequence[Any],
        *,
        role: Role,  # noqa: ARG002 - questions and documents are encoded alike
    ) -> FloatArray:
        """Encode texts or pictures; the role makes no difference.

        Returns:
            (n, dim) float32 of norm 1.

        Raises:
            ValueError: a modality that the model doesn't take.
            WeightsMissingError: the weights aren't here, can't be had, or are damaged.
            UsageError: an unknown model, tag or device, or a checkpoint of another model.
        """
        if modality not in _MODALITIES:
            raise ValueError(f"open_clip: takes text and image, not {modality}")
        tower = self._encode_texts if modality == "text" else self._encode_pictures
        rows = [
            tower(inputs[start : start + self.batch_size])
            for start in range(0, len(inputs), self.batch_size)
        ]
        return np.concatenate(rows) if rows else np.zeros((0, self._dim), np.float32)

    def unread(self, text: str) -> str:
        """The end of a text past the model's context length."""
        if self._fits(text):
            return ""
        ends = range(len(text))
        return text[bisect_left(ends, True, key=lambda end: not self._fits(text[:end])) - 1 :]

    def export(self, folder: Path, towers: Sequence[Modality], precision: Precision) -> None:
        """Write towers into an empty folder, in the layout that `onnx:` serves.

        Raises:
            NotInstalledError: a package that writes ONNX isn't here.
            UsageError: the model has a part that can't be exported.
            StoreUnreachableError: no space or no permission.
        """
        from .export import Source, write_export

        loaded, url = self._loaded, f"open_clip:{self.location}"
        source = Source(
            loaded.model, loaded.tokenizer, self._context, url, self.fingerprint, self.space
        )
        write_export(source, folder, towers, precision)

    def _fits(self, text: str) -> bool:
        """Whether a text's tokens leave room for one more."""
        tokenizer = self._loaded.tokenizer
        bounded = _bounded(text, self._context)
        longer = tokenizer([bounded, ""], self._context + 1)
        return len(bounded) == len(" ".join(text.split())) and bool(longer[0, -1] == longer[1, -1])

    def _encode_texts(self, texts: Sequence[str]) -> FloatArray:
        loaded = self._loaded
        tokens = loaded.tokenizer([_bounded(text, self._context) for text in texts])
        return self._run(loaded.model.encode_text, tokens)

    def _encode_pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> FloatArray:
        import torch
        from PIL import Image

        loaded = self._loaded
        crops = loaded.model.visual.preprocess_cfg["resize_mode"] == "shortest"
        tensors = [
            loaded.transform(Image.fromarray(_middle(picture) if crops else picture))
            for picture in pictures
        ]
        return self._run(loaded.model.encode_image, torch.stack(tensors))

    def _run(self, tower: Callable[..., Any], batch: Any) -> FloatArray:
        import torch

        with torch.inference_mode():
            vectors = tower(batch.to(self._loaded.device), normalize=True)
        rows: FloatArray = vectors.float().cpu().numpy()
        return rows

    @cached_property
    def _config(self) -> dict[str, Any]:
        return model_config(self._model)

    @property
    def _dim(self) -> int:
        return int(self._config["embed_dim"])

    @property
    def _context(self) -> int:
        return int(self._config["text_cfg"].get("context_length", _DEFAULT_CONTEXT))

    @cached_property
    def _weights(self) -> Weights:
        return find_weights(self._model, self._named)

    @cached_property
    def _loaded(self) -> _Loaded:
        config, weights = self._config, self._weights
        with _root_logger_untouched():
            import open_clip
            import torch
            from open_clip.transform import PreprocessCfg, image_transform_v2

            device = self.compute.device
            if self.compute.threads:
                torch.set_num_threads(self.compute.threads)
            try:
                settings = weights.settings()
                model = open_clip.create_model(
                    self._model,
                    pretrained=str(weights.file),
                    require_pretrained=True,
                    precision="fp32",
                    device="cpu",
                    force_quick_gelu=settings.quick_gelu,
                    force_preprocess_cfg=dict(settings.preprocess),
                )
            except Exception as error:  # torch, pickle, zipfile, safetensors: each its own kinds
                raise damaged(self._model, weights.file, error) from error
            transform = image_transform_v2(
                PreprocessCfg(**model.visual.preprocess_cfg), is_train=False
            )
            tokenizer = load_tokenizer(self._model, config)
        return _Loaded(model.eval().requires_grad_(False).to(device), transform, tokenizer, device)


def _device(name: str) -> str:
    """The torch device for a setting: ``auto`` is the first GPU if there is one."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # unknown; not built in or not present
        raise UsageError(
            f"The device `{name}` can't be used here.",
            advice="Set ECHOLENS_DEVICE=cpu, or leave it out to take the best one there is.",
        ) from error
    return name


def _bounded(text: str, tokens: int) -> str:
    """`text` as valid Unicode, runs of white space as one blank, no longer than can matter."""
    words = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return words[: tokens * _CHARACTERS_PER_TOKEN]


def _middle(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, or the middle of one that is all too long."""
    limit = min(picture.shape[:2]) * _LONGEST_ASPECT
    top, left = (max(0, (side - limit) // 2) for side in picture.shape[:2])
    return np.ascontiguousarray(picture[top : top + limit, left : left + limit])


@contextmanager
def _root_logger_untouched() -> Iterator[None]:
    """Keep open_clip, which logs on the root logger, from giving it a handler of its own."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)

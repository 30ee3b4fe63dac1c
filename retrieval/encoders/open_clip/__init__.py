"""Any model of open_clip, with open_clip's own preprocessing and tokenizer.

Gets: texts, and pictures as (h, w, 3) uint8 RGB arrays. Gives: (n, dim) float32 of norm 1.
Touches: the weights' file; the hub, when something is named whose files aren't on this disk. Never:
stores, the user's files, random weights.

What follows the scheme:

    open_clip:ViT-B-32/laion2b_s34b_b79k        a tag of open_clip; downloaded once, then offline
    open_clip:ViT-B-32//home/me/tuned.pt        a checkpoint by its absolute path, /home/me/tuned.pt
    open_clip:ViT-B-32/~/tuned.pt               or from the home folder, or as ./tuned.pt
    open_clip:hf-hub:OWNER/NAME                 a repository with an open_clip_config.json
    open_clip:local-dir:/home/me/model          a folder with the same files

Importing open_clip takes seconds, so nothing does before the first `encode`, `fingerprint` or
`compute`: the model's JSON file tells the space and what it wants. Both towers stand in one file
and load at once.

No family of open_clip has prompts that tell questions from documents, so the role makes no
difference; the templates of its zero-shot classifier ("a photo of a ...") are for names of classes.
NLLB-CLIP's tokenizer marks the language of a text and takes all for English, as open_clip does.

Vectors are normalised here, in fp32: what a model normalises itself in bf16 has norms up to 0.4 %
off. When a GPU's memory is full, the batch is halved and stays so; that is told once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.schema import Compute, FloatArray, Modality, Precision, Role, Space, Wants

from .compute import TOLERANCES, free_memory, is_out_of_memory, resolve, too_small
from .model import Loaded, check_tokens, load, root_logger_untouched
from .names import needs_digest, parse, space_key
from .tokenizer import DEFAULT_CONTEXT, Tokenizer
from .weights import Files

_log = logging.getLogger("echolens")

_MODALITIES = frozenset[Modality](("text", "image"))

# A picture longer than this many times its width is cropped to that around its middle where the
# model sees only the middle square anyway; resized whole, a strip of 1 x 30000 takes gigabytes.
_LONGEST_ASPECT = 10


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
        self._files = Files(parse(location))
        self._asked = compute
        self._told_of_memory = False
        self.batch_size = 32

    @cached_property
    def space(self) -> Space:
        """The space of the model with these weights; reads those given by their path."""
        named = self._files.named
        digest = self._files.digest if needs_digest(named) else ""
        return Space(space_key(named, digest), self._dim, _MODALITIES)

    @cached_property
    def compute(self) -> Compute:
        """The device that torch finds, and the precision that it is quick in."""
        return resolve(self._asked)

    @cached_property
    def wants(self) -> Wants:
        """The side of the pictures and the length of the texts that the model takes."""
        side = self._files.config["vision_cfg"].get("image_size", 224)
        context = int(self._files.config["text_cfg"].get("context_length", DEFAULT_CONTEXT))
        return Wants(pixels=side if isinstance(side, int) else max(side), text_tokens=context)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of tensors (as fp32), preprocessing and tokenizer; loads the model."""
        return self._loaded.fingerprint

    @property
    def location(self) -> str:
        """What follows the scheme, paths made absolute."""
        return str(self._files.named)

    def tolerance(self, modality: Modality) -> float:  # noqa: ARG002 - the same for both
        """That of the precision; see `compute.TOLERANCES`."""
        return TOLERANCES[self.compute.precision]

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
            UsageError: an unknown model, tag or device, a checkpoint of another model, or a device
                whose memory isn't enough for one input.
        """
        if modality not in _MODALITIES:
            raise ValueError(f"open_clip: takes text and image, not {modality}")
        tower = self._encode_texts if modality == "text" else self._encode_pictures
        rows = [np.zeros((0, self._dim), np.float32)]
        done = 0
        while done < len(inputs):
            batch = inputs[done : done + self.batch_size]
            vectors = self._attempt(tower, batch)
            if vectors is None:
                self._shrink(len(batch))
                continue
            rows.append(vectors)
            done += len(batch)
        return np.concatenate(rows)

    def unread(self, text: str) -> str:
        """The end of a text past the model's context length; loads the tokenizer alone."""
        return self._tokenizer.unread(text)

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
            loaded.module,
            self._tokenizer.inner,
            self._tokenizer.context,
            url,
            self.fingerprint,
            self.space,
        )
        write_export(source, folder, towers, precision)

    def _encode_texts(self, texts: Sequence[str]) -> FloatArray:
        loaded = self._loaded
        tokens = self._tokenizer(texts)
        check_tokens(self._files, tokens, loaded.vocabulary)
        return self._run(loaded.module.encode_text, tokens.to(loaded.device))

    def _encode_pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> FloatArray:
        import torch
        from PIL import Image

        loaded = self._loaded
        longest = {"shortest": _LONGEST_ASPECT, "longest": self.wants.pixels or 1}
        aspect = longest.get(loaded.resize_mode)
        tensors = [
            loaded.transform(Image.fromarray(_middle(picture, aspect) if aspect else picture))
            for picture in pictures
        ]
        batch = torch.stack(tensors).to(loaded.device, loaded.dtype)
        return self._run(loaded.module.encode_image, batch)

    def _run(self, tower: Callable[..., Any], batch: Any) -> FloatArray:
        import torch

        with torch.inference_mode():
            vectors = tower(batch, normalize=False).float()
            rows: FloatArray = torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()
        return rows

    def _attempt(
        self, tower: Callable[[Sequence[Any]], FloatArray], batch: Sequence[Any]
    ) -> FloatArray | None:
        """The vectors of a batch; None when the device's memory is full.

        Returning leaves the error's trace behind, which holds on to the memory.
        """
        try:
            return tower(batch)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        return None

    def _shrink(self, tried: int) -> None:
        """Go on with half the batch that was too large."""
        device = self.compute.device
        free_memory(device)
        if tried == 1:
            raise too_small(device, f"one input of `{self.location}`")
        self.batch_size = tried // 2
        if not self._told_of_memory:
            self._told_of_memory = True
            _log.warning(
                "The memory of %s is full: going on with batches of %d or less.",
                device,
                self.batch_size,
            )

    @property
    def _dim(self) -> int:
        return int(self._files.config["embed_dim"])

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        with root_logger_untouched():
            return Tokenizer(
                self._files.named, self._files.config["text_cfg"], self._files.tokenizer
            )

    @cached_property
    def _loaded(self) -> Loaded:
        with root_logger_untouched():
            return load(self._files, self.compute, self._tokenizer)


def _middle(picture: NDArray[np.uint8], aspect: int) -> NDArray[np.uint8]:
    """The picture, or the middle of one that is longer than `aspect` times its width."""
    limit = min(picture.shape[:2]) * aspect
    top, left = (max(0, (side - limit) // 2) for side in picture.shape[:2])
    return np.ascontiguousarray(picture[top : top + limit, left : left + limit])

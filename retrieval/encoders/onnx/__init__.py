"""CLIP and SigLIP towers that were exported to ONNX: no PyTorch.

Gets: texts, and pictures as (h, w, 3) uint8 RGB arrays. Gives: (n, dim) float32 of norm 1.
Touches: the export's folder; the hub, when a repository is named that isn't on this disk. Never:
stores, the user's files; a text never opens the pictures' model, nor a picture the texts'.

What follows the scheme:

    onnx:/home/me/clip           a folder, as `echolens encoders export` and the hub have them
    onnx:hf://OWNER/NAME         a repository of the hub; downloaded once, then offline

The space of an export that `echolens encoders export` made is the one it was exported from, since
their vectors may be compared. One tower may be missing: then only the other modality is taken.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.errors import UsageError
from retrieval.onnx_runtime import open_session
from retrieval.passages import unread
from retrieval.schema import Compute, FloatArray, Modality, Role, Space, Wants

from .folder import Layout, damaged, find_layout
from .hub import SCHEME, fetch, repository_of
from .pictures import Pictures, read_pictures
from .texts import Texts

_DIM = {"clip": 512, "siglip": 768}
_INPUT: dict[Modality, str] = {"text": "input_ids", "image": "pixel_values"}
# CLIP's pooled output lies before the projection into the common space; SigLIP has none.
_OUTPUTS: dict[str, dict[Modality, tuple[str, ...]]] = {
    "clip": {"text": ("text_embeds",), "image": ("image_embeds",)},
    "siglip": {
        "text": ("text_embeds", "pooler_output"),
        "image": ("image_embeds", "pooler_output"),
    },
}


class OnnxEncoder:
    """An encoder of texts, pictures or both; see the module's docstring for its location.

    Attributes:
        batch_size: inputs that go through a tower at once.
    """

    def __init__(self, location: str, compute: Compute = Compute()) -> None:
        """Take a location; the files are looked for when they are needed.

        Raises:
            UsageError: it names nothing, or a device that isn't the processor.
        """
        if not location:
            raise UsageError(
                "`onnx:` names no export.", advice="Write onnx:FOLDER or onnx:hf://OWNER/NAME."
            )
        if compute.device not in ("auto", "cpu"):
            raise UsageError(
                f"`onnx:` runs on the processor, not on {compute.device}.",
                advice="Leave the device out, or choose an `open_clip:` encoder.",
            )
        self._repository = repository_of(location) if location.startswith(SCHEME) else None
        self._folder = Path(os.path.expanduser(location)).absolute()
        self._asked = compute
        self.batch_size = 16

    @property
    def location(self) -> str:
        """The folder's absolute path, or the repository."""
        return f"{SCHEME}{self._repository}" if self._repository else str(self._folder)

    @cached_property
    def space(self) -> Space:
        """That of the model it was exported from; else one named by the repository or folder."""
        noted = self._layout.noted.get("space")
        if noted is None:
            own = self._repository or f"{self._folder.name} {self.fingerprint[:8]}"
            noted = re.sub(r"[^a-z0-9]+", "-", f"onnx {own}".lower()).strip("-")
        return Space(noted, self._dim, frozenset(self._layout.towers))

    @cached_property
    def wants(self) -> Wants:
        """The side of the pictures and the length of the texts that the towers take."""
        return Wants(
            pixels=max(self._pictures.size) if "image" in self._layout.towers else None,
            text_tokens=self._texts.rules.context if "text" in self._layout.towers else None,
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the digests of the export's files, of the precision that is used."""
        return self._layout.fingerprint

    @cached_property
    def compute(self) -> Compute:
        """The processor, in the precision that the files are in."""
        return Compute("cpu", self._layout.precision, self._asked.threads)

    def tolerance(self, modality: Modality) -> float:  # noqa: ARG002 - the same for both
        """By the weights, beside the same in fp32: with int8 the probes come to 0.9997."""
        if self._layout.precision == "int8":
            return 0.99
        return 0.999 if self._layout.half else 0.9999

    def unread(self, text: str) -> str:
        """The end of a text past the tower's context."""
        return unread(text, self._texts.fits)

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
            UsageError: there is no tower for the modality.
            WeightsMissingError: the export isn't here, can't be had, or is half of one.
            CorruptError: a file is damaged or doesn't belong to the others.
        """
        if modality not in self._layout.towers:
            raise UsageError(
                f"`onnx:{self.location}` takes {' and '.join(sorted(self._layout.towers))}, "
                f"not {modality}.",
                advice="Export the other tower too, or choose another encoder.",
            )
        vectors = np.zeros((len(inputs), self._dim), np.float32)
        if not inputs:
            return vectors
        if modality == "image":
            for chosen in _runs(range(len(inputs)), self._at_once(modality)):
                pixels = self._pictures.batch([inputs[i] for i in chosen])
                vectors[chosen] = self._run(modality, pixels, None)
            return vectors
        rows = self._texts.ids(inputs)
        # In the order of their length, which saves padding.
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for chosen in _runs(order, self._at_once(modality)):
            batch = [rows[i] for i in chosen]
            ids = self._texts.batch(batch, self._fixed(modality, axis=1))
            vectors[chosen] = self._run(modality, ids, [len(row) for row in batch])
        return vectors

    def _run(self, modality: Modality, batch: Any, lengths: Sequence[int] | None) -> FloatArray:
        """One batch through a tower: (n, dim) float32, norm 1."""
        tower = self._tower(modality)
        path = self._layout.towers[modality]
        inputs = {_INPUT[modality]: batch}
        if "attention_mask" in (each.name for each in tower.get_inputs()):
            mask = np.ones(batch.shape, np.int64)
            if lengths is not None and self._texts.rules.cut:
                mask = (np.arange(batch.shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
            inputs["attention_mask"] = mask
        try:
            found = tower.run([self._output(modality, tower)], inputs)[0]
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            reason = str(error).strip().partition("\n")[0][:200]
            raise damaged(
                path, f"doesn't take what the export's settings say ({reason})"
            ) from error
        if found.shape != (len(batch), self._dim):
            raise damaged(
                path,
                f"gives vectors of shape {found.shape[1:]}, its config.json says ({self._dim},)",
            )
        wide = found.astype(np.float64)
        norms = np.linalg.norm(wide, axis=1, keepdims=True)
        return np.asarray(wide / np.maximum(norms, 1e-12), np.float32)

    def _output(self, modality: Modality, tower: Any) -> str:
        wanted = _OUTPUTS[self._layout.kind][modality]
        there = [output.name for output in tower.get_outputs()]
        for name in wanted:
            if name in there:
                return name
        raise damaged(
            self._layout.towers[modality],
            f"has no output {' or '.join(wanted)}, only {', '.join(there)}",
        )

    def _at_once(self, modality: Modality) -> int:
        return self._fixed(modality, axis=0) or self.batch_size

    def _fixed(self, modality: Modality, axis: int) -> int | None:
        """The length of an axis of a tower's input that was exported with a fixed one."""
        name = _INPUT[modality]
        shapes = [each.shape for each in self._tower(modality).get_inputs() if each.name == name]
        if not shapes:
            raise damaged(self._layout.towers[modality], f"has no input {name}")
        return shapes[0][axis] if isinstance(shapes[0][axis], int) else None

    @cached_property
    def _layout(self) -> Layout:
        folder = self._folder
        if self._repository is not None:
            folder = fetch(self._repository, self._asked.precision)
        return find_layout(folder, self._asked.precision)

    @property
    def _dim(self) -> int:
        config, kind = self._layout.config, self._layout.kind
        if kind == "clip":
            return int(config.get("projection_dim", _DIM[kind]))
        part = self._layout.part("text_config")
        return int(part.get("projection_size", part.get("hidden_size", _DIM[kind])))

    @cached_property
    def _texts(self) -> Texts:
        return Texts(self._layout)

    @cached_property
    def _pictures(self) -> Pictures:
        return read_pictures(self._layout)

    def _tower(self, modality: Modality) -> Any:
        return self._text_tower if modality == "text" else self._image_tower

    @cached_property
    def _text_tower(self) -> Any:
        return self._open("text")

    @cached_property
    def _image_tower(self) -> Any:
        return self._open("image")

    def _open(self, modality: Modality) -> Any:
        return open_session(
            self._layout.towers[modality],
            threads=self.compute.threads,
            advice="Export or download it again.",
        )


def _runs(items: Sequence[int], length: int) -> Iterator[list[int]]:
    return (list(items[start : start + length]) for start in range(0, len(items), length))

"""A tagger of the user's own: a folder with a model and the names of its classes.

Gets: a folder, samples. Gives: probabilities. Touches: the folder's files. Never: the network, a
model that wants anything but samples.

The folder holds

- ``model.onnx``: one input, samples at `rate` between -1 and 1, as (n,), (1, n) or (1, 1, n). Where
  n is fixed, longer sounds go through in frames that overlap by half. One of its outputs has a
  number for each class in its last dimension; what comes before are frames. YAMNet as it is
  published is such a model, once ``python -m tf2onnx.convert --tflite yamnet.tflite --output
  model.onnx`` was run.
- ``classes.csv``: one class a line, in the model's order. A column ``display_name``, ``name`` or
  ``class`` has the names, ``mean`` (if it is there) the mean probability of each class over many
  recordings; without a heading, a line is a name. AudioSet's own lists may keep their names,
  ``yamnet_class_map.csv`` and ``class_labels_indices.csv``.
- ``tagger.json``, for what is otherwise: ``{"rate": 16000, "window_s": 10, "activation": "none"}``;
  activation ``sigmoid`` or ``softmax`` is for a model that gives logits.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.errors import UsageError
from retrieval.onnx_runtime import open_session
from retrieval.schema import Compute, FloatArray

from .layout import LAYOUT, MODEL, Options, read_classes, read_options

_SOFTEST, _LOUDEST = -1e-3, 1 + 1e-3  # how far a probability may be off by rounding


class FolderTagger:
    """``onnx:``, the tagger that a path in a location of `tags:` names."""

    def __init__(self, location: str, compute: Compute = Compute()) -> None:
        """Take the folder; nothing is read yet."""
        self._folder = Path(os.path.expanduser(location)).absolute()
        self._threads = compute.threads

    @property
    def location(self) -> str:
        """The folder's absolute path."""
        return str(self._folder)

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, in the model's order."""
        return self._table[0]

    @property
    def means(self) -> FloatArray | None:
        """(classes,) float32, where the table of classes has them."""
        return self._table[1]

    @property
    def rate(self) -> int:
        """In Hz."""
        return self._options.rate

    @property
    def window_s(self) -> float:
        """Seconds of sound that go through it at once."""
        return self._options.window_s

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the model's files and the options."""
        digest = hashlib.sha256(repr(self._options).encode())
        for path in sorted(self._folder.glob(f"{MODEL}*")):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def probabilities(self, samples: FloatArray) -> FloatArray:
        """(frames, classes) float32 of (n,) samples.

        Raises:
            WeightsMissingError, CorruptError: the folder isn't there or doesn't hold a model.
            UsageError: the model takes or gives something else.
        """
        found = np.concatenate([self._run(frame) for frame in self._frames(samples)])
        found = _activated(found, self._options)
        if not (found.min() >= _SOFTEST and found.max() <= _LOUDEST):
            raise UsageError(
                f"{self._folder / MODEL} gives numbers from {found.min():.3g} to "
                f"{found.max():.3g}, which are no probabilities.",
                advice='If these are logits, write {"activation": "sigmoid"} into tagger.json.',
            )
        return np.clip(found, 0, 1)

    def _frames(self, samples: FloatArray) -> Iterator[FloatArray]:
        """The samples, or frames of the length that the model takes, each half over the next."""
        length = self._shape[-1]
        if not isinstance(length, int):
            yield samples
            return
        padded = np.pad(samples, (0, max(0, length - len(samples))))
        last = len(padded) - length
        for start in (*range(0, last, max(1, length // 2)), last):
            yield padded[start : start + length]

    def _run(self, frame: FloatArray) -> FloatArray:
        """(frames, classes) of what the model gives for as many samples as it takes."""
        shape = (1,) * (len(self._shape) - 1) + (len(frame),)
        try:
            given = self._session.run(None, {self._input.name: frame.reshape(shape)})
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            reason = str(error).strip().partition("\n")[0][:200]
            raise UsageError(
                f"{self._folder / MODEL} can't take {len(frame)} samples ({reason}).",
                advice=LAYOUT,
            ) from error
        count = len(self.classes)
        for output in given:
            if output.ndim and output.shape[-1] == count:
                return np.asarray(output, np.float32).reshape(-1, count)
        shapes = ", ".join(str(output.shape) for output in given)
        raise UsageError(
            f"{self._folder / MODEL} gives {shapes}: nothing for each of the {count} classes.",
            advice=f"Bring the list of classes that came with the model. {LAYOUT}",
        )

    @property
    def _shape(self) -> list[Any]:
        shape = list(self._input.shape)
        leading = all(not isinstance(size, int) or size == 1 for size in shape[:-1])
        if not 1 <= len(shape) <= 3 or not leading or self._input.type != "tensor(float)":
            raise UsageError(
                f"{self._folder / MODEL} takes {shape} of {self._input.type}, and not samples.",
                advice=f"A model that wants spectra has to be exported with what makes them. "
                f"{LAYOUT}",
            )
        return shape

    @cached_property
    def _input(self) -> Any:
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(each.name for each in inputs)
            raise UsageError(
                f"{self._folder / MODEL} has the inputs {names}, not one of samples.",
                advice=LAYOUT,
            )
        return inputs[0]

    @cached_property
    def _session(self) -> Any:
        return open_session(self._folder / MODEL, threads=self._threads, advice=LAYOUT)

    @cached_property
    def _table(self) -> tuple[tuple[str, ...], FloatArray | None]:
        return read_classes(self._folder)

    @cached_property
    def _options(self) -> Options:
        return read_options(self._folder)


def _activated(numbers: FloatArray, options: Options) -> FloatArray:
    """What the model gives as probabilities."""
    if options.activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(numbers, -60, 60))), np.float32)
    if options.activation == "softmax":
        raised = np.exp(numbers - numbers.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)
    return numbers

"""Learn to name sounds from a few of each category, and write what was learned as a folder.

Gets: sounds with their categories. Gives: a folder that `tags:` takes. Touches: that folder. Never:
a sound that it wasn't given.

A sound is the mean and the deviation of its loud frames; its first and its second half count as
sounds too. A ridge regression learns which category each is of, all at once and by a formula: with
three sounds a category, anything that is trained by steps learns them by heart. A softmax makes
probabilities of its answers.

The strengths of the ridge and of the softmax are round numbers from a plateau. It was looked for on
the sounds of `benchmarks/small_tagger.py`, whose figures are that much too friendly: those of the
ridges from 0.1 to 0.3 and softmaxes from 5 to 20 differ by 0.06 in P@1 and by 0.03 in mAP.
"""

from __future__ import annotations

import csv
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from retrieval.schema import FloatArray

from .features import FEATURES, RATE

SECONDS = 5
RIDGE = 0.1
SHARPNESS = 10.0
OPSET = 18
LEAST = 1e-3  # of the mean deviation: what varies less is no more than rounding

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Heard:
    """The features of a sound.

    Attributes:
        whole: (2d,) of all its loud frames.
        halves: (2, 2d) of the first and the second half of these.
    """

    whole: FloatArray
    halves: FloatArray


@dataclass(frozen=True)
class Head:
    """What was learned: weight (classes, 2d) and bias (classes,), and the names of the classes."""

    names: Sequence[str]
    weight: FloatArray
    bias: FloatArray

    def probabilities(self, heard: Heard) -> FloatArray:
        """(classes,)."""
        raised = np.exp(SHARPNESS * (self.weight @ heard.whole + self.bias))
        return np.asarray(raised / raised.sum(), np.float32)


class Tagger(nn.Module):
    """(1, n) samples to (1, classes) probabilities."""

    def __init__(self, features: nn.Module, head: Head) -> None:
        super().__init__()
        self.features = features
        self.weight = nn.Parameter(torch.tensor(head.weight), requires_grad=False)
        self.bias = nn.Parameter(torch.tensor(head.bias), requires_grad=False)

    def forward(self, samples: Tensor) -> Tensor:
        answers = nn.functional.linear(
            pooled(*self.features(samples))[None], self.weight, self.bias
        )
        return (SHARPNESS * answers).softmax(dim=1)


def open_features(name: str) -> nn.Module:
    """``whisper`` or ``mel``."""
    return FEATURES[name]().eval()


def fitted(samples: FloatArray) -> FloatArray:
    """As long as the model takes them."""
    count = SECONDS * RATE
    return np.pad(samples[:count], (0, max(0, count - len(samples))))


@torch.no_grad()
def listen(features: nn.Module, samples: FloatArray) -> Heard:
    """The features of (n,) samples at 16 kHz, of which the first five seconds count."""
    frames, loud = features(torch.tensor(fitted(samples))[None])
    so_far = loud.cumsum(dim=0)
    first = loud * (so_far <= (so_far[-1] / 2).ceil())
    second = loud * (so_far > (so_far[-1] / 2).floor())
    halves = torch.stack([pooled(frames, first), pooled(frames, second)])
    return Heard(pooled(frames, loud).numpy(), halves.numpy())


def pooled(frames: Tensor, loud: Tensor) -> Tensor:
    """(2d,) mean and deviation of the frames that are loud."""
    share = (loud / loud.sum())[:, None]
    mean = (share * frames).sum(dim=0)
    variance = (share * (frames - mean).square()).sum(dim=0)
    return torch.cat([mean, variance.clamp(min=1e-12).sqrt()])


def learn(heard: Sequence[Heard], categories: Sequence[str]) -> Head:
    """Learn from sounds what each category is like."""
    names = sorted(set(categories))
    rows = [row for each in heard for row in (each.whole, *each.halves)]
    x = np.array(rows, np.float64)
    y = np.array([[name == own for name in names] for own in np.repeat(categories, 3)], np.float64)
    middle, deviation = x.mean(axis=0), x.std(axis=0)
    scale = deviation + LEAST * deviation.mean()
    x = (x - middle) / scale
    kernel = x @ x.T / x.shape[1]
    dual = np.linalg.solve(kernel + RIDGE * np.eye(len(x)), y - y.mean(axis=0))
    weight: Doubles = (x.T @ dual / x.shape[1]).T / scale
    bias = y.mean(axis=0) - weight @ middle
    return Head(names, weight.astype(np.float32), bias.astype(np.float32))


def write(folder: Path, features: nn.Module, head: Head, means: FloatArray) -> Path:
    """Write the folder that `tags:` takes; means: how probable each class is on average."""
    folder.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(1, SECONDS * RATE)
    with _quietly(), torch.no_grad():
        torch.onnx.export(
            Tagger(features, head).eval(),
            (example,),
            str(folder / "model.onnx"),
            input_names=["samples"],
            output_names=["probabilities"],
            opset_version=OPSET,
            dynamo=False,  # the newer exporter takes twenty times as long, and gives the same
        )
    with (folder / "classes.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("name", "mean"))
        writer.writerows(zip(head.names, (f"{mean:.6g}" for mean in means), strict=True))
    (folder / "tagger.json").write_text(json.dumps({"rate": RATE, "window_s": SECONDS}))
    return folder


def train(
    features: nn.Module, heard: Sequence[Heard], categories: Sequence[str], folder: Path
) -> Path:
    """Learn from sounds and write the folder; the means are those over the sounds themselves."""
    head = learn(heard, categories)
    means = np.mean([head.probabilities(each) for each in heard], axis=0)
    return write(folder, features, head, np.asarray(means, np.float32))


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what torch's exporter says of itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

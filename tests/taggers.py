"""A tagger of the tests' own, quick and deterministic: as code, and as a folder with a model.

Gets: samples at 16 kHz. Gives: `(frames, 6)` probabilities. Touches: the folder that `write_folder`
is given. Never: weights from elsewhere, a network, chance.

What it hears is the pitch, under names that a search can be tested with: the share of a sound's
energy in each of six bands. So a tone of 3 kHz is a bird, and one of 80 Hz is thunder. Silence is
none of all. `plugin_path` of `tests.encoders` makes it known as `spectrum`, as in the URL
`tags:spectrum+hash:`; `spectrum:half` hears everything half as loud under another fingerprint.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.schema import Compute, FloatArray

RATE = 16_000
FRAME = RATE // 2
EDGES = (20, 150, 400, 1_000, 2_200, 5_000, 8_000)
CLASSES = ("thunder", "engine", "voice", "bell", "bird", "steam")
PITCHES = dict(zip(CLASSES, (80, 250, 600, 1_500, 3_000, 6_500), strict=True))
_FLOOR = 1e-6  # of a frame's energy, below which nothing is heard
_TAPS = 513


class SpectrumTagger:
    """See the module's docstring."""

    classes = CLASSES
    rate = RATE
    window_s = 5.0
    means: FloatArray | None = None

    def __init__(self, location: str = "", compute: Compute = Compute()) -> None:
        if location not in ("", "half"):
            raise ValueError(f"spectrum: knows no {location}")
        self.location = location
        self.fingerprint = f"spectrum 1 {location}"
        self._loud = 0.5 if location else 1.0

    def probabilities(self, samples: FloatArray) -> FloatArray:
        """`(frames, 6)`, a frame each half second."""
        count = max(1, len(samples) // FRAME)
        frames = np.resize(samples[: count * FRAME], (count, FRAME)).astype(np.float64)
        power = np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1)) ** 2 / FRAME**2
        hertz = np.fft.rfftfreq(FRAME, 1 / RATE)
        bands = [power[:, (hertz >= a) & (hertz < b)].sum(axis=1) for a, b in _bands()]
        energy = np.stack(bands, axis=1)
        return (self._loud * energy / (energy.sum(axis=1, keepdims=True) + _FLOOR)).astype("f4")


def tone(name: str, seconds: float = 2.0, rate: int = RATE, loud: float = 0.3) -> FloatArray:
    """A tone that the tagger takes for the class of that name."""
    t = np.arange(round(seconds * rate)) / rate
    return (loud * np.sin(2 * np.pi * PITCHES[name] * t)).astype(np.float32)


def write_folder(
    folder: Path,
    *,
    length: int | None = None,
    rank: int = 2,
    logits: bool = False,
    options: dict[str, Any] | None = None,
    classes: Sequence[str] = CLASSES,
) -> Path:
    """Write such a tagger as a folder with a model that onnxruntime runs.

    Args:
        folder: is made.
        length: samples that the model takes, no more and no fewer; None: any number.
        rank: of its input.
        logits: whether it gives the logarithms of probabilities, for a softmax.
        options: of ``tagger.json``.
        classes: the names in ``classes.csv``.
    """
    import onnx

    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_model(length, rank, logits=logits), str(folder / "model.onnx"))
    (folder / "classes.csv").write_text("name\n" + "".join(f"{name}\n" for name in classes))
    if options is not None:
        (folder / "tagger.json").write_text(json.dumps(options))
    return folder


def _model(length: int | None, rank: int, *, logits: bool) -> Any:
    """Band-pass filters, the energy behind them in each half second, its share."""
    from onnx import TensorProto, helper, numpy_helper

    constants = {
        "filters": _filters(),
        "shape": np.array([1, 1, -1], np.int64),
        "floor": np.array([_FLOOR], np.float32),
        "channels": np.array([1], np.int64),
        "first": np.array([0], np.int64),
    }
    pads = [_TAPS // 2, _TAPS // 2]
    nodes = [
        helper.make_node("Reshape", ["samples", "shape"], ["one"]),
        helper.make_node("Conv", ["one", "filters"], ["bands"], pads=pads),
        helper.make_node("Mul", ["bands", "bands"], ["squares"]),
        helper.make_node(
            "AveragePool", ["squares"], ["energy"], kernel_shape=[FRAME], strides=[FRAME]
        ),
        helper.make_node("ReduceSum", ["energy", "channels"], ["total"], keepdims=1),
        helper.make_node("Add", ["total", "floor"], ["more"]),
        helper.make_node("Div", ["energy", "more"], ["share"]),
        helper.make_node("Transpose", ["share"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Squeeze", ["turned", "first"], ["tags"]),
        helper.make_node("Log", ["tags"], ["logits"]),
    ]
    shape: list[int | str] = [*[1] * (rank - 1), length or "n"]
    given = "logits" if logits else "tags"
    graph = helper.make_graph(
        nodes if logits else nodes[:-1],
        "spectrum",
        [helper.make_tensor_value_info("samples", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(given, TensorProto.FLOAT, ["frames", len(CLASSES)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _filters() -> FloatArray:
    """(6, 1, taps) windowed-sinc band-pass filters."""
    n = np.arange(_TAPS) - _TAPS // 2
    lows = {edge: 2 * edge / RATE * np.sinc(2 * edge / RATE * n) for edge in EDGES}
    kernels = [(lows[b] - lows[a]) * np.hanning(_TAPS) for a, b in _bands()]
    return np.stack(kernels)[:, None].astype(np.float32)


def _bands() -> list[tuple[int, int]]:
    return list(itertools.pairwise(EDGES))

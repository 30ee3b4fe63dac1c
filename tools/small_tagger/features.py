"""Features: what turns samples into frames of numbers that sounds can be told apart by.

Gets: samples at 16 kHz, as (1, n). Gives: a module each; its ``forward`` gives frames (t, d) and
which of them are loud (t,), 1 or 0. Touches: nothing. Never: learns.

Everything is made of operations that ONNX has: the spectrum is a convolution with sines and
cosines. Frames count as loud down to 40 dB below the loudest one, so that the silence behind a bark
says nothing of dogs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank

from .whisper import WhisperEncoder

RATE = 16_000
SIZE, HOP, BANDS = 400, 160, 80  # Whisper's
LOUD = 4.0  # tens of decibels below the loudest frame
FLOOR = 1e-10


class LogMel(nn.Module):
    """Whisper's spectrum: (1, n) samples to (t, 80), a frame each 10 ms."""

    def __init__(self) -> None:
        super().__init__()
        angles = 2 * np.pi * np.outer(np.arange(SIZE // 2 + 1), np.arange(SIZE)) / SIZE
        waves = np.concatenate([np.cos(angles), np.sin(angles)])
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SIZE) / SIZE)
        bank = mel_filter_bank(
            SIZE // 2 + 1, BANDS, 0.0, RATE / 2, RATE, norm="slaney", mel_scale="slaney"
        )
        self.register_buffer("waves", torch.tensor((waves * hann)[:, None], dtype=torch.float32))
        self.register_buffer("bank", torch.tensor(bank.T, dtype=torch.float32))

    def forward(self, samples: Tensor) -> Tensor:
        """As Whisper wants it: powers of ten, the lowest eight below the highest, then scaled."""
        padded = nn.functional.pad(samples[None], (SIZE // 2, SIZE // 2), mode="reflect")
        parts = nn.functional.conv1d(padded, self.waves, stride=HOP)[0, :, :-1]
        real, imaginary = parts.chunk(2)
        power = (self.bank @ (real.square() + imaginary.square())).clamp(min=FLOOR).log10()
        return ((torch.maximum(power, power.max() - 8) + 4) / 4).T


def loud(mel: Tensor) -> Tensor:
    """(t,) 1 for the frames that are loud, else 0."""
    power = (10 ** (4 * mel - 4)).mean(dim=1).log10()
    return (power > power.max() - LOUD).float()


class MelFeatures(nn.Module):
    """The spectrum itself, and how much it changes from frame to frame."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = LogMel()

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """(t, 160) and (t,)."""
        mel = self.mel(samples)
        changes = (mel[1:] - mel[:-1]).abs()
        return torch.cat([mel[1:], changes], dim=1), loud(mel)[1:]


class WhisperFeatures(nn.Module):
    """All layers of Whisper's encoder side by side: none of them alone tells sounds apart best."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = LogMel()
        self.encoder = WhisperEncoder()

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """(t, 2304) and (t,), a frame each 20 ms."""
        mel = self.mel(samples)
        return torch.cat(self.encoder(mel), dim=1), loud(mel)[::2]


FEATURES: dict[str, type[nn.Module]] = {"mel": MelFeatures, "whisper": WhisperFeatures}

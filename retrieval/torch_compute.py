"""Device and precision of models that run on PyTorch: what every encoder that has one shares.

Gets: a `Compute` as asked for, what torch raised. Gives: a `Compute` without ``auto``, whether
memory is full. Touches: torch. Never: a model.

``auto`` is bf16 where the hardware multiplies in it (AVX-512 BF16 or AMX on a processor, Ampere and
later among Nvidia's cards), since that is twice as quick there, else fp32.
"""

from __future__ import annotations

from typing import Any

from .errors import UsageError
from .schema import Compute


def resolve(asked: Compute) -> Compute:
    """What is computed with here, ``auto`` resolved.

    Raises:
        UsageError: a device that can't be used here.
    """
    device = _device(asked.device)
    precision = asked.precision
    if precision == "auto":
        precision = "bf16" if _is_quick_in_bf16(device) else "fp32"
    return Compute(device, precision, asked.threads)


def dtype_of(compute: Compute) -> Any:
    """The type of the numbers that go into the model."""
    import torch

    return torch.bfloat16 if compute.precision == "bf16" else torch.float32


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that the device's memory is full."""
    import torch

    kind = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)  # since torch 2.5
    return isinstance(error, kind)


def free_memory(device: str) -> None:
    """Give back what torch keeps for later."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device.startswith("mps"):
        torch.mps.empty_cache()


def too_small(device: str, what: str) -> UsageError:
    """What to raise when the device's memory isn't enough for the least there is to do."""
    return UsageError(
        f"The memory of `{device}` is too small for {what}.",
        advice="Try --precision bf16, --device cpu, or a smaller model.",
    )


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
            advice="Give --device cpu, or leave it out to take the best one there is (also "
            "ECHOLENS_DEVICE, or `device` in your settings).",
        ) from error
    return name


def _is_quick_in_bf16(device: str) -> bool:
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    asks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # torch has no public ones
    return any(ask() for name in asks if (ask := getattr(torch.cpu, name, None)))

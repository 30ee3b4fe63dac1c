"""Device and precision: what is chosen, how a model is brought to it, what that costs in accuracy.

Gets: a `Compute` as asked for, a model in fp32. Gives: a `Compute` without ``auto``, the model in
its precision. Touches: torch. Never: autocast, which casts the weights anew in every call (on two
cores of an AMD EPYC it brought a ViT-B/32 from 16 images a second down to 4).

What ``auto`` is, `torch_compute` tells. ``bf16`` casts the weights once; norms and sums go on in
fp32 inside torch's kernels. ``int8`` quantises the linear layers' weights for each output channel,
and what enters them for each batch as it comes, so a vector depends a little on its batch;
convolutions and attention's own products stay in fp32.

The tolerances leave room below what was measured with random weights, as the least cosine over the
built-in pictures and sentences. bf16 to fp32: 0.9997 over the shrunken families of
`tests/open_clip_families.py`, 0.9998 for ViTs of 12 and 48 layers; an input in a batch to the same
alone: 0.9998. int8 to fp32: 0.9969 (EVA02), the others 0.997 or more; in a batch to alone: 0.9989.
fp32: 1 to six digits. Trained weights were not at hand.
"""

from __future__ import annotations

import warnings
from typing import Any

from retrieval import torch_compute
from retrieval.errors import UsageError
from retrieval.schema import Compute, Precision
from retrieval.torch_compute import dtype_of, free_memory, is_out_of_memory, too_small

__all__ = [
    "TOLERANCES",
    "bring",
    "dtype_of",
    "free_memory",
    "is_out_of_memory",
    "resolve",
    "too_small",
]

# The least cosine to the same input's vector as another machine made it. For fp32 too that may have
# been made in bf16, so that such a collection can be asked where nothing is quick in bf16.
TOLERANCES: dict[Precision, float] = {"fp32": 0.999, "bf16": 0.999, "int8": 0.99}


def resolve(asked: Compute) -> Compute:
    """What is computed with here, ``auto`` resolved.

    Raises:
        UsageError: a device or a precision that can't be used here.
    """
    resolved = torch_compute.resolve(asked)
    if resolved.precision == "int8":
        _check_int8(resolved.device)
    return resolved


def bring(model: Any, compute: Compute, tokens: Any) -> Any:
    """The model on its device in its precision, for inference alone.

    Args:
        model: open_clip's module, in fp32 on the processor.
        compute: what it is to compute with, ``auto`` resolved.
        tokens: (n, context) token ids of some texts, to find out which layers int8 can take.
    """
    import torch

    model = model.eval().requires_grad_(False)
    if compute.precision == "bf16":
        return model.to(compute.device, torch.bfloat16)
    if compute.precision == "int8":
        return _quantised(model, _called(model, tokens))
    return model.to(compute.device)


def _check_int8(device: str) -> None:
    if device != "cpu":
        raise UsageError(
            f"`open_clip:` computes in int8 on a processor only, not on `{device}`.",
            advice="Give --precision auto, or --device cpu with int8.",
        )
    try:
        from torch.ao.quantization import quantize_dynamic  # noqa: F401
    except ImportError as error:  # torch announces that it will leave it to a package of its own
        raise UsageError(
            "This version of torch can't compute in int8.",
            advice="Give --precision bf16 or fp32, or install a torch that still can.",
        ) from error


def _called(model: Any, tokens: Any) -> list[str]:
    """The names of the linear layers that are called as such.

    Some towers take a layer's weight and multiply themselves (a ResNet's pooling, EVA's attention),
    and open_clip asks whether its last layer is a Linear: these have to stay as they are.
    """
    import torch

    called: list[str] = []
    hooks = [
        layer.register_forward_hook(lambda *_, name=name: called.append(name))
        for name, layer in model.named_modules()
        if type(layer) is torch.nn.Linear and not name.endswith("text_projection")
    ]
    side = model.visual.preprocess_cfg["size"]
    height, width = (side, side) if isinstance(side, int) else side
    with torch.inference_mode():
        model.encode_image(torch.zeros(1, 3, height, width))
        model.encode_text(tokens[:1])
    for hook in hooks:
        hook.remove()
    return called


def _quantised(model: Any, names: list[str]) -> Any:
    import torch
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that another package will do this one day
        layers = dict.fromkeys(names, per_channel_dynamic_qconfig)
        model = quantize_dynamic(model, layers, dtype=torch.qint8, inplace=True)
    for layer in model.modules():
        if isinstance(layer, torch.ao.nn.quantized.dynamic.Linear):
            layer.int8_original_dtype = torch.float32  # where open_clip looks for it
    return model

"""A model that is ready: open_clip's module with its weights, its picture transform, its tokenizer.

Gets: `Files` and a `Compute`. Gives: `Loaded`. Touches: the files. Never: random weights
(``require_pretrained``), a connection, a checkpoint that only fits after being stretched.

The fingerprint is taken from the tensors as they were loaded, in fp32 and before they are cast, so
that it doesn't depend on where and in what they are used.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.errors import UsageError, WeightsMissingError
from retrieval.schema import Compute

from .compute import bring, dtype_of, is_out_of_memory, too_small
from .names import FOLDER_SCHEME, Checkpoint, Tag
from .tokenizer import Tokenizer
from .weights import Files

# What the tokenizer makes of these stands for it in the fingerprint. Never to be changed.
_TOKENIZED = (
    "",
    "A photo of 3 dogs, running; isn't it GREAT?",
    "naïve café – Straße, Ωmega, Москва",
    "一只黑色的小狗在海边奔跑。",
    "🙂🚲 &amp; <b>x</b>\ttab",
)
_POSITIONS = ("positional_embedding", "pos_embed")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready.

    Attributes:
        module: open_clip's, on its device and in its precision.
        transform: makes a (3, h, w) tensor of a PIL picture.
        resize_mode: how the transform brings a picture to its side.
        vocabulary: rows of the token embedding; a token beyond them can't be meant.
        device, dtype: of what goes into the module.
        fingerprint: SHA-256 of tensors (as fp32), preprocessing and tokenizer.
    """

    module: Any
    transform: Callable[[Any], Any]
    resize_mode: str
    vocabulary: int
    device: str
    dtype: Any
    fingerprint: str


def load(files: Files, compute: Compute, tokenizer: Tokenizer) -> Loaded:
    """Load a model.

    Raises:
        WeightsMissingError: the weights aren't here, can't be had, or are damaged.
        UsageError: they are of another model, the tokenizer is of another model, or the model is
            larger than the device.
    """
    import torch
    from open_clip.transform import PreprocessCfg, image_transform_v2

    if compute.threads:
        torch.set_num_threads(compute.threads)
    module = _create(files)
    preprocessing = module.visual.preprocess_cfg
    tokens = tokenizer(_TOKENIZED)
    vocabulary = _vocabulary(module)
    check_tokens(files, tokens, vocabulary)
    fingerprint = _fingerprint(module.state_dict(), [preprocessing, tokens.tolist()])
    try:
        module = bring(module, compute, tokens)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise too_small(compute.device, f"`{files.named}`") from error
        raise
    return Loaded(
        module=module,
        transform=image_transform_v2(PreprocessCfg(**preprocessing), is_train=False),
        resize_mode=preprocessing["resize_mode"],
        vocabulary=vocabulary,
        device=compute.device,
        dtype=dtype_of(compute),
        fingerprint=fingerprint,
    )


def check_tokens(files: Files, tokens: Any, vocabulary: int) -> None:
    """Refuse tokens that the model has no vector for, as a tokenizer of another model makes."""
    if int(tokens.max()) >= vocabulary:
        raise UsageError(
            f"The tokenizer in {files.tokenizer or 'open_clip'} doesn't belong to `{files.named}`: "
            f"it makes token {int(tokens.max())}, and the model knows {vocabulary}.",
            advice="Bring the tokenizer's files that came with the weights.",
        )


def _create(files: Files) -> Any:
    """open_clip's module in fp32 on the processor, its weights loaded."""
    import open_clip

    options: dict[str, Any] = {"require_pretrained": True, "precision": "fp32", "device": "cpu"}
    if (tower := files.text_tower) is not None:
        text = {"hf_model_name": str(tower), "hf_model_pretrained": False}
        options["text_cfg"] = {**files.config["text_cfg"], **text}
    file = files.weights
    name = f"{FOLDER_SCHEME}{file.parent}"
    if isinstance(files.named, Tag | Checkpoint):
        settings = files.settings()
        name = files.named.model
        options["pretrained"] = str(file)
        options["force_quick_gelu"] = settings.quick_gelu
        options["force_preprocess_cfg"] = dict(settings.preprocess)
    try:
        module = open_clip.create_model(name, **options)
    except Exception as error:  # torch, pickle, zipfile, safetensors: each its own kinds
        raise _damaged(files, error) from error
    _check_not_stretched(files, module)
    return module


def _check_not_stretched(files: Files, module: Any) -> None:
    """Refuse what open_clip does in silence: positions of another picture size, interpolated."""
    if not isinstance(files.named, Checkpoint) or files.weights.suffix == ".npz":
        return
    stored = _shapes(files.weights)
    for name, tensor in module.state_dict().items():
        if name.endswith(_POSITIONS) and stored.get(name, tensor.shape) != tensor.shape:
            raise UsageError(
                f"{files.weights} is for pictures or texts of another size than open_clip's "
                f"`{files.named.model}`: `{name}` is {tuple(stored[name])}, "
                f"not {tuple(tensor.shape)}.",
                advice="Name the model that the checkpoint was trained as.",
            )


def _damaged(files: Files, error: Exception) -> UsageError | WeightsMissingError:
    """What to raise when open_clip couldn't load: another model's weights, or no weights."""
    file, named = files.weights, files.named
    model = named.model if isinstance(named, Tag | Checkpoint) else str(named)
    if _shapes(file):
        return UsageError(
            f"{file} doesn't hold weights of open_clip's `{model}`: names or shapes differ.",
            advice="Name the model that the checkpoint was trained as.",
        )
    reason = str(error).strip().partition("\n")[0][:200]
    again = "copy it again" if isinstance(named, Checkpoint) else "delete it and run again"
    return WeightsMissingError(
        f"{file} can't be read as weights of open_clip's `{model}` "
        f"({type(error).__name__}: {reason}).",
        advice=f"It is damaged, or no checkpoint; {again}.",
    )


def _shapes(file: Path) -> Mapping[str, Any]:
    """The shapes of a checkpoint's tensors by name; empty when it can't be read."""
    import torch
    from open_clip.factory import load_state_dict

    try:
        device = "cpu" if file.suffix == ".safetensors" else "meta"
        state = load_state_dict(str(file), device=device)
        return {k: v.shape for k, v in state.items() if isinstance(v, torch.Tensor)}
    except Exception:  # noqa: BLE001 - torch, pickle, zipfile, safetensors: each its own kinds
        return {}


def _vocabulary(module: Any) -> int:
    """Rows of the token embedding, wherever the family keeps it."""
    text = getattr(module, "text", module)
    embedding = getattr(text, "token_embedding", None)
    if embedding is None:
        embedding = text.transformer.get_input_embeddings()
    return int(embedding.num_embeddings)


def _fingerprint(tensors: Mapping[str, Any], about: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        values = tensor.detach().float().cpu().numpy()
        digest.update(values.astype("<f4", copy=False).tobytes())
    digest.update(json.dumps(about, sort_keys=True).encode())
    return digest.hexdigest()


@contextmanager
def root_logger_untouched() -> Iterator[None]:
    """Keep open_clip, which logs on the root logger, from giving it a handler of its own."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)

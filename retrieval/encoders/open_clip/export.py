"""The towers of an open_clip model as ONNX files, in the layout that `onnx:` serves.

Gets: a loaded model with its tokenizer and transform. Gives: nothing. Touches: an empty folder.
Never: checks what it wrote; the caller compares vectors.

Choices that were measured, on a ViT-B/32's text tower:

- The exporter is torch's newer one (dynamo): the older can't follow attention of varying length.
- Weights lie in a file beside the model (``.onnx_data``), which is mapped and not read: the tower
  opens in 0.26 s instead of 0.95.
- A causal text tower that looks at its end token takes sequences of any length; what lies behind
  the end can't change anything.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.errors import NotInstalledError, StoreUnreachableError, UsageError
from retrieval.schema import Modality, Precision, Space

from .eight_bits import in_eight_bits

OPSET = 18
FORMAT = 1
_KEPT_INSIDE = 1024  # bytes; larger tensors go into the file beside the model
_EXAMPLES = ("a dog", "two cats asleep on a mat")
_CLEAN = {"_clean_lower": "lower", "_clean_whitespace": "whitespace"}
_CLEAN["_clean_canonicalize"] = "canonicalize"
_NAMES: Mapping[Modality, str] = {"text": "text_model", "image": "vision_model"}
_RESAMPLE = {"nearest": 0, "bilinear": 2, "bicubic": 3}


@dataclass(frozen=True, slots=True)
class Source:
    """What is exported, and what is written about it.

    Attributes:
        model, tokenizer: open_clip's, on the processor in fp32.
        context: tokens that the text tower reads.
        url, fingerprint, space: of the encoder that has them.
    """

    model: Any
    tokenizer: Any
    context: int
    url: str
    fingerprint: str
    space: Space


def write_export(
    source: Source, folder: Path, towers: Sequence[Modality], precision: Precision
) -> None:
    """Write towers into an empty folder.

    Raises:
        NotInstalledError: a package that writes ONNX isn't here.
        UsageError: the model has a part that can't be exported.
        StoreUnreachableError: no space or no permission.
    """
    if precision not in ("fp32", "int8"):
        raise UsageError(f"An export can't be in {precision}.", advice="Export it in fp32 or int8.")
    try:
        (folder / "onnx").mkdir(parents=True, exist_ok=True)
        text: Mapping[str, Any] | None = None
        if "text" in towers:
            text = _write_tokenizer(source, folder)
            _write_tower(_text_program(source), folder, "text", precision)
        if "image" in towers:
            _write_json(folder / "preprocessor_config.json", _preprocessing(source.model))
            _write_tower(_picture_program(source), folder, "image", precision)
        _write_config(source, folder, text, precision)
    except OSError as error:
        raise StoreUnreachableError(
            f"The export can't be written to {folder}: {error.strerror or error}.",
            advice="Make room or allow writing there; nothing of it is kept.",
        ) from error


def _text_program(source: Source) -> Any:
    import torch

    example = source.tokenizer(list(_EXAMPLES))
    batch = torch.export.Dim("batch")
    tower = _text_tower(source.model)
    if not _is_causal(tower):
        return _export(_caller(source.model.encode_text), example, "input_ids", {0: batch})
    length = torch.export.Dim("sequence", min=2, max=source.context)
    shapes = {0: batch, 1: length}
    return _export(_causal(source.model, tower), example, "input_ids", shapes)


def _picture_program(source: Source) -> Any:
    import torch

    height, width = _side(source.model)
    example = torch.zeros(2, 3, height, width)
    shapes = {0: torch.export.Dim("batch")}
    return _export(_caller(source.model.encode_image), example, "pixel_values", shapes)


def _text_tower(model: Any) -> Any:
    """The module that has the words' table and the mask: the model itself or its ``text``."""
    return getattr(model, "text", model)


def _is_causal(tower: Any) -> bool:
    """Whether what stands behind a text's end can't change its vector."""
    pool = getattr(tower, "text_pool_type", getattr(tower, "pool_type", None))
    return (
        getattr(tower, "attn_mask", None) is not None
        and getattr(tower, "cls_emb", None) is None
        and pool in ("argmax", "eos")
    )


def _caller(method: Any) -> Any:
    """A module that calls a model's method, as the exporter wants it."""
    from torch import nn

    class Caller(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = method.__self__

        def forward(self, given: Any) -> Any:
            return method(given)

    return Caller()


def _causal(model: Any, tower: Any) -> Any:
    """A causal text tower for texts of any length: open_clip's steps, each cut to the length."""
    from open_clip.transformer import text_global_pool
    from torch import nn

    pool = getattr(tower, "text_pool_type", None) or tower.pool_type
    end = getattr(tower, "text_eos_id", None) or getattr(tower, "eos_id", None)

    class Causal(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.tower = tower if tower is not model else _without_pictures(model)

        def forward(self, given: Any) -> Any:
            length = given.shape[1]
            hidden = self.tower.token_embedding(given) + self.tower.positional_embedding[:length]
            mask = self.tower.attn_mask[:length, :length]
            hidden = self.tower.ln_final(self.tower.transformer(hidden, attn_mask=mask))
            pooled = text_global_pool(hidden, given, pool, eos_token_id=end)
            projection = self.tower.text_projection
            if projection is None:
                return pooled
            return projection(pooled) if isinstance(projection, nn.Linear) else pooled @ projection

    return Causal()


def _without_pictures(model: Any) -> Any:
    """The text half of a model that keeps both in one module."""
    from torch import nn

    half = nn.Module()
    for name in ("token_embedding", "positional_embedding", "transformer", "ln_final"):
        setattr(half, name, getattr(model, name))
    half.text_projection = model.text_projection
    half.register_buffer("attn_mask", model.attn_mask, persistent=False)
    return half


def _export(module: Any, example: Any, name: str, shapes: Mapping[int, Any]) -> Any:
    """An ONNX model (its protobuf message) of a module with one input and one output."""
    import torch

    output = "text_embeds" if name == "input_ids" else "image_embeds"
    with _quietly(), torch.no_grad():
        try:
            program = torch.onnx.export(
                module.eval(),
                (example,),
                input_names=[name],
                output_names=[output],
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes={"given": shapes},
                verbose=False,
            )
        except ModuleNotFoundError as error:
            raise _not_installed(error) from error
        except Exception as error:  # of torch.export and onnxscript, each its own kinds
            reason = str(error).strip().partition("\n")[0][:200]
            raise UsageError(
                f"torch can't export this model's {output.partition('_')[0]} tower ({reason}).",
                advice="Leave it out with --towers, or search with `open_clip:` itself.",
            ) from error
    proto = program.model_proto
    _forget_sources(proto)
    return proto


def _forget_sources(proto: Any) -> None:
    """Take out what tells of the machine: stack traces with paths, a megabyte of them."""
    del proto.metadata_props[:]
    for part in (*proto.graph.node, *proto.graph.input, *proto.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    for part in (*proto.graph.value_info, *proto.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    proto.graph.doc_string = ""


def _write_tower(proto: Any, folder: Path, modality: Modality, precision: Precision) -> None:
    import onnx

    suffix = "" if precision == "fp32" else f"_{precision}"
    path = folder / "onnx" / f"{_NAMES[modality]}{suffix}.onnx"
    if precision == "int8":
        try:
            with _quietly():
                proto = in_eight_bits(proto)
        except ImportError as error:
            raise _not_installed(error) from error
    onnx.save_model(
        proto,
        str(path),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=f"{path.name}_data",
        size_threshold=_KEPT_INSIDE,
    )
    path.with_name(f"{path.name}_data").chmod(path.stat().st_mode)  # it was made for us alone


def _write_tokenizer(source: Source, folder: Path) -> Mapping[str, Any]:
    """Write ``tokenizer.json``; return how texts are treated around it."""
    from open_clip.tokenizer import SimpleTokenizer

    theirs = source.tokenizer
    path = folder / "tokenizer.json"
    clean = _CLEAN.get(getattr(theirs.clean_fn, "__name__", ""))
    if (
        clean is None
        or getattr(theirs, "reduction_fn", None)
        or getattr(theirs, "tokenizer_mode", "")
    ):
        raise _odd_tokenizer("it isn't one of open_clip's usual ones")
    cut = _is_causal(_text_tower(source.model))
    rules: dict[str, Any] = {"context": source.context, "clean": clean, "cut": cut}
    if isinstance(theirs, SimpleTokenizer):
        from .bpe import simple_tokenizer

        path.write_text(simple_tokenizer(theirs).to_str(), encoding="utf-8")
        _write_json(
            folder / "tokenizer_config.json",
            {"tokenizer_class": "CLIPTokenizer", "model_max_length": source.context},
        )
        return {**rules, "pad": None if cut else 0}
    inner = theirs.tokenizer
    if not hasattr(inner, "backend_tokenizer"):
        raise _odd_tokenizer("it has no form without transformers")
    if (inner.padding_side, inner.truncation_side) != ("right", "right"):
        raise _odd_tokenizer("it pads or cuts at the left")
    path.write_text(inner.backend_tokenizer.to_str(), encoding="utf-8")
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": type(inner).__name__,
            "model_max_length": source.context,
            "pad_token": inner.pad_token,
        },
    )
    zero = inner.sep_token_id if theirs.strip_sep_token else None
    return {**rules, "pad": inner.pad_token_id, "zero": zero}


def _preprocessing(model: Any) -> Mapping[str, Any]:
    """open_clip's preprocessing in the words of ``preprocessor_config.json``."""
    given = model.visual.preprocess_cfg
    height, width = _side(model)
    mode, how = given["resize_mode"], given["interpolation"]
    if mode not in ("shortest", "squash") or (mode == "shortest" and height != width):
        raise UsageError(
            f"Pictures for this model are resized by `{mode}` to {height} x {width}, which "
            "exports don't know.",
            advice="Export the text tower alone: --towers text.",
        )
    crops = mode == "shortest"
    sides = {"height": height, "width": width}
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": height} if crops else sides,
        "resample": _RESAMPLE[how],
        "do_center_crop": crops,
        **({"crop_size": sides} if crops else {}),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(given["mean"]),
        "image_std": list(given["std"]),
    }


def _write_config(
    source: Source, folder: Path, text: Mapping[str, Any] | None, precision: Precision
) -> None:
    """``config.json``, the last file: what the export is, where from, and its other files."""
    from hashlib import file_digest

    def noted(path: Path) -> Mapping[str, Any]:
        with path.open("rb") as file:
            return {"bytes": path.stat().st_size, "sha256": file_digest(file, "sha256").hexdigest()}

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    vocabulary = int(getattr(_text_tower(source.model), "vocab_size", 0))
    dim = source.space.dim
    config: dict[str, Any] = {
        # The type says how to read what is missing below; nothing is, so `clip` does for all.
        "model_type": "clip",
        "projection_dim": dim,
        "text_config": {"max_position_embeddings": source.context, "vocab_size": vocabulary},
        "vision_config": {"image_size": max(_side(source.model))},
        "echolens": {
            "format": FORMAT,
            "source": source.url,
            "source_fingerprint": source.fingerprint,
            "space": source.space.key,
            "precision": precision,
            "text": text,
            "files": {path.relative_to(folder).as_posix(): noted(path) for path in files},
        },
    }
    _write_json(folder / "config.json", config)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _side(model: Any) -> tuple[int, int]:
    size = model.visual.preprocess_cfg["size"]
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter's remarks to its own developers from the user's terminal."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _odd_tokenizer(why: str) -> UsageError:
    return UsageError(
        f"This model's tokenizer can't be exported: {why}.",
        advice="Export the picture tower alone: --towers image.",
    )


def _not_installed(error: ImportError) -> NotInstalledError:
    return NotInstalledError(
        f"An export needs the package `{error.name}`, which is not installed.",
        advice="pip install 'echolens[open-clip]'",
    )

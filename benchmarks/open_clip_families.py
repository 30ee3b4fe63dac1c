"""The families of open_clip that were tried: how near `open_clip:` comes to open_clip by hand.

    python benchmarks/open_clip_families.py                    every family, shrunk; minutes
    python benchmarks/open_clip_families.py --only SigLIP2 EVA02
    python benchmarks/open_clip_families.py --deep ViT-B-32 EVA02-B-16        at full depth

The weights are random (`tests/open_clip_families.py`). Parameters and dimensions are those of the
open_clip model that a family was shrunk from. The cosines are the least over the built-in pictures
and sentences: in fp32 to open_clip called by hand; in bf16 and int8 to fp32, and of an input in a
batch to the same input alone.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, table

sys.path.insert(0, str(Path(__file__).parents[1]))

from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.probes import probe_inputs
from retrieval.schema import Compute, FloatArray
from tests.open_clip_families import FAMILIES, Family, build

PICTURES = list(probe_inputs("image"))
TEXTS = list(probe_inputs("text"))
HEAD = (
    "family", "model", "M parameters", "dims", "fp32 to by hand",
    "bf16 to fp32", "bf16, alone", "int8 to fp32", "int8, alone",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", metavar="FAMILY", help="of the shrunk ones, these")
    parser.add_argument("--deep", nargs="*", default=[], metavar="MODEL", help="at full depth")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    names = FAMILIES if options.only is None and not options.deep else options.only or ()
    families = {name: FAMILIES[name] for name in names}
    families |= {f"{model}, whole": Family(model) for model in options.deep}
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        table(HEAD, list(rows(families, Path(folder))))
    print(machine())


def rows(families: dict[str, Family], folder: Path) -> Iterator[Sequence[str]]:
    for number, (name, family) in enumerate(families.items()):
        print(f"{name} ...", file=sys.stderr)
        made = build(family, folder / str(number))
        location = f"local-dir:{made}"
        exact = vectors(location, "fp32")
        cells = [name, family.model, f"{parameters(family.model) / 1e6:.0f}"]
        cells += [dims(family.model), show(nearest(by_hand(location), exact[:2]))]
        for precision in ("bf16", "int8"):
            images, texts, one_image, one_text = vectors(location, precision)
            cells.append(show(nearest(exact[:2], (images, texts))))
            cells.append(show(nearest((images, texts), (one_image, one_text))))
        (made / "open_clip_model.safetensors").unlink()
        print(*cells, sep=", ", file=sys.stderr)
        yield cells


def vectors(location: str, precision: Any) -> tuple[FloatArray, ...]:
    """(pictures, texts, pictures one by one, texts one by one)."""
    encoder = OpenClipEncoder(location, Compute("cpu", precision))
    return (
        encoder.encode("image", PICTURES, role="document"),
        encoder.encode("text", TEXTS, role="document"),
        np.concatenate([encoder.encode("image", [p], role="document") for p in PICTURES]),
        np.concatenate([encoder.encode("text", [t], role="document") for t in TEXTS]),
    )


def by_hand(location: str) -> tuple[FloatArray, ...]:
    import open_clip
    import torch
    from PIL import Image

    model, _, transform = open_clip.create_model_and_transforms(location)
    tokenizer = open_clip.get_tokenizer(location)
    model.eval()
    with torch.no_grad():
        images = model.encode_image(torch.stack([transform(Image.fromarray(p)) for p in PICTURES]))
        texts = model.encode_text(tokenizer(TEXTS))
    return tuple((x / x.norm(dim=-1, keepdim=True)).numpy() for x in (images, texts))


def nearest(expected: Sequence[FloatArray], found: Sequence[FloatArray]) -> float:
    return min(float((a * b).sum(axis=1).min()) for a, b in zip(expected, found, strict=True))


def show(cosine: float) -> str:
    return f"{min(cosine, 1):.5f}"


def parameters(model: str) -> int:
    """Of the real model, counted without memory for them; what transformers brings left out."""
    import open_clip
    import torch

    config = open_clip.get_model_config(model)
    if "hf_model_name" in config["text_cfg"]:
        config["text_cfg"] = {"width": 8, "heads": 1, "layers": 1, "vocab_size": 8}
        config.pop("multimodal_cfg", None)
    kind = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
    if "multimodal_cfg" in config:
        kind = open_clip.CoCa
    with torch.device("meta"):
        module = kind(**config)
    return sum(parameter.numel() for parameter in module.parameters())


def dims(model: str) -> str:
    import open_clip

    return str(open_clip.get_model_config(model)["embed_dim"])


if __name__ == "__main__":
    main()

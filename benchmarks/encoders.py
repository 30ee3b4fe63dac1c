"""Pictures a second by precision, beside open_clip called by hand, and beside what is possible.

    python benchmarks/encoders.py                                  ViT-B-32, MobileCLIP2-S0 and more
    python benchmarks/encoders.py --models ViT-B-32 --seconds 20 --threads 2

The weights are random and the text towers cut down: only pictures go through. Each way takes its
turn in rounds, so that a busy machine slows all of them; the median round counts. "By hand" is
open_clip's own README: its transform, then `encode_image` in fp32, in batches of the same size. The
share of the limit is the tower's arithmetic (torch's FLOP counter) a second, over what one large
matrix product reaches in the same type of numbers on this machine in the same minute.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from machine import machine, table

sys.path.insert(0, str(Path(__file__).parents[1]))

from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.probes import probe_inputs
from retrieval.schema import Compute, Precision
from tests.open_clip_families import Family, build

MODELS = (
    "MobileCLIP2-S0",
    "MobileCLIP2-S2",
    "ViT-B-32-SigLIP2-256",
    "ViT-B-16-SigLIP2-256",
    "ViT-L-16-SigLIP2-256",
    "PE-Core-L-14-336",
)
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")
MATRIX = 2048
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="MODEL")
    parser.add_argument("--seconds", type=float, default=10, help="for each way, all rounds")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as torch takes")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        lines = [
            line
            for model in options.models
            for line in measure(model, Path(folder), options.seconds, options.batch)
        ]
    head = (
        "model, pictures",
        "way",
        "pictures a second",
        "x by hand",
        "GFLOP each",
        "of the limit",
    )
    table(head, lines)
    print(f"{threads()} threads, batches of {options.batch}; {machine()}")


def threads() -> int:
    import torch

    return int(torch.get_num_threads())


def measure(model: str, folder: Path, seconds: float, batch: int) -> list[tuple[str, ...]]:
    print(f"{model} ...", file=sys.stderr)
    made = build(small_text(model), folder / model)
    location = f"local-dir:{made}"
    probes = list(probe_inputs("image"))
    pictures = (probes * batch)[:batch]
    hand, flops = by_hand(location, pictures)
    ways: dict[str, Callable[[], Any]] = {"by hand": hand}
    for precision in PRECISIONS:
        encoder = OpenClipEncoder(location, Compute("cpu", precision))
        encoder.batch_size = batch
        ways[precision] = lambda e=encoder: e.encode("image", pictures, role="document")
    rates = in_turns(ways, seconds, batch)
    limits = {way: limit("bf16" if way == "bf16" else "fp32") for way in ways}
    (made / "open_clip_model.safetensors").unlink()
    return [
        (
            model,
            way,
            f"{rate:.1f}",
            f"{rate / rates['by hand']:.2f}",
            f"{flops / 1e9:.1f}",
            # torch's own counter and kernels have no such limit for int8.
            "" if way == "int8" else f"{rate * flops / limits[way]:.0%}",
        )
        for way, rate in rates.items()
    ]


def small_text(model: str) -> Family:
    import open_clip

    text = {"vocab_size": 600, "layers": 1}
    if not open_clip.get_model_config(model)["text_cfg"].get("hf_tokenizer_name"):
        return Family(model, {"layers": 1})
    return Family(model, text, tokenizer="unigram")


def by_hand(location: str, pictures: list[Any]) -> tuple[Callable[[], Any], float]:
    """(open_clip's own way, floating point operations for one picture)."""
    import open_clip
    import torch
    from PIL import Image
    from torch.utils.flop_counter import FlopCounterMode

    model, _, transform = open_clip.create_model_and_transforms(location)
    model.eval().requires_grad_(False)  # the counter wants a gradient of what could have one

    def run() -> Any:
        with torch.no_grad():
            batch = torch.stack([transform(Image.fromarray(picture)) for picture in pictures])
            return model.encode_image(batch, normalize=True)

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.encode_image(transform(Image.fromarray(pictures[0]))[None])
    return run, float(counter.get_total_flops())


def in_turns(ways: Mapping[str, Callable[[], Any]], seconds: float, batch: int) -> dict[str, float]:
    """Pictures a second of each way: the median of rounds in which all take their turn."""
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for way in ways.values():
        way()
    for _ in range(ROUNDS):
        for name, way in ways.items():
            done, start = 0, time.perf_counter()
            while time.perf_counter() - start < seconds / ROUNDS:
                way()
                done += batch
            rates[name].append(done / (time.perf_counter() - start))
    return {name: statistics.median(found) for name, found in rates.items()}


def limit(precision: str) -> float:
    """Floating point operations a second of one large matrix product."""
    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(MATRIX, MATRIX).to(dtype) for _ in range(2))
    torch.mm(left, right)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        torch.mm(left, right)
        times.append(time.perf_counter() - start)
    return float(2 * MATRIX**3 / min(times))


if __name__ == "__main__":
    main()

"""What measuring recall costs: CLIP_benchmark 1.6.2 and Echolens side by side, on the same vectors.

    pip install -e '.[open-clip]' clip-benchmark==1.6.2
    python benchmarks/recall_cost.py --full           # 25,000 captions x 5,000 pictures x 512
    python benchmarks/recall_cost.py --large 120000   # ours alone, 600,000 x 120,000: up to an hour

Vectors are random: a caption is its picture and noise, so that recall is neither 0 nor 1. Each run
is a new process that loads its libraries and the vectors from a file; what is timed, and whose
memory is told, comes after that: R@1, 5 and 10 in both directions. CLIP_benchmark's model gives
the rows of the file back, so that nothing is encoded. Runs take turns. Figures that differ by more
than 1e-6 end the run. Memory is read from Linux's /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, table

from retrieval.evaluation.exact import rank_exactly
from retrieval.evaluation.measures import DEFAULT, parse_measure, values_of
from retrieval.evaluation.schema import Judged
from retrieval.evaluation.significance import estimates
from retrieval.schema import FloatArray

CAPTIONS = 5  # of a picture
NOISE = 0.33  # in every dimension of a caption; a picture's norm is 1
CUTS = (1, 5, 10)
BATCH = 64  # pictures, as CLIP_benchmark has by default
TOLERANCE = 1e-6

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="5,000 pictures")
    parser.add_argument("--large", type=int, metavar="PICTURES", help="ours alone, and only once")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, where = options.child
        print(json.dumps(CONTENDERS[name](where)))
        return
    print(machine(), flush=True)
    if options.large:
        large(options.large, options.dim)
    else:
        side_by_side(5_000 if options.full else options.pictures, options.dim, options.runs)


def side_by_side(pictures: int, dim: int, runs: int) -> None:
    """A table of all contenders; ends with exit code 1 if their figures differ."""
    samples: dict[str, list[Any]] = {name: [] for name in CONTENDERS if name != "large"}
    with tempfile.TemporaryDirectory() as folder:
        for name, vectors in zip(("images", "captions"), made(pictures, dim), strict=True):
            np.save(Path(folder) / f"{name}.npy", vectors)
        for _ in range(runs):
            for name, of_name in samples.items():
                of_name.append(child(name, folder))
    middle = {
        name: [statistics.median(sample[what] for sample in of_name) for what in ("s", "mb")]
        for name, of_name in samples.items()
    }
    base = middle["CLIP_benchmark"]
    print(f"{CAPTIONS * pictures:,} captions x {pictures:,} pictures x {dim}, {runs} runs each\n")
    table(
        ("", "s, median", "s, min to max", "extra MB", "time ratio", "memory ratio"),
        (
            (
                name,
                f"{seconds:.2f}",
                " to ".join(
                    f"{f(sample['s'] for sample in samples[name]):.2f}" for f in (min, max)
                ),
                f"{megabytes:.0f}",
                f"{seconds / base[0]:.3f}",
                f"{megabytes / base[1]:.3f}",
            )
            for name, (seconds, megabytes) in middle.items()
        ),
    )
    figures = [sample["figures"] for of_name in samples.values() for sample in of_name]
    worst = max(abs(one[key] - figures[0][key]) for one in figures for key in figures[0])
    print(f"\nTheir R@K differ by {worst:.1e} at most: {figures[0]}")
    if not worst <= TOLERANCE:
        raise SystemExit(1)


def large(pictures: int, dim: int) -> None:
    """Ours alone, over vectors that are made in the process which is measured."""
    found = child("large", f"{pictures}x{dim}")
    print(f"{CAPTIONS * pictures:,} captions x {pictures:,} pictures x {dim}, one run\n")
    table(
        ("", "s", "MB of vectors", "peak MB of the process"),
        (
            (
                "Echolens",
                f"{found['s']:.0f}",
                f"{found['vectors']:.0f}",
                f"{found['peak']:.0f}",
            ),
        ),
    )
    print(f"\n{found['figures']}")


def child(name: str, where: str) -> Any:
    """What a contender says of itself, run in a process of its own."""
    argv = [sys.executable, __file__, "--child", name, where]
    environment = {**os.environ, "TQDM_DISABLE": "1"}
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def made(pictures: int, dim: int) -> tuple[FloatArray, FloatArray]:
    """(n, dim) pictures and (5 n, dim) captions, norm 1, the same ones each time."""
    random = np.random.default_rng(0)
    images = np.empty((pictures, dim), np.float32)
    captions = np.empty((CAPTIONS * pictures, dim), np.float32)
    for start in range(0, pictures, 1_024):
        size = min(1_024, pictures - start)
        some = unit(random.standard_normal((size, dim), dtype=np.float32))
        noise = random.standard_normal((size, CAPTIONS, dim), dtype=np.float32)
        images[start : start + size] = some
        noise *= np.float32(NOISE)
        noise += some[:, None]
        captions[CAPTIONS * start : CAPTIONS * (start + size)] = unit(noise.reshape(-1, dim))
    return images, captions


def unit(vectors: FloatArray) -> FloatArray:
    """The rows with norm 1; in place."""
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def pictures_of_captions(pictures: int) -> Judged:
    """Each caption has one picture."""
    count = CAPTIONS * pictures
    return Judged(np.arange(count + 1), np.arange(count) // CAPTIONS, np.ones(count))


def captions_of_pictures(pictures: int) -> Judged:
    """Each picture has five captions."""
    count = CAPTIONS * pictures
    return Judged(np.arange(pictures + 1) * CAPTIONS, np.arange(count), np.ones(count))


# --- the contenders ---------------------------------------------------------------------------


def clip_benchmark(where: str) -> Mapping[str, Any]:
    import torch  # noqa: F401
    from clip_benchmark.metrics import zeroshot_retrieval  # noqa: F401

    images, captions = loaded(where)
    return measured(lambda: by_clip_benchmark(images, captions))


def echolens(where: str) -> Mapping[str, Any]:
    images, captions = loaded(where)
    return measured(lambda: by_echolens(images, captions, [f"r@{k}" for k in CUTS], False))


def echolens_whole(where: str) -> Mapping[str, Any]:
    images, captions = loaded(where)
    return measured(lambda: by_echolens(images, captions, DEFAULT, True))


def echolens_large(where: str) -> Mapping[str, Any]:
    pictures, dim = map(int, where.split("x"))
    images, captions = made(pictures, dim)
    found = measured(lambda: by_echolens(images, captions, DEFAULT, True, tell=True))
    vectors = (images.nbytes + captions.nbytes) / 2**20
    return {**found, "vectors": vectors, "peak": memory("VmHWM")}


def by_clip_benchmark(images: FloatArray, captions: FloatArray) -> Figures:
    """Its own `evaluate`, given the rows instead of a model's output."""
    import torch
    from clip_benchmark.metrics import zeroshot_retrieval

    rows = torch.from_numpy(captions)

    class Model:
        encode_image = staticmethod(lambda batch: batch)
        encode_text = staticmethod(lambda tokens: rows[tokens])

    def loader() -> Iterator[tuple[Any, list[list[str]]]]:
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(images[start : start + BATCH])
            first = range(CAPTIONS * start, CAPTIONS * (start + len(batch)), CAPTIONS)
            yield batch, [[str(one + n) for n in range(CAPTIONS)] for one in first]

    def tokenizer(texts: list[str]) -> Any:
        return torch.tensor([int(text) for text in texts])

    found = zeroshot_retrieval.evaluate(
        Model(), loader(), tokenizer, "cpu", amp=False, recall_k_list=list(CUTS)
    )
    return {
        f"{direction} r@{k}": found[f"{name}_retrieval_recall@{k}"]
        for direction, name in (("text to image", "image"), ("image to text", "text"))
        for k in CUTS
    }


def by_echolens(
    images: FloatArray, captions: FloatArray, names: Any, intervals: bool, tell: bool = False
) -> Figures:
    """Both directions by `rank_exactly`, and the measures; `tell` says on stderr how far it is."""
    measures = [parse_measure(name) for name in names]
    directions = (
        ("text to image", captions, images, pictures_of_captions(len(images))),
        ("image to text", images, captions, captions_of_pictures(len(images))),
    )
    figures: Figures = {}
    for direction, queries, corpus, judged in directions:
        start = time.perf_counter()
        values = values_of(measures, rank_exactly(queries, corpus, judged)[0])
        figures |= {f"{direction} {m.name}": m.over(of_m) for m, of_m in values.items()}
        if intervals:
            per_picture = len(queries) // len(images)
            estimates(values, [str(place // per_picture) for place in range(len(queries))])
        if tell:
            print(f"{direction}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return figures


CONTENDERS: Mapping[str, Callable[[str], Mapping[str, Any]]] = {
    "CLIP_benchmark": clip_benchmark,
    "Echolens": echolens,
    "Echolens, all measures with intervals": echolens_whole,
    "large": echolens_large,
}


def loaded(folder: str) -> tuple[FloatArray, FloatArray]:
    images, captions = (np.load(Path(folder) / f"{n}.npy") for n in ("images", "captions"))
    return images, captions


def measured(call: Callable[[], Figures]) -> Mapping[str, Any]:
    """Seconds, megabytes at the peak beyond those before, and what was found."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    before, start = memory("VmRSS"), time.perf_counter()
    figures = call()
    return {
        "s": time.perf_counter() - start,
        "mb": memory("VmHWM") - before,
        "figures": figures,
    }


def memory(what: str) -> float:
    """Megabytes of this process: `VmRSS` now, `VmHWM` at the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what + ":"))


if __name__ == "__main__":
    main()

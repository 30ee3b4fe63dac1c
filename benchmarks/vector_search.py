"""`exact:` and `faiss:` side by side, in one run: writing, cold opening, warm searches.

    python benchmarks/vector_search.py --rows 100000 --dim 512 --repeats 50

Prints the hardware, then one line a measurement: 50th and 95th percentile of either store and
their ratio. "Cold" is a new process that imports the library, opens the store read-only and
searches once, its files in the page cache; "open + search" is that without the imports. Answers
of the two stores are compared, and a difference ends the run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import machine

from retrieval.protocols import Place, VectorStore
from retrieval.registry import open_vector_store
from retrieval.schema import Channel, FloatArray

SCHEMES = ("exact:", "faiss:")
COLD = """
import time
begin = time.perf_counter()
import numpy as np
from pathlib import Path
from retrieval.protocols import Place
from retrieval.registry import open_vector_store
from retrieval.schema import Channel
channel = Channel("random", "image", {dim}, "", "")
if {scheme!r} == "faiss:":
    import faiss
imported = time.perf_counter()
query = np.ones((1, {dim}), np.float32) / np.float32({dim} ** 0.5)
store = open_vector_store(Place({scheme!r}, Path({folder!r})), channel)
store.search(query, {k})
end = time.perf_counter()
print(end - begin, end - imported)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=50)
    options = parser.parse_args()

    print(machine())
    print(f"{options.rows:,} rows x {options.dim}, k = {options.k}; milliseconds, p50 / p95")
    print(f"{'':28}{'exact:':>18}{'faiss:':>18}   exact: / faiss:")
    channel = Channel("random", "image", options.dim, "", "")
    vectors, queries = unit(options.rows, options.dim, 0), unit(256, options.dim, 1)
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / scheme.strip(":") for scheme in SCHEMES]
        report(
            "write (1,000 a batch)",
            *(fill(*pair, channel, vectors) for pair in zip(SCHEMES, folders, strict=True)),
        )
        stores = [
            open_vector_store(Place(s, f), channel) for s, f in zip(SCHEMES, folders, strict=True)
        ]
        compare(stores, queries, options.k)
        for batch in (1, 2, 4, 32):
            report(
                f"warm, {batch} quer{'y' if batch == 1 else 'ies'}",
                *interleaved(stores, queries, batch, options.k, options.repeats),
            )
        few = list(stores[0].scan())[:: max(1, options.rows // 1000)][:1000]
        report(
            "warm, within 1,000 ids",
            *(
                [
                    clock(lambda s=s: s.search(queries[:1], options.k, within=few))
                    for _ in range(options.repeats)
                ]
                for s in stores
            ),
        )
        for store in stores:
            store.close()
        cold = [
            [new_process(*pair, options) for _ in range(5)]
            for pair in zip(SCHEMES, folders, strict=True)
        ]
        report("cold, whole process", *([whole for whole, _ in runs] for runs in cold))
        report("cold, open + search", *([part for _, part in runs] for runs in cold))


def unit(n: int, dim: int, seed: int) -> FloatArray:
    vectors = np.random.default_rng(seed).standard_normal((n, dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def clock(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def fill(scheme: str, folder: Path, channel: Channel, vectors: FloatArray) -> list[float]:
    """Write all vectors in batches of 1,000; seconds of each."""
    ids = [f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}" for number in range(len(vectors))]
    store = open_vector_store(Place(scheme, folder, read_only=False), channel)
    parts = [slice(start, start + 1000) for start in range(0, len(ids), 1000)]
    times = [clock(lambda part=part: store.upsert(ids[part], vectors[part])) for part in parts]
    store.close()
    return times


def compare(stores: list[VectorStore], queries: FloatArray, k: int) -> None:
    """End the run if one of 50 answers differs."""
    for place in range(50):
        one, other = (store.search(queries[place : place + 1], k)[0] for store in stores)
        if one.ids != other.ids or not np.array_equal(one.scores, other.scores):
            raise SystemExit(f"query {place}: the two stores answer differently")


def interleaved(
    stores: list[VectorStore], queries: FloatArray, batch: int, k: int, repeats: int
) -> list[list[float]]:
    """Seconds of each search, the stores taking turns so that a busy machine hits both."""
    times: list[list[float]] = [[] for _ in stores]
    for turn in range(repeats):
        start = turn * batch % (len(queries) - batch)
        some = queries[start : start + batch]
        for store, mine in zip(stores, times, strict=True):
            mine.append(clock(lambda store=store, some=some: store.search(some, k)))
    return times


def new_process(scheme: str, folder: Path, options: argparse.Namespace) -> tuple[float, float]:
    """Seconds of a new interpreter from its first import on, and those after the imports."""
    code = COLD.format(dim=options.dim, k=options.k, scheme=scheme, folder=str(folder))
    root = Path(__file__).resolve().parents[1]
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    ).stdout
    whole, part = map(float, output.split())
    return whole, part


def report(what: str, exact: list[float], other: list[float]) -> None:
    figures = [np.percentile(np.array(times) * 1000, (50, 95)) for times in (exact, other)]
    columns = "".join(f"{f'{p50:.1f} / {p95:.1f}':>18}" for p50, p95 in figures)
    print(f"{what:28}{columns}   {figures[0][0] / figures[1][0]:.2f}")


if __name__ == "__main__":
    main()

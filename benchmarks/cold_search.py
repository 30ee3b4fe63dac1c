"""A cold ``echolens search`` over many pictures, as a whole process; the page cache is warm.

    python benchmarks/cold_search.py --documents 100000

Makes a collection of random vectors under the starter encoder in a temporary folder, through the
stores' own writing methods, then starts the command again and again and prints medians of wall
time and peak memory, beside ``echolens --help`` and a Python that only imports NumPy.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from indexer import create
from indexer.calibrate import calibrated
from indexer.opening import writing
from retrieval.manifest import write_manifest
from retrieval.schema import Document, Sighting
from retrieval.settings import load_settings

BATCH = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--fill", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill:
        fill(options.fill, options.documents)
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{options.documents} pictures, {options.runs} runs")
    command = str(Path(sys.executable).with_name("echolens"))
    with tempfile.TemporaryDirectory() as folder:
        collection = str(Path(folder) / "collection")
        # In a process of its own: a child's peak memory is never less than its parent's.
        filling = [sys.executable, __file__, "--fill", collection]
        subprocess.run([*filling, "--documents", str(options.documents)], check=True)
        commands = {
            "python -c 'import numpy'": [sys.executable, "-c", "import numpy"],
            "echolens --help": [command, "--help"],
            "echolens search": [command, "-c", collection, "search", "a dog on the beach"],
        }
        samples = {name: [] for name in commands}
        for number in range(options.runs + 1):
            for name, argv in commands.items():
                sample = measure(argv)
                if number:  # the first run of each warms the page cache
                    samples[name].append(sample)
    base = statistics.median(seconds for seconds, _ in samples["python -c 'import numpy'"])
    for name, measured in samples.items():
        seconds = statistics.median(seconds for seconds, _ in measured)
        megabytes = statistics.median(megabytes for _, megabytes in measured)
        print(f"{name:26} {seconds * 1000:7.0f} ms  {megabytes:6.0f} MB  {seconds / base:5.2f} x")


def fill(collection: str, count: int) -> None:
    """Make a collection of `count` pictures with random vectors, the same each time."""
    random = np.random.default_rng(0)
    with writing(create(collection, encoder="starter:", settings=load_settings())) as session:
        backends = session.backends
        channel = backends.manifest.channel("image")
        assert channel
        for start in range(0, count, BATCH):
            vectors = random.standard_normal((min(BATCH, count - start), channel.dim), np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            assets = [f"{number:064x}" for number in range(start, start + len(vectors))]
            documents = [Document.of(asset, "image", channel.key) for asset in assets]
            sightings = [
                Sighting(f"file:///photos/{asset[-8:]}.jpg", asset, {"modality": "image"})
                for asset in assets
            ]
            backends.vectors[channel.key].upsert([d.id for d in documents], vectors)
            backends.documents.upsert(documents, sightings)
        write_manifest(backends.directory, calibrated(backends))


def measure(argv: list[str]) -> tuple[float, float]:
    """(seconds by the clock, peak resident MB) of one process."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()

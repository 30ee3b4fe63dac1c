"""Photos a second of indexing, and which stage bounds it.

    python benchmarks/ingest.py                       500 JPEG photos of 12 megapixels, made here
    python benchmarks/ingest.py --photos ~/Pictures   one's own

Indexes the photos with the starter encoder into a temporary folder and prints what the run says of
its stages: `read` and `decode` are the seconds in which encoding waited for the next file's hash or
picture, `encode` and `write` those in which it was at work. What is left is mostly the start of the
decoding processes and the background statistics at the end, whatever the number of photos.

Then the same photos are decoded in one process, and their pictures encoded, nothing else going on;
"at best" is what all cores could do: the processor seconds of both, spread over the cores. Files
are in the page cache.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, table

from indexer import IndexReport, create, index
from retrieval import registry
from retrieval.protocols import Limits
from retrieval.settings import load_settings

NAMES = ("astronaut", "chelsea", "coffee", "rocket", "immunohistochemistry")
SIZE = (4000, 3000)
QUALITY = 90
GRAIN = 5.0  # a sensor's noise, without which enlarged photos would be easy to decode
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".avif", ".tif", ".tiff", ".gif", ".bmp")
AT_ONCE = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder of photos; without, some are made")
    parser.add_argument("--count", type=int, default=500, help="photos at most")
    parser.add_argument("--encoder", default="starter:")
    parser.add_argument("--workers", type=int, help="decoding processes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.photos:
            photos = sorted(p for p in options.photos.rglob("*") if p.suffix.lower() in SUFFIXES)
        else:
            photos = list(make_photos(folder / "photos", options.count))
        photos = photos[: options.count]
        megabytes = sum(photo.stat().st_size for photo in photos) / 1e6
        print(machine())
        print(f"{len(photos)} photos, {megabytes / len(photos):.2f} MB each, {options.encoder}\n")
        warm(photos)
        settings = load_settings()
        if options.workers:
            settings = replace(settings, workers=options.workers)
        collection = create(folder / "collection", encoder=options.encoder, settings=settings)
        report = index([str(photo) for photo in photos], collection)
        if report.failed or report.indexed < 0.9 * len(photos):
            raise SystemExit(f"these photos tell nothing: {report.accounting()}")
        decoding, encoding = alone(photos, options.encoder)
        show(report, decoding, encoding)
        print(f"\n{verdict(report)}\n{machine()}")


def make_photos(folder: Path, count: int) -> Iterator[Path]:
    """JPEG photos whose pictures repeat but whose bytes don't: a comment tells them apart."""
    from PIL import Image
    from skimage import data

    folder.mkdir()
    random = np.random.default_rng(0)
    seeds = []
    for name in NAMES:
        enlarged = Image.fromarray(getattr(data, name)()).convert("RGB").resize(SIZE)
        grain = random.normal(0, GRAIN, (SIZE[1], SIZE[0], 1))
        pixels = np.clip(np.asarray(enlarged) + grain, 0, 255).astype(np.uint8)
        seeds.append(Image.fromarray(pixels))
    for number in range(count):
        path = folder / f"IMG_{number:05}.jpg"
        if number < len(seeds):
            seeds[number].save(path, quality=QUALITY)
        else:
            first = (folder / f"IMG_{number % len(seeds):05}.jpg").read_bytes()
            comment = f"{number:08}".encode()
            segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
            path.write_bytes(first[:2] + segment + first[2:])
        yield path


def warm(photos: Sequence[Path]) -> None:
    for photo in photos:
        photo.read_bytes()


def alone(photos: Sequence[Path], url: str) -> tuple[np.ndarray, np.ndarray]:
    """Seconds by the clock and by the processor: decoding all photos, and encoding them."""
    encoder = registry.open_encoder(url)
    reader = registry.open_modality("image", Limits())
    decoding, encoding = np.zeros(2), np.zeros(2)
    rest = iter(photos)
    first = True
    while batch := list(islice(rest, AT_ONCE)):
        begin = clocks()
        pictures = [decoded(reader, photo, encoder.wants) for photo in batch]
        decoding += clocks() - begin
        if first:
            encoder.encode("image", pictures[:1], role="document")  # opens the model
            first = False
        for start in range(0, len(pictures), encoder.batch_size):
            begin = clocks()
            encoder.encode("image", pictures[start : start + encoder.batch_size], role="document")
            encoding += clocks() - begin
    return decoding, encoding


def clocks() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def decoded(reader: Any, photo: Path, wants: Any) -> Any:
    with photo.open("rb") as file:
        reader.describe(file)
        file.seek(0)
        (draft,) = reader.documents(file, wants)
        return draft.inputs[0]


def show(report: IndexReport, decoding: np.ndarray, encoding: np.ndarray) -> None:
    known = sum(report.stages.values())
    best = (decoding[1] + encoding[1]) / (os.cpu_count() or 1)
    figures = {
        "`index`": report.seconds,
        **{f"of it, {name}": report.stages.get(name, 0.0) for name in STAGES},
        "of it, to begin and to end": report.seconds - known,
        "decoding alone, one process": decoding[0],
        "encoding alone": encoding[0],
        f"together, {os.cpu_count()} cores at best": best,
    }
    table(
        ("", "s", "of `index`", "photos/s"),
        (
            (
                what,
                f"{seconds:.1f}",
                f"{seconds / report.seconds:.0%}",
                "" if what.startswith("of it") else f"{report.indexed / seconds:.1f}",
            )
            for what, seconds in figures.items()
        ),
    )


STAGES = ("read", "decode", "encode", "write")


def verdict(report: IndexReport) -> str:
    """The stage that bounds the run: the one that most of its time went to."""
    name = max(report.stages, key=lambda stage: report.stages[stage])
    return f"`{name}` bounds it: {report.stages[name] / report.seconds:.0%} of the time."


if __name__ == "__main__":
    main()

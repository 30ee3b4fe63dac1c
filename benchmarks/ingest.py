"""Photos a second of indexing, beside what the encoder and decoding do alone.

    python benchmarks/ingest.py --enlarge FOLDER               2,000 photos of 12 megapixels
    python benchmarks/ingest.py --enlarge FOLDER --count 300   in a minute or two
    python benchmarks/ingest.py --photos ~/Pictures            one's own, as they are

For the starter, and for a ViT-B/32 of open_clip with random weights (as fast as trained ones), or
for the encoders that `--encoder` names. Photos of FOLDER are enlarged, with a sensor's grain over
them; a hundred of them repeat, told apart by a comment, since enlarging takes longer than indexing.

Three rates, all on the same machine and files (in the page cache): the encoder alone, on pictures
that are decoded already; decoding alone, in as many processes as `index` has; and `index`. The
first two are measured before and after, as a busy machine changes its pace. Each of them has all
cores to itself. Where decoding and encoding share the cores, both at once can't do better than
1 / (1/decoding + 1/encoding): "at best, on shared cores". An encoder with a processor of its own (a
GPU) can reach the lesser of the two.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from machine import machine, table
from PIL import Image, ImageChops

from cli.profile import profile
from indexer import IndexReport, create, index
from indexer.decode import Decoder
from indexer.schema import Item, Stat
from retrieval import registry
from retrieval.protocols import Limits
from retrieval.settings import Settings, load_settings

SIZE = (4000, 3000)
QUALITY = 90
GRAIN = 10.0  # of 255: a sensor's noise, without which enlarged photos would be easy to decode
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".avif", ".tif", ".tiff", ".gif", ".bmp")
DISTINCT = 100
SAMPLE = 64
MODEL = "ViT-B-32"


@dataclass
class Pace:
    """How much was done in how many seconds."""

    count: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return self.count / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--enlarge", type=Path, help="a folder of photos to enlarge")
    parser.add_argument("--photos", type=Path, help="a folder of photos to take as they are")
    parser.add_argument("--count", type=int, default=2000, help="photos at most")
    parser.add_argument("--encoder", action="append", help="an encoder's URL; repeatable")
    parser.add_argument("--workers", type=int, default=0, help="decoding processes")
    options = parser.parse_args()
    if not options.enlarge and not options.photos:
        parser.error("name photos: --enlarge FOLDER or --photos FOLDER")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = photos_in(options.photos or options.enlarge)
        if options.enlarge:
            photos = enlarged(photos, folder / "photos", options.count)
        photos = photos[: options.count]
        megabytes = sum(len(photo.read_bytes()) for photo in photos) / 1e6
        print(machine())
        print(f"{len(photos)} photos, {megabytes / len(photos):.2f} MB each")
        settings = replace(load_settings(), workers=options.workers or os.cpu_count() or 1)
        for url in options.encoder or ["starter:", f"open_clip:{MODEL}/{random_weights(folder)}"]:
            measure(url, photos, settings)
            print(machine(), flush=True)


def photos_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def enlarged(sources: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """JPEG photos of 12 megapixels; those past the first hundred repeat one of them."""
    folder.mkdir()
    distinct = min(count, DISTINCT, len(sources))
    paths = [folder / f"IMG_{number:05}.jpg" for number in range(count)]
    with ProcessPoolExecutor() as processes:
        list(processes.map(enlarge, sources[:distinct], paths[:distinct], chunksize=10))
    for number in range(distinct, count):
        first = paths[number % distinct].read_bytes()
        comment = f"{number:08}".encode()
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        paths[number].write_bytes(first[:2] + segment + first[2:])
    return paths


def enlarge(source: Path, path: Path) -> None:
    grain = Image.merge("RGB", [Image.effect_noise(SIZE, GRAIN)] * 3)
    photo = Image.open(source).convert("RGB").resize(SIZE)
    ImageChops.add(photo, grain, offset=-128).save(path, quality=QUALITY)


def random_weights(folder: Path) -> Path:
    import open_clip
    import torch

    torch.manual_seed(0)
    path = folder / f"{MODEL}.pt"
    torch.save(open_clip.create_model(MODEL).state_dict(), path)
    return path


def measure(url: str, photos: Sequence[Path], settings: Settings) -> None:
    """Index the photos, with the two alone before and after."""
    encoder = registry.open_encoder(url, settings.compute)
    encoding, decoding = Pace(), Pace()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        pictures = decode_alone(photos, encoder, settings, decoding)
        encode_alone(pictures, encoder, encoding)
        collection = create(Path(folder, "collection"), encoder=url, settings=settings)
        stack.enter_context(collection)
        report = index([str(photo) for photo in photos], collection)
        if report.failed or report.indexed < 0.9 * len(photos):
            raise SystemExit(f"these photos tell nothing: {report.accounting()}")
        decode_alone(photos, encoder, settings, decoding)
        encode_alone(pictures, encoder, encoding)
    show(url.split("//", maxsplit=1)[0], report, encoding, decoding)


def decode_alone(photos: Sequence[Path], encoder: Any, settings: Settings, pace: Pace) -> list[Any]:
    """Decode a sample as `index` does, and give the pictures; starting isn't counted."""
    items = [item_of(photo) for photo in photos[: 2 * SAMPLE]]
    with Decoder(settings.workers, Limits()) as decoder:
        for pending in [decoder.submit(items[0], encoder.wants) for _ in range(settings.workers)]:
            decoder.result(pending, items[0])
        began = time.perf_counter()
        pending_all = [decoder.submit(item, encoder.wants) for item in items]
        readings = [decoder.result(*both) for both in zip(pending_all, items, strict=True)]
        pace.seconds += time.perf_counter() - began
        pace.count += len(items)
    return [draft.inputs[0] for reading in readings for draft in reading.drafts or ()][:SAMPLE]


def item_of(path: Path) -> Item:
    status = path.stat()
    stat = Stat(str(path), status.st_size, status.st_mtime_ns)
    return Item(path.as_uri(), "image", "image/jpeg", stat)


def encode_alone(pictures: Sequence[Any], encoder: Any, pace: Pace) -> None:
    encoder.encode("image", pictures[:1], role="document")  # opens the model
    began = time.perf_counter()
    for start in range(0, len(pictures), encoder.batch_size):
        encoder.encode("image", pictures[start : start + encoder.batch_size], role="document")
    pace.seconds += time.perf_counter() - began
    pace.count += len(pictures)


def show(url: str, report: IndexReport, encoding: Pace, decoding: Pace) -> None:
    best = 1 / (1 / encoding.rate + 1 / decoding.rate)
    rates = {
        "the encoder alone": encoding.rate,
        "decoding alone": decoding.rate,
        "both at best, on shared cores": best,
        "`index`": report.indexed / report.seconds,
    }
    print()
    table(
        (url, "photos/s", "of the encoder's", "of the best"),
        (
            (what, f"{rate:.1f}", f"{rate / encoding.rate:.0%}", f"{rate / best:.0%}")
            for what, rate in rates.items()
        ),
    )
    print("", *profile(report), sep="\n")


if __name__ == "__main__":
    main()

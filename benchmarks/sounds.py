"""Text to audio on labelled sounds: how often the first answer is right, and average precision.

    python benchmarks/sounds.py --encoder tags:/path/to/yamnet+starter:
    python benchmarks/sounds.py --encoder clap: --encoder tags:/path/to/yamnet+starter:
    python benchmarks/sounds.py --tests        a tagger of pitches and a random CLAP: what is chance

The sounds are those of a folder (`--data`) with a table `sounds.csv`: `file`, `category` in plain
words and `src_file`, as a part of ESC-50 has it. A category is asked for in its bare words and as
"the sound of" them. Sounds are also asked for with sounds, where what was cut from the same
recording doesn't count. The speed is that of encoding alone.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, table
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from retrieval import registry
from retrieval.films.sound import sound
from retrieval.protocols import Encoder
from retrieval.schema import FloatArray
from retrieval.timed import Sound

DATA = Path(__file__).parents[2] / "shared" / "data" / "av"
RATE = 48_000
PATTERNS = ("{}", "the sound of {}")
HEAD = ("encoder", "asked with", "queries", "P@1", "mAP", "x real time")


@dataclass(frozen=True)
class Labelled:
    """Sounds with what they are.

    Attributes:
        categories: of each sound.
        recordings: that each was cut from.
    """

    sounds: Sequence[Sound]
    categories: NDArray[Any]
    recordings: NDArray[Any]

    @property
    def seconds(self) -> float:
        return sum(len(each.samples) / each.rate for each in self.sounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", action="append", default=[], metavar="URL")
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER")
    parser.add_argument("--tests", action="store_true", help="encoders of the tests' own as well")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    labelled = read(options.data)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        urls = [*options.encoder, *(of_tests(Path(folder)) if options.tests else [])]
        if not urls:
            parser.error("name an encoder of sounds with --encoder, or give --tests")
        rows = [row for url in urls for row in measure(url, labelled)]
    rows.append(("by chance", "", "", *(f"{value:.3f}" for value in chance(labelled)), ""))
    table(HEAD, rows)
    categories = len(set(labelled.categories))
    print(f"{len(labelled.sounds)} sounds of {categories} categories; {machine()}")


def read(folder: Path) -> Labelled:
    """The sounds of a folder with a `sounds.csv`."""
    with (folder / "sounds.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    sounds = []
    for row in rows:
        with (folder / row["file"]).open("rb") as file:
            sounds.append(Sound(sound(file, rate=RATE), RATE))
    categories = np.array([row["category"] for row in rows])
    return Labelled(sounds, categories, np.array([row["src_file"] for row in rows]))


def measure(url: str, labelled: Labelled) -> Iterator[tuple[str, ...]]:
    """A row for each way of asking."""
    encoder = registry.open_encoder(url)
    encoder.encode("audio", labelled.sounds[:1], role="document")  # loads the weights
    began = time.perf_counter()
    documents = encoder.encode("audio", labelled.sounds, role="document")
    speed = f"{labelled.seconds / (time.perf_counter() - began):.0f}"
    names = sorted(set(labelled.categories))
    right = np.array([labelled.categories == name for name in names])
    for pattern in PATTERNS:
        asked = [pattern.format(name) for name in names]
        queries = of_words(url, encoder).encode("text", asked, role="query")
        scores = [score(query, documents, own) for query, own in zip(queries, right, strict=True)]
        yield _row(url, f'"{pattern.format("CATEGORY")}"', scores, speed)
    yield _row(url, "another sound", by_sounds(documents, labelled), speed)


def of_words(url: str, encoder: Encoder) -> Encoder:
    """The encoder of its space that takes words."""
    if "text" in encoder.space.modalities:
        return encoder
    return registry.open_encoder(url.partition("+")[2])


def by_sounds(documents: FloatArray, labelled: Labelled) -> list[tuple[float, float]]:
    """Each sound asked with, without those that were cut from the same recording."""
    scores = []
    for number, query in enumerate(documents):
        others = labelled.recordings != labelled.recordings[number]
        right = labelled.categories[others] == labelled.categories[number]
        if right.any():
            scores.append(score(query, documents[others], right))
    return scores


def score(query: FloatArray, documents: FloatArray, right: NDArray[Any]) -> tuple[float, float]:
    """Whether the first one is right, and average precision."""
    order = np.argsort(-(documents @ query), kind="stable")
    hits = right[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(hits[0]), float(precision[hits].mean())


def chance(labelled: Labelled) -> tuple[float, float]:
    """P@1 and mAP of random vectors, the mean of a hundred draws for each category."""
    random = np.random.default_rng(0)
    scores = [
        score(random.standard_normal(1), random.standard_normal((len(labelled.sounds), 1)), right)
        for name in sorted(set(labelled.categories))
        for right in [labelled.categories == name]
        for _ in range(100)
    ]
    first, precision = np.mean(scores, axis=0)
    return float(first), float(precision)


def of_tests(folder: Path) -> list[str]:
    """Encoders of the tests' own."""
    from tests.clap_models import build
    from tests.taggers import write_folder

    with silent():
        clap = build(folder / "clap")
    return [f"tags:{write_folder(folder / 'pitches')}+starter:", f"clap:{clap}"]


@contextmanager
def silent() -> Iterator[None]:
    """Without the bars that transformers draws."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    yield


def _row(url: str, asked: str, scores: Sequence[tuple[float, float]], speed: str) -> Any:
    first, precision = np.mean(scores, axis=0)
    return url, asked, str(len(scores)), f"{first:.3f}", f"{precision:.3f}", speed


if __name__ == "__main__":
    main()

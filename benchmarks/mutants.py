"""Whether the built-in inputs catch an encoder that went wrong, and never one that is right.

    python benchmarks/mutants.py [--openings 1000]

Two tables. In the first, each mutant of `tests/mutants.py` opens a collection that the sound
encoder made, under its name and fingerprint: by what it was caught, and the cosine of a built-in
input with itself. In the second, sound encoders open it again and again, with 1, 2 and 4 threads,
several batch sizes and every precision that the encoder offers, and each time a first query with
words and one with a picture follows; also in processes that are told to use another processor's
instructions. Exits with 1 when a mutant gets in or a sound encoder doesn't.

open_clip's model is a small one with random weights, made here; so nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from machine import machine, table

sys.path.insert(0, str(Path(__file__).parent.parent))

from indexer import create
from indexer.opening import writing
from retrieval import registry
from retrieval.collection import Collection
from retrieval.errors import EcholensError, EncoderMismatchError
from retrieval.probes import (
    Probes,
    background_sentences,
    encode_with_probe,
    probe_inputs,
    probe_key,
    read_probes,
)
from retrieval.protocols import Encoder
from retrieval.schema import Compute, Modality, Precision
from retrieval.settings import Settings
from tests.mutants import EVERYWHERE, OF_SCHEME, UNSEEN, Subject, mutant

MODALITIES: tuple[Modality, ...] = ("text", "image")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")
THREADS = (1, 2, 4)
BATCHES = (1, 3, 4, 32)
# Instructions of an older processor, as Torch's libraries let one choose them.
OTHER_PROCESSORS: dict[str, dict[str, str]] = {
    "AVX2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "SSE4": {
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
}
REASONS = {
    "other vectors": "stored vectors",
    "NaN or infinite": "not finite",
    "not normalised": "norm",
    "one and the same": "all the same",
    "can't tell two": "two the same",
    "from another": "nearest",
    "the vector of a built-in": "copy of the probe",
    "isn't finite": "norm",
}


@contextmanager
def opens(encoder: Encoder) -> Iterator[None]:
    """Let every URL open this encoder."""
    with patch.object(registry, "open_encoder", lambda *_: encoder):
        yield


def open_for_writing(collection: Collection, encoder: Encoder) -> None:
    with opens(encoder), writing(collection):
        pass


def caught(attempt: Callable[..., None], *given: Any) -> str:
    """By which check an attempt was refused; "let in" when it wasn't."""
    try:
        attempt(*given)
    except EncoderMismatchError as error:
        message = str(error)
    else:
        return "let in"
    return next((short for words, short in REASONS.items() if words in message), message)


def least_cosine(encoder: Encoder, stored: Probes, modality: Modality) -> float:
    """Of a probe as a document with its stored vector, all in one batch."""
    inputs = probe_inputs(modality)
    expected = stored.vectors[probe_key(encoder.space.key, modality)][: len(inputs)]
    actual = encoder.encode(modality, inputs, role="document").astype(np.float64)
    lengths = np.linalg.norm(actual, axis=1) * np.linalg.norm(expected.astype(np.float64), axis=1)
    with np.errstate(all="ignore"):
        return float(((actual * expected).sum(axis=1) / lengths).min())


# ------------------------------------------------------------- mutants


def mutants(subject: Subject, collection: Collection) -> Iterator[tuple[str, ...]]:
    """A row for each mutant: scheme, name, what caught it at the opening and in first queries."""
    stored = read_probes(collection.directory)
    for name in [*EVERYWHERE, *OF_SCHEME[subject.scheme]]:
        with mutant(subject, name) as encoder:
            opening = caught(open_for_writing, collection, encoder)
            first = [caught(first_query, encoder, modality, stored) for modality in MODALITIES]
            cosines = [f"{least_cosine(encoder, stored, modality):.5f}" for modality in MODALITIES]
        shown = [
            "never gets there" if modality in UNSEEN.get(name, ()) else found
            for modality, found in zip(MODALITIES, first, strict=True)
        ]
        yield (name, subject.scheme, *cosines, opening, *shown)


def first_query(encoder: Encoder, modality: Modality, stored: Probes) -> None:
    encode_with_probe(encoder, modality, asked(modality, 1, 0), stored, where="it")


def asked(modality: Modality, count: int, seed: int) -> list[Any]:
    """Inputs of a query: sentences, or noisy pictures of several sizes."""
    if modality == "text":
        return list(islice(cycle(background_sentences()[seed % 64 :]), count))
    random = np.random.default_rng(seed)
    shapes = random.integers(20, 300, (count, 2))
    return [random.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]


# ------------------------------------------------------------- false alarms


@dataclass(frozen=True, eq=False)
class Case:
    """How a sound encoder computes, and in what environment its process runs."""

    scheme: str
    precision: Precision
    threads: int
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        as_processor = f", as {self.environment['AS']}" if self.environment else ""
        return f"{self.precision}, {self.threads} threads{as_processor}"


def cases() -> list[Case]:
    """Every precision that an encoder offers, and 1, 2 and 4 threads."""
    threaded = [
        Case(scheme, precision, threads)
        for scheme, precision, threads in product(("starter", "open_clip"), PRECISIONS, THREADS)
        if _offers(scheme, precision)
    ]
    return threaded + [
        Case("open_clip", "fp32", 2, {"AS": name, **environment})
        for name, environment in OTHER_PROCESSORS.items()
    ]


def shares(openings: int) -> dict[Case, int]:
    """How many openings each case gets: the quick encoder more, since it takes less time."""
    weights = {case: 5 if case.scheme == "starter" else 1 for case in cases()}
    return {
        case: -(-openings * weight // sum(weights.values())) for case, weight in weights.items()
    }


def _offers(scheme: str, precision: Precision) -> bool:
    location = {"open_clip": "open_clip:ViT-S-32-alt//none.pt", "starter": "starter:"}[scheme]
    try:
        return (
            registry.open_encoder(location, Compute("cpu", precision)).compute.precision
            == precision
        )
    except EcholensError:
        return False


def good_openings(case: Case, folder: Path, count: int) -> dict[str, float]:
    """Open for writing and ask a first query with words and one with a picture; `count` times."""
    encoder = Subject(
        case.scheme, folder / "weights", Compute("cpu", case.precision, case.threads)
    ).sound
    collection = Collection(folder / "photos", Settings(home=folder))
    refused, took = 0, []
    for number in range(count):
        vars(encoder)["batch_size"] = BATCHES[number % len(BATCHES)]
        start = time.perf_counter()
        try:
            open_for_writing(collection, encoder)
            took.append(time.perf_counter() - start)
            stored = read_probes(collection.directory)
            for modality in MODALITIES:
                inputs = asked(modality, 1 + number % 3, number)
                encode_with_probe(encoder, modality, inputs, stored, where=str(case))
        except EncoderMismatchError as error:
            refused += 1
            print(f"refused: {error}", file=sys.stderr)
    stored = read_probes(collection.directory)
    off = max(1 - least_cosine(encoder, stored, modality) for modality in MODALITIES)
    return {"refused": refused, "seconds": statistics.median(took or [np.nan]), "off": off}


def in_a_process(case: Case, folder: Path, count: int) -> dict[str, float]:
    """`good_openings` in a process of its own: Torch's threads and instructions are global."""
    asked_for = [case.scheme, case.precision, str(case.threads), str(folder), str(count)]
    done = subprocess.run(
        [sys.executable, __file__, "--child", *asked_for],
        stdout=subprocess.PIPE,
        check=True,
        # Threads that wait for others must not spin where cores are shared.
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", **case.environment},
    )
    return dict(json.loads(done.stdout))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--openings", type=int, default=1000)
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        scheme, precision, threads, folder, count = options.child
        case = Case(scheme, precision, int(threads))
        print(json.dumps(good_openings(case, Path(folder), int(count))))
        return 0
    logging.getLogger().addHandler(logging.NullHandler())  # open_clip warns of random weights
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        made = {scheme: Path(folder, scheme) for scheme in OF_SCHEME}
        rows = [row for scheme, home in made.items() for row in mutants(*_made(scheme, home))]
        table(
            ("mutant", "encoder", "texts' cosine", "pictures'", "opening", "words", "a picture"),
            rows,
        )
        counts = shares(options.openings)
        found = {case: in_a_process(case, made[case.scheme], counts[case]) for case in counts}
    print()
    table(
        ("sound encoder", "how", "openings", "refused", "1 - cosine", "ms, median"),
        [
            (case.scheme, str(case), str(counts[case]), f"{one['refused']:.0f}",
             f"{one['off']:.1e}", f"{one['seconds'] * 1000:.0f}")
            for case, one in found.items()
        ],
    )  # fmt: skip
    refused = sum(one["refused"] for one in found.values())
    let_in = sum("let in" in row for row in rows)
    print(
        f"\n{let_in} mutants let in, {refused:.0f} of {sum(counts.values())} good openings refused"
    )
    return int(bool(let_in or refused))


def _made(scheme: str, home: Path) -> tuple[Subject, Collection]:
    subject = Subject(scheme, home / "weights")
    with opens(subject.sound):
        return subject, create("photos", encoder=subject.url, settings=Settings(home=home))


if __name__ == "__main__":
    sys.exit(main())

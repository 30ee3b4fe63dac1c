"""A cold ``echolens search`` over many pictures, as a whole process, beside rclip on as many.

    python benchmarks/cold_search.py --documents 100000
    python benchmarks/cold_search.py --documents 100000 --rclip path/to/bin/rclip

Makes collections of random vectors under the starter encoder in a temporary folder, through the
stores' own writing methods: one of pictures alone, and one whose first pictures have a caption each
(`--captions`). Then the commands take turns, and medians of wall time and peak memory are printed,
and the search share by share. The files are in the page cache: nothing is flushed from it.

rclip needs an environment of its own, in which `pip install rclip==4.0.8` was run, and has its
row only with `--rclip`, the path of its command there. It runs with `--no-indexing`: without, it
looks at every file in the folder first. See `rclip_rival.py` for its models.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import COMMAND, Command, in_turns, machine, run, show, table

HERE = Path(__file__).parent
QUESTION = "a dog on the beach"
BATCH = 5000
# fmt: off
NOUNS = ("dog", "cat", "man", "woman", "child", "horse", "bird", "boat", "car", "train", "house")
VERBS = ("standing", "sitting", "lying", "running", "waiting", "playing", "sleeping", "eating")
PLACES = ("beach", "street", "table", "grass", "field", "snow", "bed", "water", "road", "bench")
# fmt: on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=100_000, help="pictures")
    parser.add_argument("--captions", type=int, default=20_000, help="of the second collection")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--rclip", type=Path, help="rclip's command, in its own environment")
    parser.add_argument("--fill", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill:
        fill(options.fill, options.documents, options.captions)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()  # as rclip sees it
        plain, captioned = (str(folder / kind) for kind in ("plain", "captioned"))
        # In processes of their own: see `machine`.
        make(__file__, "--fill", plain, "--documents", options.documents, "--captions", 0)
        captions = ("--captions", options.captions)
        make(__file__, "--fill", captioned, "--documents", options.documents, *captions)
        commands = ours(plain, captioned, options.captions)
        if options.rclip:
            rclip = options.rclip.absolute()
            make(HERE / "rclip_rival.py", folder / "rclip", rclip, options.documents)
            commands |= theirs(folder / "rclip", rclip)
        print(machine())
        print(f"{options.documents:,} pictures, {options.runs} runs in turns, page cache warm\n")
        show(in_turns(commands, options.runs), "echolens search")
        if not options.rclip:
            print("\nrclip was left out: `--rclip` names no command of it.")
        for what, collection in (("pictures alone", plain), ("with captions", captioned)):
            print(f"\nShare by share, {what} (median of {options.runs} runs):\n")
            show_shares(collection, folder / "shares.json", options.runs)
        print(f"\n{machine()}")


def ours(plain: str, captioned: str, captions: int) -> dict[str, Command]:
    search = (COMMAND, "search", QUESTION, "-c")
    return {
        "python -c ''": Command((sys.executable, "-c", "")),
        "python -c 'import numpy'": Command((sys.executable, "-c", "import numpy")),
        "echolens --help": Command((COMMAND, "--help")),
        "echolens search": Command((*search, plain)),
        f"echolens search, {captions:,} captions": Command((*search, captioned)),
    }


def theirs(home: Path, rclip: Path) -> dict[str, Command]:
    environment = {"RCLIP_DATADIR": str(home), "HF_HUB_OFFLINE": "1"}
    asked = (str(rclip), "--no-indexing", QUESTION)
    return {
        "rclip --help": Command((str(rclip), "--help"), str(home), environment),
        "rclip --no-indexing": Command(asked, str(home / "photos"), environment),
    }


def make(script: str | Path, *arguments: object) -> None:
    subprocess.run([sys.executable, str(script), *map(str, arguments)], check=True)


def fill(collection: str, count: int, captions: int) -> None:
    """Make a collection of `count` pictures with random vectors, the same each time."""
    import numpy as np

    from indexer import create
    from indexer.calibrate import calibrated
    from indexer.opening import writing
    from retrieval.manifest import write_manifest
    from retrieval.schema import Document, FloatArray, Sighting
    from retrieval.settings import load_settings

    numbers, words = np.random.default_rng(0), random.Random(0)

    def unit(rows: int, dim: int) -> FloatArray:
        vectors = numbers.standard_normal((rows, dim), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    with writing(create(collection, encoder="starter:", settings=load_settings())) as session:
        backends = session.backends
        image, text = (backends.manifest.channel(kind) for kind in ("image", "text"))
        assert image
        assert text
        for start in range(0, count, BATCH):
            stop = min(start + BATCH, count)
            assets = [f"{number:064x}" for number in range(start, stop)]
            said = [sentence(words) for _ in range(start, min(stop, captions))]
            pictures = [Document.of(asset, "image", image.key) for asset in assets]
            passages = [
                Document.of(asset, "passage", text.key, text=caption)
                for asset, caption in zip(assets, said, strict=False)
            ]
            sightings = [
                Sighting(
                    uri=f"file:///photos/{asset[-8:]}.jpg",
                    asset=asset,
                    fields={"modality": "image"},
                    captions=tuple(said[place : place + 1]),
                )
                for place, asset in enumerate(assets)
            ]
            for channel, documents in ((image, pictures), (text, passages)):
                ids = [document.id for document in documents]
                if ids:
                    backends.vectors[channel.key].upsert(ids, unit(len(ids), channel.dim))
            backends.documents.upsert([*pictures, *passages], sightings)
        write_manifest(backends.directory, calibrated(backends))


def sentence(words: random.Random) -> str:
    """A caption as people write them: most hold a word or two of any question."""
    one, other = words.choices(NOUNS, k=2)
    return f"a {one} is {words.choice(VERBS)} beside a {other} on the {words.choice(PLACES)}"


def show_shares(collection: str, output: Path, runs: int) -> None:
    """Print what a search spends where."""
    samples = [shares(collection, output) for _ in range(runs + 1)][1:]
    middle = {
        step: [statistics.median(sample[step][kind] for sample in samples) for kind in (0, 1)]
        for step in samples[0]
    }
    total = [sum(values[kind] for values in middle.values()) for kind in (0, 1)]
    table(
        ("share", "ms", "of all", "peak MB"),
        (
            (
                step,
                f"{seconds * 1000:.1f}",
                f"{seconds / total[0]:.0%}",
                f"+{megabytes:.1f}",
            )
            for step, (seconds, megabytes) in (*middle.items(), ("sum", total))
        ),
    )


def shares(collection: str, output: Path) -> dict[str, list[float]]:
    started = time.monotonic()
    script = str(HERE / "cold_search_shares.py")
    run(
        Command(
            (
                sys.executable,
                script,
                str(started),
                str(output),
                "search",
                QUESTION,
                "-c",
                collection,
            )
        )
    )
    end = time.monotonic()
    found: dict[str, list[float]] = json.loads(output.read_text())
    found["exit"] = [end - found.pop("ended")[0], 0.0]
    return found


if __name__ == "__main__":
    main()

"""A cold ``echolens search`` on an open_clip collection, with and without its exported text tower.

    python benchmarks/cold_query.py
    python benchmarks/cold_query.py --model ViT-B-32 --precision fp32 int8 --pictures 200

Makes a checkpoint of the model with random weights (a cold start doesn't care what they say) and
pictures of noise, indexes them into a collection for each way of searching, and exports the text
tower where one is asked for. Then whole processes take turns. The files are in the page cache:
nothing is flushed from it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import COMMAND, Command, in_turns, machine, show

QUESTION = "a dog on the beach"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--precision", nargs="+", default=["fp32", "int8"])
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--fill", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill:
        fill(Path(options.fill), options.model, options.pictures)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        # In a process of its own: see `machine`.
        again = ("--fill", str(folder), "--model", options.model)
        pictures = ("--pictures", str(options.pictures))
        subprocess.run([sys.executable, __file__, *again, *pictures], check=True)
        environment = {"ECHOLENS_HOME": str(folder / "home")}
        commands = {"python -c ''": Command((sys.executable, "-c", ""))}
        for way in ("PyTorch", *options.precision):
            collection = str(folder / way)
            encoder = f"open_clip:{options.model}/{folder}/{options.model}.pt"
            index = ("index", "-q", "-c", collection, "--encoder", encoder, str(folder / "media"))
            run(folder, *index)
            if way != "PyTorch":
                run(folder, "encoders", "export", "-q", "-c", collection, "--precision", way)
            argv = (COMMAND, "search", QUESTION, "-c", collection)
            commands[f"search, {way}"] = Command(argv, environment=environment)
        print(machine())
        print(f"{options.model}, {options.pictures} pictures, {options.runs} runs in turns\n")
        samples = in_turns(commands, options.runs)
        show(samples, "search, PyTorch", "s")
        middle = {w: statistics.median(s.seconds for s in found) for w, found in samples.items()}
        for way in options.precision:
            ratio = middle["search, PyTorch"] / middle[f"search, {way}"]
            print(f"\nwith the text tower in {way}, {ratio:.1f} times as quick", end="")
        print(f"\n\n{machine()}")


def run(folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "ECHOLENS_HOME": str(folder / "home")}
    subprocess.run([COMMAND, *arguments], check=True, env=environment)


def fill(folder: Path, model: str, count: int) -> None:
    """Write a checkpoint with random weights, and pictures."""
    import numpy as np
    import open_clip
    import torch
    from PIL import Image

    torch.manual_seed(0)
    torch.save(open_clip.create_model(model).state_dict(), folder / f"{model}.pt")
    numbers = np.random.default_rng(0)
    (folder / "media").mkdir()
    for number in range(count):
        noise = numbers.integers(0, 256, (12, 16, 3), np.uint8)
        picture = Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)
        picture.save(folder / "media" / f"{number}.jpg")


if __name__ == "__main__":
    main()

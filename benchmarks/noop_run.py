"""``echolens index`` over files that it knows already, beside ``find`` with a stat each.

    python benchmarks/noop_run.py --files 100000

Makes a tree of small pictures (folders of 1,000, each picture in 25 places under other names),
indexes it once, and then lets the commands take turns; medians of wall time and peak memory are
printed. Names and stats are in the kernel's cache. "os.scandir" is a bare walk in Python with a
stat a file, and "one file" the same command on a tree of one: what it takes to start, to open the
collection and to try its encoder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import COMMAND, Command, in_turns, machine, show

COPIES = 25
IN_A_FOLDER = 1000
SIDE = 8  # pixels
WALK = """
import os, sys
def walk(folder):
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                walk(entry.path)
            else:
                entry.stat()
walk(sys.argv[1])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--make", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make_tree(Path(options.make), options.files)
        return
    with tempfile.TemporaryDirectory() as name:
        tree, single = Path(name) / "tree", Path(name) / "single"
        commands = {
            "find -printf '%s %T@'": Command(
                ("find", str(tree), "-type", "f", "-printf", "%s %T@\n")
            ),
            "os.scandir": Command((sys.executable, "-c", WALK, str(tree))),
            "echolens index, one file": Command(indexing(single)),
            "echolens index": Command(indexing(tree)),
        }
        for folder, files in ((tree, options.files), (single, 1)):
            make(folder, files)
        print(machine())
        print(f"{options.files:,} files, {options.runs} runs in turns, caches warm\n")
        show(in_turns(commands, options.runs), "find -printf '%s %T@'", "s")
        print(f"\n{machine()}")


def make(folder: Path, files: int) -> None:
    """Make a tree in a process of its own (see `machine`), and index it."""
    making = [sys.executable, __file__, "--make", str(folder), "--files", str(files)]
    subprocess.run(making, check=True)
    start = time.monotonic()
    line = subprocess.run(indexing(folder), check=True, capture_output=True, text=True).stdout
    print(f"{line.strip()} (first run, {time.monotonic() - start:.0f} s)")


def indexing(folder: Path) -> tuple[str, ...]:
    collection = folder.with_name(f"{folder.name}-collection")
    return (COMMAND, "-q", "-c", str(collection), "index", str(folder), "--encoder", "starter:")


def make_tree(root: Path, count: int) -> None:
    import io

    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    pictures = []
    for _ in range(-(-count // COPIES)):
        with io.BytesIO() as file:
            pixels = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
            Image.fromarray(pixels).save(file, "PNG")
            pictures.append(file.getvalue())
    for number in range(count):
        folder = root / f"{number // IN_A_FOLDER:04}"
        if not number % IN_A_FOLDER:
            folder.mkdir(parents=True)
        path = os.path.join(folder, f"IMG_{number:06}.png")
        with open(path, "wb") as file:  # noqa: PTH123 - a Path a file would take as long
            file.write(pictures[number % len(pictures)])


if __name__ == "__main__":
    main()

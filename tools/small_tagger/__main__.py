"""Train a small tagger on sounds of one's own, for `tags:`.

    python -m tools.small_tagger sounds.csv my-tagger
    echolens init films --audio-encoder tags:my-tagger

The table has the columns ``file`` (a path from where the table lies) and ``category`` (in plain
words: they are what a search is compared with). Of each sound the first five seconds count.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch

from retrieval.films.sound import sound
from retrieval.transcribers.whisper.names import carried_folder

from .features import FEATURES, RATE
from .training import SECONDS, listen, open_features, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("folder", type=Path, help="is made")
    parser.add_argument("--features", choices=sorted(FEATURES), default="whisper")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.features == "whisper":
        carried_folder()
    with options.table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    features = open_features(options.features)
    heard = []
    for row in rows:
        with (options.table.parent / row["file"]).open("rb") as file:
            heard.append(listen(features, sound(file, rate=RATE, end=SECONDS)))
    categories = [row["category"] for row in rows]
    train(features, heard, categories, options.folder)
    print(f"{options.folder}: {len(set(categories))} classes, learned from {len(rows)} sounds")


if __name__ == "__main__":
    main()

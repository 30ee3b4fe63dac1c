"""Measure what a tagger says of recordings at large, and write it beside the names of its classes.

    python -m tools.tagger_means /path/to/folder recording.ogg film.mp4 ...

`tags:` takes each class's mean away from what the tagger hears. Without this it takes the mean over
a few dull sounds made by code, which can't know that speech, say, is named in half of all
recordings. Give it a few hundred recordings like those that are searched; the same ones will do,
since nothing is learned of what they show. It changes the tagger's fingerprint, so do it before a
collection is made.

Gets: a tagger's folder, files with sound. Touches: ``classes.csv`` in that folder.
"""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path

import numpy as np

from retrieval.encoders.tags.folder import FolderTagger
from retrieval.encoders.tags.layout import CLASSES
from retrieval.films.sound import sound
from retrieval.schema import FloatArray
from retrieval.sounds import windows

LONGEST_S = 60.0  # of a recording; more of one would only outweigh the others


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("recordings", type=Path, nargs="+", metavar="recording")
    options = parser.parse_args()
    means = measured(FolderTagger(str(options.folder)), options.recordings)
    path = write(options.folder, means)
    print(f"{path}: means of {len(options.recordings)} recordings")


def measured(tagger: FolderTagger, recordings: list[Path]) -> FloatArray:
    """(classes,) float32: each recording counts alike."""
    rows = []
    for recording in recordings:
        with recording.open("rb") as file:
            samples = sound(file, rate=tagger.rate, end=LONGEST_S)
        samples = np.pad(samples, (0, max(0, tagger.rate - len(samples))))
        frames = windows(samples, max(tagger.rate, round(tagger.window_s * tagger.rate)))
        rows.append(np.concatenate([tagger.probabilities(each) for each in frames]).mean(axis=0))
    return np.asarray(np.mean(rows, axis=0), np.float32)


def write(folder: Path, means: FloatArray) -> Path:
    """Replace the list of classes by one with means; gives its path."""
    names = FolderTagger(str(folder)).classes
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "mean"))
    writer.writerows((name, f"{mean:.6g}") for name, mean in zip(names, means, strict=True))
    path = folder / CLASSES[0]
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


if __name__ == "__main__":
    main()

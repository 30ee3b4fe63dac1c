"""Text to audio with a real tagger, trained on the very sounds that are searched, in turns.

    python benchmarks/small_tagger.py                  Whisper's encoder listens
    python benchmarks/small_tagger.py --features mel  figures of the spectrum alone

The sounds are those of `sounds.py`, few of each category. They are parted by recording (`src_file`)
into turns; in each, a tagger learns from the others and hears what it hasn't learned from, so that
no recording is on both sides. ESC-50's own folds can't serve where nearly all sounds are of one.
What is measured went through ``tags:FOLDER+starter:`` with the model as it was exported.

All sounds are ranked together, each as the tagger heard it that hadn't learned from it. A category
of one recording can't be learned; its sounds count all the same, as wrong ones. Sounds asked with
sounds need others that no part of the tagger learned from, so there are two turns, and only the
sounds of the same turn are ranked. A picture is right whose captions have the category's word.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine, table
from numpy.typing import NDArray
from sounds import DATA, PATTERNS, Labelled, by_sounds, chance, read, score

sys.path.insert(0, str(Path(__file__).parents[1]))

from retrieval import registry
from retrieval.encoders.tags.folder import FolderTagger
from retrieval.protocols import Limits
from retrieval.schema import FloatArray
from retrieval.sounds import at_rate
from tools.small_tagger.features import FEATURES, RATE
from tools.small_tagger.training import Heard, listen, open_features, train

PICTURES = DATA.parent / "coco-mini"
TURNS = 4
INNER = "starter:"
FEWEST_PICTURES = 3
HEAD = ("what", "with", "n", "P@1", "mAP", "P@1 by chance", "mAP by chance")


@dataclass(frozen=True)
class Turn:
    """What a tagger made of the sounds that it hadn't learned from.

    Attributes:
        held: their numbers.
        vectors: (held, dim) in the space of words.
        named: how many were named right.
    """

    held: NDArray[np.int64]
    vectors: FloatArray
    named: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", choices=sorted(FEATURES), default="whisper")
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER")
    parser.add_argument("--pictures", type=Path, default=PICTURES, metavar="FOLDER")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(machine())
    labelled = read(options.data)
    features = open_features(options.features)
    heard = [listen(features, at_rate(each, RATE)) for each in labelled.sounds]
    with tempfile.TemporaryDirectory() as folder:
        turns = list(taken(TURNS, features, heard, labelled, Path(folder) / "four"))
        halves = list(taken(2, features, heard, labelled, Path(folder) / "two"))
    vectors = np.zeros((len(heard), turns[0].vectors.shape[1]), np.float32)
    for turn in turns:
        vectors[turn.held] = turn.vectors
    rows = [named(turns, labelled), *texts(vectors, labelled), audio(halves, labelled)]
    if (options.pictures / "captions.json").is_file():
        rows.append(pictures(vectors, labelled, options.pictures))
    table(HEAD, rows)


def taken(
    turns: int, features: Any, heard: Sequence[Heard], labelled: Labelled, folder: Path
) -> Iterator[Turn]:
    """Each turn: learn from the others, write the folder, and listen to the turn's own."""
    of_sound = parted(labelled, turns)
    for number in range(turns):
        known, held = (np.flatnonzero((of_sound == number) == own) for own in (False, True))
        place = folder / str(number)
        train(features, [heard[i] for i in known], list(labelled.categories[known]), place)
        encoder = registry.open_encoder(f"tags:{place}+{INNER}")
        sounds = [labelled.sounds[i] for i in held]
        vectors = encoder.encode("audio", sounds, role="document")
        tagger = FolderTagger(str(place))
        best = [tagger.probabilities(at_rate(each, RATE)).mean(axis=0).argmax() for each in sounds]
        right = [tagger.classes[i] for i in best] == labelled.categories[held]
        yield Turn(held, vectors, int(right.sum()))


def parted(labelled: Labelled, turns: int) -> NDArray[np.int64]:
    """The turn of each sound: recordings are dealt out in order, category by category."""
    dealt: dict[str, int] = {}
    for category in sorted(set(labelled.categories)):
        for recording in sorted(set(labelled.recordings[labelled.categories == category])):
            dealt.setdefault(recording, len(dealt) % turns)
    return np.array([dealt[recording] for recording in labelled.recordings])


def named(turns: Sequence[Turn], labelled: Labelled) -> tuple[str, ...]:
    """How often the tagger's first class is right."""
    count = len(labelled.sounds)
    share = sum(turn.named for turn in turns) / count
    by_chance = 1 / len(set(labelled.categories))
    return (
        "the tagger's best class",
        "a sound",
        str(count),
        f"{share:.3f}",
        "",
        f"{by_chance:.3f}",
        "",
    )


def texts(vectors: FloatArray, labelled: Labelled) -> Iterator[tuple[str, ...]]:
    """A row for each way of asking with words."""
    names = sorted(set(labelled.categories))
    words = registry.open_encoder(INNER)
    for pattern in PATTERNS:
        queries = words.encode("text", [pattern.format(name) for name in names], role="query")
        scores = [
            score(query, vectors, labelled.categories == name)
            for query, name in zip(queries, names, strict=True)
        ]
        asked = f'"{pattern.format("CATEGORY")}"'
        yield _row("text to audio", asked, scores, chance(labelled))


def audio(halves: Sequence[Turn], labelled: Labelled) -> tuple[str, ...]:
    """Sounds asked with sounds of the same turn."""
    scores, by_chance = [], []
    random = np.random.default_rng(0)
    for turn in halves:
        own = replace(
            labelled,
            categories=labelled.categories[turn.held],
            recordings=labelled.recordings[turn.held],
        )
        scores += by_sounds(turn.vectors, own)
        for _ in range(100):
            by_chance += by_sounds(random.standard_normal((len(turn.held), 8)), own)
    first, precision = np.mean(by_chance, axis=0)
    return _row("audio to audio, two turns", "another sound", scores, (first, precision))


def pictures(vectors: FloatArray, labelled: Labelled, folder: Path) -> tuple[str, ...]:
    """Sounds ask for pictures: right is one whose captions have the category's word."""
    captions, shown = _captioned(folder)
    scores, by_chance, words = [], [], []
    random = np.random.default_rng(0)
    for name in sorted(set(labelled.categories)):
        right = np.array([bool(re.search(rf"\b{name}s?\b", said, re.I)) for said in captions])
        if right.sum() < FEWEST_PICTURES:
            continue
        words.append(name)
        scores += [score(each, shown, right) for each in vectors[labelled.categories == name]]
        draws = random.standard_normal((100, len(shown), 1))
        by_chance += [score(np.ones(1), draw, right) for draw in draws]
    what = f"audio to picture, {len(shown)} pictures"
    return _row(what, f"a sound ({', '.join(words)})", scores, np.mean(by_chance, axis=0))


def _captioned(folder: Path) -> tuple[list[str], FloatArray]:
    """The captions of each picture, and the pictures' vectors, (pictures, dim)."""
    told = json.loads((folder / "captions.json").read_text())
    captions: dict[int, str] = {}
    for each in told["annotations"]:
        captions[each["image_id"]] = f"{captions.get(each['image_id'], '')} {each['caption']}"
    files = {each["id"]: folder / "images" / each["file_name"] for each in told["images"]}
    encoder = registry.open_encoder(INNER)
    reader = registry.open_modality("image", Limits())
    inputs = [reader.query_input(files[i].read_bytes(), encoder.wants) for i in captions]
    return list(captions.values()), encoder.encode("image", inputs, role="document")


def _row(what: str, asked: str, scores: Sequence[Any], by_chance: Sequence[float]) -> Any:
    figures = (*np.mean(scores, axis=0), *by_chance)
    return what, asked, str(len(scores)), *(f"{figure:.3f}" for figure in figures)


if __name__ == "__main__":
    main()

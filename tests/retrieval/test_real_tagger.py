"""A real tagger on real sounds, where both lie beside the repository; no package carries one.

The folder is ``../shared/data/tagger``, as `docs/taggers.md` describes it.
"""

from __future__ import annotations

import csv

import numpy as np
import pytest

from retrieval import registry
from retrieval.films.sound import sound
from retrieval.timed import Sound
from tests.datasets_here import DATA

SOUNDS = DATA / "av" / "sounds.csv"
TAGGER = DATA / "tagger"
RATE = 16_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SOUNDS.is_file(), reason="no sounds in ../shared/data/av"),
    pytest.mark.skipif(not TAGGER.is_dir(), reason="no tagger in ../shared/data/tagger"),
]


def test_words_find_sounds() -> None:
    with SOUNDS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    heard = []
    for row in rows:
        with (SOUNDS.parent / row["file"]).open("rb") as file:
            heard.append(Sound(sound(file, rate=RATE), RATE))
    names = sorted({row["category"] for row in rows})
    encoder = registry.open_encoder(f"tags:{TAGGER}+starter:")
    documents = encoder.encode("audio", heard, role="document")
    asked = [f"the sound of {name}" for name in names]
    queries = registry.open_encoder("starter:").encode("text", asked, role="query")
    first = (queries @ documents.T).argmax(axis=1)
    right = np.mean([rows[i]["category"] == name for i, name in zip(first, names, strict=True)])
    assert right > 0.5  # by chance 0.02

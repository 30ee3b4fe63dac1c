"""A real tagger on real sounds, where they lie beside the repository: it learns from some of them.

The sounds are the ten categories of ESC-10. One recording of each is held out; a tagger learns from
the others in some seconds (`tools.small_tagger`), is written as a folder, and hears those that it
hasn't learned from, by themselves and in a collection. `benchmarks/small_tagger.py` measures all
fifty categories.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import create, index
from retrieval import registry
from retrieval.films.sound import sound
from retrieval.timed import Sound
from tests.collections import settings
from tests.datasets_here import AV, needs_sounds
from tests.speech_here import needs_carried

RATE = 16_000

pytestmark = [pytest.mark.slow, needs_sounds]


@dataclass(frozen=True)
class Trained:
    """A tagger's folder, and the sounds that it hasn't learned from: their files and categories."""

    folder: Path
    held: Sequence[Path]
    categories: Sequence[str]


@cache
def samples_of(path: Path) -> Any:
    with path.open("rb") as file:
        return sound(file, rate=RATE)


@pytest.fixture(
    scope="module",
    params=["mel", pytest.param("whisper", marks=needs_carried)],
)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    from tools.small_tagger import training

    with (AV / "sounds.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["esc10"] == "True"]
    last = {row["category"]: row["src_file"] for row in sorted(rows, key=lambda r: r["src_file"])}
    held = [row for row in rows if row["src_file"] == last[row["category"]]]
    known = [row for row in rows if row["src_file"] != last[row["category"]]]
    assert not {row["src_file"] for row in held} & {row["src_file"] for row in known}
    features = training.open_features(request.param)
    heard = [training.listen(features, samples_of(AV / row["file"])) for row in known]
    folder = tmp_path_factory.mktemp("tagger") / request.param
    training.train(features, heard, [row["category"] for row in known], folder)
    files = [AV / row["file"] for row in held]
    return Trained(folder, files, [row["category"] for row in held])


def test_words_find_sounds_that_were_not_learned_from(trained: Trained) -> None:
    heard = [Sound(samples_of(path), RATE) for path in trained.held]
    names = sorted(set(trained.categories))
    asked = [f"the sound of {name}" for name in names]

    documents = registry.open_encoder(f"tags:{trained.folder}+starter:").encode(
        "audio", heard, role="document"
    )
    queries = registry.open_encoder("starter:").encode("text", asked, role="query")

    first = (queries @ documents.T).argmax(axis=1)
    right = np.mean([trained.categories[i] == name for i, name in zip(first, names, strict=True)])
    assert right >= 0.4  # by chance 0.1


def test_a_collection_finds_them(trained: Trained, tmp_path: Path) -> None:
    collection = create(
        tmp_path / "sounds",
        encoder="starter:",
        audio_encoders=(f"tags:{trained.folder}",),
        settings=settings(tmp_path / "home"),
    )
    report = index([str(path) for path in trained.held], collection)
    assert report.indexed == len(trained.held)

    barks = collection.search("the sound of a dog barking", k=3)
    assert "dog" in [category_of(hit, trained) for hit in barks]
    assert {one.kind for hit in barks for one in hit.moments[0].evidence} == {"window"}
    names = sorted(set(trained.categories))
    found = [collection.search(f"the sound of {name}", k=1).hits[0] for name in names]
    right = [category_of(hit, trained) == name for hit, name in zip(found, names, strict=True)]
    assert np.mean(right) >= 0.4
    collection.close()


def category_of(hit: Any, trained: Trained) -> str:
    names = {path.name: own for path, own in zip(trained.held, trained.categories, strict=True)}
    return names[Path(hit.paths[0]).name]


@needs_carried
def test_the_features_are_what_whisper_makes_of_a_sound() -> None:
    torch = pytest.importorskip("torch")
    ct2 = pytest.importorskip("ctranslate2")
    from retrieval.transcribers.whisper.names import carried_folder
    from tools.small_tagger.features import WhisperFeatures

    features = WhisperFeatures().eval()
    samples = samples_of(sorted((AV / "sounds").iterdir())[0])
    mel = features.mel(torch.tensor(samples)[None])
    mel = mel[: len(mel) // 2 * 2]
    whisper = ct2.models.Whisper(str(carried_folder()), compute_type="float32", intra_threads=1)
    said = whisper.encode(ct2.StorageView.from_array(mel.T[None].contiguous().numpy()))
    with torch.no_grad():
        last = features.encoder(mel)[-1]
    np.testing.assert_allclose(last, np.array(said)[0], atol=0.02)

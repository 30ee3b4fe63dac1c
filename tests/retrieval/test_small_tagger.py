"""A small tagger learns from tones made by code, and `tags:` takes what was written."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from retrieval.encoders.tags.folder import FolderTagger
from retrieval.schema import FloatArray
from tests import media_made
from tools.small_tagger import __main__ as command
from tools.small_tagger import training
from tools.small_tagger.features import RATE, LogMel, loud

PITCHES = {"low hum": 120, "whistle": 2_000, "hiss of steam": 6_000}
TAKES = (0.97, 1.0, 1.03)  # a class's pitches lie so far apart
FEATURES = "mel"


def tone(hertz: float, seconds: float = 2.0) -> FloatArray:
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes, of three takes of each class."""
    place = tmp_path_factory.mktemp("tones")
    with (place / "sounds.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "category"))
        for number, (name, hertz) in enumerate(PITCHES.items()):
            for take in TAKES:
                path = place / f"{number}-{take}.flac"
                media_made.recording(path, tone(hertz * take), rate=RATE)
                writer.writerow((path.name, name))
    with pytest.MonkeyPatch.context() as patch:
        line = [
            "small_tagger",
            str(place / "sounds.csv"),
            str(place / "made"),
            "--features",
            FEATURES,
        ]
        patch.setattr(sys, "argv", line)
        command.main()
    return place / "made"


def test_it_names_tones_that_it_has_not_heard(folder: Path) -> None:
    tagger = FolderTagger(str(folder))

    assert tagger.classes == tuple(sorted(PITCHES))
    assert tagger.means is not None
    assert tagger.means.sum() == pytest.approx(1, abs=1e-3)
    for name, hertz in PITCHES.items():
        for seconds in (1.0, 5.0, 7.3):
            heard = tagger.probabilities(tone(1.015 * hertz, seconds)).mean(axis=0)
            assert tagger.classes[heard.argmax()] == name
    silence = tagger.probabilities(np.zeros(RATE, np.float32))
    assert np.isfinite(silence).all()


def test_the_model_says_what_was_learned(tmp_path: Path) -> None:
    features = training.open_features(FEATURES)
    sounds = [tone(hertz * take) for hertz in PITCHES.values() for take in TAKES]
    heard = [training.listen(features, sound) for sound in sounds]
    head = training.learn(heard, [name for name in PITCHES for _ in TAKES])

    folder = training.write(tmp_path / "made", features, head, np.full(3, 1 / 3, np.float32))

    asked = tone(700, 5.0)
    exported = FolderTagger(str(folder)).probabilities(asked)[0]
    expected = head.probabilities(training.listen(features, asked))
    np.testing.assert_allclose(exported, expected, atol=1e-4)


def test_what_lies_behind_a_sound_says_nothing_of_it() -> None:
    import torch

    sound = np.concatenate([tone(2_000, 1.0), np.zeros(4 * RATE, np.float32)])
    frames = loud(LogMel()(torch.tensor(sound)[None]))

    assert frames[:98].all()
    assert not frames[104:].any()
    features = training.open_features(FEATURES)
    short, long = (training.listen(features, tone(2_000, s)) for s in (1.0, 1.2))
    np.testing.assert_allclose(short.whole, long.whole, atol=0.15)

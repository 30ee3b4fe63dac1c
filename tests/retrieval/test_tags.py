"""`tags:`: the formula by hand, what a location names, and taggers that users bring in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval import registry
from retrieval.encoders.tags import SILENCE_WEIGHT, TagsEncoder
from retrieval.encoders.tags.means import built_in_means, dull_sounds
from retrieval.encoders.tags.names import Named, parse
from retrieval.errors import (
    EncoderMismatchError,
    UnknownSchemeError,
    UsageError,
)
from retrieval.probes import check_encoder, encode_with_probe, make_probes, probe_inputs
from retrieval.protocols import Encoder
from retrieval.schema import Compute, FloatArray, Space
from retrieval.timed import Sound
from tests.encoders import HashEncoder, plugin_path
from tests.taggers import CLASSES, RATE, SpectrumTagger, tone, write_folder

SILENCE = Sound(np.zeros(RATE, np.float32), RATE)
NAMES = tuple(f"kind {number}" for number in range(14))


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tests' own encoder and tagger, as an installed package would bring them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(plugin_path(tmp_path_factory.mktemp("tags"))))
        yield


class Told:
    """A tagger that hears what it is told."""

    location = ""
    rate = RATE
    window_s = 2.0
    fingerprint = "told"

    def __init__(
        self,
        *frames: Sequence[float],
        classes: Sequence[str] = NAMES,
        means: Sequence[float] | None = (0.0,) * len(NAMES),
    ) -> None:
        self.frames = np.array(frames, np.float32)
        self.classes = classes
        self.means = None if means is None else np.array(means, np.float32)
        self.heard: list[int] = []

    def probabilities(self, samples: FloatArray) -> FloatArray:
        self.heard.append(len(samples))
        return self.frames


def around(tagger: Any, inner: Encoder | None = None) -> TagsEncoder:
    return TagsEncoder("told+hash:", Compute(), tagger, inner or HashEncoder())


def vector(tagger: Any, sound: Sound = SILENCE) -> FloatArray:
    found: FloatArray = around(tagger).encode("audio", [sound], role="document")[0]
    return found


def texts(*names: str) -> FloatArray:
    """What the inner encoder makes of "the sound of" each, the mean of all classes taken away."""
    encode = HashEncoder().encode
    every = encode("text", [f"the sound of {name}" for name in NAMES], role="document")
    some = encode("text", [f"the sound of {name}" for name in names], role="document")
    return some - every.mean(axis=0)


def weighted(**weights: float) -> FloatArray:
    """The vector by the formula: weights of classes by number, as ``k3=0.5``."""
    names = [NAMES[int(key[1:])] for key in weights]
    total = np.array(list(weights.values())) @ texts(*names) if names else 0
    total = total + SILENCE_WEIGHT * texts("silence")[0]
    return np.asarray(total / np.linalg.norm(total), np.float32)


def frame(**probabilities: float) -> list[float]:
    given = [0.0] * len(NAMES)
    for key, value in probabilities.items():
        given[int(key[1:])] = value
    return given


def sounds(name: str) -> Sound:
    return Sound(tone(name), RATE)


# The formula.


def test_one_class_gets_its_own_text() -> None:
    np.testing.assert_allclose(vector(Told(frame(k3=0.9))), weighted(k3=0.9), atol=1e-6)


def test_classes_count_by_how_far_they_are_over_their_means() -> None:
    means = [0.1] * len(NAMES)
    tagger = Told(frame(k1=0.9, k2=0.3, k5=0.1, k6=0.05), means=means)
    np.testing.assert_allclose(vector(tagger), weighted(k1=0.8, k2=0.2), atol=1e-6)


def test_frames_are_averaged() -> None:
    tagger = Told(frame(k1=1), frame(k1=0.5, k2=0.25), frame(), frame())
    expected = weighted(k1=0.375, k2=0.0625)
    np.testing.assert_allclose(vector(tagger), expected, atol=1e-6)


def test_ten_classes_count_and_no_more() -> None:
    heard = {f"k{number}": 0.9 - number / 20 for number in range(14)}
    ten = dict(list(heard.items())[:10])
    np.testing.assert_allclose(vector(Told(frame(**heard))), weighted(**ten), atol=1e-6)


def test_what_has_no_name_lies_at_silence_and_near_it_by_degrees() -> None:
    silence = weighted()
    np.testing.assert_allclose(vector(Told(frame())), silence, atol=1e-6)
    below = Told(frame(k1=0.1), means=[0.2] * len(NAMES))
    np.testing.assert_allclose(vector(below), silence, atol=1e-6)
    hardly, clearly = vector(Told(frame(k1=1e-4))), vector(Told(frame(k1=0.5)))
    assert hardly @ silence > 0.98
    assert clearly @ weighted(k1=1.0) > 0.9999


def test_without_means_those_of_dull_sounds_are_taken_away() -> None:
    tagger = Told(frame(k1=0.9, k2=0.9), means=None)
    np.testing.assert_allclose(built_in_means(tagger), frame(k1=0.9, k2=0.9), atol=1e-6)
    np.testing.assert_allclose(vector(tagger), weighted(), atol=1e-6)
    hiss = built_in_means(SpectrumTagger())
    assert hiss[CLASSES.index("steam")] > 0.05
    assert hiss[CLASSES.index("thunder")] > hiss[CLASSES.index("bird")]


def test_dull_sounds_are_silence_and_noises_loud_and_soft() -> None:
    silence, *others = dull_sounds(8_000)
    assert not silence.any()
    assert sorted({round(float(np.abs(sound).max()), 3) for sound in others}) == [0.03, 0.3]


def test_a_long_sound_goes_through_in_windows_and_a_short_one_gets_silence_behind_it() -> None:
    tagger = Told(frame(k1=1))
    encoder = around(tagger)
    for seconds in (0, 0.01, 1.5, 2, 7):
        encoder.encode("audio", [Sound(np.zeros(int(seconds * RATE), "f4"), RATE)], role="query")
    assert tagger.heard == [RATE, RATE, 24_000, 2 * RATE, *[2 * RATE] * 4]


# Searching.


@pytest.mark.parametrize("inner", ["hash:", "starter:"])
@pytest.mark.parametrize("form", ["code", "folder"])
def test_a_sound_is_found_by_what_it_is_called(inner: str, form: str, tmp_path: Path) -> None:
    tagger = "spectrum" if form == "code" else write_folder(tmp_path / "tagger")
    encoder = registry.open_encoder(f"tags:{tagger}+{inner}")
    words = registry.open_encoder(inner)
    assert encoder.space == Space(words.space.key, words.space.dim, frozenset({"audio"}))
    documents = encoder.encode("audio", [sounds(name) for name in CLASSES], role="document")
    for pattern in ("the sound of {}", "{}"):
        queries = words.encode("text", [pattern.format(name) for name in CLASSES], role="query")
        assert (queries @ documents.T).argmax(axis=1).tolist() == list(range(len(CLASSES)))


def test_a_pitch_between_two_lies_between_them() -> None:
    bell, both, bird, thunder = around(SpectrumTagger()).encode(
        "audio",
        [
            sounds("bell"),
            Sound(tone("bell") + tone("bird"), RATE),
            sounds("bird"),
            sounds("thunder"),
        ],
        role="document",
    )
    assert min(both @ bell, both @ bird) > max(bell @ bird, both @ thunder)


@pytest.mark.slow
def test_photos_find_what_they_would_sound_like_and_sounds_find_photos() -> None:
    from skimage import data

    tagger, starter = SpectrumTagger(), registry.open_encoder("starter:")
    tagger.classes = ("rocket", "dog", "speech", "church bell", "cat", "rain")
    documents = around(tagger, starter).encode("audio", list(map(sounds, CLASSES)), role="document")
    photos = starter.encode("image", [data.chelsea(), data.rocket()], role="document")
    scores = photos @ documents.T
    assert scores.argmax(axis=1).tolist() == [4, 0]  # the cat, the rocket
    assert scores[:, [4, 0]].argmax(axis=0).tolist() == [0, 1]


# Identity and probes.


def test_the_fingerprint_covers_tagger_classes_means_and_encoder() -> None:
    other = Told(frame(k1=1))
    other.fingerprint = "another"
    encoders = [
        around(Told(frame(k1=1))),
        around(other),
        around(Told(frame(k1=1), classes=NAMES[::-1])),
        around(Told(frame(k1=1), means=[0.5] * len(NAMES))),
        around(Told(frame(k1=1), means=None)),
        around(Told(frame(k1=1)), HashEncoder("weights=2")),
    ]
    assert len({encoder.fingerprint for encoder in encoders}) == len(encoders)
    assert around(Told(frame(k1=1))).fingerprint == encoders[0].fingerprint


def test_probes_tell_a_tagger_that_went_wrong() -> None:
    encoder = registry.open_encoder("tags:spectrum+hash:")
    stored = make_probes(encoder)
    assert stored.vectors.keys() == {"test-hash-32/audio"}
    check_encoder(encoder, stored, where="tags:")
    turned = SpectrumTagger()
    turned.classes = CLASSES[::-1]
    with pytest.raises(EncoderMismatchError, match="gives other vectors"):
        check_encoder(around(turned), stored, where="tags:")


def test_a_probe_goes_along_with_a_sound_and_may_be_that_sound() -> None:
    encoder = registry.open_encoder("tags:spectrum+hash:")
    stored, probe = make_probes(encoder), probe_inputs("audio")[0]
    asked = [sounds("bird"), Sound(probe.samples.copy(), probe.rate)]
    found = encode_with_probe(encoder, "audio", asked, stored, where="tags:")
    np.testing.assert_array_equal(found, encoder.encode("audio", asked, role="query"))


# What a location names.


@pytest.mark.parametrize(
    ("location", "tagger", "encoder"),
    [
        ("yamnet+starter:", "yamnet:", "starter:"),
        ("yamnet:large+starter:chinese", "yamnet:large", "starter:chinese"),
        ("/home/me/yamnet+starter:", "onnx:/home/me/yamnet", "starter:"),
        ("./a+b/c++/d+open_clip:M//x+y:z/w.pt", "onnx:./a+b/c++/d", "open_clip:M//x+y:z/w.pt"),
        ("a/b+hash:", "onnx:a/b", "hash:"),
        (r"C:\taggers\a+starter:", r"onnx:C:\taggers\a", "starter:"),
    ],
)
def test_a_location_names_a_tagger_and_an_encoder(location: str, tagger: str, encoder: str) -> None:
    assert parse(location) == Named(tagger, encoder)
    assert str(parse(location)) == location


@pytest.mark.parametrize(
    ("location", "missing"),
    [("", "tagger"), ("+starter:", "tagger"), ("yamnet", "encoder"), ("/a/b+c", "encoder")],
)
def test_half_a_location_is_refused_with_the_form(location: str, missing: str) -> None:
    with pytest.raises(UsageError, match=f"names no {missing}") as caught:
        registry.check("encoder", f"tags:{location}")
    assert "tags:TAGGER+ENCODER" in caught.value.advice


def test_the_first_encoder_is_put_behind_a_tagger_that_stands_alone() -> None:
    assert registry.around("tags:spectrum", "starter:") == "tags:spectrum+starter:"
    assert registry.around("tags:/a+b", "open_clip:M/t") == "tags:/a+b+open_clip:M/t"
    assert registry.around("tags:spectrum+hash:", "starter:") == "tags:spectrum+hash:"
    assert registry.around("clap:", "starter:") == "clap:"


def test_paths_are_made_absolute_and_the_location_opens_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "my tagger")
    monkeypatch.chdir(tmp_path)
    encoder = registry.open_encoder("tags:./my tagger+hash:weights=2")
    assert encoder.location == f"{tmp_path / 'my tagger'}+hash:weights=2"
    again = registry.open_encoder(f"tags:{encoder.location}")
    assert again.fingerprint == encoder.fingerprint
    assert again.location == encoder.location
    assert registry.open_encoder("tags:spectrum:half+hash:").location == "spectrum:half+hash:"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("tags:spectrun+hash:", "No tagger is called `spectrun:`"),
        ("tags:spectrum+hush:", "No encoder is called `hush:`"),
    ],
)
def test_an_unknown_part_is_named_before_anything_is_made(url: str, message: str) -> None:
    with pytest.raises(UnknownSchemeError, match=message) as caught:
        registry.check("encoder", url)
    assert "Did you mean" in caught.value.advice
    with pytest.raises(UnknownSchemeError, match=message):
        registry.open_encoder(url)


def test_a_bare_name_that_no_package_has_is_told_how_a_folder_is_named() -> None:
    with pytest.raises(UnknownSchemeError) as caught:
        registry.check("encoder", "tags:yamnet+hash:")
    assert "tags:./yamnet" in caught.value.advice


def test_an_encoder_that_takes_no_texts_is_refused() -> None:
    with pytest.raises(UsageError, match="`tags:spectrum\\+hash:` takes no texts"):
        registry.open_encoder("tags:spectrum+tags:spectrum+hash:")


def test_a_tagger_of_one_class_is_refused() -> None:
    with pytest.raises(UsageError, match="fewer than two classes"):
        vector(Told([1.0], classes=["noise"], means=[0.0]))


def test_other_modalities_are_refused() -> None:
    with pytest.raises(ValueError, match="takes audio, not text"):
        around(Told(frame())).encode("text", ["a dog"], role="query")

"""Taggers that users bring in a folder: models of any shape, lists of classes, what is wrong."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval import registry
from retrieval.encoders.tags.folder import FolderTagger
from retrieval.errors import CorruptError, EcholensError, UsageError, WeightsMissingError
from retrieval.schema import FloatArray
from retrieval.timed import Sound
from tests.taggers import CLASSES, tone, write_folder
from tools.tagger_means import measured, write

SILENCE = Sound(np.zeros(16_000, np.float32), 16_000)
INNER = "conse:"


def heard(folder: Path, samples: FloatArray) -> FloatArray:
    return FolderTagger(str(folder)).probabilities(samples)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("length", [None, 15_600])
def test_a_model_takes_samples_in_any_shape(rank: int, length: int | None, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "tagger", rank=rank, length=length)
    for number, name in enumerate(CLASSES):
        found = heard(folder, tone(name, 3.0))
        assert found.dtype == np.float32
        assert found.mean(axis=0).argmax() == number
        assert found.mean(axis=0)[number] > 0.8
        assert len(found) == 6


def test_frames_of_a_fixed_length_cover_all_of_a_sound(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "tagger", length=16_000)
    late = np.concatenate([np.zeros(40_000, np.float32), tone("bird", 0.5)])
    found = heard(folder, late)
    assert len(found) == 2 * 5  # a second from 0, 0.5, 1, 1.5 and 2 s, two frames of each
    assert found[-1, CLASSES.index("bird")] > 0.9
    assert heard(folder, tone("bird", 0.6)).shape == (2, len(CLASSES))


def test_logits_become_probabilities_and_are_refused_as_such(tmp_path: Path) -> None:
    plain = write_folder(tmp_path / "plain")
    logits = write_folder(tmp_path / "a", logits=True, options={"activation": "softmax"})
    sound = np.sum([(number + 1) * tone(name) for number, name in enumerate(CLASSES)], axis=0)
    np.testing.assert_allclose(heard(logits, sound), heard(plain, sound), atol=1e-3)
    unsaid = write_folder(tmp_path / "b", logits=True)
    with pytest.raises(UsageError, match="no probabilities") as caught:
        heard(unsaid, sound)
    assert "activation" in caught.value.advice
    squashed = write_folder(tmp_path / "c", logits=True, options={"activation": "sigmoid"})
    expected = heard(plain, sound)
    np.testing.assert_allclose(heard(squashed, sound), expected / (1 + expected), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.csv", "\n".join(CLASSES)),
        ("classes.csv", "\ufeffclass\r\n" + "\r\n".join(CLASSES)),
        ("yamnet_class_map.csv", "index,mid,display_name\n"
            + "".join(f'{i},/m/{i},"{name}"\n' for i, name in enumerate(CLASSES))),
        ("class_labels_indices.csv", "index,mid,display_name\n"
            + "".join(f'{i},/m/{i},"{name}"\n' for i, name in enumerate(CLASSES))),
    ],
)  # fmt: skip
def test_lists_of_classes_are_read_as_they_come(name: str, text: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "tagger")
    (folder / "classes.csv").unlink()
    (folder / name).write_text(text, encoding="utf-8")
    assert FolderTagger(str(folder)).classes == CLASSES
    assert FolderTagger(str(folder)).means is None


def test_a_name_may_hold_a_comma_and_means_come_with_the_names(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "tagger")
    lines = ["name,mean", '"bee, wasp, etc.",0.25', "a dog,0.5"]
    (folder / "classes.csv").write_text("\n".join(lines))
    tagger = FolderTagger(str(folder))
    assert tagger.classes == ("bee, wasp, etc.", "a dog")
    assert tagger.means is not None
    np.testing.assert_array_equal(tagger.means, [0.25, 0.5])


def test_options_tell_rate_and_window(tmp_path: Path) -> None:
    plain = FolderTagger(str(write_folder(tmp_path / "plain")))
    assert (plain.rate, plain.window_s) == (16_000, 10.0)
    told = write_folder(tmp_path / "told", options={"rate": 32_000, "window_s": 5})
    encoder = registry.open_encoder(f"tags:{told}+{INNER}")
    assert (encoder.wants.sample_rate, encoder.wants.window_s) == (32_000, 5)
    assert FolderTagger(str(told)).fingerprint != plain.fingerprint


def spoil(folder: Path, name: str, content: str | None) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("model.onnx", None, WeightsMissingError, "is missing"),
        ("model.onnx", "no model", CorruptError, "can't be opened"),
        ("classes.csv", None, WeightsMissingError, "holds no classes.csv"),
        ("classes.csv", "", UsageError, "none at all"),
        ("classes.csv", "name\n", UsageError, "none at all"),
        ("classes.csv", "a,b\nc,d\n", UsageError, "none of the columns"),
        ("classes.csv", "index,name\n0,a\n1\n", UsageError, "a line without a class"),
        ("classes.csv", "name,mean\na,0.1\nb,much\n", UsageError, "a mean that is no number"),
        ("classes.csv", "name,mean\na,0.1\nb,7\n", UsageError, "a mean that is no probability"),
        ("classes.csv", "name\na\nb\n", UsageError, "nothing for each of the 2 classes"),
        ("tagger.json", "[1", UsageError, "can't be read as options"),
        ("tagger.json", '{"rats": 1}', UsageError, "can't be read as options"),
        ("tagger.json", '{"rate": "16k"}', UsageError, "can't be read as options"),
        ("tagger.json", '{"rate": 0}', UsageError, "can't be meant"),
        ("tagger.json", '{"rate": 1.5}', UsageError, "can't be meant"),
        ("tagger.json", '{"activation": "relu"}', UsageError, "can't be meant"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(
    name: str, content: str | None, error: type[EcholensError], message: str, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "tagger", options={})
    spoil(folder, name, content)
    with pytest.raises(error, match=message) as caught:
        registry.open_encoder(f"tags:{folder}+{INNER}").encode("audio", [SILENCE], role="query")
    assert str(folder) in str(caught.value)
    assert "model.onnx" in caught.value.advice or "tagger.json" in caught.value.advice


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"There is no folder .*none") as caught:
        registry.open_encoder(f"tags:{tmp_path / 'none'}+{INNER}")
    assert "classes.csv" in caught.value.advice


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        ([1, 64, 96, 1], "FLOAT", "and not samples"),
        (["batch", 64], "INT64", "and not samples"),
        ([16, 15_600], "FLOAT", "and not samples"),
    ],
)
def test_a_model_that_wants_something_else_is_refused(
    shape: list[Any], kind: str, message: str, tmp_path: Path
) -> None:
    import onnx
    from onnx import TensorProto, helper

    folder = write_folder(tmp_path / "tagger")
    info = [helper.make_tensor_value_info(n, getattr(TensorProto, kind), shape) for n in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", info[:1], info[1:])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), folder / "model.onnx")
    with pytest.raises(UsageError, match=message):
        heard(folder, tone("bird"))


def test_the_fingerprint_is_of_the_models_bytes(tmp_path: Path) -> None:
    one, other = write_folder(tmp_path / "a"), write_folder(tmp_path / "b")
    assert FolderTagger(str(one)).fingerprint == FolderTagger(str(other)).fingerprint
    (other / "tagger.json").write_text(json.dumps({"window_s": 3}))
    longer = write_folder(tmp_path / "c", length=15_600)
    prints = {FolderTagger(str(folder)).fingerprint for folder in (one, other, longer)}
    assert len(prints) == 3


def test_means_are_measured_over_recordings_and_written_beside_the_names(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "tagger")
    recordings = [tmp_path / f"{name}.wav" for name in ("bird", "bell")]
    for path in recordings:
        write_wav(path, tone(path.stem, 3.0))
    (folder / "class_labels_indices.csv").write_text("index,mid,display_name\n0,x,other\n")
    before = FolderTagger(str(folder)).fingerprint
    write(folder, measured(FolderTagger(str(folder)), recordings))
    tagger = FolderTagger(str(folder))
    assert tagger.classes == CLASSES
    assert tagger.means is not None
    expected = [0.5 if name in ("bird", "bell") else 0 for name in CLASSES]
    np.testing.assert_allclose(tagger.means, expected, atol=0.02)
    assert tagger.fingerprint == before  # the encoder's covers the means


def write_wav(path: Path, samples: FloatArray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())

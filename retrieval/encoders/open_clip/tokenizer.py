"""open_clip's tokenizer of a model, bounded, and where it stops reading.

Gets: texts. Gives: token ids, as many for each text as the model's context has; the end of a text
that isn't read. Touches: the tokenizer's files. Never: a connection (it gets a folder).

What open_clip's tokenizers do with a text (mending of Unicode, lower case, punctuation) is theirs;
before that a text is only made valid Unicode and cut where nothing could be read any more. Their
masks that drop tokens by chance are for training: a model that names one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from retrieval.errors import UsageError, WeightsMissingError
from retrieval.passages import unread

from .names import Named, not_installed

DEFAULT_CONTEXT = 77  # open_clip's, for the models whose file names none

# No token that matters is longer. A word without end takes open_clip's own tokenizer quadratic
# time, so a word is bounded too where its tokens are known to have no more than 16 characters.
_CHARACTERS_PER_TOKEN = 64
_CHARACTERS_PER_TOKEN_OF_A_WORD = 16
_CACHED_WORDS = 1 << 16  # open_clip's own tokenizer remembers every word that it ever met


class Tokenizer:
    """A model's tokenizer.

    Attributes:
        context: tokens that the model reads of a text, those that mark its ends included.
    """

    def __init__(self, named: Named, text_config: Mapping[str, Any], folder: Path | None) -> None:
        """Load it.

        Args:
            named: the model, for messages.
            text_config: the ``text_cfg`` of the model.
            folder: the tokenizer's files; None for the one that open_clip brings itself.

        Raises:
            NotInstalledError: it needs a package that isn't here.
            WeightsMissingError: its files are damaged, or none.
        """
        self.context = int(text_config.get("context_length", DEFAULT_CONTEXT))
        self._named = named
        options = dict(text_config.get("tokenizer_kwargs") or {})
        if options.get("reduction_mask"):
            raise UsageError(
                f"The tokenizer of `{named}` drops tokens by chance (`reduction_mask`).",
                advice="Take `reduction_mask` out of its configuration: it is for training.",
            )
        self._clips = text_config.get("tokenizer_mode") == "clips"
        self._of_hub = folder is not None
        if folder is None:
            from open_clip import SimpleTokenizer

            self._tokenizer = SimpleTokenizer(context_length=self.context, **options)
            self._first_words = dict(self._tokenizer.cache)
        else:
            mode = text_config.get("tokenizer_mode")
            self._tokenizer = _from_folder(named, folder, self.context, mode, options)

    def __call__(self, texts: Sequence[str]) -> Any:
        """Token ids: an (n, context) tensor of int64."""
        if not self._of_hub and len(self._tokenizer.cache) > _CACHED_WORDS:
            self._tokenizer.cache = dict(self._first_words)
        return self._tokenizer([self._bounded(text) for text in texts])

    @property
    def inner(self) -> Any:
        """open_clip's own tokenizer, unbounded."""
        return self._tokenizer

    def unread(self, text: str) -> str:
        """The end of a text that lies past the context; "" when all of it is read."""
        return unread(text, self._fits)

    def _fits(self, text: str) -> bool:
        # A token has at least one byte; the ends may be marked by three.
        if len(text) + 3 <= self.context and text.isascii():
            return True
        words = _words(text)
        bounded = self._bounded(text)
        return len(bounded) == len(words) and self._count(bounded) <= self.context

    def _count(self, text: str) -> int:
        """Tokens of a text of any length, those that mark its ends included."""
        if not self._of_hub:
            return len(self._tokenizer.encode(text)) + 2
        cleaned = self._tokenizer.clean_fn(text)
        ids = self._tokenizer.tokenizer(cleaned, add_special_tokens=not self._clips).input_ids
        return len(ids) + 3 * self._clips

    def _bounded(self, text: str) -> str:
        """`text` as valid Unicode, runs of white space as one blank, no longer than can matter."""
        words = _words(text)[: self.context * _CHARACTERS_PER_TOKEN]
        if self._of_hub:
            return words
        longest = self.context * _CHARACTERS_PER_TOKEN_OF_A_WORD
        return " ".join(word[:longest] for word in words.split(" "))


def _from_folder(
    named: Named, folder: Path, context: int, mode: str | None, options: Mapping[str, Any]
) -> Any:
    try:
        import transformers  # noqa: F401 - open_clip's wrapper imports it
    except ModuleNotFoundError as error:
        raise not_installed(error.name or "transformers") from error
    from open_clip.tokenizer import HFTokenizer

    try:
        return HFTokenizer(
            str(folder),
            context_length=context,
            tokenizer_mode=mode,
            local_files_only=True,
            **options,
        )
    except ModuleNotFoundError as error:
        raise not_installed(error.name or "sentencepiece") from error
    except Exception as error:  # transformers, tokenizers and sentencepiece: each its own kinds
        reason = str(error).strip().partition("\n")[0][:200]
        raise WeightsMissingError(
            f"{folder} holds no tokenizer for `{named}` that can be read "
            f"({type(error).__name__}: {reason}).",
            advice="It is incomplete or damaged; copy or download it again.",
        ) from error


def _words(text: str) -> str:
    return " ".join(text.encode("utf-8", "replace").decode("utf-8").split())

"""From what a location names to a folder on this disk that holds a whole model.

Gets: a `Named`. Gives: `Files`: the folder, the model's configuration, the digest of its files.
Touches: files, the hub's cache, and the hub when the cache hasn't what was named. Never: a
connection while everything is here.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

from retrieval.errors import UsageError, WeightsMissingError
from retrieval.model_files import read_json
from retrieval.servers import hub

from .names import Folder, Named, Repository

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# How sounds are prepared: the first as the hub's models have it, the second as newer ones write it.
PREPROCESSING = ("preprocessor_config.json", "processor_config.json")
_TOKENIZER = ("tokenizer.json", "vocab.json")
_BESIDE = ("merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


class Files:
    """The files of what was named; they are looked for when they are first asked for."""

    def __init__(self, named: Named) -> None:
        self.named = named

    @cached_property
    def folder(self) -> Path:
        """The folder that holds the model whole; downloads a repository's files once, and says so.

        Raises:
            WeightsMissingError: a file isn't here and can't be had.
        """
        if isinstance(self.named, Folder):
            return _whole(self.named.path)
        return _fetched(self.named)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The model's configuration.

        Raises:
            UsageError: it is a model of another kind.
            WeightsMissingError: it can't be read.
        """
        path = self.folder / CONFIG
        config = read_json(path)
        if config.get("model_type") != "clap":
            raise UsageError(
                f"{path} describes a model of type `{config.get('model_type')}`, not `clap`.",
                advice="Name a model that transformers loads as a ClapModel.",
            )
        return config

    @property
    def dim(self) -> int:
        """Of the vectors."""
        return int(self.config.get("projection_dim", 512))

    @cached_property
    def preprocessing(self) -> dict[str, Any]:
        """How sounds are prepared, as far as the file says it."""
        path = next(path for name in PREPROCESSING if (path := self.folder / name).is_file())
        told = read_json(path)
        return dict(told.get("feature_extractor") or told)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of weights and configuration; reads all of them."""
        digest = hashlib.sha256()
        for name in (CONFIG, *PREPROCESSING, *WEIGHTS):
            if (path := self.folder / name).is_file():
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


def _whole(folder: Path) -> Path:
    """The folder itself, when nothing is missing in it."""
    for names in ((CONFIG,), WEIGHTS, PREPROCESSING, _TOKENIZER):
        if not any((folder / name).is_file() for name in names):
            what = f"holds no {' or '.join(names)}" if folder.is_dir() else "is not there"
            raise WeightsMissingError(
                f"The folder {folder} {what}.",
                advice="Name one that `ClapModel` and `ClapProcessor` were saved to, or a copy of "
                "a repository of the hub that holds a CLAP model.",
            )
    return folder


def _fetched(named: Repository) -> Path:
    """The folder of a repository's files in the hub's cache."""
    wanted = hub.Wanted(
        f"The files of `clap:{named.id}`",
        named.id,
        kind="a CLAP model of transformers",
        or_else="bring all its files in a folder and name it as clap:/path/to/folder.",
    )
    optional = [(name, "") for name in _BESIDE]
    return hub.fetch_together(wanted, (CONFIG,), [WEIGHTS, PREPROCESSING, _TOKENIZER, *optional])

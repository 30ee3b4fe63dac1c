"""From what a location names to files on this disk, or to an error that helps.

Gets: a `Named`. Gives: `Files`: the model's configuration, the weights' file, how pictures are
prepared for them, where the tokenizer and the text tower's configuration lie. Touches: files, the
hub's cache, and the hub when the cache hasn't what was named. Never: a connection while everything
is here.

open_clip asks the hub at every start, also about files that are in its cache, and so does the
library of the text towers that open_clip takes from it; so the cache is looked up here and both
get paths. The preprocessing belongs to the weights: a tag brings its own, a repository and a folder
have it in ``open_clip_config.json``. A checkpoint takes that of such a file beside it, if there is
one, else what most tags of its model have.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from retrieval.errors import UsageError, WeightsMissingError
from retrieval.model_files import read_json
from retrieval.servers import hub

from .names import (
    CONFIG_NAME,
    Checkpoint,
    Folder,
    Named,
    Repository,
    Tag,
    did_you_mean,
    model_config,
)

_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")
_HUB_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_FOLDER_WEIGHTS = (  # in the order in which open_clip prefers them
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What belongs to the weights, not to the model they are for.

    Attributes:
        preprocess: mean, std, interpolation and resize mode, where not open_clip's defaults.
        quick_gelu: trained with QuickGELU, though the model's name doesn't say so.
    """

    preprocess: Mapping[str, Any]
    quick_gelu: bool


class Files:
    """The files of what was named; each is looked for when it is first asked for."""

    def __init__(self, named: Named) -> None:
        self.named = named

    @cached_property
    def config(self) -> dict[str, Any]:
        """The model's configuration: ``embed_dim``, ``vision_cfg``, ``text_cfg`` and more.

        Raises:
            UsageError: open_clip has no such model.
            WeightsMissingError: the file that tells isn't here, can't be had, or is damaged.
        """
        if isinstance(self.named, Tag | Checkpoint):
            return model_config(self.named.model)
        file = self.folder / CONFIG_NAME
        config = read_json(file).get("model_cfg")
        parts = ("embed_dim", "vision_cfg", "text_cfg")
        if not isinstance(config, dict) or any(part not in config for part in parts):
            raise WeightsMissingError(
                f"{file} doesn't describe a model: `model_cfg` with {', '.join(parts)} is missing.",
                advice="Copy or download it again.",
            )
        return config

    @cached_property
    def folder(self) -> Path:
        """The folder that holds a repository's or a folder's files."""
        if isinstance(self.named, Repository):
            what = f"The files of `{self.named}`"
            return hub.fetch(_wanted(what, self.named.id), [CONFIG_NAME]).parent
        assert isinstance(self.named, Folder)
        path = self.named.path
        if not (path / CONFIG_NAME).is_file():
            what = f"holds no {CONFIG_NAME}" if path.is_dir() else "is not there"
            raise WeightsMissingError(
                f"The folder {path} {what}.",
                advice="Name one that open_clip's `push_to_hf_hub` made, or a copy of a "
                "repository that it can load.",
            )
        return path

    @cached_property
    def weights(self) -> Path:
        """The weights' file; downloads a tag's or a repository's once, and says so.

        Raises:
            UsageError: open_clip has no such tag for this model; those that it has are named.
            WeightsMissingError: the file isn't here and can't be had.
        """
        match self.named:
            case Tag(model, tag):
                return _file_of_tag(model, tag)
            case Checkpoint(model, file):
                return _file_of_checkpoint(model, file)
            case Repository(id_):
                file = hub.fetch(_wanted(f"The weights of `{self.named}`", id_), _HUB_WEIGHTS)
                # Downloaded just now, they may be of a newer commit than the configuration was.
                hub.fetch(_wanted(f"The files of `{self.named}`", id_), [CONFIG_NAME])
                return file
            case Folder():
                return _file_in_folder(self.folder)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weights' file, and of a folder's configuration; reads all of it."""
        with self.weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        if isinstance(self.named, Folder):
            digest.update((self.folder / CONFIG_NAME).read_bytes())
        return digest.hexdigest()

    @cached_property
    def tokenizer(self) -> Path | None:
        """The folder of the tokenizer's files; None for the one that open_clip brings itself."""
        source = self.config["text_cfg"].get("hf_tokenizer_name")
        if not source:
            return None
        if isinstance(self.named, Folder):
            return self.folder
        wanted = _wanted(f"The tokenizer of `{self.named}`", source)
        return _local(source) or hub.fetch_tokenizer(wanted)

    @cached_property
    def text_tower(self) -> Path | None:
        """The folder with the configuration of a text tower that isn't open_clip's own."""
        source = self.config["text_cfg"].get("hf_model_name")
        if not source:
            return None
        what = f"The settings of the text tower of `{self.named}`"
        return _local(source) or hub.fetch(_wanted(what, source), ["config.json"]).parent

    def settings(self) -> Settings:
        """What a tag's or a checkpoint's weights need (imports open_clip)."""
        from open_clip import get_pretrained_cfg

        assert isinstance(self.named, Tag | Checkpoint)
        if isinstance(self.named, Tag):
            config = get_pretrained_cfg(self.named.model, self.named.tag)
            return Settings(_preprocessing(config), bool(config.get("quick_gelu")))
        beside = self.named.file.with_name(CONFIG_NAME)
        if beside.is_file():
            return Settings(_preprocessing(read_json(beside).get("preprocess_cfg", {})), False)
        return Settings(_usual_preprocessing(self.named.model), False)


def _wanted(what: str, repository: str) -> hub.Wanted:
    return hub.Wanted(
        what,
        repository,
        kind="a model of open_clip",
        or_else="bring {name} and name it as open_clip:MODEL//path/to/file, or all files in a "
        "folder as open_clip:local-dir:/path.",
    )


def _file_of_tag(model: str, tag: str) -> Path:
    from open_clip import get_pretrained_cfg, list_pretrained_tags_by_model

    config = get_pretrained_cfg(model, tag)
    if not config.get("hf_hub"):
        known = list_pretrained_tags_by_model(model)
        raise UsageError(
            f"open_clip has no weights called `{tag}` for its model `{model}`.",
            advice=f"{did_you_mean(tag, known)}It has: {', '.join(known) or 'none at all'}. A "
            f"checkpoint of your own: open_clip:{model}//path/to/checkpoint.",
        )
    repository, _, name = config["hf_hub"].rpartition("/")
    names = [str(Path(name).with_suffix(".safetensors")), name] if name else _HUB_WEIGHTS
    wanted = _wanted(f"The weights `{tag}` of `{model}`", repository)
    return hub.fetch(wanted, list(dict.fromkeys(names)))


def _file_of_checkpoint(model: str, file: Path) -> Path:
    if file.is_file():
        return file
    what = "is a folder, not a checkpoint" if file.is_dir() else "is not there"
    raise WeightsMissingError(
        f"The checkpoint {file} for open_clip's `{model}` {what}.",
        advice="Give the path of the file after the model's name and one more slash, or a folder "
        "as open_clip:local-dir:/path/to/folder.",
    )


def _file_in_folder(folder: Path) -> Path:
    for name in _FOLDER_WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    found = [file for suffix in (".safetensors", ".bin", ".pth") for file in _with(folder, suffix)]
    if len(found) == 1:
        return found[0]
    several = f"holds several, {', '.join(file.name for file in found)}" if found else "holds none"
    raise WeightsMissingError(
        f"The folder {folder} should hold one file of weights, and {several}.",
        advice=f"Call the right one {_FOLDER_WEIGHTS[0]} (or {_HUB_WEIGHTS[1]}, by its kind).",
    )


def _with(folder: Path, suffix: str) -> list[Path]:
    return sorted(file for file in folder.glob(f"*{suffix}") if file.is_file())


def _local(source: str) -> Path | None:
    return Path(source) if Path(source).is_dir() else None


def _usual_preprocessing(model: str) -> dict[str, Any]:
    from open_clip import get_pretrained_cfg, list_pretrained_tags_by_model

    tags = [get_pretrained_cfg(model, tag) for tag in list_pretrained_tags_by_model(model)]
    counted = Counter(json.dumps(_preprocessing(tag)) for tag in tags)
    return _preprocessing(json.loads(counted.most_common(1)[0][0])) if counted else {}


def _preprocessing(config: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: config[key] for key in _PREPROCESSING if config.get(key) is not None}
    return {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}

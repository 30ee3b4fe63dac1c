"""What a location names, and the key of its space.

Gets: what follows ``open_clip:``. Gives: a `Tag`, `Checkpoint`, `Repository` or `Folder`; the
model's configuration. Touches: open_clip's model files. Never: imports open_clip, a connection.

A space's key is unique for each way of naming: model and tag, as open_clip has them; model and the
digest of the checkpoint; the hub's name and a digest of its exact spelling, since a slug alone
would take ``a/b-c`` and ``a-b/c`` for one; the digest of a folder's weights and configuration,
since the folder may move.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from retrieval.errors import NotInstalledError, UsageError

CONFIG_NAME = "open_clip_config.json"
HUB_SCHEME = "hf-hub:"
FOLDER_SCHEME = "local-dir:"

_CHECKPOINT_SUFFIXES = (".bin", ".ckpt", ".npz", ".pt", ".pth", ".safetensors")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_FORMS = (
    "Write open_clip:MODEL/PRETRAINED (as open_clip:ViT-B-32/laion2b_s34b_b79k), "
    "open_clip:MODEL//path/to/checkpoint, open_clip:hf-hub:OWNER/NAME or "
    "open_clip:local-dir:/path/to/folder."
)


@dataclass(frozen=True, slots=True)
class Tag:
    """Weights that open_clip knows by a tag."""

    model: str
    tag: str

    def __str__(self) -> str:
        return f"{self.model}/{self.tag}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file of weights for a model of open_clip; the path is absolute."""

    model: str
    file: Path

    def __str__(self) -> str:
        return f"{self.model}/{self.file}"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of the hub with an ``open_clip_config.json``, weights and a tokenizer."""

    id: str

    def __str__(self) -> str:
        return f"{HUB_SCHEME}{self.id}"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with the same files as such a repository; the path is absolute."""

    path: Path

    def __str__(self) -> str:
        return f"{FOLDER_SCHEME}{self.path}"


Named = Tag | Checkpoint | Repository | Folder


def parse(location: str) -> Named:
    """What a location names; paths are made absolute.

    Raises:
        UsageError: it names no model or no weights.
    """
    if location.startswith(HUB_SCHEME):
        return _repository(location.removeprefix(HUB_SCHEME))
    if location.startswith(FOLDER_SCHEME):
        path = location.removeprefix(FOLDER_SCHEME)
        if not path:
            raise UsageError(f"`open_clip:{location}` names no folder.", advice=_FORMS)
        return Folder(Path(os.path.expanduser(path)).absolute())
    model, _, weights = location.partition("/")
    if not model or not weights:
        missing = "weights" if model else "model"
        raise UsageError(f"`open_clip:{location}` names no {missing}.", advice=_FORMS)
    if "/" in weights or "\\" in weights or weights.endswith(_CHECKPOINT_SUFFIXES):
        return Checkpoint(model, Path(os.path.expanduser(weights)).absolute())
    return Tag(model, weights)


def space_key(named: Named, digest: str) -> str:
    """The slug that names the space.

    Args:
        named: what the location names.
        digest: hex digest of the weights; "" where the name says enough (see `needs_digest`).
    """
    match named:
        case Tag(model, tag):
            return _slug(f"{model} {tag}")
        case Checkpoint(model, _):
            return _slug(f"{model} {digest[:8]}")
        case Repository(id_):
            return f"hf-hub-{_slug(id_)}-{hashlib.sha256(id_.encode()).hexdigest()[:8]}"
        case Folder():
            return f"local-dir-{digest[:16]}"


def needs_digest(named: Named) -> bool:
    """Whether the space is named by the content of files on this disk."""
    return isinstance(named, Checkpoint | Folder)


def model_config(model: str) -> dict[str, Any]:
    """The model's configuration, read from open_clip's folder without importing it.

    Raises:
        NotInstalledError: open_clip isn't here.
        UsageError: it has no such model; the nearest names are offered.
    """
    spec = find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise not_installed("open_clip_torch")
    folder = Path(spec.submodule_search_locations[0], "model_configs")
    files = {file.stem: file for file in folder.glob("*.json")}
    if model in files:
        return dict(json.loads(files[model].read_bytes()))
    if "open_clip" in sys.modules:  # one that this process added with open_clip.add_model_config
        added: dict[str, Any] | None = sys.modules["open_clip"].get_model_config(model)
        if added is not None:
            return added
    raise UsageError(
        f"open_clip has no model called `{model}`.",
        advice=f"{did_you_mean(model, list(files))}`open_clip.list_models()` names all "
        f"{len(files)}.",
    )


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """``Did you mean `x` or `y`? ``, or nothing when nothing is near."""
    by_lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(f'`{by_lower[each]}`' for each in near)}? " if near else ""


def not_installed(package: str) -> NotInstalledError:
    """What to raise when a package of the extra isn't here."""
    return NotInstalledError(
        f"`open_clip:` needs the package `{package}`, which is not installed.",
        advice="pip install 'echolens[open-clip]'",
    )


def _repository(id_: str) -> Repository:
    if not _REPOSITORY.fullmatch(id_) or "--" in id_ or ".." in id_:
        raise UsageError(
            f"`open_clip:{HUB_SCHEME}{id_}` names no repository of the hub.",
            advice=f"Write open_clip:{HUB_SCHEME}OWNER/NAME, as "
            f"open_clip:{HUB_SCHEME}timm/ViT-B-32-SigLIP2-256.",
        )
    return Repository(id_)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")

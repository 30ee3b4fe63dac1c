"""From the name of a model and of its weights to files on this disk, or to an error that helps.

Gets: what follows ``open_clip:``. Gives: the model's configuration, the weights' file, how pictures
are prepared for them, the tokenizer. Touches: open_clip's model files, the hub's cache, and the hub
when the cache hasn't what was named. Never: a connection while everything is here.

open_clip asks the hub at every start, also about files that are in its cache; so the cache is
looked up here and open_clip gets a path. The preprocessing belongs to the weights: a tag brings its
own. A checkpoint takes that of the ``open_clip_config.json`` beside it, if there is one (as in a
folder from the hub), else what most tags of its model have.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from retrieval.errors import NotInstalledError, UsageError, WeightsMissingError

_log = logging.getLogger("echolens")

_CHECKPOINT_SUFFIXES = (".bin", ".ckpt", ".npz", ".pt", ".pth", ".safetensors")
_HUB_TIMEOUT_S = 5.0
_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")


@dataclass(frozen=True, slots=True)
class Settings:
    """What belongs to the weights, not to the model.

    Attributes:
        preprocess: mean, std, interpolation and resize mode, where not open_clip's defaults.
        quick_gelu: trained with QuickGELU, though the model's name doesn't say so.
    """

    preprocess: Mapping[str, Any]
    quick_gelu: bool


@dataclass(frozen=True)
class Weights:
    """Weights that are on this disk.

    Attributes:
        model: the model that they are for.
        tag: open_clip's name of them; None for a checkpoint given by its path.
        file: where they are.
    """

    model: str
    tag: str | None
    file: Path

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file; reads all of it."""
        with self.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def settings(self) -> Settings:
        """How pictures are prepared for these weights (imports open_clip)."""
        from open_clip import get_pretrained_cfg

        if self.tag is not None:
            tag = get_pretrained_cfg(self.model, self.tag)
            return Settings(_preprocessing(tag), bool(tag.get("quick_gelu")))
        beside = self.file.with_name("open_clip_config.json")
        if beside.is_file():
            return Settings(_preprocessing(_read_json(beside).get("preprocess_cfg", {})), False)
        return Settings(_usual_preprocessing(self.model), False)


def split_location(location: str) -> tuple[str, str | Path]:
    """(model, weights) of ``MODEL/PRETRAINED`` or ``MODEL//path``: a tag, or an absolute path.

    Raises:
        UsageError: one of the two is missing.
    """
    model, _, weights = location.partition("/")
    if not model or not weights:
        raise UsageError(
            f"`open_clip:{location}` names no {'weights' if model else 'model'}.",
            advice="Write open_clip:MODEL/PRETRAINED (as open_clip:ViT-B-32/laion2b_s34b_b79k), "
            "or open_clip:MODEL//path/to/checkpoint.",
        )
    if "/" in weights or "\\" in weights or weights.endswith(_CHECKPOINT_SUFFIXES):
        return model, Path(weights).expanduser().absolute()
    return model, weights


def model_config(model: str) -> dict[str, Any]:
    """The model's configuration, read from open_clip's folder without importing it.

    Raises:
        NotInstalledError: open_clip isn't here.
        UsageError: it has no such model; the nearest names are offered.
    """
    spec = find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise _not_installed("open_clip_torch")
    folder = Path(spec.submodule_search_locations[0], "model_configs")
    files = {file.stem: file for file in folder.glob("*.json")}
    if model not in files:
        raise UsageError(
            f"open_clip has no model called `{model}`.",
            advice=f"{_did_you_mean(model, list(files))}`open_clip.list_models()` names all "
            f"{len(files)}.",
        )
    return _read_json(files[model])


def find_weights(model: str, named: str | Path) -> Weights:
    """The weights' file; downloads a tag's once, and says so.

    Raises:
        UsageError: open_clip has no such tag for this model; those that it has are named.
        WeightsMissingError: the file isn't here and can't be had.
    """
    if isinstance(named, str):
        return Weights(model, named, _file_of_tag(model, named))
    if not named.is_file():
        what = "is a folder, not a checkpoint" if named.is_dir() else "is not there"
        raise WeightsMissingError(
            f"The checkpoint {named} for open_clip's `{model}` {what}.",
            advice="Give the path of the file after the model's name and one more slash.",
        )
    return Weights(model, None, named)


def load_tokenizer(model: str, config: Mapping[str, Any]) -> Any:
    """open_clip's tokenizer for a model; one that comes from the hub is downloaded once.

    Raises:
        NotInstalledError: it needs a package that isn't here.
        WeightsMissingError: its files aren't here and can't be had.
    """
    from open_clip import get_tokenizer

    source = config["text_cfg"].get("hf_tokenizer_name")
    if not source:
        return get_tokenizer(model)
    try:
        return get_tokenizer(model, local_files_only=True)
    except ModuleNotFoundError as error:
        raise _not_installed(error.name or "transformers") from error
    except OSError:
        _log.warning("Downloading the tokenizer %s from the hub, once.", source)
    try:
        return get_tokenizer(model)
    except Exception as error:  # the hub's client raises what its HTTP library raises
        raise _unreachable(f"The tokenizer of `{model}`", source, ["tokenizer.json"]) from error


def damaged(model: str, file: Path, error: Exception) -> UsageError | WeightsMissingError:
    """What to raise when open_clip couldn't load a file: another model's weights, or no weights."""
    if _holds_tensors(file):
        return UsageError(
            f"{file} doesn't hold weights of open_clip's `{model}`: names or shapes differ.",
            advice="Name the model that the checkpoint was trained as.",
        )
    reason = str(error).strip().partition("\n")[0][:200]
    return WeightsMissingError(
        f"{file} can't be read as weights of open_clip's `{model}` "
        f"({type(error).__name__}: {reason}).",
        advice="It is damaged, or no checkpoint; copy or download it again.",
    )


def _holds_tensors(file: Path) -> bool:
    from open_clip.factory import load_state_dict
    from torch import Tensor

    try:
        state = load_state_dict(str(file))
        return bool(state) and any(isinstance(value, Tensor) for value in state.values())
    except Exception:  # noqa: BLE001 - torch, pickle, zipfile, safetensors: each its own kinds
        return False


def _file_of_tag(model: str, tag: str) -> Path:
    from open_clip import get_pretrained_cfg, list_pretrained_tags_by_model

    config = get_pretrained_cfg(model, tag)
    if not config.get("hf_hub"):
        known = list_pretrained_tags_by_model(model)
        raise UsageError(
            f"open_clip has no weights called `{tag}` for its model `{model}`.",
            advice=f"{_did_you_mean(tag, known)}It has: {', '.join(known) or 'none at all'}. A "
            f"checkpoint of your own: open_clip:{model}//path/to/checkpoint.",
        )
    return _from_hub(f"The weights `{tag}` of `{model}`", config["hf_hub"])


def _from_hub(what: str, address: str) -> Path:
    """The file at ``owner/repository/file``, or ``owner/repository/`` for its usual name."""
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    repository, _, name = address.rpartition("/")
    names = _alternatives(name)
    for name in names:
        if isinstance(cached := huggingface_hub.try_to_load_from_cache(repository, name), str):
            return Path(cached)
    _log.warning("%s are not on this disk; downloading %s, once.", what, repository)
    for name in names:
        try:
            # Asked for first, since a download would try an absent hub again for half a minute.
            url = huggingface_hub.hf_hub_url(repository, name)
            huggingface_hub.get_hf_file_metadata(url, timeout=_HUB_TIMEOUT_S)
            return Path(huggingface_hub.hf_hub_download(repository, name))
        except EntryNotFoundError:
            continue
        except Exception as error:  # the hub's client raises what its HTTP library raises
            raise _unreachable(what, repository, names) from error
    raise _unreachable(what, repository, names)


def _alternatives(name: str) -> list[str]:
    """The names under which the hub may have a file, safetensors first."""
    if not name:
        return ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    return list(dict.fromkeys([str(Path(name).with_suffix(".safetensors")), name]))


def _unreachable(what: str, repository: str, names: Sequence[str]) -> WeightsMissingError:
    from huggingface_hub import constants

    return WeightsMissingError(
        f"{what} are not on this disk, and {repository} can't be had from {constants.ENDPOINT}.",
        advice=f"Run once with a connection (a mirror: HF_ENDPOINT); or bring the hub's cache of "
        f"another machine (HF_HOME); or bring {' or '.join(names)} and name it as "
        f"open_clip:MODEL//path/to/file.",
    )


def _usual_preprocessing(model: str) -> dict[str, Any]:
    from open_clip import get_pretrained_cfg, list_pretrained_tags_by_model

    tags = [get_pretrained_cfg(model, tag) for tag in list_pretrained_tags_by_model(model)]
    counted = Counter(json.dumps(_preprocessing(tag)) for tag in tags)
    return _preprocessing(json.loads(counted.most_common(1)[0][0])) if counted else {}


def _preprocessing(config: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: config[key] for key in _PREPROCESSING if config.get(key) is not None}
    return {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    by_lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(f'`{by_lower[each]}`' for each in near)}? " if near else ""


def _read_json(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_bytes()))


def _not_installed(package: str) -> NotInstalledError:
    return NotInstalledError(
        f"`open_clip:` needs the package `{package}`, which is not installed.",
        advice="pip install 'echolens[open-clip]'",
    )

"""A folder with an export: which of its files count, and what its JSON files say.

Gets: a folder. Gives: a `Layout`, or an error that names the missing file. Touches: the folder's
names, sizes and JSON files; all bytes only for a digest that nobody noted. Never: opens a model.

The layout is that of the hub's exports (transformers.js, optimum): ``config.json``,
``preprocessor_config.json``, ``tokenizer.json`` and one model file a tower, in ``onnx/`` or beside
them, with a suffix for its precision. `echolens encoders export` writes the same and puts an
``echolens`` object into ``config.json``: the space, how texts are cleaned, where it all came from,
and the size and SHA-256 of every file. Where digests are noted the fingerprint is made of them, so
that a search needn't read a quarter of a gigabyte; the sizes are compared, and the probe of the
first query tells the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from retrieval.errors import CorruptError, UsageError, WeightsMissingError
from retrieval.schema import Modality, Precision

CONFIG = "config.json"
KINDS = ("clip", "siglip")
_PREPROCESSOR = "preprocessor_config.json"
_TOKENIZER = "tokenizer.json"
_BESIDE = {"text": (_TOKENIZER,), "image": (_PREPROCESSOR,)}
_ALSO_READ = {"text": ("tokenizer_config.json", "special_tokens_map.json"), "image": ()}
_NAMES = {
    "text": ("text_model", "text_encoder"),
    "image": ("vision_model", "vision_encoder", "image_encoder"),
}
_PLACES = ("onnx/", "")
_TOWERS: tuple[Modality, ...] = ("text", "image")

# By the suffix of a model file: what it holds. Half precision is widened when it opens.
_SUFFIXES: Mapping[str, Precision] = {
    "": "fp32",
    "_int8": "int8",
    "_quantized": "int8",
    "_fp16": "fp32",
}
HALF = "_fp16"


@dataclass(frozen=True)
class Layout:
    """The files of an export that count.

    Attributes:
        folder: where they are.
        config: ``config.json``.
        towers: the model file of each modality that there is.
        precision: of the model files.
        half: whether their weights are kept in half precision.
    """

    folder: Path
    config: Mapping[str, Any]
    towers: Mapping[Modality, Path]
    precision: Precision
    half: bool

    @property
    def kind(self) -> str:
        """``clip`` or ``siglip``."""
        return str(self.config["model_type"])

    @property
    def noted(self) -> Mapping[str, Any]:
        """What `echolens encoders export` wrote; empty for an export from elsewhere."""
        return dict(self.config.get("echolens", {}))

    def part(self, name: str) -> Mapping[str, Any]:
        """``text_config`` or ``vision_config``; empty when the defaults are meant."""
        return dict(self.config.get(name) or {})

    def json(self, name: str) -> Mapping[str, Any]:
        """One of the folder's JSON files; empty when there is none of that name."""
        return read_json(self.folder / name) if (self.folder / name).is_file() else {}

    @cached_property
    def fingerprint(self) -> str:
        """64 hex digits: SHA-256 over names and digests of the files that count."""
        noted = self.noted.get("files", {})
        digests = []
        for path in self._files():
            name = path.relative_to(self.folder).as_posix()
            told = noted.get(name)
            digests.append((name, told["sha256"] if told else sha256(path)))
        return hashlib.sha256(json.dumps(sorted(digests)).encode()).hexdigest()

    def check_sizes(self) -> None:
        """Compare with what was noted when the export was made.

        Raises:
            CorruptError: a file is missing or has another size.
        """
        for name, told in self.noted.get("files", {}).items():
            path = self.folder / name
            size = path.stat().st_size if path.is_file() else None
            if size != told["bytes"]:
                what = "is missing" if size is None else f"has {size} bytes, not {told['bytes']}"
                raise damaged(path, f"{what}, which it had when it was exported")

    def _files(self) -> Iterator[Path]:
        yield self.folder / CONFIG
        for modality, model in self.towers.items():
            beside = (*_BESIDE[modality], *_ALSO_READ[modality])
            yield from (path for name in beside if (path := self.folder / name).is_file())
            yield from model_files(model)


def find_layout(folder: Path, precision: Precision) -> Layout:
    """Look through a folder for towers of a precision; ``auto`` is the most exact there is.

    Raises:
        WeightsMissingError: it isn't there, or holds half an export.
        CorruptError: its JSON is none, or a file has another size than noted.
        UsageError: it is an export of something else, or not in this precision.
    """
    if not folder.is_dir():
        raise WeightsMissingError(
            f"There is no folder {folder} with an export.",
            advice="Make one with `echolens encoders export open_clip:MODEL/PRETRAINED FOLDER`.",
        )
    if not (folder / CONFIG).is_file():
        raise _half(folder, CONFIG)
    config = read_json(folder / CONFIG)
    if config.get("model_type") not in KINDS:
        raise UsageError(
            f"{folder} holds a model of type `{config.get('model_type')}`; `onnx:` serves "
            f"{' and '.join(KINDS)}.",
            advice="Choose an export of a CLIP or SigLIP model.",
        )
    suffix = _suffix(folder, precision)
    towers = {m: path for m in _TOWERS if (path := _tower(folder, m, suffix))}
    for modality in towers:
        for name in _BESIDE[modality]:
            if not (folder / name).is_file():
                raise _half(folder, name)
    layout = Layout(folder, config, towers, _SUFFIXES[suffix], half=suffix == HALF)
    layout.check_sizes()
    return layout


def files_to_fetch(names: list[str], precision: Precision) -> list[str]:
    """Of the files of a repository, those of an export: what to download."""
    suffix = _best(lambda name: name in names, precision)
    if suffix is None:
        return []
    towers = [found for m in _TOWERS if (found := _first(lambda n: n in names, m, suffix))]
    data = [name for name in names if any(name.startswith(f"{tower}_data") for tower in towers)]
    beside = [name for m in _TOWERS for name in (*_BESIDE[m], *_ALSO_READ[m]) if name in names]
    return [*towers, *data, *beside, CONFIG]


def model_files(model: Path) -> list[Path]:
    """A model file and the files of external data beside it."""
    data = sorted(model.parent.glob(f"{model.name}[._]data*"))
    return [model, *data]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        CorruptError: the file holds none.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, f"is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise damaged(path, "holds no JSON object")
    return found


def sha256(path: Path) -> str:
    """SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damaged(path: Path, what: str) -> CorruptError:
    """What to raise when a file of an export can't be right."""
    return CorruptError(f"{path} {what}.", advice="Export or download it again.")


def _suffix(folder: Path, precision: Precision) -> str:
    suffix = _best(lambda name: (folder / name).is_file(), precision)
    if suffix is not None:
        return suffix
    there = sorted(
        path.relative_to(folder).as_posix()
        for place in _PLACES
        for path in (folder / place).glob("*.onnx")
    )
    if _best(lambda name: (folder / name).is_file(), "auto") is not None:
        raise UsageError(
            f"{folder} has no towers in {precision}, only {', '.join(there)}.",
            advice="Leave the precision out, or export it again with --precision.",
        )
    both = " One file with both towers can't be served." if "model.onnx" in str(there) else ""
    raise WeightsMissingError(
        f"{folder} has no text_model.onnx or vision_model.onnx, in onnx/ or beside its "
        f"config.json; it has {', '.join(there) or 'no model at all'}.{both}",
        advice="Export or download it again, a file for each tower.",
    )


def _best(is_there: Any, precision: Precision) -> str | None:
    """The suffix of the most exact towers of a precision; two towers go before one."""
    wanted = [s for s, kept in _SUFFIXES.items() if precision in ("auto", kept)]
    found = {s: sum(bool(_first(is_there, m, s)) for m in _TOWERS) for s in wanted}
    order = [s for s in ("", HALF, "_int8", "_quantized") if found.get(s)]
    return max(order, key=lambda s: found[s], default=None)


def _first(is_there: Any, modality: Modality, suffix: str) -> str | None:
    names = (f"{p}{name}{suffix}.onnx" for p in _PLACES for name in _NAMES[modality])
    return next((name for name in names if is_there(name)), None)


def _tower(folder: Path, modality: Modality, suffix: str) -> Path | None:
    name = _first(lambda name: (folder / name).is_file(), modality, suffix)
    return folder / name if name else None


def _half(folder: Path, name: str) -> WeightsMissingError:
    return WeightsMissingError(
        f"{folder} holds half an export: it has no {name}.",
        advice="Export or download it again, with every file.",
    )

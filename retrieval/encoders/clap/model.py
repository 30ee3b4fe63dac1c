"""A model that is ready: transformers' ClapModel with its weights, feature extractor and tokenizer.

Gets: `Files` and a `Compute`. Gives: `Loaded`. Touches: the files. Never: random weights, a
connection.

The fingerprint is taken from the tensors as they were loaded, in fp32 and before they are cast, so
that it doesn't depend on where and in what they are used; and without their names, which
transformers changes between versions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrieval.errors import NotInstalledError, UsageError, WeightsMissingError
from retrieval.schema import Compute, FloatArray
from retrieval.torch_compute import dtype_of, is_out_of_memory, too_small

from .files import CONFIG, Files

# What the tokenizer makes of these stands for it in the fingerprint. Never to be changed.
_TOKENIZED = (
    "",
    "The sound of 3 dogs, barking; isn't it LOUD?",
    "naïve café – Straße, Ωmega, Москва",
    "海浪拍打岩石的声音。",
)
_MADE_ANEW = ("relative_position_index", "position_ids", "token_type_ids")
_PREPARED_BY = (
    "feature_size",
    "sampling_rate",
    "hop_length",
    "max_length_s",
    "fft_window_size",
    "padding_value",
    "frequency_min",
    "frequency_max",
    "top_db",
    "truncation",
    "padding",
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready.

    Attributes:
        module: transformers' ClapModel, on its device and in its precision.
        extractor: its ClapFeatureExtractor.
        tokenizer: its tokenizer.
        device, dtype: of what goes into the module.
        fingerprint: SHA-256 of tensors (as fp32), preprocessing and tokenizer.
    """

    module: Any
    extractor: Any
    tokenizer: Any
    device: str
    dtype: Any
    fingerprint: str

    def hear(self, windows: Sequence[FloatArray]) -> FloatArray:
        """(n, dim) float32, norm 1, of windows no longer than the model takes at once."""
        import torch

        told = self.extractor(
            list(windows), sampling_rate=self.extractor.sampling_rate, return_tensors="np"
        )
        spectra = torch.from_numpy(np.asarray(told["input_features"], np.float32))
        # None is longer than a window. Left to itself, the extractor picks one by chance that is.
        longer = torch.zeros((len(windows), 1), dtype=torch.bool, device=self.device)
        with torch.inference_mode():
            given = self.module.get_audio_features(
                input_features=spectra.to(self.device, self.dtype), is_longer=longer
            )
        return _unit(given)

    def read(self, tokens: Any) -> FloatArray:
        """(n, dim) float32, norm 1, of tokenised texts."""
        import torch

        with torch.inference_mode():
            given = self.module.get_text_features(
                input_ids=tokens["input_ids"].to(self.device),
                attention_mask=tokens["attention_mask"].to(self.device),
            )
        return _unit(given)


def load(files: Files, compute: Compute, tokenizer: Any) -> Loaded:
    """Load a model.

    Raises:
        NotInstalledError: a package of the extra isn't here.
        WeightsMissingError: the files aren't here, can't be had, or are damaged.
        UsageError: the weights are of another model, or it is larger than the device.
    """
    check_installed()
    if compute.threads:
        import torch

        torch.set_num_threads(compute.threads)
    with quiet():
        module, extractor = _module(files), _extractor(files)
    about = [
        {key: getattr(extractor, key) for key in _PREPARED_BY},
        tokenizer(list(_TOKENIZED)).input_ids,
    ]
    fingerprint = _fingerprint(module.state_dict(), about)
    dtype = dtype_of(compute)
    try:
        module = module.eval().requires_grad_(False).to(compute.device, dtype)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise too_small(compute.device, f"`clap:{files.named}`") from error
        raise
    return Loaded(module, extractor, tokenizer, compute.device, dtype, fingerprint)


def load_tokenizer(files: Files) -> Any:
    """The tokenizer alone.

    Raises:
        NotInstalledError, WeightsMissingError: as `load`.
    """
    check_installed()
    from transformers import AutoTokenizer

    _ = files.config  # refuses another kind of model, which would have another tokenizer
    try:
        with quiet():
            return AutoTokenizer.from_pretrained(str(files.folder), local_files_only=True)
    except Exception as error:  # transformers and tokenizers: each its own kinds
        raise _damaged(files, "holds no tokenizer that can be read", error) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from drawing bars and from telling a user of this program what it sees."""
    from transformers.utils import logging

    log: Any = logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def _module(files: Files) -> Any:
    """ClapModel in fp32 on the processor, every one of its weights loaded."""
    import torch
    from transformers import ClapModel

    try:
        module, told = ClapModel.from_pretrained(
            str(files.folder),
            local_files_only=True,
            output_loading_info=True,
            dtype=torch.float32,
        )
    except Exception as error:  # transformers, torch, safetensors, pickle: each its own kinds
        raise _damaged(files, "holds no weights that can be loaded", error) from error
    missing = [name for name in told["missing_keys"] if not name.endswith(_MADE_ANEW)]
    wrong = missing or [str(each) for each in told["mismatched_keys"]]
    if wrong:
        raise UsageError(
            f"The weights in {files.folder} are not of the model that its {CONFIG} describes: "
            f"{len(wrong)} are missing or of another size, as `{sorted(wrong)[0]}`.",
            advice="Bring weights and configuration of one model; random ones are not taken.",
        )
    return module


def _extractor(files: Files) -> Any:
    from transformers import ClapFeatureExtractor

    try:
        return ClapFeatureExtractor(**files.preprocessing)
    except Exception as error:  # whatever a wrong value makes of it
        raise _damaged(files, "doesn't say how sounds are prepared", error) from error


def check_installed() -> None:
    """Refuse to go on without the packages of the extra.

    Raises:
        NotInstalledError: one isn't here.
    """
    for package in ("torch", "transformers"):
        try:
            __import__(package)
        except ImportError as error:
            raise NotInstalledError(
                f"`clap:` needs the package `{package}`, which is not installed.",
                advice="pip install 'echolens[clap]'",
            ) from error


def _damaged(files: Files, what: str, error: Exception) -> WeightsMissingError:
    reason = str(error).strip().partition("\n")[0][:200]
    return WeightsMissingError(
        f"{files.folder} {what} ({type(error).__name__}: {reason}).",
        advice="It is incomplete or damaged; copy or download it again.",
    )


def _unit(given: Any) -> FloatArray:
    """Rows of norm 1, made so in fp32, of what transformers gives (a tensor, or more since 5)."""
    import torch

    vectors = getattr(given, "pooler_output", given).float()
    rows: FloatArray = torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()
    return rows


def _fingerprint(tensors: Any, about: Any) -> str:
    digests = []
    for tensor in tensors.values():
        if tensor.is_floating_point():
            values = tensor.detach().float().cpu().numpy().astype("<f4", copy=False)
            shape = str(tuple(tensor.shape)).encode()
            digests.append(hashlib.sha256(shape + values.tobytes()).hexdigest())
    return hashlib.sha256(json.dumps([sorted(digests), about]).encode()).hexdigest()

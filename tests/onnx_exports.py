"""Small models with random weights whose exports tests read: one like CLIP, one like SigLIP.

Gets: a folder. Gives: encoder URLs and exports. Touches: that folder; open_clip's list of models
while a patch lasts. The exporter is slow, so `exports_of` makes each export once for all tests of a
process.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from indexer.aliases import Exported, export
from retrieval.schema import Precision
from retrieval.settings import Settings

CLIP, SIGLIP = "tests-tiny-clip", "tests-tiny-siglip"
_VISION = {"image_size": 64, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16}
_TEXT = {"width": 64, "heads": 2, "layers": 1}
_HALF = [0.5, 0.5, 0.5]


@cache
def home() -> Path:
    """A folder for this process's models and exports."""
    return Path(mkdtemp("echolens-exports"))


def add_models() -> None:
    """Make the two models known to open_clip in this process."""
    import open_clip

    for name, config in {CLIP: _clip(), SIGLIP: _siglip(home())}.items():
        path = home() / "configs" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(config))
        open_clip.add_model_config(path)


def url_of(model: str) -> str:
    """The URL of a model with random weights; `add_models` makes it known."""
    return f"open_clip:{model}/{_checkpoint(model)}"


def exports_of(model: str, precision: Precision = "fp32") -> Exported:
    """An export of a model, both towers; `add_models` must be in force."""
    return _export(model, precision)


@cache
def _export(model: str, precision: Precision) -> Exported:
    settings = Settings(home=home() / "none", threads=1)
    folder = home() / f"{model}-{precision}"
    return export(url_of(model), folder, precision=precision, settings=settings)


@cache
def _checkpoint(model: str) -> Path:
    from tests.encoders import random_checkpoint

    folder = home() / model
    folder.mkdir()
    if model == SIGLIP:
        settings = {"mean": _HALF, "std": _HALF, "resize_mode": "squash"}
        (folder / "open_clip_config.json").write_text(
            json.dumps({"model_cfg": {}, "preprocess_cfg": settings})
        )
    return random_checkpoint(model, folder)


def _clip() -> dict[str, object]:
    text = {**_TEXT, "context_length": 77, "vocab_size": 49408}
    return {"embed_dim": 64, "vision_cfg": _VISION, "text_cfg": text}


def _siglip(folder: Path) -> dict[str, object]:
    text = {
        **_TEXT,
        "context_length": 64,
        "vocab_size": 400,
        "hf_tokenizer_name": str(_tokenizer(folder / "tokenizer")),
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
    }
    return {"embed_dim": 64, "custom_text": True, "vision_cfg": _VISION, "text_cfg": text}


@cache
def _tokenizer(folder: Path) -> Path:
    """A tokenizer in the hub's form: bytes, a few merges, and an end token; padded with 0."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    folder.mkdir()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["a dog on the beach", "the red boat on the water"], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**settings, "eos_token": "<eos>", "model_max_length": 64})
    )
    return folder

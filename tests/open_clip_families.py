"""Every family of open_clip as a folder with random weights, small enough to build in a second.

Gets: a folder to write into. Gives: `open_clip_config.json`, weights and tokenizer of a family, as
`open_clip:local-dir:` and open_clip itself read them. Touches: that folder. Never: a network.

A family's configuration is that of one of open_clip's models, shrunk: fewer layers, narrower ones;
what makes the family (towers, pooling, tokenizer, masks, activation, preprocessing) stays. Towers
that come from timm are timm's own with fewer blocks; those that come from transformers are made by
its own configuration classes. Tokenizers are trained here on a few sentences. To all weights some
noise is added, since towers as they are initialised give every input nearly the same vector.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from retrieval.probes import background_sentences, probe_inputs

NOISE = 0.04
TEXT = {"width": 128, "heads": 4, "layers": 2}
VIT = {"depth": 2, "embed_dim": 192, "num_heads": 3}


@dataclass(frozen=True)
class Family:
    """A family.

    Attributes:
        model: the model of open_clip that it is shrunk from.
        text, vision: replace settings of the model's ``text_cfg`` and ``vision_cfg``.
        timm: replace arguments of the model's tower in timm.
        tokenizer: ``clip`` (open_clip's own), or how one is made: ``unigram``, ``wordpiece``.
        tower: the kind of the text tower that transformers brings.
        top: replace settings of the model itself.
    """

    model: str
    text: Mapping[str, Any] = field(default_factory=dict)
    vision: Mapping[str, Any] = field(default_factory=dict)
    timm: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: str = "clip"
    tower: str | None = None
    top: Mapping[str, Any] = field(default_factory=dict)


_OWN = {"width": 192, "layers": 2, "head_width": 64}
_RESNET = {"layers": [1, 1, 1, 1], "width": 16}
_SIGLIP = {"text": {**TEXT, "vocab_size": 600, "width": 192}, "timm": VIT, "tokenizer": "unigram"}
_SIGLIP_TOP = {"embed_dim": 192}
_HF: dict[str, Any] = {"vision": _OWN, "tokenizer": "unigram"}
_FASTVIT = {"layers": (1, 1, 1, 1), "embed_dims": (16, 32, 64, 128)}
_EOS = {**TEXT, "vocab_size": 600, "eos_id": 2}

FAMILIES: Mapping[str, Family] = {
    "CLIP ViT": Family("ViT-S-32-alt", TEXT, _OWN),
    "CLIP ViT, QuickGELU": Family("ViT-B-32-quickgelu", TEXT, _OWN),
    "CLIP ResNet": Family("RN50", TEXT, _RESNET),
    "CLIP ResNet, QuickGELU": Family("RN50-quickgelu", TEXT, _RESNET),
    "DFN": Family("ViT-B-16-quickgelu", TEXT, _OWN),
    "timm ViT": Family("vit_medium_patch16_gap_256", TEXT, timm=VIT),
    "timm ViT, relative positions": Family("vit_relpos_medium_patch16_cls_224", TEXT, timm=VIT),
    "Swin": Family(
        "swin_base_patch4_window7_224",
        TEXT,
        timm={"depths": (1, 1, 1, 1), "embed_dim": 32, "num_heads": (1, 2, 4, 8)},
    ),
    "ConvNeXt": Family(
        "convnext_base", TEXT, timm={"depths": (1, 1, 1, 1), "dims": (24, 48, 96, 192)}
    ),
    "ConvNeXt, MLP head": Family(
        "convnext_large_d", TEXT, timm={"depths": (1, 1, 1, 1), "dims": (24, 48, 96, 192)}
    ),
    "SigLIP": Family("ViT-B-16-SigLIP", **_SIGLIP, top=_SIGLIP_TOP),
    "SigLIP i18n": Family("ViT-B-16-SigLIP-i18n-256", **_SIGLIP, top=_SIGLIP_TOP),
    "SigLIP2": Family("ViT-B-32-SigLIP2-256", **_SIGLIP, top=_SIGLIP_TOP),
    "CoCa": Family(
        "coca_ViT-B-32", TEXT, {**_OWN, "attn_pooler_heads": 4}, top={"multimodal_cfg": TEXT}
    ),
    "CoCa, three towers": Family("coca_base", TEXT, _OWN, top={"multimodal_cfg": TEXT}),
    "CoCa RoBERTa": Family(
        "coca_roberta-ViT-B-32",
        {"width": 64},
        _OWN,
        tokenizer="unigram",
        tower="roberta",
        top={"multimodal_cfg": {"context_length": 76, "width": 64, "heads": 4, "layers": 1}},
    ),
    "EVA": Family("EVA01-g-14", TEXT, timm=VIT),
    "EVA02": Family("EVA02-B-16", TEXT, timm=VIT),
    "MobileCLIP": Family("MobileCLIP-S1", TEXT, timm=_FASTVIT),
    "MobileCLIP-B": Family("MobileCLIP-B", TEXT, timm={"depth": 1}),
    "MobileCLIP2": Family("MobileCLIP2-S0", TEXT, timm=_FASTVIT),
    "MobileCLIP2, five stages": Family(
        "MobileCLIP2-S3",
        TEXT,
        timm={"layers": (1, 1, 1, 1, 1), "embed_dims": (16, 32, 64, 128, 256)},
    ),
    "MobileCLIP2-L": Family("MobileCLIP2-L-14", TEXT, timm=VIT),
    "PE-Core": Family("PE-Core-T-16-384", TEXT, timm=VIT),
    "ViTamin": Family("ViTamin-S", TEXT, timm={"depth": 2}),
    "CLIPA": Family("ViT-H-14-CLIPA", {**TEXT, "vocab_size": 600}, _OWN, tokenizer="wordpiece"),
    "MetaCLIP 2 worldwide": Family("ViT-H-14-worldwide", _EOS, _OWN, tokenizer="unigram"),
    "MetaCLIP 2 worldwide, QuickGELU": Family(
        "ViT-H-14-worldwide-quickgelu", _EOS, _OWN, tokenizer="unigram"
    ),
    "XLM-R": Family("xlm-roberta-base-ViT-B-32", tower="xlm-roberta", **_HF),
    "RoBERTa": Family("roberta-ViT-B-32", tower="roberta", **_HF),
    "mT5": Family("mt5-base-ViT-B-32", tower="mt5", **_HF),
    "NLLB-CLIP": Family("nllb-clip-base", tower="m2m_100", **_HF),
    "NLLB-CLIP, SigLIP": Family(
        "nllb-clip-base-siglip", timm=VIT, tokenizer="unigram", tower="m2m_100", top=_SIGLIP_TOP
    ),
}


def build(family: Family, folder: Path) -> Path:
    """Write a family into a new folder; gives the folder."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps(configuration(family, folder)))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = open_clip.create_model(f"local-dir:{folder}", pretrained_text=False)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn_like(parameter) * NOISE)
            _settle(module)
    tensors = {name: tensor.contiguous().clone() for name, tensor in module.state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors")
    return folder


def _settle(module: Any) -> None:
    """Give batch norms the statistics of some pictures; with none, all pictures come out alike."""
    import torch

    norms = [m for m in module.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    for norm in norms:
        norm.momentum = None
    size = module.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    coarse = torch.randn(6, 3, 5, 5)
    module.visual.train()(torch.nn.functional.interpolate(coarse, (height, width)))
    module.eval()


def configuration(family: Family, folder: Path) -> dict[str, Any]:
    """What ``open_clip_config.json`` says; writes the tokenizer and what a text tower needs."""
    import open_clip

    model = open_clip.get_model_config(family.model)
    text, vision = model["text_cfg"], model["vision_cfg"]
    text.update(family.text)
    vision.update(family.vision)
    model.update(family.top)
    if family.timm:
        vision["timm_model_name"] = _shrunk(vision["timm_model_name"], dict(family.timm))
    if family.tokenizer != "clip":
        _TOKENIZERS[family.tokenizer](folder)
    if family.tower:
        text["hf_model_name"] = str(_write_tower(family.tower, folder / "tower"))
    tags = open_clip.list_pretrained_tags_by_model(family.model)
    about = open_clip.get_pretrained_cfg(family.model, tags[0]) if tags else {}
    keys = ("mean", "std", "interpolation", "resize_mode")
    preprocessing = {key: about[key] for key in keys if about.get(key) is not None}
    return {"model_cfg": model, "preprocess_cfg": preprocessing}


def know_shrunk_towers() -> None:
    """Make the shrunk towers known to this process's timm, for folders that another one wrote."""
    import open_clip

    for family in FAMILIES.values():
        if family.timm:
            vision = open_clip.get_model_config(family.model)["vision_cfg"]
            _shrunk(vision["timm_model_name"], dict(family.timm))


def _shrunk(name: str, arguments: dict[str, Any]) -> str:
    """The name of a model of timm that is another one with fewer or narrower blocks."""
    import timm.models

    made = f"echolens_{name}"
    if not timm.is_model(made):
        entry = partial(_build_shrunk, name, arguments)
        entry.__name__ = made  # type: ignore[attr-defined]
        entry.__module__ = __name__
        timm.models.register_model(entry)
        sys.modules[__name__].__dict__.setdefault("default_cfgs", {})
    return made


def _build_shrunk(name: str, arguments: Mapping[str, Any], **options: Any) -> Any:
    import timm

    for ours in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        options.pop(ours, None)
    return timm.create_model(name, **{**options, **arguments})


def _write_tower(kind: str, folder: Path) -> Path:
    """The configuration of a text tower of transformers."""
    from transformers import AutoConfig

    sizes: dict[str, Any] = {
        "vocab_size": 600,
        "pad_token_id": 1 if kind != "mt5" else 0,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 90,
    }
    if kind == "mt5":
        sizes |= {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4}
    if kind == "m2m_100":
        sizes |= {"d_model": 64, "encoder_layers": 2, "decoder_layers": 1}
        sizes |= {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
        sizes |= {"encoder_ffn_dim": 128, "decoder_ffn_dim": 128}
    AutoConfig.for_model(kind, **sizes).save_pretrained(folder)
    return folder


def _unigram(folder: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=500, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>"
    )
    tokenizer.train_from_iterator(_sentences(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    _save(tokenizer, {**names, "sep_token": "</s>"}, folder)


def _wordpiece(folder: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=500, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    )
    tokenizer.train_from_iterator(_sentences(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
    _save(tokenizer, {**names, "sep_token": "[SEP]"}, folder)


def _save(tokenizer: Any, names: Mapping[str, str], folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


def _sentences() -> list[str]:
    return [*background_sentences(), *probe_inputs("text")]


_TOKENIZERS: Mapping[str, Callable[[Path], None]] = {"unigram": _unigram, "wordpiece": _wordpiece}

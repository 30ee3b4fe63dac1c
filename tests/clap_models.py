"""CLAP models with random weights, small enough to build in a second.

Gets: a folder to write into. Gives: the files that `clap:/path` and transformers itself read.
Touches: that folder. Never: a network.

What makes the family (a Swin of spectra, batch norm over the bands, RoBERTa, repeated padding)
stays; layers are fewer and narrower, the tokenizer is trained here on a few sentences. To all
weights some noise is added, and batch norm gets the statistics of the built-in sounds, since a
model as it is initialised gives every input nearly the same vector.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from retrieval.probes import background_sentences, probe_inputs
from retrieval.sounds import at_rate

DIM = 32
NOISE = 0.12
RATE = 48_000
_TEXT = {
    "vocab_size": 600,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 66,
}
_AUDIO = {
    "patch_embeds_hidden_size": 16,
    "depths": [1, 1],
    "num_attention_heads": [2, 4],
    "num_hidden_layers": 2,
    "hidden_size": 32,
}


def build(folder: Path, *, fused: bool = False, seed: int = 0) -> Path:
    """Write a model into a new folder; gives the folder.

    Args:
        folder: is made.
        fused: of the kind that fuses four views of a long sound.
        seed: of the random weights.
    """
    import torch
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    fusion = {"enable_fusion": True, "fusion_type": "aff_2d"} if fused else {}
    config = ClapConfig(text_config=_TEXT, audio_config={**_AUDIO, **fusion}, projection_dim=DIM)
    extractor = ClapFeatureExtractor(truncation="fusion" if fused else "rand_trunc")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = ClapModel(config)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn_like(parameter) * NOISE)
        _settle(module, spectra(extractor))
    module.save_pretrained(folder)
    extractor.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


def spectra(extractor: Any) -> Any:
    """What a model is given of the built-in sounds' first ten seconds."""
    heard = [at_rate(sound, RATE)[: extractor.nb_max_samples] for sound in probe_inputs("audio")]
    return extractor(heard, sampling_rate=RATE, return_tensors="pt")["input_features"].float()


def _settle(module: Any, sounds: Any) -> None:
    import torch

    norms = [m for m in module.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None
    longer = torch.ones((len(sounds), 1), dtype=torch.bool)
    with torch.no_grad():
        module.train().get_audio_features(input_features=sounds, is_longer=longer)
    module.eval()


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    marks = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=marks, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([*background_sentences(), *probe_inputs("text")], trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    names |= {"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)


def noise(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(n,) float32 of soft noise."""
    random = np.random.default_rng(seed)
    return (0.1 * random.standard_normal(round(seconds * rate))).astype(np.float32)

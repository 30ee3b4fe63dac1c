"""Encoders that went wrong in silence: each one claims the right fingerprint and space.

Gets: an encoder URL. Gives: the sound encoder, or one of its mutants for a while. Touches: the
libraries under it (Torch's and open_clip's classes, onnxruntime's sessions), put back afterwards.

Where a mutant strikes: in the pixels as they reach the model, in the tokens, in the weights as they
are read, between two layers, or in what comes out. Nothing of it looks into our own encoders, so
that only the libraries' real objects are spoilt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from retrieval import registry
from retrieval.protocols import Encoder
from retrieval.schema import Compute, FloatArray, Modality, Role
from tests.encoders import HashEncoder, random_checkpoint

MODEL = "ViT-S-32-alt"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_OVERFLOWS_AT = 0.5  # activations of these small models seldom reach 65504 by themselves

Rows = Callable[[FloatArray], FloatArray]
Spoil = Callable[["Subject"], AbstractContextManager[Encoder]]


class Subject:
    """A sound encoder and where its weights lie.

    open_clip computes in fp32 unless told otherwise: bf16 rounds away what another mean changes.
    """

    def __init__(self, scheme: str, folder: Path, compute: Compute | None = None) -> None:
        compute = compute or Compute(precision="fp32" if scheme == "open_clip" else "auto")
        self.scheme = scheme
        self.folder = folder
        self.compute = compute
        self.sound: Encoder
        self.url = f"{scheme}:"
        if scheme == "hash":
            self.url, self.sound = "hash:roles", HashEncoder("roles")
            return
        if scheme == "open_clip":
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{MODEL}.pt"
            self.url += f"{MODEL}/{path if path.exists() else random_checkpoint(MODEL, folder)}"
        self.sound = registry.open_encoder(self.url, compute)

    def another(self, url: str | None = None) -> Spoilt:
        """An encoder of its own, under the sound one's name."""
        return Spoilt(registry.open_encoder(url or self.url, self.compute), self.sound)


class Spoilt:
    """`inner` under the name of `sound`; `rows` spoils what comes out."""

    def __init__(self, inner: Encoder, sound: Encoder, rows: Rows | None = None) -> None:
        self.inner, self.rows = inner, rows
        self.space, self.fingerprint = sound.space, sound.fingerprint
        self.wants, self.compute = sound.wants, sound.compute
        self.location, self.batch_size = sound.location, sound.batch_size
        self.tolerance, self.unread = sound.tolerance, sound.unread

    def encode(self, modality: Modality, inputs: Sequence[Any], *, role: Role) -> FloatArray:
        with np.errstate(all="ignore"):
            rows = self.inner.encode(modality, inputs, role=role)
            return self.rows(rows.copy()) if self.rows else rows


# ------------------------------------------------------------- in what comes out


def _rows(spoil: Rows) -> Spoil:
    @contextmanager
    def mutant(subject: Subject) -> Iterator[Encoder]:
        yield Spoilt(subject.sound, subject.sound, spoil)

    return mutant


def _constant(rows: FloatArray) -> FloatArray:
    rows[:] = np.float32(rows.shape[1] ** -0.5)
    return rows


def _nan_in_the_first(rows: FloatArray) -> FloatArray:
    rows[:1] = np.nan
    return rows


EVERYWHERE: dict[str, Spoil] = {
    "constant output": _rows(_constant),
    "the first row for all": _rows(lambda rows: np.repeat(rows[:1], len(rows), axis=0)),
    "the last row for all": _rows(lambda rows: np.repeat(rows[-1:], len(rows), axis=0)),
    "rows shifted by one": _rows(lambda rows: np.roll(rows, 1, axis=0)),
    "not normalised": _rows(lambda rows: rows * np.float32(7.3)),
    "NaN in one row": _rows(_nan_in_the_first),
}


# ------------------------------------------------------------- inside open_clip


def _spoilt_pixels(spoil: Callable[[Any, Any], Any]) -> Spoil:
    """`spoil(normalize, tensor)` in place of torchvision's ``Normalize``; tensors are (3, h, w)."""

    @contextmanager
    def mutant(subject: Subject) -> Iterator[Encoder]:
        from torchvision.transforms import Normalize

        with patch.object(Normalize, "forward", spoil):
            yield Spoilt(subject.sound, subject.sound)

    return mutant


def _bgr(normalize: Any, tensor: Any) -> Any:
    from torchvision.transforms.functional import normalize as normalized

    return normalized(tensor.flip(0), normalize.mean, normalize.std)


def _imagenet(normalize: Any, tensor: Any) -> Any:
    from torchvision.transforms.functional import normalize as normalized

    return normalized(tensor, *IMAGENET)


@contextmanager
def _clipa_tokenizer(subject: Subject) -> Iterator[Encoder]:
    """CLIP's own, but without punctuation, as CLIPA and SigLIP clean their texts."""
    from open_clip.tokenizer import SimpleTokenizer

    with patch.object(SimpleTokenizer, "__call__", SimpleTokenizer(clean="canonicalize").__call__):
        yield Spoilt(subject.sound, subject.sound)


@contextmanager
def _another_seed(subject: Subject) -> Iterator[Encoder]:
    folder = subject.folder / "another"
    folder.mkdir(exist_ok=True)
    path = folder / f"{MODEL}.pt"
    if not path.exists():
        random_checkpoint(MODEL, folder, seed=1)
    yield subject.another(f"open_clip:{MODEL}/{path}")


@contextmanager
def _half_between_blocks(subject: Subject) -> Iterator[Encoder]:
    from open_clip.transformer import ResidualAttentionBlock

    forward = ResidualAttentionBlock.forward

    def overflowing(block: Any, *inputs: Any, **options: Any) -> Any:
        scale = 65504 / _OVERFLOWS_AT
        return (forward(block, *inputs, **options) * scale).half().float() / scale

    with patch.object(ResidualAttentionBlock, "forward", overflowing):
        yield Spoilt(subject.sound, subject.sound)


# ------------------------------------------------------------- inside onnxruntime


class _Session:
    """A session whose inputs or outputs are spoilt on their way."""

    def __init__(self, inner: Any, pixels: Rows | None = None, outputs: Rows | None = None) -> None:
        self.inner, self.pixels, self.outputs = inner, pixels, outputs

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def run(self, names: Any, feeds: dict[str, Any], *rest: Any) -> Any:
        if self.pixels:
            feeds = {k: self.pixels(v) if v.ndim == 4 else v for k, v in feeds.items()}
        found = self.inner.run(names, feeds, *rest)
        return [self.outputs(rows) for rows in found] if self.outputs else found


def _spoilt_sessions(
    pixels: Rows | None = None,
    outputs: Rows | None = None,
    model: Callable[[bytes], bytes] | None = None,
) -> Spoil:
    @contextmanager
    def mutant(subject: Subject) -> Iterator[Encoder]:
        import onnxruntime

        right = onnxruntime.InferenceSession

        def opened(path: str, *rest: Any, **options: Any) -> Any:
            session = right(model(Path(path).read_bytes()) if model else path, *rest, **options)
            return _Session(session, pixels, outputs)

        with patch.object(onnxruntime, "InferenceSession", opened):
            yield subject.another()

    return mutant


def _imagenet_pixels(pixels: FloatArray) -> FloatArray:
    """From (x - 127) / 128 to what ImageNet's models take; (n, 3, h, w)."""
    mean, std = (np.array(values, np.float32)[:, None, None] for values in IMAGENET)
    return ((pixels * 128 + 127) / 255 - mean) / std


def _through_half(rows: FloatArray) -> FloatArray:
    scale = np.float32(65504 / _OVERFLOWS_AT)
    return (rows * scale).astype(np.float16).astype(np.float32) / scale


@contextmanager
def _cased_tokenizer(subject: Subject) -> Iterator[Encoder]:
    """A tokenizer that keeps capitals, with a vocabulary that has none."""
    from tokenizers import normalizers

    right = normalizers.BertNormalizer

    def cased(**options: Any) -> Any:
        return right(**{**options, "lowercase": False})

    with patch.object(normalizers, "BertNormalizer", cased):
        yield subject.another()


def _other_weights(model: bytes) -> bytes:
    """An ONNX file with each larger tensor's numbers rolled on by half: the same shapes."""
    data = bytearray(model)
    for _, graph_start, graph_end in _messages(data, 0, len(data), 7):  # ModelProto.graph
        for _, start, end in _messages(data, graph_start, graph_end, 5):  # GraphProto.initializer
            for _, first, last in _messages(data, start, end, 9):  # TensorProto.raw_data
                half = (last - first) // 8 * 4
                if last - first >= 4096:
                    data[first:last] = data[first + half : last] + data[first : first + half]
    return bytes(data)


def _messages(data: bytearray, start: int, end: int, wanted: int) -> Iterator[tuple[int, int, int]]:
    """(field, start, end) of the length-delimited fields of a number in a protobuf message."""
    while start < end:
        tag, start = _varint(data, start)
        kind, field = tag & 7, tag >> 3
        if kind == 0:
            _, start = _varint(data, start)
        elif kind == 2:
            length, start = _varint(data, start)
            if field == wanted:
                yield field, start, start + length
            start += length
        else:
            start += {1: 8, 5: 4}[kind]


def _varint(data: bytearray, start: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[start]
        start += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, start


# ------------------------------------------------------------- the table


@contextmanager
def _swapped(subject: Subject) -> Iterator[Encoder]:
    yield Spoilt(HashEncoder("roles,swapped"), subject.sound)


OF_SCHEME: dict[str, dict[str, Spoil]] = {
    "hash": {"swapped roles": _swapped},
    "open_clip": {
        "BGR for RGB": _spoilt_pixels(_bgr),
        "wrong mean and std": _spoilt_pixels(_imagenet),
        "wrong tokenizer": _clipa_tokenizer,
        "another checkpoint": _another_seed,
        "half-precision overflow": _half_between_blocks,
    },
    "starter": {
        "BGR for RGB": _spoilt_sessions(pixels=lambda pixels: pixels[:, ::-1].copy()),
        "wrong mean and std": _spoilt_sessions(pixels=_imagenet_pixels),
        "wrong tokenizer": _cased_tokenizer,
        "another checkpoint": _spoilt_sessions(model=_other_weights),
        "half-precision overflow": _spoilt_sessions(outputs=_through_half),
    },
}
MUTANTS = [
    (scheme, name) for scheme, inside in OF_SCHEME.items() for name in [*EVERYWHERE, *inside]
]
# What a query can't show since it never gets there: nor is its answer any worse.
UNSEEN: dict[str, set[Modality]] = {
    "BGR for RGB": {"text"},
    "wrong mean and std": {"text"},
    "wrong tokenizer": {"image"},
}


def mutant(subject: Subject, name: str) -> AbstractContextManager[Encoder]:
    """One of a subject's mutants, while the context lasts."""
    return (EVERYWHERE | OF_SCHEME[subject.scheme])[name](subject)

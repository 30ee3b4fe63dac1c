"""What `open_clip:` computes with: chosen, shown, within its tolerance, and small enough."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cli.options import PRECISIONS
from retrieval import torch_compute
from retrieval.encoders.open_clip import OpenClipEncoder, compute
from retrieval.errors import UsageError
from retrieval.probes import check_vectors, probe_inputs
from retrieval.schema import Compute, FloatArray, Precision
from tests.open_clip_families import FAMILIES, build

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

PICTURES = list(probe_inputs("image"))
TEXTS = list(probe_inputs("text"))
# One of each kind of layer that is cast or quantised in a way of its own: convolutions and batch
# norms, a projection that open_clip looks at, weights that a tower multiplies itself, T5.
KINDS = ("CLIP ViT", "CLIP ResNet", "SigLIP", "EVA", "MobileCLIP2", "mT5")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = build(FAMILIES["CLIPA"], tmp_path_factory.mktemp("tiny") / "model")
    yield f"local-dir:{folder}"
    (folder / "open_clip_model.safetensors").unlink()


def both(encoder: OpenClipEncoder) -> tuple[FloatArray, FloatArray]:
    return (
        encoder.encode("image", PICTURES, role="document"),
        encoder.encode("text", TEXTS, role="query"),
    )


@pytest.mark.parametrize("family", KINDS)
def test_every_precision_keeps_to_its_tolerance(family: str, tmp_path: Path) -> None:
    folder = build(FAMILIES[family], tmp_path / "model")
    exact = OpenClipEncoder(f"local-dir:{folder}", Compute("cpu", "fp32"))
    for precision in ("bf16", "int8"):
        encoder = OpenClipEncoder(f"local-dir:{folder}", Compute("cpu", precision))
        for vectors, found in zip(both(exact), both(encoder), strict=True):
            np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
            tolerance = encoder.tolerance("image")
            check_vectors(vectors, found, where=precision, tolerance=tolerance)
            if precision == "bf16":  # made in bf16, asked in fp32
                tolerance = exact.tolerance("image")
                check_vectors(found, vectors, where="fp32", tolerance=tolerance)
        assert encoder.fingerprint == exact.fingerprint


@pytest.mark.parametrize(("quick", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_what_the_processor_is_quick_in(
    quick: bool, precision: Precision, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_compute, "_is_quick_in_bf16", lambda _: quick)
    encoder = OpenClipEncoder(tiny, Compute("cpu"))
    assert encoder.compute == Compute("cpu", precision)
    assert str(encoder.compute) == f"cpu, {precision}"
    dtypes = {parameter.dtype for parameter in encoder._loaded.module.parameters()}
    assert dtypes == {torch.bfloat16 if quick else torch.float32}


def test_int8_where_torch_has_left_it_out(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.ao.quantization", None)
    with pytest.raises(UsageError, match="can't compute in int8") as caught:
        OpenClipEncoder(tiny, Compute("cpu", "int8")).compute  # noqa: B018 - asking is the test
    assert "--precision bf16" in caught.value.advice


def test_int8_on_another_device_than_a_processor() -> None:
    with pytest.raises(UsageError, match="on a processor only, not on `meta`"):
        compute.resolve(Compute("meta", "int8"))


def test_the_options_are_those_of_the_library() -> None:
    from typing import get_args

    assert get_args(Precision) == PRECISIONS


# Memory that is full.


class Cramped(torch.nn.Module):
    """A model whose device has room for so many rows at once."""

    def __init__(self, module: Any, rows: int) -> None:
        super().__init__()
        self.module = module
        self.rows = rows
        self.sizes: list[int] = []

    def encode_text(self, batch: Any, *, normalize: bool) -> Any:
        self.sizes.append(len(batch))
        if len(batch) > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.module.encode_text(batch, normalize=normalize)


def cramped(location: str, rows: int) -> tuple[OpenClipEncoder, Cramped]:
    encoder = OpenClipEncoder(location, Compute("cpu", "fp32"))
    module = Cramped(encoder._loaded.module, rows)
    encoder.__dict__["_loaded"] = replace(encoder._loaded, module=module)
    return encoder, module


def test_a_batch_that_is_too_large_is_halved_and_told_once(
    tiny: str, caplog: pytest.LogCaptureFixture
) -> None:
    texts = [f"a photo of {number} dogs" for number in range(100)]
    expected = OpenClipEncoder(tiny, Compute("cpu", "fp32")).encode("text", texts, role="document")
    encoder, module = cramped(tiny, 10)
    with caplog.at_level(logging.WARNING, logger="echolens"):
        found = encoder.encode("text", texts, role="document")
        encoder.encode("text", texts, role="document")
    check_vectors(expected, found, where="halved", tolerance=0.99999)
    assert module.sizes[:3] == [32, 16, 8]
    assert max(module.sizes[3:]) == 8
    assert encoder.batch_size == 8
    assert [record.message for record in caplog.records] == [
        "The memory of cpu is full: going on with batches of 16 or less."
    ]


def test_memory_that_is_too_small_for_one_is_said(tiny: str) -> None:
    encoder, module = cramped(tiny, 0)
    with pytest.raises(UsageError, match="too small for one input") as caught:
        encoder.encode("text", ["a dog"] * 3, role="document")
    assert module.sizes == [3, 1]
    for option in ("--precision bf16", "--device cpu"):
        assert option in caught.value.advice


def test_another_error_of_the_model_is_not_taken_for_full_memory(tiny: str) -> None:
    encoder, module = cramped(tiny, 10)
    module.encode_text = None  # type: ignore[assignment]
    with pytest.raises(TypeError):
        encoder.encode("text", ["a dog"], role="document")


def test_one_of_many_is_the_same_alone_in_bf16(tiny: str) -> None:
    """Measured: 0.9998 for 48 layers; in fp32 the contract asks for 0.99999."""
    encoder = OpenClipEncoder(tiny, Compute("cpu", "bf16"))
    for modality, inputs in (("image", PICTURES), ("text", TEXTS)):
        many = encoder.encode(modality, inputs, role="document")
        alone = [encoder.encode(modality, [item], role="document") for item in inputs]
        check_vectors(np.concatenate(alone), many, where="bf16", tolerance=0.9995)

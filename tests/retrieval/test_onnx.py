"""`onnx:` gives what open_clip gives, without PyTorch, and refuses what isn't an export clearly.

The weights are random and made here: what is compared is the way to the vectors, not their worth.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from retrieval import registry
from retrieval.encoders.onnx import OnnxEncoder
from retrieval.encoders.onnx.folder import find_layout
from retrieval.encoders.onnx.texts import _UNTOUCHED_BY_FTFY, CLEANERS, Texts
from retrieval.errors import CorruptError, EcholensError, UsageError, WeightsMissingError
from retrieval.probes import check_vectors, probe_inputs
from retrieval.schema import Compute, Modality, Precision
from tests.onnx_exports import CLIP, SIGLIP, add_models, exports_of, url_of

pytestmark = pytest.mark.slow

TEXTS = [
    *probe_inputs("text"),
    "",
    " \t\n",
    "A photo of 3 dogs, running; isn't it GREAT? I'LL we'Ve",
    "naïve café – Straße, Ωmega, Москва, İstanbul, ﬁ ﬂ “quoted” don’t",
    "🙂🚲🏳️‍🌈 &amp; &lt;b&gt;x</b> &amp;lt;\ttab",
    "ｆｕｌｌ　ｗｉｄｔｈ，你好！",
    "हिन्दी اَلْعَرَبِيَّةُ ไทย 한국어 にほんご 𠮷 𞤀 ½ ² Ⅷ ٣",
    "sÃ©ance, schÃ¶n",
    "\0\x1b[31m \udcff lone",
    "<end_of_text> [CLS] <|endoftext|> !<end_of_text> <end_of_text><END_OF_TEXT>",
    "a <start_of_text>b",
    "e\u0301 \u0085 \u2028 \u200b \u0345",
    "word " * 200,
    "x" * 5_000,
    "狗" * 5_000,
]
PICTURES = [
    *probe_inputs("image"),
    *(
        np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        for shape in [(1, 1), (7, 900), (900, 7), (65, 64), (64, 97), (640, 480)]
    ),
]


@pytest.fixture(scope="module", autouse=True)
def models() -> None:
    add_models()


@pytest.fixture(params=[CLIP, SIGLIP])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def encoder_of(model: str, precision: Precision = "fp32") -> OnnxEncoder:
    return OnnxEncoder(str(exports_of(model, precision).folder), Compute("cpu", threads=1))


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str], Path]:
    """Copies an export, for a test to spoil."""

    def copy(model: str) -> Path:
        return Path(shutil.copytree(exports_of(model).folder, tmp_path / "copy"))

    return copy


@pytest.fixture
def foreign(copied: Callable[[str], Path]) -> Callable[[str], Path]:
    """Copies an export as if another program had made it: nothing is noted of it."""

    def copy(model: str) -> Path:
        folder = copied(model)
        given = json.loads((folder / "config.json").read_text())
        del given["echolens"]
        given["model_type"] = "clip" if model == CLIP else "siglip"
        given["text_config"]["hidden_size"] = given["projection_dim"]
        (folder / "config.json").write_text(json.dumps(given))
        return folder

    return copy


# The vectors.


def test_an_export_gives_the_vectors_of_open_clip(model: str) -> None:
    theirs = registry.open_encoder(url_of(model), Compute("cpu", "fp32"))
    ours = encoder_of(model)
    inputs: dict[Modality, list[Any]] = {"text": TEXTS, "image": PICTURES}
    for modality, given in inputs.items():
        expected = theirs.encode(modality, given, role="document")
        found = ours.encode(modality, given, role="document")
        check_vectors(expected, found, where=model, tolerance=0.99999)
    assert ours.space == theirs.space
    assert ours.wants == theirs.wants
    long = "a dog and " * 30
    assert ours.unread(long) == theirs.unread(long)


def test_the_cosine_that_an_export_states_is_the_one_it_has(model: str) -> None:
    assert set(exports_of(model).cosines) == {"text", "image"}
    assert all(0.99999 < cosine < 1.00001 for cosine in exports_of(model).cosines.values())


def test_a_causal_text_may_be_cut_at_its_end_and_is() -> None:
    texts = Texts(find_layout(exports_of(CLIP).folder, "auto"))
    rows = texts.ids(["a dog", "two cats asleep on a mat"])
    assert texts.batch(rows).shape == (2, max(map(len, rows)))
    tower = onnxruntime.InferenceSession(exports_of(CLIP).folder / "onnx/text_model.onnx")
    (whole,) = tower.run(None, {"input_ids": texts.batch(rows, 77)})
    (cut,) = tower.run(None, {"input_ids": texts.batch(rows)})
    (zeros,) = tower.run(None, {"input_ids": np.where(texts.batch(rows, 77) == 49407, 0, 1)})
    np.testing.assert_allclose(cut, whole, atol=1e-6)
    assert not np.allclose(zeros, whole, atol=1e-3)  # the tower does look at what it is given


def test_a_text_for_siglip_is_padded_and_may_not_be_cut() -> None:
    layout = find_layout(exports_of(SIGLIP).folder, "auto")
    texts = Texts(layout)
    rows = texts.ids(["a dog"])
    ids = texts.batch(rows)
    assert ids.shape == (1, 64)
    assert len(rows[0]) < 64
    assert set(ids[0, len(rows[0]) :]) == {0}  # <pad>
    tower = onnxruntime.InferenceSession(layout.towers["text"])
    with pytest.raises(Exception, match="invalid dimensions"):
        tower.run(None, {"input_ids": ids[:, :-1]})
    (right,) = tower.run(None, {"input_ids": ids})
    (other,) = tower.run(None, {"input_ids": np.where(ids == 0, 1, ids)})
    assert not np.allclose(right, other, atol=1e-3)  # what it is padded with counts


def test_int8_is_close_small_and_does_not_mix_a_batch() -> None:
    exported = exports_of(CLIP, "int8")
    assert all(cosine > 0.99 for cosine in exported.cosines.values())
    assert exported.bytes < 0.5 * exports_of(CLIP).bytes
    encoder = encoder_of(CLIP, "int8")
    assert encoder.compute.precision == "int8"
    inputs: dict[Modality, list[Any]] = {"text": TEXTS, "image": PICTURES}
    for modality, given in inputs.items():
        one = [encoder.encode(modality, [item], role="query") for item in given]
        many = encoder.encode(modality, given, role="query")
        check_vectors(np.concatenate(one), many, where="int8", tolerance=0.99999)


# Texts.


def test_ids_are_those_of_open_clips_tokenizer(model: str) -> None:
    import open_clip

    texts = Texts(find_layout(exports_of(model).folder, "auto"))
    theirs = open_clip.get_tokenizer(model)
    numbers = random.Random(0)
    signs = [*range(32, 0x530), *range(0x4E00, 0x4E40), *range(0x1F600, 0x1F640), 0x200D, 0xFF0C]
    anything = [c for c in range(1, 0x30000) if not 0xD800 <= c < 0xE000]
    odd = [
        "".join(chr(numbers.choice(alphabet)) for _ in range(numbers.randint(1, 25)))
        for alphabet in (signs, anything)
        for _ in range(400)
    ]
    battery = [text.encode("utf-8", "replace").decode() for text in (*TEXTS[:-3], *odd)]
    battery = [" ".join(text.split()) for text in battery]  # as `open_clip:` does, too
    # Behind the end open_clip fills up with 0, where any id would do.
    filler = 0 if model == CLIP else texts.rules.pad
    for text, row, expected in zip(battery, texts.ids(battery), theirs(battery), strict=True):
        padded = [*row, *[filler] * (texts.rules.context - len(row))]
        assert padded == expected.tolist(), repr(text)


def test_the_shortcut_past_ftfy_is_for_texts_that_ftfy_leaves_alone() -> None:
    import ftfy

    numbers = random.Random(0)
    alphabet = [chr(c) for c in (*range(32, 127), *range(0x4E00, 0xA000), 0x3001, 0x3002)]
    passed = 0
    for _ in range(2_000):
        text = "".join(numbers.choices(alphabet, k=numbers.randint(0, 30)))
        if _UNTOUCHED_BY_FTFY.fullmatch(text):
            passed += 1
            assert ftfy.fix_text(text) == text
    assert passed > 500
    assert CLEANERS["whitespace"]("sÃ©ance") == "séance"


def test_siglips_own_tokenizer_drops_punctuation_and_case() -> None:
    assert CLEANERS["siglip"]("A_dog,  on the BEACH!") == "a dog on the beach"


# What is opened, and what is not.


@pytest.mark.parametrize("modality", ["text", "image"])
def test_one_modality_never_opens_the_others_tower(
    modality: Modality, copied: Callable[[str], Path]
) -> None:
    folder = copied(CLIP)
    other = {"text": "vision", "image": "text"}[modality]
    for path in (folder / "onnx").glob(f"{other}_model*"):
        path.write_bytes(bytes(path.stat().st_size))
    encoder = OnnxEncoder(str(folder))
    assert encoder.encode(modality, probe_inputs(modality), role="query").shape == (4, 64)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_one_tower_alone_takes_its_modality_only(
    modality: Modality, foreign: Callable[[str], Path]
) -> None:
    folder = foreign(CLIP)
    other = {"text": "vision", "image": "text"}[modality]
    for path in (folder / "onnx").glob(f"{other}_model*"):
        path.unlink()
    encoder = OnnxEncoder(str(folder))
    assert encoder.space.modalities == {modality}
    assert (encoder.wants.pixels is None) == (modality == "text")
    encoder.encode(modality, probe_inputs(modality), role="query")
    with pytest.raises(UsageError, match=f"takes {modality}, not "):
        encoder.encode("image" if modality == "text" else "text", ["x"], role="query")


def test_no_pytorch_is_loaded() -> None:
    code = (
        "import sys\n"
        "from retrieval.registry import open_encoder\n"
        "from retrieval.probes import probe_inputs\n"
        f"encoder = open_encoder({exports_of(CLIP).url!r})\n"
        "for m in ('text', 'image'):\n"
        "    print(encoder.encode(m, probe_inputs(m), role='query').shape)\n"
        "print({'torch', 'open_clip', 'transformers', 'huggingface_hub'} & sys.modules.keys())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(4, 64)\n(4, 64)\nset()\n"


# Exports that another program made.


def test_the_layout_of_the_hub_is_read_without_our_notes(
    model: str, foreign: Callable[[str], Path]
) -> None:
    folder = foreign(model)
    for path in (folder / "onnx").iterdir():  # some have them beside the config
        path.rename(folder / path.name)
    encoder = OnnxEncoder(str(folder))
    plain = ["a dog on the beach", "two cats", "the red boat"]  # cleaned or not, the same
    inputs: dict[Modality, list[Any]] = {"text": plain, "image": PICTURES}
    for modality, given in inputs.items():
        expected = encoder_of(model).encode(modality, given, role="query")
        found = encoder.encode(modality, given, role="query")
        check_vectors(expected, found, where=model, tolerance=0.99999)
    assert encoder.space.key.startswith(f"onnx-{folder.name}-")
    assert encoder.fingerprint != encoder_of(model).fingerprint


def test_the_fingerprint_is_of_every_file_that_counts(foreign: Callable[[str], Path]) -> None:
    folder = foreign(CLIP)
    seen = {OnnxEncoder(str(folder)).fingerprint}
    (folder / "README.md").write_text("of no account")
    assert OnnxEncoder(str(folder)).fingerprint in seen
    for name in ("preprocessor_config.json", "tokenizer.json", "onnx/vision_model.onnx_data"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data + b" ")
        seen.add(OnnxEncoder(str(folder)).fingerprint)
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("names", "asked", "chosen", "precision"),
    [
        (["", "_quantized"], "auto", "", "fp32"),
        (["", "_quantized"], "int8", "_quantized", "int8"),
        (["_int8", "_fp16"], "auto", "_fp16", "fp32"),
        (["_int8"], "auto", "_int8", "int8"),
    ],
)
def test_the_files_of_a_precision_are_chosen_by_their_names(
    names: list[str],
    asked: Precision,
    chosen: str,
    precision: Precision,
    foreign: Callable[[str], Path],
) -> None:
    folder = foreign(CLIP)
    for path in [*(folder / "onnx").glob("*.onnx")]:
        for name in names:
            (folder / "onnx" / f"{path.stem}{name}.onnx").write_bytes(path.read_bytes())
        if "" not in names:
            path.unlink()
    layout = find_layout(folder, asked)
    assert layout.towers["text"].name == f"text_model{chosen}.onnx"
    assert layout.precision == precision


# What is refused.


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _with(name: str, content: str | bytes) -> Callable[[Path], None]:
    data = content.encode() if isinstance(content, str) else content

    def write(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return write


def _edited(name: str, edit: Callable[[Any], Any]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        given = json.loads((folder / name).read_text())
        edit(given)
        (folder / name).write_text(json.dumps(given))

    return write


def _truncated(name: str, kept: float) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * kept)])

    return write


def _one_file(folder: Path) -> None:
    shutil.rmtree(folder / "onnx")
    (folder / "model.onnx").write_bytes(b"both")


def _other_settings(**given: Any) -> Callable[[Path], None]:
    return _edited("preprocessor_config.json", lambda settings: settings.update(given))


SPOILT: dict[str, tuple[Callable[[Path], None], type[EcholensError], str]] = {
    "no config": (_without("config.json"), WeightsMissingError, "half an export.*no config.json"),
    "no tokenizer": (_without("tokenizer.json"), WeightsMissingError, "has no tokenizer.json"),
    "no preprocessing": (
        _without("preprocessor_config.json"),
        WeightsMissingError,
        "has no preprocessor_config.json",
    ),
    "no model": (
        lambda folder: shutil.rmtree(folder / "onnx"),
        WeightsMissingError,
        "no text_model.onnx or vision_model.onnx.*no model at all",
    ),
    "one model for both": (_one_file, WeightsMissingError, "One file with both towers"),
    "no data": (_without("onnx/text_model.onnx_data"), CorruptError, "text_model.onnx"),
    "config no JSON": (_with("config.json", "{"), CorruptError, "config.json is not JSON"),
    "config a list": (_with("config.json", "[]"), CorruptError, "holds no JSON object"),
    "another type": (
        _with("config.json", '{"model_type": "bert"}'),
        UsageError,
        "type `bert`; `onnx:` serves clip and siglip",
    ),
    "no tokenizer at all": (_with("tokenizer.json", "{}"), CorruptError, "is no tokenizer"),
    "too large a tokenizer": (
        _edited("config.json", lambda given: given["text_config"].update(vocab_size=1000)),
        CorruptError,
        "doesn't belong.*it has 49408 tokens, the model knows 1000",
    ),
    "no end token": (
        _edited("tokenizer.json", lambda given: given.update(post_processor=None)),
        CorruptError,
        "puts no token at a text's end",
    ),
    "cut model": (_truncated("onnx/text_model.onnx", 0.5), CorruptError, "can't be opened"),
    "cut data": (_truncated("onnx/text_model.onnx_data", 0.5), CorruptError, "text_model.onnx"),
    "empty model": (_truncated("onnx/text_model.onnx", 0), CorruptError, "can't be opened"),
    "another dim": (
        _edited("config.json", lambda given: given.update(projection_dim=32)),
        CorruptError,
        r"shape \(64,\), its config.json says \(32,\)",
    ),
    "another size": (
        _other_settings(size={"height": 32, "width": 32}),
        CorruptError,
        "doesn't take what the export's settings say",
    ),
    "no mean": (_other_settings(image_mean=None), CorruptError, "can't be followed"),
    "no resizing": (_other_settings(do_resize=False), CorruptError, "do_resize is false"),
}


def encode_probes_of_all(encoder: OnnxEncoder) -> None:
    for modality in sorted(encoder.space.modalities):
        encoder.encode(modality, probe_inputs(modality), role="query")


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_folder_that_is_no_whole_export(spoil: str, foreign: Callable[[str], Path]) -> None:
    change, error, message = SPOILT[spoil]
    folder = foreign(CLIP)
    change(folder)
    with pytest.raises(error, match=message) as caught:
        encode_probes_of_all(OnnxEncoder(str(folder)))
    assert caught.value.advice
    assert str(folder) in str(caught.value)


def test_a_siglip_tokenizer_without_its_padding(foreign: Callable[[str], Path]) -> None:
    folder = foreign(SIGLIP)
    _edited("tokenizer_config.json", lambda given: given.update(pad_token="[PAD]"))(folder)
    with pytest.raises(CorruptError, match=r"lacks the padding token `\[PAD\]`"):
        OnnxEncoder(str(folder)).encode("text", ["a dog"], role="query")
    _edited("tokenizer_config.json", lambda given: given.pop("pad_token"))(folder)
    _edited("tokenizer.json", lambda given: given.update(padding=None))(folder)
    with pytest.raises(CorruptError, match="no padding token is named"):
        OnnxEncoder(str(folder)).encode("text", ["a dog"], role="query")


@pytest.mark.parametrize("name", ["tokenizer.json", "onnx/vision_model.onnx_data"])
def test_a_file_of_our_export_that_has_changed_its_size(
    name: str, copied: Callable[[str], Path]
) -> None:
    folder = copied(CLIP)
    _truncated(name, 0.9)(folder)
    with pytest.raises(CorruptError, match=f"{name} has .* bytes, not "):
        _ = OnnxEncoder(str(folder)).space


@pytest.mark.parametrize(
    ("location", "compute", "error", "message"),
    [
        ("", Compute(), UsageError, "names no export"),
        ("/no/such", Compute(), WeightsMissingError, "There is no folder /no/such"),
        ("hf://nobody", Compute(), UsageError, "names no repository"),
        ("hf://a/b/c", Compute(), UsageError, "names no repository"),
        ("CLIP", Compute("cuda"), UsageError, "not on cuda"),
        ("CLIP", Compute("cpu", "bf16"), UsageError, "no towers in bf16"),
        ("CLIP", Compute("cpu", "int8"), UsageError, "no towers in int8, only onnx/text_model"),
    ],
)
def test_a_name_or_a_wish_that_means_nothing(
    location: str, compute: Compute, error: type[EcholensError], message: str
) -> None:
    location = location.replace("CLIP", str(exports_of(CLIP).folder))
    with pytest.raises(error, match=message) as caught:
        OnnxEncoder(location, compute).encode("text", ["a dog"], role="query")
    assert caught.value.advice

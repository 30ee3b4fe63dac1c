"""``echolens encoders``: the list, the models that are on this disk, and rates measured here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cli.errors import ExitCode
from tests.conftest import ROOT

from .conftest import Echolens

REVISION = "0" * 40
HEAVY = {
    *("onnxruntime", "torch", "open_clip", "transformers", "PIL", "sqlglot", "tokenizers"),
    *("av", "faster_whisper", "scenedetect", "soxr"),
}


def _cached(cache: Path, repository: str, weights: bytes) -> None:
    """A repository in the hub's cache, as its client lays it out."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "blobs").mkdir(parents=True)
    (folder / "blobs" / "b10b").write_bytes(weights)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    (folder / "snapshots" / REVISION).mkdir(parents=True)
    (folder / "snapshots" / REVISION / "model.safetensors").symlink_to(folder / "blobs" / "b10b")


def test_models_on_this_disk_are_listed_with_their_size(tmp_path: Path, echolens: Echolens) -> None:
    _cached(tmp_path / "hub", "timm/ViT-B-32", b"w" * 2_000_000)
    export = tmp_path / "home" / ".exports" / "vit-b-32-fp32"
    export.mkdir(parents=True)
    (export / "text_model.onnx").write_bytes(b"w" * 1_500_000)
    where = {"HF_HUB_CACHE": str(tmp_path / "hub"), "ECHOLENS_HOME": str(tmp_path / "home")}

    shown = echolens("encoders", **where)
    records = echolens("encoders", "--format", "jsonl", **where).records

    assert shown.lines[-2].split() == ["timm/ViT-B-32", "2.0", "hub"]
    assert shown.lines[-1].split() == ["vit-b-32-fp32", "1.5", "export"]
    models = {r["model"]: (r["origin"], r["bytes"]) for r in records if "model" in r}
    assert models["timm/ViT-B-32"] == ("hub", 2_000_000)
    assert models["vit-b-32-fp32"] == ("export", 1_500_000)


def test_a_disk_without_models_is_no_error(tmp_path: Path, echolens: Echolens) -> None:
    done = echolens(
        "encoders", HF_HUB_CACHE=str(tmp_path / "no"), ECHOLENS_HOME=str(tmp_path / "home")
    )

    assert done.code == ExitCode.DONE
    assert "on this disk" not in done.out.decode()


def test_a_damaged_cache_is_no_error(tmp_path: Path, echolens: Echolens) -> None:
    _cached(tmp_path / "hub", "timm/ViT-B-32", b"w")
    (tmp_path / "hub" / "models--timm--half").mkdir()
    (tmp_path / "hub" / "models--timm--file").write_text("no folder")

    done = echolens("encoders", HF_HUB_CACHE=str(tmp_path / "hub"))

    assert done.code == ExitCode.DONE
    assert b"timm/ViT-B-32" in done.out


def test_the_list_loads_nothing_heavy(tmp_path: Path) -> None:
    _cached(tmp_path / "hub", "timm/ViT-B-32", b"w")
    script = f"""
import sys
from cli.main import run
code = run(["encoders"])
print(sorted({HEAVY!r} & sys.modules.keys()), code)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "timm/ViT-B-32" in done.stdout
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_an_encoder_is_measured_one_by_one_and_in_its_own_batches(echolens: Echolens) -> None:
    done = echolens("encoders", "--benchmark", "hash:slow=0.1", "--format", "jsonl")

    assert done.code == ExitCode.DONE
    rows = [(r["modality"], r["batch"]) for r in done.records]
    assert rows == [("image", 1), ("image", 16), ("text", 1), ("text", 16)]
    for record in done.records:
        assert 0 < record["per_second"] <= record["batch"] / 0.1  # it sleeps in each batch
        assert (record["device"], record["precision"]) == ("cpu", "fp32")


def test_an_encoder_of_sounds_is_measured_with_sounds(echolens: Echolens) -> None:
    done = echolens("encoders", "--benchmark", "tags:spectrum+hash:", "--format", "jsonl")

    assert done.code == ExitCode.DONE
    assert [(r["modality"], r["batch"]) for r in done.records] == [("audio", 1), ("audio", 16)]


def test_without_a_url_those_that_need_no_name_are_measured(echolens: Echolens) -> None:
    done = echolens("encoders", "--benchmark", ECHOLENS_THREADS="1")

    assert {line.split()[0] for line in done.lines[1:]} == {"conse:", "hash:", "starter:"}
    assert {line.split()[3] for line in done.lines[1:]} == {"1"}
    assert "give a URL" in done.err


def test_an_encoder_that_is_unknown_or_lacks_its_name_is_refused(echolens: Echolens) -> None:
    unknown = echolens("encoders", "--benchmark", "startre:")
    unnamed = echolens("encoders", "--benchmark", "open_clip:")

    assert unknown.code == unnamed.code == ExitCode.USAGE
    assert "starter:" in unknown.err
    assert "MODEL/PRETRAINED" in unnamed.err

"""``encoders export`` by its words: what it prints, and what ``index`` says of it before."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.errors import ExitCode
from cli.main import run
from tests import corpus
from tests.onnx_exports import CLIP, add_models, url_of

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def models() -> None:
    add_models()


def test_index_offers_it_and_export_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ECHOLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ECHOLENS_WORKERS", "1")
    media = tmp_path / "media"
    media.mkdir()
    corpus.picture(media / "red.png", colour=(220, 30, 30))

    assert run(["index", "-c", "p", "--encoder", url_of(CLIP), str(media)]) == ExitCode.DONE
    offers = [line for line in capfd.readouterr().err.splitlines() if "PyTorch" in line]
    assert len(offers) == 1
    assert "`echolens encoders export -c p`" in offers[0]

    assert run(["encoders", "export", "-c", "p", "--precision", "int8"]) == ExitCode.DONE
    told = capfd.readouterr()
    assert "text: cosine 0.99" in told.out
    assert f"encoder: onnx:{tmp_path}/home/.exports/" in told.out
    assert "Traceback" not in told.err

    corpus.picture(media / "blue.png", colour=(40, 60, 220))
    assert run(["index", "-c", "p", str(media)]) == ExitCode.DONE
    assert "PyTorch" not in capfd.readouterr().err
    assert run(["search", "-c", "p", "a red thing", "--format", "paths"]) == ExitCode.DONE
    assert len(capfd.readouterr().out.splitlines()) == 2

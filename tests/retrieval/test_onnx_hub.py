"""`onnx:hf://OWNER/NAME`: the real client of the hub against a small server that stands for it."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from retrieval.encoders.onnx import OnnxEncoder
from retrieval.errors import StoreUnreachableError, WeightsMissingError
from retrieval.probes import check_vectors, probe_inputs
from tests.fake_hub import use_hub
from tests.onnx_exports import CLIP, add_models, exports_of

pytestmark = pytest.mark.slow

NAME = "someone/tiny-clip"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A server with one repository.

    Attributes:
        files: the folder of the repository.
        asked: the paths that were asked for.
        breaks_at: the name of a file of which only a half is sent.
    """

    files: Path
    asked: list[str] = field(default_factory=list)
    breaks_at: str | None = None
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler, *, with_body: bool) -> None:
        path = request.path.partition("?")[0]
        self.asked.append(path)
        names = [p.relative_to(self.files).as_posix() for p in self.files.rglob("*") if p.is_file()]
        if path.startswith(f"/api/models/{NAME}"):
            about = {"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": n} for n in names]}
            self._send(request, json.dumps(about).encode(), {"Content-Type": "application/json"})
            return
        name = path.partition(f"/{NAME}/resolve/")[2].partition("/")[2]
        if name not in names:
            request.send_response(404)
            request.send_header("X-Error-Code", "EntryNotFound" if name else "RepoNotFound")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        data = (self.files / name).read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
        kept = data[: len(data) // 2] if name == self.breaks_at else data
        self._send(request, data, headers, kept if with_body else b"")

    def _send(
        self,
        request: BaseHTTPRequestHandler,
        data: bytes,
        headers: dict[str, str],
        body: bytes | None = None,
    ) -> None:
        request.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(data if body is None else body)
        if body and body != data:
            request.close_connection = True


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has the small CLIP, in two precisions, and an empty cache."""
    add_models()
    folder = Path(shutil.copytree(exports_of(CLIP).folder, tmp_path / "repository"))
    config = json.loads((folder / "config.json").read_text())
    del config["echolens"]
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "onnx" / "text_model_fp16.onnx").write_bytes(b"of no account")
    (folder / "README.md").write_text("of no account")
    hub = Hub(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.answer(self, with_body=True)

        def do_HEAD(self) -> None:
            hub.answer(self, with_body=False)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    use_hub(monkeypatch, hub.url, tmp_path / "cache")
    yield hub
    server.shutdown()
    server.server_close()


def test_a_repository_is_downloaded_once_and_then_needs_no_hub(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="echolens"):
        encoder = OnnxEncoder(f"hf://{NAME}")
        vectors = encoder.encode("text", probe_inputs("text"), role="query")
    notices = [record.message for record in caplog.records if record.name == "echolens"]
    assert notices == [f"{NAME} is not on this disk; downloading it from the hub, once."]
    fetched = [path.rpartition("/")[2] for path in hub.asked]
    assert "text_model.onnx_data" in fetched
    assert not {"text_model_fp16.onnx", "README.md"} & set(fetched)
    assert encoder.space.key == "onnx-someone-tiny-clip"
    assert encoder.location == f"hf://{NAME}"
    hub.asked.clear()
    again = OnnxEncoder(f"hf://{NAME}")
    found = again.encode("text", probe_inputs("text"), role="query")
    check_vectors(vectors, found, where=NAME, tolerance=0.99999)
    assert again.fingerprint == encoder.fingerprint
    assert hub.asked == []


def test_a_download_that_was_cut_short_is_none_and_is_gone_on_with(hub: Hub) -> None:
    hub.breaks_at = "config.json"
    with pytest.raises(WeightsMissingError, match="can't be had"):
        _ = OnnxEncoder(f"hf://{NAME}").space
    hub.breaks_at = None
    hub.asked.clear()
    encoder = OnnxEncoder(f"hf://{NAME}")
    assert encoder.encode("text", ["a dog"], role="query").shape == (1, 64)
    fetched = [path.rpartition("/")[2] for path in hub.asked]
    assert fetched.count("text_model.onnx_data") <= 1  # asked about, not fetched again


def test_a_repository_that_is_no_export(hub: Hub) -> None:
    shutil.rmtree(hub.files / "onnx")
    with pytest.raises(WeightsMissingError, match=r"has no text_model\.onnx"):
        _ = OnnxEncoder(f"hf://{NAME}").space


def test_a_repository_that_is_not_there(hub: Hub) -> None:
    with pytest.raises(WeightsMissingError, match=f"someone/other .* {hub.url}") as caught:
        _ = OnnxEncoder("hf://someone/other").space
    for way_out in ("connection", "HF_ENDPOINT", "HF_HOME", "onnx:FOLDER"):
        assert way_out in caught.value.advice


def test_without_a_network_it_says_so_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Port 9 (discard) of this host refuses at once, with or without a network.
    use_hub(monkeypatch, "http://127.0.0.1:9", tmp_path / "cache")
    begun = time.monotonic()
    with pytest.raises(WeightsMissingError, match="can't be had from http://127"):
        _ = OnnxEncoder(f"hf://{NAME}").space
    assert time.monotonic() - begun < 10
    assert not list((tmp_path / "cache").rglob("*.onnx"))


def test_a_cache_that_cannot_be_written(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in its place")
    with pytest.raises((StoreUnreachableError, WeightsMissingError)) as caught:
        _ = OnnxEncoder(f"hf://{NAME}").space
    assert caught.value.advice


def test_two_processes_that_download_the_same(hub: Hub, tmp_path: Path) -> None:
    code = (
        "from retrieval.registry import open_encoder\n"
        f"print(open_encoder('onnx:hf://{NAME}').encode('text', ['a dog'], role='query').shape)\n"
    )
    environment = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "cache")}
    import os

    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "(1, 64)\n"), err

"""A small hub of models on this machine: what huggingface_hub asks of the real one, and its faults.

Gets: repositories as files in memory. Gives: an endpoint for ``HF_ENDPOINT``. Touches: one port of
127.0.0.1. Never: a file, another address.

Faults are set by file name: ``cut`` ends the answer early, ``stall`` stops before its end,
``slow`` sends it piece by piece, ``gated`` wants terms accepted, ``mute`` never answers.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

COMMIT = "c" * 40
_PIECE = 1 << 16


@dataclass
class FakeHub:
    """A running hub.

    Attributes:
        repositories: files by repository.
        faults: by file name.
        asked: every (method, path) so far.
    """

    repositories: Mapping[str, Mapping[str, bytes]]
    faults: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    endpoint: str = ""

    def bodies_sent(self, name: str) -> int:
        """How often a file itself was asked for."""
        return sum(method == "GET" and path.endswith(f"/{name}") for method, path in self.asked)


def use_hub(monkeypatch: pytest.MonkeyPatch, endpoint: str, cache: Path | None = None) -> None:
    """Have huggingface_hub ask an endpoint in place of the real one, in this process.

    Args:
        monkeypatch: takes it back.
        endpoint: of a `FakeHub`, or of nothing.
        cache: in place of the user's; None: the one that it has by now.
    """
    constants = pytest.importorskip("huggingface_hub.constants")
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    if cache is not None:
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))


@contextmanager
def serve(repositories: Mapping[str, Mapping[str, bytes]]) -> Iterator[FakeHub]:
    """Run a hub until the block ends."""
    hub, over = FakeHub(repositories), Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            hub.asked.append((self.command, self.path))
            repository, _, name = self.path.strip("/").partition("/resolve/main/")
            files = hub.repositories.get(repository)
            fault = hub.faults.get(name, "")
            if fault == "mute":
                over.wait(30)
                return
            if files is None:
                self._refuse(401, "RepoNotFound")
            elif fault == "gated":
                self._refuse(403, "GatedRepo")
            elif name not in files:
                self._refuse(404, "EntryNotFound")
            else:
                self._send(files[name], fault, body=body)

        def _refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, data: bytes, fault: str, *, body: bool) -> None:
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if not body:
                return
            kept = {"cut": len(data) // 2, "stall": len(data) - _PIECE}.get(fault, len(data))
            sent = data[:kept]
            for start in range(0, len(sent), _PIECE):
                self.wfile.write(sent[start : start + _PIECE])
                if fault == "slow":
                    self.wfile.flush()
                    time.sleep(0.02)
            self.wfile.flush()
            if fault == "stall":
                over.wait(60)
            if fault in ("cut", "stall"):
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that goes away
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()

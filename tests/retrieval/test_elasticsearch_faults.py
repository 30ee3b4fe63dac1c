"""What is Elasticsearch's own about `elasticsearch:`: servers that answer oddly, and none."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("elasticsearch")


from retrieval.document_stores.elasticsearch import ElasticsearchStore
from retrieval.errors import (
    StoreUnreachableError,
    UsageError,
)
from retrieval.protocols import Place
from retrieval.schema import Document, Sighting
from retrieval.servers import retries
from tests.services.process import free_ports

real = [pytest.mark.services, pytest.mark.xdist_group("elasticsearch")]
ASSET = "ab" * 32
DOG = Document.of(ASSET, "passage", "toy/text", text="a dog on the beach")
SEEN = Sighting("file:///a", ASSET, {"year": 2020})
SECRET = "hush-hush"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., ElasticsearchStore]]:
    """Opens the store of a URL, for writing if nothing is said; closes what is open."""
    stores: list[ElasticsearchStore] = []

    def open_it(url: str, **how: bool) -> ElasticsearchStore:
        stores.append(ElasticsearchStore(Place(url, tmp_path, **{"read_only": False, **how})))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


# ---- servers that answer oddly, and none at all


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once where nothing is to come back meanwhile."""
    monkeypatch.setattr(retries, "FIRST_WAIT_S", 0.05)


def test_a_refused_connection_is_told(opened: Callable[..., ElasticsearchStore]) -> None:
    port = free_ports(1)[0]
    with pytest.raises(StoreUnreachableError, match="connection refused") as caught:
        opened(f"elasticsearch://127.0.0.1:{port}/photos")
    assert f"`photos` at elasticsearch://127.0.0.1:{port}" in str(caught.value)
    assert caught.value.advice


def test_an_unknown_host_is_told(opened: Callable[..., ElasticsearchStore]) -> None:
    with pytest.raises(StoreUnreachableError, match="no host of that name"):
        opened("elasticsearch://echolens.invalid/photos")


def test_a_url_with_a_secret_or_an_unknown_option_is_refused(
    opened: Callable[..., ElasticsearchStore],
) -> None:
    for url in (f"elasticsearch://me:{SECRET}@host/photos", "elasticsearch://host/p?shard=2"):
        with pytest.raises(UsageError) as caught:
            opened(url)
        assert SECRET not in str(caught.value) + caught.value.advice


def test_a_file_of_certificates_that_is_none_is_told(
    opened: Callable[..., ElasticsearchStore], tmp_path: Path
) -> None:
    with pytest.raises(StoreUnreachableError, match=r"none.pem"):
        opened(f"elasticsearch://host/photos?ca={tmp_path}/none.pem")


class Handler(BaseHTTPRequestHandler):
    """Answers as the test says, and counts."""

    protocol_version = "HTTP/1.1"
    server: Odd

    def do_GET(self) -> None:
        self.server.asked.append(dict(self.headers))
        status, body, headers = self.server.answer
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 (as its base class calls it)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Odd(ThreadingHTTPServer):
    """A server that gives one answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, str]] = []
        self.answer: tuple[int, Any, dict[str, str]] = (200, b"", {})

    def gives(self, status: int, kind: str, reason: str) -> None:
        """Answer with an error as Elasticsearch words it."""
        body = {"error": {"type": kind, "reason": reason}, "status": status}
        headers = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"}
        self.answer = (status, body, headers)

    @property
    def url(self) -> str:
        return f"elasticsearch://127.0.0.1:{self.server_port}/photos"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is none of ours."""


@pytest.fixture
def odd() -> Iterator[Odd]:
    server = Odd()
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "kind", "said", "times"),
    [
        (401, "security_exception", "refuses access", 1),
        (403, "security_exception", "refuses access", 1),
        (429, "es_rejected_execution_exception", "too much to do", 4),
        (429, "circuit_breaking_exception", "too much to do", 4),
        (503, "master_not_discovered_exception", "master_not_discovered", 4),
        (500, "some_exception", "some_exception", 1),
        (400, "media_type_header_exception", "older than Elasticsearch 9", 1),
        (413, "too_long", "no request that large", 1),
    ],
)
def test_what_a_server_says_is_told_with_what_to_do(
    odd: Odd,
    opened: Callable[..., ElasticsearchStore],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    kind: str,
    said: str,
    times: int,
) -> None:
    monkeypatch.setenv("ECHOLENS_ELASTICSEARCH_API_KEY", SECRET)
    odd.gives(status, kind, "because")
    with pytest.raises(StoreUnreachableError, match=said) as caught:
        opened(odd.url)
    assert caught.value.advice
    assert len(odd.asked) == times
    assert odd.asked[0]["authorization"] == f"ApiKey {SECRET}"
    assert SECRET not in str(caught.value) + caught.value.advice


def test_a_user_and_a_password_are_sent(
    odd: Odd, opened: Callable[..., ElasticsearchStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHOLENS_ELASTICSEARCH_USER", "me")
    monkeypatch.setenv("ECHOLENS_ELASTICSEARCH_PASSWORD", SECRET)
    odd.gives(401, "security_exception", "no")
    with pytest.raises(StoreUnreachableError, match="refuses access"):
        opened(odd.url)
    assert odd.asked[0]["authorization"].startswith("Basic ")


@pytest.mark.parametrize("body", [b"<html>Welcome<br></html>", b"{}", b"\xff", b""])
@pytest.mark.parametrize("status", [200, 404])
def test_a_server_that_is_no_elasticsearch_is_told(
    odd: Odd, opened: Callable[..., ElasticsearchStore], status: int, body: bytes
) -> None:
    odd.answer = (status, body, {"Content-Type": "text/html"})
    with pytest.raises(StoreUnreachableError, match="isn't an Elasticsearch server's"):
        opened(odd.url)


def test_a_server_without_tls_is_told(odd: Odd, opened: Callable[..., ElasticsearchStore]) -> None:
    with pytest.raises(StoreUnreachableError, match="TLS") as caught:
        opened(f"{odd.url}?tls=true")
    assert "`tls=false`" in caught.value.advice


def test_a_server_that_takes_connections_and_never_answers_is_told(
    opened: Callable[..., ElasticsearchStore],
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StoreUnreachableError, match=r"no answer within 0.2 seconds"):
            opened(f"elasticsearch://127.0.0.1:{port}/photos?timeout=0.2")

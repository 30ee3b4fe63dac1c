"""`s3:` without a real server: URLs that are refused, servers that don't answer or answer oddly."""

from __future__ import annotations

import hashlib
import io
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from urllib3 import Retry

from retrieval.abilities import Service
from retrieval.asset_stores.s3 import ATTEMPTS, S3Store
from retrieval.asset_stores.s3.address import Address, parse
from retrieval.errors import StoreUnreachableError, UsageError
from retrieval.protocols import Place
from tests import corpus
from tests.end_to_end.command import run
from tests.services.process import free_ports
from tests.services.s3 import CREDENTIALS

BYTES = bytes(range(256)) * 40
ASSET = hashlib.sha256(BYTES).hexdigest()

Answer = Callable[["Handler"], None]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Credentials are there; what would be waited between attempts is only noted, in seconds."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    noted: list[float] = []
    monkeypatch.setattr(
        Retry, "sleep", lambda self, response=None: noted.append(self.get_backoff_time())
    )
    return noted


def _reader(endpoint: str, folder: Path) -> S3Store:
    url = f"s3://bucket/photos?endpoint={endpoint}&region=here"
    return S3Store(Place(url, folder), lambda _: [])


def _told(endpoint: str, folder: Path) -> StoreUnreachableError:
    with closing(_reader(endpoint, folder)) as store:
        with pytest.raises(StoreUnreachableError) as caught:
            list(store.scan())
        assert endpoint.partition("&")[0] in str(caught.value)
        assert "`bucket`" in str(caught.value)
        assert caught.value.advice
        return caught.value


# ---- URLs


def test_an_address_is_what_the_url_says() -> None:
    url = "s3://photos/B%C3%BCcher/狗 照/?endpoint=HTTP://[::1]:8333/&region=garage&timeout=2.5"
    expected = Address("photos", "Bücher/狗 照/", "http://[::1]:8333", "garage", 2.5)
    assert parse(url) == expected
    assert parse("s3://photos") == Address("photos")
    assert parse("s3://photos?endpoint=https://[2001:db8::1]").endpoint == "https://[2001:db8::1]"


@pytest.mark.parametrize(
    "url",
    [
        "s3:",
        "s3://",
        "s3:photos",
        "s3:/photos",
        "s3:///photos",
        "s3://Photos",
        "s3://ab",
        "s3://[photos",
        "s3://localhost:9000/photos",
        "s3://photos/a#b",
        "s3://photos/a//b",
        "s3://photos/../b",
        "s3://photos/a%0Ab",
        f"s3://photos/{'x' * 901}",
        "s3://photos?endpoint=",
        "s3://photos?endpoint=localhost:9000",
        "s3://photos?endpoint=ftp://host",
        "s3://photos?endpoint=http://host/path",
        "s3://photos?timeout=0",
        "s3://photos?timeout=nan",
        "s3://photos?timeout=3601",
        "s3://photos?timeout=soon",
        "s3://photos?secret=hush",
        "s3://me:hush@photos",
        "s3://me:hu/sh@photos",
        "s3://me:hu?sh@photos",
        "s3://hush%40photos",
        "s3://photos?endpoint=http://me:hush@host",
        "s3://photos?endpoint=http://me:hush%40host",
    ],
)
def test_a_url_of_another_form_is_refused_and_no_secret_repeated(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(url)
    assert caught.value.advice
    assert "hu" not in str(caught.value)


def test_a_collection_with_a_secret_in_a_url_is_not_made(tmp_path: Path) -> None:
    corpus.text(tmp_path / "note.md", "All about zeppelins.")
    asked = ["index", tmp_path / "note.md", "--encoder", "hash:", "--assets", "s3://me:hush@bucket"]
    done = run(asked, tmp_path / "home")
    assert done.returncode == 2
    assert "AWS_SECRET_ACCESS_KEY" in done.stderr
    assert "hush" not in done.stderr + done.stdout
    assert not (tmp_path / "home/default/manifest.json").exists()


# ---- servers that don't answer


def test_a_reader_asks_nothing_before_it_must(tmp_path: Path, waits: list[float]) -> None:
    _reader(f"http://127.0.0.1:{free_ports(1)[0]}", tmp_path).close()
    assert waits == []


def test_a_refused_connection_is_tried_a_few_times(tmp_path: Path, waits: list[float]) -> None:
    error = _told(f"http://127.0.0.1:{free_ports(1)[0]}", tmp_path)
    assert "connection refused" in str(error)
    assert 1 <= len(waits) <= 4
    assert sum(waits) < 15


def test_an_unknown_host_is_told(tmp_path: Path) -> None:
    assert "no host of that name" in str(_told("http://echolens.invalid", tmp_path))


def test_a_server_that_never_answers_is_not_waited_for_for_ever(
    tmp_path: Path, waits: list[float]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = _told(f"http://127.0.0.1:{silent.getsockname()[1]}&timeout=0.1", tmp_path)
    assert "no answer within 0.1 seconds" in str(error)
    assert 1 <= len(waits) <= 4


# ---- servers that answer oddly


class Handler(BaseHTTPRequestHandler):
    """Answers as the test says, and counts."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.answer(self)

    do_HEAD = do_PUT = do_GET  # noqa: N815 (as its base class calls it)

    def give(self, status: int, body: bytes = b"", *, size: int | None = None) -> None:
        """Answer; `size` is what the header says, and what's missing then never comes."""
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes 0-{(size or len(body)) - 1}/{len(BYTES)}")
        self.send_header("Content-Type", "application/xml")
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(body) if size is None else size))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = size is not None

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    """A server of one handler."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.asked: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is none of ours."""


@pytest.fixture
def serving() -> Iterator[Callable[[Answer], Server]]:
    """Runs servers until the test ends."""
    servers: list[Server] = []

    def serve(answer: Answer) -> Server:
        servers.append(Server(answer))
        Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return servers[-1]

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_server_without_tls_is_told(tmp_path: Path, serving: Callable[[Answer], Server]) -> None:
    server = serving(lambda handler: handler.give(200))
    assert "TLS" in str(_told(server.endpoint.replace("http:", "https:"), tmp_path))


def _error(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def test_a_server_in_trouble_is_tried_again_and_its_words_told(
    tmp_path: Path, serving: Callable[[Answer], Server], waits: list[float]
) -> None:
    server = serving(lambda handler: handler.give(503, _error("SlowDown", "No room.")))
    error = _told(server.endpoint, tmp_path)
    assert "SlowDown: No room" in str(error)
    assert len(server.asked) == 5
    assert sum(waits) < 15


def test_trouble_that_passes_is_not_told(
    tmp_path: Path, serving: Callable[[Answer], Server]
) -> None:
    listing = b"<ListBucketResult><Name>bucket</Name></ListBucketResult>"

    def answer(handler: Handler) -> None:
        handler.give(*((500, b"") if len(handler.server.asked) < 3 else (200, listing)))

    with closing(_reader(serving(answer).endpoint, tmp_path)) as store:
        assert list(store.scan()) == []


def test_a_denial_is_told_with_what_must_be_allowed(
    tmp_path: Path, serving: Callable[[Answer], Server], waits: list[float]
) -> None:
    server = serving(lambda handler: handler.give(403, _error("AccessDenied", "Not you.")))
    error = _told(server.endpoint, tmp_path)
    assert "AccessDenied: Not you" in str(error)
    assert "AWS_ACCESS_KEY_ID" in error.advice
    assert "versions" in error.advice
    assert waits == []  # asking again would not help


@pytest.mark.parametrize("body", [b"<html>Welcome<br></html>", b"<rss></rss>", b"\xff", b""])
@pytest.mark.parametrize("status", [200, 404])
def test_an_endpoint_that_is_no_s3_server_is_told(
    tmp_path: Path, serving: Callable[[Answer], Server], status: int, body: bytes
) -> None:
    server = serving(lambda handler: handler.give(status, body))
    assert "isn't an S3 server's" in str(_told(server.endpoint, tmp_path))


@pytest.mark.parametrize("cut", [1, ATTEMPTS - 1, ATTEMPTS])
def test_a_body_that_breaks_off_is_fetched_again(
    tmp_path: Path, serving: Callable[[Answer], Server], cut: int
) -> None:
    def answer(handler: Handler) -> None:
        body = BYTES[:1000] if len(handler.server.asked) <= cut else BYTES
        handler.give(206, body, size=len(BYTES))

    with closing(_reader(serving(answer).endpoint, tmp_path)) as store:
        if cut < ATTEMPTS:
            assert store.open(ASSET).read() == BYTES
        else:
            with pytest.raises(StoreUnreachableError, match="broke off"):
                store.open(ASSET)


def test_a_server_that_knows_no_ranges_is_told(
    tmp_path: Path, serving: Callable[[Answer], Server]
) -> None:
    server = serving(lambda handler: handler.give(200, BYTES))
    with (
        closing(_reader(server.endpoint, tmp_path)) as store,
        pytest.raises(StoreUnreachableError, match="no range"),
    ):
        store.open(ASSET)


def test_a_server_that_knows_no_conditions_is_asked_what_it_has(
    tmp_path: Path, serving: Callable[[Answer], Server]
) -> None:
    kept: dict[str, bytes] = {}

    def answer(handler: Handler) -> None:
        data = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if handler.headers.get("If-None-Match"):
            handler.give(501, _error("NotImplemented", "What is that?"))
        elif handler.command == "PUT":
            kept[handler.path] = data
            handler.give(200)
        elif handler.path in kept or "uploads" in handler.path or handler.path.endswith("bucket"):
            handler.give(200, kept.get(handler.path, b"<ListMultipartUploadsResult/>"))
        else:
            handler.give(404, _error("NoSuchKey", "Not here."))

    server = serving(answer)
    url = f"s3://bucket/photos?endpoint={server.endpoint}&region=here"
    with closing(S3Store(Place(url, tmp_path, read_only=False), lambda _: [])) as store:
        for _ in range(3):
            store.put(ASSET, io.BytesIO(BYTES))
    assert list(kept.values()) == [BYTES]
    assert sum(line.startswith("PUT") for line in server.asked) == 2


def test_a_server_says_what_it_is_called(
    tmp_path: Path, serving: Callable[[Answer], Server]
) -> None:
    names = {
        "SeaweedFS 8000GB 4.48": Service("SeaweedFS", "4.48"),
        "MinIO": Service("MinIO", ""),
        "nginx/1.29.1": Service("nginx", "1.29.1"),
        "": Service("S3", ""),
    }
    for name, service in names.items():

        def answer(handler: Handler, name: str = name) -> None:
            handler.version_string = lambda: name  # type: ignore[method-assign]
            handler.give(200)

        with closing(_reader(serving(answer).endpoint, tmp_path)) as store:
            assert store.service() == service

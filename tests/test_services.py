"""The servers that tests start: they leave nothing behind, and one that can't start is told."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

from tests.services import elasticsearch
from tests.services.disk import small_disk
from tests.services.elasticsearch import ElasticsearchServer
from tests.services.milvus import MilvusServer
from tests.services.process import ServerError, answers, free_ports, running
from tests.services.proxy import Proxy, Way
from tests.services.s3 import S3Server


@pytest.mark.services
def test_a_server_ends_and_comes_back_on_its_port(tmp_path: Path) -> None:
    with running(S3Server(tmp_path)) as server:
        health = f"{server.endpoint}/healthz"
        for end in (server.kill, server.stop):
            assert answers(health)
            end()
            assert not answers(health)
            server.start()
    assert not answers(health)


def test_without_a_server_tests_are_skipped_but_in_ci_they_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin/weed"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho no such option >&2\nexit 2\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", os.fspath(broken.with_name("python")))
    for name, outcome in (("", pytest.skip.Exception), ("1", pytest.fail.Exception)):
        monkeypatch.setenv("CI", name)
        with (
            pytest.raises(outcome, match="no such option"),
            running(S3Server(tmp_path / "server")),
        ):
            pass


# ---- faults that tests make


class Echo(BaseRequestHandler):
    """Gives back what it gets."""

    def handle(self) -> None:
        with suppress(OSError):
            while data := self.request.recv(2**16):
                self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A way to a server that gives back what it gets."""
    with ThreadingTCPServer(("127.0.0.1", 0), Echo) as echo:
        Thread(target=echo.serve_forever, args=(0.01,)).start()
        with Proxy(echo.server_address[1]) as proxy:
            yield proxy
        echo.shutdown()


def _connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def _back(connection: socket.socket, count: int) -> bytes:
    """What comes, up to so many bytes, until it ends or breaks."""
    got = b""
    with suppress(ConnectionError):
        while len(got) < count and (data := connection.recv(count - len(got))):
            got += data
    return got


def test_what_goes_through_a_proxy_comes_back_unchanged(proxy: Proxy) -> None:
    sent = os.urandom(3 * 2**20)
    with _connect(proxy) as one, _connect(proxy) as other:
        sender = Thread(target=one.sendall, args=(sent,))
        sender.start()
        assert _back(one, len(sent)) == sent
        sender.join()
        other.sendall(b"end")
        other.shutdown(socket.SHUT_WR)
        assert _back(other, 100) == b"end"  # and the end comes through


def test_a_proxy_that_is_cut_drops_and_refuses_until_it_is_restored(proxy: Proxy) -> None:
    for _ in range(2):
        with _connect(proxy) as connection:
            connection.sendall(b"one")
            assert _back(connection, 3) == b"one"
            proxy.cut()
            assert _back(connection, 1) == b""
        with pytest.raises(ConnectionRefusedError):
            _connect(proxy)
        proxy.restore()


def test_a_proxy_that_stalls_holds_everything_back(proxy: Proxy) -> None:
    with _connect(proxy) as before:
        proxy.stall()
        with _connect(proxy) as after:
            for connection in (before, after):
                connection.sendall(b"one")
                connection.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    connection.recv(1)
            proxy.restore()
            for connection in (before, after):
                connection.settimeout(5)
                assert _back(connection, 3) == b"one"


@pytest.mark.parametrize("way", ["requests", "answers"])
def test_a_connection_is_dropped_in_its_middle(proxy: Proxy, way: Way) -> None:
    proxy.cut_after(10, of=way, once=False)
    for _ in range(2):
        with _connect(proxy) as connection:
            connection.sendall(b"x" * 25)
            assert len(_back(connection, 100)) in ((10,) if way == "answers" else range(11))
    proxy.cut_after(10, of=way)
    with _connect(proxy) as connection:
        connection.sendall(b"x" * 25)
        assert len(_back(connection, 25)) < 25
    with _connect(proxy) as connection:
        connection.sendall(b"x" * 25)
        assert len(_back(connection, 25)) == 25
    assert proxy.dropped == 3


def test_a_slow_proxy_lets_little_through_at_once(proxy: Proxy) -> None:
    with _connect(proxy) as connection:
        proxy.slow(2)
        connection.sendall(b"one")
        assert connection.recv(3) == b"o"
        proxy.restore()
        assert _back(connection, 2) == b"ne"


def test_a_late_proxy_lets_nothing_through_at_first(proxy: Proxy) -> None:
    proxy.delay(3600)
    with _connect(proxy) as connection:
        connection.sendall(b"one")
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        proxy.delay(0.1)
        connection.settimeout(5)
        assert _back(connection, 3) == b"one"


def test_a_server_that_is_gone_is_gone_through_a_proxy(proxy: Proxy) -> None:
    with Proxy(free_ports(1)[0]) as nowhere, _connect(nowhere) as connection:
        assert _back(connection, 1) == b""


def test_a_proxy_leaves_nothing_behind() -> None:
    threads = threading.active_count()
    with Proxy(free_ports(1)[0]) as proxy:
        assert threading.active_count() == threads + 1
    assert threading.active_count() == threads
    with pytest.raises(ConnectionRefusedError):
        _connect(proxy)


def test_a_small_disk_can_be_full_and_have_room_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2) as disk:
        file = disk.folder / "file"
        file.write_bytes(bytes(2**20))
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (disk.folder / "other").write_bytes(bytes(5_000))
        assert len(file.read_bytes()) == 2**20
        disk.free()
        (disk.folder / "other").write_bytes(bytes(5_000))
        disk.fill(leaving=100_000)
        assert 0 < disk.room() <= 100_000
    assert not (tmp_path / "disk/file").exists()


@pytest.mark.services
@pytest.mark.xdist_group("milvus")
def test_two_servers_of_a_kind_run_side_by_side(tmp_path: Path) -> None:
    pytest.importorskip("pymilvus")
    with (
        running(MilvusServer(tmp_path / "one")) as one,
        running(MilvusServer(tmp_path / "two")) as two,
    ):
        assert not set(one.ports.values()) & set(two.ports.values())
        one.kill()
        assert not one.is_ready()
        assert two.is_ready()
        one.start()
        assert one.is_ready()


def test_without_a_jdk_or_maven_elasticsearch_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "jdk"
    (old / "bin").mkdir(parents=True)
    (old / "bin/javac").touch()
    (old / "release").write_text('JAVA_VERSION="17.0.15"\n')
    monkeypatch.setenv("JAVA_HOME", str(old))
    monkeypatch.setattr(elasticsearch, "JDK_FOLDERS", {})
    with pytest.raises(ServerError, match="JDK 21 or newer"):
        ElasticsearchServer(tmp_path / "server").start()
    (old / "release").write_text('JAVA_VERSION="25.0.3"\n')
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ServerError, match="no `mvn`"):
        ElasticsearchServer(tmp_path / "server").start()
    assert list((tmp_path / ".cache/echolens-tests").glob("elasticsearch-*[!k]")) == []

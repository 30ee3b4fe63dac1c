"""A server that is a process of the tests' own: it starts, answers, stops, can be killed.

Gets: a folder. Gives: a server that runs. Touches: that folder, processes of its own making.
Never: a server that somebody else runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest

TRIES = 3  # a port that was free may be taken before the server has it


class ServerError(Exception):
    """A server didn't start; says why."""


class Server:
    """A server in a folder; `kill` or `stop`, and `start` again, keep its data and its ports.

    Attributes:
        product: what a person calls it.
        port_names: of the ports that it listens on.
        ready_s, stop_s: seconds that it may take.
    """

    product: ClassVar[str]
    port_names: ClassVar[Sequence[str]]
    ready_s: ClassVar[float] = 60
    stop_s: ClassVar[float] = 10

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """What starts it in the foreground.

        Raises:
            ServerError: it isn't installed.
        """
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Variables that it needs, beside those of the tests."""
        return {}

    def is_ready(self) -> bool:
        """Whether it answers as it should."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            ServerError: it isn't installed, or doesn't come up.
        """
        restarted = bool(self.ports)
        for left in (0,) if restarted else reversed(range(TRIES)):
            if not restarted:
                names = self.port_names
                self.ports = dict(zip(names, free_ports(len(names)), strict=True))
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
            self._process.wait(self.stop_s)
        self.kill()

    def kill(self) -> None:
        """End it and what it started at once, as a power cut does."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _launch(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env={**os.environ, **self.environment()},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (it takes no lock)
            )

    def _wait(self) -> None:
        assert self._process is not None
        end = time.monotonic() + self.ready_s
        while self._process.poll() is None and time.monotonic() < end:
            if self.is_ready():
                return
            time.sleep(0.1)
        log = (self.folder / "log").read_text(errors="replace")
        raise ServerError(f"{self.product} doesn't come up; the end of its log:\n{log[-2000:]}")


S = TypeVar("S", bound=Server)


@contextmanager
def running(server: S) -> Iterator[S]:
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

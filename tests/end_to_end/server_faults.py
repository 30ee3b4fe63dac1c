"""A collection on three real servers, and the command that is run on it while they fail.

Gets: servers, files. Gives: what the command said and left behind. Touches: the folders that it is
given; processes of its own. Never: a stand-in for a server.

``python -m tests.end_to_end.server_faults`` runs the whole command in forked processes, so that a
run doesn't pay for importing three clients. It reads a job a line from stdin, as JSON, and answers
with the process's id and, once that has ended, its exit code, or minus the signal:

    {"arguments": [...], "environment": {...}, "output": FOLDER, "kill": "module:Class.method#2"}

The last is optional: SIGKILL at the second call of that method, before it does anything.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from indexer.ledger import Ledger
from retrieval.collection import Collection, open_collection
from tests import collections, corpus
from tests.services.elasticsearch import ElasticsearchServer
from tests.services.milvus import MilvusServer
from tests.services.process import Server
from tests.services.s3 import CREDENTIALS, S3Server

ROOT = Path(__file__).parents[2]
HOST = "anna"
COLOURS = {"red": (220, 30, 30), "green": (30, 170, 50), "blue": (40, 60, 220)}
LONGEST_S = 120  # that a command may take; one that hangs fails its test
PRELOADED = ("elasticsearch", "minio", "pymilvus", "retrieval", "indexer", "indexer.decode")


@dataclass(frozen=True)
class Done:
    """What a command said."""

    code: int
    stdout: str
    stderr: str

    @property
    def hits(self) -> list[dict[str, Any]]:
        """Of a search with ``--format jsonl``."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def assets(self) -> list[str]:
        """Of its hits, best first."""
        return [hit["asset"] for hit in self.hits]


class Commands:
    """Runs the command, one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._pid = 0
        self._runs = 0

    def start(
        self, arguments: list[str], environment: Mapping[str, str], *, kill: str = ""
    ) -> None:
        """Start it and go on."""
        assert self._server.stdin
        self._runs += 1
        self._output.mkdir()
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("ECHOLENS_", "AWS_"))}
        job = {"arguments": arguments, "environment": {**ours, **environment}, "kill": kill}
        job["output"] = str(self._output)
        self._server.stdin.write(json.dumps(job).encode() + b"\n")
        self._pid = self._answer(LONGEST_S) or 0

    def is_running(self) -> bool:
        """Whether it hasn't ended; `wait` tells how it did."""
        assert self._server.stdout
        return not select.select([self._server.stdout], [], [], 0)[0]

    def wait(self) -> Done:
        """Let it end."""
        code = self._answer(LONGEST_S)
        if code is None:
            os.kill(self._pid, signal.SIGKILL)
            self._answer(LONGEST_S)
        said = [(self._output / name).read_text(errors="replace") for name in ("out", "err")]
        assert code is not None, f"it hangs: {said}"
        assert "Traceback" not in said[1], said[1]
        return Done(code, *said)

    def close(self) -> None:
        """End the process that runs them, and the one that hangs, if one does."""
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.communicate()

    @property
    def _output(self) -> Path:
        return self._folder / str(self._runs)

    def _answer(self, seconds: float) -> int | None:
        stream = self._server.stdout
        assert stream
        return int(stream.readline()) if select.select([stream], [], [], seconds)[0] else None


@dataclass(frozen=True)
class Tier:
    """Three servers, by the role that each has in a collection."""

    servers: Mapping[str, Server]

    def start(self) -> None:
        """Start all; see `Server.start`."""
        for server in self.servers.values():
            server.start()

    def stop(self) -> None:
        """Stop all."""
        for server in self.servers.values():
            server.kill()

    @classmethod
    def below(cls, folder: Path) -> Tier:
        """Servers that aren't started yet, each in a folder of its own."""
        return cls(
            {
                "vectors": MilvusServer(folder / "vectors"),
                "documents": ElasticsearchServer(folder / "documents"),
                "assets": S3Server(folder / "assets"),
            }
        )

    def port(self, role: str) -> int:
        """On which it is asked."""
        names = {"vectors": "proxy_port", "documents": "http", "assets": "s3.port"}
        return self.servers[role].ports[names[role]]

    @contextmanager
    def down(self, *roles: str, how: str = "kill") -> Iterator[None]:
        """Without some servers, which come back with all that they had."""
        for role in roles:
            getattr(self.servers[role], how)()
        try:
            yield
        finally:
            for role in roles:
                self.servers[role].start()


def urls(name: str, ports: Mapping[str, int], options: str = "") -> Mapping[str, str]:
    """URLs of a collection on servers of this machine."""
    at = {role: f"127.0.0.1:{port}" for role, port in ports.items()}
    query = f"&{options}" if options else ""
    return {
        "vectors": f"milvus://{at['vectors']}/{name}?consistency=strong{query}",
        "documents": f"elasticsearch://{at['documents']}/{name}{query.replace('&', '?', 1)}",
        "assets": f"s3://{name}/assets?endpoint=http://{at['assets']}{query}",
    }


@dataclass
class Shelf:
    """A collection that commands are run on.

    Attributes:
        commands: what runs them.
        home: where it lies.
        stores: its URLs, by role; none for one that needs no server.
        media: the files that it was made with.
    """

    commands: Commands
    home: Path
    stores: Mapping[str, str] = field(default_factory=dict)
    media: Path = Path()

    @property
    def environment(self) -> Mapping[str, str]:
        """Of the commands."""
        folders = {f"XDG_{kind}_HOME": str(self.home / kind) for kind in ("CONFIG", "CACHE")}
        return {
            **folders,
            "ECHOLENS_HOME": str(self.home),
            "ECHOLENS_HOST": HOST,
            "ECHOLENS_WORKERS": "1",
            "ECHOLENS_ENCODER": "hash:",
            **CREDENTIALS,
        }

    def run(self, *arguments: str | Path, kill: str = "") -> Done:
        """Run a command to its end."""
        self.start(*arguments, kill=kill)
        return self.commands.wait()

    def complete(self, *arguments: str | Path) -> None:
        """Run a command that must do all that it was asked."""
        done = self.run(*arguments)
        assert done.code == 0, done

    def start(self, *arguments: str | Path, kill: str = "") -> None:
        """Start a command; `commands` tells of it."""
        self.commands.start([*map(str, arguments), "-c", "shelf"], self.environment, kill=kill)

    def make(self, media: Path) -> None:
        """Make it, with some files."""
        self.media = media
        options = [part for role, url in self.stores.items() for part in (f"--{role}", url)]
        self.complete("init", *options)
        self.complete("index", media)

    def search(self, *query: str | Path) -> Done:
        """Search, for records."""
        return self.run("search", *query, "--format", "jsonl")

    def open(self) -> Collection:
        """Opened here, as the command does it."""
        settings = replace(collections.settings(self.home), host=HOST)
        return open_collection("shelf", settings=settings)

    def contents(self, media: Path) -> collections.Contents:
        """What it holds of the files of a folder, which has no others of the same bytes."""
        with self.open() as collection:
            held = collections.contents(collection)
        sightings = [one for one in held.sightings if f"{media}/" in one.uri]
        assets = {one.asset for one in sightings}
        documents = {name: about for name, about in held.documents.items() if about[0] in assets}
        vectors = {
            key: {name: row for name, row in rows.items() if name in documents}
            for key, rows in held.vectors.items()
        }
        rows = [row for row in held.rows if f"{media}/" in row.uri]
        return replace(held, documents=documents, sightings=sightings, vectors=vectors, rows=rows)

    def copies(self) -> list[str]:
        """Of assets, of the whole collection."""
        with self.open() as collection:
            return list(collection.backends.assets.scan())

    def assert_sound(self) -> None:
        """Nothing is lost, nothing is twice: stores, ledger and copies fit each other."""
        checked = self.run("verify")
        assert (checked.code, "vectors" in checked.stdout) == (0, True), checked.stdout

    def wait_for(self, reached: Callable[[Ledger], object]) -> None:
        """Wait until a command has got so far as its ledger shows; it must not end before."""
        end = time.monotonic() + LONGEST_S
        with closing(Ledger(self.home / "shelf", read_only=True)) as ledger:
            while not reached(ledger):
                assert self.commands.is_running(), self.commands.wait()
                assert time.monotonic() < end, "it doesn't get there"
                time.sleep(0.001)


def in_a_later_batch(media: Path, *, documents: bool) -> Callable[[Ledger], bool]:
    """Whether some files of a folder are indexed and more are being written.

    Args:
        media: the folder.
        documents: whether vectors and documents are on their way; else copies.
    """

    def reached(ledger: Ledger) -> bool:
        arriving = any(bool(name) == documents for _, name, _ in ledger.arrivals())
        return arriving and any(f"{media}/" in row.uri for row in ledger.scan())

    return reached


def pictures(folder: Path, count: int, first: int = 0, suffix: str = ".png") -> Path:
    """Pictures with captions; other ones for each `first`; as ``.bmp`` of 50 kB each."""
    folder.mkdir(parents=True)
    size = (128, 128) if suffix == ".bmp" else (96, 64)
    for number in range(first, first + count):
        colour = list(COLOURS)[number % 3]
        file = folder / f"{number}{suffix}"
        corpus.picture(file, colour=COLOURS[colour], size=size, seed=number)
        corpus.text(folder / f"{number}.txt", f"a {colour} boat, number {number}\n第{number}张")
    return folder


def main() -> None:
    """See the module's docstring."""
    from cli.main import main as command

    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _run(command, json.loads(line))
        print(pid, flush=True)  # noqa: T201 (the answer)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


def _run(command: Callable[[], None], job: dict[str, Any]) -> NoReturn:
    os.environ.clear()
    os.environ.update(job["environment"])
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(job["output"]) / name, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = ["echolens", *job["arguments"]]
    if job["kill"]:
        _kill_at(job["kill"])
    code = 0
    try:
        command()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _kill_at(point: str) -> None:
    """Let a call of a method be this process's last."""
    place, _, number = point.partition("#")
    module, _, name = place.partition(":")
    owner, method = name.split(".")
    kind = getattr(importlib.import_module(module), owner)
    whole = getattr(kind, method)
    calls = iter(range(int(number) - 1))

    def counted(*arguments: Any, **options: Any) -> Any:
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments, **options)

    setattr(kind, method, counted)


if __name__ == "__main__":
    main()

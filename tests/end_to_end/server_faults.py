"""A collection on three real servers, and the command that is run on it while they fail.

Gets: servers, files. Gives: what the command said and left behind. Touches: the folders that it is
given. Never: a stand-in for a server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from indexer.ledger import Ledger
from retrieval.collection import Collection, open_collection
from tests import collections, corpus
from tests.services.disk import SmallDisk
from tests.services.elasticsearch import ElasticsearchServer
from tests.services.milvus import MilvusServer
from tests.services.process import Server
from tests.services.s3 import CREDENTIALS, S3Server

from .forked import LONGEST_S, Commands, Done

HOST = "anna"
NAMES = {"vectors": "Milvus", "documents": "Elasticsearch", "assets": "bucket"}
COLOURS = {"red": (220, 30, 30), "green": (30, 170, 50), "blue": (40, 60, 220)}


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

    def restart(self, role: str) -> None:
        """Stop and start a server."""
        self.servers[role].stop()
        self.servers[role].start()

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


@contextmanager
def filled(server: MilvusServer, disk: SmallDisk) -> Iterator[None]:
    """A Milvus without room, also in its log, for which it takes room in advance."""
    from pymilvus.exceptions import MilvusException

    with closing(server.client()) as client:
        client.create_collection("filling", dimension=2048)
        rows = [{"id": name, "vector": [float(name)] * 2048} for name in range(2000)]
        disk.fill()
        try:
            with suppress(MilvusException):
                for _ in range(50):
                    client.insert("filling", rows)
            yield
        finally:
            disk.free()


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


def assert_told(done: Done, *roles: str, code: int) -> None:
    """The servers are named, and what to do next; nothing else is said."""
    assert done.code == code, done
    for role in roles:
        assert NAMES[role] in done.stderr
    assert len([line for line in done.stderr.splitlines() if "error:" in line]) == (code == 4)


def assert_whole(shelf: Shelf, media: Path, tmp_path: Path) -> None:
    """It holds of a folder what a run without any fault, on no server, makes of it."""
    undisturbed = Shelf(shelf.commands, tmp_path / "undisturbed")
    undisturbed.make(media)
    wanted = undisturbed.contents(media)
    collections.assert_same(shelf.contents(media), wanted)
    assert {sighting.asset for sighting in wanted.sightings} <= set(shelf.copies())
    assert len(set(shelf.copies())) == len(shelf.copies())
    shelf.assert_sound()

"""The real command on three real servers that fail: what it says, and that nothing is lost.

The table of faults in ``docs/faults.md`` names these tests.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.services.disk import SmallDisk, small_disk
from tests.services.milvus import MilvusServer
from tests.services.process import ServerError
from tests.services.proxy import Proxy
from tests.services.s3 import CREDENTIALS

from .forked import Commands
from .server_faults import (
    Shelf,
    Tier,
    assert_told,
    assert_whole,
    filled,
    in_a_later_batch,
    pictures,
    urls,
)

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.xdist_group("milvus"),
    # A proxy that is cut while it takes a connection: asyncio leaves that one to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MEGABYTES = {"vectors": 1000, "documents": 300, "assets": 300}  # of each server's disk
ROLES = ("vectors", "documents", "assets")
_batches = count(1)


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SmallDisk]]:
    """A small disk below each server; none where none can be mounted."""
    folder = tmp_path_factory.mktemp("tier")
    with ExitStack() as mounted:
        try:
            yield {
                role: mounted.enter_context(small_disk(folder / role / "data", size))
                for role, size in MEGABYTES.items()
            }
        except pytest.skip.Exception:
            yield {}


@pytest.fixture(scope="module")
def tier(tmp_path_factory: pytest.TempPathFactory, disks: dict[str, SmallDisk]) -> Iterator[Tier]:
    """Three servers of this module's own, to be killed."""
    for package in ("pymilvus", "elasticsearch"):
        pytest.importorskip(package)
    folders = [disk.folder.parent.parent for disk in disks.values()]
    tier = Tier.below(folders[0] if folders else tmp_path_factory.mktemp("tier"))
    try:
        tier.start()
        yield tier
    except ServerError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    finally:
        tier.stop()


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    commands = Commands(tmp_path_factory.mktemp("commands"))
    yield commands
    commands.close()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def shelf(tier: Tier, commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A collection of some pictures on the three servers."""
    folder = tmp_path_factory.mktemp("shelf")
    ports = {role: tier.port(role) for role in ROLES}
    shelf = Shelf(commands, folder / "home", urls(f"shelf{uuid.uuid4().hex[:8]}", ports))
    shelf.make(pictures(folder / "media", 24))
    return shelf


@pytest.fixture(scope="module")
def proxies(tier: Tier) -> Iterator[dict[str, Proxy]]:
    with ExitStack() as opened:
        yield {role: opened.enter_context(Proxy(tier.port(role))) for role in ROLES}


@pytest.fixture(scope="module")
def far_shelf(
    proxies: dict[str, Proxy], commands: Commands, tmp_path_factory: pytest.TempPathFactory
) -> Shelf:
    """A collection whose servers are reached through proxies, and must answer soon."""
    folder = tmp_path_factory.mktemp("far-shelf")
    ports = {role: proxy.port for role, proxy in proxies.items()}
    stores = urls(f"far{uuid.uuid4().hex[:8]}", ports, "timeout=3")
    shelf = Shelf(commands, folder / "home", stores)
    shelf.make(pictures(folder / "media", 6))
    return shelf


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Pictures for three batches, which no other test has."""
    return pictures(tmp_path / "media", 150, first=1000 * next(_batches))


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Pictures for two batches, which no other test has."""
    return pictures(tmp_path / "media", 120, first=1000 * next(_batches))


# -- searching


def test_without_documents_vectors_answer(tier: Tier, shelf: Shelf) -> None:
    picture = next(iter(shelf.media.glob("*.png")))
    before, by_picture = shelf.search("red boat"), shelf.search("--image", picture)
    with tier.down("documents"):
        words = shelf.search("red boat")
        assert_told(words, "documents", code=3)
        assert len(words.hits) == 10
        assert {leg["name"] for leg in words.hits[0]["legs"]} == {
            "test-hash-32/text by text",
            "test-hash-32/image by text",
        }
        assert all(hit["paths"] == hit["captions"] == [] for hit in words.hits)

        picture_again = shelf.search("--image", picture)
        assert (picture_again.code, picture_again.assets) == (3, by_picture.assets)

        filtered = shelf.search("red boat", "--where", "width > 3")
        assert_told(filtered, "documents", code=4)
        assert filtered.stdout == ""

        status = shelf.run("status")
        assert_told(status, "documents", code=3)
        assert "documents unknown, 24 vectors" in status.stdout

    after = shelf.search("red boat")
    assert (after.code, after.stdout) == (0, before.stdout)


def test_without_vectors_words_answer(tier: Tier, shelf: Shelf) -> None:
    before = shelf.search("red boat")
    with tier.down("vectors"):
        words = shelf.search("red boat")
        assert_told(words, "vectors", code=3)
        assert all(hit["text"].startswith("a red boat") for hit in words.hits[:8])
        assert all(hit["paths"] for hit in words.hits)
        filtered = shelf.search("boat", "--where", "name = '3.png'")
        assert (filtered.code, [hit["fields"]["name"] for hit in filtered.hits]) == (3, ["3.png"])
        status = shelf.run("status")
        assert_told(status, "vectors", code=3)
        assert "24 documents, vectors unknown" in status.stdout
    after = shelf.search("red boat")
    assert (after.code, after.stdout) == (0, before.stdout)


def test_without_both_there_is_one_error(tier: Tier, shelf: Shelf) -> None:
    before = shelf.search("red boat")
    with tier.down("documents", "vectors"):
        words = shelf.search("red boat")
        assert_told(words, "documents", "vectors", code=4)
        assert words.stdout == ""
        assert len(words.stderr.splitlines()) <= 3
    after = shelf.search("red boat")
    assert (after.code, after.stdout) == (0, before.stdout)


def test_without_copies_searching_goes_on(tier: Tier, shelf: Shelf) -> None:
    before = shelf.search("red boat")
    with tier.down("assets"):
        during = shelf.search("red boat")
        assert (during.code, during.stdout, during.stderr) == (0, before.stdout, before.stderr)
        assert_told(shelf.run("status"), "assets", code=3)


# -- indexing


@pytest.mark.parametrize(
    ("role", "how"),
    [("vectors", "kill"), ("documents", "kill"), ("assets", "kill"), ("documents", "stop")],
)
def test_a_server_dies_in_the_middle_of_indexing(
    tier: Tier, shelf: Shelf, media: Path, tmp_path: Path, role: str, how: str
) -> None:
    shelf.start("index", media)
    shelf.wait_for(in_a_later_batch(media, documents=role != "assets"))
    with tier.down(role, how=how):
        stopped = shelf.commands.wait()
    assert_told(stopped, role, code=4)
    assert "again" in stopped.stderr
    shelf.complete("index", media)
    assert_whole(shelf, media, tmp_path)


# -- the way to a server


@pytest.mark.parametrize("role", ROLES)
def test_a_connection_is_cut_for_a_moment(
    far_shelf: Shelf, proxies: dict[str, Proxy], few: Path, tmp_path: Path, role: str
) -> None:
    """Once in the middle of an answer, so that nobody knows what the server has done; then twice
    as a whole."""
    proxy = proxies[role]
    dropped = proxy.dropped
    far_shelf.start("index", few)
    far_shelf.wait_for(in_a_later_batch(few, documents=role != "assets"))
    proxy.cut_after(20, of="answers")
    while far_shelf.commands.is_running() and proxy.dropped == dropped:
        time.sleep(0.001)
    proxy.cut()
    time.sleep(0.2)
    proxy.restore()
    done = far_shelf.commands.wait()
    assert (done.code, proxy.dropped) == (0, dropped + 1), done
    assert_whole(far_shelf, few, tmp_path)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_a_connection_is_lost(
    far_shelf: Shelf,
    proxies: dict[str, Proxy],
    few: Path,
    tmp_path: Path,
    role: str,
    fault: str,
) -> None:
    proxy = proxies[role]
    far_shelf.start("index", few)
    far_shelf.wait_for(in_a_later_batch(few, documents=role != "assets"))
    getattr(proxy, fault)()
    try:
        stopped = far_shelf.commands.wait()
    finally:
        proxy.restore()
    assert_told(stopped, role, code=4)
    far_shelf.complete("index", few)
    assert_whole(far_shelf, few, tmp_path)


def test_connections_are_slow(
    far_shelf: Shelf, proxies: dict[str, Proxy], few: Path, tmp_path: Path
) -> None:
    for proxy in proxies.values():
        proxy.slow(400_000)
    far_shelf.complete("index", few)
    for proxy in proxies.values():
        proxy.restore()
    assert_whole(far_shelf, few, tmp_path)


@pytest.mark.parametrize("role", ["documents", "vectors"])
def test_a_server_is_silent_and_a_search_goes_on(
    far_shelf: Shelf, proxies: dict[str, Proxy], role: str
) -> None:
    proxies[role].stall()
    try:
        assert_told(far_shelf.search("red boat"), role, code=3)
    finally:
        proxies[role].restore()
    assert far_shelf.search("red boat").code == 0


# -- what is seen between two stores


def test_a_reader_sees_batches_as_a_whole(
    far_shelf: Shelf, proxies: dict[str, Proxy], media: Path
) -> None:
    """A hit always has its path and its caption; there are ever more; in the end, at once, all."""
    proxies["assets"].delay(0.02)  # so that there is time to look
    far_shelf.start("index", media)
    sizes: list[int] = []
    with far_shelf.open() as reader:
        running = True
        while running:
            running = far_shelf.commands.is_running()
            hits = [hit for hit in reader.search("boat", k=2000) if hit.modality == "image"]
            assert all(hit.paths and hit.captions and hit.text for hit in hits)
            assert all("boat" in hit.captions[0] for hit in hits)
            sizes.append(len(hits))
    proxies["assets"].restore()
    assert far_shelf.commands.wait().code == 0
    assert sizes == sorted(sizes)
    assert sizes[-1] == sizes[0] + 150
    assert len(set(sizes)) > 2


@pytest.mark.parametrize("then", [["index"], ["verify", "--repair"]])
def test_the_command_dies_between_vectors_and_documents(
    shelf: Shelf, media: Path, tmp_path: Path, then: list[str]
) -> None:
    """Vectors without documents are never found, and gone or complete after the next run."""
    # The first call brings the store up to date, the second writes the first batch.
    point = "retrieval.document_stores.elasticsearch:ElasticsearchStore.upsert#3"
    killed = shelf.run("index", media, kill=point)
    assert killed.code == -signal.SIGKILL
    with shelf.open() as collection:
        backends = collection.backends
        names = {name for store in backends.vectors.values() for name in store.scan()}
        assert len(names - backends.documents.get(sorted(names)).keys()) > 64
        hits = collection.search("boat", k=2000)
        assert len([hit for hit in hits if f"{media}/" in hit.paths[0]]) == 64
    checked = shelf.run("verify")
    assert checked.code == 0
    assert "the next one finishes that" in checked.stdout + checked.stderr
    if then == ["verify", "--repair"]:
        shelf.complete(*then)
        with shelf.open() as collection:
            backends = collection.backends
            names = {name for store in backends.vectors.values() for name in store.scan()}
            assert names == backends.documents.get(sorted(names)).keys()
    shelf.complete("index", media)
    assert_whole(shelf, media, tmp_path)


def test_a_reader_that_does_not_wait_sees_vectors_soon(
    tier: Tier, commands: Commands, tmp_path: Path
) -> None:
    """With ``consistency=bounded``, as servers come: it may miss the last seconds."""
    url = f"milvus://127.0.0.1:{tier.port('vectors')}/soon{uuid.uuid4().hex[:8]}"
    shelf = Shelf(commands, tmp_path / "home", {"vectors": url})
    shelf.make(pictures(tmp_path / "media", 9, first=1000 * next(_batches)))
    media = sorted(shelf.media.glob("*.png"))
    wanted = {hashlib.sha256(picture.read_bytes()).hexdigest() for picture in media}
    end = time.monotonic() + 60
    while set((found := shelf.search("--image", media[0])).assets) != wanted:
        assert found.code in (0, 1), found
        assert time.monotonic() < end, found


# -- full disks


@pytest.mark.parametrize("role", ["documents", "assets"])
def test_the_disk_of_a_server_is_full(
    tier: Tier, disks: dict[str, SmallDisk], shelf: Shelf, tmp_path: Path, role: str
) -> None:
    if role not in disks:
        pytest.skip("no disk can be mounted here")
    media = pictures(tmp_path / "media", 150, first=1000 * next(_batches), suffix=".bmp")
    disks[role].fill(leaving=8 * 2**20)  # the rest is quickly taken
    shelf.start("index", media)
    shelf.wait_for(in_a_later_batch(media, documents=role != "assets"))
    disks[role].fill()
    try:
        stopped = shelf.commands.wait()
    finally:
        disks[role].free()
    assert_told(stopped, role, code=4)
    if role == "documents":  # a node that couldn't write its own state has to be restarted
        assert "No space left" in stopped.stderr
        assert "restart" in stopped.stderr
        tier.restart(role)
    shelf.complete("index", media)
    assert_whole(shelf, media, tmp_path)


def test_the_disk_of_milvus_is_full(
    tier: Tier, disks: dict[str, SmallDisk], shelf: Shelf, media: Path, tmp_path: Path
) -> None:
    """It has room for its log in advance; then it refuses, or ends itself, until a new start."""
    if "vectors" not in disks:
        pytest.skip("no disk can be mounted here")
    server = tier.servers["vectors"]
    assert isinstance(server, MilvusServer)
    with filled(server, disks["vectors"]):
        stopped = shelf.run("index", media)
        assert_told(stopped, "vectors", code=4)
        assert shelf.search("red boat").code in (0, 3)
    tier.restart("vectors")
    shelf.complete("index", media)
    assert_whole(shelf, media, tmp_path)

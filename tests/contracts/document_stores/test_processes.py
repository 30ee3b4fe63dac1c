"""The laws of `DocumentStore`: what is erased, what other processes see, what a kill leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.protocols import Place
from retrieval.registry import open_document_store

from .toys import Opener, Subject, passage, seen

# ---- erased is gone


def test_what_was_deleted_is_in_no_file(opened: Opener, scheme: Subject, tmp_path: Path) -> None:
    """Promise 6: text, words, captions, field values and names of fields.

    In a folder they are gone at once, on a server once the store is closed.
    """
    files = scheme.files(tmp_path)
    secrets = ["quetzalcoatl", "xylophonist", "zugzwangfield", "zugzwangvalue"]
    store = opened()
    kept = [passage(n, f"the common words number{n}") for n in range(200)]
    store.upsert(kept, [seen(n, year=n) for n in range(200)])
    secret = passage("secret", f"a {secrets[0]} at sea")
    sighting = seen("secret", captions=[secrets[1]], **{secrets[2]: secrets[3]})
    store.upsert([secret], [sighting])
    assert all(word in bytes_below(files) for word in secrets)
    store.delete([secret.id])
    store.forget([sighting.uri])
    if scheme.scheme.in_folder:
        assert [word for word in secrets if word in bytes_below(files)] == []
    store.close()
    assert [word for word in secrets if word in bytes_below(files)] == []
    assert len(opened(read_only=True).search("common", 300)) == 200


def bytes_below(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(path.read_bytes().decode("latin-1") for path in files)


# ---- other processes

WRITER = """
import sys, time
from pathlib import Path
from retrieval.protocols import Place
from retrieval.registry import open_document_store
from retrieval.schema import Document, Sighting

store = open_document_store(Place(sys.argv[1], Path(sys.argv[2]), read_only=False))
for batch in range(int(sys.argv[3])):
    assets = [f"{batch * 7 + n:064x}" for n in range(7)]
    store.upsert(
        [Document.of(asset, "passage", "toy/text", text=f"dog {asset}") for asset in assets],
        [Sighting("file:///" + asset, asset, {"batch": batch}) for asset in assets],
    )
    print(batch + 1, flush=True)
"""


@pytest.fixture
def writer(scheme: Subject, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that commits batches of seven and says so, a line for each."""
    command = [sys.executable, "-c", WRITER, scheme.url(tmp_path), str(tmp_path), "400"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_two_readers_see_whole_commits_while_a_writer_goes_on(
    opened: Opener, writer: subprocess.Popen[str]
) -> None:
    assert writer.stdout
    assert writer.stdout.readline() == "1\n"
    readers, counts = [opened(read_only=True), opened(read_only=True)], set()
    for line in writer.stdout:
        for reader in readers:
            count = reader.count()
            assert count >= 7 * int(line)
            assert count % 7 == len(reader.search("dog", 10_000)) % 7 == 0
            counts.add(count)
        if int(line) == 100:
            break
    assert len(counts) > 10


@pytest.mark.parametrize("after", [1, 2, 30, 77])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(
    opened: Opener, writer: subprocess.Popen[str], after: int
) -> None:
    assert writer.stdout
    acknowledged = 0
    while acknowledged < after:
        acknowledged = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    acknowledged += len(writer.stdout.read().split())
    writer.wait()
    for read_only in (True, False):
        store = opened(read_only=read_only)
        count = store.count()
        assert count >= 7 * acknowledged
        assert count == len(list(store.scan_sightings())) == len(store.search("dog", 10_000))
        assert count % 7 == 0
        assert list(store.check()) == []
        store.close()


READER = """
import os, sys
from pathlib import Path
from retrieval.protocols import Place
from retrieval.registry import check, open_document_store

check("document_store", sys.argv[1])  # imports all of it
if os.geteuid() == 0:  # a superuser, whom no mode stops, goes on as somebody else
    os.setgid(65534)
    os.setuid(65534)
assert not os.access(sys.argv[2], os.W_OK)
store = open_document_store(Place(sys.argv[1], Path(sys.argv[2])))
print(store.count(), len(store.search("dog", 5)), len(list(store.check())))
"""


def test_a_folder_that_cannot_be_written_can_be_read(scheme: Subject) -> None:
    # Not below tmp_path, which only its owner may enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = scheme.url(folder)
        store = open_document_store(Place(url, folder, read_only=False))
        store.upsert([passage(1, "a dog")], [seen(1)])
        store.close()
        before = sorted(path.name for path in folder.iterdir())
        folder.chmod(0o555)
        reader = subprocess.run(
            [sys.executable, "-c", READER, url, name],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "XDG_CONFIG_HOME": name},  # which whoever reads may enter
        )
        folder.chmod(0o755)
        scheme.drop(folder)
        assert (reader.stdout, reader.stderr) == ("1 1 0\n", "")
        assert sorted(path.name for path in folder.iterdir()) == before

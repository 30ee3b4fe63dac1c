"""Bad input, by the real command: told, accounted for, never a trace, never half a collection."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from cli.errors import ExitCode
from indexer import verify
from retrieval import open_collection
from retrieval.collection import Collection
from tests import collections, corpus

from .command import COMMAND, environment, run, without_privileges

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and limits of POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits and names as Linux has them")
INDEX = ["-c", "photos", "index", "--encoder", "hash:"]

# A reader of texts that dies of one of them, as a decoder in C may.
DEADLY = """
import os, signal
from retrieval.modalities.text import TextReader

class Reader(TextReader):
    def describe(self, file):
        if b"deadly" in file.read():
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().describe(file)
"""
INSTALL_DEADLY = """
from types import MappingProxyType
from retrieval import registry

text = registry.ModalityEntry("deadly:Reader", registry.MODALITIES["text"].media_types)
registry.MODALITIES = MappingProxyType({**registry.MODALITIES, "text": text})
"""


@contextmanager
def _closed(*paths: Path) -> Iterator[None]:
    """Take away all permissions for a while."""
    modes = [path.stat().st_mode for path in paths]
    for path in paths:
        path.chmod(0)
    try:
        yield
    finally:
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)


def _failures(home: Path) -> dict[bytes, str]:
    listed = run(["-c", "photos", "failures", "--format", "jsonl"], home).stdout.splitlines()
    return {
        os.fsencode(os.path.basename(record["path"])): record["reason"]
        for record in map(json.loads, listed)
    }


def _contents(home: Path) -> collections.Contents:
    with open_collection("photos", settings=collections.settings(home)) as collection:
        return collections.contents(collection)


def _assert_sound(home: Path) -> None:
    collection = Collection(home / "photos", collections.settings(home))
    assert verify(collection).problems == ()


# -- one folder of everything ---------------------------------------------------------------------


def _huge(path: Path, side: int = 15_000) -> None:
    """A PNG within the limit of pixels, 900 MB of which its decoder asks for at once."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b""))


def _everything(media: Path) -> dict[bytes, str]:
    """Fill the folder; give the reason for each file that must fail."""
    (media / "closed").mkdir(parents=True)
    good = [b"new\nline.png", b"quote'\".png", "猫 🐈.png".encode(), b"\xff\xfe.png"]
    for seed, name in enumerate(good):
        corpus.picture(media / "x.png", seed=seed).rename(media / os.fsdecode(name))
    corpus.text(media / "fine.md")
    corpus.text(media / "comments.md", "<!-- a note -->\n" * 60 + "Then a text.")
    corpus.truncated(media / "cut.jpg")
    corpus.png_bomb(media / "bomb.png")
    corpus.empty(media / "void.png")
    corpus.text_named(media / "lie.jpg")
    corpus.picture(media / "secret.png", seed=9)
    corpus.picture(media / "closed/unseen.png", seed=10)
    corpus.text(media / "deadly.md", "this is deadly")
    corpus.text(media / "slow.html", "<html>" + "<p>a" * 3_000_000)
    with (media / "long.txt").open("wb") as file:
        file.truncate(1025 << 20)
    _huge(media / "huge.png")
    os.mkfifo(media / "pipe.png")
    (media / "loop").symlink_to(media)
    (media / "self.jpg").symlink_to(media / "self.jpg")
    (media / "broken.jpg").symlink_to(media / "nowhere.jpg")
    return {
        b"cut.jpg": "corrupt",
        b"bomb.png": "too_large",
        b"void.png": "empty",
        b"lie.jpg": "corrupt",
        b"secret.png": "unreadable",
        b"closed": "unreadable",
        b"deadly.md": "decoder_failed",
        b"slow.html": "too_slow",
        b"long.txt": "too_large",
        b"huge.png": "decoder_failed",
        b"self.jpg": "unreadable",
        b"broken.jpg": "disappeared",
    }


@linux
def test_promise_bounded(tmp_path: Path) -> None:
    """Every bad file of a folder costs itself only, and is named with its reason."""
    media, home = tmp_path / "media", tmp_path / "home"
    expected = _everything(media)
    plugin = tmp_path / "deadly"
    plugin.mkdir()
    (plugin / "deadly.py").write_text(DEADLY)
    (plugin / "sitecustomize.py").write_text(INSTALL_DEADLY)
    settings = {
        "PYTHONPATH": f"{plugin}{os.pathsep}{os.environ['PYTHONPATH']}",
        "ECHOLENS_MAX_FILE_MB": "1024",
        "ECHOLENS_DECODE_MEMORY_MB": "700",
        "ECHOLENS_DECODE_SECONDS": "4",
    }
    with _closed(media / "secret.png", media / "closed"):
        arguments = [*INDEX, media, "--follow-symlinks"]
        done = run(arguments, home, settings=settings, before=without_privileges)
    assert done.returncode == ExitCode.PARTLY, done.stderr
    assert _failures(home) == expected
    skipped = len(expected) + 1  # the pipe is no failure
    assert done.stdout == (
        f"indexed 6, unchanged 0, duplicates 0, skipped {skipped} = {6 + skipped}\n"
    )
    for reason in {*expected.values(), "unsupported"}:
        count = [*expected.values(), "unsupported"].count(reason)
        assert f"{count} {reason}" in done.stderr
    _assert_sound(home)


@linux
def test_a_file_that_is_closed_for_a_while_keeps_its_documents(tmp_path: Path) -> None:
    media, home = tmp_path / "media", tmp_path / "home"
    (media / "sub").mkdir(parents=True)
    corpus.picture(media / "a.png", seed=1)
    corpus.text(media / "a.txt", "a boat")
    corpus.picture(media / "sub/b.png", seed=2)
    run([*INDEX, media], home)
    before = _contents(home)
    os.utime(media / "a.png", ns=(10**18, 10**18))
    with _closed(media / "a.png", media / "sub"):
        done = run([*INDEX, media], home, before=without_privileges)
    assert done.returncode == ExitCode.PARTLY
    assert _failures(home) == {b"a.png": "unreadable", b"sub": "unreadable"}
    assert _contents(home).documents == before.documents
    assert run([*INDEX, media], home).returncode == ExitCode.DONE
    assert _failures(home) == {}
    assert _contents(home).documents == before.documents


# -- folders and collections ----------------------------------------------------------------------


def test_a_folder_that_is_missing_or_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    alone = run([*INDEX, tmp_path / "missing"], tmp_path / "home")
    assert alone.returncode == ExitCode.MISSING
    assert not (tmp_path / "home" / "photos").exists()
    empty = run([*INDEX, tmp_path / "empty"], tmp_path / "home")
    assert empty.returncode == ExitCode.DONE
    assert empty.stdout == "indexed 0, unchanged 0, duplicates 0, skipped 0 = 0\n"
    missing = run([*INDEX, tmp_path / "missing"], tmp_path / "home")
    assert missing.returncode == ExitCode.PARTLY
    assert missing.stdout == "indexed 0, unchanged 0, duplicates 0, skipped 1 = 1\n"
    assert f"{tmp_path / 'missing'}: no such file or folder" in missing.stderr


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """40 pictures with captions, and a home with a collection of them."""
    folder = tmp_path_factory.mktemp("bad_input")
    media = folder / "media"
    media.mkdir()
    for seed in range(40):
        corpus.picture(media / f"{seed}.png", seed=seed, size=(32, 24))
        corpus.text(media / f"{seed}.txt", f"picture number {seed}, of very little interest\n" * 8)
    assert run([*INDEX, media], folder / "home").returncode == ExitCode.DONE
    return media, folder / "home"


@pytest.mark.parametrize(
    "name", ["ledger.sqlite", "documents.sqlite", "vectors/test-hash-32/image/catalogue.sqlite"]
)
def test_a_damaged_collection(name: str, whole: tuple[Path, Path], tmp_path: Path) -> None:
    media, home = whole[0], tmp_path / "home"
    shutil.copytree(whole[1], home)
    (home / "photos" / name).write_bytes(b"This is no such file at all. " * 50)
    done = run(["-c", "photos", "index", media], home)
    assert done.returncode == ExitCode.MISFIT
    assert os.path.basename(name) in done.stderr
    assert len(done.stderr.splitlines()) <= 3


@posix
def test_a_collection_that_cannot_be_written_can_be_asked(
    whole: tuple[Path, Path], tmp_path: Path
) -> None:
    media, home = whole[0], tmp_path / "home"
    shutil.copytree(whole[1], home)
    everything = [home, *home.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        told = {
            command[0]: run(["-c", "photos", *command], home, before=without_privileges)
            for command in (["search", "red"], ["status"], ["failures"], ["index", str(media)])
        }
    finally:
        for path in everything:
            path.chmod(0o755)
    codes = {name: done.returncode for name, done in told.items()}
    assert codes == {"search": 0, "status": 0, "failures": 0, "index": ExitCode.MISSING}
    assert len(told["search"].stdout.splitlines()) > 10
    assert len(told["index"].stderr.splitlines()) <= 3


# -- a full disk ----------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("kilobytes", [1, 20, 45, 70])
def test_files_that_may_not_grow(kilobytes: int, whole: tuple[Path, Path], tmp_path: Path) -> None:
    """Whatever a run could not write, it says so, and the next run completes it."""
    import resource

    media, home = whole[0], tmp_path / "home"
    size = kilobytes << 10
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size))
    full = run([*INDEX, media], home, before=limit)
    assert full.returncode == ExitCode.MISSING, full.stderr
    assert len([line for line in full.stderr.splitlines() if "encoder:" not in line]) <= 3
    assert run([*INDEX, media], home).returncode == ExitCode.DONE
    collections.assert_same(_contents(home), _contents(whole[1]))
    _assert_sound(home)


SCRIPT = """
set -u
mount -t tmpfs -o size={size}k none {home} || exit 77
{command}; echo "code $?" >> {log}
mount -o remount,size=64m {home}
{command}; echo "code $?" >> {log}
cp -a {home} {copy}
"""


@linux
@pytest.mark.parametrize("kilobytes", [60, 220, 300])
def test_a_full_disk(kilobytes: int, whole: tuple[Path, Path], tmp_path: Path) -> None:
    """A disk of that size, made larger after the first run."""
    if shutil.which("unshare") is None:
        pytest.skip("needs `unshare`, to mount a small disk of its own")
    home, log = tmp_path / "home", tmp_path / "log"
    home.mkdir()
    command = f"{COMMAND} {' '.join(INDEX)} {whole[0]} 2>> {log}"
    script = SCRIPT.format(
        size=kilobytes, home=home, command=command, log=log, copy=tmp_path / "copy"
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], env=environment(home), timeout=120, check=False
    )
    if done.returncode in (1, 77):
        pytest.skip("this system lets nobody mount a disk of its own")
    said = log.read_text()
    codes = [line for line in said.splitlines() if line.startswith("code")]
    assert codes == ["code 4", "code 0"], said
    assert "Traceback" not in said
    collections.assert_same(_contents(tmp_path / "copy"), _contents(whole[1]))
    _assert_sound(tmp_path / "copy")

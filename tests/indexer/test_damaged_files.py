"""Every file of a collection, damaged in every way: told without a trace, never called sound.

After `verify --repair` and one more run the collection is as if nothing had happened. What is
damaged is what a listing of the collection's folder finds, so no new file is forgotten.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from indexer import create, index, remove, status, verify
from indexer.folder import LOCK
from indexer.removed import read_removed
from retrieval.collection import Collection
from retrieval.errors import CorruptError, EcholensError
from tests import collections, corpus


def _delete(path: Path) -> None:
    path.unlink()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[len(data) // 2] ^= 0xA5
    path.write_bytes(data)


def _break_the_header(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(b"\xff no such file \xff"[: len(data)] + data[16:])


Damage = Callable[[Path], None]
DAMAGES: tuple[Damage, ...] = (_delete, _truncate, _empty, _flip, _break_the_header)

HARMLESS = {LOCK}  # says nothing of what was indexed
# What nothing else knows. An error names it, and says to bring it back or to index anew.
BEYOND_REPAIR = {"manifest.json"}  # which encoder and stores the collection has


@dataclass(frozen=True)
class Whole:
    """A collection that nothing has happened to."""

    media: Path
    home: Path
    files: tuple[str, ...]
    contents: collections.Contents

    def copy(self, folder: Path) -> Collection:
        """One to be damaged, in a new folder."""
        shutil.copytree(self.home, folder)
        return Collection(folder / "photos", collections.settings(folder))

    def differs(self, photos: Collection) -> str:
        """What of `photos` is not as here, in a few words."""
        try:
            collections.assert_same(collections.contents(photos), self.contents)
            assert len(read_removed(photos.directory)) == 1
        except (AssertionError, CorruptError) as error:
            return f"{error}"[:300]
        return ""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Pictures with captions, two of the same bytes, texts, a bad file, and one taken out."""
    folder = tmp_path_factory.mktemp("damaged")
    media = folder / "media"
    media.mkdir()
    for seed in range(3):
        corpus.picture(media / f"{seed}.png", seed=seed)
        corpus.text(media / f"{seed}.txt", f"picture number {seed}")
    shutil.copy(media / "1.png", media / "the same.png")
    corpus.text(media / "note.md", "All about zeppelins.")
    corpus.text(media / "secret.md", "Nobody may find this.")
    corpus.empty(media / "empty.png")
    settings = collections.settings(folder / "home")
    photos = create("photos", assets="folder:", settings=settings)
    index([str(media)], photos)
    remove([str(media / "secret.md")], photos)
    photos.close()
    found = (path for path in photos.directory.rglob("*") if path.is_file())
    files = tuple(sorted(str(path.relative_to(photos.directory)) for path in found))
    return Whole(media, folder / "home", files, collections.contents(photos))


def test_the_files_of_a_collection(whole: Whole) -> None:
    """All kinds of them are there to be damaged."""
    names = {Path(name).name for name in whole.files}
    assert names > {
        *HARMLESS, *BEYOND_REPAIR, "documents.sqlite", "ledger.sqlite", "probes.npz",
        "removed.json", "catalogue.sqlite", "rows-1.f32", "ids-1.bin",
    }  # fmt: skip
    assert len([name for name in whole.files if name.startswith("assets")]) == 4


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__[1:])
def test_damage_is_told_and_repaired(damage: Damage, whole: Whole, tmp_path: Path) -> None:
    wrong: dict[str, str] = {}
    for number, name in enumerate(whole.files):
        photos = whole.copy(tmp_path / str(number))
        damage(photos.directory / name)
        outcome = _told_and_repaired(photos, name, whole)
        photos.close()
        if outcome:
            wrong[name] = outcome
    assert wrong == {}


def _told_and_repaired(photos: Collection, name: str, whole: Whole) -> str:
    """What went wrong; nothing, if all is well."""
    differs = whole.differs if name not in HARMLESS else lambda _: ""
    for ask in (lambda: photos.search("red"), lambda: status(photos)):
        _told(ask)
        photos.close()
    try:
        problems = verify(photos).problems
        if not problems:
            # Nothing reads those bytes: a page that is free, or room for a checksum.
            return differs(photos) and "verify calls it sound, and it is not"
        mended = verify(photos, repair=True)
    except CorruptError as error:
        if name in BEYOND_REPAIR and name in str(error) and error.advice:
            return ""
        return f"repair stops at {error}"
    if mended.repaired < len(mended.problems):
        return f"not repaired: {mended.problems}"
    if mended.waiting == 0 and differs(photos):
        return f"calls nothing waiting, though {differs(photos)}"
    index([str(whole.media)], photos)
    left = verify(photos)
    if left.problems or left.waiting:
        return f"after repair and indexing: {left}"
    return differs(photos)


def _told(ask: Callable[[], object]) -> bool:
    """Whether an error with advice came; any other exception is a trace."""
    try:
        ask()
    except EcholensError as error:
        if error.advice:
            return True
        raise
    return False


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__[1:])
def test_indexing_over_damage(damage: Damage, whole: Whole, tmp_path: Path) -> None:
    """It fails with advice, or leaves a whole collection, or damage that `verify` tells."""
    wrong: dict[str, str] = {}
    for number, name in enumerate(whole.files):
        photos = whole.copy(tmp_path / str(number))
        damage(photos.directory / name)
        if not _told(lambda: index([str(whole.media)], photos)) and name not in HARMLESS:  # noqa: B023
            difference = whole.differs(photos)
            quiet = damage is _flip or name.startswith(("assets", "removed"))
            if difference and not (quiet and verify(photos).problems):
                wrong[name] = difference
    assert wrong == {}

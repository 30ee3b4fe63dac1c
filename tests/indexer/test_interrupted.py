"""A run that ends early, and files that go before the next one: nothing of them stays behind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from indexer import create, index, remove, verify
from indexer.ledger import Ledger
from indexer.ledger_file import NAME
from indexer.write import Writer
from retrieval.collection import Collection
from retrieval.document_stores.sqlite import SqliteStore
from tests import collections, corpus


@pytest.fixture
def kept(tmp_path: Path) -> Collection:
    """An empty collection that keeps copies."""
    settings = collections.settings(tmp_path / "home")
    return create("kept", assets="folder:", settings=settings)


@pytest.fixture
def secret(media: Path) -> Path:
    """A picture with a caption of something rare, beside one that stays."""
    corpus.picture(media / "keep.png", seed=1)
    corpus.text(media / "secret.txt", "quixotic zeppelin")
    return corpus.picture(media / "secret.png", seed=2)


def _interrupted(
    collection: Collection, media: Path, owner: type, name: str, *, after: bool = False
) -> None:
    """Index, and end before or after the first call of a method, as Ctrl-C or a kill would."""
    whole: Callable[..., Any] = getattr(owner, name)

    def ended(*arguments: Any) -> None:
        if after:
            whole(*arguments)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, ended)
        assert index([str(media)], collection).interrupted


def _bytes(collection: Collection) -> bytes:
    files = (path for path in sorted(collection.directory.rglob("*")) if path.is_file())
    return b"".join(path.read_bytes() for path in files)


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (Writer, "plan", False),  # copies are kept
        (SqliteStore, "upsert", False),  # vectors are written
        (SqliteStore, "upsert", True),  # documents are there
        (Ledger, "arrived", False),
    ],
)
def test_a_file_that_goes_between_two_runs_leaves_nothing(
    owner: type, name: str, after: bool, kept: Collection, media: Path, secret: Path
) -> None:
    _interrupted(kept, media, owner, name, after=after)
    picture = secret.read_bytes()
    for path in (secret, secret.with_suffix(".txt")):
        path.unlink()
    assert index([str(media)], kept).indexed == 1
    assert [s.uri.rpartition("/")[2] for s in collections.contents(kept).sightings] == ["keep.png"]
    assert verify(kept).problems == ()
    everything = _bytes(kept)
    assert b"zeppelin" not in everything
    assert picture not in everything


def test_a_lost_ledger_erases_nothing(media: Path, photos: Collection, secret: Path) -> None:
    """Neither a repair nor a run over a part of the files takes its absence for a wish."""
    other = media.parent / "other"
    other.mkdir()
    (other / "twin.png").write_bytes(secret.read_bytes())
    corpus.text(other / "twin.txt", "the other caption")
    roots = [str(media), str(other)]
    index(roots, photos)
    wanted = collections.contents(photos)
    for path in photos.directory.glob(f"{NAME}*"):
        path.unlink()
    mended = verify(photos, repair=True)
    assert (mended.repaired, mended.waiting) == (1, 3)
    assert verify(photos).problems == ()
    assert collections.contents(photos).documents == wanted.documents
    secret.with_suffix(".txt").unlink()
    index([str(media)], photos)
    held = {text for _, _, _, text in collections.contents(photos).documents.values()}
    assert held == {None, "the other caption"}


def test_a_file_that_cannot_be_kept_costs_itself_alone(
    kept: Collection, media: Path, secret: Path
) -> None:
    (media / "away").mkdir()
    lost = media / "away" / "lost.png"
    lost.write_bytes(secret.read_bytes())  # met first: what was read of it serves its twin
    with pytest.MonkeyPatch.context() as patch:
        whole = Writer.keep

        def keep(self: Writer, entries: Any) -> Any:
            lost.unlink()
            (media / "away").rmdir()
            (media / "away").write_text("a file now")
            return whole(self, entries)

        patch.setattr(Writer, "keep", keep)
        report = index([str(media)], kept)
    assert report.accounting() == "indexed 2, unchanged 0, duplicates 0, skipped 1 = 3"
    assert dict(report.skipped) == {"unreadable": 1}
    assert len(collections.contents(kept).documents) == 3
    assert verify(kept).problems == ()


def test_names_of_fields_go_with_the_last_file_that_has_them(
    media: Path, photos: Collection, secret: Path
) -> None:
    corpus.text(secret.with_suffix(".json"), '{"friend_of_a_friend": 1}')
    index([str(media)], photos)
    assert b"friend_of_a_friend" in _bytes(photos)
    remove([str(secret)], photos)
    assert b"friend_of_a_friend" not in _bytes(photos)


def test_what_is_on_its_way_is_closed_with_its_row(
    media: Path, photos: Collection, secret: Path
) -> None:
    index([str(media)], photos)
    with closing(Ledger(photos.directory, read_only=True)) as ledger:
        assert ledger.arrivals() == []
        assert ledger.rechecks() == []

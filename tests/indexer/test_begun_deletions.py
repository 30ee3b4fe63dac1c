"""Deletions that a run began and didn't end, and what other machines have brought since."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from indexer import create, index, remove
from indexer.opening import writing
from indexer.write import Writer
from retrieval.collection import Collection
from retrieval.schema import Sighting
from tests import collections, corpus


class Killed(BaseException):
    """What a test raises where a process would be killed."""


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    corpus.picture(folder / "red.png", seed=1)
    corpus.text(folder / "red.txt", "a red boat")
    return folder


@pytest.fixture
def photos(tmp_path: Path, media: Path) -> Collection:
    """A collection of which a photo was just being removed when the run was killed."""
    collection = create("photos", settings=collections.settings(tmp_path))
    index([str(media)], collection)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "_delete_begun", _once_begun(Writer._delete_begun))
        with pytest.raises(Killed):
            remove(str(media / "red.png"), collection)
    return collection


def _once_begun(delete: Callable[..., None]) -> Callable[..., None]:
    def killed(self: Writer, **how: object) -> None:
        if self._ledger.deletions():
            raise Killed
        delete(self, **how)

    return killed


def test_what_was_being_deleted_is_deleted_by_the_next_run(photos: Collection, media: Path) -> None:
    index([str(media)], photos)
    assert photos.backends.documents.count() == 0
    assert all(store.count() == 0 for store in photos.backends.vectors.values())


def test_what_another_machine_has_brought_since_stays_whole(
    photos: Collection, media: Path
) -> None:
    (asset,) = {document.asset for document in photos.backends.documents.scan()}
    photos.close()
    berta = Sighting("file://berta/red.png", asset, {"modality": "image"})  # without the caption
    with writing(photos) as session:
        session.backends.documents.upsert([], [berta])
    index([str(media)], photos)
    backends = photos.backends
    assert [document.kind for document in backends.documents.scan()] == ["image"]
    assert sum(store.count() for store in backends.vectors.values()) == 1
    assert backends.documents.sightings([asset]) == {asset: [berta]}
    with writing(photos) as session:
        assert (session.ledger.deletions(), session.ledger.rechecks()) == ([], [])

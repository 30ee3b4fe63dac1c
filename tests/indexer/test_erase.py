"""Promise 6: erased is gone from every file of the collection, and stays gone."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from indexer import IndexOptions, create, index, remove, verify
from retrieval.collection import Collection
from retrieval.errors import UsageError
from tests import collections, corpus

CAPTION = "quixotic zeppelin"


@pytest.fixture
def photos(tmp_path: Path) -> Collection:
    """Two pictures with captions, one of them of something rare; and a text."""
    media = tmp_path / "media"
    media.mkdir()
    for name, caption in (("red", CAPTION), ("blue", "a plain wall")):
        Image.new("RGB", (40, 30), name).save(media / f"{name}.png")
        (media / f"{name}.txt").write_text(caption)
    (media / "note.md").write_text("Something about boats.")
    collection = create("photos", settings=collections.settings(tmp_path / "home"))
    index([str(media)], collection)
    return collection


def _bytes(collection: Collection) -> bytes:
    files = (path for path in sorted(collection.directory.rglob("*")) if path.is_file())
    return b"".join(path.read_bytes() for path in files)


def test_promise_erased_is_gone(photos: Collection, tmp_path: Path) -> None:
    red = tmp_path / "media/red.png"
    held = collections.contents(photos)
    asset = next(s.asset for s in held.sightings if s.uri.endswith("red.png"))
    doomed = {name for name, document in held.documents.items() if document[0] == asset}
    vectors = [
        store[name].tobytes() for store in held.vectors.values() for name in doomed & set(store)
    ]
    assert len(vectors) == 2
    before = _bytes(photos)
    assert all(vector in before for vector in vectors)
    assert b"zeppelin" in before

    assert remove([str(red)], photos) == 1

    after = _bytes(photos)
    assert b"zeppelin" not in after
    assert b"quixot" not in after
    assert not any(vector in after for vector in vectors)
    assert red.exists()
    assert verify(photos).problems == ()

    again = index([str(tmp_path / "media")], photos)
    assert (again.unchanged, dict(again.skipped)) == (2, {"removed": 1})
    assert asset not in {s.asset for s in collections.contents(photos).sightings}


@pytest.mark.parametrize("named", ["file", "uri", "folder", "asset"])
def test_whatever_it_is_named_by(named: str, photos: Collection, tmp_path: Path) -> None:
    """Of a picture in two places, an asset's id and the folder mean both, a path means one."""
    media = tmp_path / "media"
    (media / "sub").mkdir()
    shutil.copyfile(media / "red.png", media / "sub/twin.png")
    (media / "sub/twin.txt").write_text("ornithopter")
    index([str(media)], photos)
    asset = hashlib.sha256((media / "red.png").read_bytes()).hexdigest()
    twin = media / "sub/twin.png"
    names = {"file": str(twin), "uri": twin.as_uri(), "folder": str(media), "asset": asset}
    name, named = names[named], "file" if named == "uri" else named
    assert remove([name], photos) == {"file": 1, "folder": 4, "asset": 2}[named]
    left = {s.uri.rpartition("/")[2] for s in collections.contents(photos).sightings}
    others = {"blue.png", "note.md"}
    assert left == {"file": {"red.png", *others}, "folder": set(), "asset": others}[named]
    kept = _bytes(photos)
    assert b"ornithopter" not in kept
    assert (b"zeppelin" in kept) == (named == "file")
    assert (b"plain wall" in kept) == (named != "folder")
    assert verify(photos).problems == ()
    assert sorted(path.name for path in media.rglob("*.*")) == [
        "blue.png", "blue.txt", "note.md", "red.png", "red.txt", "twin.png", "twin.txt",
    ]  # fmt: skip
    assert index([str(media)], photos).indexed == 0


def test_given_captions_and_copies_are_erased_too(tmp_path: Path) -> None:
    """What a COCO file said is kept in the ledger, and `folder:` keeps the bytes themselves."""
    picture = corpus.picture(tmp_path / "a.png")
    given = tmp_path / "captions.json"
    annotation = {"image_id": 1, "caption": CAPTION}
    images = [{"id": 1, "file_name": "a.png"}]
    given.write_text(json.dumps({"images": images, "annotations": [annotation]}))
    settings = collections.settings(tmp_path / "home")
    photos = create("photos", assets="folder:", settings=settings)
    index([], photos, options=IndexOptions(captions=str(given)))
    kept = _bytes(photos)
    assert picture.read_bytes() in kept
    assert b"zeppelin" in kept
    remove([str(picture)], photos)
    left = _bytes(photos)
    assert picture.read_bytes() not in left
    assert b"zeppelin" not in left
    assert picture.exists()


def test_what_changed_is_erased_like_what_was_removed(photos: Collection, tmp_path: Path) -> None:
    (tmp_path / "media/red.txt").write_text("another caption")
    index([str(tmp_path / "media")], photos)
    assert b"zeppelin" not in _bytes(photos)


def test_restore_takes_it_back(photos: Collection, tmp_path: Path) -> None:
    before = collections.contents(photos)
    remove([str(tmp_path / "media")], photos)
    assert collections.contents(photos).documents == {}
    report = index([str(tmp_path / "media")], photos, options=IndexOptions(restore=True))
    assert report.indexed == 3
    assert collections.contents(photos).documents == before.documents


def test_what_was_never_indexed_is_an_error(photos: Collection) -> None:
    with pytest.raises(UsageError, match="Nothing called"):
        remove(["/nowhere"], photos)


def test_a_dry_run_removes_nothing(photos: Collection, tmp_path: Path) -> None:
    before = collections.contents(photos)
    assert remove([str(tmp_path / "media")], photos, dry_run=True) == 3
    assert collections.contents(photos).documents == before.documents


def test_a_file_of_another_machine_is_told_as_that(photos: Collection) -> None:
    with pytest.raises(UsageError, match="file of the machine `laptop`") as caught:
        remove(["file://laptop/home/ada/red.png"], photos)
    assert "by its asset id" in caught.value.advice

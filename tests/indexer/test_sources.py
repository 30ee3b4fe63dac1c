"""What a source gives: which files, which not, in which order; and that nothing is given twice."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from indexer import IndexOptions, index, remove
from indexer.schema import Excluded, Item, Skipped
from indexer.sources.folder import FolderSource
from retrieval.collection import Collection
from retrieval.errors import UsageError
from retrieval.schema import path_of
from tests import collections, corpus

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")


def _walk(root: Path, **options: Any) -> dict[str, str]:
    """What a folder gives, by path: ``item``, ``excluded``, ``sidecar``, or a skip's reason."""
    return _told(FolderSource([str(root)], **options).items(), root)


def _told(given: Iterable[Item | Skipped | Excluded], root: Path) -> dict[str, str]:
    told: dict[str, str] = {}
    for one in given:
        name = os.path.relpath(path_of(one.uri), root)
        assert name not in told
        if isinstance(one, Item):
            told[name] = "item"
        elif isinstance(one, Skipped):
            told[name] = str(one.reason)
        else:
            told[name] = "sidecar" if one.sidecar else "excluded"
    return told


def _fill(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


# -- one path alone -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, Path, os.fsencode], ids=["str", "Path", "bytes"])
def test_one_path_is_that_path_and_no_list_of_letters(
    kind: Any, media: Path, photos: Collection
) -> None:
    corpus.picture(media / "a.png")

    assert index(kind(media), photos).accounting().endswith("= 1")
    assert index([kind(media)], photos).unchanged == 1
    assert remove(kind(media / "a.png"), photos) == 1


# -- folders --------------------------------------------------------------------------------------


def test_hidden_files_and_litter_are_passed_over(media: Path) -> None:
    """a.jpg, .b.jpg, ._a.jpg (AppleDouble), Thumbs.db, .git/c.jpg, __MACOSX/d.jpg, @eaDir/e.jpg."""
    litter = {".b.jpg", "._a.jpg", "Thumbs.db"}
    _fill(media, "a.jpg", *litter, ".git/c.jpg", "__MACOSX/d.jpg", "@eaDir/e.jpg")
    expected = dict.fromkeys([*litter, ".git", "__MACOSX", "@eaDir"], "excluded")
    assert _walk(media) == {"a.jpg": "item", **expected}


def test_a_hidden_folder_that_is_given_itself_is_entered(tmp_path: Path) -> None:
    _fill(tmp_path / ".hidden", "a.jpg")
    assert _walk(tmp_path / ".hidden") == {"a.jpg": "item"}


@pytest.mark.parametrize(
    ("pattern", "excluded"),
    [
        ("*.gif", {"b.gif", "sub/c.gif"}),
        ("sub", {"sub"}),
        ("sub/*.gif", {"sub/c.gif"}),
        ("sub/deep/*", {"sub/deep/d.jpg"}),
        ("b*", {"b.gif"}),
    ],
)
def test_exclude_goes_by_name_and_by_path(media: Path, pattern: str, excluded: set[str]) -> None:
    _fill(media, "a.jpg", "b.gif", "sub/c.gif", "sub/deep/d.jpg")
    told = _walk(media, exclude=[pattern])
    assert {name for name, what in told.items() if what == "excluded"} == excluded
    assert all(what in ("item", "excluded") for what in told.values())


def test_the_order_does_not_depend_on_the_file_system(media: Path) -> None:
    _fill(media, "b.jpg", "a.jpg", "B.jpg", "sub/a.jpg", "é.jpg")
    names = ["B.jpg", "a.jpg", "b.jpg", "sub/a.jpg", "é.jpg"]
    assert list(_walk(media)) == names


def test_a_link_to_a_file_is_followed(media: Path, tmp_path: Path) -> None:
    _fill(tmp_path, "elsewhere.jpg")
    (media / "link.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    assert _walk(media) == {"link.jpg": "item"}


def test_a_link_to_a_folder_is_followed_when_asked_to(media: Path, tmp_path: Path) -> None:
    _fill(tmp_path / "elsewhere", "a.jpg")
    (media / "link").symlink_to(tmp_path / "elsewhere")
    assert _walk(media) == {"link": "excluded"}
    assert _walk(media, follow_symlinks=True) == {"link/a.jpg": "item"}
    assert _walk(media / "link") == {"a.jpg": "item"}  # given itself


def test_a_loop_of_links_ends(media: Path) -> None:
    """a/to_b -> b, b/to_a -> a, a/up -> the root; and a link to itself."""
    _fill(media, "a/1.jpg", "b/2.jpg")
    (media / "a/to_b").symlink_to(media / "b")
    (media / "b/to_a").symlink_to(media / "a")
    (media / "a/up").symlink_to(media)
    (media / "self.jpg").symlink_to(media / "self.jpg")
    told = _walk(media, follow_symlinks=True)
    assert {name for name, what in told.items() if what == "item"} == {
        "a/1.jpg", "a/to_b/2.jpg", "b/2.jpg", "b/to_a/1.jpg",
    }  # fmt: skip
    assert told["a/to_b/to_a"] == told["a/up"] == told["b/to_a/to_b"] == "excluded"
    assert told["self.jpg"] == "unreadable"


def test_a_broken_link_is_accounted_for(media: Path) -> None:
    (media / "broken.jpg").symlink_to(media / "nowhere.jpg")
    assert _walk(media) == {"broken.jpg": "disappeared"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_is_accounted_for_and_never_opened(media: Path) -> None:
    os.mkfifo(media / "pipe.jpg")
    assert _walk(media) == {"pipe.jpg": "unsupported"}
    assert _walk(media / "pipe.jpg") == {".": "unsupported"}


def test_what_is_no_media_is_accounted_for(media: Path) -> None:
    _fill(media, "song.mid", "README")
    (media / "empty.jpg").touch()
    assert _walk(media) == {
        "song.mid": "unsupported", "README": "unsupported", "empty.jpg": "empty",
    }  # fmt: skip


def test_the_collections_own_folder_is_not_entered(media: Path) -> None:
    _fill(media, "a.jpg", "home/photos/b.jpg")
    told = _walk(media, leave_out=media / "home/photos")
    assert told == {"a.jpg": "item", "home/photos": "excluded"}


def test_a_missing_root_is_accounted_for(tmp_path: Path) -> None:
    assert _walk(tmp_path / "nowhere") == {".": "disappeared"}


def test_a_nul_in_a_path_is_used_wrongly() -> None:
    with pytest.raises(UsageError, match="No path"):
        FolderSource(["a.jpg\0b.jpg"])


@pytest.mark.parametrize("given", ["folder", "files"])
def test_sidecars_go_with_their_picture(media: Path, given: str) -> None:
    """However they are given: as a folder, or each by its own path as ``find`` lists them."""
    _fill(media, "a.jpg", "a.txt", "a.json", "a.jpg.json", "B.JPG", "B.txt", "alone.txt")
    paths = [media] if given == "folder" else sorted(media.iterdir())
    items = list(FolderSource([str(path) for path in paths]).items())
    told = _told(items, media)
    sidecars = dict.fromkeys(["a.txt", "a.json", "a.jpg.json", "B.txt"], "sidecar")
    assert told == {"a.jpg": "item", "B.JPG": "item", "alone.txt": "item", **sidecars}
    picture = next(item for item in items if isinstance(item, Item) and item.uri.endswith("a.jpg"))
    beside = [os.path.basename(sidecar.path) for sidecar in picture.sidecars]
    assert beside == ["a.txt", "a.json", "a.jpg.json"]


# -- whole runs -----------------------------------------------------------------------------------


@linux
def test_any_name_is_indexed_and_found_again(media: Path, photos: Collection) -> None:
    names = [b"new\nline.png", b"'quote\".png", "emoji 🐈.png".encode(), b"latin \xff\xfe.png"]
    for seed, name in enumerate(names):
        corpus.picture(media / os.fsdecode(name), seed=seed)
    os.rename(corpus.picture(media / "x.png", seed=9), os.fsencode(media) + b"/\xe9.png")
    (media / os.fsdecode(b"\xe9.json")).write_text("{not json")
    report = index([str(media)], photos)
    assert report.accounting() == "indexed 5, unchanged 0, duplicates 0, skipped 0 = 5"
    assert "\\xe9.json: is not JSON" in report.warnings[0]
    uris = {sighting.uri for sighting in collections.contents(photos).sightings}
    assert {os.fsencode(path_of(uri)) for uri in uris} == {
        os.fsencode(media / os.fsdecode(name)) for name in [*names, b"\xe9.png"]
    }
    assert index([str(media)], photos).unchanged == 5


def test_what_is_given_twice_counts_once(media: Path, photos: Collection) -> None:
    corpus.picture(media / "a.png", seed=1)
    (media / "sub").mkdir()
    corpus.picture(media / "sub/b.png", seed=2)
    given = [media, media, media / "sub", media / "sub/b.png", f"{media}/sub/../a.png"]
    report = index([str(path) for path in given], photos)
    assert report.accounting() == "indexed 2, unchanged 0, duplicates 0, skipped 0 = 2"


def test_a_collection_inside_its_own_root(media: Path, photos: Collection) -> None:
    corpus.picture(media / "a.png")
    home = photos.directory.parent
    corpus.picture(home / "b.png", seed=1)
    (photos.directory / "c.txt").write_text("not the user's")
    report = index([str(media), str(home)], photos)
    assert (report.indexed, report.excluded) == (2, 1)


def test_nothing_given_is_used_wrongly(photos: Collection) -> None:
    with pytest.raises(UsageError, match="nothing to index"):
        index([], photos)


def test_a_sidecar_that_is_named_brings_its_picture(media: Path, photos: Collection) -> None:
    corpus.picture(media / "a.jpg", seed=1)
    corpus.text(media / "a.txt", "a boat")
    report = index([str(media / "a.txt")], photos)
    assert (report.accounting(), report.sidecars) == (
        "indexed 1, unchanged 0, duplicates 0, skipped 0 = 1",
        1,
    )


def test_progress_counts_every_file_that_is_accounted_for(media: Path, photos: Collection) -> None:
    corpus.picture(media / "a.jpg", seed=1)
    _fill(media, "b.xyz", "c.xyz", ".hidden")
    totals = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("indexer.tally.WATCH_EVERY_S", 0.0)
        report = index([str(media)], photos, watch=lambda told: totals.append(told.total))
    assert report.total == 3
    assert set(totals) <= {None, 3}


def test_a_source_that_gives_nothing_of_a_file_leaves_it_unchanged(
    media: Path, photos: Collection
) -> None:
    corpus.picture(media / "a.jpg", seed=1)
    images = [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}]
    annotations = media.parent / "captions.json"
    annotations.write_text(json.dumps({"images": images, "annotations": []}))
    options = IndexOptions(captions=str(annotations), images=str(media))
    assert index([], photos, options=options).indexed == 1
    assert index([], photos, options=options).unchanged == 1

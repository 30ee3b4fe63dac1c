"""Making a collection and opening it: what doesn't fit is refused before anything is written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from PIL import Image

from indexer import IndexOptions, create, failures, index, remove, status, verify
from indexer.opening import writing
from retrieval import open_collection
from retrieval.collection import Collection
from retrieval.errors import (
    CollectionError,
    CollectionNotFoundError,
    CorruptError,
    EncoderMismatchError,
    LockedError,
    NewerFormatError,
    NotInstalledError,
    StoreUnreachableError,
    UsageError,
)
from retrieval.probes import read_probes, write_probes
from retrieval.settings import config_path, load_settings
from tests import collections, corpus

CATALOGUE = "vectors/test-hash-32/image/catalogue.sqlite"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the collection ``photos``, of two pictures that lie beside it."""
    folder = tmp_path_factory.mktemp("opening")
    for seed in range(2):
        corpus.picture(folder / f"{seed}.png", seed=seed)
    photos = create("photos", settings=collections.settings(folder / "home"))
    assert index([str(folder / f"{seed}.png") for seed in range(2)], photos).indexed == 2
    return folder / "home"


@pytest.fixture
def photos(whole: Path, tmp_path: Path) -> Collection:
    """A copy of it, to be damaged."""
    shutil.copytree(whole, tmp_path / "home")
    return Collection(tmp_path / "home/photos", collections.settings(tmp_path / "home"))


@pytest.fixture
def more(tmp_path: Path) -> str:
    """A picture that isn't indexed yet."""
    return str(corpus.picture(tmp_path / "more.png", seed=7))


def _edit_manifest(photos: Collection, **changes: object) -> None:
    path = photos.directory / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# -- one writer -----------------------------------------------------------------------------------


def test_a_second_writer_is_refused_and_readers_go_on(photos: Collection, more: str) -> None:
    with writing(photos):
        other = Collection(photos.directory, photos.settings)
        for attempt in (
            lambda: index([more], other),
            lambda: remove([more], other),
            lambda: verify(other),
        ):
            with pytest.raises(LockedError, match="Another process is writing"):
                attempt()
        with open_collection(photos.directory, settings=photos.settings) as reader:
            assert len(reader.search("red", k=2)) == 2
        plan = index([more], other, options=IndexOptions(dry_run=True))
        assert len(plan.planned) == 1
    assert index([more], photos).indexed == 1


def test_two_that_make_the_same_collection(tmp_path: Path) -> None:
    settings = collections.settings(tmp_path)
    (tmp_path / "photos").mkdir()
    with FileLock(tmp_path / "photos/.lock"), pytest.raises(LockedError):
        create("photos", settings=settings)
    create("photos", settings=settings)


# -- promise 3 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mutant", ["shifted", "constant", "nan", "unnormalised", "weights=2"])
def test_promise_never_silently_wrong(mutant: str, photos: Collection, more: str) -> None:
    """Another encoder under the old one's name writes nothing and answers nothing."""
    before = collections.contents(photos)
    manifest = json.loads((photos.directory / "manifest.json").read_text())
    _edit_manifest(
        photos, channels=[{**c, "encoder": f"hash:{mutant}"} for c in manifest["channels"]]
    )
    for attempt in (
        lambda: index([more], photos),
        lambda: verify(photos, repair=True),
        lambda: photos.search("red"),
    ):
        with pytest.raises(EncoderMismatchError, match=f"hash:{mutant}"):
            attempt()
    photos.close()
    collections.assert_same(collections.contents(photos), before)


def test_promise_never_silently_wrong_in_the_middle_of_a_run(
    photos: Collection, tmp_path: Path
) -> None:
    """An encoder passes at the opening, and then gives one vector for everything."""
    before = collections.contents(photos)
    manifest = json.loads((photos.directory / "manifest.json").read_text())
    _edit_manifest(
        photos, channels=[{**c, "encoder": "hash:tires=2"} for c in manifest["channels"]]
    )
    paths = [str(corpus.picture(tmp_path / f"{seed}.png", seed=seed)) for seed in range(20, 24)]
    with pytest.raises(EncoderMismatchError, match="one and the same vector for 4 different"):
        index(paths, photos)
    photos.close()
    after = collections.contents(photos)
    assert {key: set(found) for key, found in after.vectors.items()} == {
        key: set(found) for key, found in before.vectors.items()
    }


def test_pictures_that_look_the_same_are_no_fault_of_the_encoder(
    photos: Collection, tmp_path: Path
) -> None:
    paths = [tmp_path / f"blank-{side}.png" for side in range(40, 44)]
    for side, path in enumerate(paths, start=40):
        Image.new("RGB", (side, side), "white").save(path)
    assert index([str(path) for path in paths], photos).indexed == 4


def test_a_precision_is_measured_when_it_first_writes(photos: Collection, more: str) -> None:
    kept = read_probes(photos.directory)
    only_text = {key: value for key, value in kept.tolerances.items() if "text" in key}
    write_probes(photos.directory, replace(kept, tolerances=only_text))
    assert len(photos.search("red")) == 2  # a reader does with what the encoder declares
    verify(photos)
    assert read_probes(photos.directory).tolerances == only_text
    index([more], photos)
    assert read_probes(photos.directory).tolerances == kept.tolerances


@pytest.mark.parametrize("mutant", ["constant", "nan", "unnormalised"])
def test_a_new_collection_refuses_an_encoder_that_is_broken(mutant: str, tmp_path: Path) -> None:
    settings = collections.settings(tmp_path)
    with pytest.raises(EncoderMismatchError):
        create("photos", encoder=f"hash:{mutant}", settings=settings)
    with pytest.raises(CollectionNotFoundError):
        open_collection("photos", settings=settings)
    create("photos", settings=settings)


# -- damaged and newer files ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "error"),
    [("manifest.json", CorruptError), ("ledger.sqlite", CorruptError), ("probes.npz", CorruptError),
     ("documents.sqlite", CorruptError), (CATALOGUE, CorruptError)],
)  # fmt: skip
def test_a_damaged_file_is_told(
    name: str, error: type[CollectionError], photos: Collection, more: str
) -> None:
    (photos.directory / name).write_bytes(b"This is no such file at all. " * 50)
    with pytest.raises(error) as raised:
        index([more], photos)
    assert name.rpartition("/")[2] in str(raised.value)
    assert raised.value.advice


def test_a_part_that_the_manifest_lacks_is_named(photos: Collection) -> None:
    (photos.directory / "manifest.json").write_text('{"format": 1}')
    with pytest.raises(CorruptError, match=r"manifest\.json lacks `channels`\."):
        open_collection(photos.directory, settings=photos.settings)


@pytest.mark.parametrize("name", ["manifest.json", "ledger.sqlite", "documents.sqlite", CATALOGUE])
def test_a_newer_file_is_refused(name: str, photos: Collection, more: str) -> None:
    if name == "manifest.json":
        _edit_manifest(photos, format=99)
    else:
        with closing(sqlite3.connect(photos.directory / name)) as file:
            file.execute("PRAGMA user_version = 99")
    for attempt in (lambda: index([more], photos), lambda: status(photos)):
        with pytest.raises(NewerFormatError, match="99") as raised:
            attempt()
        assert "newer" in raised.value.advice.lower() or "update" in raised.value.advice.lower()
        photos.close()


@pytest.mark.parametrize("content", [None, b""])
def test_no_writer_has_made_the_ledger_yet(content: bytes | None, photos: Collection) -> None:
    """Killed in its first moments, the ledger is absent or empty: nothing failed so far."""
    (photos.directory / "ledger.sqlite").unlink()
    if content is not None:
        (photos.directory / "ledger.sqlite").write_bytes(content)
    assert list(failures(photos)) == []
    assert status(photos).files == {}


# -- without what the manifest names ---------------------------------------------------------------


def test_a_package_that_the_manifest_names_and_that_is_gone_is_missing(
    photos: Collection, more: str
) -> None:
    """It isn't used wrongly (exit code 4, not 2), and what doesn't need it answers."""
    manifest = json.loads((photos.directory / "manifest.json").read_text())
    channels = [{**channel, "encoder": "nosuch:"} for channel in manifest["channels"]]
    models = [{**channel, "encoder": "starter:nosuch"} for channel in manifest["channels"]]
    for changes, answers, degraded in (
        ({"channels": models}, True, True),
        ({"vectors": "nosuch:"}, True, True),
        ({"channels": channels}, True, True),
        ({"documents": "nosuch:"}, False, False),
        ({"assets": "nosuch:"}, True, False),
    ):
        _edit_manifest(photos, **{**manifest, **changes})
        with pytest.raises(NotInstalledError, match=r"nosuch.*names it"):
            index([more], photos)
        if answers:
            results = photos.search("0")
            assert results.degraded == degraded
            assert any("nosuch" in note for note in results.notes) == degraded
        else:
            with pytest.raises(NotInstalledError, match="nosuch"):
                photos.search("0")
        photos.close()


def test_taking_out_needs_no_encoder(
    photos: Collection, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = json.loads((photos.directory / "manifest.json").read_text())
    _edit_manifest(photos, channels=[{**c, "encoder": "nosuch:"} for c in manifest["channels"]])
    assert remove([str(whole.parent / "0.png")], photos) == 1
    assert status(photos).assets == {"image": 1}
    assert set(status(photos).vectors.values()) == {1, 0}


def test_figures_while_a_writer_takes_files_away(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, walk = status(photos).bytes, os.walk
    monkeypatch.setattr(
        os, "walk", lambda top: ((root, [], [*names, "a-wal"]) for root, _, names in walk(top))
    )
    assert status(photos).bytes == size


# -- making ---------------------------------------------------------------------------------------


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "Documents"
    folder.mkdir()
    corpus.text(folder / "letter.txt")
    with pytest.raises(UsageError, match=r"'letter\.txt'"):
        create(folder, settings=collections.settings(tmp_path))
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


def test_what_a_killed_creation_left_is_no_hindrance(tmp_path: Path) -> None:
    settings = collections.settings(tmp_path)
    made = create("whole", settings=settings).directory
    (made / "manifest.json").rename(made / "manifest.json.partial")
    (made / "probes.npz").write_bytes(b"half")
    (made / CATALOGUE).write_bytes(b"")
    for folder in (made, tmp_path / "begun"):
        folder.mkdir(exist_ok=True)
        (folder / ".lock").touch()
        create(folder, settings=settings)
        open_collection(folder, settings=settings).backends.close()


def test_a_manifest_that_is_lost_is_not_made_anew_over_what_was_indexed(
    photos: Collection,
) -> None:
    (photos.directory / "manifest.json").unlink()
    with pytest.raises(CorruptError, match=r"its manifest\.json is missing") as raised:
        create(photos.directory, settings=photos.settings)
    assert "backup" in raised.value.advice
    assert not (photos.directory / "manifest.json").exists()


@pytest.mark.parametrize("name", ["documents.sqlite", CATALOGUE, "vectors"])
def test_a_store_that_is_missing_is_not_taken_for_an_empty_one(
    name: str, photos: Collection, more: str
) -> None:
    lost = photos.directory / name
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    for attempt in (
        lambda: photos.search("red"),
        lambda: status(photos),
        lambda: index([more], photos),
        lambda: remove([more], photos),
    ):
        with pytest.raises(CorruptError, match="missing") as raised:
            attempt()
        assert str(lost) in str(raised.value)
        assert "verify --repair" in raised.value.advice
    assert any(str(lost) in problem for problem in verify(photos).problems)
    assert not lost.exists()
    assert verify(photos, repair=True).problems
    assert lost.exists()


@pytest.mark.parametrize(
    "asked", [{"encoder": "hash:weights=2"}, {"vectors": "faiss:"}, {"assets": "folder:"}]
)
def test_a_collection_is_not_made_anew_as_another(
    asked: dict[str, str], photos: Collection
) -> None:
    create(photos.directory, settings=photos.settings)
    create(photos.directory, encoder="hash:", vectors="exact:", settings=photos.settings)
    with pytest.raises(UsageError, match=next(iter(asked))):
        create(photos.directory, settings=photos.settings, **asked)


@pytest.mark.parametrize("role", ["encoder", "vectors", "documents", "assets"])
def test_an_unknown_back_end_leaves_no_folder_behind(role: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nosuch"):
        create("photos", settings=collections.settings(tmp_path), **{role: "nosuch:"})
    assert not (tmp_path / "photos").exists()


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    corpus.text(tmp_path / "photos")
    with pytest.raises(StoreUnreachableError, match="can't be made"):
        create("photos", settings=collections.settings(tmp_path))


@pytest.mark.parametrize("name", ["", " ", "a\0b"])
def test_no_name_of_a_collection(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no name"):
        create(name, settings=collections.settings(tmp_path))


def test_a_home_may_be_given_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    monkeypatch.chdir(tmp_path)
    photos = create("photos", settings=collections.settings(Path("home")))
    index([more], photos)
    assert list(failures(photos)) == []
    assert photos.directory == tmp_path / "home/photos"


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour = 'red'", "colour"),
        ("threads = 'many'", "threads"),
        ("threads = [", "TOML"),
        ("threads = 1.5", "threads"),
        ("workers = -1", "workers"),
        ("workers = true", "workers"),
        ("max_file_mb = 0", "max_file_mb"),
        ("max_megapixels = -250", "max_megapixels"),
        ("decode_seconds = nan", "decode_seconds"),
        ("decode_seconds = 0.0", "decode_seconds"),
        ("decode_memory_mb = '0'", "decode_memory_mb"),
        ("collection = 5", "collection"),
    ],
)
def test_a_settings_file_that_is_wrong_is_told(text: str, says: str) -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text(text)
    with pytest.raises(UsageError, match=says) as raised:
        load_settings()
    assert str(config_path()) in str(raised.value)


def test_settings_that_are_right() -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text("workers = 0\ndecode_seconds = 5\nmax_file_mb = '7'\n")
    settings = load_settings()
    assert (settings.workers, settings.decode_seconds, settings.max_file_mb) == (0, 5.0, 7)


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        (errno.EROFS, "photos can't be written: Read-only file system", "Searching it works"),
        (errno.EACCES, "photos can't be written: Permission denied", "Searching it works"),
        (errno.ENOSPC, "photos can't be written: No space left", "Make room"),
        (errno.ENOLCK, "can't be locked: No locks available", "network file systems"),
    ],
)
def test_what_keeps_the_lock_from_being_taken_is_told_apart(
    code: int, message: str, advice: str, photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), str(photos.directory / ".lock"))

    monkeypatch.setattr(FileLock, "acquire", fail)

    with pytest.raises(StoreUnreachableError, match=message) as caught, writing(photos):
        pass
    assert caught.value.advice.count(advice) == 1
    assert str(caught.value).count(str(photos.directory)) == 1


def test_a_folder_of_the_asked_name_is_offered(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.directory.parent)
    elsewhere = collections.settings(photos.directory.parent / "elsewhere")
    with pytest.raises(CollectionNotFoundError) as caught:
        open_collection("photos", settings=elsewhere)
    assert "`./photos`" in caught.value.advice
    assert open_collection("./photos", settings=elsewhere).directory == photos.directory


@pytest.mark.parametrize(
    ("name", "value"),
    [("query", 5), ("k", "5"), ("where", 5), ("modality", "picture"), ("group_by", "folder")],
)
def test_a_search_called_wrongly_says_so(name: str, value: object, photos: Collection) -> None:
    call: dict[str, Any] = {"query": "red", name: value}
    with pytest.raises(UsageError, match=f"`{name}` can't be") as caught:
        photos.search(**call)
    assert caught.value.advice

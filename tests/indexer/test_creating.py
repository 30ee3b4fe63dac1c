"""A collection that can't be made leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from indexer import create
from indexer import creating as making
from indexer.folder import make_folder
from retrieval.errors import EcholensError, StoreUnreachableError, UsageError
from tests import collections


@pytest.mark.parametrize(
    "asked",
    [
        {"vectors": "milvus://h/n?indx=FLAT"},
        {"vectors": "milvus:vectors.txt"},
        {"documents": "elasticsearch://u:hush@h/n"},
        {"assets": "s3://bucket/n?endpont=http://h"},
    ],
)
def test_a_url_that_makes_no_sense_is_refused_before_the_encoder_is_loaded(
    asked: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*_: object) -> None:
        raise AssertionError("the encoder was loaded")

    monkeypatch.setattr(making, "probes_of", loaded)
    with pytest.raises(UsageError) as caught:
        create("photos", settings=collections.settings(tmp_path), **asked)
    assert "hush" not in f"{caught.value}{caught.value.advice}"
    assert not (tmp_path / "photos").exists()


@pytest.mark.parametrize("there", [False, True])
def test_a_store_that_cannot_be_opened_leaves_no_folder_behind(there: bool, tmp_path: Path) -> None:
    """The vectors were made by then."""
    if there:
        (tmp_path / "photos").mkdir()
    with pytest.raises(StoreUnreachableError, match=r"127\.0\.0\.1:1"):
        create(
            "photos",
            assets="s3://bucket/photos?endpoint=http://127.0.0.1:1&timeout=1",
            settings=collections.settings(tmp_path),
        )
    assert not (tmp_path / "photos").exists()


def test_what_was_in_the_folder_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed creation's folder, or one whose manifest is lost."""
    (tmp_path / "photos").mkdir()
    for name in (".lock", "ledger.sqlite"):
        (tmp_path / "photos" / name).touch()
    _fails(monkeypatch)
    with pytest.raises(StoreUnreachableError):
        create("photos", settings=collections.settings(tmp_path))
    assert (tmp_path / "photos/ledger.sqlite").exists()


def test_a_collection_that_another_process_made_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = collections.settings(tmp_path)

    def late(directory: Path) -> bool:
        new = make_folder(directory)
        monkeypatch.setattr(making, "make_folder", make_folder)
        create(directory, settings=settings)
        return new

    monkeypatch.setattr(making, "make_folder", late)
    with pytest.raises(EcholensError, match="vectors"):
        create("photos", vectors="faiss:", settings=settings)
    assert (tmp_path / "photos/manifest.json").is_file()


def test_a_collection_that_another_process_made_meanwhile_gets_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = collections.settings(tmp_path)

    def late(directory: Path) -> bool:
        monkeypatch.setattr(making, "make_folder", make_folder)
        create(directory, settings=settings)
        return False

    monkeypatch.setattr(making, "make_folder", late)
    made = create("photos", audio_encoders=["tags:spectrum"], settings=settings)
    assert [channel.modality for channel in made.manifest.channels][-1] == "audio"


def test_no_transcriber_is_what_was_asked_for_whatever_the_setting_is(tmp_path: Path) -> None:
    settings = replace(collections.settings(tmp_path), transcriber="whisper:base")
    assert create("photos", transcriber="", settings=settings).manifest.transcriber == ""


def _fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreUnreachableError("The disk is full.")

    monkeypatch.setattr(making, "write_manifest", full)

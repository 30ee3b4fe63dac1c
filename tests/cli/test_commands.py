"""``status``, ``failures``, ``remove``, ``verify``, ``encoders``, and the options of them all."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cli.commands.status import size
from cli.encoders import installer
from cli.errors import ExitCode
from retrieval.registry import schemes
from tests import corpus

from .conftest import Echolens


def test_status_tells_what_is_there(photos: Path, tmp_path: Path, echolens: Echolens) -> None:
    corpus.text_named(photos / "lie.jpg")
    echolens("index", photos)

    figures = echolens("status", "--format", "jsonl").records[0]
    table = echolens("status")

    assert figures["collection"] == str(tmp_path / "collection")
    assert figures["channels"] == dict.fromkeys(
        [f"test-hash-32/{modality}" for modality in ("image", "text", "video")], "hash:"
    )
    assert figures["assets"] == {"image": 3}
    assert figures["documents"] == {"test-hash-32/image": 3, "test-hash-32/text": 1}
    assert figures["vectors"] == {**figures["documents"], "test-hash-32/video": 0}
    assert figures["failures"] == {"corrupt": 1}
    assert figures["fields"]["modified"] == "date"
    assert figures["bytes"] > 0
    assert table.code == ExitCode.DONE
    assert "3 documents, 3 vectors, hash:" in table.out.decode()


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (2_500_000, "2.5 MB"),
        (7e15, "7000.0 TB"),
    ],
)
def test_a_size_in_words(count: int, text: str) -> None:
    assert size(count) == text


def test_failures_in_each_form(photos: Path, echolens: Echolens) -> None:
    bad = corpus.text_named(photos / "lie\n.jpg")
    (photos / "song.mid").write_bytes(b"x")
    echolens("index", photos)

    table = echolens("failures")
    record = echolens("failures", "--format", "jsonl").records[0]

    assert table.lines[0].split()[:2] == ["reason", "path"]
    assert len(table.lines) == 2
    assert "lie\\n.jpg" in table.lines[1]
    assert record["path"] == str(bad)
    assert record["reason"] == "corrupt"
    assert record["message"]
    assert echolens("failures", "--format", "paths", "-0").out == os.fsencode(bad) + b"\0"


def test_no_failures(photos: Path, echolens: Echolens) -> None:
    echolens("index", photos)

    done = echolens("failures")

    assert (done.code, done.out, done.err) == (ExitCode.DONE, b"", "nothing failed\n")


def test_remove_takes_out_and_leaves_the_file(photos: Path, echolens: Echolens) -> None:
    echolens("index", photos)

    preview = echolens("remove", "--dry-run", photos / "red.png")
    removed = echolens("remove", photos / "red.png")

    assert preview.lines == ["would remove 1 file from the collection"]
    assert removed.lines == ["removed 1 file from the collection"]
    assert "--restore" in removed.err
    assert (photos / "red.png").exists()
    assert b"red.png" not in echolens("search", "red", "--format", "paths").out


def test_remove_by_asset_and_by_folder(photos: Path, echolens: Echolens) -> None:
    echolens("index", photos)
    asset = echolens("search", "red", "-k", "1", "--format", "jsonl").records[0]["asset"]

    assert echolens("remove", asset).lines == ["removed 1 file from the collection"]
    assert echolens("remove", photos).lines == ["removed 2 files from the collection"]


def test_remove_what_is_not_there(photos: Path, echolens: Echolens) -> None:
    echolens("index", photos)

    done = echolens("remove", photos / "other.png")

    assert done.code == ExitCode.USAGE
    assert "other.png" in done.err


def test_verify_finds_damage_and_mends_it(photos: Path, tmp_path: Path, echolens: Echolens) -> None:
    echolens("index", photos)
    sound = echolens("verify")
    rows = max(
        (tmp_path / "collection" / "vectors").rglob("rows-*.f32"),
        key=lambda file: file.stat().st_size,
    )
    data = bytearray(rows.read_bytes())
    data[len(data) // 2] ^= 0x40
    rows.write_bytes(data)

    damaged, mended = echolens("verify"), echolens("verify", "--repair")
    waiting = echolens("verify")
    echolens("index", photos)
    again = echolens("verify")

    assert sound.code == ExitCode.DONE
    assert sound.lines[-1].endswith(": 0 problems")
    assert damaged.code == ExitCode.NO
    assert "--repair" in damaged.err
    for told in (mended, waiting):  # nothing is damaged any more, and a picture isn't found yet
        assert told.code == ExitCode.PARTLY, told
        assert told.lines[-1].startswith("1 file must be indexed again: run `echolens index ")
        assert str(photos) in told.lines[-1]
    assert again.code == ExitCode.DONE


def test_verify_of_an_empty_collection(tmp_path: Path, echolens: Echolens) -> None:
    (tmp_path / "empty").mkdir()
    echolens("index", tmp_path / "empty")

    assert echolens("verify").lines == ["checked an empty collection: 0 problems"]


def test_verify_sums_up_problems_of_one_kind(
    photos: Path, tmp_path: Path, echolens: Echolens
) -> None:
    for number in range(9):
        corpus.text(photos / f"note {number}.txt", f"note number {number}")
    echolens("index", photos)
    with closing(sqlite3.connect(tmp_path / "collection/documents.sqlite")) as file, file:
        lost = file.execute("DELETE FROM documents").rowcount

    few, all_ = echolens("verify"), echolens("verify", "-v")

    assert few.code == all_.code == ExitCode.NO
    for what in ("has no document", "words are kept that belong to no document"):
        assert sum(line.endswith(f": {what}") for line in few.lines) <= 3 + 4
        assert f"more: {what} (all with -v)" in few.out.decode()
    of_vectors = [line for line in all_.lines if line.startswith("vectors ")]
    assert len(of_vectors) == lost > 9
    assert "more:" not in all_.out.decode()


def test_a_collection_without_its_manifest_is_told(
    photos: Path, tmp_path: Path, echolens: Echolens
) -> None:
    echolens("index", photos)
    (tmp_path / "collection/manifest.json").unlink()
    for arguments in (["search", "red"], ["status"], ["index", photos], ["verify", "--repair"]):
        done = echolens(*arguments)
        assert done.code == ExitCode.MISFIT
        assert "manifest.json is missing" in done.err
        assert "backup" in done.err


def test_every_encoder_is_listed(echolens: Echolens) -> None:
    listed = {
        record["encoder"]: record
        for record in echolens("encoders", "--format", "jsonl").records
        if "encoder" in record
    }

    assert listed.keys() == {f"{scheme}:" for scheme, _ in schemes("encoder")}
    assert listed["starter:"]["install"] is None
    assert listed["hash:"]["install"] is None
    assert listed["starter:"]["modalities"] == ["image", "text"]
    assert listed["starter:"]["languages"].startswith("English")
    assert "starter:" in echolens("encoders").out.decode()


def test_an_extra_that_is_not_installed_comes_with_its_command() -> None:
    assert installer(None) is None
    assert installer("gpu") == "pip install 'echolens[gpu]'"


def test_common_options_work_on_both_sides(
    photos: Path, tmp_path: Path, echolens: Echolens
) -> None:
    other = str(tmp_path / "other")

    assert echolens("index", photos, "-c", other, "-q").err == ""
    assert echolens("-q", "-c", other, "status").code == ExitCode.DONE
    assert echolens("status").code == ExitCode.MISSING


def test_a_bare_name_lies_in_the_users_data_folder(
    photos: Path, tmp_path: Path, echolens: Echolens
) -> None:
    echolens("index", photos, "-c", "holiday", ECHOLENS_HOME=str(tmp_path / "home"))

    assert (tmp_path / "home" / "holiday" / "manifest.json").is_file()


def test_an_export_that_cannot_be_meant_is_refused(echolens: Echolens) -> None:
    alone = echolens("encoders", "export", "open_clip:ViT-B-32/openai")
    assert alone.code == ExitCode.USAGE
    assert "a new folder" in alone.err  # and not: a collection, which this fixture names
    towers = echolens("encoders", "export", "--towers", "text,sound")
    assert towers.code == ExitCode.USAGE
    assert "no tower `sound`" in towers.err
    missing = echolens("encoders", "export")
    assert missing.code == ExitCode.MISSING
    assert "There is no collection" in missing.err

"""``init``: a collection before there is anything to index."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.errors import ExitCode
from retrieval.manifest import read_manifest

from .conftest import Echolens


def test_a_new_collection_has_the_stores_that_were_named(
    photos: Path, tmp_path: Path, echolens: Echolens
) -> None:
    made = echolens("init", str(tmp_path / "collection"), "--assets", "folder:")
    indexed = echolens("index", photos)

    assert made.code == indexed.code == ExitCode.DONE
    assert "folder:" in made.out.decode()
    assert read_manifest(tmp_path / "collection").assets == "folder:"
    assert "indexed 3" in indexed.out.decode()


def test_what_is_there_is_not_made_otherwise(tmp_path: Path, echolens: Echolens) -> None:
    echolens("init")
    again, other = echolens("init"), echolens("init", "--vectors", "milvus://me:secret@h/n")

    assert again.code == ExitCode.DONE
    assert other.code == ExitCode.USAGE
    assert "vectors" in other.err
    assert "secret" not in other.err
    assert read_manifest(tmp_path / "collection").vectors == "exact:"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["other"], "give one"),
        (["--attach", "elasticsearch://h/n", "--vectors", "exact:"], "--vectors"),
        (["--attach", "sqlite:"], "on one machine alone"),
        (["--attach", "nosuch:"], "No document store is called"),
        (["--documents", "elasticsearch://user:secret@h/n"], "no user and no password"),
        (["--vectors", "milvus://user:secret@h/n"], "no user and no password"),
    ],
)
def test_what_cannot_be_meant_makes_nothing(
    tmp_path: Path, echolens: Echolens, arguments: list[str], said: str
) -> None:
    done = echolens("init", *arguments)

    assert done.code == ExitCode.USAGE
    assert said in done.err
    assert "secret" not in done.err
    assert not (tmp_path / "collection/manifest.json").exists()

"""``echolens evaluate --captions``: other languages ask, and their figures stand side by side."""

from __future__ import annotations

from pathlib import Path

from cli.errors import ExitCode

from .conftest import Echolens


def test_captions_in_several_languages_have_a_table_of_their_own(
    photos: Path, tmp_path: Path, echolens: Echolens
) -> None:
    english, chinese = photos / "captions.tsv", tmp_path / "zh.tsv"
    english.write_text("image\tcaption\nred.png\ta red sheet\nblue.png\ta blue sheet\n")
    chinese.write_text("image\tcaption\nred.png\t红色\nblue.png\t蓝色\n", "utf-8")
    captions = ["--captions", f"en={english}", "--captions", f"zh=table:{chinese}"]

    echolens("index", "--captions", str(english))
    done = echolens("evaluate", str(english), *captions)

    assert done.code == ExitCode.PARTLY
    assert "lacks 2 of 4 texts of the data" in done.err  # nobody indexed Chinese
    tables = done.out.decode().split("by language")[1:]
    assert len(tables) == 2  # through the collection and exact
    for table in tables:
        rows = [line.split()[:2] for line in table.split("\n\n")[0].splitlines()]
        assert ["en", "2"] in rows
        assert ["zh", "2"] in rows


def test_a_file_of_captions_that_is_not_there_is_told(photos: Path, echolens: Echolens) -> None:
    english = photos / "captions.tsv"
    english.write_text("image\tcaption\nred.png\ta red sheet\n")

    echolens("index", photos)
    done = echolens("evaluate", str(english), "--captions", "zh=nowhere.tsv")

    assert done.code == ExitCode.USAGE
    assert "There is no nowhere.tsv" in done.err

"""A path that is in no known format: what is wrong with it is said where that can be told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import UsageError
from retrieval.evaluation.datasets import FORMATS, open_dataset

from .sets import coco_set, files, lines, written


def refused(source: str | Path) -> str:
    """Message and advice of the refusal."""
    with pytest.raises(UsageError) as error:
        open_dataset(source)
    return f"{error.value} {error.value.advice}"


@pytest.mark.parametrize("name", ["empty", "e.json", "e.jsonl", "e.csv", "e.tsv", "e.txt"])
@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_empty(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name).startswith(f"{tmp_path / name} is empty.")


@pytest.mark.parametrize("name", ["coco", "karpathy", "table"])
def test_an_empty_file_is_empty_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    path = lines(tmp_path / "nothing")
    for content in (b"", b" \n", b"\xef\xbb\xbf"):
        path.write_bytes(content)
        assert "nothing is empty." in refused(f"{name}:{path}")


def test_a_folder_says_what_those_that_are_known_hold(tmp_path: Path) -> None:
    files(tmp_path, "captions.json", "images/a.jpg")
    told = refused(tmp_path)
    assert "neither `wds` nor `beir`: it holds captions.json, images/." in told
    assert all(name in told for name in ("nshards.txt", "corpus.jsonl", "queries.jsonl", "qrels/"))
    files(tmp_path, *(f"z{number}" for number in range(20)))
    assert "z0, z1, z10, z11, z12, z13, and 14 more." in refused(tmp_path)
    (tmp_path / "none").mkdir()
    assert "it holds nothing." in refused(tmp_path / "none")


@pytest.mark.parametrize("prefix", ["", "coco:", "karpathy:"])
def test_json_that_does_not_parse_says_line_and_column(tmp_path: Path, prefix: str) -> None:
    path = lines(tmp_path / "a.json", '{"info": 1,', ' "pictures": [1, 2,, 3]}')
    assert "a.json, line 2 can't be read: it isn't JSON (" in refused(f"{prefix}{path}")
    assert ", column 20)" in refused(f"{prefix}{path}")


def test_the_line_of_jsonl_that_does_not_parse_is_its_own(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", "", '{"image": }', "{}")
    assert "a.jsonl, line 2 can't be read: it isn't JSON (" in refused(path)
    assert "column 11)" in refused(path)
    path = lines(tmp_path / "b.jsonl", '{"image": "a.jpg", "caption": "x"}', '{"image": }')
    told = refused(path)  # recognised by its first line
    assert "b.jsonl, line 2 can't be read" in told
    assert "line 1" not in told
    assert "line 1 can't be read: it is a list, not an object" in refused(
        lines(tmp_path / "c.jsonl", "[1]")
    )


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({"info": 1, "pictures": []}, "an object with `info`, `pictures`"),
        ([{"image": "a.jpg", "caption": "x"}], "a list"),
        (None, "null"),
        (5, "a number"),
        ({}, "an object with nothing"),
    ],
)
def test_json_of_another_kind_says_what_it_holds(tmp_path: Path, value: Any, what: str) -> None:
    told = refused(written(tmp_path / "a.json", value))
    assert f"it is JSON, {what}." in told
    assert "`annotations`" in told


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.txt", "a"])
def test_utf16_is_told(tmp_path: Path, encoding: str, name: str) -> None:
    (tmp_path / name).write_bytes("image,caption\na.jpg,x\n".encode(encoding))
    told = refused(tmp_path / name)
    assert "line 1 can't be read: it " in told
    assert "UTF-16" in told
    assert "Save the file as UTF-8" in told


@pytest.mark.parametrize("prefix", ["coco:", ""])
def test_json_in_another_encoding_is_told_alike_with_a_prefix(tmp_path: Path, prefix: str) -> None:
    path = coco_set(tmp_path, pictures=1)
    text = json.dumps(json.loads(path.read_text()), indent=1)
    path.write_bytes(text.encode("utf-16"))
    assert "line 1 can't be read: it is UTF-16, not UTF-8." in refused(f"{prefix}{path}")
    latin = text.replace("corners", "c\xf4rners", 1)
    line = latin.count("\n", 0, latin.index("\xf4")) + 1
    path.write_bytes(latin.encode("latin-1"))
    assert f"line {line} can't be read: it isn't UTF-8." in refused(f"{prefix}{path}")


def test_the_beginning_may_end_in_the_midst_of_a_letter(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x\n" + "ä" * 100_000, "utf-8")  # a letter of two bytes, on even places
    assert "begins with `x`" in refused(path)
    path.write_text("xy\n" + "ä" * 100_000, "utf-8")
    assert "begins with `xy`" in refused(path)
    path.write_bytes(b"x\n\xc3")
    assert "line 2 can't be read: it isn't UTF-8" in refused(path)


def test_a_picture_is_no_data_set(tmp_path: Path) -> None:
    coco_set(tmp_path, pictures=1)
    assert "isn't UTF-8" in refused(tmp_path / "val2017" / "000000000001.jpg")


def test_a_long_or_odd_line_is_shown_in_short(tmp_path: Path) -> None:
    told = refused(lines(tmp_path / "a.txt", "\x1b[31m" + "long " * 1000))
    assert "begins with `\\x1b[31mlong long" in told
    assert "...`." in told
    assert len(told) < 500
    assert all(name in told for name in FORMATS)


def test_a_first_line_that_is_too_long_to_show_the_format_is_told(tmp_path: Path) -> None:
    files(tmp_path / "images", "a.jpg")
    path = lines(tmp_path / "a.jsonl", {"image": "a.jpg", "caption": "x" * 100_000})
    assert "its first line is longer than 65,536 bytes" in refused(path)
    assert "FORMAT:PATH" in refused(path)
    assert len(open_dataset(f"table:{path}").queries) == 1

"""Chinese, written or said, is found in the other script by the real command."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cli.errors import ExitCode
from tests import corpus, media_made

from .conftest import Echolens

SAID = """1
00:00:00,500 --> 00:00:02,500
歡迎來到圖書館

2
00:00:06,500 --> 00:00:08,500
請把手機關掉
"""


def test_each_script_finds_the_other(photos: Path, echolens: Echolens) -> None:
    corpus.text(photos / "red.txt", "头发后面的红色")
    corpus.text(photos / "green.txt", "颱風過後，樹葉都乾了")
    media_made.recording(photos / "talk.wav", media_made.sweep(10))
    corpus.text(photos / "talk.srt", SAID)
    assert echolens("index", photos).code == ExitCode.DONE

    for words, name in (("頭髮", "red.png"), ("台风过后", "green.png"), ("树叶", "green.png")):
        done = echolens("search", words, "--format", "jsonl")
        assert done.code == ExitCode.DONE, done.err
        (found,) = [hit for hit in done.records if "words" in {leg["name"] for leg in hit["legs"]}]
        assert Path(found["path"]).name == name
    for words, start in (("图书馆", 0.5), ("關掉", 6.5), ("手机", 6.5)):
        (hit,) = echolens("search", "--speech", words, "-k", "1", "--format", "jsonl").records
        assert Path(hit["path"]).name == "talk.wav"
        assert hit["span"]["start"] == start


@pytest.mark.parametrize("command", ["index", "verify"])
def test_what_writes_brings_a_collection_that_told_the_scripts_apart_up_to_date(
    photos: Path, tmp_path: Path, echolens: Echolens, command: str
) -> None:
    corpus.text(photos / "red.txt", "頭髮")
    echolens("index", photos)
    with closing(sqlite3.connect(tmp_path / "collection/documents.sqlite")) as file:
        (kept,) = file.execute("SELECT terms FROM words WHERE terms LIKE '%头发%'").fetchone()
        told_apart = kept.replace("头", "頭").replace("发", "髮")
        file.execute("UPDATE words SET terms = ? WHERE terms = ?", (told_apart, kept))
        file.commit()
        file.execute("PRAGMA user_version = 1")

    for reading in (("search", "头发"), ("verify",)):
        done = echolens(*reading)
        assert done.code == ExitCode.MISFIT, done.err
        assert "has format 1" in done.err
        assert "Run `echolens index` once" in done.err

    if command == "index":
        done = echolens("index", photos)
        assert done.lines == ["indexed 0, unchanged 3, duplicates 0, skipped 0 = 3"], done.err
    else:
        assert echolens("verify", "--repair").code == ExitCode.DONE
    hits = echolens("search", "头发", "--format", "jsonl").records
    assert any(leg["name"] == "words" for hit in hits for leg in hit["legs"])
    assert echolens("verify").code == ExitCode.DONE

"""Captions in several languages: all of them ask, each with an id of its own, and told apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import UsageError
from retrieval.evaluation.datasets import CaptionsFile, DatasetOptions, open_dataset
from retrieval.evaluation.embeddings import Embedder, Embedding
from retrieval.evaluation.evaluate import evaluate
from retrieval.evaluation.options import EvaluateOptions
from retrieval.evaluation.schema import Dataset, Key, Measurement
from tests import corpus
from tests.encoders import HashEncoder

from .sets import examples, files, lines, relevant, texts, told

HASH = Embedding("hash:", Embedder(HashEncoder()))
T2I, I2T = "text to image", "image to text"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Two pictures, and captions for them in English, Chinese, and Chinese by a machine."""
    files(tmp_path / "images", "a.jpg", "b.jpg")
    lines(tmp_path / "captions.tsv", "image\tcaption", "a.jpg\ta cat", "b.jpg\ta dog")
    lines(tmp_path / "zh.tsv", "image\tcaption", "a.jpg\t猫", "b.jpg\t狗")
    lines(tmp_path / "mt.tsv", "image\tcaption", "a.jpg\t小猫", "c.jpg\t没有图")
    return tmp_path


def asked(folder: Path, *captions: str) -> Dataset:
    """The data set with other captions: ``[LANGUAGE=]NAME`` of a file of the folder."""
    parsed = tuple(
        CaptionsFile.parse("=".join([*one.split("=")[:-1], str(folder / one.split("=")[-1])]))
        for one in captions
    )
    return open_dataset(folder / "captions.tsv", DatasetOptions(captions=parsed))


def languages(dataset: Dataset) -> list[object]:
    return [item.fields.get("language") for item in dataset.queries]


def test_all_files_ask_each_in_its_language(here: Path) -> None:
    data = asked(here, "en=captions.tsv", "zh=zh.tsv")
    assert texts(data) == {
        "en:a.jpg#0": "a cat",
        "zh:a.jpg#0": "猫",
        "en:b.jpg#0": "a dog",
        "zh:b.jpg#0": "狗",
    }
    assert languages(data) == ["en", "zh", "en", "zh"]
    names = ("a.jpg", "b.jpg")
    assert relevant(data) == {(f"{one}:{name}#0", name) for one in ("en", "zh") for name in names}
    assert data.problems == ()


def test_ids_of_one_file_alone_stay_what_they_are(here: Path) -> None:
    data = asked(here, "zh=zh.tsv")
    assert texts(data) == {"a.jpg#0": "猫", "b.jpg#0": "狗"}
    assert languages(data) == ["zh", "zh"]
    assert languages(asked(here, "zh.tsv")) == [None, None]


def test_two_files_of_one_language_are_both_asked_with(here: Path) -> None:
    data = asked(here, "zh=zh.tsv", "zh=mt.tsv")
    assert texts(data) == {"zh-1:a.jpg#0": "猫", "zh-2:a.jpg#0": "小猫", "zh-1:b.jpg#0": "狗"}
    assert told(data) == {"captions without an image": 1}
    assert examples(data, "captions without an image") == ("zh-2:c.jpg#0",)


def test_files_without_a_language_go_by_their_names(here: Path) -> None:
    data = asked(here, "zh.tsv", "mt.tsv")
    assert list(texts(data)) == ["zh:a.jpg#0", "mt:a.jpg#0", "zh:b.jpg#0"]
    assert languages(data) == [None, None, None]


def test_a_language_given_for_captions_of_several_is_refused(here: Path) -> None:
    rows = ["image\tlanguage\tcaption", "a.jpg\tde\tKatze", "b.jpg\tfr\tchien"]
    lines(here / "both.tsv", *rows)
    assert languages(asked(here, "both.tsv")) == ["de", "fr"]
    with pytest.raises(UsageError, match="which language each caption is: de, fr") as raised:
        asked(here, "de=both.tsv")
    assert "Leave out `de=`" in raised.value.advice
    lines(here / "one.tsv", *rows[:2])
    assert languages(asked(here, "de-AT=one.tsv")) == ["de-AT"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("captions.tsv", ("captions.tsv", "")),
        ("zh=captions.tsv", ("captions.tsv", "zh")),
        ("zh-Hant=table:a=b.csv", ("table:a=b.csv", "zh-Hant")),
        ("table:a=b.csv", ("table:a=b.csv", "")),
        ("runs/k=5.tsv", ("runs/k=5.tsv", "")),
        ("=x.tsv", ("=x.tsv", "")),
    ],
)
def test_a_language_stands_before_an_equals_sign(text: str, expected: tuple[str, str]) -> None:
    parsed = CaptionsFile.parse(text)
    assert (parsed.source, parsed.language) == expected


def test_a_file_with_an_equals_sign_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "k=5.tsv").touch()
    assert CaptionsFile.parse("k=5.tsv") == CaptionsFile("k=5.tsv")
    assert CaptionsFile.parse("l=k=5.tsv") == CaptionsFile("k=5.tsv", "l")


@given(chosen=st.lists(st.sampled_from(["", "en", "zh", "captions"]), min_size=1, max_size=4))
def test_no_caption_of_any_file_is_lost(
    chosen: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However many files share a language or a name: each asks with all that it has."""
    folder = tmp_path_factory.mktemp("languages")
    files(folder / "images", "a.jpg")
    path = lines(folder / "captions.tsv", "image\tcaption", "a.jpg\tone", "a.jpg\ttwo")
    given = tuple(CaptionsFile(path, language) for language in chosen)
    data = open_dataset(path, DatasetOptions(captions=given))
    assert data.problems == ()
    assert sorted(texts(data).values()) == ["one"] * len(chosen) + ["two"] * len(chosen)
    assert sorted(str(one or "") for one in languages(data)) == sorted(chosen * 2)


# -- told apart -----------------------------------------------------------------------------------


def measured(folder: Path, *captions: str, slices: tuple[str, ...] = ()) -> dict[str, Measurement]:
    """By direction; the pictures can be looked at."""
    for seed, name in enumerate(("a.jpg", "b.jpg")):
        corpus.picture(folder / "images" / name, seed=seed)
    found = evaluate(asked(folder, *captions), HASH, options=EvaluateOptions(slices=slices))
    rows = {row.key: row for row in found.measurements}
    return {direction: rows[Key(direction)] for direction in (T2I, I2T)}


def parts(row: Measurement) -> list[tuple[str, str, int]]:
    return [(part.field, part.value, part.queries) for part in row.slices]


def test_several_languages_are_told_apart_unasked(here: Path) -> None:
    found = measured(here, "en=captions.tsv", "zh=zh.tsv")
    assert parts(found[T2I]) == [("language", "en", 2), ("language", "zh", 2)]
    assert parts(found[I2T]) == []


def test_one_language_is_told_apart_only_when_asked(here: Path) -> None:
    assert parts(measured(here, "zh=zh.tsv")[T2I]) == []
    assert parts(measured(here, "zh.tsv")[T2I]) == []
    asked_for = measured(here, "zh=zh.tsv", slices=("language",))[T2I]
    assert parts(asked_for) == [("language", "zh", 2)]


def test_languages_are_told_apart_once_beside_other_fields(here: Path) -> None:
    found = measured(here, "en=captions.tsv", "zh=zh.tsv", slices=("language", "index"))
    assert parts(found[T2I]) == [
        ("language", "en", 2), ("language", "zh", 2), ("index", "0", 4),
    ]  # fmt: skip


def test_xm3600_is_told_apart_by_its_own_languages(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    corpus.picture(tmp_path / "images" / "a.jpg")
    row = {"image/key": "a", "en": {"caption": ["a cat"]}, "de": {"caption": ["Katze", "Eine"]}}
    data = open_dataset(lines(tmp_path / "captions.jsonl", row))
    found = evaluate(data, HASH)
    assert parts(found.measurements[0]) == [("language", "de", 2), ("language", "en", 1)]

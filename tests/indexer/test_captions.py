"""Data sets as a source: their pictures with their captions, in every format of picture files."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import IndexOptions, index
from indexer.schema import Excluded, Item, Skipped
from indexer.sources.captions import CaptionsSource
from retrieval.collection import Collection
from retrieval.deployed import DeployedCollection, embedding_of
from retrieval.errors import UsageError
from retrieval.evaluation.datasets import DatasetOptions, open_dataset
from retrieval.evaluation.evaluate import evaluate
from retrieval.schema import path_of, uri_of
from tests import collections, corpus
from tests.retrieval.evaluation.sets import files, karpathy, lines

from .conftest import captions, outcomes

HEADER = "image\tsplit\tcaption"


def _coco(path: Path, pictures: dict[str, list[str]]) -> Path:
    images = [{"id": number, "file_name": name} for number, name in enumerate(pictures)]
    annotations = [
        {"image_id": number, "caption": caption}
        for number, caps in enumerate(pictures.values())
        for caption in caps
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


def _told(source: CaptionsSource, below: Path) -> dict[str, Any]:
    """What is said of each file, by its path below a folder; of a skipped one the reason."""
    told: dict[str, Any] = {}
    for one in source.items():
        name = os.path.relpath(path_of(one.uri), below)
        assert name not in told
        told[name] = _given(one)
    return told


def _given(one: Item | Skipped | Excluded) -> Any:
    assert not isinstance(one, Excluded)
    if isinstance(one, Skipped):
        return str(one.reason)
    assert one.given is not None
    return one.given.captions, dict(one.given.fields)


def _warned(source: CaptionsSource) -> set[str]:
    return {warning.rpartition(".tsv: ")[2] for warning in source.warnings}


def _options(**options: Any) -> DatasetOptions:
    return DatasetOptions(**options)


# -- COCO -----------------------------------------------------------------------------------------


def test_coco_captions_find_their_pictures_and_outlive_a_plain_run(
    media: Path, photos: Collection
) -> None:
    """COCO's own tree: annotations/captions_val.json beside val/; one picture is missing."""
    (media / "val").mkdir()
    corpus.picture(media / "val/a.png", seed=1)
    corpus.picture(media / "val/b.png", seed=2)
    listed = {"0.png": ["a ghost"], "a.png": ["a  boat\n", "a boat", "\ud800 odd"], "b.png": []}
    given = _coco(media / "annotations/captions_val.json", listed)
    report = index([], photos, options=IndexOptions(captions=str(given)))
    assert report.accounting() == "indexed 2, unchanged 0, duplicates 0, skipped 1 = 3"
    assert outcomes(photos, media) == {
        "val/0.png": "disappeared", "val/a.png": "indexed", "val/b.png": "indexed",
    }  # fmt: skip
    assert captions(photos) == ["? odd", "a boat"]
    fields = collections.contents(photos).sightings[0].fields
    assert (fields["coco_id"], fields["split"]) == (1, "val")

    plain = index([str(media / "val")], photos)
    assert (plain.unchanged, plain.total) == (2, 2)
    (media / "val/a.txt").write_text("seen from the shore")
    index([str(media / "val")], photos)
    assert captions(photos) == ["? odd", "a boat", "seen from the shore"]

    _coco(given, {"a.png": ["a ship"], "b.png": []})
    index([], photos, options=IndexOptions(captions=str(given)))
    assert captions(photos) == ["a ship", "seen from the shore"]


def test_pictures_that_failed_keep_their_captions_for_retry(
    media: Path, photos: Collection
) -> None:
    corpus.picture(media / "good.png", seed=1)
    corpus.truncated(media / "cut.png")
    corpus.empty(media / "void.png")
    listed = {"good.png": ["a boat"], "cut.png": ["a house"], "void.png": ["a tree"]}
    given = str(_coco(media / "captions.json", listed))
    assert index([], photos, options=IndexOptions(captions=given)).failed == 2
    corpus.picture(media / "cut.png", seed=2)
    corpus.picture(media / "void.png", seed=3)
    with pytest.raises(UsageError, match="--captions means nothing beside it"):
        index([], photos, options=IndexOptions(retry=True, captions=given))

    index([], photos, options=IndexOptions(retry=True))

    assert captions(photos) == ["a boat", "a house", "a tree"]
    assert index([], photos, options=IndexOptions(captions=given)).unchanged == 3


@pytest.mark.parametrize("folder", ["images", "val", ".", "../val", "../images"])
def test_the_pictures_are_looked_for_beside_the_captions(media: Path, folder: str) -> None:
    given = _coco(media / "annotations/captions_val.json", {"gone.png": [], "a.png": []})
    pictures = media / "annotations" / folder
    pictures.mkdir(exist_ok=True)
    corpus.picture(pictures / "a.png")
    items = [one for one in CaptionsSource(str(given)).items() if isinstance(one, Item)]
    assert [item.uri for item in items] == [uri_of(pictures / "a.png")]


@pytest.mark.parametrize("images", [None, "elsewhere"])
def test_pictures_that_are_not_found_are_asked_for(media: Path, images: str | None) -> None:
    given = _coco(media / "captions.json", {"a.png": []})
    (media / "elsewhere").mkdir()
    with pytest.raises(UsageError) as raised:
        CaptionsSource(str(given), _options(images=media / images if images else None))
    assert "--images" in raised.value.advice


@pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png", "a\0.png", ""])
def test_a_picture_outside_its_folder_is_refused(media: Path, name: str) -> None:
    with pytest.raises(UsageError, match="names a picture"):
        CaptionsSource(str(_coco(media / "captions.json", {name: []})), _options(images=media))


@pytest.mark.parametrize(
    "content",
    [
        "{not json",
        "[]",
        '{"images": []}',
        '{"images": [], "annotations": []}',
        '{"images": {}, "annotations": [{"image_id": 1}]}',
        '{"images": [{"id": null, "file_name": "a.png"}], "annotations": []}',
        '{"images": [{"id": Infinity, "file_name": "a.png"}], "annotations": []}',
        "[" * 100_000,
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_coco_file_is_refused(media: Path, content: str | bytes) -> None:
    path = media / "captions.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for source in (str(path), f"coco:{path}"):
        with pytest.raises(UsageError):
            CaptionsSource(source, _options(images=media))


def test_a_coco_file_that_is_not_there(media: Path) -> None:
    with pytest.raises(UsageError, match="There is no"):
        CaptionsSource(str(media / "captions.json"))


def test_an_id_that_is_no_number_of_coco_is_no_field(media: Path) -> None:
    files(media, "a.png", "b.png")
    images = [{"id": "x", "file_name": "a.png"}, {"id": "9" * 5000, "file_name": "b.png"}]
    given = media / "captions.json"
    given.write_text(json.dumps({"images": images, "annotations": []}))
    told = _told(CaptionsSource(str(given)), media)
    assert told == {"a.png": ((), {}), "b.png": ((), {})}


def test_a_split_file_chooses_among_cocos_pictures(media: Path) -> None:
    names = {"a.png": ["a cat"], "b.png": ["a dog"], "c.png": [], "d.png": []}
    given = _coco(media / "captions.json", names)
    files(media, *names)
    split_file = karpathy(
        media / "dataset_coco.json", {0: "test", 1: "restval", 2: "val", 9: "val"}
    )
    chosen = _options(split_file=split_file)
    source = CaptionsSource(str(given), chosen)
    assert {name: one[1]["split"] for name, one in _told(source, media).items()} == {
        "a.png": "test", "b.png": "train", "c.png": "val",
    }  # fmt: skip
    assert source.warnings == (
        f"{given}: 1 images that the split file lacks (3)",
        f"{given}: 1 images of the split file that the captions lack (9)",
    )
    test = CaptionsSource(str(given), _options(split_file=split_file, split="test"))
    assert _told(test, media) == {"a.png": (("a cat",), {"split": "test", "coco_id": 0})}
    assert len(test.warnings) == 1  # what other splits lack is none of its


# -- any format -----------------------------------------------------------------------------------


def _formats(folder: Path) -> dict[str, Path]:
    """``p/a.jpg`` with two captions, in each format whose pictures are files."""
    texts = ["a  cat", "two cats"]
    sentences = [{"raw": text} for text in texts]
    flickr = {"images": [{"filename": "a.jpg", "split": "test", "sentences": sentences}]}
    files(folder / "p", "a.jpg")
    (folder / "karpathy.json").write_text(json.dumps(flickr))
    xm3600 = {"image/key": "a", "en": {"caption": texts[:1]}, "de": {"caption": texts[1:]}}
    return {
        "coco": _coco(folder / "captions_test.json", {"a.jpg": texts}),
        "karpathy": folder / "karpathy.json",
        "tokens": lines(folder / "tokens.txt", *(f"a.jpg#{n}\t{t}" for n, t in enumerate(texts))),
        "table": lines(
            folder / "t.csv", "image,split,caption", *(f"a.jpg,test,{t}" for t in texts)
        ),
        "xm3600": lines(folder / "captions.jsonl", xm3600),
    }


@pytest.mark.parametrize("name", ["coco", "karpathy", "tokens", "table", "xm3600"])
@pytest.mark.parametrize("prefix", ["", "FORMAT:"])
def test_a_data_set_whose_pictures_are_files_is_a_source(
    media: Path, name: str, prefix: str
) -> None:
    given = prefix.replace("FORMAT", name) + str(_formats(media)[name])
    source = CaptionsSource(given, _options(images=media / "p"))
    fields: dict[str, Any] = {"split": "test"} if name in ("coco", "karpathy", "table") else {}
    fields |= {"coco_id": 0} if name == "coco" else {}
    assert _told(source, media) == {"p/a.jpg": (("a cat", "two cats"), fields)}
    assert (source.warnings, source.roots) == ((), ())


def test_a_data_set_whose_pictures_are_no_files_is_refused(media: Path) -> None:
    lines(media / "wds/dataset_type.txt", "retrieval")
    lines(media / "beir/corpus.jsonl", {"_id": "1", "image": "a.jpg"})
    lines(media / "beir/queries.jsonl", {"_id": "1", "text": "a cat"})
    for name in ("wds", "beir"):
        with pytest.raises(UsageError, match=f"in the format `{name}`, is no list of") as raised:
            CaptionsSource(str(media / name))
        listing = raised.value.advice.removeprefix("Formats that are one: ").rstrip(".").split(", ")
        assert {"coco", "karpathy", "table", "tokens", "xm3600"} <= set(listing)
        assert not {"wds", "beir"} & set(listing)


def test_all_splits_are_taken_unless_one_is_named(media: Path) -> None:
    files(media, "a.png", "b.png", "c.png")
    given = lines(media / "t.tsv", HEADER, "a.png\tdev\tx", "b.png\ttest\ty", "c.png\t\tz")
    assert _told(CaptionsSource(str(given)), media) == {
        "a.png": (("x",), {"split": "dev"}),
        "b.png": (("y",), {"split": "test"}),
        "c.png": (("z",), {}),
    }
    dev = CaptionsSource(str(given), _options(split="dev"))
    assert list(_told(dev, media)) == ["a.png"]
    with pytest.raises(UsageError, match="has no split `train`") as raised:
        CaptionsSource(str(given), _options(split="train"))
    assert "dev (1 images), test (1 images), (none) (1 images)" in raised.value.advice


def test_a_file_that_several_entries_name_has_the_captions_of_all(media: Path) -> None:
    files(media, "a.jpg")
    rows = ["a.jpg\tdev\tx", "a\ttest\ty", "a.jpg\ttest\tx", "a.jpg\ttest\tz"]
    source = CaptionsSource(str(lines(media / "t.tsv", HEADER, *rows)))
    assert _told(source, media) == {"a.jpg": (("x", "y", "z"), {"split": "dev"})}
    assert _warned(source) == {"2 images in several splits, of which the first counts (a, a.jpg)"}


def test_what_is_wrong_with_a_data_set_is_told(media: Path, photos: Collection) -> None:
    corpus.picture(media / "a.png", seed=1)
    corpus.picture(media / "b.png", seed=2)
    images = [{"id": 7, "file_name": name} for name in ("a.png", "b.png")]
    annotations = [
        {"id": 1, "image_id": 7, "caption": "a boat"},
        {"id": 2, "image_id": 8, "caption": "of no picture"},
        {"id": 3, "image_id": 7, "caption": " \n"},
    ]
    given = media / "captions.json"
    given.write_text(json.dumps({"images": images, "annotations": annotations}))
    for dry_run in (True, False):
        options = IndexOptions(captions=str(given), dry_run=dry_run)
        report = index([], photos, options=options)
        assert (report.indexed, report.warnings) == (
            2,
            (
                f"{given}: 1 captions without an image (2)",
                f"{given}: 2 empty captions (3, 3)",
                f"{given}: 1 ids given twice (7)",
            ),
        )


def test_a_name_keeps_its_odd_spaces(media: Path) -> None:
    files(media, "a  b.png")
    given = _coco(media / "captions.json", {"a  b.png": ["x"]})
    assert list(_told(CaptionsSource(str(given)), media)) == ["a  b.png"]
    table = lines(media / "t.tsv", HEADER, "a  b.png\t\tx")
    assert list(_told(CaptionsSource(str(table)), media)) == ["a  b.png"]
    assert len(open_dataset(given).corpus) == len(open_dataset(table).corpus) == 1


def test_what_was_indexed_can_be_measured(media: Path, photos: Collection) -> None:
    rows = []
    for number in range(4):
        corpus.picture(media / f"{number}.png", seed=number)
        rows.append(f"{number}.png\t{'dev' if number < 3 else 'test'}\tpicture {number}")
    given = lines(media / "t.tsv", HEADER, *rows)
    index([], photos, options=IndexOptions(captions=str(given), split="dev"))
    data = open_dataset(given, _options(split="dev"))
    with photos:
        searcher = DeployedCollection(photos)
        found = evaluate(data, embedding_of(photos), searcher=searcher)
    for direction in ("text to image", "image to text"):
        held = found.card[f"searchable, {direction}"]
        assert (held["corpus"], held["of the corpus in the collection"]) == (3, 3)


@pytest.mark.parametrize(
    ("shown", "options"),
    [
        ("images", IndexOptions(images="x")),
        ("split", IndexOptions(split="x")),
        ("split-file", IndexOptions(split_file="x")),
    ],
)
def test_an_option_of_captions_without_them_is_refused(
    media: Path, photos: Collection, shown: str, options: IndexOptions
) -> None:
    with pytest.raises(UsageError, match=f"--{shown} means nothing without captions"):
        index([str(media)], photos, options=options)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a.png", "b.png", "b", "gone.png"]),
        st.sampled_from(["", "dev", "test"]),
        st.sampled_from(["", "x", " x ", "y  z", "y z", "猫"]),
    ),
    min_size=1,
)


@settings(max_examples=60)
@given(rows=ROWS, split=st.sampled_from([None, "", "dev", "test"]))
def test_every_caption_is_its_pictures(rows: list[tuple[str, str, str]], split: str | None) -> None:
    """Against a naive reading of the table, row by row: nothing is lost, doubled or moved."""
    file_of = {"a.png": "a.png", "b.png": "b.png", "b": "b.png"}
    with tempfile.TemporaryDirectory() as name:
        folder = files(Path(name), "a.png", "b.png")
        table = lines(folder / "t.tsv", HEADER, *("\t".join(row) for row in rows))
        taken = [row for row in rows if split in (None, row[1])]
        if not any(row[0] in file_of for row in taken):
            with pytest.raises(UsageError):
                CaptionsSource(str(table), _options(split=split))
            return
        told = _told(CaptionsSource(str(table), _options(split=split)), folder)
        expected: dict[str, set[str]] = {}
        for picture, _, caption in taken:
            texts = expected.setdefault(file_of.get(picture, picture), set())
            texts |= {" ".join(caption.split())} - {""}
        assert told.keys() == expected.keys()
        assert told.pop("gone.png", "disappeared") == "disappeared"
        assert {file: set(one[0]) for file, one in told.items()} == {
            file: texts for file, texts in expected.items() if file != "gone.png"
        }
        assert all(len(set(one[0])) == len(one[0]) for one in told.values())


def test_films_and_sounds_are_found_by_any_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "film.webm").write_bytes(b"film")
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "Ys.flac").write_bytes(b"sound")
    films = tmp_path / "m.csv"
    films.write_text("key,vid_key,video_id,sentence\nk,v,film,a dog\n")
    sounds = tmp_path / "a.csv"
    sounds.write_text("audiocap_id,youtube_id,start_time,caption\n1,s,3,a bark\n")
    for path, name in ((films, "film.webm"), (sounds, "Ys.flac")):
        [item] = CaptionsSource(str(path)).items()
        assert item.uri.endswith(name)

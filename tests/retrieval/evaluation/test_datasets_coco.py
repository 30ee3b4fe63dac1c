"""COCO captions, Karpathy's files, and captions of other files for the same pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import UsageError
from retrieval.evaluation.datasets import CaptionsFile, DatasetOptions, open_dataset
from tests.datasets_here import COCO_MINI, needs_coco_mini

from .sets import coco_set, examples, files, karpathy, lines, names, relevant, texts, told, written


def edited(path: Path, **changes: Any) -> Path:
    return written(path, json.loads(path.read_text()) | changes)


def test_coco_finds_its_pictures_beside_the_annotations(tmp_path: Path) -> None:
    data = open_dataset(coco_set(tmp_path, pictures=3, captions=2))

    assert (data.split, data.ids, data.problems) == ("val2017", "coco", ())
    assert [item.id for item in data.corpus] == ["1", "2", "3"]
    assert texts(data)["200"] == "a green ground with four corners"
    assert relevant(data) == {(str(n * 100 + i), str(n)) for n in (1, 2, 3) for i in (0, 1)}
    assert data.queries[1].fields == {"index": 1, "split": "val2017"}
    assert data.direction == "text to image"
    media = data.corpus[0].media
    assert media is not None
    assert media.read() == (tmp_path / "val2017" / "000000000001.jpg").read_bytes()
    assert media.name == str(tmp_path / "val2017" / "000000000001.jpg")


def test_only_the_first_captions_of_each_picture_when_so_asked(tmp_path: Path) -> None:
    data = open_dataset(coco_set(tmp_path, pictures=2, captions=6), DatasetOptions(per_image=5))
    assert len(data.queries) == 10
    assert "105" not in texts(data)
    with pytest.raises(UsageError, match="at least one"):
        open_dataset(tmp_path, DatasetOptions(per_image=0))


@pytest.mark.parametrize(
    "layout", ["val2014/COCO_val2014_{:012}.jpg", "COCO_val2014_{:012}.jpg", "train2017/{:012}.jpg"]
)
def test_pictures_of_2014_are_found_in_any_of_cocos_layouts(tmp_path: Path, layout: str) -> None:
    images = files(tmp_path / "coco", *(layout.format(number) for number in (7, 8)))
    path = karpathy(tmp_path / "dataset_coco.json", {7: "test", 8: "test"})

    data = open_dataset(path, DatasetOptions(images=images))
    assert [item.id for item in data.corpus] == ["7", "8"]
    assert data.corpus[1].media is not None
    assert data.corpus[1].media.read().decode() == layout.format(8)


def test_coco_2014_lies_below_the_folder_of_both_halves(tmp_path: Path) -> None:
    files(tmp_path, "val2014/COCO_val2014_000000000001.jpg")
    image = {"id": 1, "file_name": "COCO_val2014_000000000001.jpg"}
    annotation = {"id": 5, "image_id": 1, "caption": "one"}
    path = written(
        tmp_path / "annotations" / "captions_val2014.json",
        {"images": [image], "annotations": [annotation]},
    )
    assert texts(open_dataset(path)) == {"5": "one"}
    assert texts(open_dataset(path, DatasetOptions(images=tmp_path))) == {"5": "one"}


def test_a_split_file_gives_split_and_order(tmp_path: Path) -> None:
    path = coco_set(tmp_path, pictures=5, captions=1)
    split_file = karpathy(
        tmp_path / "s.json", {5: "test", 9: "val", 2: "restval", 1: "test", 8: "test", 3: "val"}
    )
    data = open_dataset(path, DatasetOptions(split_file=split_file))

    assert (data.split, [item.id for item in data.corpus]) == ("test", ["5", "1"])
    assert told(data) == {
        "images that the split file lacks": 1,
        "images of the split file that the captions lack": 1,
    }
    assert examples(data, "images that the split file lacks") == ("4",)
    assert examples(data, "images of the split file that the captions lack") == ("8",)
    train = open_dataset(path, DatasetOptions(split_file=split_file, split="train"))
    assert [item.id for item in train.corpus] == ["2"]  # restval


def test_karpathys_file_alone_has_cocos_ids(tmp_path: Path) -> None:
    files(tmp_path, *(f"val2014/COCO_val2014_{number:012}.jpg" for number in (4, 5, 6)))
    path = karpathy(tmp_path / "dataset_coco.json", {6: "test", 5: "restval", 4: "test"})
    data = open_dataset(path)
    assert data.ids == "coco"
    assert texts(data) == {"600": "a cat 6", "601": "a dog 6", "400": "a cat 4", "401": "a dog 4"}
    assert names(data)[0] == "val2014/COCO_val2014_000000000006.jpg"


def test_karpathys_flickr_goes_by_file_names(tmp_path: Path) -> None:
    files(tmp_path / "images", "b.jpg", "a.jpg")
    sentences = [{"raw": " A  cat .", "sentid": 12}, {"raw": "Cats"}]
    images = [
        {"filename": "b.jpg", "split": "val", "sentences": sentences},
        {"filename": "a.jpg", "split": "val", "sentences": []},
    ]
    data = open_dataset(written(tmp_path / "dataset_flickr30k.json", {"images": images}))
    assert (data.split, data.ids) == ("val", "")
    assert texts(data) == {"12": "A cat .", "b.jpg#1": "Cats"}
    assert told(data) == {"images without a caption": 1}
    assert names(data) == ["b.jpg", "a.jpg"]  # it stays, to be confused with


def test_everything_that_is_wrong_is_counted(tmp_path: Path) -> None:
    path = coco_set(tmp_path, pictures=4, captions=2)
    data = json.loads(path.read_text())
    (tmp_path / "val2017" / "000000000002.jpg").unlink()
    data["images"].append(data["images"][0])
    data["annotations"] += [
        {"id": 100, "image_id": 3, "caption": "an id of another"},
        {"id": 901, "image_id": 77, "caption": "of no picture"},
        {"id": 902, "image_id": 3, "caption": " \n"},
        {"id": 903, "image_id": 3, "caption": "half a pair: \ud83d"},
    ]
    data["annotations"] = [one for one in data["annotations"] if one["image_id"] != 4]
    found = open_dataset(written(path, data))

    assert told(found) == {
        "captions without an image": 3,  # two of the missing picture, one of no picture
        "ids given twice": 2,
        "images missing": 1,
        "empty captions": 1,
        "images without a caption": 1,
    }
    assert examples(found, "images missing") == ("000000000002.jpg",)
    assert examples(found, "captions without an image") == ("901", "200", "201")
    assert [item.id for item in found.corpus] == ["1", "3", "4"]
    assert texts(found)["903"] == "half a pair: ?"
    assert texts(found)["100"].startswith("a red")
    assert all(query in texts(found) for query in found.qrels)


def test_a_problem_shows_no_more_than_five(tmp_path: Path) -> None:
    path = coco_set(tmp_path, pictures=9, captions=1)
    for number in range(2, 10):
        (tmp_path / "val2017" / f"{number:012}.jpg").unlink()
    missing = open_dataset(path).problems[0]
    assert (missing.count, len(missing.examples)) == (8, 5)


def test_no_picture_at_all_says_where_they_were_looked_for(tmp_path: Path) -> None:
    path = coco_set(tmp_path / "coco", pictures=2)
    moved = (tmp_path / "coco" / "val2017").rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"000000000001\.jpg or any other in .*val2017") as error:
        open_dataset(path)
    assert "--images" in error.value.advice
    with pytest.raises(UsageError, match="is not a folder"):
        open_dataset(path, DatasetOptions(images=tmp_path / "nowhere"))
    assert len(open_dataset(path, DatasetOptions(images=moved)).corpus) == 2


def test_a_folder_that_lacks_the_first_pictures_is_still_taken_when_named(tmp_path: Path) -> None:
    rows = [f"{number}.jpg#0\tcaption {number}" for number in range(120)]
    images = files(tmp_path / "some", "119.jpg")
    data = open_dataset(lines(tmp_path / "t.token", *rows), DatasetOptions(images=images))
    assert names(data) == ["119.jpg"]
    assert told(data) == {"images missing": 119, "captions without an image": 119}


@pytest.mark.parametrize("name", ["../up.jpg", "a/../../b.jpg", "/etc/passwd", "nul\0.jpg", ""])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    path = coco_set(tmp_path, pictures=1, captions=1)
    with pytest.raises(UsageError, match="names a picture"):
        open_dataset(edited(path, images=[{"id": 1, "file_name": name}]))


_PICTURE = {"id": 1, "file_name": "a.jpg"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"images": 3}, "`images` of the whole of it is a number, which should be a list"),
        ({"images": [_PICTURE, {"id": 1}]}, "entry 2 of `images` has no `file_name`"),
        ({"images": [_PICTURE | {"id": None}]}, "`id` of entry 1 of `images` is null"),
        ({"images": [_PICTURE | {"id": True}]}, "`id` of entry 1 of `images` is true"),
        ({"images": [_PICTURE | {"id": 1.5}]}, "which should be a whole number or a text"),
        ({"images": [[1, 2]]}, "entry 1 of `images` is a list, not an object"),
        ({"images": [_PICTURE | {"file_name": 7}]}, "is a number, which should be a text"),
        ({"annotations": None}, "`annotations` of the whole of it is null"),
        ({"annotations": [{"id": 1, "image_id": 1}]}, "of `annotations` has no `caption`"),
        ({"annotations": [{"id": 1, "image_id": 1, "caption": 5}]}, "`caption` of entry 1 of"),
    ],
)
def test_what_is_no_coco_file_is_refused_in_words(
    tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    path = edited(coco_set(tmp_path, pictures=1, captions=1), **changes)
    with pytest.raises(UsageError, match=f"is not a COCO captions file: .*{why}"):
        open_dataset(f"coco:{path}")
    with pytest.raises(UsageError, match="COCO captions file: the whole of it is a list, not an"):
        open_dataset(f"coco:{written(path, [changes])}")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({}, "the whole of it has no `images`"),
        ({"images": [{"filename": 3}]}, "`filename` of entry 1 of `images` is a number"),
        ([1], "the whole of it is a list, not an object"),
        ({"images": [5]}, "entry 1 of `images` is a number, not an object"),
        ({"images": [{"filename": "a", "sentences": [{}]}]}, "`sentences` of entry 1 of `images`"),
    ],
)
def test_what_is_none_of_karpathys_files_is_refused_in_words(
    tmp_path: Path, content: Any, why: str
) -> None:
    path = written(tmp_path / "k.json", content)
    with pytest.raises(UsageError, match=f"not one of Karpathy's files: .*{why}"):
        open_dataset(f"karpathy:{path}")
    with pytest.raises(UsageError, match=r"not one of Karpathy's files: .*(images|whole of it)"):
        open_dataset(coco_set(tmp_path), DatasetOptions(split_file=path))


def test_a_split_file_of_other_pictures_is_the_one_that_is_blamed(tmp_path: Path) -> None:
    path = coco_set(tmp_path, pictures=2, captions=1)
    other = karpathy(tmp_path / "s.json", {77: "test", 78: "val"})
    for split in (None, "val"):
        with pytest.raises(UsageError, match=r"No picture of .*s\.json is in .*val2017") as error:
            open_dataset(path, DatasetOptions(split_file=other, split=split))
        assert "the split file has for example 77, the captions have 1." in str(error.value)
        assert "--split-file" in error.value.advice
    with pytest.raises(UsageError, match=r"s\.json lists no images"):
        open_dataset(path, DatasetOptions(split_file=karpathy(other, {})))


def test_the_same_caption_under_two_ids_is_cocos_own_way(tmp_path: Path) -> None:
    path = coco_set(tmp_path, pictures=1, captions=0)
    twice = [{"id": number, "image_id": 1, "caption": "a cat"} for number in (5, 6)]
    data = open_dataset(edited(path, annotations=twice))
    assert (len(data.queries), data.problems) == (2, ())


def test_json_that_breaks_off_names_file_and_line(tmp_path: Path) -> None:
    path = lines(tmp_path / "captions.json", '{"images": [', '{"file_name": 1,, }]}')
    with pytest.raises(
        UsageError, match=r"captions\.json, line 2 can't be read: it isn't JSON .*column 17\)"
    ):
        open_dataset(path)
    deep = lines(tmp_path / "deep.json", '{"images": ' + "[" * 100_000)
    with pytest.raises(UsageError, match="can't be read as JSON"):
        open_dataset(f"coco:{deep}")


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    path = coco_set(tmp_path, pictures=1, captions=1)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(open_dataset(path).queries) == 1


def test_captions_in_another_language_take_the_place_of_its_own(tmp_path: Path) -> None:
    path = coco_set(tmp_path, pictures=4, captions=1)
    chinese = lines(
        tmp_path / "imageid.human-written-caption.txt",
        "COCO_val2014_000000000002#0\t绿色的圆",
        "COCO_val2014_000000000001#0\t红色",
        "000000000003.jpg#zhc#0 蓝色",
        "COCO_val2014_000000000099#0\t没有图",
    )
    data = open_dataset(path, DatasetOptions(captions=(CaptionsFile(chinese),)))

    assert texts(data) == {
        "COCO_val2014_000000000001#0": "红色",
        "COCO_val2014_000000000002#0": "绿色的圆",
        "000000000003.jpg#zhc#0": "蓝色",
    }
    assert told(data) == {"captions without an image": 1, "images without a caption": 1}
    assert [item.id for item in data.corpus] == ["1", "2", "3", "4"]
    assert data.ids == ""  # ECCV's judgements are of the captions that left
    assert data.queries[2].fields["language"] == "zh"


def test_captions_of_other_splits_are_no_captions_without_an_image(tmp_path: Path) -> None:
    files(tmp_path, *(f"val2014/COCO_val2014_{number:012}.jpg" for number in (4, 5)))
    path = karpathy(tmp_path / "dataset_coco.json", {4: "test", 5: "train"})
    other = lines(tmp_path / "zh.txt", *(f"COCO_val2014_{n:012}#0\t图{n}" for n in (5, 4)))
    data = open_dataset(path, DatasetOptions(captions=(CaptionsFile(f"tokens:{other}"),)))
    assert texts(data) == {"COCO_val2014_000000000004#0": "图4"}
    assert data.problems == ()


def test_a_form_of_a_name_that_two_pictures_share_tells_nothing(tmp_path: Path) -> None:
    files(tmp_path / "images", "a/1.jpg", "b/1.jpg", "b/2.jpg")
    path = lines(tmp_path / "t.csv", "image,caption", "a/1.jpg,x", "b/1.jpg,y", "b/2.jpg,z")
    other = lines(tmp_path / "o.csv", "image,caption", "1.jpg,whose", "2,his", "b/1,exact")
    data = open_dataset(path, DatasetOptions(captions=(CaptionsFile(other),)))
    assert texts(data) == {"2#0": "his", "b/1#0": "exact"}
    assert relevant(data) == {("2#0", "b/2.jpg"), ("b/1#0", "b/1.jpg")}
    assert told(data) == {"captions without an image": 1, "images without a caption": 1}


@needs_coco_mini
def test_coco_mini_is_read_whole() -> None:
    data = open_dataset(COCO_MINI / "captions.json")
    assert (len(data.corpus), len(data.queries), data.problems) == (197, 986, ())
    assert data.ids == "coco"
    assert len(open_dataset(data.name, DatasetOptions(per_image=5)).queries) == 985

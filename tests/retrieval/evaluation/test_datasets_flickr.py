"""Token files and tables of pairs: Flickr8k and Flickr30k as they are passed around."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import UsageError
from retrieval.evaluation.datasets import CaptionsFile, DatasetOptions, open_dataset
from tests.datasets_here import FLICKR8K, needs_flickr8k

from .sets import examples, files, lines, names, relevant, texts, told


@pytest.fixture
def here(tmp_path: Path) -> Path:
    files(tmp_path / "images", "a.jpg", "b.jpg", "c.jpg")
    return tmp_path


def test_a_token_file_holds_a_caption_a_line(here: Path) -> None:
    rows = ["b.jpg#0\tA child , in pink .", "b.jpg#1\tA girl", "a.jpg#0\tA dog #1", "a.jpg#1\t"]
    data = open_dataset(lines(here / "Flickr8k.token.txt", *rows, end="\r\n"))
    assert texts(data) == {
        "b.jpg#0": "A child , in pink .",
        "b.jpg#1": "A girl",
        "a.jpg#0": "A dog #1",
    }
    assert names(data) == ["b.jpg", "a.jpg"]
    assert (data.split, told(data)) == ("", {"empty captions": 1})
    assert data.queries[1].fields == {"index": 1}


def test_a_set_in_a_token_file_tells_the_language(here: Path) -> None:
    rows = ["a.jpg#zhc#0 两只 狗", "a.jpg#enx#0 dogs", "a.jpg#b2#0 dogs", "b.jpg#zhc#1\t孩子"]
    data = open_dataset(lines(here / "zhc.caption.txt", *rows))
    assert texts(data)["a.jpg#zhc#0"] == "两只 狗"
    assert [item.fields.get("language") for item in data.queries] == ["zh", "en", None, "zh"]
    assert data.queries[2].fields == {"index": 0, "set": "b2"}


def test_names_without_suffix_are_found(tmp_path: Path) -> None:
    images = files(tmp_path / "p", "COCO_val2014_000000043734.jpg", "1000.png")
    path = lines(tmp_path / "t.txt", "COCO_val2014_000000043734#0\tx", "1000#0\ty")
    data = open_dataset(path, DatasetOptions(images=images))
    assert [item.media.name for item in data.corpus if item.media] == [
        str(images / "COCO_val2014_000000043734.jpg"),
        str(images / "1000.png"),
    ]


def test_lines_that_cant_be_read_are_counted_by_number(here: Path) -> None:
    data = open_dataset(lines(here / "t.txt", "a.jpg#0\tone", "", "no caption", "b.jpg#0\ttwo"))
    assert told(data) == {"lines that can't be read": 1}
    assert examples(data, "lines that can't be read") == ("line 3",)


def test_the_first_of_two_captions_with_one_id_wins(here: Path) -> None:
    data = open_dataset(lines(here / "t.txt", "a.jpg#0\tfirst", "a.jpg#0\tsecond"))
    assert texts(data) == {"a.jpg#0": "first"}
    assert told(data) == {"ids given twice": 1}


def test_bytes_that_are_no_utf8_name_file_and_line(here: Path) -> None:
    path = here / "t.txt"
    path.write_bytes(b"a.jpg#0\tone\nb.jpg#0\tcaf\xe9\n")
    with pytest.raises(UsageError, match=r"t\.txt, line 2 can't be read: it isn't UTF-8"):
        open_dataset(path)


def test_a_tsv_keeps_its_quotes(here: Path) -> None:
    rows = [
        "image\tsplit\tcaption_index\tcaption",
        'a.jpg\tdev\t0\t"A dog" runs',
        'b.jpg\tdev\t3\t"',
    ]
    data = open_dataset(lines(here / "captions.tsv", *rows))
    assert texts(data) == {"a.jpg#0": '"A dog" runs', "b.jpg#3": '"'}
    assert data.split == "dev"
    assert data.queries[1].fields == {"index": 3, "split": "dev"}


def test_kaggles_flickr30k_has_bars_and_one_broken_line(here: Path) -> None:
    rows = [
        "image_name| comment_number| comment",
        "a.jpg| 0| Two , men",
        "a.jpg| 1   A dog",
        'b.jpg| 0| "x"',
    ]
    data = open_dataset(lines(here / "results.csv", *rows))
    assert texts(data) == {"a.jpg#0": "Two , men", "b.jpg#0": '"x"'}
    assert told(data) == {"lines that can't be read": 1}


def test_kaggles_flickr8k_is_a_csv_with_quotes(here: Path) -> None:
    rows = ["image,caption", 'a.jpg,"Two, ""men"""', "a.jpg,one", 'b.jpg,"over', 'two lines"']
    data = open_dataset(lines(here / "captions.txt", *rows))
    assert texts(data) == {"a.jpg#0": 'Two, "men"', "a.jpg#1": "one", "b.jpg#0": "over two lines"}


def test_an_unclosed_quote_is_refused_and_not_swallowed(here: Path) -> None:
    path = lines(here / "c.csv", "image,caption", 'a.jpg,"open', "b.jpg,lost")
    with pytest.raises(UsageError, match=r"c\.csv, line 3 can't be read"):
        open_dataset(path)


def test_flickr_annotations_hold_lists_of_captions(here: Path) -> None:
    rows = [
        "raw,sentids,split,filename,img_id",
        '"[""Two men ."", ""They"", """"]","[0, 1, 2]",train,a.jpg,0',
        '"[""A dog .""]","[5]",test,b.jpg,1',
        '"no list","[6]",test,c.jpg,2',
    ]
    path = lines(here / "flickr_annotations_30k.csv", *rows)
    data = open_dataset(path)
    assert (data.split, texts(data)) == ("test", {"5": "A dog ."})
    assert data.queries[0].fields == {"index": 0, "img_id": "1", "split": "test"}
    assert told(data) == {"lines that can't be read": 1, "images without a caption": 1}
    train = open_dataset(path, DatasetOptions(split="train"))
    assert texts(train) == {"0": "Two men .", "1": "They"}
    assert told(train)["empty captions"] == 1


def test_ones_own_jsonl_gives_its_columns_as_fields(here: Path) -> None:
    rows: list[Any] = [
        {"file_name": "a.jpg", "text": "a cat", "language": "en", "year": 2020, "tags": ["x"]},
        {"file_name": "a.jpg", "text": "eine Katze", "language": "de", "night": True, "by": ""},
        {"file_name": "a.jpg", "text": "two cats", "language": "en"},
        {"file_name": "b.jpg", "text": ["one \ud83d", "more"]},
        {"file_name": "", "text": "nothing"},
        {"file_name": "c.jpg", "text": 5},
        {"file_name": "c.jpg"},
    ]
    data = open_dataset(lines(here / "own.jsonl", *rows, "[1, 2]"))
    assert texts(data) == {
        "a.jpg#en#0": "a cat",
        "a.jpg#de#0": "eine Katze",
        "a.jpg#en#1": "two cats",
        "b.jpg#0": "one ?",
        "b.jpg#1": "more",
    }
    assert data.queries[0].fields == {"language": "en", "index": 0, "year": 2020}
    assert data.queries[1].fields == {"language": "de", "index": 0, "night": True}
    assert told(data) == {"lines that can't be read": 4, "images without a caption": 1}


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999", '"many"', "[]", "{}"])
def test_a_number_that_is_none_costs_its_line_alone(here: Path, number: str) -> None:
    row = f'{{"image": "a.jpg", "caption": "lost", "caption_index": {number}}}'
    data = open_dataset(lines(here / "own.jsonl", {"image": "b.jpg", "caption": "kept"}, row))
    assert texts(data) == {"b.jpg#0": "kept"}
    assert told(data)["lines that can't be read"] == 1


def test_the_first_captions_are_counted_in_each_language(here: Path) -> None:
    rows = [
        {"image": "a.jpg", "caption": f"{n}", "language": n % 2 * "de" or "en"} for n in range(6)
    ]
    data = open_dataset(lines(here / "own.jsonl", *rows), DatasetOptions(per_image=2))
    assert list(texts(data).values()) == ["0", "1", "2", "3"]


def test_a_jsonl_line_that_breaks_off_names_file_and_line(here: Path) -> None:
    path = lines(here / "o.jsonl", {"image": "a.jpg", "caption": "x"}, "", '{"image": ')
    with pytest.raises(UsageError, match=r"o\.jsonl, line 3 can't be read: it isn't JSON"):
        open_dataset(path)


def test_a_byte_order_mark_is_no_part_of_the_first_column(here: Path) -> None:
    path = lines(here / "c.csv", "\ufeffimage,caption", "a.jpg,one")
    assert texts(open_dataset(path)) == {"a.jpg#0": "one"}
    path = lines(here / "t.txt", "\ufeffa.jpg#0\tone")
    assert texts(open_dataset(path)) == {"a.jpg#0": "one"}


def test_a_table_without_the_columns_says_which_it_has(here: Path) -> None:
    path = lines(here / "c.csv", "photo,words", "a.jpg,one")
    for source in (path, f"table:{path}"):
        with pytest.raises(UsageError, match="photo, words: none of pictures and none of") as error:
            open_dataset(source)
        assert "image, file" in error.value.advice
        assert "caption, captions" in error.value.advice
    with pytest.raises(UsageError, match="image, words: none of captions"):
        open_dataset(lines(here / "c.tsv", "Image\twords", "a.jpg\tone"))
    with pytest.raises(UsageError, match="photo, text: none of pictures"):
        open_dataset(lines(here / "c.jsonl", {"photo": "a.jpg", "text": "one"}))


@pytest.mark.parametrize("name", ["../a.jpg", "/a.jpg", "x/../../a.jpg"])
def test_a_table_names_no_file_outside_the_folder(here: Path, name: str) -> None:
    path = lines(here / "c.csv", "image,caption", f"{name},one")
    with pytest.raises(UsageError, match="outside its folder"):
        open_dataset(path)


def test_a_split_is_chosen_by_name_or_as_the_only_one_or_as_test(here: Path) -> None:
    header = "image,split,caption"
    one = lines(here / "one.csv", header, "a.jpg,dev,x")
    two = lines(here / "two.csv", header, "a.jpg,dev,x", "a.jpg,dev,z", "b.jpg,train,y", "c.jpg,,q")
    three = lines(here / "three.csv", header, "a.jpg,dev,x", "b.jpg,test,y")
    none = lines(here / "none.csv", "image,caption", "a.jpg,x")
    assert open_dataset(one).split == "dev"
    assert names(open_dataset(three)) == ["b.jpg"]
    assert names(open_dataset(two, DatasetOptions(split="train"))) == ["b.jpg"]
    with pytest.raises(UsageError, match=r"several splits: dev \(1 images\), train") as error:
        open_dataset(two)
    assert "--split" in error.value.advice
    with pytest.raises(UsageError, match="no split `test`") as error:
        open_dataset(two, DatasetOptions(split="test"))
    assert "dev (1 images), train (1 images), (none) (1 images)" in error.value.advice
    with pytest.raises(UsageError, match="has no splits"):
        open_dataset(none, DatasetOptions(split="test"))


def test_nothing_left_is_refused(here: Path) -> None:
    with pytest.raises(UsageError, match="has a caption: 1 were found"):
        open_dataset(lines(here / "c.csv", "image,caption", "a.jpg, "))
    with pytest.raises(UsageError, match="lists no images"):
        open_dataset(lines(here / "d.csv", "image,caption"))


def test_a_caption_that_a_picture_has_twice_is_told_and_stays(here: Path) -> None:
    rows = ["a.jpg,one", "b.jpg,one", "a.jpg,two", "a.jpg, one ", "a.jpg,one"]
    data = open_dataset(lines(here / "c.csv", "image,caption", *rows))
    assert told(data) == {"captions given twice": 2}
    assert examples(data, "captions given twice") == ("a.jpg#2", "a.jpg#3")
    assert len(data.queries) == 5


def test_the_same_words_in_two_languages_or_under_two_numbers_are_two(here: Path) -> None:
    both = lines(here / "l.csv", "image,language,caption", "a.jpg,de,Taxi", "a.jpg,en,Taxi")
    assert open_dataset(both).problems == ()
    header = "image,caption_index,caption"
    numbered = lines(here / "n.csv", header, "a.jpg,0,one", "a.jpg,1,one", "a.jpg,1,one")
    assert told(open_dataset(numbered)) == {"ids given twice": 1}


def test_what_is_given_twice_is_told_of_the_split_that_is_measured(here: Path) -> None:
    rows = ["1,a.jpg,test,x", "1,b.jpg,dev,y", "2,b.jpg,dev,y", "2,c.jpg,dev,z"]
    path = lines(here / "c.csv", "id,image,split,caption", *rows)
    assert open_dataset(path).problems == ()
    dev = open_dataset(path, DatasetOptions(split="dev"))
    assert told(dev) == {"captions given twice": 1, "ids given twice": 1}


def test_what_other_captions_are_given_twice_is_told_where_they_are_measured(here: Path) -> None:
    own = lines(here / "own.csv", "image,split,caption", "a.jpg,test,x", "b.jpg,dev,y")
    twice = ["b.jpg,dev,q", "b.jpg,dev,q", "a.jpg,test,r"]
    other = CaptionsFile(lines(here / "o.csv", "image,split,caption", *twice))
    dev = open_dataset(own, DatasetOptions(split="dev", captions=(other,)))
    assert told(dev) == {"captions given twice": 1}
    assert open_dataset(own, DatasetOptions(captions=(other,))).problems == ()
    plain = CaptionsFile(lines(here / "p.csv", "image,caption", "a.jpg,x", "a.jpg,x", "b.jpg,x"))
    data = open_dataset(own, DatasetOptions(captions=(plain,)))
    assert told(data) == {"captions given twice": 1}


def test_an_id_that_two_rows_have_is_told_unless_it_is_their_pictures(here: Path) -> None:
    header = "id,image,caption"
    of_rows = lines(here / "r.csv", header, "1,a.jpg,x", "2,a.jpg,y", "2,a.jpg,z", "1,b.jpg,x")
    data = open_dataset(of_rows)
    assert told(data) == {"ids given twice": 2}
    assert examples(data, "ids given twice") == ("2", "1")
    assert len(data.queries) == 4
    of_pictures = lines(here / "p.csv", header, "1,a.jpg,x", "1,a.jpg,y", "2,b.jpg,x", ",c.jpg,q")
    assert open_dataset(of_pictures).problems == ()


@needs_flickr8k
def test_flickr8k_dev_is_a_thousand_pictures_with_five_captions() -> None:
    data = open_dataset(FLICKR8K / "captions.tsv", DatasetOptions(split="dev"))
    assert (len(data.corpus), len(data.queries), data.problems) == (1000, 5000, ())
    assert any('"' in text for text in texts(data).values())
    assert len(relevant(data)) == 5000


@needs_flickr8k
def test_flickr8k_in_chinese() -> None:
    options = DatasetOptions(split="dev", captions=(CaptionsFile(FLICKR8K / "captions_zh.tsv"),))
    data = open_dataset(FLICKR8K / "captions.tsv", options)
    assert (len(data.corpus), len(data.queries), data.problems) == (1000, 5000, ())
    assert texts(data)["1022454332_6af2c1449a.jpg#0"] == "在水边观看风景的人。"

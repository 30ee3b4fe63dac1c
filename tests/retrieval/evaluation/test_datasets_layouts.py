"""Folders and sets of other fields: WebDataset shards, BEIR, XM3600; and how a format is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import UsageError
from retrieval.evaluation.datasets import FORMATS, CaptionsFile, DatasetOptions, open_dataset

from .sets import (
    coco_set,
    examples,
    files,
    karpathy,
    lines,
    names,
    relevant,
    shard,
    texts,
    told,
    written,
)


def wds(
    folder: Path, split: str, *shards: list[tuple[str, bytes]], size: int | None = None
) -> Path:
    lines(folder / "dataset_type.txt", "retrieval")
    lines(folder / split / "nshards.txt", str(len(shards) if size is None else size))
    for number, members in enumerate(shards):
        shard(folder / split / f"{number}.tar", members)
    return folder


def sample(key: str, *captions: str, suffix: str = "jpg") -> list[tuple[str, bytes]]:
    text = "\n".join(captions).encode()
    return [(f"{key}.{suffix}", f"picture {key}".encode()), (f"{key}.txt", text)]


def beir(folder: Path, qrels: dict[str, list[str]], **files_: list[dict[str, Any]]) -> Path:
    corpus = [{"_id": "d1", "title": "Cats", "text": "They\npurr."}, {"_id": "d2", "text": "Dogs"}]
    queries = [{"_id": "q1", "text": "purring"}, {"_id": "q2", "text": "barking"}]
    lines(folder / "corpus.jsonl", *files_.get("corpus", corpus))
    lines(folder / "queries.jsonl", *files_.get("queries", queries))
    for split, rows in qrels.items():
        lines(folder / "qrels" / f"{split}.tsv", "query-id\tcorpus-id\tscore", *rows)
    return folder


# -- shards ---------------------------------------------------------------------------------------


def test_shards_are_read_where_they_lie(tmp_path: Path) -> None:
    first = sample("s0", "a cat", "two cats") + sample("s1", "a dog", suffix="webp")
    folder = wds(tmp_path / "wds", "test", first, sample("deep/s2", "a bird"))
    data = open_dataset(folder)

    assert data.split == "test"
    assert texts(data) == {
        "s0#0": "a cat",
        "s0#1": "two cats",
        "s1#0": "a dog",
        "deep/s2#0": "a bird",
    }
    assert [item.id for item in data.corpus] == ["s0", "s1", "deep/s2"]
    assert data.corpus[1].media is not None
    assert data.corpus[1].media.read() == b"picture s1"
    assert data.corpus[1].media.size() == len(b"picture s1")
    assert data.corpus[1].media.name == str(folder / "test" / "0.tar" / "s1.webp")
    assert data.problems == ()
    assert sorted(path.name for path in (folder / "test").iterdir()) == [
        "0.tar",
        "1.tar",
        "nshards.txt",
    ]


def test_what_shards_lack_is_told(tmp_path: Path) -> None:
    members = [
        *sample("s0", "a cat", "", "cats"),
        *sample("s0", "again"),
        ("s1.txt", b"no picture\ntwice"),
        ("s2.png", b"no caption"),
        ("s3.json", b"{}"),
    ]
    folder = wds(tmp_path, "test", members, size=3)
    shard(folder / "test" / "7.tar", sample("s7", "surplus"))
    shard(folder / "test" / "1.tar", sample("s0", "a known id"))
    data = open_dataset(folder)
    assert texts(data) == {"s0#0": "a cat", "s0#2": "cats"}
    assert told(data) == {
        "shards that nshards.txt doesn't count": 1,
        "shards missing": 1,
        "captions without an image": 2,
        "ids given twice": 3,  # picture and text in one shard, the picture in another
        "empty captions": 1,
        "images without a caption": 1,
    }
    assert examples(data, "shards missing") == ("test/2.tar",)


def test_examples_come_in_the_order_of_the_shard(tmp_path: Path) -> None:
    texts = [(f"s{number}.txt", b"no picture") for number in range(20)]
    data = open_dataset(wds(tmp_path, "test", [*texts, *sample("s99", "a cat")]))
    assert examples(data, "captions without an image") == tuple(f"s{n}#0" for n in range(5))


def test_the_split_of_shards_is_a_folder(tmp_path: Path) -> None:
    wds(tmp_path, "train", sample("s0", "a"), sample("s1", "b"))
    folder = wds(tmp_path, "val", sample("s9", "c"))
    assert texts(open_dataset(folder, DatasetOptions(split="train"))) == {"s0#0": "a", "s1#0": "b"}
    with pytest.raises(UsageError, match=r"train \(2 images\), val \(1 images\)"):
        open_dataset(folder)


def test_shards_that_cant_be_used_are_refused(tmp_path: Path) -> None:
    folder = wds(tmp_path / "a", "test", sample("s0", "a"))
    tar = folder / "test" / "0.tar"
    shard(tar, [("s0.jpg", b"x"), ("s0.txt", b"one\ncaf\xe9")])
    with pytest.raises(UsageError, match=r"0\.tar/s0\.txt, line 2 can't be read: it isn't UTF-8"):
        open_dataset(folder)
    wds(tmp_path / "a", "test", sample("s0", "a"))
    tar.write_bytes(tar.read_bytes()[:700])
    with pytest.raises(UsageError, match=r"0\.tar can't be read"):
        open_dataset(folder)
    lines(folder / "test" / "nshards.txt", "many")
    with pytest.raises(UsageError, match="holds no number of shards: it says `many`"):
        open_dataset(folder)
    for wrong in ("-1", "9" * 5000, "2.0", "\xb2"):
        lines(folder / "test" / "nshards.txt", wrong)
        with pytest.raises(UsageError, match="holds no number of shards: it says"):
            open_dataset(folder)
    lines(folder / "test" / "nshards.txt")
    with pytest.raises(UsageError, match="holds no number of shards: it is empty"):
        open_dataset(folder)
    lines(folder / "dataset_type.txt", "classification")
    with pytest.raises(UsageError, match="no data set for retrieval"):
        open_dataset(folder)
    lines(tmp_path / "b" / "dataset_type.txt", "retrieval")
    with pytest.raises(UsageError, match="has no split"):
        open_dataset(tmp_path / "b")
    with pytest.raises(UsageError, match="lists no images"):
        open_dataset(wds(tmp_path / "c", "test", size=2))


def test_a_shard_that_shrank_gives_no_half_picture(tmp_path: Path) -> None:
    folder = wds(tmp_path, "test", sample("s0", "a"))
    media = open_dataset(folder).corpus[0].media
    assert media is not None
    (folder / "test" / "0.tar").write_bytes(b"short")
    with pytest.raises(OSError, match="cut short"):
        media.read()


# -- BEIR -----------------------------------------------------------------------------------------


def test_beir_asks_texts_for_texts(tmp_path: Path) -> None:
    data = open_dataset(beir(tmp_path, {"test": ["q1\td1\t2", "q1\td2\t0", "q2\td2\t1"]}))
    assert data.direction == "text to text"
    assert [item.text for item in data.corpus] == ["Cats They purr.", "Dogs"]
    assert data.qrels == {"q1": {"d1": 2.0, "d2": 0.0}, "q2": {"d2": 1.0}}
    assert (data.split, data.problems) == ("test", ())


def test_beir_counts_what_doesnt_fit_together(tmp_path: Path) -> None:
    queries: list[Any] = [{"_id": f"q{n}", "text": "x"} for n in range(1, 6)]
    queries += [{"_id": "q1", "text": "y"}, {"x": 1}]
    rows = ["q1\td1\t1", "q1\td1\t3", "q2\td9\t1", "q3\td2\t0", "q9\td1\t1"]
    folder = beir(tmp_path, {"test": rows, "train": ["q4\td1\t1"]}, queries=queries)
    data = open_dataset(folder)
    assert [item.id for item in data.queries] == ["q1"]
    assert data.qrels == {"q1": {"d1": 1.0}}
    assert told(data) == {
        "ids given twice": 1,
        "lines that can't be read": 1,
        "judgements of unknown ids": 2,
        "judgements given twice": 1,
        "queries without a relevant document": 3,  # q5 is judged nowhere; q4 in another split
    }
    assert examples(data, "queries without a relevant document") == ("q2", "q3", "q5")
    with pytest.raises(UsageError, match="no split `dev`") as error:
        open_dataset(folder, DatasetOptions(split="dev"))
    assert "test (5 judgements), train (1 judgements)" in error.value.advice


def test_beirs_corpus_may_be_pictures(tmp_path: Path) -> None:
    corpus = [{"_id": "d1", "image": "p/1.jpg"}, {"_id": "d2", "image": "p/2.jpg"}]
    images = files(tmp_path / "media", "p/1.jpg")
    folder = beir(tmp_path, {"test": ["q1\td1\t1", "q2\td2\t1"]}, corpus=corpus)
    data = open_dataset(folder, DatasetOptions(images=images))
    assert data.direction == "text to image"
    assert names(data) == ["p/1.jpg"]
    assert relevant(data) == {("q1", "d1")}
    assert told(data) == {
        "images missing": 1,
        "judgements of unknown ids": 1,
        "queries without a relevant document": 1,
    }


def test_beir_is_refused_where_it_means_nothing(tmp_path: Path) -> None:
    good = {"test": ["q1\td1\t1"]}
    mixed = [{"_id": "d1", "image": "1.jpg"}, {"_id": "d2", "text": "x"}]
    with pytest.raises(UsageError, match="mixes 1 pictures with 1 texts"):
        open_dataset(beir(tmp_path / "a", good, corpus=mixed))
    with pytest.raises(UsageError, match="outside its folder"):
        open_dataset(beir(tmp_path / "b", good, corpus=[{"_id": "d1", "image": "../1.jpg"}]))
    with pytest.raises(UsageError, match="has a relevant document"):
        open_dataset(beir(tmp_path / "c", {"test": ["q1\td7\t1"]}))
    with pytest.raises(UsageError, match="lists no judgements"):
        open_dataset(beir(tmp_path / "d", {}))
    for row in ("q1\td1", "q1\td1\tmuch", "q1\td1\tnan"):
        with pytest.raises(UsageError, match=r"test\.tsv, line 3 can't be read"):
            open_dataset(beir(tmp_path / "e", {"test": ["q1\td1\t1", row]}))


# -- XM3600 ---------------------------------------------------------------------------------------


def test_xm3600_asks_in_every_language(tmp_path: Path) -> None:
    files(tmp_path / "images", "0a1b.jpg", "ff00.jpg")
    tokens = {"caption/tokenized": ["unused"]}
    rows: list[dict[str, Any]] = [
        {
            "image/key": "0a1b",
            "image/locale": "de",
            "de": {"caption": ["Eine Katze", "Zwei"], **tokens},
        },
        {
            "image/key": "ff00",
            "image/locale": "th",
            "th": {"caption": ["แมว"]},
            "en": {"caption": ["x"]},
        },
        {"image/locale": "en"},
        {"image/key": "ab", "en": {}},
    ]
    data = open_dataset(lines(tmp_path / "captions.jsonl", *rows))
    assert texts(data) == {
        "0a1b#de#0": "Eine Katze",
        "0a1b#de#1": "Zwei",
        "ff00#th#0": "แมว",
        "ff00#en#0": "x",
    }
    assert data.queries[1].fields == {"language": "de", "index": 1}
    assert [item.id for item in data.corpus] == ["0a1b", "ff00"]
    assert told(data) == {"lines that can't be read": 2}
    one = open_dataset(data.name, DatasetOptions(per_image=1))
    assert list(texts(one)) == ["0a1b#de#0", "ff00#th#0", "ff00#en#0"]


# -- formats --------------------------------------------------------------------------------------


def one_of_each(folder: Path) -> dict[str, Path]:
    """A data set of every format."""
    files(folder / "images", "a.jpg")
    files(folder / "karpathy" / "val2014", "COCO_val2014_000000000001.jpg")
    files(folder / "videos", "film.mp4", "a_1_2.avi")
    files(folder / "audio", "s_3.wav")
    return {
        "wds": wds(folder / "wds", "test", sample("s0", "x")),
        "beir": beir(folder / "beir", {"test": ["q1\td1\t1"]}),
        "msrvtt": lines(folder / "m.csv", "key,vid_key,video_id,sentence", "k,v,film,x"),
        "didemo": written(
            folder / "test_data.json",
            [{"video": "film", "description": "x", "times": [[0, 0]], "annotation_id": 1}],
        ),
        "qvhighlights": lines(
            folder / "q.jsonl",
            {"qid": 1, "query": "x", "vid": "film", "duration": 9, "relevant_windows": [[0, 2]]},
        ),
        "charades": lines(folder / "charades.txt", "film 0.0 2.5##x"),
        "msvd": lines(folder / "AllVideoDescriptions.txt", "a_1_2 x"),
        "audiocaps": lines(
            folder / "a.csv", "audiocap_id,youtube_id,start_time,caption", "1,s,3,x"
        ),
        "karpathy": karpathy(folder / "karpathy" / "dataset_coco.json", {1: "test"}),
        "coco": coco_set(folder / "coco", pictures=1),
        "xm3600": lines(folder / "x.jsonl", {"image/key": "a", "en": {"caption": ["x"]}}),
        "tokens": lines(folder / "t.txt", "a.jpg#0\tx"),
        "table": lines(folder / "c.csv", "image,caption", "a.jpg,x"),
    }


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_shows_and_can_be_named(tmp_path: Path, name: str) -> None:
    path = one_of_each(tmp_path)[name]
    shown, named = open_dataset(path), open_dataset(f"{name}:{path}")
    assert shown == named
    assert shown.name == str(path)
    assert open_dataset(str(path)) == shown


def test_a_path_with_a_colon_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files(tmp_path / "images", "a.jpg")
    lines(tmp_path / "coco:pairs.csv", "image,caption", "a.jpg,x")
    assert texts(open_dataset("coco:pairs.csv")) == {"a.jpg#0": "x"}


def test_a_tilde_is_the_users_home_wherever_a_path_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No shell expands it behind a colon, and Python never does."""
    home = tmp_path / "home"
    files(home / "pictures", "a.jpg", "COCO_val2014_000000000001.jpg")
    table = lines(home / "sets" / "pairs.csv", "image,caption", "a.jpg,x")
    coco = coco_set(home / "coco", pictures=2)
    karpathy(home / "split.json", {1: "test", 2: "val"})
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    pictures = DatasetOptions(images=Path("~/pictures"))
    for source in ("~/sets/pairs.csv", "table:~/sets/pairs.csv"):
        assert open_dataset(source, pictures).name == str(table)
    for source in ("~/sets/pairs.csv", "en=~/sets/pairs.csv", "en=table:~/sets/pairs.csv"):
        given = DatasetOptions(pictures.images, captions=(CaptionsFile.parse(source),))
        assert list(texts(open_dataset(table, given)).values()) == ["x"]
    split = open_dataset(coco, DatasetOptions(split_file=Path("~/split.json")))
    assert [item.id for item in split.corpus] == ["1"]
    with pytest.raises(UsageError, match=f"There is no {home}/nowhere"):
        open_dataset("table:~/nowhere")


def test_a_file_knows_its_size_without_being_read(tmp_path: Path) -> None:
    files(tmp_path / "images", "a.jpg")
    data = open_dataset(lines(tmp_path / "pairs.csv", "image,caption", "a.jpg,x"))
    media = data.corpus[0].media
    assert media is not None
    assert media.size() == len(media.read())
    (tmp_path / "images" / "a.jpg").unlink()
    with pytest.raises(OSError, match=r"a\.jpg"):
        media.size()


def test_an_unknown_format_or_path_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no coca:x") as error:
        open_dataset("coca:x")
    assert "Did you mean `coco:`?" in error.value.advice
    assert all(name in error.value.advice for name in FORMATS)
    with pytest.raises(UsageError, match="There is no nothing here"):
        open_dataset("tokens:nothing here")
    with pytest.raises(UsageError, match="begins with `Dear diary`") as error:
        open_dataset(lines(tmp_path / "notes.txt", "", "Dear diary"))
    assert all(name in error.value.advice for name in FORMATS)


@pytest.mark.parametrize(
    ("name", "option"),
    [("tokens", "split_file"), ("wds", "images"), ("wds", "captions"), ("beir", "per_image")],
)
def test_an_option_that_means_nothing_is_refused(tmp_path: Path, name: str, option: str) -> None:
    value: Any = {"per_image": 5, "captions": (CaptionsFile(tmp_path),)}.get(option, tmp_path)
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} means nothing"):
        open_dataset(one_of_each(tmp_path)[name], DatasetOptions(**{option: value}))


@pytest.mark.parametrize("name", ["wds", "beir"])
def test_captions_come_from_a_file_of_captions(tmp_path: Path, name: str) -> None:
    sets = one_of_each(tmp_path)
    with pytest.raises(UsageError, match="is no list of picture files"):
        open_dataset(sets["coco"], DatasetOptions(captions=(CaptionsFile(sets[name]),)))

"""Judgements: the other direction, copies, folds; laws against naive definitions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import UsageError
from retrieval.evaluation.datasets import open_dataset
from retrieval.evaluation.datasets.pictures import PictureFile
from retrieval.evaluation.qrels import (
    fold,
    inverted,
    judged,
    merged,
    read_qrels,
    tells_copies,
    turned,
)
from retrieval.evaluation.schema import Dataset, Item, Problem, Qrels

from .sets import coco_set, lines, relevant, told

IDS = st.sampled_from([f"{n}" for n in range(8)])
GAINS = st.sampled_from([0.0, 1.0, 2.0])
QRELS = st.dictionaries(IDS, st.dictionaries(IDS, GAINS, min_size=1), min_size=1)

COPIES = "images that are copies of another"


def picture(id_: str) -> Item:
    return Item(id_, "image", media=PictureFile(Path(id_)), fields={"name": id_})


def dataset(qrels: Qrels, pictures: int = 8) -> Dataset:
    queries = tuple(Item(id_, "text", f"text {id_}") for id_ in qrels)
    return Dataset("here", queries, tuple(picture(f"{n}") for n in range(pictures)), qrels)


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Texts and pictures whose ids overlap; every text has a relevant picture."""
    qrels = draw(QRELS)
    return dataset({query: {**found, draw(IDS): 1.0} for query, found in qrels.items()})


def five(captions: int = 2, pictures: int = 5) -> Dataset:
    return dataset(
        {f"{p}.{c}": {f"{p}": 1.0} for p in range(pictures) for c in range(captions)}, pictures
    )


@given(QRELS)
def test_judgements_turned_round_twice_are_themselves(qrels: Qrels) -> None:
    assert inverted(inverted(qrels)) == qrels
    pairs = {(q, d, gain) for q, found in qrels.items() for d, gain in found.items()}
    assert {(q, d, g) for d, f in inverted(qrels).items() for q, g in f.items()} == pairs


@given(datasets())
def test_the_other_direction_has_the_same_pairs(data: Dataset) -> None:
    other = turned(data)
    assert {(query, picture_) for picture_, query in relevant(other)} == relevant(data)
    assert other.corpus == data.queries
    answered = {document for _, document in relevant(data)}
    assert list(other.queries) == [item for item in data.corpus if item.id in answered]
    assert told(other).get("images without a caption", 0) == len(data.corpus) - len(answered)
    assert other.direction == "image to text"


def test_what_can_t_ask_is_told_once() -> None:
    known = (Problem("images without a caption", 9, ("z",)), Problem("images missing", 1, ("y",)))
    data = dataset({"a": {"0": 1.0}}, pictures=2)
    data = Dataset(data.name, data.queries, data.corpus, data.qrels, problems=known)
    assert turned(data).problems == (known[1], Problem("images without a caption", 1, ("1",)))
    with pytest.raises(UsageError, match="no relevant pair"):
        turned(dataset({"a": {"0": 0.0}}))


def test_texts_that_answer_nothing_are_queries_without_a_document() -> None:
    data = Dataset(
        "here", (Item("q", "text"),), (Item("a", "text"), Item("b", "text")), {"q": {"b": 1.0}}
    )
    assert told(turned(data)) == {"queries without a relevant document": 1}


@given(datasets(), st.one_of(st.none(), QRELS))
def test_judgements_by_places_are_those_by_ids(data: Dataset, other: Qrels | None) -> None:
    data = data if other is None else replace(data, qrels=other)
    found = judged(data)
    assert len(found) == len(data.queries)
    for number, query in enumerate(data.queries):
        begin, end = found.starts[number], found.starts[number + 1]
        pairs = zip(
            found.documents[begin:end].tolist(), found.gains[begin:end].tolist(), strict=True
        )
        by_id = data.qrels.get(query.id, {})
        assert list(pairs) == [
            (place, by_id[item.id])
            for place, item in enumerate(data.corpus)
            if by_id.get(item.id, 0) > 0
        ]


def test_places_of_no_judgement_at_all() -> None:
    found = judged(replace(dataset({"a": {"0": 1.0}}), qrels={}))
    assert (found.starts.tolist(), len(found.documents)) == ([0, 0], 0)
    assert [array.dtype.name for array in (found.documents, found.gains)] == ["int64", "float64"]


@given(datasets(), st.dictionaries(IDS, st.sampled_from("xyz")))
def test_merging_copies_keeps_every_relevant_pair(data: Dataset, key_of: dict[str, str]) -> None:
    found = merged(data, key_of)
    first: dict[str, str] = {}
    for item in data.corpus:
        first.setdefault(key_of.get(item.id, f"no key: {item.id}"), item.id)
    stands = {item.id: first[key_of.get(item.id, f"no key: {item.id}")] for item in data.corpus}

    assert relevant(found) == {(query, stands[document]) for query, document in relevant(data)}
    assert found.queries == data.queries  # texts, though their ids have keys
    assert [item.id for item in found.corpus] == list(dict.fromkeys(stands.values()))
    assert told(found).get(COPIES, 0) == len(data.corpus) - len(found.corpus)
    assert merged(found, key_of) == found


@given(datasets(), st.dictionaries(IDS, st.sampled_from("xyz")))
def test_merging_goes_for_both_sides(data: Dataset, key_of: dict[str, str]) -> None:
    """Turn and merge, or merge and turn: who asks for what is the same."""
    one, other = merged(turned(data), key_of), turned(merged(data, key_of))
    first = {key_of.get(item.id, item.id): item.id for item in reversed(turned(data).queries)}
    again = {key_of.get(item.id, item.id): item.id for item in reversed(data.corpus)}
    by_key = {picture_: key for key, picture_ in first.items()}
    assert {(again[by_key[query]], text) for query, text in relevant(one)} == relevant(other)


def test_a_merged_picture_answers_what_its_copies_answer() -> None:
    data = merged(five(captions=1), {"1": "same", "4": "same", "2": "other"})
    assert [item.id for item in data.corpus] == ["0", "1", "2", "3"]
    assert data.qrels["4.0"] == {"1": 1.0}
    assert data.problems == (Problem(COPIES, 1, ("4",)),)
    assert all(map(tells_copies, data.problems))
    assert turned(data).qrels["1"] == {"1.0": 1.0, "4.0": 1.0}


@given(st.integers(1, 12), st.integers(1, 3), st.data())
def test_folds_partition_pictures_and_captions(
    pictures: int, captions: int, draw: st.DataObject
) -> None:
    count = draw.draw(st.integers(1, pictures))
    data = five(captions, pictures)
    folds = [fold(data, number, count) for number in range(count)]
    assert [item for part in folds for item in part.corpus] == list(data.corpus)
    assert [item for part in folds for item in part.queries] == list(data.queries)
    assert set().union(*map(relevant, folds)) == relevant(data)
    sizes = [len(part.corpus) for part in folds]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)
    for number, part in enumerate(folds):
        assert fold(turned(data), number, count) == turned(part)


def test_folds_that_cant_be_had_are_refused() -> None:
    for number, count in ((-1, 2), (2, 2), (0, 0), (0, 6)):
        with pytest.raises(UsageError, match="can't be had"):
            fold(five(), number, count)
    with pytest.raises(UsageError, match="answers no query"):
        fold(dataset({"a": {"0": 1.0}}), 1, 2)


def test_a_picture_judged_in_two_folds_counts_in_each() -> None:
    data = dataset({"a": {"0": 1.0, "7": 2.0}})
    assert [fold(data, n, 2).qrels for n in (0, 1)] == [{"a": {"0": 1.0}}, {"a": {"7": 2.0}}]


def test_a_real_data_set_goes_through_all_of_it(tmp_path: Path) -> None:
    data = open_dataset(coco_set(tmp_path, pictures=6, captions=2))
    other = turned(merged(data, {"1": "x", "3": "x"}))
    assert other.qrels["1"] == {"100": 1.0, "101": 1.0, "300": 1.0, "301": 1.0}
    assert judged(other).starts.tolist() == [0, 4, 6, 8, 10, 12]


def test_trec_judgements_are_read(tmp_path: Path) -> None:
    path = lines(tmp_path / "qrels.txt", "q1 0 d1 1", "", "q2\t0\td1\t0", "q1 0 d2 2")
    assert read_qrels(path) == {"q1": {"d1": 1.0, "d2": 2.0}, "q2": {"d1": 0.0}}


@pytest.mark.parametrize("row", ["q1 0 d1", "q1 0 d1 one", "q1 0 d1 inf", "q1 0 d0 1"])
def test_trec_judgements_that_break_the_format_name_the_line(tmp_path: Path, row: str) -> None:
    path = lines(tmp_path / "qrels.txt", "q1 0 d0 1", row)
    with pytest.raises(UsageError, match=r"qrels\.txt, line 2 can't be read"):
        read_qrels(path)
    with pytest.raises(UsageError, match="No such file"):
        read_qrels(tmp_path / "none")

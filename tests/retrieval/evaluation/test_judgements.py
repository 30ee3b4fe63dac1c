"""Further judgements of COCO: given for the whole of the split that was judged, else explained."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from types import ModuleType

import pytest

from retrieval.evaluation.judgements import (
    CXC,
    ECCV,
    PICTURES,
    FurtherQrels,
    further_qrels,
    unfindable,
)
from retrieval.evaluation.schema import Dataset, Item
from retrieval.schema import Modality


class Metrics:
    """Three pictures with two captions each: a stand-in for the package's record."""

    def __init__(self) -> None:
        pairs = {10: 1, 11: 1, 20: 2, 21: 2, 30: 3, 31: 3}
        self.coco_gts = {
            "t2i": {caption: [picture] for caption, picture in pairs.items()},
            "i2t": {picture: [10 * picture, 10 * picture + 1] for picture in (1, 2, 3)},
        }
        self.eccv_gts = {"t2i": {10: [1, 3]}, "i2t": {1: [10, 11, 12, 30]}}
        self.cxc_gts = {"t2i": {10: [1], 30: [3, 2]}, "i2t": {3: [30, 31, 20]}}


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("eccv_caption")
    module.Metrics = Metrics  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "eccv_caption", module)


def items(modality: Modality, *numbers: int) -> tuple[Item, ...]:
    return tuple(Item(str(number), modality, "words") for number in numbers)


WHOLE = Dataset(
    "coco", items("text", 10, 11, 20, 21, 30, 31), items("image", 1, 2, 3), {}, ids="coco"
)


def back(dataset: Dataset) -> Dataset:
    """The same, pictures asking."""
    return replace(dataset, queries=dataset.corpus, corpus=dataset.queries)


@pytest.mark.usefixtures("package")
def test_captions_get_the_pictures_that_others_found_relevant() -> None:
    further = further_qrels(WHOLE)
    assert further.note == ""
    assert further.qrels == {
        ECCV: {"10": {"1": 1.0, "3": 1.0}},
        CXC: {"10": {"1": 1.0}, "30": {"3": 1.0, "2": 1.0}},
    }


@pytest.mark.usefixtures("package")
def test_pictures_get_their_captions_whichever_way_the_data_set_asks() -> None:
    assert further_qrels(back(WHOLE)).qrels[CXC] == {"3": {"30": 1.0, "31": 1.0, "20": 1.0}}
    assert further_qrels(WHOLE).qrels[CXC].keys() == {"10", "30"}


@pytest.mark.usefixtures("package")
def test_a_relevant_caption_that_the_corpus_lacks_is_counted() -> None:
    qrels = further_qrels(back(WHOLE)).qrels[ECCV]
    captions = [item.id for item in WHOLE.queries]
    assert unfindable(qrels, ["1"], captions).tolist() == [1]
    assert unfindable(qrels, ["1"], [*captions, "12"]).tolist() == [0]
    assert unfindable({"q": {"gone": 0.0}}, ["q"], captions).tolist() == [0]


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("captions", "pictures", "told"),
    [
        ((10, 11, 20, 21, 30), (1, 2, 3), "has 3 and 5 of these, and 0 other pictures"),
        ((10, 11, 20, 21, 30, 31), (1, 2), "has 2 and 6 of these, and 0 other pictures"),
        ((10, 11, 20, 21, 30, 31), (1, 2, 3, 4), "has 3 and 6 of these, and 1 other pictures"),
    ],
)
def test_another_corpus_than_the_one_judged_gets_no_figures_and_is_told_why(
    captions: tuple[int, ...], pictures: tuple[int, ...], told: str
) -> None:
    data = replace(WHOLE, queries=items("text", *captions), corpus=items("image", *pictures))
    further = further_qrels(data)
    assert not further.qrels
    assert "Karpathy test split, 3 pictures with 6 captions" in further.note
    assert told in further.note


@pytest.mark.usefixtures("package")
def test_captions_of_one_s_own_in_cocos_form_get_no_word_about_judgements_of_others() -> None:
    own = replace(WHOLE, queries=items("text", 10, 91), corpus=items("image", 7, 8, 9))
    assert further_qrels(own) == FurtherQrels()


@pytest.mark.usefixtures("package")
def test_sixth_captions_may_be_searched_and_are_told() -> None:
    more = replace(WHOLE, queries=(*WHOLE.queries, *items("text", 12)))
    further = further_qrels(back(more))
    assert further.qrels[ECCV]
    assert "1 captions are searched" in further.note
    assert further_qrels(more).note == ""  # there they only ask


def test_without_the_package_the_note_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eccv_caption", None)
    split = replace(WHOLE, corpus=items("image", *range(PICTURES)))
    further = further_qrels(split)
    assert not further.qrels
    assert "pip install 'echolens[eccv]'" in further.note
    assert further_qrels(WHOLE) == FurtherQrels(), "it has three pictures only"


def test_other_data_sets_are_left_alone_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eccv_caption", None)
    further = further_qrels(replace(WHOLE, ids=""))
    assert (further.qrels, further.note) == ({}, "")


def test_the_package_s_own_judgements_of_the_whole_split() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metrics = pytest.importorskip("eccv_caption").Metrics()
    split = metrics.coco_gts
    assert len(split["i2t"]) == PICTURES
    data = replace(
        WHOLE, queries=items("text", *split["t2i"]), corpus=items("image", *split["i2t"])
    )
    there, here = further_qrels(data).qrels, further_qrels(back(data)).qrels
    assert [len(there[name]) for name in (ECCV, CXC)] == [1_332, 24_972]
    assert [len(here[name]) for name in (ECCV, CXC)] == [1_261, 5_000]
    assert sum(map(len, there[ECCV].values())) == 11_279  # as the paper's table has it
    assert sum(map(len, here[ECCV].values())) == 22_550
    captions = [item.id for item in data.queries]
    assert unfindable(here[ECCV], list(here[ECCV]), captions).sum() == 2
    assert unfindable(here[CXC], list(here[CXC]), captions).sum() == 0

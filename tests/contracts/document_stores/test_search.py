"""The laws of `DocumentStore`: words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.schema import Compare

from .toys import Opener, image, passage, seen, texts_found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("一只小狗在海滩上奔跑", "小狗"),
        ("一只小狗在海滩上奔跑", "海"),
        ("一只小狗在海滩上奔跑", "a puppy 小狗"),
        ("一只小狗在海滩上奔跑", "海灘"),
        ("一隻小狗在海灘上奔跑", "海滩"),
        ("一隻小狗在海灘上奔跑", "滩"),
        ("Two dogs are running", "dog"),
        ("a dog", "dogs"),
        ("Café Ångström", "cafe"),
        ("cafe", "CAFÉ"),
        ("ＦＵＬＬ width", "full"),
        ("the neighbour's cat", "neighbour"),
        ("to be or not", "to be"),
        ('near AND "or" NOT', 'near* AND ("'),
    ],
)
def test_words_find_the_text(opened: Opener, text: str, words: str) -> None:
    store = opened()
    store.upsert([passage(1, text), passage(2, "什么都没有 nothing else")], [seen(1), seen(2)])
    assert texts_found(store, words) == [text]


@pytest.mark.parametrize("words", ["狗小", "海上", "puppy", "", "?!", "the of", "* OR", '"'])
def test_words_find_nothing(opened: Opener, words: str) -> None:
    store = opened()
    store.upsert([passage(1, "一只小狗在海滩上奔跑"), image(2)], [seen(1), seen(2)])
    assert store.search(words, 10).ids == ()


# Simplified and traditional: some are alike, of some several are one.
SCRIPTS = ["一", "狗", "只隻", "滩灘", "发發", "发髮", "干乾", "干幹", "后後", "里裡", "𫚈鱮"]


def test_any_two_characters_in_either_script_find_their_text(opened: Opener) -> None:
    store = opened()
    scripts = st.lists(st.sampled_from(SCRIPTS), min_size=2, max_size=12)

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(scripts, st.data())
    def found(scripts: list[str], data: st.DataObject) -> None:
        text, other = ("".join(data.draw(st.sampled_from(c)) for c in scripts) for _ in range(2))
        start = data.draw(st.integers(0, len(scripts) - 2))
        store.upsert([document := passage(1, text)], [seen(1)])
        try:
            assert store.search(other[start : start + 2], 9).ids == (document.id,)
        finally:
            store.delete([document.id])

    found()


def test_the_better_text_comes_first_and_ties_are_in_the_order_of_ids(opened: Opener) -> None:
    store = opened()
    best = passage("best", "a red dog")
    same = sorted(passage(n, f"one dog number{n} here").id for n in range(20))
    store.upsert(
        [best, *(passage(n, f"one dog number{n} here") for n in range(20))],
        [seen("best"), *(seen(n) for n in range(20))],
    )
    ranking = store.search("red dogs", 100)
    assert ranking.ids == (best.id, *same)
    assert ranking.scores.dtype == np.float32
    assert (ranking.scores > 0).all()
    assert (np.diff(ranking.scores) <= 0).all()
    for k in (0, 1, 2, 7, 21):
        assert store.search("red dogs", k).ids == ranking.ids[:k]


def test_very_many_words_are_no_error(opened: Opener) -> None:
    store = opened()
    store.upsert([passage(1, "a dog")], [seen(1)])
    assert texts_found(store, " ".join(f"word{n}" for n in range(5_000)) + " dog") == ["a dog"]


def test_words_within_a_channel_and_a_filter(opened: Opener) -> None:
    store = opened()
    documents = [passage(1, "a dog"), passage(1, "a dog", "other/text"), passage(2, "a dog")]
    store.upsert([*documents, passage(3, "a dog")], [seen(1, year=2020), seen(2, year=2021)])
    ids = [document.id for document in documents]
    assert set(store.search("dog", 9).ids) == set(ids)
    assert store.search("dog", 9, channel="other/text").ids == (ids[1],)
    assert store.search("dog", 9, where=Compare("year", ">", 2020)).ids == (ids[2],)


def test_the_same_question_has_the_same_answer_after_reopening(opened: Opener) -> None:
    store = opened()
    documents = [passage(n, f"dog {'x ' * (n % 5)}") for n in range(50)]
    store.upsert(documents, [seen(n) for n in range(50)])
    before = store.search("dog x", 50)
    store.close()
    after = opened(read_only=True).search("dog x", 50)
    assert after.ids == before.ids
    np.testing.assert_array_equal(after.scores, before.scores)

"""Perturbations: repeatable, of the stated strength, and refused when they can't be meant."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retrieval.errors import UsageError
from retrieval.evaluation.perturb import parse_changes

EVERY = "blur:2,noise:0.1,jpeg:20,rotate:90,grey,crop:0.8,typo:0.1,lower,upper"
PLAIN = np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)
WORDS = "Two brown dogs are running across the meadow behind an old house"
CHINESE = "两只狗在草地上奔跑追逐着一个红色的球"


def change(text: str, value: str, seed: str = "1") -> str:
    (one,) = parse_changes(text)
    return one.of(value, seed)


def changed(text: str, picture: np.ndarray, seed: str = "1") -> np.ndarray:
    (one,) = parse_changes(text)
    return one.of(picture, seed)


def test_changes_keep_their_order_and_have_one_spelling() -> None:
    names = [one.name for one in parse_changes(" Blur:2.0, gray,grey ,typo:0.10,rotate:-90")]
    assert names == ["blur:2", "grey", "typo:0.1", "rotate:-90"]


def test_each_change_says_what_it_changes() -> None:
    kinds = {one.name: one.modality for one in parse_changes(EVERY)}
    assert {name for name, kind in kinds.items() if kind == "text"} == {
        "typo:0.1",
        "lower",
        "upper",
    }


WRONG = """blur:2, blurr:2 blur blur: blur:x blur:0 blur:nan blur:inf jpeg:0 jpeg:96 jpeg:20.5
    noise:1.5 rotate:400 grey:1 typo:1.1 typo:-1 crop:0"""


@pytest.mark.parametrize("text", ["", *WRONG.split()])
def test_what_cannot_be_meant_is_refused_with_what_is_known(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_changes(text)
    assert "jpeg:N" in error.value.advice
    assert "typo:N" in error.value.advice


def test_the_message_tells_the_range() -> None:
    with pytest.raises(UsageError, match=r"`jpeg:99` is out of range: quality, a whole .* 1 to 95"):
        parse_changes("jpeg:99")


@pytest.mark.parametrize("text", EVERY.split(",")[:6])
@pytest.mark.parametrize("shape", [(24, 32, 3), (1, 1, 3), (1, 50, 3)])
def test_pictures_stay_pictures_and_the_given_one_is_left_alone(
    text: str, shape: tuple[int, int, int]
) -> None:
    picture = np.resize(PLAIN, shape)
    before = picture.copy()
    result = changed(text, picture)
    assert (result.ndim, result.shape[2], result.dtype) == (3, 3, np.uint8)
    result[:] = 0
    assert (picture == before).all()


@pytest.mark.parametrize("text", EVERY.split(",")[:6])
def test_the_same_picture_is_changed_in_the_same_way_each_time(text: str) -> None:
    assert (changed(text, PLAIN, "a") == changed(text, PLAIN, "a")).all()
    assert changed(text, PLAIN, "a").shape != PLAIN.shape or (changed(text, PLAIN) != PLAIN).any()


def test_another_id_gets_other_noise_and_other_typos() -> None:
    assert (changed("noise:0.1", PLAIN, "a") != changed("noise:0.1", PLAIN, "b")).any()
    assert len({change("typo:0.5", WORDS, seed) for seed in "abcdef"}) > 3


def test_noise_has_the_stated_standard_deviation() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = changed("noise:0.1", grey).astype(float) - 128
    assert noisy.std() == pytest.approx(25.5, rel=0.02)
    assert noisy.mean() == pytest.approx(0, abs=0.3)


def test_blur_has_the_stated_sigma() -> None:
    line = np.zeros((41, 41, 3), np.uint8)
    line[:, 20] = 255
    profile = changed("blur:3", line)[20, :, 0].astype(float)
    places = np.arange(41) - 20
    assert np.sqrt((profile * places**2).sum() / profile.sum()) == pytest.approx(3, rel=0.1)


def test_a_lower_quality_loses_more() -> None:
    losses = [np.abs(changed(f"jpeg:{q}", PLAIN).astype(int) - PLAIN).mean() for q in (90, 50, 5)]
    assert losses == sorted(losses)


def test_rotation_is_counter_clockwise_and_cuts_nothing_off() -> None:
    assert (changed("rotate:90", PLAIN) == np.rot90(PLAIN)).all()
    assert (changed("rotate:180", PLAIN) == np.rot90(PLAIN, 2)).all()
    red = np.full((40, 60, 3), (200, 40, 40), np.uint8)
    turned = changed("rotate:45", red)
    assert turned.shape[0] > 60
    assert (turned[0, 0] == (200, 40, 40)).all()  # a corner has the mean colour


def test_grey_is_luminance() -> None:
    grey = changed("grey", PLAIN).astype(float)
    assert np.ptp(grey, axis=2).max() == 0
    assert np.abs(grey[..., 0] - PLAIN @ [0.299, 0.587, 0.114]).max() <= 1


def test_a_crop_keeps_the_middle() -> None:
    assert (changed("crop:0.5", PLAIN) == PLAIN[6:18, 8:24]).all()


def test_case() -> None:
    assert (change("lower", "A Dog"), change("upper", "A Dog")) == ("a dog", "A DOG")


def test_one_typo_a_word_and_short_words_have_none() -> None:
    for seed in map(str, range(50)):
        pairs = zip(WORDS.split(" "), change("typo:1", WORDS, seed).split(" "), strict=True)
        for before, after in pairs:
            assert (before != after) == (len(before) >= 3)
            assert abs(len(before) - len(after)) <= 1


def test_the_share_of_words_is_the_stated_one() -> None:
    words = WORDS.split(" ") * 300
    after = change("typo:0.2", " ".join(words)).split(" ")
    long = [old != new for old, new in zip(words, after, strict=True) if len(old) >= 3]
    assert sum(long) / len(long) == pytest.approx(0.2, abs=0.02)
    assert change("typo:0", WORDS) == WORDS


def test_chinese_characters_change_places_with_the_next() -> None:
    text = CHINESE * 100
    after = change("typo:0.2", text)
    assert sorted(after) == sorted(text)
    moved = sum(old != new for old, new in zip(text, after, strict=True)) / 2
    # Each pair is asked in turn, and one that was swapped takes two places: p / (1 + p) of them.
    assert moved / len(text) == pytest.approx(0.2 / 1.2, abs=0.02)


@given(st.text(), st.sampled_from(["typo:1", "typo:0.3"]), st.text())
@example("\U0002ebe1\u4e00", "typo:1", "")  # in a block of letters, and none
@example("ス・カ", "typo:1", "")
def test_typos_touch_nothing_but_letters(text: str, typo: str, seed: str) -> None:
    after = change(typo, text, seed)
    assert after == change(typo, text, seed)
    assert [c for c in after if not c.isalpha()] == [c for c in text if not c.isalpha()]

"""Known items: a fair sample that is the same each time, asked for by what is theirs alone."""

from __future__ import annotations

import tracemalloc
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import IndexOptions, create, index
from retrieval import Collection
from retrieval.deployed import DeployedCollection, embedding_of
from retrieval.evaluation.evaluate import evaluate
from retrieval.evaluation.options import EvaluateOptions
from retrieval.evaluation.perturb import parse_changes
from retrieval.evaluation.schema import Dataset, Evaluation, Key
from retrieval.known_items import known_captions, known_pictures, unshared
from retrieval.query.where import parse_where
from retrieval.schema import Document
from tests.collections import settings
from tests.corpus import picture
from tests.retrieval.evaluation.sets import coco_set

WORDS = ["a cat", "a  cat", "a cat\n", "a dog", "two dogs", "A cat", "snow"]


@pytest.fixture
def photos(tmp_path: Path) -> Collection:
    """Eight pictures with five captions each, and one without any."""
    photos = create("photos", settings=settings(tmp_path / "home"))
    captions = coco_set(tmp_path / "coco", pictures=8, captions=5)
    index([], photos, options=IndexOptions(captions=str(captions)))
    index([picture(tmp_path / "stranger.png", seed=99)], photos)
    return photos


def through(photos: Collection, known: Dataset | None, **options: object) -> Evaluation:
    assert known is not None
    chosen = EvaluateOptions(exact=False, backwards=False, **options)  # type: ignore[arg-type]
    return evaluate(
        known, embedding_of(photos), options=chosen, searcher=DeployedCollection(photos)
    )


def value(found: Evaluation, direction: str, measure: str) -> float:
    key = Key(direction, "deployed")
    return next(one for one in found.measurements if one.key == key).measures[measure].value


def test_pictures_find_themselves_also_spoilt(photos: Collection) -> None:
    with photos:
        known = known_pictures(photos, 5)
        found = through(photos, known, changes=parse_changes("jpeg:30"))

    assert known is not None
    assert len(known.queries) == 5
    assert [one.key.changed for one in found.measurements] == ["", "jpeg:30"]
    assert value(found, "image to image", "r@1") == 1
    assert found.index_recall[0].recall[1].value == 1


def test_captions_find_their_pictures_without_their_own_words(photos: Collection) -> None:
    with photos:
        known = known_captions(photos, 100)
        found = through(photos, known)

    assert known is not None
    assert len(known.queries) == 8, "one of each picture that has any"
    assert len({item.asset for item in known.corpus}) == 8
    assert 0 < value(found, "text to image", "mrr") < 1


def test_the_sample_is_the_same_each_time_and_a_part_of_a_larger_one(photos: Collection) -> None:
    with photos:
        for known in (known_pictures, known_captions):
            few, again, many = (known(photos, count) for count in (3, 3, 8))
            assert few is not None
            assert many is not None
            assert few == again
            assert few.queries == many.queries[:3]


def test_a_picture_is_called_by_its_first_path_and_knows_its_size(
    photos: Collection, tmp_path: Path
) -> None:
    file = picture(tmp_path / "a stranger.png", seed=99)  # sorts before the other copy
    photos.close()
    index([file], photos)
    with photos:
        known = known_pictures(photos, 100)
        assert known is not None
        media = {item.media.name: item.media for item in known.corpus if item.media}[str(file)]
        assert media.size() == len(media.read()) == file.stat().st_size
        for copy in (file, tmp_path / "stranger.png"):
            copy.unlink()
        for attempt in (media.size, media.read):
            with pytest.raises(OSError, match=r"a stranger\.png"):
                attempt()
    assert len(known.corpus) == 9, "two copies are one"


def test_what_a_filter_leaves_out_is_no_part_of_the_sample(photos: Collection) -> None:
    with photos:
        where = parse_where("coco_id >= 7", photos.manifest.fields)
        pictures, captions = (make(photos, 100, where) for make in (known_pictures, known_captions))
        none = parse_where("coco_id >= 9", photos.manifest.fields)
        assert known_pictures(photos, 100, none) is known_captions(photos, 100, none) is None

    assert pictures is not None
    assert captions is not None
    assert {Path(item.media.name).name for item in pictures.corpus if item.media} == {
        f"{number:012}.jpg" for number in (7, 8)
    }
    assert {item.asset for item in captions.corpus} == {item.asset for item in pictures.corpus}


@pytest.mark.parametrize(
    "texts", [("the very same", "the very same"), ("the  very same", "the very same")]
)
def test_a_caption_that_two_pictures_have_asks_for_neither(
    photos: Collection, tmp_path: Path, texts: tuple[str, str]
) -> None:
    twins = tmp_path / "twins"
    twins.mkdir()
    for name, text in zip("ab", texts, strict=True):
        picture(twins / f"{name}.png", seed=ord(name))
        (twins / f"{name}.txt").write_text(text)
    photos.close()
    index([twins], photos)
    with photos:
        known = known_captions(photos, 100)

    assert known is not None
    assert not {item.text for item in known.queries} & set(texts)


def test_a_collection_without_pictures_has_no_known_ones(tmp_path: Path) -> None:
    photos = create("texts", settings=settings(tmp_path / "home"))
    text = tmp_path / "note.txt"
    text.write_text("some words about a red car")
    index([text], photos)
    with photos:
        assert known_pictures(photos, 5) is None
        assert known_captions(photos, 5) is None


# --- texts of one asset ---------------------------------------------------------------------------


def caption(asset: str, text: str) -> Document:
    return Document.of(asset, "passage", "text", text=text)


captions = st.lists(st.builds(caption, st.sampled_from("abc"), st.sampled_from(WORDS)))


@given(captions, st.integers(1, 8))
def test_texts_are_those_of_one_asset_and_the_sample_a_part_of_them(
    given_: list[Document], most: int
) -> None:
    owners = defaultdict(set)
    for one in given_:
        owners[" ".join(str(one.text).split())].add(one.asset)
    naive = {text for text, assets in owners.items() if len(assets) == 1}

    every, some = unshared(given_, len(WORDS)), unshared(given_, most)

    assert sorted(" ".join(str(one.text).split()) for one in every) == sorted(naive)
    assert some == every[: len(some)]
    assert len(some) <= most
    assert len(some) == len(every) or len(owners) > most


@given(captions, st.randoms(use_true_random=False), st.integers(1, 8))
def test_the_order_in_which_captions_come_decides_nothing(
    given_: list[Document], random: object, most: int
) -> None:
    shuffled = list(given_)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    texts, again = (
        [" ".join(str(one.text).split()) for one in unshared(some, most)]
        for some in (given_, shuffled)
    )

    assert texts == again


def test_a_sample_of_many_captions_holds_few() -> None:
    def many() -> Iterator[Document]:
        for number in range(5_000):
            yield caption(f"asset {number}", f"{number} " + "x" * 1_000)

    tracemalloc.start()
    found = unshared(many(), 10)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(found) == 10
    assert peak_bytes < 200_000

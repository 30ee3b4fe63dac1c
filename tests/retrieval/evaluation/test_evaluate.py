"""The straight line: both directions, both ways, and no leak between them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import IndexOptions, create, index
from retrieval import Collection
from retrieval.deployed import DeployedCollection, embedding_of
from retrieval.errors import UsageError
from retrieval.evaluation.datasets import DatasetOptions, open_dataset
from retrieval.evaluation.embeddings import Embedder, Embedding
from retrieval.evaluation.evaluate import evaluate, joined
from retrieval.evaluation.options import EvaluateOptions
from retrieval.evaluation.perturb import parse_changes
from retrieval.evaluation.qrels import turned
from retrieval.evaluation.schema import Dataset, Evaluation, Key, Measurement
from retrieval.evaluation.tasks import tasks_of
from retrieval.known_items import known_captions, known_pictures
from tests.collections import settings
from tests.corpus import picture
from tests.encoders import HashEncoder
from tests.retrieval.evaluation.sets import coco_set

T2I, I2T = "text to image", "image to text"
HASH = Embedding("hash:", Embedder(HashEncoder()))


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    return coco_set(tmp_path / "coco", pictures=8, captions=5)


@pytest.fixture
def photos(captions: Path, tmp_path: Path) -> Collection:
    """A collection of the data set, captions and all, and of one picture more."""
    photos = create("photos", settings=settings(tmp_path / "home"))
    index([], photos, options=IndexOptions(captions=str(captions)))
    extra = tmp_path / "extra"
    extra.mkdir()
    index([picture(extra / "stranger.png", colour=(200, 40, 40), seed=99)], photos)
    return photos


def data(captions: Path) -> Dataset:
    return open_dataset(captions)


def row(found: Evaluation, key: Key) -> Measurement:
    return next(one for one in found.measurements if one.key == key)


def value(found: Evaluation, key: Key, measure: str = "r@1") -> float:
    return row(found, key).measures[measure].value


def test_exact_ranks_are_those_of_sorting_cosines(captions: Path) -> None:
    given = data(captions)
    found = evaluate(given, HASH)

    encoder = HashEncoder()
    texts = encoder.encode("text", [item.text for item in given.queries], role="query")
    pictures = HASH.of(found.data[T2I].corpus, "document").vectors
    scores = texts @ pictures.T
    owner = np.array([int(item.id) // 100 - 1 for item in given.queries])
    own = scores[np.arange(len(owner)), owner]
    ahead = (scores > own[:, None]).sum(axis=1)
    tied = ((scores == own[:, None]) & (np.arange(8)[None] < owner[:, None])).sum(axis=1)
    assert row(found, Key(T2I)).ranks.ranks.tolist() == (1 + ahead + tied).tolist()
    assert value(found, Key(T2I)) == pytest.approx(float((ahead + tied == 0).mean()))


def test_both_directions_are_measured_and_summed(captions: Path) -> None:
    found = evaluate(data(captions), HASH)

    assert [one.key for one in found.measurements] == [Key(T2I), Key(I2T)]
    assert len(row(found, Key(T2I)).queries) == 40
    assert len(row(found, Key(I2T)).queries) == 8
    assert set(row(found, Key(T2I)).clusters) == set(row(found, Key(I2T)).clusters)
    expected = sum(
        100 * value(found, Key(d), m) for d in (T2I, I2T) for m in ("r@1", "r@5", "r@10")
    )
    assert found.rsum[Key("both")].value == pytest.approx(expected)


def test_an_image_has_all_its_captions_as_answers(captions: Path) -> None:
    found = evaluate(data(captions), HASH)

    assert np.diff(row(found, Key(I2T)).ranks.starts).tolist() == [5] * 8


def test_copies_of_a_picture_are_one_and_told(captions: Path) -> None:
    folder = captions.parent.parent / "val2017"
    shutil.copy(folder / f"{1:012}.jpg", folder / f"{2:012}.jpg")

    found = evaluate(data(captions), HASH)

    assert found.problems == ()
    assert "Merged: 1 images that are copies of another (2)." in found.notes
    assert len(found.data[T2I].corpus) == 7
    assert len(found.data[I2T].queries) == 7
    assert np.diff(row(found, Key(I2T)).ranks.starts).tolist()[0] == 10


def test_a_picture_that_cannot_be_decoded_is_told_and_leaves_with_its_captions(
    captions: Path,
) -> None:
    (captions.parent.parent / "val2017" / f"{3:012}.jpg").write_bytes(b"no picture at all")

    found = evaluate(data(captions), HASH)

    told = {problem.what: problem.count for problem in found.problems}
    assert told == {
        "images that can't be decoded": 1,
        "queries that lose all that answers them": 5,
    }
    assert len(row(found, Key(T2I)).queries) == 35


def test_nothing_that_can_be_decoded_is_an_error(captions: Path) -> None:
    for path in (captions.parent.parent / "val2017").iterdir():
        path.write_text(path.name)

    with pytest.raises(UsageError, match=r"Nothing of .* can be measured: 8 images"):
        evaluate(data(captions), HASH)


def test_folds_rank_each_picture_within_its_part(captions: Path) -> None:
    found = evaluate(data(captions), HASH, options=EvaluateOptions(folds=4))

    ranks = row(found, Key(T2I)).ranks
    assert ranks.ranks.max() <= 2
    assert row(found, Key(I2T)).ranks.ranks.max() <= 10
    first = row(found, Key(T2I)).first
    assert all(set(places[places >= 0].tolist()) <= {n // 5 // 2 * 2, n // 5 // 2 * 2 + 1}
               for n, places in enumerate(first))  # fmt: skip


def test_answers_in_several_folds_are_refused(captions: Path) -> None:
    given = data(captions)
    qrels = {**given.qrels, "100": {"1": 1.0, "8": 1.0}}

    with pytest.raises(UsageError, match="can't be cut into folds"):
        evaluate(replace(given, qrels=qrels), HASH, options=EvaluateOptions(folds=2))


def test_more_folds_than_pictures_are_refused(captions: Path) -> None:
    with pytest.raises(UsageError, match="8 items can't be cut into 9 folds"):
        evaluate(data(captions), HASH, options=EvaluateOptions(folds=9))


def test_slices_and_samples(captions: Path) -> None:
    options = EvaluateOptions(slices=("index", "length"), queries=12)
    found = evaluate(data(captions), HASH, options=options)
    again = evaluate(data(captions), HASH, options=options)

    one = row(found, Key(T2I))
    assert len(one.queries) == 12
    assert one.queries == row(again, Key(T2I)).queries
    of_index = [part for part in one.slices if part.field == "index"]
    assert sum(part.queries for part in of_index) == 12
    assert [part.value for part in of_index] == ["0", "1", "2", "4"]
    assert [part.value for part in one.slices if part.field == "length"] == [
        "1 to 5 words",
        "6 to 10 words",
    ]
    assert row(found, Key(I2T)).slices == (), "pictures have neither"


def test_a_field_that_nothing_has_is_refused(captions: Path) -> None:
    with pytest.raises(UsageError, match="no field `colour`") as refused:
        evaluate(data(captions), HASH, options=EvaluateOptions(slices=("colour",)))
    assert "index" in refused.value.advice


def test_a_field_of_names_is_refused(tmp_path: Path) -> None:
    given = data(coco_set(tmp_path / "coco", pictures=21, captions=5))
    named = tuple(replace(item, fields={"name": item.id}) for item in given.queries)

    with pytest.raises(UsageError, match="`name` has 126 values; slices go up to 100"):
        evaluate(replace(given, queries=named), HASH, options=EvaluateOptions(slices=("name",)))


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("a dog", "1 to 5 words"),
        ("一个人在雪地里滑雪。", "1 to 5 words"),
        ("狗" * 15, "6 to 10 words"),
    ],
)
def test_a_length_in_words_is_one_in_any_script(captions: Path, text: str, length: str) -> None:
    given = data(captions)
    queries = tuple(replace(item, text=text) for item in given.queries)
    options = EvaluateOptions(slices=("length",))
    found = evaluate(replace(given, queries=queries), HASH, options=options)

    assert [part.value for part in row(found, Key(T2I)).slices] == [length]


def test_a_change_spoils_pictures_in_both_directions_and_words_as_questions(captions: Path) -> None:
    options = EvaluateOptions(changes=parse_changes("grey,upper"))
    found = evaluate(data(captions), HASH, options=options)

    changed = [(one.key.direction, one.key.changed) for one in found.measurements]
    assert changed == [(T2I, ""), (T2I, "grey"), (T2I, "upper"), (I2T, ""), (I2T, "grey")]
    assert value(found, Key(T2I, changed="grey"), "mrr") < value(found, Key(T2I), "mrr")


# --- through a collection -------------------------------------------------------------------------


def through(photos: Collection, captions: Path, **options: object) -> Evaluation:
    chosen = EvaluateOptions(**options)  # type: ignore[arg-type]
    searcher = DeployedCollection(photos)
    return evaluate(data(captions), embedding_of(photos), options=chosen, searcher=searcher)


def test_without_strangers_both_ways_agree(captions: Path, tmp_path: Path) -> None:
    photos = create("alone", settings=settings(tmp_path / "home"))
    index([], photos, options=IndexOptions(captions=str(captions)))
    with photos:
        found = through(photos, captions)

    for direction in (T2I, I2T):
        exact, deployed = (row(found, Key(direction, way)) for way in ("exact", "deployed"))
        for name in ("r@1", "r@5"):
            assert deployed.measures[name].value == pytest.approx(
                exact.measures[name].value, abs=0.03
            )
        assert deployed.ranks.depth == 100
    assert [one.recall[1].value for one in found.index_recall] == [1.0, 1.0]
    assert [list(one.recall) for one in found.index_recall] == [[1], [1, 10]], "of 8 and of 40"
    assert not found.degraded


def test_what_else_the_collection_holds_is_searched_too(photos: Collection, captions: Path) -> None:
    with photos:
        found = through(photos, captions)

    assert found.card[f"searchable, {T2I}"]["documents"] == 8 * 6 + 1
    assert found.card[f"searchable, {T2I}"]["of the corpus in the collection"] == 8
    deployed = row(found, Key(T2I, "deployed"))
    assert (deployed.first[:, :9] == -1).any(), "the stranger is no picture of the data set"


def test_texts_ask_for_pictures_by_what_these_show_alone(captions: Path, tmp_path: Path) -> None:
    """No leak: a search of one's own finds each picture by the word of its caption at once."""
    with words_of_their_own(captions, tmp_path) as photos:
        own = photos.search("word302", modality="image", k=1)
        found = through(photos, captions)

    assert own[0].fields["coco_id"] == 3
    assert {one.key.legs for one in found.measurements} == {"fused"}
    assert found.card[f"searchable, {T2I}"]["legs"] == "test-hash-32/image"
    exact, deployed = (row(found, Key(T2I, way)) for way in ("exact", "deployed"))
    assert deployed.measures["mrr"].value == pytest.approx(exact.measures["mrr"].value, abs=0.03)


def words_of_their_own(captions: Path, folder: Path) -> Collection:
    """A collection in which every caption has a word that no other one has."""
    held = json.loads(captions.read_text())
    for annotation in held["annotations"]:
        annotation["caption"] = f"a thing called word{annotation['id']}"
    captions.write_text(json.dumps(held))
    photos = create("leaky", settings=settings(folder / "leaky"))
    index([], photos, options=IndexOptions(captions=str(captions)))
    return photos


@pytest.mark.parametrize(
    "options",
    [
        {"held_in": 1},
        {"held_in": 1, "queries": 4},
        {"held_in": 1, "changes": parse_changes("upper,typo:0.3")},
    ],
    ids=["all", "a sample", "changed words"],
)
def test_only_what_is_held_in_can_be_found_by(
    captions: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    """Whatever is asked of a data set, and however it is spelt, the rest of it stays hidden."""
    with words_of_their_own(captions, tmp_path) as photos:
        found = through(photos, captions, **options)

    assert found.card[f"searchable, {T2I}"]["captions held in"] == 8
    assert found.card[f"searchable, {T2I}"]["documents hidden"] == 8 * 4
    by_words = [one for one in found.measurements if one.key.legs == "words"]
    assert len(by_words) == 1 + len(options.get("changes", ()))
    for one in by_words:
        share = float(np.mean(one.ranks.ranks == 1))
        assert share <= 2 / 8, f"{one.key}: all held-in captions fit alike"


def test_captions_that_the_data_leaves_out_are_hidden_too(captions: Path, tmp_path: Path) -> None:
    with words_of_their_own(captions, tmp_path) as photos:
        given = open_dataset(captions, DatasetOptions(per_image=2))
        options = EvaluateOptions(held_in=1)
        searcher = DeployedCollection(photos)
        found = evaluate(given, embedding_of(photos), options=options, searcher=searcher)

    assert found.card[f"searchable, {T2I}"]["documents hidden"] == 8 * 4
    assert len(row(found, Key(T2I, "deployed")).queries) == 8


def test_a_text_that_asks_is_hidden_however_it_is_spelt(tmp_path: Path) -> None:
    captions = coco_set(tmp_path / "coco", pictures=6, captions=2)
    held = json.loads(captions.read_text())
    for first, second in zip(held["annotations"][::2], held["annotations"][1::2], strict=True):
        first["caption"] = f"Word{second['id']}, a Thing 圖."
        second["caption"] = f"word{second['id']} a thing 图"
    captions.write_text(json.dumps(held))
    photos = create("photos", settings=settings(tmp_path / "home"))
    index([], photos, options=IndexOptions(captions=str(captions)))
    with photos:
        found = through(photos, captions, held_in=1)

    assert found.card[f"searchable, {T2I}"]["documents hidden"] == 12
    assert row(found, Key(T2I, "deployed", "words")).measures["r@1"].value == 0


def test_captions_are_held_in_for_each_language(captions: Path) -> None:
    given = data(captions)
    spoken = tuple(
        replace(item, fields={"language": "en" if int(item.id) % 100 < 3 else "zh"})
        for item in given.queries
    )

    (task,) = tasks_of(replace(given, queries=spoken), held_in=1)

    assert {int(name) % 100 for name in task.held_in} == {0, 3}
    assert len(task.held_in) == 2 * 8


def test_a_caption_that_was_judged_not_to_fit_is_none_of_a_pictures_own(captions: Path) -> None:
    given = data(captions)
    qrels = {"800": {"1": 0.0, "8": 1.0}, **{k: v for k, v in given.qrels.items() if k != "800"}}

    (task,) = tasks_of(replace(given, qrels=qrels), held_in=1)

    assert {int(name) // 100 for name in task.held_in} == set(range(1, 9))


def test_captions_are_held_in_where_texts_ask_for_pictures_only(captions: Path) -> None:
    with pytest.raises(UsageError, match="where image to text is measured"):
        tasks_of(turned(data(captions)), held_in=1)


def test_captions_that_are_held_in_and_absent_are_told(captions: Path, tmp_path: Path) -> None:
    photos = create("photos", settings=settings(tmp_path / "home"))
    index([captions.parent.parent / "val2017"], photos)
    with photos:
        found = through(photos, captions, held_in=1)

    assert found.degraded
    assert any("lacks 8 of 8 captions that are held in" in note for note in found.notes)


def test_a_text_that_is_asked_with_is_hidden_wherever_it_stands(tmp_path: Path) -> None:
    """The held-in caption of one picture may be another's question, word for word."""
    captions = coco_set(tmp_path / "coco", pictures=2, captions=2)
    held = json.loads(captions.read_text())
    held["annotations"][0]["caption"] = held["annotations"][3]["caption"]
    captions.write_text(json.dumps(held))
    photos = create("photos", settings=settings(tmp_path / "home"))
    index([], photos, options=IndexOptions(captions=str(captions)))
    with photos:
        found = through(photos, captions, held_in=1)

    assert found.card[f"searchable, {T2I}"]["documents hidden"] == 3
    assert not found.degraded


def test_legs_stand_alone_beside_what_they_give_together(
    photos: Collection, captions: Path
) -> None:
    with photos:
        found = through(photos, captions, held_in=1)

    legs = [one.key.legs for one in found.measurements if one.key.way == "deployed"]
    assert legs == ["fused", "test-hash-32/image", "test-hash-32/text", "words", "fused"]


def test_a_picture_that_the_collection_lacks_counts_as_not_found(
    captions: Path, tmp_path: Path
) -> None:
    photos = create("photos", settings=settings(tmp_path / "home"))
    folder = captions.parent.parent / "val2017"
    index([folder / f"{number:012}.jpg" for number in range(1, 8)], photos)
    with photos:
        searcher = DeployedCollection(photos)
        found = evaluate(data(captions), embedding_of(photos), searcher=searcher)

    ranks = row(found, Key(T2I, "deployed")).ranks.ranks
    assert np.isinf(ranks).tolist() == [False] * 35 + [True] * 5
    assert found.degraded
    assert any("lacks 1 of 8 images" in note for note in found.notes)
    assert any("holds none of the 40 texts" in note for note in found.notes)
    assert [one.key for one in found.measurements if one.key.way == "deployed"] == [
        Key(T2I, "deployed")
    ]


def test_a_collection_of_other_things_is_not_measured_by_what_it_cannot_find(
    captions: Path, tmp_path: Path
) -> None:
    photos = create("photos", settings=settings(tmp_path / "home"))
    index([picture(tmp_path / "other.png", seed=5)], photos)
    with photos:
        searcher = DeployedCollection(photos)
        found = evaluate(data(captions), embedding_of(photos), searcher=searcher)

    assert found.degraded
    assert {one.key.way for one in found.measurements} == {"exact"}
    assert len([note for note in found.notes if "holds none of" in note]) == 2


def test_two_equal_captions_of_a_picture_rank_as_they_do_by_themselves(tmp_path: Path) -> None:
    """One document serves both, and a measure must not count it twice at one rank."""
    captions = coco_set(tmp_path / "coco", pictures=3, captions=2)
    held = json.loads(captions.read_text())
    held["annotations"][1]["caption"] = held["annotations"][0]["caption"]
    captions.write_text(json.dumps(held))
    photos = create("photos", settings=settings(tmp_path / "home"))
    index([], photos, options=IndexOptions(captions=str(captions)))
    with photos:
        found = through(photos, captions)

    exact, deployed = (row(found, Key(I2T, way)) for way in ("exact", "deployed"))
    assert deployed.ranks.ranks.tolist() == exact.ranks.ranks.tolist()
    assert len(set(deployed.ranks.ranks[:2].tolist())) == 2


def test_what_a_filter_leaves_out_is_neither_asked_for_nor_found(
    photos: Collection, captions: Path
) -> None:
    with photos:
        searcher = DeployedCollection(photos, where="coco_id <= 4")
        found = evaluate(data(captions), embedding_of(photos), searcher=searcher)

    for way in ("exact", "deployed"):
        one = row(found, Key(T2I, way))
        assert len(one.queries) == 4 * 5
        assert np.isfinite(one.ranks.ranks).all()
    assert any("leaves out 4 of 8 images" in note for note in found.notes)
    assert found.problems == ()


def test_a_filter_that_leaves_nothing_is_an_error(photos: Collection, captions: Path) -> None:
    with photos:
        searcher = DeployedCollection(photos, where="coco_id > 99")
        embedding = embedding_of(photos)
        with pytest.raises(UsageError, match="leaves out all 8 images"):
            evaluate(data(captions), embedding, searcher=searcher)


def test_slices_go_by_the_fields_that_a_collection_has_of_a_picture(
    photos: Collection, captions: Path
) -> None:
    with photos:
        options = EvaluateOptions(slices=("coco_id",))
        searcher = DeployedCollection(photos)
        found = evaluate(data(captions), embedding_of(photos), options=options, searcher=searcher)

    for direction, count in ((T2I, 5), (I2T, 1)):
        parts = row(found, Key(direction, "deployed")).slices
        assert [part.queries for part in parts] == [count] * 8


def test_fields_of_a_picture_are_those_of_the_place_that_passes(
    captions: Path, tmp_path: Path
) -> None:
    photos = create("photos", settings=settings(tmp_path / "home"))
    folder = captions.parent.parent / "val2017"
    for name, year in (("a", 2019), ("b", 2021)):
        shutil.copytree(folder, tmp_path / name)
        for file in list((tmp_path / name).iterdir()):
            file.with_suffix(".json").write_text(json.dumps({"shot": year}))
    index([tmp_path / "a", tmp_path / "b"], photos)
    with photos:
        searcher = DeployedCollection(photos, where="shot > 2020")
        options = EvaluateOptions(slices=("shot",))
        found = evaluate(data(captions), embedding_of(photos), options=options, searcher=searcher)

    assert [part.value for part in row(found, Key(T2I, "deployed")).slices] == ["2021"]


def test_the_same_picture_and_caption_ids_are_told_apart(captions: Path) -> None:
    """COCO numbers its pictures and its captions by themselves."""
    held = json.loads(captions.read_text())
    for number, annotation in enumerate(held["annotations"], start=1):
        annotation["id"] = number
    captions.write_text(json.dumps(held))
    (captions.parent.parent / "val2017" / f"{3:012}.jpg").write_bytes(b"no picture at all")

    found = evaluate(data(captions), HASH)

    assert len(row(found, Key(T2I)).queries) == 35
    assert {problem.what: problem.count for problem in found.problems} == {
        "images that can't be decoded": 1,
        "queries that lose all that answers them": 5,
    }


def test_a_sample_is_ranked_among_everything(photos: Collection, captions: Path) -> None:
    with photos:
        whole, some = through(photos, captions), through(photos, captions, queries=3)
        folds = [
            evaluate(data(captions), HASH, options=EvaluateOptions(folds=2, queries=queries))
            for queries in (None, 3)
        ]

    assert not some.degraded
    keys = [Key(d, way) for d in (T2I, I2T) for way in ("exact", "deployed")]
    for key in keys:
        assert ranks_by_query(row(some, key)).items() <= ranks_by_query(row(whole, key)).items()
    for key in keys[::2]:
        of_some, of_all = (ranks_by_query(row(one, key)) for one in reversed(folds))
        assert len(of_some) == 3
        assert of_some.items() <= of_all.items()


def ranks_by_query(one: Measurement) -> dict[str, tuple[float, ...]]:
    parts = np.split(one.ranks.ranks, one.ranks.starts[1:-1])
    return {query: tuple(part.tolist()) for query, part in zip(one.queries, parts, strict=True)}


def test_nothing_to_measure_is_an_error(captions: Path) -> None:
    with pytest.raises(UsageError, match="Nothing would be measured"):
        evaluate(data(captions), HASH, options=EvaluateOptions(exact=False))


def test_a_collection_is_asked_with_spoilt_questions_and_never_holds_spoilt_pictures(
    photos: Collection, captions: Path
) -> None:
    with photos:
        found = through(photos, captions, changes=parse_changes("grey,upper"))

    asked = [
        (one.key.direction, one.key.changed)
        for one in found.measurements
        if one.key.way == "deployed"
    ]
    assert asked == [(T2I, ""), (T2I, "upper"), (I2T, ""), (I2T, "grey")]


def test_another_encoder_than_the_collections_is_refused(
    photos: Collection, captions: Path
) -> None:
    from retrieval.errors import EncoderMismatchError

    with photos:
        stored = photos.backends.probes
        shifted = Embedding("hash:", Embedder(HashEncoder("shifted"), stored=stored))
        with pytest.raises(EncoderMismatchError):
            evaluate(data(captions), shifted, searcher=DeployedCollection(photos))


# --- a collection by itself -----------------------------------------------------------------------


def test_evaluations_of_two_directions_are_joined(photos: Collection) -> None:
    options = EvaluateOptions(exact=False, backwards=False)
    with photos:
        both = [known_pictures(photos, 5), known_captions(photos, 5)]
        found = joined(
            [
                evaluate(
                    one, embedding_of(photos), options=options, searcher=DeployedCollection(photos)
                )
                for one in both
                if one is not None
            ]
        )

    assert [one.key.direction for one in found.measurements] == ["image to image", T2I]
    assert set(found.data) == {"image to image", T2I}
    assert {"searchable, image to image", f"searchable, {T2I}", "encoder"} <= set(found.card)
    name = found.card["data"]["name"]
    assert name == "pictures of the collection and captions of the collection"
    assert len(str(found.card["data"]["digest"])) == 64


def test_the_digest_tells_data_apart(captions: Path) -> None:
    given = data(captions)
    one = evaluate(given, HASH).card["data"]["digest"]
    shorter = replace(given, queries=given.queries[1:], qrels=dict(list(given.qrels.items())[1:]))

    assert evaluate(given, HASH).card["data"]["digest"] == one
    assert evaluate(shorter, HASH).card["data"]["digest"] != one
    shuffled = replace(given, corpus=given.corpus[::-1])
    assert evaluate(shuffled, HASH).card["data"]["digest"] != one, "folds and ties go by the order"

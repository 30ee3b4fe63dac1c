"""Films, sounds and their moments, measured through a collection whose cosines are chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval.collection import Collection
from retrieval.deployed import DeployedCollection, embedding_of
from retrieval.errors import UsageError
from retrieval.evaluation.compare import compare
from retrieval.evaluation.datasets import open_dataset, open_moments
from retrieval.evaluation.embeddings import Embedder, Embedding
from retrieval.evaluation.evaluate import evaluate
from retrieval.evaluation.evaluate_moments import evaluate_moments, score_moments
from retrieval.evaluation.gates import check, parse_gate
from retrieval.evaluation.moments import Guess
from retrieval.evaluation.options import EvaluateOptions
from retrieval.evaluation.report import markdown, tables
from retrieval.evaluation.saved import dump, load
from retrieval.evaluation.schema import (
    TEXT_TO_ANY_MOMENT,
    TEXT_TO_MOMENT,
    Evaluation,
    Key,
    Measurement,
    MomentMeasurement,
)
from tests.collections import settings
from tests.encoders import HashEncoder
from tests.films_made import WORDS, Film, Part, films_made

from .sets import lines

T2V, V2T, T2A = "text to video", "video to text", "text to audio"


@contextmanager
def held(folder: Path, *films: Film, files: Sequence[str] = ()) -> Iterator[Collection]:
    """A collection of films; film n is the file of the n-th name, which holds ``film n``."""
    placed = [
        replace(film, fields={"path": f"/films/{number}.mp4", **film.fields})
        for number, film in enumerate(films)
    ]
    for number, name in enumerate(files):
        (folder / name).write_bytes(f"film {number}".encode())
    home = folder / "home"
    (home / "films").mkdir(parents=True)
    with films_made(home / "films", placed) as made:
        collection = Collection(home / "films", settings(home))
        collection._opened = made.backends
        yield collection


def shot(start: float, end: float, cosine: float) -> Part:
    return Part("shot", start, end, cosine)


def row(found: Evaluation, key: Key) -> Measurement:
    return next(one for one in found.measurements if one.key == key)


def moments_row(found: Evaluation, direction: str) -> MomentMeasurement:
    return next(one for one in found.moments if one.key == Key(direction, "deployed"))


def value(found: Evaluation, direction: str, measure: str) -> float:
    return moments_row(found, direction).measures[measure].value


NEAR, FAR = Film((shot(0, 4, 0.1), shot(4, 9, 0.8))), Film((shot(0, 5, 0.5), shot(5, 9, 0.4)))


# -- films and sounds as a whole ------------------------------------------------------------------


def test_a_film_is_as_near_as_its_nearest_shot_both_ways(tmp_path: Path) -> None:
    table = lines(tmp_path / "t.csv", "file,caption", f"a.mp4,{WORDS}", f"b.mp4,{WORDS} too")
    with held(tmp_path, NEAR, FAR, files=("a.mp4", "b.mp4")) as films:
        searcher = DeployedCollection(films)
        found = evaluate(open_dataset(table), embedding_of(films), searcher=searcher)
    for way in ("exact", "deployed"):
        assert row(found, Key(T2V, way)).ranks.ranks.tolist()[0] == 1
        assert row(found, Key(T2V, way)).first[0, :2].tolist() == [0, 1]
    assert {one.key for one in found.measurements if one.key.direction == V2T} == {Key(V2T)}
    assert row(found, Key(V2T)).queries == ("a.mp4", "b.mp4")
    assert Key("both") in found.rsum
    assert not found.degraded


def test_captions_of_films_are_never_found_by(tmp_path: Path) -> None:
    """Without it the caption would put the far film first."""
    table = lines(tmp_path / "t.csv", "file,caption", f"a.mp4,{WORDS}", "b.mp4,something else")
    told = replace(FAR, captions=((WORDS, 1.0),))
    with held(tmp_path, NEAR, told, files=("a.mp4", "b.mp4")) as films:
        assert films.search(WORDS)[0].paths == ("/1.mp4",), "by its caption"
        searcher = DeployedCollection(films)
        found = evaluate(open_dataset(table), embedding_of(films), searcher=searcher)
    assert row(found, Key(T2V, "deployed")).ranks.ranks.tolist()[0] == 1
    assert {one.key.legs for one in found.measurements} == {"fused"}


def test_what_is_said_in_a_film_finds_it(tmp_path: Path) -> None:
    table = lines(tmp_path / "t.csv", "file,caption", f"a.mp4,{WORDS}", "b.mp4,something else")
    silent = Film((shot(0, 9, 0.1),))
    spoken = Film((shot(0, 9, 0.1), Part("speech", 2, 3, 0.9, WORDS)))
    with held(tmp_path, spoken, silent, files=("a.mp4", "b.mp4")) as films:
        searcher = DeployedCollection(films)
        found = evaluate(open_dataset(table), embedding_of(films), searcher=searcher)
    assert row(found, Key(T2V, "deployed")).ranks.ranks.tolist()[0] == 1
    legs = {one.key.legs for one in found.measurements if one.key.way == "deployed"}
    assert legs == {"fused", "test-hash-32/video", "test-hash-32/text", "words"}
    assert row(found, Key(T2V, "deployed", "words")).ranks.ranks.tolist() == [1, np.inf]


def test_sounds_by_class(tmp_path: Path) -> None:
    table = lines(
        tmp_path / "s.csv", "file,category", *(f"{n}.wav,{WORDS}" for n in "ab"), "c.wav,x"
    )
    sounds = [Film((Part("window", 0, 5, cosine),), modality="audio") for cosine in (0.9, 0.2, 0.5)]
    with held(tmp_path, *sounds, files=("a.wav", "b.wav", "c.wav")) as films:
        options = EvaluateOptions(measures=("p@1", "map", "r@1"))
        searcher = DeployedCollection(films)
        data = open_dataset(table)
        found = evaluate(data, embedding_of(films), options=options, searcher=searcher)
    for way in ("exact", "deployed"):
        assert row(found, Key(T2A, way)).ranks.ranks.tolist()[:2] == [1, 3]
    assert row(found, Key(T2A)).ranks.starts.tolist() == [0, 2, 3]


def test_a_film_that_the_collection_lacks_counts_as_not_found(tmp_path: Path) -> None:
    table = lines(tmp_path / "t.csv", "file,caption", f"a.mp4,{WORDS}", f"b.mp4,{WORDS} b")
    (tmp_path / "b.mp4").write_bytes(b"another film")
    with held(tmp_path, NEAR, files=("a.mp4",)) as films:
        searcher = DeployedCollection(films)
        found = evaluate(open_dataset(table), embedding_of(films), searcher=searcher)
    for key in (Key(T2V), Key(T2V, "deployed")):
        assert row(found, key).ranks.ranks.tolist() == [1, np.inf]
    assert row(found, Key(V2T)).ranks.ranks.tolist()[1] == np.inf
    assert found.degraded
    assert "lacks 1 of 2 videos of the data" in found.notes[0]


def test_what_the_collection_takes_for_a_picture_is_told(tmp_path: Path) -> None:
    table = lines(tmp_path / "t.csv", "file,caption", f"a.mp4,{WORDS}", f"b.gif,{WORDS} b")
    moving = replace(NEAR, modality="image")
    with held(tmp_path, FAR, moving, files=("a.mp4", "b.gif")) as films:
        searcher = DeployedCollection(films)
        found = evaluate(open_dataset(table), embedding_of(films), searcher=searcher)
    assert row(found, Key(T2V, "deployed")).ranks.ranks.tolist() == [1, np.inf]
    [note] = [note for note in found.notes if "modality" in note]
    assert note.startswith("1 of the data's videos have the modality image in the collection")
    assert "b.gif" in note
    assert not found.degraded


def test_films_need_a_collection_and_no_folds(tmp_path: Path) -> None:
    table = lines(tmp_path / "t.csv", "file,caption", f"a.mp4,{WORDS}")
    (tmp_path / "a.mp4").write_bytes(b"film 0")
    data = open_dataset(table)
    alone = Embedding("hash:", Embedder(HashEncoder()))
    with pytest.raises(UsageError, match="can't be asked for videos") as error:
        evaluate(data, alone)
    assert "echolens index" in error.value.advice
    with (
        held(tmp_path, NEAR) as films,
        pytest.raises(UsageError, match="Videos are measured through a collection"),
    ):
        evaluate(data, alone, options=EvaluateOptions(folds=2), searcher=DeployedCollection(films))


# -- moments --------------------------------------------------------------------------------------


def questions(folder: Path) -> Path:
    """Two about a.mp4 (the same words, other windows), one about b.mp4."""
    return lines(
        folder / "q.jsonl",
        {"qid": 1, "query": WORDS, "vid": "a", "relevant_windows": [[4, 9]], "kind": "x"},
        {"qid": 2, "query": WORDS, "vid": "a", "relevant_windows": [[0, 4]], "kind": "y"},
        {"qid": 3, "query": WORDS, "vid": "b", "relevant_windows": [[0, 5]], "kind": "y"},
    )


@pytest.fixture
def found(tmp_path: Path) -> Evaluation:
    """In a.mp4 the moment from 4 to 9 is the best one, in b.mp4 that from 0 to 9."""
    with held(tmp_path, NEAR, FAR, files=("a.mp4", "b.mp4")) as films:
        return measured(tmp_path, films)


def measured(folder: Path, films: Collection, **options: object) -> Evaluation:
    moments = open_moments(questions(folder))
    chosen = EvaluateOptions(**{"slices": ("kind",), **options})  # type: ignore[arg-type]
    return evaluate_moments(moments, embedding_of(films), DeployedCollection(films), options=chosen)


def test_moments_are_asked_for_in_the_named_film_and_in_all(found: Evaluation) -> None:
    inside, anywhere = (moments_row(found, one) for one in (TEXT_TO_MOMENT, TEXT_TO_ANY_MOMENT))
    assert inside.queries == anywhere.queries == ("1", "2", "3")
    assert inside.clusters == ("a", "a", "b")
    assert inside.values["r1@0.5"].tolist() == [1, 0, 1]
    assert inside.values["r1@0.7"].tolist() == [1, 0, 0]
    assert inside.values["miou"].tolist() == pytest.approx([1, 0, 5 / 9])
    assert anywhere.values["r1@0.5"].tolist() == [1, 0, 0], "the other film has the best moment"
    assert anywhere.values["r5@0.5"].tolist() == [1, 0, 1]
    assert "hit@1" not in inside.measures
    assert value(found, TEXT_TO_MOMENT, "r1@0.5") == pytest.approx(2 / 3)


def test_which_film_it_is_is_measured_besides(found: Evaluation) -> None:
    keys = [one.key for one in found.measurements]
    assert keys == [Key(T2V), Key(T2V, "deployed")]
    assert row(found, Key(T2V, "deployed")).ranks.ranks.tolist() == [1, 1, 2]
    assert found.card["moments"]["shot documents"] == 4


def test_moments_are_told_in_tables_and_on_the_page(found: Evaluation) -> None:
    table = next(one for one in tables(found) if one.title == "Moments")
    assert table.head[:4] == ("direction", "way", "queries", "R1@0.5")
    assert [cells[0] for cells in table.rows] == [TEXT_TO_MOMENT, TEXT_TO_ANY_MOMENT]
    assert table.rows[0][3].startswith("66.7")
    page = markdown(found)
    assert "mAP@0.75" in page
    assert "text to moment, deployed: by kind" in page


def test_moments_are_kept_and_read_back(found: Evaluation) -> None:
    again = load(dump(found))
    for one, other in zip(found.moments, again.moments, strict=True):
        assert (one.key, one.queries, one.clusters) == (other.key, other.queries, other.clusters)
        assert {name: of.tolist() for name, of in one.values.items()} == {
            name: of.tolist() for name, of in other.values.items()
        }
        assert one.measures.keys() == other.measures.keys()
        assert [part.value for part in one.slices] == [part.value for part in other.slices]
    with pytest.raises(UsageError, match="damaged"):
        load(dump(found).replace('"r1@0.5": [1.0, 0.0, 1.0]', '"r1@0.5": [7.0, 0.0, 1.0]'))
    with pytest.raises(UsageError, match="damaged"):
        load(dump(found).replace('"r1@0.5": [1.0, 0.0, 1.0]', '"r1@0.5": [1.0, 0.0]'))


@pytest.mark.parametrize(
    ("gate", "holds"),
    [
        ("r1@0.5>=30%", [True, True]),
        ("t2m:r1@0.5>=0.6", [True]),
        ("vcmr:r1@0.5>=0.6", [False]),
        ("text to any moment:miou<0.9", [True]),
        ("map@avg>0.99", [False, False]),
        ("hit@1>=0.5", [False, False]),
        ("t2v:r@1>=0.6", [True]),
        ("t2a:r1@0.5>=0.6", [False]),
    ],
)
def test_gates_know_moments(found: Evaluation, gate: str, holds: list[bool]) -> None:
    verdicts = check([parse_gate(gate)], found)
    assert [one.holds for one in verdicts] == holds
    assert all(one.why or one.holds for one in verdicts)


def test_a_baseline_tells_what_changed(tmp_path: Path, found: Evaluation) -> None:
    before = load(dump(found))
    same = compare(found, before)
    told = {(one.key.direction, one.measure): one for one in same.differences}
    assert told[TEXT_TO_MOMENT, "r1@0.5"].now == told[TEXT_TO_MOMENT, "r1@0.5"].before
    worse = replace(
        found.moments[0],
        values={name: np.zeros_like(of) for name, of in found.moments[0].values.items()},
    )
    changed = compare(replace(found, moments=(worse,)), before)
    one = next(one for one in changed.differences if one.measure == "r1@0.5")
    assert (one.queries, one.before, one.now) == (3, pytest.approx(2 / 3), 0)
    assert f"Only the baseline has {TEXT_TO_ANY_MOMENT}, deployed." in changed.notes


def test_other_windows_are_other_data(tmp_path: Path, found: Evaluation) -> None:
    data = {**found.card["data"], "windows": "others"}
    with pytest.raises(UsageError, match="measured on other data"):
        compare(found, replace(found, card={**found.card, "data": data}))


def test_words_are_spoilt_and_questions_sampled_for_moments_too(tmp_path: Path) -> None:
    from retrieval.evaluation.perturb import parse_changes

    with held(tmp_path, NEAR, FAR, files=("a.mp4", "b.mp4")) as films:
        some = measured(
            tmp_path, films, queries=1, changes=parse_changes("upper"), measures=("r1@0.5", "r@1")
        )
    assert [one.key.changed for one in some.moments] == ["", "", "upper", "upper"]
    assert {len(one.queries) for one in (*some.moments, *some.measurements)} == {1}
    assert {name for one in some.moments for name in one.measures} == {"r1@0.5"}
    assert {name for one in some.measurements for name in one.measures} == {"r@1"}


def test_films_that_are_not_held_are_told_and_count_as_not_found(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").write_bytes(b"another film")
    with held(tmp_path, NEAR, files=("a.mp4",)) as films:
        lacking = measured(tmp_path, films)
    assert moments_row(lacking, TEXT_TO_MOMENT).values["r1@0.5"].tolist() == [1, 0, 0]
    assert lacking.degraded
    (tmp_path / "a.mp4").write_bytes(b"and another")
    home = tmp_path / "other"
    home.mkdir()
    with held(home, NEAR) as films:
        none = measured(tmp_path, films)
    assert none.moments == ()
    assert "The collection holds no film that is asked about." in none.notes


def test_didemo_asks_for_films_with_paragraphs_and_for_moments_with_sentences(
    tmp_path: Path,
) -> None:
    from .test_datasets_films import didemo

    files = ("a@N00_1.mov", "b@N01_2.avi")
    with held(tmp_path, NEAR, FAR, files=files) as films:
        found = evaluate_moments(
            open_moments(didemo(tmp_path)), embedding_of(films), DeployedCollection(films)
        )
    assert row(found, Key(T2V)).queries == files
    assert row(found, Key(V2T)).queries == files
    assert moments_row(found, TEXT_TO_MOMENT).queries == ("7", "8", "9")


def test_anybodys_guesses_can_be_scored(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    queries = open_moments(questions(tmp_path)).queries
    guesses = {"1": [Guess("a", 4, 9, 1.0)], "2": [Guess("b", 0, 4, 1.0)]}
    scored = score_moments(queries, guesses)
    assert scored.key == Key(TEXT_TO_MOMENT, "run")
    assert scored.values["r1@0.5"].tolist() == [1, 0, 0]
    assert scored.measures["map@avg"].value == pytest.approx(1 / 3)

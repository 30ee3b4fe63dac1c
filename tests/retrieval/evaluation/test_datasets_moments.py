"""Data sets of moments: QVHighlights and one's own in its style, Charades-STA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import UsageError
from retrieval.evaluation.datasets import (
    DatasetOptions,
    has_moments,
    open_dataset,
    open_moments,
)
from retrieval.evaluation.moments import Saliency
from retrieval.evaluation.qrels import merged
from tests.datasets_here import AV, needs_films

from .sets import examples, files, lines, relevant, texts, told

QUESTION = {
    "qid": 2579,
    "query": "A girl and her mother cooked while talking.",
    "duration": 150,
    "vid": "NUsG9BgSes0_210.0_360.0",
    "relevant_clip_ids": [3, 4],
    "saliency_scores": [[4, 3, 1], [2, 4, 4]],
    "relevant_windows": [[6, 10], [100, 150]],
}


def qvhighlights(folder: Path, *questions: dict[str, Any]) -> Path:
    return lines(folder / "highlight_val_release.jsonl", *questions)


def test_qvhighlights_has_windows_and_telling_clips(tmp_path: Path) -> None:
    other = {"qid": 1, "query": "A dog", "vid": "x", "duration": 31, "relevant_windows": [[0, 2.5]]}
    path = qvhighlights(tmp_path, QUESTION, other)
    files(tmp_path / "videos", "NUsG9BgSes0_210.0_360.0.mp4", "x.mp4")
    moments = open_moments(path)
    first, second = moments.queries
    assert first.id == "2579"
    assert first.film == "NUsG9BgSes0_210.0_360.0"
    assert first.windows == ((6, 10), (100, 150))
    assert first.saliency == Saliency((3, 4), ((4, 3, 1), (2, 4, 4)), 75)
    assert first.fields == {"duration": 150}
    assert (second.windows, second.saliency) == (((0, 2.5),), None)
    assert [film.modality for film in moments.films] == ["video", "video"]
    assert has_moments(path)


def test_the_films_of_moments_can_be_asked_for_as_a_whole(tmp_path: Path) -> None:
    path = qvhighlights(tmp_path, QUESTION)
    files(tmp_path / "videos", "NUsG9BgSes0_210.0_360.0.mp4")
    data = open_dataset(path)
    assert data.direction == "text to video"
    assert relevant(data) == {("2579", "NUsG9BgSes0_210.0_360.0")}
    assert texts(data)["2579"] == QUESTION["query"]


def test_a_film_of_ones_own_is_named_by_file(tmp_path: Path) -> None:
    own = {"qid": 1, "query": "x", "vid": "a", "file": "films/a.mkv", "relevant_windows": [[0, 1]]}
    files(tmp_path, "films/a.mkv")
    moments = open_moments(qvhighlights(tmp_path, own))
    assert moments.films[0].media is not None
    assert moments.films[0].media.name == str(tmp_path / "films" / "a.mkv")
    outside = own | {"file": "../a.mkv"}
    with pytest.raises(UsageError, match="outside its folder"):
        open_moments(qvhighlights(tmp_path, outside))


def test_what_questions_lack_is_told_and_nothing_else_is_lost(tmp_path: Path) -> None:
    bad: list[dict[str, Any]] = [
        {"relevant_windows": [[5, 5]]},
        {"relevant_windows": [[-1, 5]]},
        {"relevant_windows": [[1]]},
        {"relevant_windows": [[0, "x"]]},
        {"relevant_windows": 3},
        {"query": None},
        {"saliency_scores": [[1, 2, 3]]},
        {"duration": "long"},
    ]
    asked = [QUESTION | {"qid": number} | change for number, change in enumerate(bad)]
    none = QUESTION | {"qid": 77, "relevant_windows": []}
    lost = QUESTION | {"qid": 78, "vid": "lost"}
    path = qvhighlights(tmp_path, QUESTION, *asked, none, lost, {"query": "x"})
    files(tmp_path / "videos", "NUsG9BgSes0_210.0_360.0.mp4")
    moments = open_moments(path)
    assert [one.id for one in moments.queries] == ["2579"]
    assert told(moments.data) == {
        "lines that can't be read": len(bad) + 1,
        "questions without a window": 1,
        "videos missing": 1,
        "captions without a video": 1,
    }
    assert examples(moments.data, "questions without a window") == ("77",)
    assert set(texts(moments.data)) == {"2579", "77"}


def test_a_split_whose_windows_are_secret_is_refused(tmp_path: Path) -> None:
    path = qvhighlights(tmp_path, {"qid": 1, "query": "x", "vid": "a", "duration": 150})
    with pytest.raises(UsageError, match=r"No question of .* has a window") as error:
        open_moments(path)
    assert "val" in error.value.advice


def test_charades_sta(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "charades_sta_test.txt",
        "3MSZA 24.3 30.4##person turn a light on.",
        "3MSZA 24.3 30.4##person flipped the light switch near the door.",
        "AO8RW 0.0 6.9##a person is putting a book on a shelf.",
        "AO8RW 7.0 7.0##nothing lasts.",
        "AO8RW ##",
    )
    files(tmp_path / "Charades_v1_480", "3MSZA.mp4", "AO8RW.mp4")
    given = DatasetOptions(images=tmp_path / "Charades_v1_480")
    moments = open_moments(path, given)
    assert [(one.id, one.film, one.windows) for one in moments.queries] == [
        ("3MSZA#0", "3MSZA", ((24.3, 30.4),)),
        ("3MSZA#1", "3MSZA", ((24.3, 30.4),)),
        ("AO8RW#0", "AO8RW", ((0.0, 6.9),)),
    ]
    assert told(moments.data) == {"windows that can't be": 1, "lines that can't be read": 1}
    assert open_dataset(path, given).direction == "text to video"


def test_windows_go_with_the_film_when_copies_are_one(tmp_path: Path) -> None:
    path = lines(tmp_path / "c.txt", "a 1 2##x", "b 3 4##y")
    files(tmp_path, "a.mp4", "b.mp4")
    moments = open_moments(path)
    one = moments.of(merged(moments.data, {"a": "same", "b": "same"}))
    assert [(query.film, query.windows) for query in one.queries] == [
        ("a", ((1, 2),)),
        ("a", ((3, 4),)),
    ]


def test_a_format_without_moments_says_which_have_them(tmp_path: Path) -> None:
    path = lines(tmp_path / "t.csv", "file,caption", "a.mp4,x")
    assert not has_moments(path)
    with pytest.raises(UsageError, match="has no moments") as error:
        open_moments(path)
    assert "qvhighlights" in error.value.advice


@needs_films
def test_the_moments_of_the_small_films_are_read_whole() -> None:
    moments = open_moments(AV / "moments.jsonl")
    assert (len(moments.queries), len(moments.films)) == (30, 4)
    assert moments.data.problems == ()
    assert {query.fields["kind"] for query in moments.queries} >= {"natural"}

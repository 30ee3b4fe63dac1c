"""Data sets of films and sounds: MSR-VTT, MSVD, DiDeMo, AudioCaps, Clotho; tables of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retrieval.errors import UsageError
from retrieval.evaluation.datasets import (
    CaptionsFile,
    DatasetOptions,
    open_dataset,
    open_moments,
    read_content,
)
from retrieval.evaluation.qrels import turned
from tests.datasets_here import AV, needs_films

from .sets import examples, files, lines, names, relevant, texts, told, written

# -- MSR-VTT --------------------------------------------------------------------------------------


def one_k(folder: Path) -> Path:
    return lines(
        folder / "MSRVTT_JSFUSION_test.csv",
        "key,vid_key,video_id,sentence",
        "ret0,msr9770,video9770,a person is connecting something to system",
        'ret1,msr9771,video9771,"a little girl, who does gymnastics"',
    )


def msrvtt(folder: Path) -> Path:
    videos = [
        {"video_id": "video0", "split": "train", "url": "x", "category": 9},
        {"video_id": "video1", "split": "test", "url": "x", "category": 3},
        {"video_id": "video2", "split": "test", "url": "x", "category": 3},
    ]
    sentences = [
        {"caption": f"sentence {number}", "video_id": f"video{number % 4}", "sen_id": number}
        for number in range(8)
    ]
    data = {"info": {}, "videos": videos, "sentences": sentences}
    return written(folder / "MSRVTT_data.json", data)


def test_msrvtt_1k_a_is_a_caption_a_video(tmp_path: Path) -> None:
    path = one_k(tmp_path)
    files(tmp_path / "videos", "video9770.mp4", "video9771.webm")
    data = open_dataset(path)
    assert (data.direction, data.split) == ("text to video", "1k-A")
    assert texts(data)["ret1"] == "a little girl, who does gymnastics"
    assert relevant(data) == {("ret0", "video9770"), ("ret1", "video9771")}
    assert [Path(item.media.name).name for item in data.corpus if item.media] == [
        "video9770.mp4",
        "video9771.webm",
    ]
    assert data.problems == ()
    assert turned(data).direction == "video to text"


def test_missing_videos_are_told_and_lose_nothing_else(tmp_path: Path) -> None:
    files(tmp_path / "clips", "video9771.mp4")
    data = open_dataset(one_k(tmp_path), DatasetOptions(images=tmp_path / "clips"))
    assert texts(data).keys() == {"ret1"}
    assert told(data) == {"videos missing": 1, "captions without a video": 1}
    assert examples(data, "videos missing") == ("video9770",)


def test_where_no_video_is_the_places_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"The videos of .* were not found: no video9770") as error:
        open_dataset(one_k(tmp_path))
    assert "--images" in error.value.advice


def test_lines_of_a_csv_that_cant_be_read_are_told(tmp_path: Path) -> None:
    path = lines(one_k(tmp_path), *one_k(tmp_path).read_text().splitlines(), "ret2,x,,no", "ret3")
    files(tmp_path / "videos", "video9770.mp4", "video9771.mp4")
    assert told(open_dataset(path)) == {"lines that can't be read": 2}
    lines(path, "key,vid_key,video_id,sentence", 'ret0,a,video1,"never closed')
    with pytest.raises(UsageError, match="line 2 can't be read"):
        open_dataset(path)


def test_msrvtt_has_its_own_splits_or_those_of_a_list(tmp_path: Path) -> None:
    path = msrvtt(tmp_path)
    files(tmp_path / "videos", "video0.mp4", "video1.mp4", "video2.mp4")
    data = open_dataset(path)
    assert data.split == "test"
    assert texts(data) == {
        "1": "sentence 1",
        "5": "sentence 5",
        "2": "sentence 2",
        "6": "sentence 6",
    }
    assert told(data) == {"captions without a video": 2}
    for chosen in (
        lines(tmp_path / "list.txt", "video0", "video9"),
        lines(tmp_path / "1k.csv", "key,vid_key,video_id,sentence", "a,b,video0,x", "a,b,video9,x"),
    ):
        data = open_dataset(path, DatasetOptions(split_file=chosen))
        assert [item.id for item in data.corpus] == ["video0"]
        assert told(data)["videos of the split file that the captions lack"] == 1
    with pytest.raises(UsageError, match=r"No video of .* is in"):
        open_dataset(path, DatasetOptions(split_file=lines(tmp_path / "other.txt", "video77")))
    with pytest.raises(UsageError, match="list of test videos already"):
        open_dataset(one_k(tmp_path), DatasetOptions(split_file=chosen))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"videos": [{"id": 1, "video_id2": ""}]}, "`videos` has no `video_id`"),
        ({"videos": [], "sentences": [{"video_id": "v", "caption": 3}]}, "should be a text"),
        ({"videos": {"video_id": 3}}, "should be a list"),
    ],
)
def test_json_that_isnt_msrvtts_says_why(tmp_path: Path, data: object, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        open_dataset(f"msrvtt:{written(tmp_path / 'x.json', data)}")


# -- MSVD -----------------------------------------------------------------------------------------


def msvd(folder: Path) -> Path:
    return lines(
        folder / "AllVideoDescriptions.txt",
        "# This file contains descriptions",
        "",
        "mv89psg6zh4_33_46 A bird in a sink keeps getting under the running water.",
        "mv89psg6zh4_33_46 A bird is bathing in a sink.",
        "-4wsuPCjDBc_5_15 A squirrel is eating a peanut.",
        "no caption here",
        end="\r\n",
    )


def test_msvd_is_read_with_its_lists_of_splits(tmp_path: Path) -> None:
    path = msvd(tmp_path)
    files(tmp_path / "YouTubeClips", "mv89psg6zh4_33_46.avi", "vid7.avi")
    lines(tmp_path / "train_list.txt", "mv89psg6zh4_33_46")
    lines(tmp_path / "test_list.txt", "-4wsuPCjDBc_5_15", "gone_1_2")
    lines(tmp_path / "youtube_mapping.txt", "-4wsuPCjDBc_5_15 vid7")
    data = open_dataset(path)
    assert data.split == "test"
    assert texts(data) == {"-4wsuPCjDBc_5_15#0": "A squirrel is eating a peanut."}
    assert told(data) == {
        "lines that can't be read": 1,
        "videos of the split lists that the captions lack": 1,
    }
    train = open_dataset(path, DatasetOptions(split="train"))
    assert list(texts(train)) == ["mv89psg6zh4_33_46#0", "mv89psg6zh4_33_46#1"]


def test_msvd_without_lists_has_no_splits(tmp_path: Path) -> None:
    files(tmp_path / "YouTubeClips", "mv89psg6zh4_33_46.avi", "-4wsuPCjDBc_5_15.avi")
    data = open_dataset(msvd(tmp_path))
    assert (data.split, len(data.queries), len(data.corpus)) == ("", 3, 2)


# -- DiDeMo ---------------------------------------------------------------------------------------


def didemo(folder: Path) -> Path:
    def entry(number: int, video: str, text: str, *times: list[int]) -> dict[str, object]:
        more = {"num_segments": 6, "annotation_id": number, "dl_link": "x"}
        return {"video": video, "description": text, "times": list(times), **more}

    data = [
        entry(7, "a@N00_1.mov", "the dog runs", [0, 0], [0, 0], [0, 1], [0, 0]),
        entry(8, "a@N00_1.mov", "it stops", [4, 5], [3, 4], [4, 5], [3, 4]),
        entry(9, "b@N01_2.avi", "a man waves", [2, 2], [2, 2], [1, 1], [2, 2]),
    ]
    return written(folder / "val_data.json", data)


def test_didemo_asks_with_all_descriptions_of_a_video(tmp_path: Path) -> None:
    files(tmp_path / "videos", "a@N00_1.mp4", "b@N01_2.avi")
    data = open_dataset(didemo(tmp_path))
    assert data.split == "val"
    assert texts(data) == {"a@N00_1.mov": "the dog runs it stops", "b@N01_2.avi": "a man waves"}
    assert relevant(data) == {("a@N00_1.mov", "a@N00_1.mov"), ("b@N01_2.avi", "b@N01_2.avi")}


def test_didemos_chunks_are_five_seconds_and_most_voices_count(tmp_path: Path) -> None:
    files(tmp_path / "videos", "a@N00_1.mp4", "b@N01_2.avi")
    found = {one.id: one for one in open_moments(didemo(tmp_path)).queries}
    assert {name: one.windows for name, one in found.items()} == {
        "7": ((0, 5),),
        "8": ((15, 25), (20, 30)),
        "9": ((10, 15),),
    }
    assert found["8"].text == "it stops"
    assert found["8"].film == "a@N00_1.mov"


def test_windows_of_didemo_that_cant_be_are_told(tmp_path: Path) -> None:
    entries = json.loads(didemo(tmp_path).read_text())
    entries[0]["times"], entries[1]["times"] = [[3, 1]], ["x"]
    files(tmp_path / "videos", "a@N00_1.mp4", "b@N01_2.avi")
    moments = open_moments(written(tmp_path / "val_data.json", entries))
    assert [one.id for one in moments.queries] == ["9"]
    assert told(moments.data) == {"windows that can't be": 2}
    with pytest.raises(UsageError, match="has no `times`"):
        open_dataset(f"didemo:{written(tmp_path / 'x.json', [{'video': '', 'description': ''}])}")
    with pytest.raises(UsageError, match="is an object, not a list"):
        open_dataset(f"didemo:{written(tmp_path / 'x.json', {})}")


# -- sounds ---------------------------------------------------------------------------------------


def test_audiocaps_are_found_whatever_they_are_called(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "test.csv",
        "audiocap_id,youtube_id,start_time,caption",
        '103549,7fmOlUlwoNg,20,"Constant rattling noise, and sharp vibrations"',
        "103548,7fmOlUlwoNg,20,A machine rattles",
        "103541,6BJ455B1aAs,0,A rocket flies by",
        "103533,GOD8Bt5LfDE,100,Humming",
        "103534,---1_cCGK4M,30,Gone",
        "103535,,30,nobody",
    )
    folder = files(tmp_path / "audio", "7fmOlUlwoNg_20.flac", "Y6BJ455B1aAs.wav")
    files(folder, "GOD8Bt5LfDE_100000_110000.ogg")
    data = open_dataset(path)
    assert data.direction == "text to audio"
    assert texts(data)["103549"] == "Constant rattling noise, and sharp vibrations"
    assert relevant(data) == {
        ("103549", "7fmOlUlwoNg_20"),
        ("103548", "7fmOlUlwoNg_20"),
        ("103541", "6BJ455B1aAs_0"),
        ("103533", "GOD8Bt5LfDE_100"),
    }
    assert told(data) == {
        "lines that can't be read": 1,
        "sounds missing": 1,
        "captions without a sound": 1,
    }


def test_clotho_has_several_columns_of_captions(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "clotho_captions_evaluation.csv",
        "file_name,caption_1,caption_2,caption_3",
        'Santa Motor.wav,"A machine whines, and squeals",A person drills,A drill',
        "Radio Garble.wav,A radio,,Voices",
    )
    files(tmp_path / "audio", "Santa Motor.wav", "Radio Garble.wav")
    data = open_dataset(path)
    assert data.direction == "text to audio"
    assert texts(data) == {
        "Santa Motor.wav#0": "A machine whines, and squeals",
        "Santa Motor.wav#1": "A person drills",
        "Santa Motor.wav#2": "A drill",
        "Radio Garble.wav#0": "A radio",
        "Radio Garble.wav#1": "Voices",
    }
    assert data.problems == ()
    assert len(open_dataset(path, DatasetOptions(per_image=1)).queries) == 2


def test_a_class_is_one_question_that_all_of_it_answers(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "sounds.csv",
        "file,category,fold",
        "a.ogg,dog,1",
        "b.ogg,rain,1",
        "c.ogg,dog,2",
        "d.ogg,,2",
    )
    files(tmp_path, "a.ogg", "b.ogg", "c.ogg", "d.ogg")
    data = open_dataset(path)
    assert texts(data) == {"dog": "dog", "rain": "rain"}
    assert relevant(data) == {("dog", "a.ogg"), ("dog", "c.ogg"), ("rain", "b.ogg")}
    assert told(data) == {"empty captions": 1, "sounds without a caption": 1}
    back = turned(data)
    assert (back.direction, len(back.queries), len(back.corpus)) == ("audio to text", 3, 2)


# -- tables ---------------------------------------------------------------------------------------


def test_a_caption_may_have_others_beside_it(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "clips.csv",
        "file,caption,caption_2,width",
        "a.mp4,a dog,an animal,480",
        "b.gif,a cat,,320",
    )
    files(tmp_path, "a.mp4", "b.gif")
    data = open_dataset(path)
    assert data.direction == "text to video"
    assert texts(data) == {"a.mp4#0": "a dog", "a.mp4#1": "an animal", "b.gif#0": "a cat"}
    assert data.queries[1].fields == {"index": 1, "width": "480"}


@pytest.mark.parametrize(
    ("head", "files_", "direction"),
    [
        ("file,caption", ("a.mp4", "b.mkv", "c.jpg"), "text to video"),
        ("file,caption", ("a.wav", "b.mp3"), "text to audio"),
        ("file,caption", ("a.jpg", "b.mp4", "c.png"), "text to image"),
        ("file,caption", ("a.gif", "b.gif"), "text to image"),
        ("video,caption", ("a", "b"), "text to video"),
        ("audio,caption", ("a", "b"), "text to audio"),
        ("path,transcript", ("a.opus",), "text to audio"),
    ],
)
def test_what_files_are_shows(
    tmp_path: Path, head: str, files_: tuple[str, ...], direction: str
) -> None:
    path = lines(tmp_path / "t.csv", head, *(f"{name},text of {name}" for name in files_))
    suffix = "" if "." in files_[0] else {"text to video": ".mp4"}.get(direction, ".wav")
    files(tmp_path, *(name + suffix for name in files_))
    assert open_dataset(path).direction == direction


def test_captions_in_another_language_go_with_videos_too(tmp_path: Path) -> None:
    path = lines(tmp_path / "t.csv", "file,caption", "a.mp4,a dog")
    other = lines(tmp_path / "zh.csv", "file,caption", "a.mp4,\u4e00\u53ea\u72d7")
    files(tmp_path, "a.mp4")
    given = DatasetOptions(captions=(CaptionsFile(other, "zh"),))
    data = open_dataset(path, given)
    assert data.direction == "text to video"
    assert list(texts(data).values()) == ["\u4e00\u53ea\u72d7"]


def test_a_data_set_names_no_video_outside_its_folder(tmp_path: Path) -> None:
    path = lines(tmp_path / "t.csv", "video,caption", "../a.mp4,a dog")
    with pytest.raises(UsageError, match="names a picture outside its folder"):
        open_dataset(path)


@needs_films
def test_the_small_films_and_sounds_are_read_whole() -> None:
    clips = open_dataset(AV / "clips.csv")
    assert (clips.direction, len(clips.queries), len(clips.corpus)) == ("text to video", 110, 55)
    sounds = open_dataset(AV / "sounds.csv")
    assert (sounds.direction, len(sounds.queries), len(sounds.corpus)) == ("text to audio", 50, 200)
    assert {len(found) for found in sounds.qrels.values()} == {4}
    speech = open_dataset(AV / "speech.csv")
    assert (len(speech.queries), len(speech.corpus)) == (152, 152)
    assert clips.problems == sounds.problems == speech.problems == ()
    assert read_content(AV / "clips.csv").modality == "video"
    assert names(clips)[0] == "clips/dog_play.mp4"

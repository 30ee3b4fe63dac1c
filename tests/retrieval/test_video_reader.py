"""Films become shots, windows and speech, stretch by stretch."""

from __future__ import annotations

import gc
import io
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from retrieval import registry
from retrieval.abilities import Timed
from retrieval.errors import BadInputError
from retrieval.films.shots import LONGEST_S
from retrieval.modalities.video import VideoReader
from retrieval.protocols import Limits, ModalityReader
from retrieval.schema import Wants
from retrieval.timed import SPEECH_RATE, STRETCH_S
from tests import media_made
from tests.datasets_here import AV, needs_films
from tests.media_made import Scene
from tests.retrieval.films.reading import (
    ALL,
    PICTURES,
    SOUND,
    SPEECH,
    SRT,
    describe,
    spans,
    stretch,
    stretches,
)

READER = VideoReader(Limits())


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """130 s: ten scenes with sounds between moments of quiet, one of which is near 120 s."""
    tones = [
        media_made.tone(200 + 50 * i, 12.0, rate=16_000) for i in range(10)
    ]  # each fades to nothing at its ends: at 12, 24, ..., 120
    sound = np.concatenate([*tones, media_made.tone(900, 10.0, rate=16_000)])
    sound = np.concatenate([sound[: 117 * 16_000], sound[: 13 * 16_000]])
    sound[int(118.5 * 16_000) : int(119.1 * 16_000)] = 0.0
    colours = [(40 * (i % 6) + 30, 250 - 40 * (i % 5), 30 + 60 * (i % 4)) for i in range(13)]
    scenes = [Scene(10.0, colour, seed) for seed, colour in enumerate(colours)]
    path = tmp_path_factory.mktemp("films") / "long.mkv"
    return media_made.film(path, scenes, sounds=[sound], rate=16_000, fps=5, key_every=20)


def test_it_is_a_reader_and_timed() -> None:
    reader: ModalityReader = READER
    assert isinstance(reader, Timed)
    assert isinstance(registry.open_modality("video", Limits()), VideoReader)


def test_what_a_film_says_of_itself(tmp_path: Path) -> None:
    path = media_made.film(
        tmp_path / "a.mp4",
        [Scene(2.0)],
        sounds=[media_made.tone(seconds=2.0)],
        metadata={
            "title": "The  fox",
            "comment": "A fox in the snow",
            "description": "Encoded by HandBrake 1.6",
            "creation_time": "2019-08-07T14:30:05Z",
        },
    )
    found = describe(path)
    fields = dict(found.fields)
    assert fields.pop("duration_s") == pytest.approx(2.0, abs=0.1)
    assert str(fields.pop("taken")).startswith("2019-08-07T14:30:05")
    assert fields == {
        "has_video": True,
        "has_audio": True,
        "audio_tracks": 1,
        "width": 160,
        "height": 120,
        "fps": 25.0,
        "video_codec": "h264",
        "audio_codec": "aac",
        "title": "The fox",
        "year": 2019,
    }
    assert found.captions == ("The fox", "A fox in the snow")


@pytest.mark.parametrize("note", ["VID_20190807.mp4", "GoPro0042", "https://a.example/b", "..."])
def test_what_machines_write_is_no_caption(tmp_path: Path, note: str) -> None:
    note = "GOPR0042.MP4" if note.startswith("GoPro") else note
    path = media_made.film(tmp_path / "a.mp4", [Scene(0.4)], metadata={"comment": note})
    assert describe(path).captions == ()


def test_scenes_become_shots_with_pictures_for_the_encoder(tmp_path: Path) -> None:
    path = media_made.film(tmp_path / "a.mp4", size=(320, 200))
    found = stretch(path, Wants(pixels=32))
    assert spans(found.drafts, "shot") == [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]
    for draft in found.drafts:
        assert draft.inputs
        for picture in draft.inputs:
            assert picture.dtype == np.uint8
            assert picture.shape == (64, 102, 3)
    assert found.following is None
    assert found.media_s == 3.0


def test_what_no_encoder_takes_is_left_out(tmp_path: Path) -> None:
    path = media_made.film(tmp_path / "a.mp4", sounds=[media_made.tone(seconds=3.0)])
    for wants, kinds in (
        (Wants(), set()),
        (PICTURES, {"shot"}),
        (SOUND, {"window"}),
        (SPEECH, set()),
    ):
        found = stretch(path, wants)
        assert {draft.kind for draft in found.drafts} == kinds
        assert len(found.speech) == (1 if wants.speech else 0)
        assert found.warnings == ()


def test_a_film_without_sound_lacks_nothing(tmp_path: Path) -> None:
    found = stretch(media_made.film(tmp_path / "a.mp4"))
    assert {draft.kind for draft in found.drafts} == {"shot"}
    assert (found.speech, found.warnings, found.following) == ((), (), None)


def test_windows_overlap_by_half_and_silent_ones_are_left_out(tmp_path: Path) -> None:
    sound = np.concatenate(
        [media_made.tone(seconds=12.0), media_made.silence(16.0), media_made.tone(seconds=3.0)]
    )
    path = media_made.film(tmp_path / "a.mkv", [Scene(31.0)], sounds=[sound], fps=5)
    found = stretch(path, SOUND)
    assert spans(found.drafts, "window") == [(0.0, 10.0), (5.0, 15.0), (10.0, 20.0), (20.0, 30.0),
                                             (25.0, 31.0)]  # fmt: skip
    (first, *_, last) = found.drafts
    assert first.inputs[0].rate == 16_000
    assert len(first.inputs[0].samples) == 160_000
    assert len(last.inputs[0].samples) == 96_000


def test_digital_silence_is_neither_heard_nor_said(tmp_path: Path) -> None:
    path = media_made.film(tmp_path / "a.mp4", sounds=[media_made.silence(3.0)])
    found = stretch(path)
    assert {draft.kind for draft in found.drafts} == {"shot"}
    assert (found.speech, found.warnings) == ((), ())


def test_stretches_follow_each_other_without_gap_or_overlap(long_film: Path) -> None:
    first, second = stretches(long_film, ALL)
    assert (first.following, second.following) == (STRETCH_S, None)
    shots = spans(first.drafts, "shot") + spans(second.drafts, "shot")
    assert shots[0][0] == 0.0
    assert shots[-1][1] == 130.0
    assert all(earlier[1] == later[0] for earlier, later in pairwise(shots))
    assert all(end - start <= LONGEST_S + 0.002 for start, end in shots)
    assert {round(start) for start, _ in shots} == set(range(0, 130, 10))
    windows = spans(first.drafts, "window") + spans(second.drafts, "window")
    assert windows == sorted(windows)
    assert max(end for _, end in windows) == pytest.approx(130.0, abs=0.1)
    assert first.media_s + second.media_s == pytest.approx(130.0, abs=0.1)
    assert first.warnings == second.warnings == ()


def test_a_stretch_is_the_same_whoever_reads_it_and_when(long_film: Path) -> None:
    """One reader that goes on, and a fresh one that begins there."""
    with long_film.open("rb") as file:
        reader = VideoReader(Limits())
        reader.stretch(file, ALL, 0.0, {})
        going_on = reader.stretch(file, ALL, STRETCH_S, {})
    fresh = stretch(long_film, ALL, STRETCH_S)
    assert len(fresh.drafts) == len(going_on.drafts) == 2
    for one, other in zip(fresh.drafts, going_on.drafts, strict=True):
        assert (one.kind, one.span) == (other.kind, other.span)
        for mine, theirs in zip(one.inputs, other.inputs, strict=True):
            assert np.array_equal(
                getattr(mine, "samples", mine), getattr(theirs, "samples", theirs)
            )
    assert np.array_equal(fresh.speech[0].samples, going_on.speech[0].samples)


def test_speech_is_cut_where_it_is_quiet_and_nothing_is_lost(long_film: Path) -> None:
    first, second = (found.speech[0] for found in stretches(long_film, SPEECH))
    assert first.start == 0.0
    assert 118.5 < second.start < 119.1
    assert first.samples.dtype == np.int16
    assert first.start + len(first.samples) / SPEECH_RATE == pytest.approx(second.start, abs=1e-4)
    whole = len(first.samples) + len(second.samples)
    assert whole / SPEECH_RATE == pytest.approx(130.0, abs=0.01)


def test_no_frame_is_left_to_the_collector(long_film: Path) -> None:
    """It comes by the number of objects, and a frame may have megabytes."""
    stretch(long_film, PICTURES)  # what is imported leaves cycles of its own
    gc.collect()
    gc.disable()
    try:
        found = stretch(long_film, PICTURES)
        left = gc.collect()
    finally:
        gc.enable()
    assert found.drafts
    assert left < 100  # the film has 600 frames


def test_documents_are_those_of_all_stretches(long_film: Path) -> None:
    with long_film.open("rb") as file:
        whole = list(READER.documents(file, PICTURES))
    parts = [draft for found in stretches(long_film, PICTURES) for draft in found.drafts]
    assert [draft.span for draft in whole] == [draft.span for draft in parts]


def test_subtitles_beside_a_film_are_taken_instead_of_a_transcriber(tmp_path: Path) -> None:
    path = media_made.film(tmp_path / "a.mp4", sounds=[media_made.tone(seconds=3.0)])
    found = stretch(path, SPEECH, beside={"a.srt": SRT})
    assert found.speech == ()
    assert found.script is None
    said = [draft for draft in found.drafts if draft.kind == "speech"]
    assert " ".join(draft.text or "" for draft in said).split() == (
        ["A", "dog", "barks", "The", "fox", "runs", "away"]
    )
    assert said[0].span is not None
    assert said[0].span.start == pytest.approx(0.2)


def test_subtitles_of_which_something_is_left_out_are_told_of(tmp_path: Path) -> None:
    path = media_made.film(tmp_path / "a.mp4", sounds=[media_made.tone(seconds=3.0)])
    turned = b"9\n00:00:02,000 --> 00:00:01,000\nback\n\n"
    found = stretch(path, SPEECH, beside={"a.srt": SRT + turned})
    assert found.warnings == (
        "a.srt: a cue that ends no later than it begins is left out, at 0:02.0",
    )
    assert [draft for draft in found.drafts if draft.kind == "speech"]


def test_a_transcript_without_times_goes_with_the_sound(tmp_path: Path) -> None:
    path = media_made.film(tmp_path / "a.mp4", sounds=[media_made.tone(seconds=3.0)])
    found = stretch(path, SPEECH, beside={"a.txt": b"A dog barks."})
    assert found.script is not None
    assert found.script.strip() == "A dog barks."
    assert len(found.speech) == 1


def test_subtitles_inside_a_film_are_read(tmp_path: Path) -> None:
    path = media_made.film(tmp_path / "a.mkv", sounds=[media_made.tone(seconds=3.0)])
    found = stretch(with_subtitles(tmp_path / "b.mkv", path, SRT), SPEECH)
    assert found.speech == ()
    text = " ".join(draft.text or "" for draft in found.drafts if draft.kind == "speech")
    assert text.split() == ["A", "dog", "barks", "The", "fox", "runs", "away"]


def test_lines_are_those_of_their_stretch(long_film: Path) -> None:
    late = b"1\n00:00:05,000 --> 00:00:06,000\nearly\n\n2\n00:02:03,000 --> 00:02:04,000\nlate\n\n"
    first, second = stretches(long_film, SPEECH, {"a.srt": late})
    assert [draft.text for draft in first.drafts] == ["early"]
    assert [draft.text for draft in second.drafts] == ["late"]


def test_subtitles_are_read_to_the_end_though_nothing_is_decoded(long_film: Path) -> None:
    late = b"1\n00:02:03,000 --> 00:02:04,000\nlate\n\n"
    found = stretches(long_film, Wants(text_tokens=64), {"a.srt": late})
    assert [draft.text for each in found for draft in each.drafts] == ["late"]


def test_a_film_of_sound_alone_is_heard(tmp_path: Path) -> None:
    audio = media_made.recording(tmp_path / "a.m4a", media_made.tone(seconds=3.0))
    found = stretch(audio)
    assert {draft.kind for draft in found.drafts} == {"window"}
    assert found.warnings == ()


def test_key_frames_are_enough_for_a_quick_look(tmp_path: Path) -> None:
    scenes = [Scene(4.0, (200, 40, 40), 1), Scene(4.0, (40, 200, 40), 2)]
    path = media_made.film(tmp_path / "a.mp4", scenes, key_every=50)
    found = stretch(path, Wants(pixels=32, fast=True))
    assert spans(found.drafts, "shot") == [(0.0, 4.0), (4.0, 8.0)]


def test_one_key_frame_stands_for_all_that_follows(tmp_path: Path) -> None:
    path = media_made.film(tmp_path / "a.mp4", [Scene(25.0)], fps=10, key_every=1000)
    found = stretch(path, Wants(pixels=32, fast=True))
    assert spans(found.drafts, "shot")[-1][1] == pytest.approx(25.0, abs=0.1)
    assert found.warnings == ()


def test_a_film_is_no_query(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="can't be a query"):
        READER.query_input(media_made.film(tmp_path / "a.mp4").read_bytes(), ALL)


def test_the_recipe_names_the_detector_and_its_version() -> None:
    recipe = READER.recipe
    assert recipe["scenedetect"] not in ("", "absent")
    assert recipe["stretch_s"] == STRETCH_S


@needs_films
def test_the_hard_cuts_of_a_montage_are_all_found() -> None:
    path = AV / "moments" / "montage_a.mp4"
    starts = [start for start, _ in spans(stretch(path, PICTURES).drafts, "shot")]
    for cut in (6.0, 11.0, 15.0, 23.0, 29.0, 32.0, 37.0, 44.0, 50.0, 56.0):
        assert min(abs(start - cut) for start in starts) < 0.05


def with_subtitles(path: Path, film: Path, srt: bytes) -> Path:
    """A film (.mkv) with a track of subtitles more."""
    with (
        av.open(str(film)) as source,
        av.open(io.BytesIO(srt), format="srt") as written,
        av.open(str(path), "w") as out,
    ):
        tracks = {s.index: out.add_stream_from_template(s) for s in source.streams}
        lines = out.add_stream_from_template(written.streams.subtitles[0])
        packets = [(p, tracks[p.stream.index]) for p in source.demux() if p.dts is not None]
        packets += [(p, lines) for p in written.demux() if p.dts is not None]
        for packet, track in sorted(packets, key=lambda each: each[0].dts * each[0].time_base):
            packet.stream = track
            out.mux(packet)
    return path

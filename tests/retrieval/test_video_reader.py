"""Films become shots, windows and speech, stretch by stretch."""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from retrieval import registry
from retrieval.abilities import Timed
from retrieval.errors import BadInputError, SkipReason
from retrieval.films.shots import LONGEST_S
from retrieval.modalities.video import VideoReader
from retrieval.protocols import Limits, ModalityReader
from retrieval.schema import Description, Draft, Wants
from retrieval.timed import SPEECH_RATE, STRETCH_S, Stretch
from tests import corpus, media_made
from tests.datasets_here import DATA
from tests.media_made import Scene

READER = VideoReader(Limits())
PICTURES = Wants(pixels=32, text_tokens=64)
SOUND = Wants(sample_rate=16_000, window_s=10.0)
SPEECH = Wants(text_tokens=64, speech=True)
ALL = Wants(pixels=32, text_tokens=64, sample_rate=16_000, window_s=10.0, speech=True)
SRT = b"""1
00:00:00,200 --> 00:00:01,000
A dog barks

2
00:00:02,000 --> 00:00:02,800
The fox runs away
"""


def describe(path: Path) -> Description:
    with path.open("rb") as file:
        return VideoReader(Limits()).describe(file)


def stretch(
    path: Path, wants: Wants = ALL, start: float = 0.0, beside: Mapping[str, bytes] | None = None
) -> Stretch:
    """By a fresh reader, as after a restart."""
    with path.open("rb") as file:
        return VideoReader(Limits()).stretch(file, wants, start, beside or {})


def stretches(path: Path, wants: Wants, beside: Mapping[str, bytes] | None = None) -> list[Stretch]:
    found: list[Stretch] = []
    start: float | None = 0.0
    while start is not None:
        found.append(stretch(path, wants, start, beside))
        start = found[-1].following
    return found


def spans(drafts: tuple[Draft, ...], kind: str) -> list[tuple[float, float]]:
    return [(d.span.start, d.span.end) for d in drafts if d.kind == kind and d.span is not None]


def refused(path: Path, wants: Wants = ALL) -> BadInputError:
    with pytest.raises(BadInputError) as caught:
        stretch(path, wants)
    return caught.value


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


def test_a_nonsensical_length_is_left_out(tmp_path: Path) -> None:
    source = media_made.film(tmp_path / "a.mkv", [Scene(1.0)])
    assert "duration_s" not in describe(media_made.lying(tmp_path / "b.mkv", source, 1e9)).fields


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


def test_documents_are_those_of_all_stretches(long_film: Path) -> None:
    with long_film.open("rb") as file:
        whole = list(READER.documents(file, PICTURES))
    parts = [draft for found in stretches(long_film, PICTURES) for draft in found.drafts]
    assert [draft.span for draft in whole] == [draft.span for draft in parts]


def test_a_picture_far_behind_all_others_costs_one_stretch(tmp_path: Path) -> None:
    times = [i / 5 for i in range(10)] + [100_000 + i / 5 for i in range(10)]
    path = media_made.film(tmp_path / "a.mkv", [Scene(5.0)], fps=5, times=times, key_every=5)
    found = stretches(path, PICTURES)
    assert [each.following for each in found] == [99_960.0, None]
    assert spans(found[1].drafts, "shot") == [(100_000.0, 100_002.0)]


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


def test_subtitles_behind_the_end_are_told_of(tmp_path: Path) -> None:
    path = media_made.film(tmp_path / "a.mp4")
    late = SRT + b"\n3\n00:01:40,000 --> 00:01:41,000\nOf another film\n"
    found = stretch(path, PICTURES, beside={"a.srt": late})
    assert "Of another film" not in {draft.text for draft in found.drafts}
    assert found.warnings == ("has subtitles behind its end at 0:03.00: left out (1)",)


def test_subtitles_are_read_to_the_end_though_nothing_is_decoded(long_film: Path) -> None:
    late = b"1\n00:02:03,000 --> 00:02:04,000\nlate\n\n"
    found = stretches(long_film, Wants(text_tokens=64), {"a.srt": late})
    assert [draft.text for each in found for draft in each.drafts] == ["late"]


def test_a_film_that_is_cut_short_keeps_what_is_there(tmp_path: Path) -> None:
    scenes = [Scene(4.0, (200, 40, 40), 1), Scene(4.0, (40, 200, 40), 2)]
    whole = media_made.film(tmp_path / "a.mp4", scenes, options={"movflags": "faststart"})
    found = stretch(media_made.cut_short(tmp_path / "b.mp4", whole, 0.4))
    shots = spans(found.drafts, "shot")
    assert shots
    assert shots[-1][1] < 7.0
    assert any("though its header promises 0:08.00" in warning for warning in found.warnings)
    assert found.following is None


def test_a_film_whose_header_lies_ends_where_its_pictures_end(tmp_path: Path) -> None:
    source = media_made.film(tmp_path / "a.mkv")
    found = stretch(media_made.lying(tmp_path / "b.mkv", source, 5000.0))
    assert spans(found.drafts, "shot")[-1][1] == 3.0
    assert found.following is None
    assert found.warnings == ("ends at 0:03.00, though its header promises 1:23:20.00",)


@pytest.mark.parametrize("wants", [ALL, PICTURES, SOUND])
def test_a_sound_that_outlasts_the_picture_is_no_broken_film(tmp_path: Path, wants: Wants) -> None:
    path = media_made.film(tmp_path / "a.mp4", sounds=[media_made.tone(seconds=9.0)])
    assert stretch(path, wants).warnings == ()
    path = media_made.film(tmp_path / "b.mp4", [Scene(9.0)], sounds=[media_made.tone(seconds=1)])
    assert stretch(path, wants).warnings == () or wants == SOUND


def test_damage_in_the_middle_is_told_and_costs_itself_only(tmp_path: Path) -> None:
    source = media_made.film(tmp_path / "a.mp4", [Scene(3.0, (200, 40, 40), i) for i in range(4)])
    found = stretch(media_made.damaged(tmp_path / "b.mp4", source, 0.4, 2000))
    assert spans(found.drafts, "shot")
    assert any("is damaged at" in warning for warning in found.warnings)


def test_a_film_of_no_frames_is_corrupt(tmp_path: Path) -> None:
    error = refused(media_made.without_frames(tmp_path / "a.mp4"))
    assert error.reason is SkipReason.CORRUPT


def test_what_is_no_film_is_told_by_its_reason(tmp_path: Path) -> None:
    for name, data, reason in (
        ("empty.mp4", b"", SkipReason.EMPTY),
        ("module.ts", b"export const film = 1;\n", SkipReason.UNSUPPORTED),
        ("noise.mp4", np.random.default_rng(0).bytes(9000), SkipReason.CORRUPT),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        assert refused(path).reason is reason
        with pytest.raises(BadInputError) as caught:
            describe(path)
        assert caught.value.reason is reason


def test_a_film_of_sound_alone_is_heard(tmp_path: Path) -> None:
    audio = media_made.recording(tmp_path / "a.m4a", media_made.tone(seconds=3.0))
    found = stretch(audio)
    assert {draft.kind for draft in found.drafts} == {"window"}
    assert found.warnings == ()


def test_a_film_that_is_dark_from_end_to_end_has_one_shot(tmp_path: Path) -> None:
    dark = black_after(tmp_path / "a.mp4", Scene(0.0))
    assert len(spans(stretch(dark, PICTURES).drafts, "shot")) == 1
    partly = black_after(tmp_path / "b.mp4", Scene(4.0))
    assert spans(stretch(partly, PICTURES).drafts, "shot") == [(0.0, 4.0)]


def test_key_frames_are_enough_for_a_quick_look(tmp_path: Path) -> None:
    scenes = [Scene(4.0, (200, 40, 40), 1), Scene(4.0, (40, 200, 40), 2)]
    path = media_made.film(tmp_path / "a.mp4", scenes, key_every=50)
    found = stretch(path, Wants(pixels=32, fast=True))
    assert spans(found.drafts, "shot") == [(0.0, 4.0), (4.0, 8.0)]


def test_a_film_is_no_query(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="can't be a query"):
        READER.query_input(media_made.film(tmp_path / "a.mp4").read_bytes(), ALL)


def test_the_recipe_names_the_detector_and_its_version() -> None:
    recipe = READER.recipe
    assert recipe["scenedetect"] not in ("", "absent")
    assert recipe["stretch_s"] == STRETCH_S


def test_the_hard_cuts_of_a_montage_are_all_found() -> None:
    path = DATA / "av" / "moments" / "montage_a.mp4"
    if not path.is_file():
        pytest.skip("no films in ../shared/data")
    starts = [start for start, _ in spans(stretch(path, PICTURES).drafts, "shot")]
    for cut in (6.0, 11.0, 15.0, 23.0, 29.0, 32.0, 37.0, 44.0, 50.0, 56.0):
        assert min(abs(start - cut) for start in starts) < 0.05


def black_after(path: Path, scene: Scene, seconds: float = 25.0, fps: int = 5) -> Path:
    """A film of a scene and then nothing."""
    pictures = [np.array(corpus.pattern(scene.colour or corpus.RED, media_made.SIZE))] * round(
        scene.seconds * fps
    )
    pictures += [np.zeros((120, 160, 3), np.uint8)] * round(seconds * fps)
    with av.open(str(path), "w") as out:
        track = out.add_stream("libx264", rate=fps)
        track.width, track.height, track.pix_fmt = *media_made.SIZE, "yuv420p"
        for picture in pictures:
            out.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(track.encode(None))
    return path


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

"""Films that are broken, lie or are odd: what can be had of them is, and the rest is told."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from retrieval.errors import BadInputError, SkipReason
from retrieval.schema import Wants
from tests import corpus, media_made
from tests.datasets_here import AV, needs_films
from tests.media_made import Scene
from tests.retrieval.films.reading import (
    ALL,
    PICTURES,
    SOUND,
    SRT,
    describe,
    spans,
    stretch,
    stretches,
)


def test_a_nonsensical_length_is_left_out(tmp_path: Path) -> None:
    source = media_made.film(tmp_path / "a.mkv", [Scene(1.0)])
    assert "duration_s" not in describe(media_made.lying(tmp_path / "b.mkv", source, 1e9)).fields


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
        ("page.mp4", b"<!doctype html><p>404 Not found\n", SkipReason.CORRUPT),
        ("noise.mp4", np.random.default_rng(0).bytes(9000), SkipReason.CORRUPT),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        assert refused(path).reason is reason
        with pytest.raises(BadInputError) as caught:
            describe(path)
        assert caught.value.reason is reason


def test_a_film_that_is_dark_from_end_to_end_has_one_shot(tmp_path: Path) -> None:
    dark = black_after(tmp_path / "a.mp4", Scene(0.0))
    assert len(spans(stretch(dark, PICTURES).drafts, "shot")) == 1
    partly = black_after(tmp_path / "b.mp4", Scene(4.0))
    assert spans(stretch(partly, PICTURES).drafts, "shot") == [(0.0, 4.0)]


def test_a_picture_far_behind_all_others_costs_one_stretch(tmp_path: Path) -> None:
    times = [i / 5 for i in range(10)] + [100_000 + i / 5 for i in range(10)]
    path = media_made.film(tmp_path / "a.mkv", [Scene(5.0)], fps=5, times=times, key_every=5)
    found = stretches(path, PICTURES)
    assert [each.following for each in found] == [99_960.0, None]
    assert spans(found[1].drafts, "shot") == [(100_000.0, 100_002.0)]


def test_subtitles_behind_the_end_are_told_of(tmp_path: Path) -> None:
    path = media_made.film(tmp_path / "a.mp4")
    late = SRT + b"\n3\n00:01:40,000 --> 00:01:41,000\nOf another film\n"
    found = stretch(path, PICTURES, beside={"a.srt": late})
    assert "Of another film" not in {draft.text for draft in found.drafts}
    assert found.warnings == ("has subtitles behind its end at 0:03.00: left out (1)",)


@needs_films
def test_every_clip_has_shots_and_nothing_odd() -> None:
    for path in sorted((AV / "clips").iterdir()):
        if path.suffix == ".gif":
            continue
        found = stretch(path, PICTURES)
        alone = "audio_only" in path.name
        assert bool(spans(found.drafts, "shot")) is not alone, path.name
        assert found.warnings == (), path.name


@needs_films
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("corrupted.mp4", "is damaged at"),
        ("no_duration.webm", None),
        ("truncated.mp4", "ends at 0:03.20, though its header promises 0:10.00"),
        ("unordered.mov", None),
    ],
)
def test_what_can_be_had_of_a_broken_film_is(name: str, said: str | None) -> None:
    found = stretch(AV / "robustness" / name, ALL)
    assert spans(found.drafts, "shot")
    assert found.following is None
    if said is None:
        assert found.warnings == ()
    else:
        assert any(said in warning for warning in found.warnings)


def refused(path: Path, wants: Wants = ALL) -> BadInputError:
    with pytest.raises(BadInputError) as caught:
        stretch(path, wants)
    return caught.value


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

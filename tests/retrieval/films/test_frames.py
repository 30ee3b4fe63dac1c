"""The pictures of films: which come, when, and how they lie."""

from __future__ import annotations

import io
import math
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retrieval.errors import BadInputError, SkipReason
from retrieval.films.frames import frames
from retrieval.films.nouns import Broken, Frame
from retrieval.films.sound import sound
from tests import media_made as made
from tests.corpus import pattern
from tests.media_made import Scene, number_of

SIZE = 120
VARYING = [0.0, 0.1, 0.15, 0.3, 1.0, 1.04, 1.9, 2.5, 2.9]


def shown(path: Path, **options: object) -> list[Frame]:
    with path.open("rb") as file:
        return list(frames(file, size=SIZE, **options))  # type: ignore[arg-type]


def numbers(found: list[Frame]) -> list[int]:
    return [number_of(frame.picture) for frame in found]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".ts"])
def test_every_frame_comes_once_with_its_time(tmp_path: Path, suffix: str) -> None:
    found = shown(made.film(tmp_path / f"film{suffix}"))
    assert numbers(found) == list(range(75))
    assert [f.time_s for f in found] == pytest.approx([i / 25 for i in range(75)], abs=0.001)
    assert found[0].picture.shape == (120, 160, 3)
    assert found[0].picture.dtype == np.uint8


def test_a_varying_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    found = shown(made.film(tmp_path / "film.mp4", times=VARYING))
    assert [f.time_s for f in found] == pytest.approx(VARYING, abs=1e-4)
    assert numbers(found) == list(range(len(VARYING)))


@pytest.mark.parametrize("suffix", [".ts", ".mkv"])
def test_first_timestamps_that_are_not_0_are_shifted(tmp_path: Path, suffix: str) -> None:
    path = made.film(tmp_path / f"film{suffix}", shift=7.0)
    assert [f.time_s for f in shown(path)[:2]] == pytest.approx([0.0, 0.04], abs=0.001)
    later = shown(path, start=1.5)
    assert later[0].time_s == pytest.approx(1.52, abs=0.021)
    assert number_of(later[0].picture) in (37, 38)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_films_of_phones_are_turned_upright(tmp_path: Path, rotation: int) -> None:
    (found, *_) = shown(made.film(tmp_path / "film.mp4", [Scene(0.1)], rotation=rotation))
    stored = np.array(made.numbered(pattern(size=made.SIZE), 0))
    expected = np.rot90(stored, -rotation // 90)
    assert found.picture.shape == expected.shape
    assert np.abs(found.picture.astype(int) - expected).mean() < 4


def test_a_mirrored_film_is_mirrored_back(tmp_path: Path) -> None:
    (found, *_) = shown(made.film(tmp_path / "film.mp4", [Scene(0.1)], mirrored=True))
    expected = np.array(made.numbered(pattern(size=made.SIZE), 0))[:, ::-1]
    assert np.abs(found.picture.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuvj420p"])
def test_colours_come_out_as_they_went_in(tmp_path: Path, pix_fmt: str) -> None:
    path = made.film(tmp_path / "film.mp4", [Scene(0.1, (200, 40, 40))], pix_fmt=pix_fmt)
    (found, *_) = shown(path)
    ground, corner = found.picture[-5, 80].tolist(), found.picture[5, 5].tolist()
    assert ground == pytest.approx([200, 40, 40], abs=6)
    assert corner == pytest.approx([0, 255, 0], abs=6)


def test_the_white_of_hdr_is_white_and_its_grey_is_grey(tmp_path: Path) -> None:
    path = made.hdr(tmp_path / "film.mp4", levels=(0.0, 0.1, 0.58, 1.0))
    (found, *_) = shown(path)
    black, grey, paper, light = (found.picture[60, x].astype(int) for x in (20, 60, 100, 140))
    assert black.max() < 10
    assert grey.max() < 60
    assert paper.min() > 200
    assert light.min() >= paper.min()
    assert np.ptp(paper) < 8


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    (found, *_) = shown(made.film(tmp_path / "film.mp4", [Scene(0.1)], aspect=2))
    assert found.picture.shape == (120, 320, 3)


def test_pictures_are_reduced_never_enlarged(tmp_path: Path) -> None:
    path = made.film(tmp_path / "film.mp4", [Scene(0.1)])
    with path.open("rb") as file:
        assert next(frames(file, size=60)).picture.shape == (60, 80, 3)
        assert next(frames(file, size=500)).picture.shape == (120, 160, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_fast_is_key_frames_only(tmp_path: Path, suffix: str) -> None:
    path = made.film(tmp_path / f"film{suffix}", key_every=25)
    found = shown(path, fast=True)
    assert numbers(found) == [0, 25, 50]
    assert numbers(shown(path, fast=True, start=0.5)) == [25, 50]
    whole = {f.time_s: number_of(f.picture) for f in shown(path)}
    assert all(whole[f.time_s] == number_of(f.picture) for f in found)


@cache
def _whole(name: str) -> tuple[Path, list[Frame]]:
    folder = Path(mkdtemp())
    options: dict[str, dict[str, object]] = {
        "steady.mp4": {"key_every": 20},
        "varying.mp4": {"times": VARYING, "key_every": 3},
        "b_frames.mkv": {"key_every": 30, "preset": "medium"},
        "late.ts": {"shift": 3.0, "key_every": 20},
        "vp9.webm": {"key_every": 30},
        "old.avi": {"key_every": 10},
    }
    path = made.film(folder / name, **options[name])  # type: ignore[arg-type]
    return path, shown(path)


@settings(max_examples=60)
@given(
    name=st.sampled_from(
        ["steady.mp4", "varying.mp4", "b_frames.mkv", "late.ts", "vp9.webm", "old.avi"]
    ),
    start=st.floats(0, 3.5),
    length=st.floats(0, 2) | st.just(math.inf),
)
def test_a_part_is_what_the_whole_has_there(name: str, start: float, length: float) -> None:
    path, whole = _whole(name)
    part = shown(path, start=start, end=start + length)
    expected = [frame for frame in whole if start <= frame.time_s < start + length]
    assert [f.time_s for f in part] == [f.time_s for f in expected]
    for found, known in zip(part, expected, strict=True):
        assert np.array_equal(found.picture, known.picture)


def test_a_stream_without_timestamps_is_counted(tmp_path: Path) -> None:
    path = made.bare(tmp_path / "bare.h264", made.film(tmp_path / "film.mp4"))
    found = shown(path)
    assert numbers(found) == list(range(75))
    assert [f.time_s for f in found] == pytest.approx([i / 25 for i in range(75)])
    assert numbers(shown(path, start=1.6)) == list(range(40, 75))


def test_a_film_that_changes_its_size_keeps_one_shape(tmp_path: Path) -> None:
    wide = made.film(tmp_path / "wide.ts", [Scene(1.0)])
    high = made.film(tmp_path / "high.ts", [Scene(1.0)], shift=1.0, size=(120, 240))
    path = tmp_path / "both.ts"
    path.write_bytes(wide.read_bytes() + high.read_bytes())
    found = shown(path)
    assert len(found) >= 49
    assert {frame.picture.shape for frame in found} == {(120, 160, 3)}
    (later, *_) = shown(path, start=1.5)
    assert later.picture.shape == (120, 160, 3)


def test_times_that_begin_anew_are_told_of(tmp_path: Path) -> None:
    one = made.film(tmp_path / "one.ts", sounds=[made.tone(440, 3.0)]).read_bytes()
    path = tmp_path / "two.ts"
    path.write_bytes(one + one)
    broken: list[Broken] = []
    found = shown(path, broken=broken)
    assert len(found) == 75
    assert [str(trouble) for trouble in broken][:1] == [
        "begins anew at 0:02.98; what comes after is left out as far as that"
    ]
    broken.clear()
    with path.open("rb") as file:
        assert len(sound(file, rate=16_000, broken=broken)) / 16_000 == pytest.approx(3, abs=0.1)
    assert str(broken[0]).startswith("begins anew at 0:03.0")


def test_damage_that_goes_on_is_told_of_once(tmp_path: Path) -> None:
    film = made.film(tmp_path / "film.ts", [Scene(8.0)], key_every=250)
    path = made.damaged(tmp_path / "damaged.ts", film, at=0.2, length=film.stat().st_size // 2)
    broken: list[Broken] = []
    shown(path, broken=broken)
    assert 1 <= len(broken) <= 3


def test_what_is_cut_short_keeps_what_is_there(tmp_path: Path) -> None:
    whole = made.film(tmp_path / "whole.mp4", options={"movflags": "faststart"})
    broken: list[Broken] = []
    found = shown(made.cut_short(tmp_path / "short.mp4", whole), broken=broken)
    assert 0 < len(found) < 75
    assert numbers(found) == list(range(len(found)))
    assert "though its header promises 0:03.00" in str(broken[-1])
    assert broken[-1].time_s == pytest.approx(found[-1].time_s, abs=0.1)


def test_damage_in_the_middle_costs_the_middle(tmp_path: Path) -> None:
    whole = made.film(tmp_path / "whole.mp4", key_every=10, options={"movflags": "faststart"})
    broken: list[Broken] = []
    found = shown(made.damaged(tmp_path / "damaged.mp4", whole), broken=broken)
    assert numbers(found)[:20] == list(range(20))
    assert numbers(found)[-1] == 74
    assert str(broken[0]).startswith("is damaged at 0:0")
    later: list[Broken] = []
    assert shown(tmp_path / "damaged.mp4", start=2.9, broken=later)
    assert later == []  # damage before the start is not told of


def test_a_film_without_damage_tells_of_none(tmp_path: Path) -> None:
    broken: list[Broken] = []
    shown(made.film(tmp_path / "film.mkv"), broken=broken)
    assert broken == []


def test_a_duration_that_lies_is_not_believed(tmp_path: Path) -> None:
    film = made.film(tmp_path / "film.mkv")
    broken: list[Broken] = []
    assert len(shown(made.lying(tmp_path / "long.mkv", film, 4000), broken=broken)) == 75
    assert str(broken[0]) == "ends at 0:03.00, though its header promises 1:06:40.00"
    assert len(shown(made.lying(tmp_path / "short.mkv", film, 0.5))) == 75


def test_no_pictures_no_frames(tmp_path: Path) -> None:
    assert shown(made.recording(tmp_path / "sound.wav", made.tone())) == []
    assert shown(made.with_cover(tmp_path / "covered.mp3", made.tone())) == []
    assert shown(made.with_cover(tmp_path / "covered.m4a", made.tone())) == []
    assert shown(made.without_frames(tmp_path / "none.mp4")) == []


def test_beyond_the_end_there_is_nothing(tmp_path: Path) -> None:
    path = made.film(tmp_path / "film.mp4")
    assert shown(path, start=100.0) == []
    assert shown(path, start=2.0, end=2.0) == []


def _png() -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(held, "PNG")
    return held.getvalue()


def test_what_is_no_film_is_told_as_what_it_is(tmp_path: Path) -> None:
    for content, reason, words in (
        (b"", SkipReason.EMPTY, "is empty"),
        (b"Nothing moves here.\n" * 9, SkipReason.CORRUPT, "is text, not a film or a recording"),
        (bytes(range(256)) * 40, SkipReason.CORRUPT, "is not a film or a recording"),
        (_png(), SkipReason.CORRUPT, "is not a film or a recording"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\nhttp://a/b.ts\n", SkipReason.CORRUPT, "is text"),
    ):
        path = tmp_path / "film.mp4"
        path.write_bytes(content)
        with pytest.raises(BadInputError, match=words) as caught:
            shown(path)
        assert caught.value.reason is reason


def test_too_many_pixels_are_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made.film(tmp_path / "film.mp4", [Scene(0.1)])
    monkeypatch.setattr("retrieval.films.containers.PIXELS", 160 * 120 - 1)
    with pytest.raises(BadInputError, match=r"160 x 120") as caught:
        shown(path)
    assert caught.value.reason is SkipReason.TOO_LARGE


def test_an_iterator_that_is_left_lets_go_of_the_file(tmp_path: Path) -> None:
    path = made.film(tmp_path / "film.mp4")
    with path.open("rb") as file:
        iterator = frames(file, size=SIZE)
        next(iterator)
        iterator.close()  # type: ignore[attr-defined]
        assert len(list(frames(file, size=SIZE))) == 75

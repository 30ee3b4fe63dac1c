"""Pictures that move, and films behind photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import BadInputError, SkipReason
from retrieval.films.frames import frames
from retrieval.films.moving import film_within, is_moving
from retrieval.films.nouns import Broken, Frame
from tests import corpus
from tests import media_made as made
from tests.media_made import SCENES, Scene

SUFFIXES = (".gif", ".png", ".webp")


def shown(path: Path, size: int = 120, **options: object) -> list[Frame]:
    with path.open("rb") as file:
        return list(frames(file, size=size, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_come_with_their_own_times(tmp_path: Path, suffix: str) -> None:
    found = shown(made.moving(tmp_path / f"m{suffix}", durations=(0.5, 0.2, 0.3)))
    assert [f.time_s for f in found] == pytest.approx([0.0, 0.5, 0.7])
    for frame, scene in zip(found, SCENES, strict=True):
        assert scene.colour is not None
        assert frame.picture[-5, 80].tolist() == pytest.approx(scene.colour, abs=12)
    assert [f.time_s for f in shown(tmp_path / f"m{suffix}", start=0.1, end=0.7)] == [0.5]


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_no_duration_is_what_browsers_make_of_it(tmp_path: Path, suffix: str) -> None:
    found = shown(made.moving(tmp_path / f"m{suffix}", durations=(0, 0.01, 0.3)))
    assert [f.time_s for f in found] == pytest.approx([0.0, 0.1, 0.2])


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    found = shown(made.moving(tmp_path / "m.png", see_through=True))
    assert all(f.picture[0, 0].tolist() == [255, 255, 255] for f in found)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_still_picture_does_not_move(tmp_path: Path, suffix: str) -> None:
    with corpus.picture(tmp_path / f"still{suffix}").open("rb") as file:
        assert not is_moving(file)
    with made.moving(tmp_path / f"m{suffix}").open("rb") as file:
        assert is_moving(file)


def test_other_files_do_not_move(tmp_path: Path) -> None:
    for path in (
        corpus.picture(tmp_path / "a.jpg"),
        made.film(tmp_path / "a.mp4"),
        corpus.empty(tmp_path / "empty.gif"),
    ):
        with path.open("rb") as file:
            assert not is_moving(file)


def test_what_is_cut_short_keeps_what_is_there(tmp_path: Path) -> None:
    scenes = [Scene(0.5, (20 * i, 100, 90), i) for i in range(10)]
    whole = made.moving(tmp_path / "whole.gif", scenes)
    broken: list[Broken] = []
    found = shown(made.cut_short(tmp_path / "short.gif", whole, 0.55), broken=broken)
    assert 3 <= len(found) <= 6
    assert np.array_equal(found[2].picture, shown(whole)[2].picture)


def test_too_many_pixels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made.moving(tmp_path / "m.gif")
    monkeypatch.setattr("retrieval.films.moving.PIXELS", 160 * 120 - 1)
    with pytest.raises(BadInputError, match="160 x 120") as caught:
        shown(path)
    assert caught.value.reason is SkipReason.TOO_LARGE


@pytest.mark.parametrize(
    ("photo", "samsung"), [("a.jpg", False), ("a.jpg", True), ("a.heic", False)]
)
def test_the_film_behind_a_photo_is_found(tmp_path: Path, photo: str, samsung: bool) -> None:
    film = made.film(tmp_path / "film.mp4", sounds=[made.tone()])
    still = corpus.picture(tmp_path / photo, size=(640, 480))
    path = made.motion_photo(tmp_path / f"motion{photo}", still, film, samsung=samsung)
    with path.open("rb") as file:
        within = film_within(file)
        assert within is not None
        assert within.read() == film.read_bytes()
        assert [f.time_s for f in frames(within, size=60)] == [f.time_s for f in shown(film, 60)]


def test_the_film_in_a_box_of_a_heic_is_found(tmp_path: Path) -> None:
    film = made.film(tmp_path / "film.mp4").read_bytes()
    still = corpus.picture(tmp_path / "a.heic", size=(640, 480)).read_bytes()
    box = (len(film) + 8).to_bytes(4, "big") + b"mpvd" + film
    path = tmp_path / "b.heic"
    path.write_bytes(still + box + b"\0\0\0\x10sefd12345678")
    with path.open("rb") as file:
        within = film_within(file)
        assert within is not None
        assert within.read() == film


def test_a_photo_alone_has_no_film(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.heic", "a.png"):
        with corpus.picture(tmp_path / name, size=(640, 480)).open("rb") as file:
            assert film_within(file) is None


def test_the_letters_ftyp_alone_are_no_film(tmp_path: Path) -> None:
    photo = corpus.picture(tmp_path / "a.jpg").read_bytes()
    for tail in (b"\0\0\0\x18ftypmp42", b"\0\0\0\x10ftypisom\0\0\0\0" + b"\xff" * 99, b"ftyp"):
        path = tmp_path / "b.jpg"
        path.write_bytes(photo + tail)
        with path.open("rb") as file:
            assert film_within(file) is None

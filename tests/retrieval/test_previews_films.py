"""Films and recordings on a contact sheet: frames of their moments, the sound around them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retrieval.previews import Band, Still, Strip, Tile, Wave, contact_sheet
from retrieval.previews.strips import draw_band
from tests import corpus, media_made
from tests.media_made import Scene

WIDTH, TOP = 1360, 31  # of a band without a line; where its first strip begins
RED, GREEN, BLUE = (220, 30, 30), (30, 170, 50), (40, 60, 220)
SCENES = (Scene(1.0, RED), Scene(1.0, GREEN), Scene(1.0, BLUE))
ACCENT = (0xD1, 0x57, 0x1F)
Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def _strip(start: float, end: float, *times: float, text: str = "") -> Strip:
    stills = tuple(Still(time_s, f"{time_s}") for time_s in times)
    return Strip(start, end, "0:00", "2.31", "shot 0.31", text, stills)


def _band(path: Path, *strips: Strip, length_s: float | None = None) -> Band:
    return Band(_opener(path), path.name, "2.31", strips, length_s)


def _drawn(band: Band) -> Pixels:
    return np.asarray(draw_band(band, WIDTH, 1))


def _colour_at(drawn: Pixels, x: int, y: int) -> tuple[int, ...]:
    """The middle colour of a few pixels around a place."""
    return tuple(np.median(drawn[y - 8 : y + 8, x - 8 : x + 8].reshape(-1, 3), axis=0).astype(int))


def _nearest(colour: tuple[int, ...]) -> tuple[int, ...]:
    return min((RED, GREEN, BLUE), key=lambda known: sum(abs(np.subtract(known, colour))))


def test_frames_stand_in_the_order_of_their_times(tmp_path: Path) -> None:
    film = media_made.film(tmp_path / "a.mp4", SCENES, size=(200, 150))

    drawn = _drawn(_band(film, _strip(0, 3, 0.4, 1.6, 2.8)))

    stills = [drawn[TOP : TOP + 150, 208 * index : 208 * index + 200] for index in range(4)]
    assert [media_made.number_of(still) for still in stills[:3]] == [10, 40, 70]
    assert (stills[3] == 255).all()


def test_a_kept_thumbnail_is_shown_without_the_film(tmp_path: Path) -> None:
    jpeg = io.BytesIO()
    Image.new("RGB", (320, 240), RED).save(jpeg, "JPEG")
    stills = (Still(0.5, "0:00.5", jpeg.getvalue()), Still(1.5, "0:01.5"))
    strip = Strip(0, 2, "0:00", stills=stills)

    drawn = _drawn(_band(tmp_path / "gone.mp4", strip))

    assert _nearest(_colour_at(drawn, 100, TOP + 75)) == RED


def test_a_damaged_thumbnail_is_decoded_again(tmp_path: Path) -> None:
    film = media_made.film(tmp_path / "a.mp4", SCENES, size=(200, 150))

    drawn = _drawn(_band(film, Strip(0, 3, "0:00", stills=(Still(1.5, "0:01.5", b"junk"),))))

    assert _nearest(_colour_at(drawn, 20, TOP + 20)) == GREEN


def test_a_frame_that_is_shown_for_long_is_found_by_any_time_in_it(tmp_path: Path) -> None:
    slow = media_made.film(tmp_path / "a.mp4", SCENES, fps=1)

    drawn = _drawn(_band(slow, _strip(1.0, 2.0, 1.7)))

    assert _nearest(_colour_at(drawn, 100, TOP + 20)) == GREEN


def test_a_film_is_upright(tmp_path: Path) -> None:
    film = media_made.film(tmp_path / "a.mp4", SCENES, size=(320, 180))
    turned = media_made.film(tmp_path / "b.mp4", SCENES, size=(320, 180), rotation=90)

    lying, standing = (_drawn(_band(path, _strip(0, 1, 0.5))) for path in (film, turned))

    assert lying.shape[0] < standing.shape[0]
    assert _nearest(_colour_at(standing, 100, TOP + 20)) == RED
    assert _colour_at(standing, 20, 100) == (0xF1, 0xF1, 0xEE)  # beside the upright picture


def test_the_line_shows_where_in_the_film_moments_are(tmp_path: Path) -> None:
    film = media_made.film(tmp_path / "a.mp4", SCENES)
    band = _band(film, _strip(1, 2, 1.5), _strip(2.5, 3, 2.6), length_s=4)

    line = _drawn(band)[:40]
    columns = np.nonzero((line == ACCENT).all(axis=2))[1]

    assert columns.min() == pytest.approx(WIDTH / 4, abs=4)
    assert columns.max() == pytest.approx(WIDTH / 2, abs=4)


def test_a_recording_shows_where_it_is_loud_and_where_the_moment_is(tmp_path: Path) -> None:
    samples = np.concatenate([media_made.silence(2), media_made.tone(seconds=1)])
    path = media_made.recording(tmp_path / "a.wav", samples)
    wave = Wave(0, 4, (2, 3), ((2, "0:02.0"), (3, "0:03.0")))

    drawn = _drawn(Band(_opener(path), "a.wav", "", (Strip(2, 3, "0:02", wave=wave),)))

    bars = (drawn[:, :1032] == ACCENT).all(axis=2)
    loud = np.nonzero(bars.sum(axis=0) > 40)[0]
    assert loud.min() == pytest.approx(1032 / 2, abs=12)
    assert loud.max() == pytest.approx(1032 * 3 / 4, abs=12)
    assert not bars[:, : 1032 // 2 - 12].any()


@pytest.mark.parametrize("silent", [0.0, 1e-6])
def test_silence_is_a_line(silent: float, tmp_path: Path) -> None:
    path = media_made.recording(tmp_path / "a.wav", media_made.silence(1) + np.float32(silent))
    wave = Wave(0, 1, (0, 1))

    drawn = _drawn(Band(_opener(path), "a.wav", "", (Strip(0, 1, "0:00", wave=wave),)))

    assert (drawn == ACCENT).all(axis=2).sum(axis=0).max() <= 4


@pytest.mark.parametrize("of_sound", [True, False])
def test_broken_films_become_labelled_bands(of_sound: bool, tmp_path: Path) -> None:
    lie, empty = corpus.text_named(tmp_path / "a.mp4"), corpus.empty(tmp_path / "b.mp4")
    blank = Wave(0, 1, (0, 1)) if of_sound else None
    strips = (Strip(0, 1, "0:00", stills=() if of_sound else (Still(0.5, "0.5"),), wave=blank),)

    drawn = [
        _drawn(Band(_opener(path), "film", "", strips))
        for path in (lie, empty, tmp_path / "gone.mp4")
    ]

    assert len({picture.tobytes() for picture in drawn}) == 3  # each says what is wrong
    assert len({picture.shape for picture in drawn}) == 1
    for picture in drawn:
        assert _colour_at(picture, 900, 100) == (0xD9, 0xD9, 0xD6)


def test_a_film_without_a_picture_at_a_time_says_so(tmp_path: Path) -> None:
    film = media_made.film(tmp_path / "a.mp4", SCENES)
    assert _colour_at(_drawn(_band(film, _strip(50, 60, 55))), 900, 100) == (0xD9, 0xD9, 0xD6)


def test_tiles_and_bands_stand_in_the_order_of_the_hits(tmp_path: Path) -> None:
    photo = corpus.save_as(tmp_path / "a.png", Image.new("RGB", (200, 200), BLUE))
    film = media_made.film(tmp_path / "a.mp4", (Scene(1.0, RED),))
    text = Tile(None, "a.txt", "0.2", "words")
    hits: list[Tile | Band] = [
        Tile(_opener(photo), "a.png", "0.9"),
        _band(film, _strip(0, 1, 0.5)),
        text,
        text,
    ]

    sheet = np.asarray(contact_sheet(hits, heading="blue, then red"))

    rows = {}
    for name, colour in (("photo", BLUE), ("film", RED)):
        near = np.abs(sheet[:, 100:200].astype(int) - colour).sum(axis=2) < 60
        rows[name] = np.nonzero(near.sum(axis=1) > 40)[0]
    assert rows["photo"].max() < rows["film"].min()
    assert sheet.shape[1] == WIDTH + 2 * 28
    assert sheet.shape[0] > rows["film"].max() + 256  # texts, in one row of their own


@settings(max_examples=30)
@given(st.text(max_size=200), st.text(max_size=40), st.floats(0, 1e6))
def test_any_words_and_times_can_be_drawn(text: str, title: str, length_s: float) -> None:
    strips = (
        Strip(0, length_s, title, title, title, text, (Still(length_s, title),)),
        Strip(0, 1, title, title, text, text, wave=Wave(0, length_s, (0, 1), ((0, title),))),
    )
    band = Band(lambda: io.BytesIO(text.encode()), title, text, strips, length_s)

    assert contact_sheet([band], heading=text).mode == "RGB"

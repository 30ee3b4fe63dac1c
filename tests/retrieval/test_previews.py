"""Contact sheets: everything has its place, and nothing that is shown can break the page."""

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

from retrieval.previews import Tile, contact_sheet
from tests import corpus


def opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def of_colour(path: Path, colour: corpus.Colour) -> Callable[[], BinaryIO]:
    return opener(corpus.save_as(path, Image.new("RGB", (200, 100), colour)))


def test_pictures_stand_in_rows_in_their_order(tmp_path: Path) -> None:
    colours: list[corpus.Colour] = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    tiles = [
        Tile(of_colour(tmp_path / f"{index}.png", colour), f"{index}.png", "0.5")
        for index, colour in enumerate(colours)
    ]
    sheet = np.asarray(contact_sheet(tiles, heading="colours", columns=2, tile_px=100))
    centres = [np.argwhere((sheet == colour).all(axis=2)).mean(axis=0) for colour in colours]
    assert centres[0][0] == pytest.approx(centres[1][0])  # first row: red, green
    assert centres[0][1] < centres[1][1]
    assert centres[2][0] > centres[0][0]  # second row: blue, under red
    assert centres[2][1] == pytest.approx(centres[0][1])


def test_a_picture_is_fitted_not_cropped(tmp_path: Path) -> None:
    red = of_colour(tmp_path / "a.png", (255, 0, 0))
    sheet = np.asarray(contact_sheet([Tile(red, "a", "b")], tile_px=100))
    rows, columns = np.nonzero((sheet == (255, 0, 0)).all(axis=2))
    assert (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1) == (50, 100)


def test_heading_title_subtitle_and_text_leave_ink() -> None:
    plain = contact_sheet([Tile(None, "", "")], tile_px=120)
    for tile in (Tile(None, "title", ""), Tile(None, "", "0.5"), Tile(None, "", "", "a text")):
        assert contact_sheet([tile], tile_px=120).tobytes() != plain.tobytes()
    assert contact_sheet([Tile(None, "", "")], heading="q", tile_px=120).height > plain.height


def test_a_badge_is_the_rank_unless_it_is_given() -> None:
    rank, same, other, none = (
        contact_sheet([Tile(None, "", "", badge=badge)], tile_px=120).tobytes()
        for badge in (None, "1", "query", "")
    )
    assert rank == same
    assert len({rank, other, none}) == 3


def test_broken_pictures_become_labelled_tiles(tmp_path: Path) -> None:
    tiles = [
        Tile(opener(corpus.text_named(tmp_path / "a.jpg")), "a.jpg", ""),
        Tile(opener(corpus.truncated(tmp_path / "b.jpg")), "b.jpg", ""),
        Tile(opener(tmp_path / "gone.jpg"), "gone.jpg", ""),
    ]
    for tile in tiles:
        blank = contact_sheet([Tile(None, tile.title, "", " ")], tile_px=128)
        drawn = contact_sheet([tile], tile_px=128)
        assert drawn.size == blank.size
        assert drawn.tobytes() != blank.tobytes()


def test_no_hits_still_give_a_page(tmp_path: Path) -> None:
    contact_sheet([], heading="a dragon").save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as page:
        assert page.format == "PNG"


@pytest.mark.parametrize(("columns", "tile_px"), [(0, 256), (5, 8)])
def test_sizes_that_hold_nothing_are_refused(columns: int, tile_px: int) -> None:
    with pytest.raises(ValueError, match="at least"):
        contact_sheet([], columns=columns, tile_px=tile_px)


@settings(max_examples=40)
@given(st.text(max_size=200), st.text(max_size=40), st.integers(48, 160))
def test_any_words_can_be_drawn(text: str, title: str, tile_px: int) -> None:
    tiles = [Tile(None, title, title, text), Tile(lambda: io.BytesIO(text.encode()), title, "")]
    sheet = contact_sheet(tiles, heading=text, tile_px=tile_px)
    assert sheet.mode == "RGB"

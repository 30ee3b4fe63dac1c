"""Contact sheets: the hits of a query on one page that a person likes to look at.

Gets: tiles (a way to open a picture, words) and a heading. Gives: a Pillow image, to be saved.
Touches: what the tiles' openers open. Never: a store, a ranking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, ImageDraw, ImageFont

from .errors import BadInputError
from .fonts import Lettering, drawable
from .media import read_picture
from .protocols import Limits

_PAGE, _MAT, _CARD, _BROKEN = "#ffffff", "#f1f1ee", "#faf8f2", "#d9d9d6"
_INK, _FAINT, _LINE, _BADGE = "#1c1c1a", "#757570", "#dddcd6", "#2b2b28"
_MARGIN, _GAP, _PAD = 28, 20, 14
_HEADING_PX, _TITLE_PX, _SUBTITLE_PX, _CARD_PX = 22, 15, 13, 17
_LONGEST = 600  # characters of a text that are measured and drawn
# Where a line may be broken: around each character of a dense script, and at white space.
_WORDS = re.compile(
    "[\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]|\\s+|[^\\s\u2e80-\uffef]+|."
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One hit on the sheet.

    Attributes:
        picture: opens its picture; None for a text.
        title: a line under it (a caption or a file's name).
        subtitle: a fainter line under that (its score).
        text: what a tile without a picture shows on its card; the title, if empty.
        badge: in its corner; its rank, if None, and nothing, if empty.
    """

    picture: Callable[[], BinaryIO] | None
    title: str
    subtitle: str
    text: str = ""
    badge: str | None = None


def contact_sheet(
    tiles: Sequence[Tile], *, heading: str = "", columns: int = 5, tile_px: int = 256
) -> Image.Image:
    """Draw the tiles row by row, each with its rank; a broken picture becomes a labelled tile.

    Args:
        tiles: best first; may be empty.
        heading: the query, over the sheet.
        columns: at most so many tiles in a row.
        tile_px: side of a tile in pixels; pictures are fitted into it, never cropped.

    Raises:
        ValueError: `columns` or `tile_px` is too small to draw anything.
    """
    if columns < 1 or tile_px < 48:
        raise ValueError("A sheet needs at least 1 column and tiles of at least 48 pixels.")
    across = max(1, min(columns, len(tiles)))
    down = -(-len(tiles) // across)
    top = _MARGIN + (_HEADING_PX + _GAP if heading else 0)
    step_y = tile_px + _TITLE_PX + _SUBTITLE_PX + 16 + _GAP
    width = 2 * _MARGIN + across * (tile_px + _GAP) - _GAP
    height = top + down * step_y - (_GAP if down else 0) + _MARGIN
    sheet = Image.new("RGB", (width, height), _PAGE)
    draw = ImageDraw.Draw(sheet)
    if heading:
        _line(draw, (_MARGIN, _MARGIN - 4), heading, (_HEADING_PX, _INK), width - 2 * _MARGIN)
    for index, tile in enumerate(tiles):
        x = _MARGIN + (index % across) * (tile_px + _GAP)
        y = top + (index // across) * step_y
        sheet.paste(_tile(tile, tile_px), (x, y))
        badge = str(index + 1) if tile.badge is None else tile.badge
        if badge:
            _badge(draw, (x, y), badge)
        _line(draw, (x, y + tile_px + 6), tile.title, (_TITLE_PX, _INK), tile_px)
        below = y + tile_px + 6 + _TITLE_PX + 6
        _line(draw, (x, below), tile.subtitle, (_SUBTITLE_PX, _FAINT), tile_px)
    return sheet


def _tile(tile: Tile, side: int) -> Image.Image:
    if tile.picture is None:
        return _card(tile.text or tile.title, side, _CARD, _INK)
    try:
        with tile.picture() as file:
            picture = Image.fromarray(read_picture(file, Limits(), side))
    except BadInputError as error:
        return _card(f"This file {error}.", side, _BROKEN, _FAINT)
    except OSError:
        return _card("This file can't be opened.", side, _BROKEN, _FAINT)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    mat = Image.new("RGB", (side, side), _MAT)
    mat.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return mat


def _card(text: str, side: int, ground: str, ink: str) -> Image.Image:
    """A square with a text in it, wrapped; the part that has no room ends in an ellipsis."""
    card = Image.new("RGB", (side, side), ground)
    draw = ImageDraw.Draw(card)
    draw.rectangle((0, 0, side - 1, side - 1), outline=_LINE)
    step = round(_CARD_PX * 1.45)
    first = _PAD + 26  # under the rank
    room = max(1, (side - first - _PAD) // step)
    letters, clean = Lettering(_CARD_PX), drawable(text[:_LONGEST])
    lines = list(_wrapped(clean, letters, side - 2 * _PAD))
    if len(lines) > room:
        lines = [*lines[: room - 1], _shortened(lines[room - 1] + "...", letters, side - 2 * _PAD)]
    for index, line in enumerate(lines):
        letters.draw(draw, (_PAD, first + index * step), line, ink)
    return card


def _badge(draw: ImageDraw.ImageDraw, place: tuple[int, int], rank: str) -> None:
    x, y = place
    font = ImageFont.load_default(_SUBTITLE_PX)
    right = x + 6 + round(font.getlength(rank)) + 12
    draw.rounded_rectangle((x + 6, y + 6, right, y + 26), radius=5, fill=_BADGE)
    draw.text(((x + 6 + right) / 2, y + 16), rank, fill=_PAGE, font=font, anchor="mm")


def _line(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    style: tuple[int, str],
    width: int,
) -> None:
    size, ink = style
    letters = Lettering(size)
    letters.draw(draw, place, _shortened(drawable(text[:_LONGEST]), letters, width), ink)


def _shortened(text: str, letters: Lettering, width: int) -> str:
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def _wrapped(text: str, letters: Lettering, width: int) -> Iterator[str]:
    """Lines no wider than `width`; a word that is wider alone is broken."""
    line = ""
    for word in _WORDS.findall(text):
        if letters.getlength(line + word) <= width:
            line += word
            continue
        if line.strip():
            yield line.strip()
        line = ""
        for character in word.strip():
            if line and letters.getlength(line + character) > width:
                yield line
                line = ""
            line += character
    if line.strip():
        yield line.strip()

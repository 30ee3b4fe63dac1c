r"""Contact sheets: the hits of a query on one page that a person likes to look at.

Gets: tiles (a way to open a picture, words) and a heading. Gives: a Pillow image, to be saved.
Touches: what the tiles' openers open; the system's font folders, once. Never: a store, a ranking.

Pillow brings a font for Latin letters only. Other scripts are drawn with a system font if one of
the usual ones is installed; a character that no font has is written as its escape, ``\u732b``.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageDraw, ImageFont

from .errors import BadInputError
from .media import read_picture
from .protocols import Limits
from .schema import printable

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

FONT_FOLDERS: tuple[Path, ...] = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("~/.local/share/fonts"),
    Path("~/.fonts"),
    Path("/System/Library/Fonts"),
    Path("/Library/Fonts"),
    Path("~/Library/Fonts"),
    Path("C:/Windows/Fonts"),
)
# Files that hold many scripts, Chinese first; the order is the order of preference.
FONT_FILES: tuple[str, ...] = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansSC-Regular.otf",
    "SourceHanSansSC-Regular.otf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "STHeiti Light.ttc",
    "msyh.ttc",
    "simhei.ttf",
    "simsun.ttc",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
    "uming.ttc",
    "Arial Unicode.ttf",
    "ARIALUNI.TTF",
    "NotoSans-Regular.ttf",
    "DejaVuSans.ttf",
    "LiberationSans-Regular.ttf",
    "arial.ttf",
)

_PAGE, _MAT, _CARD, _BROKEN = "#ffffff", "#f1f1ee", "#faf8f2", "#d9d9d6"
_INK, _FAINT, _LINE, _BADGE = "#1c1c1a", "#757570", "#dddcd6", "#2b2b28"
_MARGIN, _GAP, _PAD = 28, 20, 14
_HEADING_PX, _TITLE_PX, _SUBTITLE_PX, _CARD_PX = 22, 15, 13, 17
_LONGEST = 600  # characters of a text that are measured and drawn
_ABSENT = "\U0010ffff"  # no font has it, so it shows what a font draws for an absent glyph
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
    """

    picture: Callable[[], BinaryIO] | None
    title: str
    subtitle: str
    text: str = ""


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
        _badge(draw, (x, y), str(index + 1))
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
    font, clean = _drawable(text, _CARD_PX)
    lines = list(_wrapped(clean, font, side - 2 * _PAD))
    if len(lines) > room:
        lines = [*lines[: room - 1], _shortened(lines[room - 1] + "...", font, side - 2 * _PAD)]
    for index, line in enumerate(lines):
        draw.text((_PAD, first + index * step), line, fill=ink, font=font)
    return card


def _badge(draw: ImageDraw.ImageDraw, place: tuple[int, int], rank: str) -> None:
    x, y = place
    font = _font(None, _SUBTITLE_PX)
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
    font, clean = _drawable(text, size)
    draw.text(place, _shortened(clean, font, width), fill=ink, font=font)


def _shortened(text: str, font: Font, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def _wrapped(text: str, font: Font, width: int) -> Iterator[str]:
    """Lines no wider than `width`; a word that is wider alone is broken."""
    line = ""
    for word in _WORDS.findall(text):
        if font.getlength(line + word) <= width:
            line += word
            continue
        if line.strip():
            yield line.strip()
        line = ""
        for character in word.strip():
            if line and font.getlength(line + character) > width:
                yield line
                line = ""
            line += character
    if line.strip():
        yield line.strip()


def _drawable(text: str, size: int) -> tuple[Font, str]:
    """The font that has most of the text's characters; those that it lacks, escaped."""
    clean = printable(" ".join(text[:_LONGEST].split()))
    fonts = (None, *_system_fonts(FONT_FOLDERS))
    best = min(fonts, key=lambda path: sum(not _has(path, c) for c in clean))
    shown = "".join(c if _has(best, c) else c.encode("unicode_escape").decode() for c in clean)
    return _font(best, size), shown


@functools.lru_cache(maxsize=4)
def _system_fonts(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """The files of `FONT_FILES` that are there and can be read, best first."""
    found: dict[str, Path] = {}
    for folder in folders:
        for root, _, names in os.walk(folder.expanduser()):
            for name in names:
                if name in FONT_FILES and _is_font(Path(root, name)):
                    found.setdefault(name, Path(root, name))
    return tuple(found[name] for name in FONT_FILES if name in found)


def _is_font(path: Path) -> bool:
    try:
        _font(path, _TITLE_PX)
    except OSError:
        return False
    return True


@functools.lru_cache(maxsize=64)
def _font(path: Path | None, size: int) -> Font:
    return ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)


@functools.lru_cache(maxsize=4096)
def _has(path: Path | None, character: str) -> bool:
    """Whether a font has a glyph of its own for a character."""
    font = _font(path, _TITLE_PX)
    return character.isspace() or _look(font, character) != _look(font, _ABSENT)


def _look(font: Font, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)

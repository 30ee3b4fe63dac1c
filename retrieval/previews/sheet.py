"""The page: tiles row by row, bands over the whole width, in the order of the hits.

Gets: tiles, bands, a heading. Gives: a Pillow image. Touches: what their openers open. Never: a
store, a ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, ImageDraw

from retrieval.errors import BadInputError
from retrieval.media import read_picture
from retrieval.protocols import Limits

from . import drawing
from .drawing import FAINT, GAP, INK, MARGIN, SUBTITLE_PX, TITLE_PX
from .strips import Band, draw_band

_BAND_PX = 1360  # a page with a film on it is never narrower


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
    hits: Sequence[Tile | Band], *, heading: str = "", columns: int = 5, tile_px: int = 256
) -> Image.Image:
    """Draw tiles and bands, each with its rank; a broken picture becomes a labelled tile.

    Args:
        hits: best first; may be empty.
        heading: the query, over the sheet.
        columns: at most so many tiles in a row.
        tile_px: side of a tile in pixels; pictures are fitted into it, never cropped.

    Raises:
        ValueError: `columns` or `tile_px` is too small to draw anything.
    """
    if columns < 1 or tile_px < 48:
        raise ValueError("A sheet needs at least 1 column and tiles of at least 48 pixels.")
    across = max(1, min(columns, len(hits)))
    inner = across * (tile_px + GAP) - GAP
    if any(isinstance(hit, Band) for hit in hits):
        inner = max(inner, _BAND_PX)
        across = (inner + GAP) // (tile_px + GAP)
    blocks = [
        draw_band(part, inner, rank)
        if isinstance(part, Band)
        else _rows(part, tile_px, (inner, across), rank)
        for rank, part in _blocks(hits)
    ]
    return _page(blocks, heading, inner)


def _blocks(hits: Sequence[Tile | Band]) -> Iterator[tuple[int, Band | list[Tile]]]:
    """Each band, and all tiles between two bands, with the rank of the first."""
    tiles: list[Tile] = []
    for rank, hit in enumerate(hits, 1):
        if isinstance(hit, Tile):
            tiles.append(hit)
            continue
        if tiles:
            yield rank - len(tiles), tiles
            tiles = []
        yield rank, hit
    if tiles:
        yield len(hits) + 1 - len(tiles), tiles


def _page(blocks: Sequence[Image.Image], heading: str, inner: int) -> Image.Image:
    top = MARGIN + (drawing.HEADING_PX + GAP if heading else 0)
    between = GAP * max(0, len(blocks) - 1)
    height = top + sum(block.height for block in blocks) + between + MARGIN
    page = Image.new("RGB", (inner + 2 * MARGIN, height), drawing.PAGE)
    if heading:
        draw = ImageDraw.Draw(page)
        style = (drawing.HEADING_PX, INK)
        drawing.line(draw, (MARGIN, MARGIN - 4), heading, style, inner)
    for block in blocks:
        page.paste(block, (MARGIN, top))
        top += block.height + GAP
    return page


def _rows(
    tiles: Sequence[Tile], tile_px: int, width_across: tuple[int, int], first: int
) -> Image.Image:
    """Tiles row by row, `first` being the rank of the first."""
    width, across = width_across
    step_y = tile_px + TITLE_PX + SUBTITLE_PX + 16 + GAP
    block = Image.new("RGB", (width, -(-len(tiles) // across) * step_y - GAP), drawing.PAGE)
    draw = ImageDraw.Draw(block)
    for index, tile in enumerate(tiles):
        x, y = index % across * (tile_px + GAP), index // across * step_y
        block.paste(_tile(tile, tile_px), (x, y))
        rank = str(first + index) if tile.badge is None else tile.badge
        if rank:
            drawing.badge(draw, (x + 6, y + 6), rank)
        drawing.line(draw, (x, y + tile_px + 6), tile.title, (TITLE_PX, INK), tile_px)
        below = y + tile_px + 6 + TITLE_PX + 6
        drawing.line(draw, (x, below), tile.subtitle, (SUBTITLE_PX, FAINT), tile_px)
    return block


def _tile(tile: Tile, side: int) -> Image.Image:
    size = (side, side)
    if tile.picture is None:
        return drawing.card(tile.text or tile.title, size, drawing.CARD, INK)
    try:
        with tile.picture() as file:
            picture = Image.fromarray(read_picture(file, Limits(), side))
    except BadInputError as error:
        return drawing.card(f"This file {error}.", size, drawing.BROKEN, FAINT)
    except OSError:
        return drawing.card("This file can't be opened.", size, drawing.BROKEN, FAINT)
    return drawing.fitted(picture, size)

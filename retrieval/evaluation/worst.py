"""The queries that went worst, as a contact sheet: the question, the right answer, what came first.

Gets: an evaluation, the data sets that were measured. Gives: a PNG. Touches: the pictures that it
shows. Never: a store, an encoder; leaves an answer out because its picture is broken.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import BinaryIO

import numpy as np
from PIL import Image

from ..previews import Tile, contact_sheet
from .measures import first_rank
from .qrels import judged
from .report import shown_rank
from .schema import TIMED, Dataset, Evaluation, Item, Measurement, headline

QUERIES = 6  # of each direction
FIRST = 3  # documents shown that came first instead
_TILE_PX = 200


def worst_sheet(evaluation: Evaluation) -> bytes:
    """A PNG of the worst queries of each direction, one a line; empty when none went wrong."""
    sheets = []
    for direction, row in headline(evaluation.measurements).items():
        data = evaluation.data.get(direction)
        places = worst_of(row)
        if data is None or not places:
            continue
        tiles = [tile for place in places for tile in _line(row, place, data)]
        heading = f"{row.key}: the queries that went worst"
        sheets.append(contact_sheet(tiles, heading=heading, columns=2 + FIRST, tile_px=_TILE_PX))
    if not sheets:
        return b""
    size = max(sheet.width for sheet in sheets), sum(sheet.height for sheet in sheets)
    page, top = Image.new("RGB", size, "#ffffff"), 0
    for sheet in sheets:
        page.paste(sheet, (0, top))
        top += sheet.height
    file = io.BytesIO()
    page.save(file, "PNG", optimize=True)
    return file.getvalue()


def worst_of(row: Measurement) -> list[int]:
    """Places of the queries whose first right answer came last, one of each cluster at most."""
    first = first_rank(row.ranks)
    chosen: dict[str, int] = {}
    for place in np.argsort(-first, kind="stable").tolist():
        if first[place] > 1 and len(chosen) < QUERIES:
            chosen.setdefault(row.clusters[place], place)
    return list(chosen.values())


def _line(row: Measurement, place: int, data: Dataset) -> list[Tile]:
    """The tiles of one query: itself, its best right answer, what came first instead."""
    corpus, query = data.corpus, data.queries[place]
    relevant = judged(replace(data, queries=(query,))).documents.tolist()
    ranks = row.ranks.ranks[row.ranks.starts[place] : row.ranks.starts[place + 1]]
    best = int(np.argmin(ranks))
    rank = shown_rank(float(ranks[best]), row.ranks.depth)
    came = rank if rank == "not found" else f"rank {rank}"
    first = row.first[place].tolist() if len(row.first) else []
    others = [(number, at) for number, at in enumerate(first, 1) if at >= 0 and at not in relevant]
    tiles = [
        _tile(query, "query"),
        _tile(corpus[relevant[best]], f"right answer, {came}"),
        *(_tile(corpus[at], str(number)) for number, at in others[:FIRST]),
    ]
    return tiles + [Tile(None, "", "", badge="")] * (2 + FIRST - len(tiles))


def _tile(item: Item, badge: str) -> Tile:
    media = item.media
    if media is None:
        return Tile(None, "", "", item.text or item.id, badge)

    def opened() -> BinaryIO:
        return io.BytesIO(media.read())

    name = media.name.replace("\\", "/").rpartition("/")[2]
    if item.modality in TIMED:  # what it shows is another's to draw
        return Tile(None, "", "", name, badge)
    return Tile(opened, name, "", badge=badge)

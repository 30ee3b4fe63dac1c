"""``--sheet``: the hits of a search as one picture.

Gets: results and the assets' bytes. Gives: a PNG file, and which characters it couldn't show.
Touches: that file. Never: draws by itself.
"""

from __future__ import annotations

import io
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from retrieval import Collection, Hit, Results
    from retrieval.previews import Tile


def check_sheet(file: str) -> None:
    """Refuse, before anything is searched, a file that can't become the sheet."""
    path = Path(os.path.expanduser(file))
    if path.suffix.lower() != ".png":
        raise click.UsageError(f"A contact sheet is a PNG, which {file} isn't called.")
    if not path.parent.is_dir():
        raise click.UsageError(f"There is no folder {path.parent} for the contact sheet.")


def write_sheet(collection: Collection, results: Results, file: str) -> str:
    """Draw the hits, best first, and write them to `file` as a PNG.

    Returns:
        The characters that no font of this machine has; they stand there as codes.
    """
    from retrieval.fonts import absent
    from retrieval.previews import contact_sheet

    tiles = [_tile(collection, hit) for hit in results]
    drawn = io.BytesIO()
    contact_sheet(tiles, heading=results.query).save(drawn, "PNG")
    Path(os.path.expanduser(file)).write_bytes(drawn.getvalue())
    texts = (text for tile in tiles for text in (tile.title, tile.subtitle, tile.text))
    return absent((results.query, *texts))


def _tile(collection: Collection, hit: Hit) -> Tile:
    from retrieval.previews import Tile
    from retrieval.schema import printable

    open_it = partial(collection.backends.assets.open, hit.asset)
    is_picture = hit.fields.get("modality") == "image"
    text = printable(hit.text or "")
    return Tile(
        picture=open_it if is_picture else None,
        title=printable(os.path.basename((*hit.paths, *hit.uris, hit.asset)[0])),
        subtitle=text if is_picture and text else f"{hit.score:.2f}",
        text=text,
    )

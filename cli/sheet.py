"""``--sheet``: the hits of a search as one picture.

Gets: results and the assets' bytes. Gives: a PNG file, and which characters it couldn't show.
Touches: that file. Never: draws or decodes by itself.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .hits import found_by, lacks, moments_of, place, spoken_in, telling
from .times import clock, whole

if TYPE_CHECKING:
    from retrieval import Collection, Hit, Moment, Results
    from retrieval.previews import Band, Still, Strip, Tile, Wave
    from retrieval.schema import Span, Thumbnail

SOFTWARE = "Echolens contact sheet"  # stands in its header; no other file is written over
MOMENTS = 3  # of a film that are shown
STILLS = 5  # of a moment, at most
STILL_S = 0.6  # frames nearer to each other look alike
AROUND_S = (4.0, 30.0)  # of a recording, on each side of a moment: at least, at most


def check_sheet(file: str) -> None:
    """Refuse, before anything is searched, a file that can't become the sheet."""
    path = Path(os.path.expanduser(file))
    if path.suffix.lower() != ".png":
        raise click.UsageError(f"A contact sheet is a PNG, which {file} isn't called.")
    if not path.parent.is_dir():
        raise click.UsageError(f"There is no folder {path.parent} for the contact sheet.")
    if path.exists() and not _is_sheet(path):
        raise click.UsageError(f"{file} is there already, and is no contact sheet: name another.")


def _is_sheet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return SOFTWARE.encode() in file.read(1024)
    except OSError:
        return False


def write_sheet(collection: Collection, results: Results, file: str) -> str:
    """Draw the hits, best first, and write them to `file` as a PNG.

    Returns:
        The characters that no font of this machine has; they stand there as codes.
    """
    from PIL.PngImagePlugin import PngInfo

    from retrieval.fonts import absent
    from retrieval.previews import contact_sheet

    shown = [
        _band(collection, hit) if moments_of(hit) else _tile(collection, hit) for hit in results
    ]
    made_by = PngInfo()
    made_by.add_text("Software", SOFTWARE)
    drawn = io.BytesIO()
    contact_sheet(shown, heading=results.query).save(drawn, "PNG", pnginfo=made_by)
    Path(os.path.expanduser(file)).write_bytes(drawn.getvalue())
    return absent((results.query, *(text for one in shown for text in _texts(one))))


def _texts(shown: Tile | Band) -> Iterator[str]:
    from retrieval.previews import Tile

    yield from (shown.title, shown.subtitle)
    if isinstance(shown, Tile):
        yield shown.text
    else:
        yield from (strip.text for strip in shown.strips)


def _tile(collection: Collection, hit: Hit) -> Tile:
    from retrieval.previews import Tile
    from retrieval.schema import printable

    open_it = partial(collection.backends.assets.open, hit.asset)
    is_picture = hit.fields.get("modality") == "image"
    text = printable(hit.text or "")
    return Tile(
        picture=open_it if is_picture else None,
        title=_name(hit),
        subtitle=text if is_picture and text else f"{hit.score:.2f}",
        text=text,
    )


def _name(hit: Hit) -> str:
    from retrieval.schema import printable

    return printable(os.path.basename(place(hit)))


def _band(collection: Collection, hit: Hit) -> Band:
    """A film or a recording, by its best moments."""
    from retrieval.previews import Band

    duration_s = hit.fields.get("duration_s")
    length_s = float(duration_s) if isinstance(duration_s, int | float) else None
    shows = _is_film(hit)
    strips = tuple(
        _strip(
            moment,
            stills=_stills(collection, hit.asset, moment) if shows else (),
            wave=None if shows else _wave(moment, length_s),
        )
        for moment in telling(hit)[:MOMENTS]
    )
    waves = [strip.wave for strip in strips if strip.wave]
    seen_whole = any(wave.end - wave.start >= 0.99 * (length_s or 0.0) for wave in waves)
    told = (f"{hit.score:.2f}", whole(length_s) if length_s else "", lacks(hit))
    return Band(
        open=partial(collection.backends.assets.open, hit.asset),
        title=_name(hit),
        subtitle=", ".join(filter(None, told)),
        strips=strips,
        length_s=None if seen_whole else length_s,
    )


def _is_film(hit: Hit) -> bool:
    """Whether it has pictures; where hits are moments, `modality` is that of what was found."""
    return hit.fields.get("modality", hit.modality) != "audio"


def _strip(moment: Moment, *, stills: tuple[Still, ...], wave: Wave | None) -> Strip:
    from retrieval.previews import Strip

    said = spoken_in(moment)
    return Strip(
        start=moment.start,
        end=moment.end,
        title=f"{clock(moment.start)} – {clock(moment.end)}",
        score=f"{moment.score:.2f}",
        found_by=found_by(moment, words=False),
        text=f"“{said}”" if said else "",
        stills=stills,
        wave=wave,
    )


def _stills(collection: Collection, asset: str, moment: Moment) -> tuple[Still, ...]:
    """Frames spread over a moment, as many as are likely to look different.

    Where a thumbnail is kept, its frame stands for its part of the moment.
    """
    from retrieval.previews import Still

    length_s = moment.end - moment.start
    count = max(1, min(STILLS, round(length_s / STILL_S)))
    part_s = length_s / count
    kept = {
        int((each.time_s - moment.start) / part_s): each
        for each in _thumbnails(collection, asset, moment.span)
    }
    stills = []
    for part in range(count):
        thumbnail = kept.get(part)
        time_s = thumbnail.time_s if thumbnail else moment.start + (part + 0.5) * part_s
        stills.append(Still(time_s, clock(time_s), thumbnail.jpeg if thumbnail else None))
    return tuple(stills)


def _thumbnails(collection: Collection, asset: str, during: Span) -> list[Thumbnail]:
    from retrieval.errors import EcholensError

    try:
        return collection.backends.thumbnails.of(asset, during)
    except EcholensError:  # they spare decoding, and `verify` tells what is wrong with them
        return []


def _wave(moment: Moment, length_s: float | None) -> Wave:
    """A moment with about as much again on both sides, as far as there is any."""
    from retrieval.previews import Wave

    least_s, most_s = AROUND_S
    around_s = min(max(moment.end - moment.start, least_s), most_s)
    start = max(0.0, moment.start - around_s)
    end = max(moment.end, min(moment.end + around_s, length_s or moment.end))
    labels = ((time_s, clock(time_s)) for time_s in (moment.start, moment.end, start, end))
    return Wave(start, end, (moment.start, moment.end), tuple(labels))

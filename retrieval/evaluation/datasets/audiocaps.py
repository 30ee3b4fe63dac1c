"""AudioCaps: ten seconds of a video of YouTube each, with captions.

Gets: ``test.csv``: ``audiocap_id,youtube_id,start_time,caption``, five rows a sound in val and
test. Gives: its sounds. Touches: that file. Never: a sound.

Everybody who fetched the sounds named them otherwise: they are looked for as ``ID``,
``ID_START`` (START in seconds or thousandths), ``ID_START_END``, ``YID`` and ``AUDIOCAP_ID``, in
any format of sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .files import mended, valid
from .gather import Caption, Content, DatasetOptions, Picture, Problems
from .rows import columns_of, rows

LENGTH_S = 10
_COLUMNS = ("youtube_id", "caption")


def recognises(path: Path) -> bool:
    """Whether its header is that of AudioCaps."""
    return set(_COLUMNS) <= columns_of(path)


def read(path: Path, _: DatasetOptions) -> Content:
    """Read the sounds and their captions.

    Raises:
        UsageError: the file can't be read.
    """
    problems = Problems()
    sounds: dict[str, tuple[tuple[str, ...], list[Caption]]] = {}
    for row in rows(path, _COLUMNS, problems):
        names = _names(row)
        captions = sounds.setdefault(names[0], (names, []))[1]
        own = mended(row.get("audiocap_id", "")) or f"{names[0]}#{len(captions)}"
        captions.append(Caption(own, row["caption"], {"index": len(captions)}))
    given = [
        Picture(mended(name), name, captions, also=names[1:])
        for name, (names, captions) in sounds.items()
    ]
    return Content(path, given, problems, modality="audio")


def _names(row: Mapping[str, str]) -> tuple[str, ...]:
    """What the file of a row's sound may be called; the first names the sound."""
    video, start = valid(row["youtube_id"]).strip(), row.get("start_time", "").strip()
    own = row.get("audiocap_id", "").strip()
    names = [f"{video}_{start}"] if start else []
    names += [video, f"Y{video}"]
    if start.isdecimal():
        names += [f"{video}_{int(start) * 1000}", f"{video}_{start}_{int(start) + LENGTH_S}"]
        names += [f"{video}_{int(start) * 1000}_{(int(start) + LENGTH_S) * 1000}"]
    return (*names, own) if own else tuple(names)

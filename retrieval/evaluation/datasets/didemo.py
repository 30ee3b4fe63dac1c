"""DiDeMo: videos of Flickr, their first half minute cut into chunks of five seconds.

Gets: ``train_data.json``, ``val_data.json`` or ``test_data.json``: a list of ``video``,
``description``, ``annotation_id`` and ``times``, first and last chunk of each person who judged it.
Gives: its videos. Touches: that file. Never: a video.

For text to video all descriptions of a video are one text, in the order of the file (paragraph to
video, as in Zhang et al. 2018 and all who followed). For moments each description asks by itself.
People disagree on the chunks: what most of them say counts, and where several answers have as many
voices, each of them does. (The data set's own measures leave out the person who disagrees most.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ..moments import Window
from .files import head, load_json, mended, valid
from .gather import Caption, Content, DatasetOptions, Picture, Problems
from .parts import identity, named, part
from .windows import windows_of

CHUNK_S = 5.0
_ENTRIES = "the list"


def recognises(path: Path) -> bool:
    """Whether it looks like one of DiDeMo's files."""
    start = head(path).lstrip() if path.suffix == ".json" else ""
    return start.startswith("[") and '"times"' in start and '"description"' in start


def read(path: Path, _: DatasetOptions) -> Content:
    """Read the videos, each with one text: all its descriptions.

    Raises:
        UsageError: the file can't be read, or isn't what it should be.
    """
    problems = Problems()
    texts: dict[str, list[str]] = {}
    for video, description in _entries(path, problems):
        texts.setdefault(video, []).append(description.text)
    videos = [
        _video(path, name, [Caption(mended(name), " ".join(given))])
        for name, given in texts.items()
    ]
    return Content(path, videos, problems, modality="video")


def read_moments(path: Path, _: DatasetOptions) -> Content:
    """Read the videos with each of their descriptions, and the windows of these.

    Raises:
        UsageError: the file can't be read, or isn't what it should be.
    """
    problems = Problems()
    captions: dict[str, list[Caption]] = {}
    for video, description in _entries(path, problems):
        captions.setdefault(video, []).append(description)
    videos = [_video(path, name, given) for name, given in captions.items()]
    return Content(path, videos, problems, modality="video")


def _entries(path: Path, problems: Problems) -> list[tuple[str, Caption]]:
    """(video, description with its windows) of each entry."""
    data = load_json(path)
    try:
        if not isinstance(data, list):
            raise ValueError(f"the whole of it is {named(data)}, not a list")
        entries = []
        for place, one in enumerate(data):
            video = valid(part(one, "video", str, _ENTRIES, place))
            text = part(one, "description", str, _ENTRIES, place)
            times = part(one, "times", list, _ENTRIES, place)
            own = identity(one, "annotation_id", _ENTRIES, place) if "annotation_id" in one else ""
            name = own or f"{mended(video)}#{place}"
            entries.append((video, Caption(name, text, {}, _windows(times, name, problems))))
    except ValueError as error:
        raise UsageError(
            f"{path} is not one of DiDeMo's files: {error}.",
            advice="It needs a list of video, description and times.",
        ) from error
    return entries


def _windows(times: Sequence[Any], name: str, problems: Problems) -> tuple[Window, ...]:
    """Those of which most people say so, in order."""
    try:
        voices = Counter((int(first), int(last)) for first, last in times)
        most = max(voices.values(), default=0)
        chosen = sorted(pair for pair, count in voices.items() if count == most)
        return windows_of([(CHUNK_S * first, CHUNK_S * (last + 1)) for first, last in chosen])
    except (TypeError, ValueError):
        problems.add("windows that can't be", name)
        return ()


def _video(path: Path, name: str, captions: list[Caption]) -> Picture:
    split = path.stem.removesuffix("_data") if path.stem.endswith("_data") else ""
    return Picture(mended(name), name, captions, split)

"""Charades-STA: ``VIDEO START END##A sentence.`` a line, in seconds.

Gets: ``charades_sta_test.txt``. Gives: its videos, each with its sentences and their windows.
Touches: that file. Never: a video.
"""

from __future__ import annotations

import re
from pathlib import Path

from .files import filled_lines, first_line, mended, valid
from .gather import Caption, Content, DatasetOptions, Picture, Problems
from .windows import windows_of

_LINE = re.compile(r"(?P<name>\S+) (?P<start>[\d.]+) (?P<end>[\d.]+) ?##(?P<text>.*)")


def recognises(path: Path) -> bool:
    """Whether its first line is such a one."""
    return path.is_file() and _LINE.fullmatch(first_line(path).strip()) is not None


def read(path: Path, _: DatasetOptions) -> Content:
    """Read the videos and their sentences.

    Raises:
        UsageError: the file can't be read.
    """
    problems = Problems()
    captions: dict[str, list[Caption]] = {}
    for number, line in filled_lines(path):
        found = _LINE.fullmatch(line.strip())
        if found is None:
            problems.add("lines that can't be read", f"line {number}")
            continue
        try:
            windows = windows_of([(found["start"], found["end"])])
        except ValueError:
            problems.add("windows that can't be", f"line {number}")
            continue
        of_video = captions.setdefault(valid(found["name"]), [])
        index = len(of_video)
        name = f"{found['name']}#{index}"
        of_video.append(Caption(name, found["text"], {"index": index}, windows))
    videos = [Picture(mended(name), name, given) for name, given in captions.items()]
    return Content(path, videos, problems, modality="video")

"""MSVD: short videos of YouTube, about forty captions each.

Gets: ``AllVideoDescriptions.txt`` (``VIDEO_START_END a caption`` a line, ``#`` before a remark);
beside it perhaps ``train_list.txt``, ``val_list.txt`` and ``test_list.txt`` with a video a line,
and ``youtube_mapping.txt`` (``VIDEO_START_END vid1``), by whose names copies of the clips go.
Gives: its videos, ids as in the file. Touches: these files. Never: a video, a pickle.
"""

from __future__ import annotations

import re
from pathlib import Path

from .files import filled_lines, first_line, head, mended, valid
from .gather import Caption, Content, DatasetOptions, Picture, Problems

_LINE = re.compile(r"(?P<name>\S+_\d+_\d+)[ \t]+(?P<text>.+)")
_SPLITS = ("train", "val", "test")


def recognises(path: Path) -> bool:
    """Whether its first line that is no remark is a clip's name and a caption."""
    if not path.is_file() or path.suffix != ".txt" or "##" in first_line(path):
        return False
    lines = (line.strip() for line in head(path).splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return _LINE.fullmatch(first) is not None


def read(path: Path, _: DatasetOptions) -> Content:
    """Read the videos and their captions.

    Raises:
        UsageError: a file can't be read.
    """
    problems = Problems()
    captions: dict[str, list[Caption]] = {}
    for number, line in filled_lines(path):
        if line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            problems.add("lines that can't be read", f"line {number}")
            continue
        of_video = captions.setdefault(valid(found["name"]), [])
        index = len(of_video)
        of_video.append(Caption(f"{found['name']}#{index}", found["text"], {"index": index}))
    splits = _splits(path.parent, captions, problems)
    called = _mapping(path.with_name("youtube_mapping.txt"))
    videos = [
        Picture(mended(name), name, given, splits.get(name, ""), also=called.get(name, ()))
        for name, given in captions.items()
    ]
    return Content(path, videos, problems, modality="video")


def _splits(folder: Path, captions: dict[str, list[Caption]], problems: Problems) -> dict[str, str]:
    """The split of each video, where there are lists of them."""
    found: dict[str, str] = {}
    for split in _SPLITS:
        path = folder / f"{split}_list.txt"
        if not path.is_file():
            continue
        for _, line in filled_lines(path):
            name = line.strip()
            found[name] = split
            if name not in captions:
                problems.add("videos of the split lists that the captions lack", name)
    return found


def _mapping(path: Path) -> dict[str, tuple[str, ...]]:
    """By video, the other name of its file."""
    if not path.is_file():
        return {}
    pairs = (line.split() for _, line in filled_lines(path))
    return {pair[0]: (pair[1],) for pair in pairs if len(pair) == 2}

"""MSR-VTT: videos of YouTube with captions.

Gets: ``MSRVTT_JSFUSION_test.csv`` (``key,vid_key,video_id,sentence``: the 1k-A test videos, a
caption each), or ``MSRVTT_data.json`` (``videos`` with ``video_id`` and ``split``; ``sentences``
with ``video_id``, ``caption`` and ``sen_id``), beside it perhaps a list of test videos: that CSV,
or a text with a name a line. Gives: its videos, ids as in the file. Touches: these files. Never: a
video.

1k-A is the CSV by itself, a caption a video. The JSON has twenty captions a video and its own
splits; with a list, the videos of the list are ``test`` and all others ``train``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...schema import printable
from .files import filled_lines, head, load_json, mended, valid
from .gather import Caption, Content, DatasetOptions, Picture, Problems
from .parts import identity, part
from .rows import columns_of, rows

_COLUMNS = ("video_id", "sentence")
_VIDEOS, _SENTENCES = "`videos`", "`sentences`"


def recognises(path: Path) -> bool:
    """Whether it looks like one of MSR-VTT's files."""
    if path.suffix == ".json":
        start = head(path)
        return '"video_id"' in start and ('"videos"' in start or '"sentences"' in start)
    return set(_COLUMNS) <= columns_of(path)


def read(path: Path, options: DatasetOptions) -> Content:
    """Read the videos and their captions.

    Raises:
        UsageError: a file can't be read, isn't what it should be, or lists other videos.
    """
    if path.suffix == ".json":
        return _of_json(path, options.split_file)
    if options.split_file is not None:
        raise UsageError(
            f"{path} is a list of test videos already, so --split-file means nothing for it.",
            advice="Leave it out, or name MSRVTT_data.json.",
        )
    problems = Problems()
    captions: dict[str, list[Caption]] = {}
    for row in rows(path, _COLUMNS, problems):
        video = valid(row["video_id"]).strip()
        of_video = captions.setdefault(video, [])
        own = mended(row.get("key") or "") or f"{video}#{len(of_video)}"
        of_video.append(Caption(own, row["sentence"], {"index": len(of_video)}))
    split = "1k-A" if "jsfusion" in path.stem.lower() else ""
    videos = [Picture(mended(name), name, given, split) for name, given in captions.items()]
    return Content(path, videos, problems, modality="video")


def _of_json(path: Path, split_file: Path | None) -> Content:
    data = load_json(path)
    problems = Problems()
    try:
        splits = {
            identity(video, "video_id", _VIDEOS, place): _split(video)
            for place, video in enumerate(part(data, "videos", list))
        }
        captions = _sentences(data, splits, problems)
    except ValueError as error:
        raise UsageError(
            f"{path} is not MSR-VTT's JSON: {error}.",
            advice="It needs `videos` (video_id, split) and `sentences` (video_id, caption).",
        ) from error
    if split_file is not None:
        chosen = _listed(split_file)
        if not chosen & splits.keys():
            raise UsageError(
                f"No video of {split_file} is in {path}: it has for example "
                f"{printable(next(iter(chosen), '(nothing)'))}.",
                advice="Check --split-file: a video a line, or a CSV with the column video_id.",
            )
        for name in sorted(chosen - splits.keys()):
            problems.add("videos of the split file that the captions lack", name)
        splits = {name: "test" if name in chosen else "train" for name in splits}
    videos = [Picture(name, name, captions[name], split) for name, split in splits.items()]
    return Content(path, videos, problems, modality="video")


def _sentences(data: Any, splits: dict[str, str], problems: Problems) -> dict[str, list[Caption]]:
    captions: dict[str, list[Caption]] = {name: [] for name in splits}
    for place, one in enumerate(part(data, "sentences", list)):
        video = identity(one, "video_id", _SENTENCES, place)
        text = part(one, "caption", str, _SENTENCES, place)
        own = identity(one, "sen_id", _SENTENCES, place) if "sen_id" in one else ""
        if video in captions:
            index = len(captions[video])
            captions[video].append(Caption(own or f"{video}#{index}", text, {"index": index}))
        else:
            problems.add("captions without a video", own or text)
    return captions


def _split(video: Any) -> str:
    split = video.get("split")
    return mended(split) if isinstance(split, str) else ""


def _listed(path: Path) -> set[str]:
    """The videos of a list: the column ``video_id`` of a CSV, or a name a line."""
    if "video_id" in columns_of(path):
        return {row["video_id"].strip() for row in rows(path, ("video_id",), Problems())}
    return {line.strip() for _, line in filled_lines(path)}

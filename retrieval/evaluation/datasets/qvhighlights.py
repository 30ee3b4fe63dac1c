"""QVHighlights' JSONL, and one's own in its style: questions and windows of films.

Gets: ``highlight_val_release.jsonl``: ``qid``, ``query``, ``vid``, ``duration``,
``relevant_windows`` ([[start, end], ..] in seconds) and, where people judged that,
``relevant_clip_ids`` with ``saliency_scores``; ``file``, where the film's name isn't ``vid``.
Gives: its films; further plain values become fields of the question. Touches: that file. Never: a
film.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...schema import FieldValue
from ..moments import CLIP_S, Saliency
from .files import first_line, json_lines, mended, valid
from .gather import Caption, Content, DatasetOptions, Picture, Problems
from .windows import windows_of

_USED = {"qid", "query", "vid", "file", "relevant_windows", "relevant_clip_ids", "saliency_scores"}


def recognises(path: Path) -> bool:
    """Whether its first object has a question and a film."""
    start = first_line(path) if path.is_file() else ""
    try:
        value = json.loads(start) if start.startswith("{") else {}
    except (ValueError, RecursionError):
        return False
    return {"query", "vid"} <= value.keys()


def read(path: Path, _: DatasetOptions) -> Content:
    """Read the films, their questions and the windows of these.

    Raises:
        UsageError: the file can't be read, or no question has a window.
    """
    problems = Problems()
    films: dict[str, tuple[str, list[Caption]]] = {}
    for line, value in json_lines(path):
        try:
            film = valid(str(value["vid"]))
            name = valid(str(value.get("file") or film))
            asked = films.setdefault(film, (name, []))[1]
            caption = _question(value, line)
        except (KeyError, TypeError, ValueError, AttributeError):
            problems.add("lines that can't be read", f"line {line}")
            continue
        if not caption.windows:
            problems.add("questions without a window", caption.id)
        asked.append(caption)
    if not any(caption.windows for _, asked in films.values() for caption in asked):
        raise UsageError(
            f"No question of {path} has a window.",
            advice="Take a split whose `relevant_windows` are public, such as val.",
        )
    given = [Picture(mended(film), name, asked) for film, (name, asked) in films.items()]
    return Content(path, given, problems, modality="video")


def _question(value: Mapping[str, Any], line: int) -> Caption:
    """Raises ValueError, TypeError or KeyError for one that isn't as it should be."""
    windows = windows_of(value.get("relevant_windows") or ())
    text = value["query"]
    if not isinstance(text, str):
        raise TypeError("no question")
    fields: dict[str, FieldValue] = {
        name: mended(one) if isinstance(one, str) else one
        for name, one in value.items()
        if name not in _USED and isinstance(one, str | int | float)
    }
    own = mended(str(value.get("qid", f"line {line}")))
    return Caption(own, text, fields, windows, _saliency(value))


def _saliency(value: Mapping[str, Any]) -> Saliency | None:
    clips, scores = value.get("relevant_clip_ids"), value.get("saliency_scores")
    if clips is None or scores is None:
        return None
    if len(clips) != len(scores):
        raise ValueError("clips and scores differ in number")
    return Saliency(
        tuple(int(clip) for clip in clips),
        tuple(tuple(float(one) for one in some) for some in scores),
        int(float(value["duration"]) / CLIP_S),
    )

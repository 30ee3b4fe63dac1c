"""Deep links: which part of which file is meant.

Gets: what a search has shown (``film.mp4#t=13.0,24.5``, or a document's id). Gives: a file and
times. Touches: the collection, for a document. Never: opens the file.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from .times import seconds_of

if TYPE_CHECKING:
    from retrieval import Collection
    from retrieval.schema import Document

_DOCUMENT = re.compile(r"[0-9a-f]{32}")
_HOW = "Write it as `echolens search --moments --format paths` prints it: film.mp4#t=13.0,24.5"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file.

    Attributes:
        path: of the file, as it was given or was seen.
        start, end: in seconds; an infinite end is that of the file.
        stored: opens the collection's own copy, for a file that may be gone.
    """

    path: str
    start: float
    end: float
    stored: Callable[[], BinaryIO] | None = None


def is_document(text: str) -> bool:
    """Whether it reads as a document's id, rather than as a link."""
    return _DOCUMENT.fullmatch(text) is not None


def part_of(link: str) -> Part:
    """The part that a link means: ``PATH#t=start,end``, also with a file's URI for a path.

    Raises:
        UsageError: it names no times, or none that can be meant.
    """
    from retrieval.errors import UsageError
    from retrieval.schema import path_of, printable

    name, mark, fragment = link.rpartition("#t=")
    if not mark or not name:
        raise UsageError(f"{printable(link)} names no times.", advice=f"{_HOW}.")
    first, comma, last = fragment.removeprefix("npt:").partition(",")
    try:
        start = seconds_of(first) if first or not comma else 0.0
        end = seconds_of(last) if comma else math.inf
    except ValueError:
        raise UsageError(
            f"`t={printable(fragment)}` is no stretch of time.", advice=f"{_HOW}."
        ) from None
    if start >= end:
        raise UsageError(f"`t={printable(fragment)}` ends before it begins.", advice=f"{_HOW}.")
    path = path_of(name) if name.startswith("file://") else os.path.expanduser(name)
    return Part(path, start, end)


def part_of_document(id_: str, collection: Collection) -> Part:
    """The part of a file that a document is.

    Raises:
        UsageError: there is none of that id, or it has no time.
    """
    from retrieval.errors import UsageError
    from retrieval.schema import TIMED_KINDS, is_here, path_of

    stores = collection.backends
    document = stores.documents.get([id_]).get(id_)
    if document is None:
        raise UsageError(
            f"The collection has no document `{id_}`.",
            advice="Take an id from the hits of a search (`--format jsonl` shows them).",
        )
    if document.kind not in TIMED_KINDS or document.span is None:
        raise UsageError(
            f"Document `{id_}` is {_what(document)}, which has no time.",
            advice="Name one of a film or a recording.",
        )
    seen = stores.documents.sightings([document.asset]).get(document.asset, [])
    paths = [path_of(sighting.uri) for sighting in seen if is_here(sighting.uri)]
    path = next(filter(os.path.isfile, paths), (*paths, document.asset)[0])
    span = document.span
    return Part(path, span.start, span.end, lambda: stores.assets.open(document.asset))


def _what(document: Document) -> str:
    if document.is_caption:
        return "a caption"
    return "a picture" if document.kind == "image" else "a passage of a text"

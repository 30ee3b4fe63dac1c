"""What a path is to the indexer: an item with its sidecars, or a reason to skip it.

Gets: a path, perhaps with its stat. Gives: `Item` or `Skipped`. Touches: the file system, by stat
alone. Never: opens a file.

Beside a picture ``a.jpg``, the files ``a.txt``, ``a.json``, ``a.jpg.txt`` and ``a.jpg.json`` are
its sidecars; they are read with it and are not indexed by themselves.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence

from retrieval.registry import MODALITIES, media_type_of
from retrieval.schema import Modality, SkipReason, uri_of

from .schema import Excluded, Item, Skipped, Stat

SIDECAR_SUFFIXES = (".txt", ".json")
PICTURE_SUFFIXES = tuple(
    variant
    for suffix in MODALITIES["image"].media_types
    for variant in (suffix, suffix.upper(), suffix.capitalize())
)


def items_of(path: str) -> Iterator[Item | Skipped | Excluded]:
    """The one file at `path`; of a sidecar also the picture that it is read with."""
    picture = _picture_of(path)
    if picture is not None:
        yield Excluded(uri_of(path), sidecar=True)
    yield item_of(picture or path)


def item_of(path: str) -> Item | Skipped:
    """The one file at `path`, with the sidecars beside it."""
    try:
        status = os.stat(path)
    except OSError as error:
        return unreadable(path, error)
    return item_with(path, status, _beside(path))


def item_with(path: str, status: os.stat_result, sidecars: Sequence[str]) -> Item | Skipped:
    """The file at `path`, whose stat and sidecars are known already."""
    kind = _kind(path, status)
    if isinstance(kind, Skipped):
        return kind
    modality, media_type = kind
    return Item(
        uri=uri_of(path),
        modality=modality,
        media_type=media_type,
        stat=Stat(path, status.st_size, status.st_mtime_ns),
        sidecars=tuple(_stats(sidecars)) if modality == "image" else (),
    )


def _kind(path: str, status: os.stat_result) -> tuple[Modality, str] | Skipped:
    if not stat.S_ISREG(status.st_mode):
        return Skipped(uri_of(path), SkipReason.UNSUPPORTED, "is no regular file")
    suffix = os.path.splitext(path)[1]
    known = media_type_of(suffix)
    if known is None:
        what = f"files named *{suffix.lower()} are" if suffix else "files without a suffix are"
        return Skipped(uri_of(path), SkipReason.UNSUPPORTED, f"{what} not indexed")
    if status.st_size == 0:
        return Skipped(uri_of(path), SkipReason.EMPTY, "has no bytes")
    return known


def sidecar_names(name: str) -> list[str]:
    """The names that a picture's sidecars may have, in the order in which they are read."""
    stem = os.path.splitext(name)[0]
    return [base + suffix for base in (stem, name) for suffix in SIDECAR_SUFFIXES]


def is_sidecar(name: str, names: Collection[str]) -> bool:
    """Whether a file is the sidecar of a picture, given all names of its folder."""
    base, suffix = os.path.splitext(name)
    if suffix not in SIDECAR_SUFFIXES:
        return False
    if base in names and _is_picture(base):
        return True
    return any(base + other in names for other in PICTURE_SUFFIXES)


def _is_picture(name: str) -> bool:
    known = media_type_of(os.path.splitext(name)[1])
    return known is not None and known[0] == "image"


def _picture_of(path: str) -> str | None:
    """The picture whose sidecar a file is, when its folder wasn't listed; None if it is none."""
    folder, name = os.path.split(path)
    base, suffix = os.path.splitext(name)
    if suffix not in SIDECAR_SUFFIXES or not os.path.isfile(path):
        return None
    own = [base] if _is_picture(base) else []
    pictures = (os.path.join(folder, p) for p in (*own, *(base + s for s in PICTURE_SUFFIXES)))
    return next(filter(os.path.isfile, pictures), None)


def _beside(path: str) -> list[str]:
    folder, name = os.path.split(path)
    return [
        candidate
        for candidate in (os.path.join(folder, sidecar) for sidecar in sidecar_names(name))
        if os.path.isfile(candidate)
    ]


def _stats(paths: Sequence[str]) -> Iterator[Stat]:
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue  # gone between the listing and now: the next run sees that
        if stat.S_ISREG(status.st_mode):
            yield Stat(path, status.st_size, status.st_mtime_ns)


def is_gone(path: str) -> bool:
    """Whether a file isn't there although its folder is; nothing is known of one without."""
    return not os.path.lexists(path) and os.path.isdir(os.path.dirname(path))


def unreadable(path: str, error: OSError) -> Skipped:
    """A path whose stat or listing failed."""
    reason = (
        SkipReason.DISAPPEARED if isinstance(error, FileNotFoundError) else SkipReason.UNREADABLE
    )
    return Skipped(uri_of(path), reason, error.strerror or str(error))

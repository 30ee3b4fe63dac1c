"""What a path is to the indexer: an item with its sidecars, or a reason to skip it.

Gets: a path, perhaps with its stat. Gives: `Item` or `Skipped`. Touches: the file system, by stat
alone. Never: opens a file.

Beside a picture ``a.jpg``, the files ``a.txt``, ``a.json``, ``a.jpg.txt`` and ``a.jpg.json`` are
its sidecars; they are read with it and are not indexed by themselves. Beside a film or a recording
so are ``a.srt``, ``a.vtt`` and ``a.en.srt``; there ``a.txt`` is a transcript.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache

from retrieval.registry import MODALITIES, media_type_of
from retrieval.schema import Modality, SkipReason, uri_of

from .schema import Excluded, Item, Skipped, Stat

TRANSCRIPT_SUFFIXES = (".srt", ".vtt", ".txt")
SIDECAR_SUFFIXES: Mapping[Modality, tuple[str, ...]] = {
    "image": (".txt", ".json"),
    "video": (*TRANSCRIPT_SUFFIXES, ".json"),
    "audio": (*TRANSCRIPT_SUFFIXES, ".json"),
}
SUBTITLE_SUFFIXES = (".srt", ".vtt")
# Subtitles may name their language: `film.en.srt`.
LANGUAGES = ("", ".en", ".zh", ".de", ".fr", ".es", ".it", ".ja", ".ko", ".pt", ".ru", ".ar", ".hi",
             ".eng", ".chi", ".zho", ".zh-CN", ".zh-TW", ".zh-Hans", ".zh-Hant")  # fmt: skip


def items_of(path: str) -> Iterator[Item | Skipped | Excluded]:
    """The one file at `path`; of a sidecar instead the files that it is read with."""
    owners = list(_owners_of(path))
    if owners:
        yield Excluded(uri_of(path), sidecar=True)
    yield from map(item_of, owners or [path])


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
        sidecars=tuple(_stats(sidecars)),
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
    """The names that a file's sidecars may have, in the order in which they are read."""
    stem, own = os.path.splitext(name)
    known = media_type_of(own)
    suffixes = SIDECAR_SUFFIXES.get(known[0], ()) if known else ()
    return [
        base + language + suffix
        for base in (stem, name)
        for suffix in suffixes
        for language in (LANGUAGES if suffix in SUBTITLE_SUFFIXES else ("",))
    ]


def is_transcript(name: str, modality: Modality) -> bool:
    """Whether a sidecar of a file of that modality says what is said in it."""
    return modality != "image" and name.endswith(TRANSCRIPT_SUFFIXES)


def is_sidecar(name: str, names: Collection[str]) -> bool:
    """Whether a file is the sidecar of another, given all names of its folder."""
    return any(owner in names for owner in _owner_names(name))


def _owner_names(name: str) -> Iterator[str]:
    """The names of the files that a file may be the sidecar of."""
    base, suffix = os.path.splitext(name)
    modalities = [m for m, suffixes in SIDECAR_SUFFIXES.items() if suffix in suffixes]
    stems = [base]
    if suffix in SUBTITLE_SUFFIXES:
        stems += [base.removesuffix(language) for language in LANGUAGES if base.endswith(language)]
    for stem in dict.fromkeys(stems):
        known = media_type_of(os.path.splitext(stem)[1])
        if known is not None and known[0] in modalities:
            yield stem
        for modality in modalities:
            yield from (stem + own for own in _suffixes(modality))


@cache
def _suffixes(modality: Modality) -> tuple[str, ...]:
    known = MODALITIES[modality].media_types if modality in MODALITIES else ()
    return tuple(v for suffix in known for v in (suffix, suffix.upper(), suffix.capitalize()))


def _owners_of(path: str) -> Iterator[str]:
    """The files whose sidecar a file is, when its folder wasn't listed."""
    folder, name = os.path.split(path)
    if os.path.splitext(name)[1] in (*TRANSCRIPT_SUFFIXES, ".json") and os.path.isfile(path):
        paths = (os.path.join(folder, owner) for owner in _owner_names(name))
        yield from filter(os.path.isfile, dict.fromkeys(paths))


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

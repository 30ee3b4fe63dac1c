"""The pictures, films or sounds of a data set: which bytes they are, and which can't be used.

Gets: a data set. Gives: the same with each picture's `asset`; without those that can't be read, and
with copies merged, all of it told as problems. Touches: the pictures' bytes. Never: an encoder.

Two pictures with the same bytes are one asset, so they are one item of the corpus: whichever of
them a search gives, a person sees the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from ..errors import BadInputError
from ..protocols import Limits
from ..schema import SkipReason
from .qrels import merged
from .schema import EXAMPLES, NOUNS, Dataset, Item, Media, Problem, Progress, Watcher

_CHUNK = 1 << 20  # bytes of a film that are in memory at once


def identified(dataset: Dataset, limits: Limits, watch: Watcher | None = None) -> Dataset:
    """The data set with the SHA-256 of each picture; unreadable ones leave it, copies are one.

    Films and sounds are read to the end, too, though none is decoded.
    """
    items = [item for item in (*dataset.corpus, *dataset.queries) if item.media is not None]
    pictures = {item.id: item.media for item in items if item.media is not None}
    noun = NOUNS[items[0].modality if items else "image"]
    by_id = {item.id: item for item in items}
    assets: dict[str, str] = {}
    failed: list[str] = []
    for number, (id_, media) in enumerate(pictures.items()):
        if watch is not None:
            watch(Progress(f"{noun} read", number, len(pictures), len(failed)))
        if known_before := by_id[id_].asset:
            assets[id_] = known_before
            continue
        try:
            assets[id_] = _hash(media, limits, whole=noun == NOUNS["image"])
        except (OSError, BadInputError):
            failed.append(id_)
    known = replace(
        dataset,
        queries=_with_assets(dataset.queries, assets),
        corpus=_with_assets(dataset.corpus, assets),
    )
    return merged(without_pictures(known, failed, f"{noun} that can't be read"), assets)


def _hash(media: Media, limits: Limits, *, whole: bool) -> str:
    """SHA-256 in hex. Pictures are read whole, and have a limit; films may be as long as they are.

    Raises OSError, BadInputError.
    """
    if whole:
        return hashlib.sha256(bytes_of(media, limits)).hexdigest()
    digest = hashlib.sha256()
    with media.open() as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def bytes_of(media: Media, limits: Limits) -> bytes:
    """All of a picture.

    Raises:
        BadInputError: it has more bytes than the limit.
        OSError: it can't be read.
    """
    size = media.size()
    if size > limits.bytes:
        raise BadInputError(
            SkipReason.TOO_LARGE,
            f"has {size:,} bytes; the limit is {limits.bytes:,} (max_file_mb)",
        )
    return media.read()


def without_pictures(dataset: Dataset, ids: Collection[str], what: str) -> Dataset:
    """The data set without some of its pictures, and without the queries that nothing answers then.

    Args:
        dataset: of either direction.
        ids: of pictures; texts may have the same ones.
        what: the problem that they are told as.
    """
    gone = set(ids)
    if not gone:
        return dataset
    corpus = [item for item in dataset.corpus if not _is_in(gone, item)]
    left = {item.id for item in corpus}
    qrels = {
        item.id: {name: g for name, g in dataset.qrels[item.id].items() if name in left}
        for item in dataset.queries
        if not _is_in(gone, item)
    }
    qrels = {query: of for query, of in qrels.items() if any(gain > 0 for gain in of.values())}
    queries = [item for item in dataset.queries if not _is_in(gone, item) and item.id in qrels]
    asked_of_others = sum(not _is_in(gone, item) for item in dataset.queries)
    problems = [*dataset.problems, Problem(what, len(gone), _names(dataset, gone))]
    if lost := asked_of_others - len(queries):
        problems.append(Problem("queries that lose all that answers them", lost))
    return replace(
        dataset,
        queries=tuple(queries),
        corpus=tuple(corpus),
        qrels=qrels,
        problems=tuple(problems),
    )


def _is_in(ids: Collection[str], item: Item) -> bool:
    return item.media is not None and item.id in ids


def _with_assets(items: Iterable[Item], assets: Mapping[str, str]) -> tuple[Item, ...]:
    return tuple(
        replace(item, asset=assets.get(item.id, "")) if item.media is not None else item
        for item in items
    )


def _names(dataset: Dataset, ids: Collection[str]) -> tuple[str, ...]:
    pictures = (item for item in (*dataset.corpus, *dataset.queries) if _is_in(ids, item))
    names = {item.media.name for item in pictures if item.media is not None}
    return tuple(sorted(names)[:EXAMPLES])

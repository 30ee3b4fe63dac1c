"""Known items of a collection: what must be found, so that anyone can measure without labels.

Gets: a collection. Gives: data sets made of what it holds. Touches: documents and assets,
read-only. Never: judges that two pictures are alike; a picture must find itself, however many
resemble it.

The sample is the pictures with the smallest ids and the texts with the smallest digests: hashes
both, so it is a fair one, and the same each time. Copies of a picture are one asset, so they don't
stand in each other's way; a picture that was saved anew at another size does.
"""

from __future__ import annotations

import hashlib
import heapq
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from .collection import Collection
from .evaluation.schema import Dataset, Item
from .protocols import AssetStore
from .schema import Document, Filter, path_of

BATCH = 1_000  # documents of which a filter is asked at once
SPARE = 8  # texts looked at for each that is wanted: several may be of one picture, or of many


@dataclass(frozen=True, slots=True)
class _Stored:
    """A picture in an asset store. A `Media`; `name` is the first of its paths."""

    assets: AssetStore
    asset: str
    name: str

    def size(self) -> int:
        """In bytes. Raises OSError."""
        with self.assets.open(self.asset) as file:
            return file.seek(0, os.SEEK_END)

    def read(self) -> bytes:
        """All of it. Raises OSError."""
        with self.assets.open(self.asset) as file:
            return file.read()

    def open(self) -> BinaryIO:
        """To be read bit by bit. Raises OSError."""
        return self.assets.open(self.asset)


def known_pictures(
    collection: Collection, count: int, where: Filter | None = None
) -> Dataset | None:
    """Pictures that are to find themselves; None where the collection holds none.

    Args:
        collection: that is asked.
        count: at most so many.
        where: a filter that they pass.
    """
    pictures = islice(_admitted(collection, _pictures(collection), where), count)
    items = tuple(_items(collection, list(pictures)))
    if not items:
        return None
    qrels = {item.id: {item.id: 1.0} for item in items}
    return Dataset("pictures of the collection", items, items, qrels)


def known_captions(
    collection: Collection, count: int, where: Filter | None = None
) -> Dataset | None:
    """A caption each of some pictures, that is to find its picture; None where there is none.

    Captions that other pictures have too are known to mean more than one, and aren't asked. Takes
    what `known_pictures` takes.
    """
    captions = unshared(_admitted(collection, _captions(collection), where), SPARE * count)
    first = {caption.asset: caption for caption in reversed(captions)}
    of_assets = collection.backends.documents.of_assets(sorted(first))
    pairs = [
        (caption, picture)
        for caption in captions
        if caption is first[caption.asset]
        for picture in of_assets.get(caption.asset, ())
        if picture.kind == "image"
    ][:count]
    if not pairs:
        return None
    return Dataset(
        "captions of the collection",
        tuple(Item(caption.id, "text", caption.text or "") for caption, _ in pairs),
        tuple(_items(collection, [picture for _, picture in pairs])),
        {caption.id: {picture.id: 1.0} for caption, picture in pairs},
    )


def unshared(captions: Iterable[Document], most: int) -> list[Document]:
    """Captions whose text no other asset has: those of the `most` smallest digests, in their order.

    A digest that is among the smallest at the end was so whenever it came, so all that have the
    text were seen, though no more than `most` texts are ever held.
    """
    held: dict[int, Document | None] = {}  # by digest; None where several assets have the text
    largest_first: list[int] = []  # negated, since Python's heaps have their smallest first
    for caption in captions:
        words = " ".join((caption.text or "").split())
        digest = int.from_bytes(hashlib.blake2b(words.encode(), digest_size=16).digest())
        if digest in held:
            known = held[digest]
            if known is not None and known.asset != caption.asset:
                held[digest] = None
            continue
        if len(held) < most:
            heapq.heappush(largest_first, -digest)
        elif digest < -largest_first[0]:
            del held[-heapq.heapreplace(largest_first, -digest)]
        else:
            continue
        held[digest] = caption
    return [caption for _, caption in sorted(held.items()) if caption is not None]


def _pictures(collection: Collection) -> Iterator[Document]:
    for channel in collection.manifest.channels:
        if channel.modality == "image":
            yield from collection.backends.documents.scan(channel.key)


def _captions(collection: Collection) -> Iterator[Document]:
    for document in collection.backends.documents.scan():
        if document.is_caption and document.text:
            yield document


def _admitted(
    collection: Collection, documents: Iterable[Document], where: Filter | None
) -> Iterator[Document]:
    """Those of the documents that pass a filter."""
    if where is None:
        yield from documents
        return
    rest = iter(documents)
    while batch := list(islice(rest, BATCH)):
        passed = collection.backends.documents.passing([one.id for one in batch], where)
        yield from (one for one in batch if one.id in passed)


def _items(collection: Collection, pictures: Sequence[Document]) -> Iterator[Item]:
    backends = collection.backends
    seen = backends.documents.sightings([picture.asset for picture in pictures])
    for picture in pictures:
        uris = [sighting.uri for sighting in seen.get(picture.asset, ())]
        media = _Stored(backends.assets, picture.asset, path_of(uris[0]) if uris else picture.asset)
        yield Item(picture.id, "image", media=media, asset=picture.asset)

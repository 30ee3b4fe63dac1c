"""Known items of a collection: what must be found, so that anyone can measure without labels.

Gets: a collection. Gives: data sets made of what it holds. Touches: documents and assets,
read-only. Never: judges that two pictures are alike; a picture must find itself, however many
resemble it.

The sample is the documents with the smallest ids, and as ids are hashes it is a fair one, and the
same each time. Copies of a picture are one asset, so they don't stand in each other's way; a
picture that was saved anew at another size does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from .collection import Collection
from .evaluation.schema import Dataset, Item
from .protocols import AssetStore
from .schema import Document


@dataclass(frozen=True, slots=True)
class _Stored:
    """A picture in an asset store. A `Media`."""

    assets: AssetStore
    name: str

    def read(self) -> bytes:
        """All of it. Raises OSError."""
        with self.assets.open(self.name) as file:
            return file.read()


def known_pictures(collection: Collection, count: int) -> Dataset | None:
    """Pictures that are to find themselves; None where the collection holds none."""
    items = tuple(_item(collection, document) for document in _pictures(collection, count))
    if not items:
        return None
    qrels = {item.id: {item.id: 1.0} for item in items}
    return Dataset("pictures of the collection", items, items, qrels)


def known_captions(collection: Collection, count: int) -> Dataset | None:
    """A caption each of some pictures, that is to find its picture; None where there is none.

    Captions that other pictures have too are known to mean more than one, and aren't asked.
    """
    texts: dict[str, Document] = {}
    shared: set[str] = set()
    for document in _captions(collection):
        assert document.text is not None
        if texts.setdefault(document.text, document).asset != document.asset:
            shared.add(document.text)
    first = {d.asset: d for text, d in reversed(texts.items()) if text not in shared}
    of_assets = collection.backends.documents.of_assets(sorted(first))
    pairs = [
        (caption, picture)
        for asset, caption in sorted(first.items(), key=lambda pair: pair[1].id)
        for picture in of_assets[asset]
        if picture.kind == "image"
    ][:count]
    if not pairs:
        return None
    return Dataset(
        "captions of the collection",
        tuple(Item(caption.id, "text", caption.text or "") for caption, _ in pairs),
        tuple(_item(collection, picture) for _, picture in pairs),
        {caption.id: {picture.id: 1.0} for caption, picture in pairs},
    )


def _pictures(collection: Collection, count: int) -> Iterator[Document]:
    documents = (
        document
        for channel in collection.manifest.channels
        if channel.modality == "image"
        for document in collection.backends.documents.scan(channel.key)
    )
    return islice(documents, count)


def _captions(collection: Collection) -> Iterator[Document]:
    for document in collection.backends.documents.scan():
        if document.kind == "passage" and document.span is None and document.text:
            yield document


def _item(collection: Collection, document: Document) -> Item:
    media = _Stored(collection.backends.assets, document.asset)
    return Item(document.id, "image", media=media, asset=document.asset)

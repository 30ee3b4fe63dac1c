"""What is moved: documents, sightings, the vectors of a channel, assets; each from store to store.

Gets: the store that a collection is in and the one that it goes to. Gives: ids, tallies. Touches:
reads the first, writes the second. Never: an encoder; more than a chunk of items at once.

An asset's bytes are compared with its id, their hash, whenever they are written. A copy that was
there before is taken to be whole, as asset stores promise: reading all of them again would make
going on as slow as beginning anew. `verify` reads them all, and so does discarding the old ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar, Protocol, TypeVar

import numpy as np

from retrieval.errors import BadInputError
from retrieval.protocols import AssetStore, DocumentStore, VectorStore
from retrieval.schema import Document, Sighting

from ..ledger import CHUNK
from .schema import Role
from .tally import Tally, of_document, of_sighting, of_vector

T = TypeVar("T")
Note = Callable[[int, int], None]  # items looked at, items written of them


class Part(Protocol):
    """One kind of thing on its way from a store to another one.

    Attributes:
        name: of what is moved, for a person.
        role: of the store.
        url, old_url: of the store that it goes to, and of the one that it is in.
    """

    name: str
    role: ClassVar[Role]
    url: str
    old_url: str

    def count(self) -> int:
        """How many there are to be looked at."""
        ...

    def held(self) -> Iterator[str]:
        """Names of what is in the target."""
        ...

    def strangers(self) -> Iterator[str]:
        """Names of what is in the target and isn't the collection's; don't delete while it runs."""
        ...

    def delete(self, names: list[str]) -> None:
        """Take strangers out of the target."""
        ...

    def fill(self, note: Note) -> Tally:
        """Write what the target lacks or has otherwise, and tally the source."""
        ...

    def tally(self) -> Tally:
        """Tally the target."""
        ...


@dataclass
class Documents:
    """The documents."""

    role: ClassVar[Role] = "documents"
    source: DocumentStore
    target: DocumentStore
    url: str
    old_url: str
    name: str = "documents"

    def count(self) -> int:
        """All documents."""
        return self.source.count()

    def held(self) -> Iterator[str]:
        """Ids of documents."""
        return (document.id for document in self.target.scan())

    def strangers(self) -> Iterator[str]:
        """Ids of documents."""
        for chunk in chunks(self.target.scan()):
            known = self.source.get([document.id for document in chunk])
            yield from (document.id for document in chunk if document.id not in known)

    def delete(self, names: list[str]) -> None:
        """Delete documents."""
        self.target.delete(names)

    def fill(self, note: Note) -> Tally:
        """Compare and copy."""
        tally = Tally()
        for chunk in chunks(self.source.scan()):
            held = self.target.get([document.id for document in chunk])
            lacking = [document for document in chunk if not _holds(held, document)]
            if lacking:
                self.target.upsert(lacking)
            for document in chunk:
                tally.add(of_document(document))
            note(len(chunk), len(lacking))
        return tally

    def tally(self) -> Tally:
        """All documents of the target."""
        tally = Tally()
        for document in self.target.scan():
            tally.add(of_document(document))
        return tally


def _holds(held: dict[str, Document], document: Document) -> bool:
    there = held.get(document.id)
    return there is not None and of_document(there) == of_document(document)


@dataclass
class Sightings:
    """The sightings, by their URIs."""

    role: ClassVar[Role] = "documents"
    source: DocumentStore
    target: DocumentStore
    url: str
    old_url: str
    name: str = "sightings"

    def count(self) -> int:
        """All sightings."""
        return sum(1 for _ in self.source.scan_sightings())

    def held(self) -> Iterator[str]:
        """URIs."""
        return (sighting.uri for sighting in self.target.scan_sightings())

    def strangers(self) -> Iterator[str]:
        """URIs; also those that the collection has with another asset."""
        for chunk in chunks(self.target.scan_sightings()):
            known = _by_uri(self.source, chunk)
            yield from (s.uri for s in chunk if s.uri not in known)

    def delete(self, names: list[str]) -> None:
        """Forget sightings."""
        self.target.forget(names)

    def fill(self, note: Note) -> Tally:
        """Compare and copy."""
        tally = Tally()
        for chunk in chunks(self.source.scan_sightings()):
            held = _by_uri(self.target, chunk)
            wanted = {sighting.uri: of_sighting(sighting) for sighting in chunk}
            lacking = [s for s in chunk if held.get(s.uri) != wanted[s.uri]]
            if lacking:
                self.target.upsert([], lacking)
            for content in wanted.values():
                tally.add(content)
            note(len(chunk), len(lacking))
        return tally

    def tally(self) -> Tally:
        """All sightings of the target."""
        tally = Tally()
        for sighting in self.target.scan_sightings():
            tally.add(of_sighting(sighting))
        return tally


def _by_uri(store: DocumentStore, sightings: list[Sighting]) -> dict[str, bytes]:
    """What a store holds of the assets of some sightings, by URI."""
    held = store.sightings(sorted({sighting.asset for sighting in sightings}))
    return {sighting.uri: of_sighting(sighting) for its in held.values() for sighting in its}


@dataclass
class Vectors:
    """The vectors of one channel. One without a document is nobody's, and stays behind."""

    role: ClassVar[Role] = "vectors"
    source: VectorStore
    target: VectorStore
    documents: DocumentStore
    url: str
    old_url: str
    name: str

    def count(self) -> int:
        """All vectors."""
        return self.source.count()

    def held(self) -> Iterator[str]:
        """Ids of vectors."""
        return self.target.scan()

    def strangers(self) -> Iterator[str]:
        """Ids of vectors."""
        for chunk in chunks(self.target.scan()):
            known = self.source.get(chunk)
            yield from (id_ for id_ in chunk if id_ not in known)

    def delete(self, names: list[str]) -> None:
        """Delete vectors."""
        self.target.delete(names)

    def fill(self, note: Note) -> Tally:
        """Compare and copy, bit for bit."""
        tally = Tally()
        for chunk in chunks(self.source.scan()):
            documents = self.documents.get(chunk)
            vectors = {id_: v for id_, v in self.source.get(chunk).items() if id_ in documents}
            held = self.target.get(list(vectors))
            wanted = {id_: of_vector(id_, vector) for id_, vector in vectors.items()}
            lacking = [
                id_
                for id_, content in wanted.items()
                if id_ not in held or of_vector(id_, held[id_]) != content
            ]
            if lacking:
                rows = np.stack([vectors[id_] for id_ in lacking])
                self.target.upsert(lacking, rows, [documents[id_] for id_ in lacking])
            for content in wanted.values():
                tally.add(content)
            note(len(chunk), len(lacking))
        return tally

    def tally(self) -> Tally:
        """All vectors of the target that have a document."""
        tally = Tally()
        for chunk in chunks(self.target.scan()):
            documents = self.documents.get(chunk)
            for id_, vector in self.target.get(chunk).items():
                if id_ in documents:
                    tally.add(of_vector(id_, vector))
        return tally


@dataclass
class Assets:
    """The bytes of the assets that have a sighting.

    Attributes:
        lost: the ids of those that the target can't have, since no whole bytes are to be had, or
            that it would have to serve from a file that is gone or was changed.
        bytes: that were written.
    """

    role: ClassVar[Role] = "assets"
    source: AssetStore
    target: AssetStore
    documents: DocumentStore
    url: str
    old_url: str
    name: str = "assets"
    lost: list[str] = field(default_factory=list)
    bytes: int = 0

    def count(self) -> int:
        """All assets."""
        return sum(len(chunk) for chunk in self._wanted())

    def held(self) -> Iterator[str]:
        """Ids of copies."""
        return self.target.scan()

    def strangers(self) -> Iterator[str]:
        """Ids of copies."""
        for chunk in chunks(self.target.scan()):
            known = self.documents.sightings(chunk)
            yield from (asset for asset in chunk if asset not in known)

    def delete(self, names: list[str]) -> None:
        """Delete copies."""
        for asset in names:
            self.target.delete(asset)

    def absent(self) -> Iterator[str]:
        """Ids of assets that neither store can give, without reading a byte."""
        for chunk in self._wanted():
            for asset in chunk:
                if not self.source.exists(asset) and not self.target.exists(asset):
                    yield asset

    def fill(self, note: Note) -> Tally:
        """Copy what isn't there; where the target keeps no copies, read what it gives instead."""
        tally = Tally()
        has_copies = next(self.target.scan(), None) is not None
        for chunk in self._wanted():
            for asset in chunk:
                tally.add(asset.encode())
                if has_copies and self.target.exists(asset):
                    note(1, 0)
                elif self.target.copies:
                    note(1, self._copy(asset))
                else:
                    if not is_whole(self.target, asset):
                        self.lost.append(asset)
                    note(1, 0)
        return tally

    def tally(self) -> Tally:
        """The assets of the target; one that keeps no copies was read by `fill`."""
        tally = Tally()
        if not self.target.copies:
            for chunk in self._wanted():
                for asset in chunk:
                    tally.add(asset.encode())
            return tally
        for chunk in chunks(self.target.scan()):
            for asset in self.documents.sightings(chunk):
                tally.add(asset.encode())
        return tally

    def _copy(self, asset: str) -> int:
        try:
            with self.source.open(asset) as file:
                self.target.put(asset, file)
                self.bytes += file.seek(0, 2)
        except (FileNotFoundError, BadInputError):
            self.lost.append(asset)
            return 0
        return 1

    def _wanted(self) -> Iterator[list[str]]:
        """The assets in chunks, each where its first sighting is."""
        for chunk in chunks(self.documents.scan_sightings()):
            held = self.documents.sightings(sorted({sighting.asset for sighting in chunk}))
            yield [s.asset for s in chunk if held[s.asset][0].uri == s.uri]


def is_whole(store: AssetStore, asset: str) -> bool:
    """Whether a store gives an asset's very bytes, all of which are read."""
    try:
        with store.open(asset) as file:
            digest = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]
    except OSError:
        return False
    return digest.hexdigest() == asset


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """The items, so many at a time as one call of a store may take."""
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk

"""The protocols that back ends fulfil; `tests/contracts` holds every one of them to these words.

Gets and gives: types. Touches: nothing. Never: an implementation.

Laws that all stores share: what a writing method was given is durable when it returns; writing
the same thing twice changes nothing; an absent id is no error when deleting and simply missing
when reading; a store opened read-only refuses to write (``StoreUnreachableError``) and works in a
folder that can't be written; readers see whole committed states while a writer goes on; a store
that isn't there is never taken for an empty one (``CorruptError``, see `Place`).

A store may be called from several threads at once, each call as if it were alone; what is closed
is used by nobody any more. An encoder is called by one thread at a time: who shares it sees to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from .schema import (
    Compute,
    Description,
    Document,
    Draft,
    FieldType,
    Filter,
    FloatArray,
    Modality,
    Ranking,
    Role,
    Sighting,
    Space,
    Span,
    TooMany,
    Wants,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store is opened.

    Attributes:
        url: the whole store URL of the manifest (``exact:``, ``milvus://host/name``).
        directory: the collection's folder; an embedded store keeps its files below it.
        read_only: whether writing is refused.
        existing: whether a writer refuses a store that is missing, as a reader always does; else
            it makes it.
        anew: whether a writer throws away what is there and makes the store again, since it is
            beyond reading.
        host: what this machine is called where several share a store, "" where none does; see
            `abilities.SharedStore`.
    """

    url: str
    directory: Path
    read_only: bool = True
    existing: bool = False
    anew: bool = False
    host: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one input may cost before it is refused (promise: bounded).

    Attributes:
        bytes: of the file.
        pixels: width times height, before decoding.
        seconds: of decoding, by the clock; ten times as long for a stretch of a film.
        memory: bytes that a decoding process may take.
    """

    bytes: int = 2 * 2**30
    pixels: int = 250_000_000
    seconds: float = 60.0
    memory: int = 4 * 2**30

    @property
    def stretch_seconds(self) -> float:
        """Of decoding one stretch of a film or a recording, by the clock."""
        return 10 * self.seconds


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a store: the id (or the file) concerned, and what is wrong with it.

    Attributes:
        whole: whether the whole store is concerned, so that it must be made anew (`Place.anew`).
    """

    id: str
    message: str
    whole: bool = False


class Encoder(Protocol):
    """Turns inputs into unit vectors of one space.

    Made as ``Class(location, compute)``, where location is what follows the scheme of its URL.
    Making one is cheap: weights load when first needed, each tower by itself.

    One that needs others has a static ``made_of(location)``, which gives role and URL of each; they
    are opened for it and follow the two arguments.
    """

    @property
    def location(self) -> str:
        """What follows the scheme of its URL, with paths made absolute; the manifest keeps it."""
        ...

    @property
    def space(self) -> Space: ...

    @property
    def fingerprint(self) -> str:
        """Digest of tensors, preprocessing and tokenizer; not of device or precision."""
        ...

    @property
    def wants(self) -> Wants: ...

    @property
    def compute(self) -> Compute:
        """What it computes with here, ``auto`` resolved; asking may load a library, no weights."""
        ...

    @property
    def batch_size(self) -> int:
        """How many inputs it likes best at once."""
        ...

    def tolerance(self, modality: Modality) -> float:
        """The least cosine at which a probe counts as the same, on another machine too.

        It is that of the precision of `compute`.
        """
        ...

    def unread(self, text: str) -> str:
        """The end of a text that lies past what `encode` reads of it; "" when it reads it all."""
        ...

    def encode(self, modality: Modality, inputs: Sequence[Any], *, role: Role) -> FloatArray:
        """Encode inputs of one modality.

        Texts are str, pictures (h, w, 3) uint8 RGB arrays, sounds `timed.Sound` of any length and
        rate. A shot is no input: its pictures are.

        Returns:
            (n, dim) float32 of norm 1, rows in the order of the inputs. A batch of n gives what
            n batches of one give (cosine above 0.99999).
        """
        ...


class ModalityReader(Protocol):
    """Turns the bytes of a file into documents. Made as ``Class(limits)``.

    Raises `BadInputError` with a reason of the closed list for a file that can't be used.
    """

    @property
    def recipe(self) -> Mapping[str, str | int | float]:
        """Decoder, chunker and their options: when it changes, files are decoded anew."""
        ...

    def describe(self, file: BinaryIO) -> Description:
        """Metadata and captions that the file itself carries."""
        ...

    def documents(self, file: BinaryIO, wants: Wants) -> Iterator[Draft]:
        """The file's documents with their encoder inputs, in order."""
        ...

    def query_input(self, data: bytes, wants: Wants) -> Any:
        """The encoder input of a query; the same decoding as for documents."""
        ...


class VectorStore(Protocol):
    """The vectors of one channel. Made as ``Class(place, channel)``.

    It knows no filters: these are about sightings, which come and go without touching a vector.
    """

    def upsert(
        self,
        ids: Sequence[str],
        vectors: FloatArray,
        documents: Sequence[Document] | None = None,
    ) -> None:
        """Write (n, dim) vectors under n document ids; a known id is replaced.

        Args:
            ids: of n documents.
            vectors: (n, dim) of norm 1.
            documents: what they are the vectors of, for a store that is `abilities.Knowing`.

        Raises:
            ValueError: a wrong shape, a non-finite component, a norm further than 1e-3 from 1,
                an id twice in one call, or an id that isn't 32 hex characters. Nothing is
                written then.
        """
        ...

    def search(
        self,
        queries: FloatArray,
        k: int,
        *,
        within: Collection[str] | None = None,
    ) -> list[Ranking]:
        """The k best documents by cosine for each of (q, dim) queries of norm 1.

        At most k; all there are when k exceeds the count; ties in the order of the ids.
        ``within`` restricts to these ids, exactly scored; unknown ones are ignored.
        """
        ...

    def get(self, ids: Sequence[str]) -> dict[str, FloatArray]:
        """The (dim,) vectors of those ids that are there."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Delete, so that the numbers are gone from the store's files too."""
        ...

    def count(self) -> int: ...

    def scan(self) -> Iterator[str]:
        """All ids, each once, in any stated order."""
        ...

    def check(self) -> Iterator[Problem]:
        """Read everything and compare it with its checksums."""
        ...

    def compact(self) -> None:
        """Give back the room of deleted rows, where that is worth while. Derived data follows."""
        ...

    def close(self) -> None: ...


class DocumentStore(Protocol):
    """Documents and sightings: by id, by words, by field. Made as ``Class(place)``.

    A filter is about sightings: it admits a document when one sighting of its asset satisfies
    it whole. Documents of an asset without a sighting are admitted by no filter, not even None.
    A filter has at most `MAX_FILTER_DEPTH` levels, and one more that the engine adds.

    Where a method takes ``during``, in seconds, only documents of `TIMED_KINDS` pass whose spans
    overlap it; an empty span overlaps nothing.
    """

    def upsert(self, documents: Sequence[Document], sightings: Sequence[Sighting] = ()) -> None:
        """Write documents by id and sightings by URI, in one commit where the store can.

        A sighting moves when its URI is known with another asset.
        """
        ...

    def forget(self, uris: Sequence[str]) -> None:
        """Delete sightings. Documents stay; the caller deletes those of assets left without."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Delete documents, so that their text is gone from the store's files too."""
        ...

    def get(self, ids: Sequence[str]) -> dict[str, Document]: ...

    def of_assets(self, assets: Sequence[str]) -> dict[str, list[Document]]:
        """Each asset's documents, in the order of (kind, span, id); an absent asset is missing."""
        ...

    def sightings(self, assets: Sequence[str]) -> dict[str, list[Sighting]]:
        """Each asset's sightings in the order of their URIs; an absent asset is missing."""
        ...

    def search(
        self,
        words: str,
        k: int,
        *,
        where: Filter | None = None,
        channel: str | None = None,
        during: Span | None = None,
    ) -> Ranking:
        """The k best documents by BM25 for any of the words; higher is better. See `words`."""
        ...

    def select(
        self,
        where: Filter | None,
        limit: int,
        *,
        channel: str | None = None,
        during: Span | None = None,
    ) -> list[str] | TooMany:
        """Ids of all documents that pass (sorted), or `TooMany` when more than `limit` do."""
        ...

    def passing(
        self, ids: Sequence[str], where: Filter | None, *, during: Span | None = None
    ) -> dict[str, Document]:
        """Those of the ids that are there and pass, without their spans and texts: a quick look."""
        ...

    def count(self, channel: str | None = None) -> int:
        """The number of documents (of one channel)."""
        ...

    def scan(self, channel: str | None = None) -> Iterator[Document]:
        """All documents (of one channel), in the order of their ids."""
        ...

    def scan_sightings(self) -> Iterator[Sighting]:
        """All sightings, in the order of their URIs."""
        ...

    def fields(self) -> Mapping[str, FieldType]:
        """Names and types of the fields that sightings carry."""
        ...

    def check(self) -> Iterator[Problem]:
        """Damage in the store's own files, and derived data (words) that doesn't fit."""
        ...

    def repair(self) -> None:
        """Build derived data anew."""
        ...

    def close(self) -> None: ...


class AssetStore(Protocol):
    """Raw assets by id. Made as ``Class(place, locate)``; ``locate(asset)`` gives its URIs.

    Attributes:
        copies: whether it keeps copies of its own, which must be there though the file is gone.
    """

    copies: bool

    def put(self, asset: str, file: BinaryIO) -> None:
        """Keep the bytes; refused (`BadInputError`, changing) when they don't hash to `asset`."""
        ...

    def open(self, asset: str) -> BinaryIO:
        """A seekable file, or FileNotFoundError."""
        ...

    def delete(self, asset: str) -> None:
        """Delete the stored copy; a store that keeps assets in place leaves the user's file."""
        ...

    def exists(self, asset: str) -> bool: ...

    def scan(self) -> Iterator[str]:
        """Ids of all copies kept (none, for a store that keeps them in place)."""
        ...

    def close(self) -> None: ...


Locate = Callable[[str], Sequence[str]]

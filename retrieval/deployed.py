"""The deployed way of an evaluation: a data set's queries, asked of a collection as users ask it.

Gets: a collection; tasks whose pictures were read. Gives: ranks, index recall, and what was
searchable. Touches: the collection, read-only. Never: measures anything by itself.

No leak: a caption that is asked with is never searchable. Texts ask for pictures through the legs
of pictures alone; where captions are held in (searchable, and never asked), every document with a
text that is asked with is hidden, whichever picture it belongs to. Data sets and collections meet
in the bytes: a picture is the asset of its hash, a caption the document of its text in that asset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .collection import Collection
from .errors import UsageError
from .evaluation.embeddings import Embedder, Embedding
from .evaluation.index_recall import index_recall
from .evaluation.qrels import inverted
from .evaluation.schema import Dataset, IndexRecall, Item, Judged, Progress, Ranks, Watcher
from .evaluation.searcher import Card, Found
from .protocols import Encoder
from .query.fusion import Weights
from .query.parse import Part, Query
from .schema import Channel, FloatArray, Modality

FIRST = 10  # hits of a query that the report may show
ASKED = 200  # queries of index recall, evenly spread


@dataclass(frozen=True, slots=True)
class _Leg:
    """A way of searching: its name in the report, and the weights that leave it alone."""

    name: str
    weights: Weights


class DeployedCollection:
    """A collection, asked with a data set. A `Searcher`."""

    def __init__(
        self,
        collection: Collection,
        *,
        where: str | None = None,
        captions_held_in: bool = False,
        depth: int = 100,
        watch: Watcher | None = None,
    ) -> None:
        """Ask `collection`.

        Args:
            collection: stays the caller's to close.
            where: a filter that every search gets.
            captions_held_in: whether pictures may be found by captions that aren't asked with.
            depth: hits of a query; ranks beyond are unknown.
            watch: called with the progress.
        """
        self.notes: list[str] = []
        self._collection = collection
        self._where = where
        self._held_in = captions_held_in
        self._depth = depth
        self._watch = watch or (lambda _: None)

    def search(
        self, task: Dataset, judged: Judged, vectors: Mapping[str, FloatArray]
    ) -> Iterator[Found]:
        """See `Searcher`."""
        keys, hidden, legs = self._keys(task), self._hidden(task), self._legs(task)
        self._tell_absent(task, keys)
        place_of = {key: place for place, key in reversed([*enumerate(keys)]) if key is not None}
        for leg in (_fused(legs), *(legs if len(legs) > 1 else ())):
            ranks = np.full(len(judged.documents), np.inf)
            first = np.full((len(task.queries), FIRST), -1, np.int64)
            for number, item in enumerate(task.queries):
                self._watch(Progress(f"searches, {leg.name}", number, len(task.queries)))
                given = {space: rows[number] for space, rows in vectors.items()}
                hits = self._hits(task, Query((_part(item, given),), leg.weights, hidden))
                rank_of = {key: rank for rank, key in enumerate(hits, start=1)}
                for pair in range(judged.starts[number], judged.starts[number + 1]):
                    ranks[pair] = rank_of.get(keys[judged.documents[pair]] or "", np.inf)
                places = [place_of.get(key, -1) for key in hits[:FIRST]]
                first[number, : len(places)] = places
            yield Found(leg.name, Ranks(judged.starts, ranks, judged.gains, self._depth), first)

    def index_recall(self, task: Dataset, vectors: Mapping[str, FloatArray]) -> list[IndexRecall]:
        """See `Searcher`."""
        found = []
        for channel in self._channels(task):
            if channel.space in vectors:
                rows = vectors[channel.space]
                spread = np.linspace(0, len(rows) - 1, min(len(rows), ASKED)).astype(int)
                store = self._collection.backends.vectors[channel.key]
                name = f"{channel.key} by {task.queries[0].modality}"
                found.append(index_recall(store, name, rows[spread]))
        return found

    def searchable(self, task: Dataset) -> Card:
        """See `Searcher`."""
        keys = self._keys(task)
        backends = self._collection.backends
        known = {key for key in keys if key is not None}
        return {
            "collection": str(self._collection.directory),
            "documents": backends.documents.count(),
            "corpus": len(keys),
            "of the corpus in the collection": sum(key is not None for key in keys),
            "hits that it becomes": len(known),
            "legs": ", ".join(leg.name for leg in self._legs(task)),
            "documents hidden": len(self._hidden(task)),
            "filter": self._where or "none",
            "vectors": backends.manifest.vectors,
            "depth": self._depth,
        }

    def _hits(self, task: Dataset, query: Query) -> list[str]:
        """The keys of the hits of one query, best first."""
        modality = task.corpus[0].modality
        by_document = modality == "text"
        results = self._collection.search(
            query,
            k=self._depth,
            where=self._where,
            modality=modality,
            group_by="document" if by_document else "asset",
        )
        if results.degraded:
            self.notes += [note for note in results.notes if note not in self.notes]
        return [hit.document if by_document else hit.asset for hit in results]

    def _tell_absent(self, task: Dataset, keys: Sequence[str | None]) -> None:
        absent = sum(key is None for key in keys)
        if absent:
            note = (
                f"The collection lacks {absent:,} of {len(keys):,} {task.corpus[0].modality}s "
                f"of the data ({task.direction}): what asks for them counts as not found."
            )
            self.notes += [note] if note not in self.notes else []

    # What a task can find

    def _channels(self, task: Dataset) -> list[Channel]:
        """Those that may be searched: of pictures for pictures, unless captions are held in."""
        wanted = {task.corpus[0].modality}
        if self._may_read_captions(task):
            wanted.add("text")
        return [c for c in self._collection.manifest.channels if c.modality in wanted]

    def _may_read_captions(self, task: Dataset) -> bool:
        return self._held_in and task.queries[0].modality == "text"

    def _legs(self, task: Dataset) -> list[_Leg]:
        """Every leg of a task, alone."""
        silent = {channel.key: 0.0 for channel in self._collection.manifest.channels}
        legs = [
            _Leg(channel.key, Weights(0.0, {**silent, channel.key: 1.0}))
            for channel in self._channels(task)
        ]
        if self._may_read_captions(task):
            legs.append(_Leg("words", Weights(1.0, silent)))
        if not legs:
            raise UsageError(
                f"The collection {self._collection.directory} has no {task.corpus[0].modality} "
                "that could be searched.",
                advice="Index some, or evaluate an encoder by itself: --encoder URL.",
            )
        return legs

    def _hidden(self, task: Dataset) -> frozenset[str]:
        """Documents with a text that is asked with."""
        if not self._may_read_captions(task):
            return frozenset()
        asked = {_words(item.text) for item in task.queries}
        documents = self._collection.backends.documents.scan()
        return frozenset(d.id for d in documents if d.text is not None and _words(d.text) in asked)

    def _keys(self, task: Dataset) -> list[str | None]:
        """What each item of the corpus is among the hits; None for what the collection lacks."""
        if task.corpus[0].media is not None:
            assets = [item.asset for item in task.corpus]
            known = self._collection.backends.documents.of_assets(sorted(set(assets)))
            return [asset if asset in known else None for asset in assets]
        pictures = {item.id: item.asset for item in task.queries}
        owners = inverted(task.qrels)
        assets = [pictures.get(next(iter(owners.get(item.id, {})), ""), "") for item in task.corpus]
        captions = {
            (asset, _words(document.text)): document.id
            for asset, documents in self._collection.backends.documents.of_assets(
                sorted({asset for asset in assets if asset})
            ).items()
            for document in documents
            if document.kind == "passage" and document.span is None and document.text is not None
        }
        pairs = zip(assets, task.corpus, strict=True)
        return [captions.get((asset, _words(item.text))) for asset, item in pairs]


def embedding_of(collection: Collection, watch: Watcher | None = None) -> Embedding:
    """How a collection encodes: by the encoder of its first channel, questions as it asks them.

    Raises:
        UsageError: the collection has no channel.
    """
    backends = collection.backends
    if not backends.manifest.channels:
        raise UsageError(f"The collection {collection.directory} encodes nothing.")
    channel = backends.manifest.channels[0]

    def embedder(encoder: Encoder) -> Embedder:
        return Embedder(
            encoder,
            limits=backends.limits,
            folder=collection.settings.embeddings,
            stored=backends.probes,
            watch=watch,
        )

    queries: dict[Modality, Embedder] = {}
    for alias in channel.aliases:
        if (export := backends.alias(alias)) is not None:
            queries = {modality: embedder(export) for modality in alias.modalities} | queries
    return Embedding(channel.encoder, embedder(backends.encoder(channel)), queries)


def _fused(legs: Sequence[_Leg]) -> _Leg:
    """All legs at once, each with the weight that it has by itself."""
    keys = {key for leg in legs for key in leg.weights.channels}
    channels = {key: max(leg.weights.of_channel(key) for leg in legs) for key in keys}
    return _Leg("fused", Weights(max(leg.weights.words for leg in legs), channels))


def _part(item: Item, vectors: Mapping[str, FloatArray]) -> Part:
    if item.media is None:
        return Part(item.text, item.modality, vectors=vectors)
    return Part(item.media.read(), item.modality, name=item.media.name, vectors=vectors)


def _words(text: str) -> str:
    """A text as captions are kept: white space in single spaces."""
    return " ".join(text.split())

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
from dataclasses import dataclass, replace

import numpy as np

from .collection import Collection
from .errors import UsageError
from .evaluation.embeddings import Embedder, Embedding
from .evaluation.index_recall import index_recall
from .evaluation.qrels import inverted
from .evaluation.run import ranks_of
from .evaluation.schema import Dataset, IndexRecall, Item, Progress, Qrels, Watcher
from .evaluation.searcher import Card, Found
from .protocols import Encoder
from .query.fusion import Weights
from .query.parse import Part, Query
from .schema import Channel, FloatArray, Modality

FIRST = 10  # hits of a query that the report may show
ASKED = 200  # queries of index recall, evenly spread


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
        self.degraded = False
        self.collection = collection
        self.where = where
        self.held_in = captions_held_in
        self.depth = depth
        self.watch = watch or (lambda _: None)

    def open(self, task: Dataset) -> DeployedTask | None:
        """See `Searcher`."""
        opened = DeployedTask(self, task)
        absent, what = opened.keys.count(None), f"{task.corpus[0].modality}s of the data"
        if absent == len(opened.keys):
            self.note(
                f"The collection holds none of the {absent:,} {what}, so {task.direction} was not "
                "measured through it; `echolens index --captions` brings them in."
            )
            return None
        if absent:
            self.degraded = True
            self.note(
                f"The collection lacks {absent:,} of {len(opened.keys):,} {what}: what asks for "
                f"them counts as not found ({task.direction})."
            )
        return opened

    def note(self, text: str) -> None:
        """Say it once."""
        self.notes += [text] if text not in self.notes else []


@dataclass(frozen=True, slots=True)
class _Leg:
    """A way of searching: its name in the report, and the weights that leave it alone."""

    name: str
    weights: Weights


class DeployedTask:
    """One task and what a collection has to do with it. A `Searching`.

    Attributes:
        keys: what each item of the corpus is among the hits; None for what the collection lacks.
    """

    def __init__(self, asked: DeployedCollection, task: Dataset) -> None:
        self._asked = asked
        self._task = task
        self._modality = task.corpus[0].modality
        self._backends = asked.collection.backends
        self._reads_captions = asked.held_in and task.queries[0].modality == "text"
        self._legs = self._every_leg()
        self._hidden = self._documents_to_hide()
        self.keys = self._pictures() if task.corpus[0].media is not None else self._captions()

    def searchable(self) -> Card:
        """See `Searching`."""
        known = [key for key in self.keys if key is not None]
        return {
            "collection": str(self._asked.collection.directory),
            "documents": self._backends.documents.count(),
            "corpus": len(self.keys),
            "of the corpus in the collection": len(known),
            "hits that it becomes": len(set(known)),
            "legs": ", ".join(leg.name for leg in self._legs),
            "documents hidden": len(self._hidden),
            "filter": self._asked.where or "none",
            "vectors": self._backends.manifest.vectors,
            "depth": self._asked.depth,
        }

    def found(self, vectors: Mapping[str, FloatArray]) -> Iterator[Found]:
        """See `Searching`."""
        for leg in (_fused(self._legs), *(self._legs if len(self._legs) > 1 else ())):
            yield self._found_by(leg, vectors)

    def index_recall(self, vectors: Mapping[str, FloatArray]) -> list[IndexRecall]:
        """See `Searching`."""
        found = []
        for channel in self._channels():
            if channel.space in vectors:
                rows = vectors[channel.space]
                spread = np.linspace(0, len(rows) - 1, min(len(rows), ASKED)).astype(int)
                store = self._backends.vectors[channel.key]
                name = f"{channel.key} by {self._task.queries[0].modality}"
                found.append(index_recall(store, name, rows[spread]))
        return found

    def _found_by(self, leg: _Leg, vectors: Mapping[str, FloatArray]) -> Found:
        task, keys, watch = self._task, self.keys, self._asked.watch
        place_of = {key: place for place, key in reversed([*enumerate(keys)]) if key is not None}
        first = np.full((len(task.queries), FIRST), -1, np.int64)
        run: dict[str, tuple[tuple[str, float], ...]] = {}
        for number, item in enumerate(task.queries):
            watch(Progress(f"searches, {leg.name}", number, len(task.queries)))
            given = {space: rows[number] for space, rows in vectors.items()}
            hits = self._hits(Query((_part(item, given),), leg.weights, self._hidden))
            run[item.id] = tuple((key, 0.0) for key in hits)
            places = [place_of.get(key, -1) for key in hits[:FIRST]]
            first[number, : len(places)] = places
        ranks, _ = ranks_of(run, self._relevant_keys())
        return Found(leg.name, replace(ranks, depth=self._asked.depth), first)

    def _relevant_keys(self) -> Qrels:
        """The judgements by what is hit. Copies of a caption in one picture are one document."""
        key_of = {
            item.id: key or f"absent {item.id}"
            for item, key in zip(self._task.corpus, self.keys, strict=True)
        }
        return {
            item.id: {
                key_of[name]: gain
                for name, gain in self._task.qrels[item.id].items()
                if name in key_of
            }
            for item in self._task.queries
        }

    def _hits(self, query: Query) -> list[str]:
        """The keys of the hits of one query, best first."""
        by_document = self._modality == "text"
        results = self._asked.collection.search(
            query,
            k=self._asked.depth,
            where=self._asked.where,
            modality=self._modality,
            group_by="document" if by_document else "asset",
        )
        if results.degraded:
            self._asked.degraded = True
            for note in results.notes:
                self._asked.note(note)
        return [hit.document if by_document else hit.asset for hit in results]

    # What the task can find

    def _channels(self) -> list[Channel]:
        """Those that may be searched: of pictures for pictures, unless captions are held in."""
        wanted = {self._modality, *({"text"} if self._reads_captions else ())}
        return [c for c in self._backends.manifest.channels if c.modality in wanted]

    def _every_leg(self) -> list[_Leg]:
        silent = {channel.key: 0.0 for channel in self._backends.manifest.channels}
        legs = [
            _Leg(channel.key, Weights(0.0, {**silent, channel.key: 1.0}))
            for channel in self._channels()
        ]
        if self._reads_captions:
            legs.append(_Leg("words", Weights(1.0, silent)))
        if not legs:
            raise UsageError(
                f"The collection {self._asked.collection.directory} encodes no {self._modality} "
                "that could be searched.",
                advice="Evaluate an encoder that does by itself: --encoder URL.",
            )
        return legs

    def _documents_to_hide(self) -> frozenset[str]:
        """Documents with a text that is asked with."""
        if not self._reads_captions:
            return frozenset()
        asked = {_words(item.text) for item in self._task.queries}
        documents = self._backends.documents.scan()
        return frozenset(d.id for d in documents if d.text is not None and _words(d.text) in asked)

    def _pictures(self) -> list[str | None]:
        """The asset of each picture of the corpus that the collection holds."""
        assets = [item.asset for item in self._task.corpus]
        known = self._backends.documents.of_assets(sorted(set(assets)))
        return [asset if asset in known else None for asset in assets]

    def _captions(self) -> list[str | None]:
        """The document of each text of the corpus, in the picture that it belongs to."""
        pictures = {item.id: item.asset for item in self._task.queries}
        owners = inverted(self._task.qrels)
        assets = [
            pictures.get(next(iter(owners.get(item.id, {})), ""), "") for item in self._task.corpus
        ]
        documents = self._backends.documents.of_assets(sorted(set(assets) - {""}))
        captions = {
            (asset, _words(document.text)): document.id
            for asset, of_asset in documents.items()
            for document in of_asset
            if document.kind == "passage" and document.span is None and document.text is not None
        }
        pairs = zip(assets, self._task.corpus, strict=True)
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

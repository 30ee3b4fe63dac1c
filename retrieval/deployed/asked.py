"""The deployed way of an evaluation: a data set's queries, asked of a collection as users ask it.

Gets: a collection; tasks whose pictures were read. Gives: ranks, index recall, and what was
searchable. Touches: the collection, read-only. Never: measures anything by itself.

No leak: a caption that is asked with is never searchable. Texts ask for pictures through the legs
of pictures alone; where captions are held in, what else could be read is hidden
(`evaluation.held`). Films and sounds are asked for through every leg that knows a part of them,
what is said in them included; their captions are hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..collection import Collection
from ..errors import UsageError
from ..evaluation.embeddings import Embedder, Embedding
from ..evaluation.held import hidden_from, keys_of
from ..evaluation.identify import without_pictures
from ..evaluation.index_recall import index_recall
from ..evaluation.schema import (
    EXAMPLES,
    NOUNS,
    TIMED,
    Dataset,
    IndexRecall,
    Item,
    Progress,
    Watcher,
)
from ..evaluation.searcher import Card, Found, Parts
from ..evaluation.tasks import Task
from ..protocols import Encoder
from ..query.fusion import Weights
from ..query.parse import Part, Query
from ..query.present import Results
from ..query.where import holds, parse_where
from ..schema import Channel, FieldValue, FloatArray, Modality
from .moments import DeployedMoments

ASKED = 200  # queries of index recall, evenly spread


class DeployedCollection:
    """A collection, asked with a data set. A `Searcher`."""

    def __init__(
        self,
        collection: Collection,
        *,
        where: str | None = None,
        depth: int = 100,
        watch: Watcher | None = None,
    ) -> None:
        """Ask `collection`.

        Args:
            collection: stays the caller's to close.
            where: a filter that every search gets.
            depth: hits of a query; ranks beyond are unknown.
            watch: called with the progress.

        Raises:
            FilterError: the filter doesn't parse.
        """
        self.notes: list[str] = []
        self.degraded = False
        self.collection = collection
        self.where = where
        self.filter = parse_where(where, collection.manifest.fields) if where else None
        self.depth = depth
        self.watch = watch or (lambda _: None)

    def known(self, dataset: Dataset) -> Dataset:
        """See `Searcher`.

        Raises:
            UsageError: the filter leaves nothing.
        """
        items = [item for item in (*dataset.queries, *dataset.corpus) if item.media is not None]
        documents = self.collection.backends.documents
        seen = documents.sightings(sorted({item.asset for item in items}))
        left_out = {
            item.id
            for item in items
            if item.asset in seen
            and not any(holds(self.filter, place.fields) for place in seen[item.asset])
        }
        total = len({item.id for item in items})
        noun = NOUNS[items[0].modality if items else "image"]
        if left_out and len(left_out) == total:
            raise UsageError(
                f"The filter `{self.where}` leaves out all {total:,} {noun} of the data.",
                advice="See `echolens status` for the fields, or filter less.",
            )
        if left_out:
            self.note(f"The filter leaves out {len(left_out):,} of {total:,} {noun} of the data.")
        fields = {
            asset: next((p.fields for p in places if holds(self.filter, p.fields)), {})
            for asset, places in seen.items()
        }
        self._note_others(items, fields)
        known = without_pictures(dataset, left_out, f"{noun} that the filter leaves out")
        return replace(
            known,
            queries=tuple(_with_fields(item, fields) for item in known.queries),
            corpus=tuple(_with_fields(item, fields) for item in known.corpus),
            problems=dataset.problems,  # a filter is a wish, and no fault of the data
        )

    def _note_others(
        self, items: Sequence[Item], fields: Mapping[str, Mapping[str, FieldValue]]
    ) -> None:
        """Tell of what the collection takes for something else, such as a GIF for a picture."""
        others: dict[str, set[str]] = {}
        for item in items:
            held = fields.get(item.asset, {}).get("modality")
            if item.modality in TIMED and isinstance(held, str) and held != item.modality:
                others.setdefault(held, set()).add(item.id)
        for held, ids in others.items():
            wanted = next(item.modality for item in items)
            self.note(
                f"{len(ids):,} of the data's {NOUNS[wanted]} have the modality {held} in the "
                f"collection, so a search for {NOUNS[wanted]} doesn't find them "
                f"({', '.join(sorted(ids)[:EXAMPLES])})."
            )

    def parts(self, items: Sequence[Item]) -> list[Parts]:
        """See `Searcher`."""
        backends, modality = self.collection.backends, items[0].modality
        held = backends.documents.of_assets(sorted({item.asset for item in items}))
        found = []
        for channel in backends.manifest.channels:
            owned = {
                document.id: place
                for place, item in enumerate(items)
                for document in held.get(item.asset, ())
                if document.channel == channel.key and channel.modality == modality
            }
            vectors = backends.vectors[channel.key].get(list(owned)) if owned else {}
            if vectors:
                known = [name for name in owned if name in vectors]
                owners = np.array([owned[name] for name in known], np.int64)
                rows = np.stack([vectors[name] for name in known])
                embedding = embedding_of(self.collection, self.watch, channel)
                found.append(Parts(channel.key, embedding, rows, owners))
        return found

    def open(self, task: Task) -> DeployedTask | None:
        """See `Searcher`."""
        opened = DeployedTask(self, task)
        direction, absent = task.direction, opened.keys.count(None)
        what = f"{NOUNS[direction.corpus[0].modality]} of the data"
        if absent == len(opened.keys):
            self.note(
                f"The collection holds none of the {absent:,} {what}, so {direction.direction} was "
                "not measured through it.",
                degrades=True,
            )
            return None
        if absent:
            self.note(
                f"The collection lacks {absent:,} of {len(opened.keys):,} {what}: what asks for "
                f"them counts as not found ({direction.direction}).",
                degrades=True,
            )
        if opened.lacks_held_in:
            self.note(
                f"The collection lacks {opened.lacks_held_in:,} of {len(task.held_in):,} captions "
                "that are held in.",
                degrades=True,
            )
        return opened

    def open_moments(self, films: Sequence[Item]) -> DeployedMoments | None:
        """See `evaluation.searcher.MomentSearcher`."""
        opened = DeployedMoments(
            self.collection, films, where=self.filter, depth=self.depth, hear=self.hear
        )
        if len(opened.lacking) == len(films):
            self.note("The collection holds no film that is asked about.", degrades=True)
            return None
        return opened

    def hear(self, results: Results) -> None:
        """Note what a result says of a part that was missing."""
        if results.degraded:
            for note in results.notes:
                self.note(note, degrades=True)

    def note(self, text: str, *, degrades: bool = False) -> None:
        """Say it once."""
        self.notes += [text] if text not in self.notes else []
        self.degraded |= degrades


@dataclass(frozen=True, slots=True)
class _Leg:
    """A way of searching: its name in the report, and the weights that leave it alone."""

    name: str
    weights: Weights


class DeployedTask:
    """One task and what a collection has to do with it. A `Searching`.

    Attributes:
        keys: what each item of the corpus is among the hits; None for what the collection lacks.
        lacks_held_in: how many captions that are held in the collection doesn't hold.
    """

    def __init__(self, deployed: DeployedCollection, task: Task) -> None:
        self._deployed = deployed
        self._task = task
        self._modality = task.direction.corpus[0].modality
        self._backends = deployed.collection.backends
        self.keys = keys_of(task.direction, self._backends.documents)
        hidden = hidden_from(task, self._backends.documents)
        self._hidden, self.lacks_held_in = hidden.documents, hidden.lacking
        self._parts = self._known_parts() if self._modality in TIMED else (frozenset(), False)
        self._legs = self._every_leg()

    def searchable(self) -> Card:
        """See `Searching`."""
        known = [key for key in self.keys if key is not None]
        return {
            "collection": str(self._deployed.collection.directory),
            "documents": self._backends.documents.count(),
            "corpus": len(self.keys),
            "of the corpus in the collection": len(known),
            "hits that it becomes": len(set(known)),
            "legs": ", ".join(leg.name for leg in self._legs),
            "captions held in": len(self._task.held_in) - self.lacks_held_in,
            "documents hidden": len(self._hidden),
            "filter": self._deployed.where or "none",
            "vectors": self._backends.manifest.vectors,
            "depth": self._deployed.depth,
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
                if store.count():
                    found.append(index_recall(store, name, rows[spread]))
        return found

    def _found_by(self, leg: _Leg, vectors: Mapping[str, FloatArray]) -> Found:
        """Ask every query through one leg, or all of them.

        A document that several equal captions of a picture are takes a rank for each, in the order
        of the data, as they do where they are ranked by themselves.
        """
        queries, depth = self._task.queries, self._deployed.depth
        places_of: dict[str, list[int]] = {}
        for place, key in enumerate(self.keys):
            if key is not None:
                places_of.setdefault(key, []).append(place)
        found = np.full((len(queries), depth), -1, np.int64)
        for number, item in enumerate(queries):
            self._deployed.watch(Progress(f"searches, {leg.name}", number, len(queries)))
            given = {space: rows[number] for space, rows in vectors.items()}
            hits = self._hits(Query((_part(item, given),), leg.weights, self._hidden))
            places = [place for key in hits for place in places_of.get(key, [-1])][:depth]
            found[number, : len(places)] = places
        return Found(leg.name, found)

    def _hits(self, query: Query) -> list[str]:
        """The keys of the hits of one query, best first."""
        by_document = self._modality == "text"
        results = self._deployed.collection.search(
            query,
            k=self._deployed.depth,
            where=self._deployed.filter,
            modality=self._modality,
            group_by="document" if by_document else "asset",
        )
        self._deployed.hear(results)
        return [hit.document if by_document else hit.asset for hit in results]

    # What the task can find

    def _known_parts(self) -> tuple[frozenset[str], bool]:
        """Of films and sounds: channels that know a part of one, and whether there are words."""
        assets = sorted({item.asset for item in self._task.direction.corpus})
        seen = [
            document
            for documents in self._backends.documents.of_assets(assets).values()
            for document in documents
            if document.id not in self._hidden
        ]
        return frozenset(one.channel for one in seen), any(one.text is not None for one in seen)

    def _channels(self) -> list[Channel]:
        """Those that may be searched: of pictures for pictures, unless captions are held in."""
        if self._modality in TIMED:
            return [c for c in self._backends.manifest.channels if c.key in self._parts[0]]
        wanted = {self._modality, *({"text"} if self._task.held_in else ())}
        return [c for c in self._backends.manifest.channels if c.modality in wanted]

    def _every_leg(self) -> list[_Leg]:
        silent = {channel.key: 0.0 for channel in self._backends.manifest.channels}
        legs = [
            _Leg(channel.key, Weights(0.0, {**silent, channel.key: 1.0}))
            for channel in self._channels()
        ]
        if self._task.held_in or self._parts[1]:
            legs.append(_Leg("words", Weights(1.0, silent)))
        lacks_all = self._modality in TIMED and not any(self.keys)  # which is told in a note
        if not legs and not lacks_all:
            raise UsageError(
                f"The collection {self._deployed.collection.directory} encodes no "
                f"{self._modality} that could be searched.",
                advice="Evaluate an encoder that does by itself: --encoder URL."
                if self._modality not in TIMED
                else "Make a collection that does: see --encoder, --audio-encoder and "
                "--transcriber of `echolens index`.",
            )
        return legs


def embedding_of(
    collection: Collection, watch: Watcher | None = None, channel: Channel | None = None
) -> Embedding:
    """How a collection encodes: by the encoder of a channel, questions as it asks them.

    Args:
        collection: stays open.
        watch: called with the progress.
        channel: None for the first.

    Raises:
        UsageError: the collection has no channel.
    """
    backends = collection.backends
    if not backends.manifest.channels:
        raise UsageError(f"The collection {collection.directory} encodes nothing.")
    channel = channel or backends.manifest.channels[0]

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


def _with_fields(item: Item, of_assets: Mapping[str, Mapping[str, FieldValue]]) -> Item:
    """A picture with the fields that a collection has of it, its own ones first."""
    if item.media is None or item.asset not in of_assets:
        return item
    return replace(item, fields={**of_assets[item.asset], **item.fields})

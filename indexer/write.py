"""The only module that writes to the stores: a batch of read files, or the end of an asset.

Gets: entries (a sighting with what was read of it). Gives: nothing; when `Writer.write` returns,
everything is durable. Touches: stores and ledger. Never: decodes.

The order is the promise. Vectors come first, then documents with their sightings (the commit
point: a vector without a document is invisible), then what the asset no longer has is deleted,
then the ledger row. Killed between any two steps, the next run finds no row, or an open recheck,
and does the asset again; ids are deterministic, so that changes nothing that is right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from retrieval.query.backends import Backends
from retrieval.schema import CHANNEL_OF_KIND, Document, Draft, Kind, Sighting

from .ledger import Ledger, Row
from .schema import Encodable, Encoded


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was read.

    Attributes:
        drafts: its documents; None when the asset's are known already.
        row: what the ledger will say once everything is durable.
        left: the asset that the same path had before, if it was another.
    """

    sighting: Sighting
    drafts: tuple[Draft, ...] | None
    row: Row
    left: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of some assets: documents to encode, documents to keep, ids to delete."""

    encodables: tuple[Encodable, ...]
    stale: tuple[Document, ...]


class Writer:
    """Writes batches of entries, and reconciles assets whose sightings changed."""

    def __init__(self, backends: Backends, ledger: Ledger) -> None:
        self._backends = backends
        self._ledger = ledger

    def plan(self, entries: Sequence[Entry]) -> Plan:
        """Work out which documents the entries' assets have from now on."""
        by_asset: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_asset[entry.sighting.asset].append(entry)
        known = self._backends.documents.of_assets(list(by_asset))
        sightings = self._backends.documents.sightings(list(by_asset))
        encodables: list[Encodable] = []
        stale: list[Document] = []
        for asset, members in by_asset.items():
            replaced = {entry.sighting.uri for entry in members}
            others = [s for s in sightings.get(asset, []) if s.uri not in replaced]
            fresh, gone = self._plan_asset(asset, members, others, known.get(asset, []))
            encodables += fresh
            stale += gone
        return Plan(tuple(encodables), tuple(stale))

    def _plan_asset(
        self,
        asset: str,
        members: Sequence[Entry],
        others: Sequence[Sighting],
        known: Sequence[Document],
    ) -> tuple[list[Encodable], list[Document]]:
        drafts = next((e.drafts for e in members if e.drafts is not None), None)
        wanted = {
            encodable.document.id: encodable
            for draft in drafts or ()
            for encodable in [self._encodable(asset, draft)]
        }
        content = set(wanted)
        if drafts is None:
            content = {document.id for document in known if not is_caption(document)}
        captions = self.captions(asset, [*others, *(e.sighting for e in members)])
        known_ids = {document.id for document in known}
        wanted.update((c.document.id, c) for c in captions if c.document.id not in known_ids)
        kept = content | {c.document.id for c in captions}
        return list(wanted.values()), [d for d in known if d.id not in kept]

    def _encodable(self, asset: str, draft: Draft) -> Encodable:
        document = Document.of(asset, draft.kind, self._key(draft.kind), draft.span, draft.text)
        return Encodable(document, draft.inputs)

    def captions(self, asset: str, sightings: Iterable[Sighting]) -> list[Encodable]:
        """The documents of the captions that sightings of an asset give, each once."""
        texts = dict.fromkeys(text for sighting in sightings for text in sighting.captions)
        return [self._encodable(asset, Draft("passage", (t,), text=t)) for t in texts]

    def _key(self, kind: Kind) -> str:
        channel = self._backends.manifest.channel(CHANNEL_OF_KIND[kind])
        return channel.key if channel else ""

    def write(self, entries: Sequence[Entry], plan: Plan, encoded: Mapping[str, Encoded]) -> None:
        """Make a batch durable, in the order that the module's docstring gives."""
        self._ledger.intend_recheck({entry.left for entry in entries if entry.left})
        for key, vectors in encoded.items():
            self._backends.vectors[key].upsert(vectors.ids, vectors.vectors)
        self._backends.documents.upsert(
            [encodable.document for encodable in plan.encodables],
            [entry.sighting for entry in entries],
        )
        self._delete(plan.stale)
        self._ledger.put(entry.row for entry in entries)

    def reconcile(self, asset: str) -> None:
        """Make an asset's documents follow its sightings, and these follow the ledger.

        A sighting that the ledger doesn't hold (or holds as erased) is forgotten, a caption that
        no sighting gives any more is deleted, and an asset without a sighting is erased.
        """
        store = self._backends.documents
        sightings = store.sightings([asset]).get(asset, [])
        rows = self._ledger.rows([sighting.uri for sighting in sightings])
        lost = [s.uri for s in sightings if not _holds(rows.get(s.uri), asset)]
        if lost:
            store.forget(lost)
        left = [s for s in sightings if s.uri not in set(lost)]
        documents = store.of_assets([asset]).get(asset, [])
        if left:
            captions = {c.document.id for c in self.captions(asset, left)}
            documents = [d for d in documents if is_caption(d) and d.id not in captions]
        self._delete(documents)
        if not left:
            self._backends.assets.delete(asset)
        self._ledger.close_recheck([asset])

    def _delete(self, documents: Sequence[Document]) -> None:
        if documents:
            self._ledger.intend_deletion(documents)
            self.finish_deletions()

    def finish_deletions(self) -> None:
        """Delete what is intended to be deleted: the documents, then their vectors."""
        by_channel: dict[str, list[str]] = defaultdict(list)
        for name, channel in self._ledger.deletions():
            by_channel[channel].append(name)
        for key, names in by_channel.items():
            self._backends.documents.delete(names)
            if key:
                self._backends.vectors[key].delete(names)
        if by_channel:
            self._ledger.close_deletions()


def is_caption(document: Document) -> bool:
    """Whether a document is a caption of its asset, rather than a part of its bytes."""
    return document.kind == "passage" and document.span is None


def _holds(row: Row | None, asset: str) -> bool:
    # A file that can't be read just now is "skipped" and keeps the asset that it had.
    return row is not None and row.asset == asset and row.outcome != "erased"

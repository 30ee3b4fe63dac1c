"""The only module that writes to the stores: a batch of read files, or the end of an asset.

Gets: entries (a sighting with what was read of it). Gives: nothing; when `Writer.write` returns,
everything is durable. Touches: stores and ledger; the files whose bytes a store keeps, read-only.
Never: decodes.

The order is the promise. Before anything reaches a store, the ledger holds what is on its way.
Then come the assets' bytes, the vectors, the thumbnails, and the documents with their sightings
(the commit point: a vector without a document is invisible); then what the asset no longer has is
deleted; then the ledger row closes it. Killed between any two steps, the next run first looks at
all that was on its way: what no file has any more is erased, and a file that is there is done
again; ids are deterministic, so that changes nothing that is right.

A film is written stretch by stretch, each made durable like a file; the ledger knows the stretches
until the film is done to its end, and its file as one to be redone. So a run that is killed in the
middle of a film is gone on with there, and what the film no longer has is deleted at its end.

A sighting without a ledger row is not forgotten while its file may be there: the ledger may have
been lost, and no run or repair may take that for a wish to erase.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.errors import BadInputError
from retrieval.query.backends import Backends
from retrieval.schema import (
    CHANNEL_OF_KIND,
    Document,
    Draft,
    Sighting,
    SkipReason,
    Span,
    Thumbnail,
    is_here,
    path_of,
)

from .files import is_gone
from .ledger import Ledger, chunks
from .removed import RemovedAssets
from .rows import Done, Row
from .schema import Encodable, Encoded

REMOVED = "its bytes were taken out; `index --restore` takes them back"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was read, or a stretch of it.

    Attributes:
        drafts: its documents; None when the asset's are known already.
        row: what the ledger will say once everything is durable, to the file's end.
        known: what it says of the same path so far.
        start, following: of a stretch, in seconds; see `timed.Stretch`.
        script: what is left of its transcript.
        making: see `Done.making`.
    """

    sighting: Sighting
    drafts: tuple[Draft, ...] | None
    row: Row
    known: Row | None = None
    start: float = 0.0
    following: float | None = None
    script: str | None = None
    making: str = ""

    @property
    def left(self) -> str | None:
        """The asset that the same path had before, if it was another."""
        before = self.known.asset if self.known else None
        return before if before != self.sighting.asset else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of some assets: documents to encode, documents to keep, ids to delete."""

    encodables: tuple[Encodable, ...]
    stale: tuple[Document, ...]


class Writer:
    """Writes batches of entries, and reconciles assets whose sightings changed."""

    def __init__(self, backends: Backends, ledger: Ledger) -> None:
        self.removed = RemovedAssets(backends.documents)
        self._backends = backends
        self._ledger = ledger

    def keep(
        self, entries: Sequence[Entry]
    ) -> tuple[list[Entry], list[tuple[Entry, BadInputError]]]:
        """Write down what is on its way and keep the assets' bytes, before anything else.

        Returns:
            The entries that go on, and those whose file can't be read any more, with the reason.
            What was read of such a file serves another one of the same bytes.
        """
        self._ledger.intend_arrivals((entry.sighting.asset, "", "") for entry in entries)
        self._ledger.intend_recheck({entry.left for entry in entries if entry.left})
        self._ledger.remake(
            (entry.sighting.asset, entry.row.recipe, entry.row.uri)
            for entry in entries
            if entry.drafts is not None
        )
        kept: list[Entry] = []
        refused: list[tuple[Entry, BadInputError]] = []
        for entry in entries:
            try:
                self._keep_asset(entry.sighting)
            except BadInputError as error:
                refused.append((entry, error))
            else:
                kept.append(entry)
        spare = {e.sighting.asset: e for e, _ in refused if e.drafts is not None}
        return [_with_drafts(entry, spare) for entry in kept], refused

    def _keep_asset(self, sighting: Sighting) -> None:
        try:
            file = Path(path_of(sighting.uri)).open("rb")  # noqa: SIM115 - closed below
        except FileNotFoundError as error:
            raise BadInputError(SkipReason.DISAPPEARED, "was listed and is gone") from error
        except OSError as error:
            reason = f"can't be read: {error.strerror or error}"
            raise BadInputError(SkipReason.UNREADABLE, reason) from error
        with file:
            self._backends.assets.put(sighting.asset, file)

    def plan(self, entries: Sequence[Entry]) -> Plan:
        """Work out which documents the entries' assets have from now on."""
        by_asset: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_asset[entry.sighting.asset].append(entry)
        # Of a film that goes on nothing is stale before it ends, and it may have much.
        going = {entry.sighting.asset for entry in entries if entry.following is not None}
        known = self._backends.documents.of_assets([a for a in by_asset if a not in going])
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
        read = next((entry for entry in members if entry.drafts is not None), None)
        wanted = {
            encodable.document.id: encodable
            for draft in (read.drafts or () if read else ())
            for encodable in self._encodables(asset, draft)
        }
        content = set(wanted)
        if read is None:
            content |= {document.id for document in known if not document.is_caption}
        elif read.following is None:
            done = self._ledger.stretches(asset, read.making)
            content.update(id_ for stretch in done for id_ in stretch.documents)
        captions = self.captions(asset, [*others, *(e.sighting for e in members)])
        if read is not None and read.following is not None:
            known = [*self._backends.documents.get([c.document.id for c in captions]).values()]
        known_ids = {document.id for document in known}
        wanted.update((c.document.id, c) for c in captions if c.document.id not in known_ids)
        kept = content | {c.document.id for c in captions}
        return list(wanted.values()), [d for d in known if d.id not in kept]

    def _encodables(self, asset: str, draft: Draft) -> Iterator[Encodable]:
        """A document in each channel that takes it; a text that none takes is found by words."""
        channels = self._backends.manifest.channels_of(CHANNEL_OF_KIND[draft.kind])
        keys = [channel.key for channel in channels] or ([""] if draft.text is not None else [])
        for key in keys:
            document = Document.of(asset, draft.kind, key, draft.span, draft.text)
            yield Encodable(document, draft.inputs)

    def captions(self, asset: str, sightings: Iterable[Sighting]) -> list[Encodable]:
        """The documents of the captions that sightings of an asset give, each once."""
        texts = dict.fromkeys(text for sighting in sightings for text in sighting.captions)
        drafts = (Draft("passage", (text,), text=text) for text in texts)
        return [encodable for draft in drafts for encodable in self._encodables(asset, draft)]

    def write(self, entries: Sequence[Entry], plan: Plan, encoded: Mapping[str, Encoded]) -> None:
        """Make a batch durable, in the order that the module's docstring gives."""
        new = [encodable.document for encodable in plan.encodables]
        self._ledger.intend_arrivals((d.asset, d.id, d.channel) for d in new if d.channel)
        by_id = {document.id: document for document in new}
        for key, vectors in encoded.items():
            documents = [by_id[id_] for id_ in vectors.ids]
            self._backends.vectors[key].upsert(vectors.ids, vectors.vectors, documents)
        self._backends.thumbnails.replace(_thumbnails(entries))
        self._backends.documents.upsert(new, [entry.sighting for entry in entries])
        self._delete(plan.stale)
        self._ledger.arrived(map(_row, entries), self._begun(entries, new))

    @staticmethod
    def _begun(entries: Sequence[Entry], documents: Iterable[Document]) -> Iterator[Done]:
        """The stretches after which the file goes on, with their documents."""
        ids: dict[str, list[str]] = defaultdict(list)
        for document in documents:
            if not document.is_caption:
                ids[document.asset].append(document.id)
        for entry in entries:
            if entry.following is not None:
                asset = entry.sighting.asset
                yield Done(
                    asset, entry.start, entry.making, entry.following,
                    tuple(ids[asset]), entry.script,
                )  # fmt: skip

    def finish(self) -> None:
        """Finish what was begun: in this run, or in one that was killed, or by another machine."""
        self._follow_removals()
        self._delete_begun(spared=self._brought_back())
        arrivals = self._ledger.arrivals()
        by_channel: dict[str, list[str]] = defaultdict(list)
        for _, name, channel in arrivals:
            by_channel[channel].append(name)
        for key in by_channel.keys() & self._backends.vectors.keys():
            known = self._backends.documents.get(by_channel[key])
            self._backends.vectors[key].delete([n for n in by_channel[key] if n not in known])
        for asset in sorted({asset for asset, *_ in arrivals} | set(self._ledger.rechecks())):
            self.reconcile(asset)
        self._ledger.arrived(())
        self._ledger.close_departures()
        self.forget_thumbnails()

    def _brought_back(self) -> set[str]:
        """Ids of documents that were still to be deleted, and that another machine's files have.

        A run that ended early had seen no such file. Their assets are looked at again instead.
        """
        store = self._backends.documents
        found = store.get([name for name, _ in self._ledger.deletions()])
        sightings = store.sightings(sorted({document.asset for document in found.values()}))
        known = self._ledger.rows([s.uri for its in sightings.values() for s in its])
        theirs = {asset for asset, its in sightings.items() if any(s.uri not in known for s in its)}
        self._ledger.intend_recheck(theirs)
        return {name for name, document in found.items() if document.asset in theirs}

    def _follow_removals(self) -> None:
        """Leave files out whose assets were removed by their ids, here or on another machine."""
        if not (removed := list(self.removed)):
            return
        rows = [row for asset in removed for row in self._ledger.holding(asset)]
        seen = self._backends.documents.sightings(removed)
        self._ledger.intend_recheck([*seen, *(row.asset for row in rows if row.asset)])
        self._ledger.put(
            replace(row, asset=None, outcome="skipped", reason=SkipReason.REMOVED,
                    message=REMOVED, given=None)
            for row in rows
        )  # fmt: skip

    def forget_thumbnails(self) -> None:
        """Erase those of assets that no file has any more, here or on another machine."""
        if stray := list(self.stray_thumbnails()):
            self._backends.thumbnails.forget(stray)

    def stray_thumbnails(self) -> Iterator[str]:
        """The assets that have thumbnails, and no file."""
        for assets in chunks(self._backends.thumbnails.assets()):
            seen = self._backends.documents.sightings(assets)
            yield from (asset for asset in assets if asset not in seen)

    def reconcile(self, asset: str) -> None:
        """Make an asset's documents follow its sightings, and these follow the ledger.

        Sightings on other machines stay, unless the asset was removed by its id: those machines'
        ledgers know of them. Of those here, one
        that the ledger holds with another asset or as erased is forgotten, as is one
        that it doesn't hold and that departed, or whose file is gone. One that it doesn't hold and
        whose file may be there gets a row, so that the next run does it again. A caption that no
        sighting gives any more is deleted, and an asset without a sighting is erased.
        """
        store = self._backends.documents
        sightings = store.sightings([asset]).get(asset, [])
        every = {sighting.uri for sighting in sightings}
        lost = every if asset in self.removed else self._lost(asset, sightings)
        if lost:
            store.forget(sorted(lost))
        left = [s for s in sightings if s.uri not in lost]
        if not left:
            self._ledger.forget_stretches(asset)
        documents = store.of_assets([asset]).get(asset, [])
        if left:
            captions = {c.document.id for c in self.captions(asset, left)}
            documents = [d for d in documents if d.is_caption and d.id not in captions]
        self._delete(documents)
        if not left:
            self._backends.assets.delete(asset)
        self._ledger.close_recheck([asset])

    def _lost(self, asset: str, sightings: Sequence[Sighting]) -> set[str]:
        """URIs of the sightings to forget; one without a row whose file may be there gets a row."""
        uris = [sighting.uri for sighting in sightings if is_here(sighting.uri)]
        rows = self._ledger.rows(uris)
        unknown = [uri for uri in uris if uri not in rows]
        departed = self._ledger.departed(unknown)
        gone = {uri for uri in unknown if uri in departed or is_gone(path_of(uri))}
        self._ledger.put(Row(u, "", asset, "", "indexed") for u in unknown if u not in gone)
        return gone | {uri for uri, row in rows.items() if not _holds(row, asset)}

    def _delete(self, documents: Sequence[Document]) -> None:
        if documents:
            self._ledger.intend_deletion(documents)
            self._delete_begun()

    def _delete_begun(self, spared: Collection[str] = ()) -> None:
        """Delete what is intended to be deleted: the documents, then their vectors."""
        deletions = self._ledger.deletions()
        by_channel: dict[str, list[str]] = defaultdict(list)
        for name, channel in deletions:
            if name not in spared:
                by_channel[channel].append(name)
        for key, names in by_channel.items():
            self._backends.documents.delete(names)
            if key:
                self._backends.vectors[key].delete(names)
        if deletions:
            self._ledger.close_deletions()


def _with_drafts(entry: Entry, spare: Mapping[str, Entry]) -> Entry:
    """The entry, with what was read of another file of its bytes if that one dropped out."""
    read = spare.get(entry.sighting.asset)
    if entry.drafts is not None or read is None:
        return entry
    row = replace(entry.row, outcome="indexed", has_gap=read.row.has_gap)
    return replace(entry, drafts=read.drafts, making=read.making, row=row)


def _thumbnails(entries: Iterable[Entry]) -> Iterator[tuple[str, Span, list[Thumbnail]]]:
    """What was read of each asset's pictures, by the stretch."""
    for entry in entries:
        if entry.drafts is not None:
            end = math.inf if entry.following is None else entry.following
            found = (draft.thumbnail for draft in entry.drafts)
            yield entry.sighting.asset, Span(entry.start, end), [t for t in found if t is not None]


def _row(entry: Entry) -> Row:
    """What the ledger says of a file; while it isn't done to its end, that it is to be redone."""
    return entry.row if entry.following is None else replace(entry.row, signature="", recipe="")


def _holds(row: Row, asset: str) -> bool:
    # A file that can't be read just now is "skipped" and keeps the asset that it had.
    return row.asset == asset and row.outcome != "erased"

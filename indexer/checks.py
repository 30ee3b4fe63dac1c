"""The comparisons that `verify` makes, step by step: every part with every other.

Gets: an opened collection and its `Writer`. Gives: what doesn't fit together, a line each. Touches:
every store and the ledger, read-only; with `repair` it writes. Never: the user's files.

What a killed run has begun and the next one finishes is no damage: it is noted, and what it
concerns isn't looked at; `repair` finishes it first. Without the encoder's package or weights the
rest is compared, and the report says that no sample was encoded.

What can't be built from what is there is taken out whole and left to the next indexing run, which
does those files again: nothing is guessed. Of a file on another machine only that machine can do
so: it is told, left as it is, and mended by `repair` there.

Stores are read page by page and asked about many at once. What is kept of them is what is wrong,
and 32 bytes of each copy of an asset. Each step mends what it has found after it has read
everything, the ledger first: killed in between, nothing is forgotten.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Collection as Some
from dataclasses import dataclass, field
from functools import partial

from retrieval import registry
from retrieval.errors import BadInputError, MissingPartError
from retrieval.protocols import Problem
from retrieval.schema import (
    CHANNEL_OF_KIND,
    INPUT_OF_MODALITY,
    Document,
    Sighting,
    Wants,
    is_here,
    path_of,
    printable,
)

from .ledger import chunks
from .mending import Copies, Mending
from .opening import Session, prove_encoders
from .recipes import is_timed
from .sharing import hosts_of
from .write import Writer

SAMPLE = 32
ALIKE = 0.999  # an honest encoder repeats itself far closer; another picture is far below
_DOCUMENT = re.compile("[0-9a-f]{32}")
_ALL_GONE = "its copy is gone, and so is the file"
_Seen = list[Sighting]


@dataclass
class Check:
    """One comparison of all parts of a collection, and what it has found so far."""

    session: Session
    writer: Writer
    repair: bool
    checked: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    repaired: int = 0
    notes: list[str] = field(default_factory=list)
    complete: bool = True
    going: set[str] = field(default_factory=set)  # documents that come or go
    changing: set[str] = field(default_factory=set)  # assets whose documents have yet to follow
    elsewhere: set[str] = field(default_factory=set)  # machines that alone can mend something
    samples: dict[str, list[str]] = field(default_factory=dict)  # ids to encode again, by channel

    def __post_init__(self) -> None:
        self.mending = Mending(self.session.backends, self.session.ledger, self.writer)
        self.copies = Copies(())

    def run(self, damaged: Mapping[str, Sequence[Problem]]) -> None:
        """Look at everything; `damaged` is what the vector stores say of single vectors."""
        self.encoders()
        self.begun()
        steps: list[Callable[[], None]] = [
            partial(self.files, damaged),
            self.vectors,
            self.documents,
            self.sightings,
            self.ledger,
            self.assets,
            self.thumbnails,
            *([self.sample] if self.complete else []),
        ]
        for step in steps:
            step()
            self.mending.do()
        for host in sorted(self.elsewhere):
            self.notes.append(
                f"What is damaged of the files of {host} can be mended there alone: run `echolens "
                "verify --repair` on it."
            )

    def found(self, problem: str, mend: Callable[[], object] | None = None) -> None:
        """Note a problem, and that it is to be mended if that was asked for and can be done."""
        self.problems.append(problem)
        if self.repair and mend is not None:
            mend()
            self.repaired += 1

    def encoders(self) -> None:
        """An encoder that went wrong is refused; one that isn't here can't encode a sample."""
        try:
            prove_encoders(self.session.backends)
        except MissingPartError as error:
            self.complete = False
            self.notes.append(f"No sample was encoded again: {error} {error.advice}".strip())

    def begun(self) -> None:
        """What a run that was killed has begun: finished when repairing, else noted."""
        ledger = self.session.ledger
        if self.repair:
            self.writer.finish()
        deletions, arrivals, rechecks = ledger.deletions(), ledger.arrivals(), ledger.rechecks()
        self.going = {name for name, _ in deletions} | {name for _, name, _ in arrivals}
        self.changing = {asset for asset, *_ in arrivals} | set(rechecks)
        for begun, what in (
            (deletions, "documents to delete"),
            (arrivals, "documents or copies to write"),
            (rechecks, "assets whose sightings have changed"),
        ):
            if begun:
                self.notes.append(
                    f"A run that was ended has begun with {len(begun)} {what}; the next one "
                    "finishes that."
                )

    def files(self, damaged: Mapping[str, Sequence[Problem]]) -> None:
        """What the stores found wrong with single vectors, when `Salvage` looked at them."""
        for key, problems in damaged.items():
            for chunk in chunks(problems):
                known = self._documents([one.id for one in chunk if _DOCUMENT.fullmatch(one.id)])
                seen = self._seen(known.values())
                for one in chunk:
                    mend: Callable[[], object] | None = None
                    if one.id in known:
                        mend = self._taking_out(known[one.id], seen)
                    elif _DOCUMENT.fullmatch(one.id):
                        mend = partial(self.mending.drop_vector, key, one.id)
                    self.found(f"vectors {key}: {one.id}: {one.message}", mend)

    def vectors(self) -> None:
        """Vectors without a document: invisible, and in the way."""
        for key, store in self.session.backends.vectors.items():
            sample: list[str] = []
            for ids in chunks(store.scan()):
                self.checked["vectors"] += len(ids)
                known = self._documents(ids)
                sample = heapq.nsmallest(SAMPLE, [*sample, *known])
                for name in ids:
                    if name not in known and name not in self.going:
                        self.found(
                            f"vectors {key}: {name}: has no document",
                            partial(self.mending.drop_vector, key, name),
                        )
            self.samples[key] = sample

    def documents(self) -> None:
        """Documents without a vector, or of an asset that no file has."""
        for documents in chunks(self.session.backends.documents.scan()):
            self.checked["documents"] += len(documents)
            seen = self._seen(documents)
            for document in documents:
                if document.asset not in seen and document.asset not in self.changing:
                    self.found(
                        f"document {document.id} of {document.asset[:12]}: no file has its asset",
                        partial(self.mending.reconcile, document.asset),
                    )
            self._without_vector(documents, seen)

    def _without_vector(self, documents: Sequence[Document], seen: Mapping[str, _Seen]) -> None:
        for key, store in self.session.backends.vectors.items():
            ids = [document.id for document in documents if document.channel == key]
            held = store.get(ids) if ids else {}
            for document in documents:
                lost = document.channel == key and document.id not in held
                if lost and document.id not in self.going:
                    self.found(
                        f"document {document.id}: has no vector in {key}",
                        self._taking_out(document, seen),
                    )

    def sightings(self) -> None:
        """Sightings that the ledger doesn't hold, or whose documents or copy are gone."""
        backends = self.session.backends
        self.copies = Copies(backends.assets.scan())
        for chunk in chunks(backends.documents.scan_sightings()):
            # What is on another machine, that one's ledger knows of.
            sightings = [one for one in chunk if is_here(one.uri)]
            assets = sorted({sighting.asset for sighting in sightings})
            rows = self.session.ledger.rows([sighting.uri for sighting in sightings])
            known = backends.documents.of_assets(assets)
            uncopied = self.copies.lacking(assets) if backends.assets.copies else set()
            for sighting in sightings:
                row, path = rows.get(sighting.uri), path_of(sighting.uri)
                asset = sighting.asset
                if asset in self.changing:
                    continue
                if row is None or row.asset != asset:
                    self.found(
                        f"{printable(path)}: is in the store, not in the ledger",
                        partial(self.mending.reconcile, asset),
                    )
                elif row.recipe and asset not in self.mending.redone:
                    for lack in self._lacks(sighting, known.get(asset, []), uncopied):
                        mend = partial(self.mending.redo, asset)
                        self.found(
                            f"{printable(path)}: {lack}", None if lack == _ALL_GONE else mend
                        )

    def _lacks(
        self, sighting: Sighting, documents: Sequence[Document], uncopied: Some[str]
    ) -> Iterator[str]:
        known = {document.id for document in documents}
        captions = self.writer.captions(sighting.asset, [sighting])
        if all(d.is_caption for d in documents) and not (documents and is_timed(sighting)):
            yield "has no document"
        if any(caption.document.id not in known for caption in captions):
            yield "lacks the document of a caption"
        if sighting.asset in uncopied:
            is_there = os.path.isfile(path_of(sighting.uri))
            yield "its copy is gone" if is_there else _ALL_GONE

    def ledger(self) -> None:
        """Files that the ledger calls indexed and the document store doesn't know."""
        redone = self.mending.redone
        rows = (
            row
            for row in self.session.ledger.scan()
            if row.asset
            and (row.recipe or row.asset in redone)
            and row.asset not in self.writer.removed  # this machine has yet to follow
        )
        for chunk in chunks(rows):
            self.checked["files"] += len(chunk)
            assets = sorted({row.asset for row in chunk if row.asset})
            seen = self.session.backends.documents.sightings(assets)
            for row in chunk:
                if not any(s.uri == row.uri for s in seen.get(row.asset or "", [])):
                    self.found(
                        f"{printable(path_of(row.uri))}: is in the ledger, not in the store",
                        partial(self.mending.redo, row.asset or ""),
                    )

    def assets(self) -> None:
        """Copies that are damaged, or that no file needs."""
        documents = self.session.backends.documents
        for chunk in self.copies.chunks():
            seen = documents.sightings(chunk)
            for asset in chunk:
                if asset not in self.changing and (intact := self._is_intact(asset)) is not None:
                    self.checked["assets"] += 1
                    self._copy(asset, seen.get(asset, []), intact=intact)

    def thumbnails(self) -> None:
        """Thumbnails of assets that no file has; repairing has erased them by now."""
        for asset in self.writer.stray_thumbnails():
            if asset not in self.changing:
                self.found(f"thumbnails of asset {asset}: no file has it")

    def _is_intact(self, asset: str) -> bool | None:
        """None when it is gone meanwhile."""
        try:
            with self.session.backends.assets.open(asset) as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == asset  # type: ignore[arg-type]
        except FileNotFoundError:
            return None

    def _copy(self, asset: str, sightings: Sequence[Sighting], *, intact: bool) -> None:
        # By the ledger alone, until the document store is filled again.
        needed = sightings or any(self.session.ledger.holding(asset))
        if not intact:
            self.elsewhere |= (hosts := hosts_of(sightings))
            self.found(
                f"asset {asset}: its copy is damaged",
                None if hosts else partial(self._recopy, asset),
            )
        elif not needed:
            self.found(f"asset {asset}: no file has it", partial(self.mending.drop_copy, asset))

    def _recopy(self, asset: str) -> None:
        self.mending.drop_copy(asset)
        self.mending.redo(asset)

    def sample(self) -> None:
        """Encode a few documents again: does each vector still belong to its document?"""
        backends = self.session.backends
        for channel in backends.manifest.channels:
            encoder = backends.encoder(channel)
            vectors = backends.vectors[channel.key].get(self.samples[channel.key])
            documents = self._documents(list(vectors))
            inputs = {n: v for n, d in documents.items() for v in self._input(d, encoder.wants)}
            if not inputs:
                continue
            seen = self._seen(documents.values())
            modality = INPUT_OF_MODALITY[channel.modality]
            again = encoder.encode(modality, list(inputs.values()), role="document")
            for name, vector in zip(inputs, again, strict=True):
                self.checked["encoded again"] += 1
                cosine = float(vector @ vectors[name])
                if cosine < ALIKE:
                    self.found(
                        f"document {name}: its vector isn't its own (cosine {cosine:.3f})",
                        self._taking_out(documents[name], seen),
                    )

    def _input(self, document: Document, wants: Wants) -> Iterator[object]:
        """The encoder input of a document that has one input, if its file is still as it was."""
        if document.text is not None:
            yield document.text
        elif document.span is None:
            modality = CHANNEL_OF_KIND[document.kind]
            reader = registry.open_modality(modality, self.session.backends.limits)
            try:
                with self.session.backends.assets.open(document.asset) as file:
                    data = file.read()
                if hashlib.sha256(data).hexdigest() == document.asset:
                    yield reader.query_input(data, wants)
            except (OSError, BadInputError):
                return  # its file is gone or changed: the next run's business, not damage

    def _documents(self, ids: Sequence[str]) -> dict[str, Document]:
        return self.session.backends.documents.get(ids) if ids else {}

    def _seen(self, documents: Iterable[Document]) -> dict[str, _Seen]:
        """Where the documents' assets were seen."""
        assets = sorted({document.asset for document in documents})
        return self.session.backends.documents.sightings(assets) if assets else {}

    def _taking_out(
        self, document: Document, seen: Mapping[str, _Seen]
    ) -> Callable[[], object] | None:
        """What mends a document whose vector is wrong; None when only another machine can."""
        hosts = hosts_of(seen.get(document.asset, ()))
        self.elsewhere |= hosts
        return None if hosts else partial(self.mending.take_out, document)

"""Whether the parts of a collection fit together, and mending what doesn't.

Gets: a collection. Gives: a `VerifyReport`. Touches: every store and the ledger, read-only; with
`repair` it writes. Never: the user's files.

What a killed run has begun and the next one finishes is no damage: it is noted, and what it
concerns isn't looked at; `repair` finishes it first. Without the encoder's package or weights the
rest is compared, and the report says that no sample was encoded.

What can't be built from what is there is taken out whole and left to the next indexing run, which
does those files again: nothing is guessed.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TypeVar

from retrieval import registry
from retrieval.collection import Collection
from retrieval.errors import BadInputError, MissingPartError
from retrieval.schema import CHANNEL_OF_KIND, Document, Sighting, is_here, path_of, printable

from .ledger import CHUNK
from .opening import Session, locked, looking, prove_encoders, undisturbed, writing
from .report import VerifyReport
from .salvage import Salvage
from .write import Writer

T = TypeVar("T")
SAMPLE = 32
_DOCUMENT = re.compile("[0-9a-f]{32}")
_ALL_GONE = "its copy is gone, and so is the file"
_APART = "A part can't be read, so the parts were not compared with each other."
ALIKE = 0.999  # an honest encoder repeats itself far closer; another picture is far below


def verify(collection: Collection, *, repair: bool = False) -> VerifyReport:
    """Compare stores, ledger and checksums with each other, and a sample with its files.

    Raises:
        LockedError: another process is writing to the collection.
    """
    collection.close()
    salvage = Salvage(collection, repair)
    with locked(collection.directory) if repair else undisturbed(collection.directory):
        salvage.look()
    if salvage.broken:
        return VerifyReport({}, tuple(salvage.problems), notes=(_APART,), complete=False)
    with writing(collection, prove=False) if repair else looking(collection) as session:
        check = _Check(session, Writer(session.backends, session.ledger), repair)
        check.problems, check.repaired = salvage.problems, salvage.repaired
        check.notes += salvage.notes
        check.encoders()
        check.begun()
        check.files()
        check.vectors()
        check.documents()
        check.sightings()
        check.ledger()
        check.assets()
        if check.complete:
            check.sample()
        if repair:
            check.finish()
        waiting = session.ledger.waiting()
        return VerifyReport(
            checked=dict(check.checked),
            problems=tuple(check.problems),
            repaired=check.repaired,
            notes=tuple(check.notes),
            complete=check.complete,
            waiting=len(waiting),
            roots=tuple(_roots(waiting, session.ledger.roots())),
        )


def _roots(uris: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    """The known folders in which the files lie, and the files that lie in none."""
    left = [path_of(uri) for uri in uris]
    for root in known:
        outside = [path for path in left if not path.startswith(os.path.join(root, ""))]
        if len(outside) < len(left):
            yield root
        left = outside
    yield from left


@dataclass
class _Check:
    session: Session
    writer: Writer
    repair: bool
    checked: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    repaired: int = 0
    redo: set[str] = field(default_factory=set)  # assets that the next run must do again
    notes: list[str] = field(default_factory=list)
    complete: bool = True
    going: set[str] = field(default_factory=set)  # documents that come or go
    changing: set[str] = field(default_factory=set)  # assets whose documents have yet to follow

    def found(self, problem: str, mend: Callable[[], object] | None = None) -> None:
        """Note a problem, and mend it if that was asked for and can be done."""
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

    def files(self) -> None:
        """The checksums of single vectors; `Salvage` has looked at the stores as a whole."""
        for key, store in self.session.backends.vectors.items():
            for problem in list(store.check()):
                is_document = _DOCUMENT.fullmatch(problem.id)
                mend = partial(self._redo_vector, key, problem.id) if is_document else None
                self.found(f"vectors {key}: {problem.id}: {problem.message}", mend)

    def vectors(self) -> None:
        """Vectors without a document: invisible, and in the way."""
        documents = self.session.backends.documents
        for key, store in self.session.backends.vectors.items():
            for ids in _chunks(list(store.scan())):
                self.checked["vectors"] += len(ids)
                known = documents.get(ids)
                for name in ids:
                    if name not in known and name not in self.going:
                        self.found(
                            f"vectors {key}: {name}: has no document",
                            partial(store.delete, [name]),
                        )

    def documents(self) -> None:
        """Documents without a vector, or of an asset that no file has."""
        backends = self.session.backends
        for documents in _chunks(list(backends.documents.scan())):
            self.checked["documents"] += len(documents)
            seen = backends.documents.sightings(sorted({d.asset for d in documents}))
            for document in documents:
                if document.asset not in seen and document.asset not in self.changing:
                    self.found(
                        f"document {document.id} of {document.asset[:12]}: no file has its asset",
                        partial(self.writer.reconcile, document.asset),
                    )
            self._without_vector(documents)

    def _without_vector(self, documents: list[Document]) -> None:
        for key, store in self.session.backends.vectors.items():
            ids = [document.id for document in documents if document.channel == key]
            held = store.get(ids)
            for document in documents:
                lost = document.channel == key and document.id not in held
                if lost and document.id not in self.going:
                    self.found(
                        f"document {document.id}: has no vector in {key}",
                        partial(self._redo, document),
                    )

    def sightings(self) -> None:
        """Sightings that the ledger doesn't hold, or whose documents or copy are gone."""
        documents = self.session.backends.documents
        for sightings in _chunks(list(documents.scan_sightings())):
            rows = self.session.ledger.rows([sighting.uri for sighting in sightings])
            known = documents.of_assets(sorted({sighting.asset for sighting in sightings}))
            for sighting in sightings:
                row, path = rows.get(sighting.uri), path_of(sighting.uri)
                if sighting.asset in self.changing:
                    continue
                if not is_here(sighting.uri):
                    continue  # the ledger of another machine knows of it
                if row is None or row.asset != sighting.asset:
                    self.found(
                        f"{printable(path)}: is in the store, not in the ledger",
                        partial(self.writer.reconcile, sighting.asset),
                    )
                elif row.recipe and sighting.asset not in self.redo:
                    for lack in self._lacks(sighting, known.get(sighting.asset, [])):
                        mend = partial(self.redo.add, sighting.asset)
                        self.found(
                            f"{printable(path)}: {lack}", None if lack == _ALL_GONE else mend
                        )

    def _lacks(self, sighting: Sighting, documents: Sequence[Document]) -> Iterator[str]:
        known = {document.id for document in documents}
        captions = self.writer.captions(sighting.asset, [sighting])
        if all(document.is_caption for document in documents):
            yield "has no document"
        if any(caption.document.id not in known for caption in captions):
            yield "lacks the document of a caption"
        assets = self.session.backends.assets
        if assets.copies and not assets.exists(sighting.asset):
            is_there = os.path.isfile(path_of(sighting.uri))
            yield "its copy is gone" if is_there else _ALL_GONE

    def ledger(self) -> None:
        """Files that the ledger calls indexed and the document store doesn't know."""
        rows = (row for row in self.session.ledger.scan() if row.asset and row.recipe)
        for chunk in _chunks(list(rows)):
            self.checked["files"] += len(chunk)
            assets = sorted({row.asset for row in chunk if row.asset})
            seen = self.session.backends.documents.sightings(assets)
            for row in chunk:
                if not any(s.uri == row.uri for s in seen.get(row.asset or "", [])):
                    self.found(
                        f"{printable(path_of(row.uri))}: is in the ledger, not in the store",
                        partial(self.redo.add, row.asset or ""),
                    )

    def assets(self) -> None:
        """Copies that are damaged, or that no file needs."""
        backends = self.session.backends
        for asset in list(backends.assets.scan()):
            if asset in self.changing:
                continue
            self.checked["assets"] += 1
            with backends.assets.open(asset) as file:
                intact = hashlib.file_digest(file, "sha256").hexdigest() == asset  # type: ignore[arg-type]
            if not intact:
                self.found(f"asset {asset}: its copy is damaged", partial(self._recopy, asset))
            elif not self._is_needed(asset):
                self.found(f"asset {asset}: no file has it", partial(backends.assets.delete, asset))

    def _is_needed(self, asset: str) -> bool:
        """Whether a file has it; by the ledger alone, until the document store is filled again."""
        if asset in self.session.backends.documents.sightings([asset]):
            return True
        return any(self.session.ledger.holding(asset))

    def sample(self) -> None:
        """Encode a few documents again: does each vector still belong to its document?"""
        backends = self.session.backends
        for channel in backends.manifest.channels:
            store, encoder = backends.vectors[channel.key], backends.encoder(channel)
            vectors = store.get(heapq.nsmallest(SAMPLE, store.scan()))
            documents = backends.documents.get(list(vectors))
            inputs = {name: value for name, d in documents.items() for value in self._input(d)}
            if not inputs:
                continue
            again = encoder.encode(channel.modality, list(inputs.values()), role="document")
            for name, vector in zip(inputs, again, strict=True):
                self.checked["encoded again"] += 1
                cosine = float(vector @ vectors[name])
                if cosine < ALIKE:
                    self.found(
                        f"document {name}: its vector isn't its own (cosine {cosine:.3f})",
                        partial(self._redo, documents[name]),
                    )

    def finish(self) -> None:
        """Let the next run do again what can't be mended from what is here."""
        self.session.ledger.redo(self.redo)

    def _input(self, document: Document) -> Iterator[object]:
        """The encoder input of a document that has one input, if its file is still as it was."""
        if document.text is not None:
            yield document.text
        elif document.span is None:
            modality = CHANNEL_OF_KIND[document.kind]
            channel = self.session.backends.manifest.channel(modality)
            reader = registry.open_modality(modality, self.session.backends.limits)
            try:
                with self.session.backends.assets.open(document.asset) as file:
                    data = file.read()
                if channel and hashlib.sha256(data).hexdigest() == document.asset:
                    wants = self.session.backends.encoder(channel).wants
                    yield reader.query_input(data, wants)
            except (OSError, BadInputError):
                return  # its file is gone or changed: the next run's business, not damage

    def _redo_vector(self, key: str, name: str) -> None:
        backends = self.session.backends
        document = backends.documents.get([name]).get(name)
        if document is not None:
            self._redo(document)
        else:
            backends.vectors[key].delete([name])

    def _redo(self, document: Document) -> None:
        backends = self.session.backends
        backends.documents.delete([document.id])
        if document.channel:
            backends.vectors[document.channel].delete([document.id])
        self.redo.add(document.asset)

    def _recopy(self, asset: str) -> None:
        self.session.backends.assets.delete(asset)
        self.redo.add(asset)


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk

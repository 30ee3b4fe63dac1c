"""The parts of a collection that can't be read at all: telling them, and beginning them anew.

Gets: a collection's folder and settings. Gives: what is damaged, a line each. Touches: stores,
ledger, probes, the list of removed files; with `repair` it throws away what is beyond reading.
Never: the user's files; a part of another format, or one that just can't be reached.

Each part is looked at by itself, so that one that is damaged hides no other. What a new, empty part
has to get again comes from the user's files, and the ledger is told so before anything is thrown
away: killed in between, the next run or repair goes on. A ledger that is lost is put together from
the document store and the list of removed files.

Where machines share the document store, its record of the manifest is the one that counts, and it
is written to under the lease. What another machine's files gave stays, for that machine to mend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

from retrieval import registry
from retrieval.abilities import SharedStore
from retrieval.collection import Collection, named_by, shared_manifest
from retrieval.errors import CorruptError, OlderFormatError
from retrieval.hosts import host_of
from retrieval.manifest import Manifest, read_manifest
from retrieval.probes import read_probes, write_probes
from retrieval.protocols import AssetStore, DocumentStore, Place, Problem, VectorStore
from retrieval.schema import Channel, Document, is_here
from retrieval.thumbnails import Thumbnails

from .lease import Holder, held
from .ledger import Ledger, chunks
from .ledger_file import LedgerFile
from .probing import probes_of
from .removed import read_removed, removed_in, teach, write_removed
from .rows import Row
from .sharing import PROBES_RECORD, hosts_of, publish

_GIVEN_LOST = "The ledger was lost: what came with `index --captions` must be given so again."
_OTHERS = (
    "What other machines have indexed is lost with it: run `echolens verify --repair` and "
    "`echolens index` on each of them."
)
_THUMBNAILS_LOST = "The thumbnails of films were lost: their shots are decoded to be shown."
_REMOVED_LOST = "What was removed is not known any more: `echolens remove` it again after indexing."


@dataclass
class Salvage:
    """One look at all parts of a collection.

    Attributes:
        repair: whether what can't be read is begun anew.
        problems: what is damaged so far, a line each.
        broken: the parts that can't be read and were not begun anew.
        repaired: how many problems were mended.
        notes: whole sentences on what could not be brought back.
        damaged: what the stores say of single vectors, by channel key.
    """

    collection: Collection
    repair: bool
    problems: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    repaired: int = 0
    notes: list[str] = field(default_factory=list)
    damaged: dict[str, Sequence[Problem]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._directory = self.collection.directory
        self._manifest: Manifest = read_manifest(self._directory)
        self._host = host_of(self._directory, self.collection.settings)

    def look(self) -> None:
        """Look at every part; the ledger comes first, since mending the others writes to it.

        Raises:
            MissingPartError: a part can't be reached, or what opens it isn't installed.
        """
        with named_by(self._directory):
            self._look()

    def _look(self) -> None:
        if self.repair:
            self._upgrade_documents()
        with suppress(CorruptError), closing(self._documents(read_only=True)) as documents:
            self._manifest = shared_manifest(documents, self._manifest)
        self._part("ledger", self._read_ledger, self._begin_ledger)
        self._part("removed files", self._read_removed, self._write_removed)
        self._part("probes", self._read_probes, self._make_probes)
        self._part("document store", self._read_documents, self._begin_documents)
        if "document store" not in self.broken:
            self._part("records", self._read_records, self._keep_records)
        for channel in self._manifest.channels:
            self._part(
                f"vectors {channel.key}",
                lambda channel=channel: self._read_vectors(channel),  # type: ignore[misc]
                lambda channel=channel: self._begin_vectors(channel),  # type: ignore[misc]
            )
        self._part("assets", self._read_assets, self._begin_assets)
        self._part("thumbnails", self._read_thumbnails, self._begin_thumbnails)

    def _part(self, name: str, read: Callable[[], None], begin: Callable[[], None]) -> None:
        try:
            read()
        except CorruptError as error:
            self.problems.append(f"{name}: {error}")
            if not self.repair:
                self.broken.append(name)
                return
            begin()
            self.repaired += 1

    # The ledger

    def _read_ledger(self) -> None:
        with closing(Ledger(self._directory, read_only=True)) as ledger:
            ledger.check()
            if ledger.is_empty() and self._is_anything_here():
                raise CorruptError(f"{self._directory / 'ledger.sqlite'} is missing or empty.")

    def _is_anything_here(self) -> bool:
        """Whether the document store knows a file of this machine."""
        try:
            with closing(self._documents(read_only=True)) as documents:
                return any(is_here(sighting.uri) for sighting in documents.scan_sightings())
        except CorruptError:
            return False  # that store's own problem

    def _begin_ledger(self) -> None:
        LedgerFile.discard(self._directory)
        self.notes.append(_GIVEN_LOST)
        with closing(Ledger(self._directory)) as ledger:
            try:
                teach(self._directory, ledger)
                removed = removed_in(ledger)
            except CorruptError:
                removed = set()
                self.notes.append(_REMOVED_LOST)
            try:
                with closing(self._documents(read_only=True)) as documents:
                    ledger.put(
                        Row(sighting.uri, "", sighting.asset, "", "indexed")
                        for sighting in documents.scan_sightings()
                        if sighting.uri not in removed and is_here(sighting.uri)
                    )
            except CorruptError:
                return  # nothing is known of the files then: they are all new

    # The list of removed files

    def _read_removed(self) -> None:
        listed = read_removed(self._directory)
        if "ledger" not in self.broken:
            with closing(Ledger(self._directory, read_only=True)) as ledger:
                lacking = removed_in(ledger) - listed
            if lacking:
                raise CorruptError(f"the list of removed files lacks {len(lacking)}.")

    def _write_removed(self) -> None:
        with closing(Ledger(self._directory)) as ledger:
            write_removed(self._directory, removed_in(ledger))

    # The probes

    def _read_probes(self) -> None:
        read_probes(self._directory)

    def _make_probes(self) -> None:
        """Only by encoders whose fingerprints prove that they are the same ones."""
        compute = self.collection.settings.compute
        write_probes(self._directory, probes_of(self._manifest.channels, compute))

    # The document store

    def _documents(
        self, *, read_only: bool = False, existing: bool = True, anew: bool = False
    ) -> DocumentStore:
        url = self._manifest.documents
        place = Place(url, self._directory, read_only, existing and not anew, anew, self._host)
        return registry.open_document_store(place)

    @contextmanager
    def _writing(self, *, anew: bool = False) -> Iterator[DocumentStore]:
        """The document store, opened by its one writer.

        Raises:
            LockedError: another machine is writing.
        """
        holder = Holder(self._directory, self._host)
        with closing(self._documents(anew=anew)) as store, held(store, holder):
            yield store

    def _upgrade_documents(self) -> None:
        """What any writer does to a store of an earlier format, which nothing here could read."""
        try:
            self._documents(read_only=True).close()
        except OlderFormatError:
            with self._writing():
                pass
        except CorruptError:
            pass  # told, and begun anew, in its turn

    def _read_documents(self) -> None:
        with closing(self._documents(read_only=True)) as store:
            for _ in store.scan():
                pass
            for _ in store.scan_sightings():
                pass
            store.fields()
            damage = list(store.check())
        if damage and self.repair:
            with self._writing() as store:
                store.repair()
                left = list(store.check())
            if left:
                raise CorruptError(left[0].message)
            self.repaired += len(damage)
        self.problems += [f"document store: {one.id}: {one.message}" for one in damage]
        if any(one.whole for one in damage) and not self.repair:
            self.broken.append("document store")

    def _begin_documents(self) -> None:
        """Empty the vector stores too: a vector without a document is only in the way."""
        with suppress(CorruptError), self._writing():
            pass  # nobody else is, as far as the store can still tell
        with closing(Ledger(self._directory)) as ledger:
            ledger.redo_all()
        for channel in self._manifest.channels:
            self._vectors(channel, anew=True).close()
        with self._writing(anew=True) as documents:
            publish(documents, self._manifest, read_probes(self._directory))
            if isinstance(documents, SharedStore):
                self.notes.append(_OTHERS)

    # What the collection keeps of itself in a document store that machines share

    def _read_records(self) -> None:
        with closing(self._documents(read_only=True)) as documents:
            shared_manifest(documents, self._manifest)
            if isinstance(documents, SharedStore) and documents.record(PROBES_RECORD) is None:
                raise CorruptError(f"The record of probes in {self._manifest.documents} is gone.")

    def _keep_records(self) -> None:
        with self._writing() as documents:
            publish(documents, self._manifest, read_probes(self._directory))

    # A vector store

    def _vectors(
        self, channel: Channel, *, read_only: bool = False, anew: bool = False
    ) -> VectorStore:
        place = Place(
            self._manifest.vectors, self._directory, read_only, not anew, anew, self._host
        )
        return registry.open_vector_store(place, channel)

    def _read_vectors(self, channel: Channel) -> None:
        damaged: list[Problem] = []
        with closing(self._vectors(channel, read_only=True)) as store:
            store.get([])
            for _ in store.scan():
                pass
            for problem in store.check():
                if problem.whole:
                    raise CorruptError(problem.message)
                damaged.append(problem)
        self.damaged[channel.key] = damaged

    def _begin_vectors(self, channel: Channel) -> None:
        with self._writing() as documents, closing(Ledger(self._directory)) as ledger:
            lost = {
                document.id: document.asset
                for chunk in chunks(documents.scan(channel.key))
                for document in _ours(documents, chunk)
            }
            ledger.redo(set(lost.values()))
            documents.delete(list(lost))
            self._vectors(channel, anew=True).close()

    # The copies of assets

    def _assets(self, *, read_only: bool = False, anew: bool = False) -> AssetStore:
        url = self._manifest.assets
        place = Place(url, self._directory, read_only, not anew, anew, self._host)
        return registry.open_asset_store(place, lambda _asset: ())

    def _read_assets(self) -> None:
        with closing(self._assets(read_only=True)) as store:
            next(store.scan(), None)

    def _begin_assets(self) -> None:
        """An empty place for copies; each one that is gone is told when all is compared."""
        self._assets(anew=True).close()

    # The thumbnails

    def _read_thumbnails(self) -> None:
        with closing(Thumbnails(self._directory, read_only=True)) as thumbnails:
            thumbnails.check()

    def _begin_thumbnails(self) -> None:
        Thumbnails.discard(self._directory)
        self.notes.append(_THUMBNAILS_LOST)


def _ours(store: DocumentStore, documents: Sequence[Document]) -> list[Document]:
    """Those of the documents whose files aren't all on other machines, which know of them."""
    seen = store.sightings(sorted({document.asset for document in documents}))
    return [document for document in documents if not hosts_of(seen.get(document.asset, ()))]

"""Indexing: source -> decode -> documents -> encode(batch) -> write(batch).

Gets: sources and a collection. Gives: an `IndexReport`. Touches: the sources' files, read-only;
the collection through `write`. Never: branches on a back end or a modality.

Hashing runs ahead in threads and decoding in processes, while this thread encodes and writes what
is ready, in the order of the source; so the result doesn't depend on who was faster. How far they
run ahead is bounded in files and in bytes, and with it the memory.

Encoding and writing take turns. Photos of 12 megapixels make the encoder wait for writing 0.2 % of
the time (a ViT-B/32, two cores) or 0.7 % (the starter): for that a thread would put the order of
writes, which is the promise, at risk. A batch of files fills whole batches of the encoder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

from retrieval.collection import Collection
from retrieval.errors import UsageError
from retrieval.schema import CHANNEL_OF_KIND, path_of, printable

from . import registry
from .calibrate import calibrated
from .decode import Decoder
from .encode import count_cut, encode, whole_batches
from .entries import EntryMaker
from .ledger import Ledger
from .opening import Session, reading, writing
from .removed import removed_in, write_removed
from .report import IndexReport, Watcher
from .schema import Encodable, Excluded, Paths, Source, bytes_of, paths_of
from .sharing import keep_manifest
from .sweep import sweep
from .tally import Tally
from .triage import Triage
from .write import Entry, Writer

WRITE_BATCH = 64  # files at least, so that committing costs little
BATCH_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How an indexing run goes about it.

    Attributes:
        exclude: shell patterns of names or paths to pass over.
        captions: a data set, ``FORMAT:PATH`` or a path whose format shows: its pictures are indexed
            with their captions. `images` is their folder, `split` the only one that is taken, and
            `split_file` Karpathy's JSON beside captions of COCO. Or what `open_captions` made of
            these, so that it isn't read twice.
        follow_symlinks: whether links to folders are entered.
        dry_run: only say what would be done; what would be read counts as indexed.
        retry: only the files that failed before, as a whole or in a stretch, and films that were
            left half done (below the given paths, if any are given).
        prune: forget missing files too.
        restore: take back what `remove` took out.
        fast: of films only key frames are decoded: quick, and coarse in time.
    """

    exclude: tuple[str, ...] = ()
    captions: str | Source | None = None
    images: str | None = None
    split: str | None = None
    split_file: str | None = None
    follow_symlinks: bool = False
    dry_run: bool = False
    retry: bool = False
    prune: bool = False
    restore: bool = False
    fast: bool = False


def index(
    sources: Paths,
    collection: Collection,
    *,
    options: IndexOptions | None = None,
    watch: Watcher | None = None,
) -> IndexReport:
    """Index files and folders into a collection; what is known and unchanged costs a stat.

    A run that is interrupted (Ctrl-C) or killed is gone on with by running it again.

    Args:
        sources: paths of files and folders, or one of them.
        collection: from `create` or `open_collection`; it may go on being searched.
        options: how to go about it.
        watch: called now and then with the progress.

    Raises:
        UsageError: no source was given, or a captions file can't be used.
        LockedError: another process is writing to the collection.
        EncoderMismatchError: the encoder isn't the collection's, or gives wrong vectors.
        StoreUnreachableError: a store can't be written (a full disk); run again to go on.
    """
    options = options or IndexOptions()
    sources = paths_of(sources)
    if not sources and not options.captions and not options.retry:
        raise UsageError("There is nothing to index.", advice="Give a folder or a file.")
    collection.close()
    with (reading if options.dry_run else writing)(collection) as session:
        return _Run(session, options, Tally(watch)).over(_open(sources, session, options))


def _open(paths: Sequence[str], session: Session, options: IndexOptions) -> list[Source]:
    captions = open_captions(options)
    if options.retry:
        return [registry.open_failures(dict.fromkeys(_to_retry(session.ledger)), paths)]
    opened = [] if captions is None else [captions]
    if paths:
        opened.append(
            registry.open_folder(
                paths,
                exclude=options.exclude,
                follow_symlinks=options.follow_symlinks,
                leave_out=session.backends.directory,
            )
        )
    return opened


def _to_retry(ledger: Ledger) -> Iterator[str]:
    """The files that failed, and those that are there and lack a stretch, with their copies."""
    begun = ledger.begun()
    for row in ledger.scan():
        if row.reason is not None and row.reason.is_failure:
            yield row.uri
        elif row.asset and (row.has_gap or row.asset in begun):
            uris = (other.uri for other in ledger.holding(row.asset))
            yield from (uri for uri in uris if os.path.exists(path_of(uri)))


def open_captions(options: IndexOptions) -> Source | None:
    """The pictures of the data set that the options name; None when they name none.

    Raises:
        UsageError: it can't be used, there are options for it and it isn't named, or it is named
            beside `retry`.
    """
    if options.retry and options.captions:
        raise UsageError(
            "--retry tries again what failed before, with the captions that it has: --captions "
            "means nothing beside it.",
            advice="Leave out one of them; without --retry, all of the data set is looked at.",
        )
    if not isinstance(options.captions, str | None):
        return options.captions
    if options.captions:
        return registry.open_captions(
            os.path.expanduser(options.captions),
            images=_path(options.images),
            split=options.split,
            split_file=_path(options.split_file),
        )
    for name in ("images", "split", "split_file"):
        if getattr(options, name) is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} means nothing without captions.",
                advice="Name the data set: --captions FILE.",
            )
    return None


def _path(given: str | None) -> Path | None:
    return Path(os.path.expanduser(given)) if given else None


class _Run:
    """One run over some sources."""

    def __init__(self, session: Session, options: IndexOptions, tally: Tally) -> None:
        self._backends = session.backends
        self._ledger = session.ledger
        self._options = options
        self._tally = tally
        self._workers = session.settings.workers or os.cpu_count() or 1
        self._writer = Writer(session.backends, session.ledger)
        self._maker = EntryMaker(
            session,
            tally,
            removed=self._writer.removed,
            restore=options.restore,
            dry_run=options.dry_run,
            fast=options.fast,
        )
        self._triage = Triage(
            ledger=session.ledger,
            tally=tally,
            recipes=self._maker.recipes,
            restore=options.restore,
            retry=options.retry,
            dry_run=options.dry_run,
            skip=self._maker.skip,
        )

    def over(self, sources: Sequence[Source]) -> IndexReport:
        """Index what the sources give; an interrupt ends it between two whole states."""
        interrupted = False
        for warning in (text for source in sources for text in source.warnings):
            self._tally.warn(warning)
        try:
            if self._options.dry_run:
                self._preview(sources)
            else:
                self._index(sources)
        except KeyboardInterrupt:
            interrupted = True
        return self._tally.report(interrupted=interrupted, dry_run=self._options.dry_run)

    def _index(self, sources: Sequence[Source]) -> None:
        self._writer.finish()
        self._count_ahead(sources)
        files = self._batch_files()
        with Decoder(self._workers, self._maker.limits) as decoder:
            for source in sources:
                changed = self._triage.changed(source.items(), source.roots)
                for batch in _batches(self._maker.entries(changed, decoder, ahead=files), files):
                    self._commit(batch)
                self._maker.flush_skipped()
                self._sweep(source.roots)
        self._writer.finish()
        if self._options.restore:
            write_removed(self._backends.directory, removed_in(self._ledger))
        self._maker.types.keep(self._backends.documents.fields())
        self._save_fields()
        self._calibrate()

    def _sweep(self, roots: Sequence[str]) -> None:
        for root in roots:
            before = self._tally.missing
            sweep([root], self._ledger, self._tally, prune=self._options.prune)
            if kept := self._tally.missing - before:
                self._tally.warn(
                    f"{printable(root)}: gone, empty or on another device; what is known of its "
                    f"{kept:,} files is kept until --prune"
                )

    def _commit(self, batch: Sequence[Entry]) -> None:
        self._save_fields()
        with self._tally.working("write"):
            entries, refused = self._writer.keep(batch)
        for entry, error in refused:
            self._maker.refuse(entry, error)
        plan = self._writer.plan(entries)
        with self._tally.working("encode"):
            encoded = encode(plan.encodables, self._backends)
            self._tally.cut += count_cut(plan.encodables, self._backends)
        self._count_inputs(plan.encodables)
        with self._tally.working("write"):
            self._writer.write(entries, plan, encoded)
        self._maker.committed(entries)

    def _batch_files(self) -> int:
        channels = self._backends.manifest.channels
        return whole_batches((self._backends.encoder(c).batch_size for c in channels), WRITE_BATCH)

    def _count_inputs(self, encodables: Sequence[Encodable]) -> None:
        for encodable in encodables:
            if encodable.document.channel:
                modality = CHANNEL_OF_KIND[encodable.document.kind]
                self._tally.encoded(modality, len(encodable.inputs))

    def _preview(self, sources: Sequence[Source]) -> None:
        for source in sources:
            for changed in self._triage.changed(source.items(), source.roots):
                self._tally.planned.append(changed.item.uri)
                self._tally.count("indexed")

    def _count_ahead(self, sources: Sequence[Source]) -> None:
        """Count the files in a thread of its own, for the time left; walking is quick."""

        def count() -> None:
            found = (file for source in sources for file in source.items())
            self._tally.total = sum(not isinstance(file, Excluded) for file in found)

        if self._tally.is_watched:
            Thread(target=count, name="count", daemon=True).start()

    def _save_fields(self) -> None:
        """Note the fields' types, before anything is written that has new ones."""
        manifest = self._backends.manifest
        if self._maker.types.known != manifest.fields:
            manifest = replace(manifest, fields=dict(self._maker.types.known))
            keep_manifest(self._backends, manifest)
            self._backends = replace(self._backends, manifest=manifest)

    def _calibrate(self) -> None:
        with self._tally.working("encode"):  # the built-in sentences are most of it
            manifest = calibrated(self._backends)
        if manifest != self._backends.manifest:
            keep_manifest(self._backends, manifest)


def _batches(entries: Iterable[Entry], files: int) -> Iterator[list[Entry]]:
    """Batches of so many files, or of fewer whose documents take much memory.

    A stretch of a film that goes on ends one: it is made durable at once, so that a run that is
    killed has little to do again. Bytes that are read anew, for what is said beside another file
    of them, wait for the next one.
    """
    batch: list[Entry] = []
    held = 0
    for entry in entries:
        if any(_are_readings_of_one(entry, other) for other in batch):
            yield batch
            batch, held = [], 0
        batch.append(entry)
        held += bytes_of(entry.drafts)
        if len(batch) >= files or held >= BATCH_BYTES or entry.following is not None:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _are_readings_of_one(entry: Entry, other: Entry) -> bool:
    read = entry.drafts is not None and other.drafts is not None
    return read and entry.sighting.asset == other.sighting.asset

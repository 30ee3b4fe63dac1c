"""Changed files into entries: reads ahead, and says of each file what becomes of it.

Gets: changed files and a `Decoder`. Gives: entries for `write`, in the order of the files.
Touches: the ledger (rows of skipped files), the stores' reading side. Never: writes to a store.

Bytes that are known already are not decoded again: they are a duplicate if another file still has
them, and simply indexed under a new name if none does.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile

from retrieval import registry
from retrieval.errors import BadInputError
from retrieval.protocols import Limits
from retrieval.schema import Modality, Sighting, SkipReason, path_of, printable

from .decode import Decoder, hash_file
from .fields import FieldTypes, fields_of
from .ledger import Row
from .lookahead import Pending
from .opening import Session
from .removed import RemovedAssets
from .schema import Given, Item, Outcome, Reading, Skipped
from .tally import Tally
from .triage import PASSING, Changed, is_as_it_was, signature
from .write import REMOVED, Entry

HASH_AHEAD = 32
HASH_THREADS = 2
SKIPPED_BATCH = 500


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A changed file whose reading was started."""

    changed: Changed
    asset: str
    pending: Pending


class EntryMaker:
    """Makes the entries of one run."""

    def __init__(
        self,
        session: Session,
        tally: Tally,
        *,
        removed: RemovedAssets,
        restore: bool = False,
        dry_run: bool = False,
    ) -> None:
        self.limits = session.backends.limits
        self.types = FieldTypes(dict(session.backends.manifest.fields))
        self.recipes = recipes_of(session, self.limits)
        self._backends = session.backends
        self._ledger = session.ledger
        self._tally = tally
        self._removed = removed
        self._restore = restore
        self._dry_run = dry_run
        self._wants = {
            channel.modality: session.backends.encoder(channel).wants
            for channel in session.backends.manifest.channels
        }
        self._fresh: dict[str, list[str]] = {}  # asset -> its files that were met but not committed
        self._failed: set[str] = set()  # assets whose first file could not be used
        self._skipped: list[Row] = []

    def entries(
        self, changed: Iterable[Changed], decoder: Decoder, *, ahead: int
    ) -> Iterator[Entry]:
        """One entry a file that can be used; the others are counted and skipped.

        Up to `ahead` files are read in advance, as far as the memory set aside for that allows.
        """
        begun: deque[_Ahead] = deque()
        for one, asset in self._hashed(changed):
            begun.append(_Ahead(one, asset, self._start(one.item, asset, decoder)))
            if len(begun) >= ahead:
                yield from self._finish(begun.popleft(), decoder)
        while begun:
            yield from self._finish(begun.popleft(), decoder)

    def committed(self, entries: Sequence[Entry]) -> None:
        """Count entries that are durable now."""
        for entry in entries:
            self._fresh.pop(entry.sighting.asset, None)
            self._tally.count(entry.row.outcome)
            if entry.row.message:
                self._tally.warn(f"{printable(path_of(entry.row.uri))}: {entry.row.message}")

    def refuse(self, entry: Entry, error: BadInputError) -> None:
        """Skip an entry whose bytes can't be kept."""
        self._drop(entry.row.uri, entry.sighting.asset)
        skipped = Skipped(entry.row.uri, error.reason, str(error))
        self.skip(skipped, entry.row.signature, entry.known, entry.row.recipe)

    def skip(self, skipped: Skipped, signed: str, known: Row | None, recipe: str = "") -> None:
        """Count a skipped file, and note it in the ledger unless it says so already."""
        keeps = skipped.reason in PASSING and known is not None
        row = Row(
            uri=skipped.uri,
            signature=signed,
            asset=known.asset if known and keeps else None,
            recipe=recipe,
            outcome="skipped",
            reason=skipped.reason,
            message=printable(skipped.message),
            given=known.given if known else None,
        )
        if self._dry_run:
            self._tally.count("skipped", skipped.reason)
            return
        if known and known.asset and not keeps:
            self._ledger.intend_recheck([known.asset])
        if row != known:
            self._skipped.append(row)
        if len(self._skipped) >= SKIPPED_BATCH:
            self.flush_skipped()
        self._tally.count("skipped", skipped.reason)

    def flush_skipped(self) -> None:
        """Write down the skipped files gathered so far."""
        if self._skipped:
            self._ledger.put(self._skipped)
            self._skipped.clear()

    # Reading ahead

    def _hashed(self, changed: Iterable[Changed]) -> Iterator[tuple[Changed, str]]:
        """Each file with the id of its asset, hashed ahead of the rest."""
        ahead: deque[tuple[Changed, Future[str]]] = deque()
        threads = ThreadPoolExecutor(HASH_THREADS, thread_name_prefix="hash")
        try:
            for one in changed:
                if one.item.modality not in self._wants:
                    message = f"this collection's encoder takes no {one.item.modality}"
                    self._refuse(one, BadInputError(SkipReason.UNSUPPORTED, message))
                    continue
                ahead.append((one, threads.submit(self._hash_file, one.item)))
                if len(ahead) >= HASH_AHEAD:
                    yield from self._hash(*ahead.popleft())
            while ahead:
                yield from self._hash(*ahead.popleft())
        finally:
            threads.shutdown(cancel_futures=True)  # after an interrupt nobody waits for them

    def _hash_file(self, item: Item) -> str:
        with self._tally.working("read", beside=HASH_THREADS):
            return hash_file(item, self.limits)

    def _hash(self, one: Changed, pending: Future[str]) -> Iterator[tuple[Changed, str]]:
        try:
            with self._tally.waiting("read"):
                asset = pending.result()
        except BadInputError as error:
            self._refuse(one, error)
        else:
            if asset in self._removed and not self._restore:
                self._refuse(one, BadInputError(SkipReason.REMOVED, REMOVED))
                return
            self._removed.discard(asset)
            yield one, asset

    def _start(self, item: Item, asset: str, decoder: Decoder) -> Pending:
        known = asset in self._fresh or (
            self._ledger.holds(asset, self.recipes[item.modality])
            and bool(self._backends.documents.of_assets([asset]))
        )
        self._fresh.setdefault(asset, []).append(item.uri)
        with self._tally.waiting("decode"):  # the first one starts the processes
            return decoder.submit(item, None if known else self._wants[item.modality])

    # What becomes of a file

    def _finish(self, ahead: _Ahead, decoder: Decoder) -> Iterator[Entry]:
        try:
            with self._tally.waiting("decode"):
                reading = decoder.result(ahead.pending)
                if reading.drafts is None and ahead.asset in self._failed:
                    item = ahead.changed.item
                    wants = self._wants[item.modality]
                    reading = decoder.result(decoder.submit(item, wants, at_once=True))
            self._tally.worked("decode", reading.seconds / decoder.workers)
        except BadInputError as error:
            self._drop(ahead.changed.item.uri, ahead.asset)
            self._refuse(ahead.changed, error)
        else:
            self._failed.discard(ahead.asset)
            yield self._entry(ahead.changed, ahead.asset, reading)

    def _drop(self, uri: str, asset: str) -> None:
        """A file of an asset can't be used after all: another one must be read for it."""
        self._failed.add(asset)
        files = self._fresh.get(asset, [])
        if uri in files:
            files.remove(uri)
        if not files:
            self._fresh.pop(asset, None)

    def _entry(self, changed: Changed, asset: str, reading: Reading) -> Entry:
        item, known = changed.item, changed.known
        given = item.given or _given_before(known) or Given()
        fields, warnings = self.types.fit(fields_of(item, given, reading))
        sighting = Sighting(
            uri=item.uri,
            asset=asset,
            fields=fields,
            captions=tuple(dict.fromkeys((*given.captions, *reading.captions))),
        )
        row = Row(
            uri=item.uri,
            signature=signature(item),
            asset=asset,
            recipe=self.recipes[item.modality],
            outcome=self._outcome(item.uri, asset),
            message="; ".join((*reading.warnings, *warnings)),
            given=given.dump(),
        )
        return Entry(sighting, reading.drafts, row, known)

    def _outcome(self, uri: str, asset: str) -> Outcome:
        """A duplicate is a file whose bytes another has: met before it, or known and as it was."""
        if any(takewhile(lambda other: other != uri, self._fresh.get(asset, []))):
            return "duplicate"
        others = (row for row in self._ledger.holding(asset) if row.uri != uri)
        return "duplicate" if any(map(is_as_it_was, others)) else "indexed"

    def _refuse(self, changed: Changed, error: BadInputError) -> None:
        skipped = Skipped(changed.item.uri, error.reason, str(error))
        recipe = self.recipes[changed.item.modality]
        self.skip(skipped, signature(changed.item), changed.known, recipe)


def recipes_of(session: Session, limits: Limits) -> Mapping[Modality, str]:
    """A short digest, by modality, of everything that decides which documents a file becomes."""
    channels = [[c.key, c.fingerprint] for c in session.backends.manifest.channels]
    return {
        modality: hashlib.sha256(
            json.dumps(
                [channels, dict(registry.open_modality(modality, limits).recipe)], sort_keys=True
            ).encode()
        ).hexdigest()[:16]
        for modality in registry.MODALITIES
    }


def _given_before(known: Row | None) -> Given | None:
    return Given.load(known.given) if known and known.given else None

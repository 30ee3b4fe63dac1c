"""Changed files into entries: reads ahead, and says of each file what becomes of it.

Gets: changed files and a `Decoder`. Gives: entries for `write`, in the order of the files.
Touches: the ledger (rows of skipped files), the stores' reading side. Never: writes to a store.

Bytes that are known already are not decoded again: they are a duplicate if another file still has
them, and simply indexed under a new name if none does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import takewhile

from retrieval import registry
from retrieval.errors import BadInputError
from retrieval.schema import Sighting, SkipReason, printable
from retrieval.timed import STRETCH_S

from .decode import Decoder, hash_file
from .fields import FieldTypes, fields_of
from .ledger import chunks
from .listen import Listener, has_unheard_speech
from .lookahead import Pending
from .opening import Session
from .recipes import recipes_of, transcriber_of, wants_of
from .removed import RemovedAssets
from .rows import Done, Row, given_of
from .schema import Given, Item, Outcome, Reading, Skipped
from .tally import Tally
from .triage import PASSING, Changed, Transcripts, is_as_it_was, making, signature, transcripts
from .write import REMOVED, Entry

HASH_AHEAD = 32
HASH_THREADS = 2
SKIPPED_BATCH = 500
_MOST_GAPS = 3  # stretches of a film that can't be read, one after the other, before it is given up
# In the middle of a film, too, these are about the file and not about a stretch of it.
_OTHER_BYTES = frozenset({SkipReason.DISAPPEARED, SkipReason.CHANGING, SkipReason.UNREADABLE})


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A changed file whose reading was started, at its beginning or where an earlier run ended.

    Attributes:
        start: of the stretch that is read, in seconds.
        script: what is left of its transcript; None where none was met yet.
        gaps: stretches before it, one after the other, that couldn't be read.
        first: whether it is the first that this run reads.
    """

    changed: Changed
    asset: str
    pending: Pending
    start: float = 0.0
    script: str | None = None
    gaps: int = 0
    first: bool = True


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
        fast: bool = False,
    ) -> None:
        manifest = session.backends.manifest
        self.limits = session.backends.limits
        self.types = FieldTypes(dict(manifest.fields))
        self.recipes = recipes_of(manifest, self.limits, fast=fast)
        self._backends = session.backends
        self._ledger = session.ledger
        self._tally = tally
        self._removed = removed
        self._restore = restore
        self._dry_run = dry_run
        self._wants = wants_of(session.backends, fast=fast)
        self._taken = {channel.modality for channel in manifest.channels} | {
            modality for modality, entry in registry.MODALITIES.items() if entry.timed
        }
        self._listener = Listener(transcriber_of(session), self._wants.text_tokens)
        self._fresh: dict[str, list[str]] = {}  # asset -> its files that were met but not committed
        self._said: dict[str, Transcripts] = {}  # of those that are read, what lies beside them
        self._failed: set[str] = set()  # assets whose first file could not be used
        self._refused: set[str] = set()  # files that can't be used after all
        self._skipped: list[Row] = []

    def entries(
        self, changed: Iterable[Changed], decoder: Decoder, *, ahead: int
    ) -> Iterator[Entry]:
        """One entry a file that can be used; the others are counted and skipped.

        Up to `ahead` files are read in advance, as far as the memory set aside for that allows.
        """
        begun: deque[_Ahead] = deque()
        for one, asset in self._hashed(changed):
            begun.append(self._start(one, asset, decoder))
            if len(begun) >= ahead:
                yield from self._finish(begun.popleft(), decoder)
        while begun:
            yield from self._finish(begun.popleft(), decoder)

    def committed(self, entries: Sequence[Entry]) -> None:
        """Count entries that are durable now, to their files' ends."""
        for entry in entries:
            if entry.following is not None:
                continue
            self._fresh.pop(entry.sighting.asset, None)
            self._said.pop(entry.sighting.asset, None)
            self._tally.committed(entry.row)

    def refuse(self, entry: Entry, error: BadInputError) -> None:
        """Skip an entry whose bytes can't be kept."""
        self._drop(entry.row.uri, entry.sighting.asset)
        self._refused.add(entry.row.uri)
        skipped = Skipped(entry.row.uri, error.reason, str(error), given_of(entry.row))
        known = self._known_by_now(entry.row.uri, entry.known) if entry.start else entry.known
        self.skip(skipped, entry.row.signature, known, entry.row.recipe)

    def skip(self, skipped: Skipped, signed: str, known: Row | None, recipe: str = "") -> None:
        """Count a skipped file, and note it in the ledger unless it says so already."""
        kept = known if skipped.reason in PASSING else None
        row = Row(
            uri=skipped.uri,
            signature=signed,
            asset=kept.asset if kept else None,
            recipe=recipe,
            outcome="skipped",
            reason=skipped.reason,
            message=printable(skipped.message),
            given=skipped.given.dump() if skipped.given else known.given if known else None,
            has_gap=kept is not None and kept.has_gap,
        )
        if self._dry_run:
            self._tally.count("skipped", skipped.reason)
            return
        if known and known.asset and not kept:
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
                if one.item.modality not in self._taken:
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

    def _start(self, one: Changed, asset: str, decoder: Decoder) -> _Ahead:
        item, said = one.item, transcripts(signature(one.item), one.item.modality)
        known = self._is_known(one, asset, said)
        self._fresh.setdefault(asset, []).append(item.uri)
        if said or not known:
            self._said[asset] = said
        done = [] if known else self._done(asset, making(self.recipes[item.modality], item))
        start, script = (done[-1].following, done[-1].script) if done else (0.0, None)
        with self._tally.waiting("decode"):  # the first one starts the processes
            pending = decoder.submit(item, None if known else self._wants, start=start)
        return _Ahead(one, asset, pending, start, script)

    def _is_known(self, one: Changed, asset: str, said: Transcripts) -> bool:
        """Whether the documents of a file's bytes are known, with what is said beside it.

        A file with no transcript beside it leaves what another one of its bytes says.
        """
        if asset in self._fresh:
            return said in ((), self._said.get(asset, ()))
        item, own = one.item, one.known
        held = own.signature if own and own.asset == asset else ""
        if held and transcripts(held, item.modality) != said:
            return False
        rows = self._ledger.made(asset, self.recipes[item.modality])
        made = any(said in ((), transcripts(row.signature, item.modality)) for row in rows)
        return made and bool(self._backends.documents.of_assets([asset]))

    def _done(self, asset: str, how: str) -> list[Done]:
        """What an earlier run has done of a film, unless something of that is gone."""
        done = self._ledger.stretches(asset, how)
        for ids in chunks(id_ for stretch in done for id_ in stretch.documents):
            if self._backends.documents.get(ids).keys() < set(ids):
                return []
        return done

    # What becomes of a file

    def _finish(self, ahead: _Ahead, decoder: Decoder) -> Iterator[Entry]:
        """The file's entry; of a film one a stretch, the next being read while one is written."""
        uri = ahead.changed.item.uri
        said, has_gap = _known_before(ahead)
        goes_on = True
        while goes_on:
            following: _Ahead | None = None
            try:
                reading = self._read(ahead, decoder)
                following = self._begin_next(ahead, reading, decoder)
                reading, script = self._heard(reading, ahead.script)
                said = dict.fromkeys((*said, *reading.warnings))
                has_gap = has_gap or reading.has_gap
                reading = replace(reading, warnings=tuple(said), has_gap=has_gap)
                self._check_content(ahead, reading)
            except BadInputError as error:
                if following is not None:
                    decoder.abandon(following.pending)
                self._drop(uri, ahead.asset)
                self._refuse(self._as_known(ahead), error)
                return
            self._failed.discard(ahead.asset)
            yield self._entry(ahead, reading, script)
            goes_on = following is not None and uri not in self._refused
            if following is not None:
                ahead = replace(following, script=script)
        if following is not None and uri in self._refused:
            decoder.abandon(following.pending)

    def _read(self, ahead: _Ahead, decoder: Decoder) -> Reading:
        """Wait for what was begun.

        Raises:
            BadInputError: the file can't be used. In the middle of a film this costs a stretch.
        """
        item = ahead.changed.item
        try:
            with self._tally.waiting("decode"):
                reading = decoder.result(ahead.pending, item)
                if reading.drafts is None and ahead.asset in self._failed:
                    again = decoder.submit(item, self._wants, at_once=True)
                    reading = decoder.result(again, item)
        except BadInputError as error:
            if not ahead.start or error.reason in _OTHER_BYTES:
                raise
            described = decoder.result(decoder.submit(item, None, at_once=True), item)
            return _gap(described, ahead, error)
        self._tally.worked("decode", reading.seconds / decoder.workers)
        return reading

    def _begin_next(self, ahead: _Ahead, reading: Reading, decoder: Decoder) -> _Ahead | None:
        """Have the stretch read that comes next, and count this one."""
        duration = float(reading.fields.get("duration_s", 0) or 0)
        if ahead.first:
            self._tally.media_total_s += max(0.0, duration - ahead.start)
            self._tally.unheard += not self._wants.speech and has_unheard_speech(reading)
        self._tally.media_s += reading.media_s
        self._tally.tell()  # a film may be all that there is, and take hours
        if (start := reading.following) is None:
            return None
        item = ahead.changed.item
        pending = decoder.submit(item, self._wants, start=start, at_once=True)
        gaps = ahead.gaps + 1 if reading.has_gap else 0
        return replace(ahead, pending=pending, start=start, gaps=gaps, first=False)

    def _heard(self, reading: Reading, script: str | None) -> tuple[Reading, str | None]:
        with self._tally.working("listen"):
            return self._listener.heard(reading, script)

    def _check_content(self, ahead: _Ahead, reading: Reading) -> None:
        """Refuse a film or a recording of which nothing could be found from end to end."""
        ends = reading.following is None and (ahead.start or reading.media_s)
        # What it has may lie in a gap.
        if not ends or reading.has_gap or reading.drafts != () or reading.captions:
            return
        item = ahead.changed.item
        how = making(self.recipes[item.modality], item)
        done = self._ledger.stretches(ahead.asset, how) if ahead.start else []
        if any(stretch.documents for stretch in done):
            return
        why = "is silent"
        if self._wants.sample_rate is None:
            self._tally.unfindable += 1
            why = "needs an --audio-encoder or a --transcriber"
            if self._wants.speech:
                why = "needs an --audio-encoder, since no speech was heard in it"
        raise BadInputError(SkipReason.NO_CONTENT, f"nothing of it could be found: it {why}")

    def _as_known(self, ahead: _Ahead) -> Changed:
        """With what the ledger says by now of a film that was begun."""
        changed = ahead.changed
        if not ahead.start:
            return changed
        return replace(changed, known=self._known_by_now(changed.item.uri, changed.known))

    def _known_by_now(self, uri: str, known: Row | None) -> Row | None:
        return self._ledger.rows([uri]).get(uri, known)

    def _drop(self, uri: str, asset: str) -> None:
        """A file of an asset can't be used after all: another one must be read for it."""
        self._failed.add(asset)
        files = self._fresh.get(asset, [])
        if uri in files:
            files.remove(uri)
        if not files:
            self._fresh.pop(asset, None)

    def _entry(self, ahead: _Ahead, reading: Reading, script: str | None) -> Entry:
        asset, item, known = ahead.asset, ahead.changed.item, ahead.changed.known
        given = item.given or given_of(known) or Given()
        fields, warnings = self.types.fit(fields_of(item, given, reading))
        sighting = Sighting(
            uri=item.uri,
            asset=asset,
            fields=fields,
            captions=tuple(dict.fromkeys((*given.captions, *reading.captions))),
        )
        outcome, has_gap = self._outcome(item.uri, asset), reading.has_gap
        if reading.drafts is None and outcome == "indexed":  # its documents stay, gap and all
            has_gap = any(row.has_gap for row in self._ledger.holding(asset))
        row = Row(
            uri=item.uri,
            signature=signature(item),
            asset=asset,
            recipe=self.recipes[item.modality],
            outcome=outcome,
            message="; ".join((*reading.warnings, *warnings)),
            given=given.dump(),
            has_gap=has_gap,
        )
        stretch = ahead.start, reading.following, script, making(row.recipe, item)
        return Entry(sighting, reading.drafts, row, known, *stretch)

    def _outcome(self, uri: str, asset: str) -> Outcome:
        """A duplicate is a file whose bytes another has: met before it, or known and as it was."""
        if any(takewhile(lambda other: other != uri, self._fresh.get(asset, []))):
            return "duplicate"
        others = (row for row in self._ledger.holding(asset) if row.uri != uri)
        return "duplicate" if any(map(is_as_it_was, others)) else "indexed"

    def _refuse(self, changed: Changed, error: BadInputError) -> None:
        skipped = Skipped(changed.item.uri, error.reason, str(error), changed.item.given)
        recipe = self.recipes[changed.item.modality]
        self.skip(skipped, signature(changed.item), changed.known, recipe)


def _known_before(ahead: _Ahead) -> tuple[Mapping[str, None], bool]:
    """What the run that began a film found odd in it, and whether something of it is missing."""
    known = ahead.changed.known
    if not ahead.start or known is None or known.asset != ahead.asset:
        return {}, False
    said = known.message.split("; ") if known.message and known.reason is None else ()
    return dict.fromkeys(said), known.has_gap


def _gap(described: Reading, ahead: _Ahead, error: BadInputError) -> Reading:
    """What stands for a stretch that can't be read: nothing, and a warning."""
    following = None if ahead.gaps + 1 == _MOST_GAPS else ahead.start + STRETCH_S
    until = "" if following is None else f" to {following:g} s"
    warning = f"from {ahead.start:g} s{until or ' on'} it can't be read: {error}"
    return replace(
        described, drafts=(), following=following, has_gap=True,
        warnings=(*described.warnings, warning),
    )  # fmt: skip

"""Moving a collection from its stores to others, and back, without encoding anything again.

Gets: a collection, store URLs. Gives: a `PromoteReport`. Touches: the stores, old and new, the
collection's ``manifest.json`` and ``moves.json``, and what a run that was killed has left to finish
in the ledger. Never: an encoder; the user's files; an old store, unless asked to discard it.

What is moved goes in chunks: compared, written where it differs, and what the new store has beside
it deleted (a former home goes stale). Then each store is read again: counts and checksums must be
those of the old one. Only then the manifest names the new stores. So whoever is killed, or loses a
server, runs it again: what is there is not written again, and until the switch everybody reads the
old stores. Nobody writes meanwhile: the collection's lock and lease are held.

An asset that has no whole bytes any more stops the switch: with it the new store would not be what
it promises, a copy of everything. Nothing is lost by that: the rest is there already, and once the
file is back, or taken out of the collection, the same command goes on to the end.

The switch to a shared document store is: its records, the manifest last; word of the move in the
store that is left, if that is shared; the manifest here. Killed after the second, the next run
follows that word. Killed after the first, the next run compares once more, unless another machine
has gone on in the new store meanwhile, which is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import islice

from retrieval import registry
from retrieval.collection import Collection, uris_of
from retrieval.errors import CorruptError, MissingPartError, UsageError
from retrieval.hosts import host_of
from retrieval.manifest import Manifest, write_manifest
from retrieval.protocols import DocumentStore, Place
from retrieval.query.backends import Backends
from retrieval.schema import path_of, printable

from ..lease import Holder, held
from ..opening import Session, locked, looking, writing
from ..removed import RemovedAssets
from ..report import Progress, Watcher
from ..sharing import keep_manifest, publish, withdraw
from ..write import Writer
from .discard import Discarded, discard
from .journal import Journal, claim, identity_in, read_journal, write_journal
from .parts import Assets, Documents, Part, Sightings, Vectors
from .schema import AS_IT_IS, Moved, PromoteReport, Role, Stores
from .shared import follow, refuse_taken

__all__ = ["Moved", "PromoteReport", "Stores", "promote"]

_KINDS: dict[Role, registry.BackEndRole] = {
    "vectors": "vector_store",
    "documents": "document_store",
    "assets": "asset_store",
}
_AT_ONCE = 10_000  # deleted in one go: a store may have to tidy up after each
_FEW = 3  # names that a message gives


def promote(
    collection: Collection,
    to: Stores = AS_IT_IS,
    *,
    back: bool = False,
    discard_old: bool = False,
    dry_run: bool = False,
    watch: Watcher | None = None,
) -> PromoteReport:
    """Move a collection to other stores; what isn't named stays where it is.

    Args:
        collection: closed by its caller.
        to: the stores to move to.
        back: to move to those that it had before it first moved.
        discard_old: erase, after the move, the stores that the collection has left.
        dry_run: only count what there is to be moved; nothing is written, no target is opened.
        watch: called with each `Progress`.

    Raises:
        UsageError: nothing to move is named; a target is another collection's; an asset can't be
            read in place any more.
        MissingPartError: a store doesn't answer or is full, an asset's file is gone. The collection
            is where it was; run again to go on.
        CorruptError: a store holds something else than was written to it. Nothing is switched.
        LockedError: another process is writing.
    """
    _check_call(to, back, discard_old)
    collection.close()
    if not dry_run:
        with locked(collection.directory):
            follow(collection)
    opened = looking(collection) if dry_run else writing(collection, prove=False)
    with opened as session:
        journal = read_journal(collection.directory)
        now = stores_of(session.backends.manifest)
        goal = _goal(journal, now, to, back)
        if dry_run:
            return _foreseen(session, journal, now, goal)
        counts, size = _move(session, journal, goal, watch) if goal != now else ({}, 0)
    gone = Discarded()
    if discard_old:
        with writing(collection, prove=False) as session:
            gone = discard(session)
    old = read_journal(collection.directory).old(goal)
    return PromoteReport(now, goal, counts, size, _named(old), gone.erased, gone.shared, gone.kept)


def stores_of(manifest: Manifest) -> Stores:
    """The stores that a manifest names."""
    return Stores(manifest.vectors, manifest.documents, manifest.assets)


def _moved(manifest: Manifest, goal: Stores) -> Manifest:
    urls = goal.urls()
    return replace(
        manifest, vectors=urls["vectors"], documents=urls["documents"], assets=urls["assets"]
    )


def _check_call(to: Stores, back: bool, discard_old: bool) -> None:
    asked = to.urls()
    if back and asked:
        raise UsageError(
            "Going back goes to the stores that the collection had; no others can be given.",
            advice="Give either the way back or the stores.",
        )
    if not (asked or back or discard_old):
        raise UsageError(
            "Nothing says where the collection is to go.",
            advice="Give a store: --vectors URL, --documents URL or --assets URL; or --back.",
        )
    for role, url in asked.items():
        registry.check(_KINDS[role], url)


def _goal(journal: Journal, now: Stores, to: Stores, back: bool) -> Stores:
    if back:
        if journal.home is None:
            raise UsageError(
                "The collection was not moved from this machine, so there is no way back.",
                advice="Name the stores: --vectors URL, --documents URL, --assets URL.",
            )
        return journal.home
    asked = to.urls()
    goal = replace(now, **asked)
    if asked and goal == now and not journal.identity:  # else it's a move that is done already
        raise UsageError(
            f"The collection is in {', '.join(asked.values())} already.",
            advice="Name another store; `echolens status` shows those that it has.",
        )
    return goal


def _foreseen(session: Session, journal: Journal, now: Stores, goal: Stores) -> PromoteReport:
    """What would be moved: the targets of the parts are the sources themselves."""
    backends, counts = session.backends, {}
    for part in _parts_of(backends, backends, now, goal):
        counts[part.name] = Moved(written=part.count())
    return PromoteReport(now, goal, counts, old=_named(journal.old(now)), dry_run=True)


def _named(stores: list[tuple[Role, str]]) -> tuple[str, ...]:
    return tuple(f"{role} {url}" for role, url in stores)


def _move(
    session: Session, journal: Journal, goal: Stores, watch: Watcher | None
) -> tuple[dict[str, Moved], int]:
    """Fill the stores of the goal, check them, and switch to them."""
    backends = session.backends
    directory, now = backends.directory, stores_of(backends.manifest)
    holder = Holder(directory, host_of(directory, session.settings))
    Writer(backends, session.ledger).finish()
    _check_source(backends, now, goal)
    with _resumable(), _targets(session, now, goal) as targets:
        journal = journal.going(now, _holding(backends, targets))
        journal = identity_in(backends.documents, journal)
        parts = list(_parts_of(backends, targets, now, goal))
        before = read_journal(directory)
        for part in parts:
            _refuse_strangers(part, before)
        moves = targets.documents is not backends.documents
        if moves:
            claim(targets.documents, goal.urls()["documents"], journal.identity)
            refuse_taken(targets.documents, goal.urls()["documents"], holder)
        write_journal(directory, journal)
        with held(targets.documents, holder) if moves else nullcontext(_fine) as check:
            counts = {part.name: _carry(part, backends, check, watch) for part in parts}
            check()
            _switch(backends, targets.documents, goal)
    size = sum(part.bytes for part in parts if isinstance(part, Assets))
    return counts, size


def _holding(*all_of: Backends) -> Iterator[tuple[Role, str]]:
    """The stores that keep something: the user's own files are in none."""
    for backends in all_of:
        for role, url in stores_of(backends.manifest).urls().items():
            if role != "assets" or backends.assets.copies:
                yield role, url


def _fine() -> None:
    """What is asked of a lease where there is none."""


@contextmanager
def _targets(session: Session, now: Stores, goal: Stores) -> Iterator[Backends]:
    """The back ends that the collection will have: those that stay, and the new ones, opened."""
    backends, settings = session.backends, session.settings
    place = partial(
        Place,
        directory=backends.directory,
        read_only=False,
        host=host_of(backends.directory, settings),
    )
    urls, current = goal.urls(), now.urls()

    with ExitStack() as opened:
        targets = replace(backends, manifest=_moved(backends.manifest, goal))
        if urls["documents"] != current["documents"]:
            documents = registry.open_document_store(place(urls["documents"]))
            opened.callback(documents.close)
            targets = replace(targets, documents=documents)
        if urls["vectors"] != current["vectors"]:
            vectors = {}
            for channel in backends.manifest.channels:
                store = registry.open_vector_store(place(urls["vectors"]), channel)
                opened.callback(store.close)
                vectors[channel.key] = store
            targets = replace(targets, vectors=vectors)
        if urls["assets"] != current["assets"]:
            assets = registry.open_asset_store(
                place(urls["assets"]), partial(uris_of, backends.documents)
            )
            opened.callback(assets.close)
            targets = replace(targets, assets=assets)
        yield targets


def _parts_of(source: Backends, target: Backends, now: Stores, goal: Stores) -> Iterator[Part]:
    """What has to be moved."""
    documents, new, old = source.documents, goal.urls(), now.urls()
    if new["documents"] != old["documents"]:
        urls = (new["documents"], old["documents"])
        yield Documents(documents, target.documents, *urls)
        yield Sightings(documents, target.documents, *urls)
    if new["vectors"] != old["vectors"]:
        urls = (new["vectors"], old["vectors"])
        for key, store in source.vectors.items():
            yield Vectors(store, target.vectors[key], documents, *urls, f"vectors {key}")
    if new["assets"] != old["assets"]:
        yield Assets(source.assets, target.assets, documents, new["assets"], old["assets"])


def _check_source(backends: Backends, now: Stores, goal: Stores) -> None:
    """Refuse to move vectors that are damaged: in the new store nothing would tell it any more."""
    if now.vectors != goal.vectors:
        for key, store in backends.vectors.items():
            for problem in store.check():
                raise CorruptError(
                    f"vectors {key}: {problem.id}: {problem.message}.",
                    advice="Run `echolens verify --repair` and what it asks for, then this again.",
                )


def _refuse_strangers(part: Part, journal: Journal) -> None:
    """Refuse a store that holds something and that the collection never was in.

    Be it the very same: another collection of the same files would lose it when this one moves on.
    Only what lies in the collection's own folder is its own, whichever store is to read it.
    """
    if journal.knows(part.role, part.url):
        return
    found = part.strangers() if _is_within(part.url) else part.held()
    if next(found, None) is not None:
        raise UsageError(
            f"`{part.url}` holds {part.name} that are not this collection's.",
            advice="Give the store another name in its URL, or empty it.",
        )


def _is_within(url: str) -> bool:
    """Whether a store lies in the collection's own folder."""
    location = os.path.expanduser(url.partition(":")[2])
    return not location.startswith("//") and not os.path.isabs(location)


def _carry(
    part: Part, backends: Backends, check: Callable[[], None], watch: Watcher | None
) -> Moved:
    """Move one part, and compare what is there then with what is here.

    Raises:
        CorruptError: they differ.
    """
    if isinstance(part, Assets):
        _refuse_lost(part, list(part.absent()), backends.documents)
    deleted = _sweep(part)
    total, done, written = part.count(), 0, 0

    def note(looked: int, wrote: int) -> None:
        nonlocal done, written
        done, written = done + looked, written + wrote
        check()
        if watch:
            watch(Progress(done, 0, total, part.name))

    wanted = part.fill(note)
    if isinstance(part, Assets):
        _refuse_lost(part, part.lost, backends.documents)
    found = part.tally()
    if found != wanted:
        what = (
            f"{found.count:,} {part.name}, and there are {wanted.count:,}"
            if found.count != wanted.count
            else f"other {part.name} than were written"
        )
        raise CorruptError(
            f"`{part.url}` holds {what}; the collection stays in `{part.old_url}`.",
            advice="Run the same command again. If that doesn't help, the store is at fault.",
        )
    return Moved(written, wanted.count - written, deleted)


def _sweep(part: Part) -> int:
    """Delete what the target has and the collection hasn't; how much that was."""
    deleted = 0
    while names := list(islice(part.strangers(), _AT_ONCE)):
        part.delete(names)
        deleted += len(names)
        if len(names) < _AT_ONCE:
            break
    return deleted


def _refuse_lost(part: Assets, lost: list[str], documents: DocumentStore) -> None:
    if not lost:
        return
    seen = documents.sightings(lost[:_FEW])
    paths = [printable(path_of(seen[asset][0].uri)) for asset in lost[:_FEW] if asset in seen]
    named = ", ".join(paths) + (" ..." if len(lost) > len(paths) else "")
    count = "1 asset" if len(lost) == 1 else f"{len(lost):,} assets"
    if not part.target.copies:
        raise UsageError(
            f"{count} can't be read in place any more, and the only copies are in "
            f"`{part.old_url}`: {named}.",
            advice="Move to copies instead: --assets folder:",
        )
    raise MissingPartError(
        f"Of {count} there is no file any more, or one that was changed: {named}.",
        advice="Bring the files back, or run `echolens index` over their folders or `echolens "
        "remove` them; then run the same command again: it goes on where it was.",
    )


def _switch(backends: Backends, documents: DocumentStore, goal: Stores) -> None:
    """Let the collection be in its new stores; see the module's docstring for the order."""
    new = _moved(backends.manifest, goal)
    _ = backends.assets.put  # asking for a writing method asks the lease, if there is one
    if documents is backends.documents:
        keep_manifest(backends, new)
        return
    RemovedAssets(documents).follow(RemovedAssets(backends.documents))
    publish(documents, new, backends.probes())
    withdraw(backends.documents, new)
    write_manifest(backends.directory, new)


@contextmanager
def _resumable() -> Iterator[None]:
    """Say of a store that fails that nothing is lost."""
    try:
        yield
    except MissingPartError as error:
        if "again" not in error.advice:
            error.advice = f"{error.advice} Then run the same command again: it goes on."
        raise

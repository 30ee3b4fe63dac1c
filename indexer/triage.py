"""What of a source is new or changed: compares each file with its row in the ledger.

Gets: what a source gives. Gives: the files that must be read. Touches: the ledger. Never: opens a
file; a file that is unchanged has cost one stat.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from retrieval.schema import Modality, SkipReason, path_of, printable, uri_of

from .files import is_transcript
from .ledger import CHUNK, Ledger
from .rows import Row
from .schema import Excluded, Item, Skipped
from .tally import Tally

# A file skipped for one of these is read again in the next run, though it didn't change; and what
# was indexed of it before stays, since nothing is known of its bytes.
PASSING = frozenset(
    {
        SkipReason.UNREADABLE,
        SkipReason.DISAPPEARED,
        SkipReason.CHANGING,
        SkipReason.TOO_SLOW,
        SkipReason.DECODER_FAILED,
        SkipReason.NOT_INSTALLED,
    }
)
# Skipped for another, it is settled until the file, its recipe or a setting changes.
UNSETTLED = PASSING | {SkipReason.TOO_LARGE}


@dataclass(frozen=True, slots=True)
class Changed:
    """A file that must be read, and what the ledger says of it so far."""

    item: Item
    known: Row | None


@dataclass(frozen=True, slots=True)
class Triage:
    """Sorts what sources give.

    Attributes:
        recipes: how a file of each modality is turned into documents now.
        restore: whether files that `remove` took out are taken back.
        retry: whether a file is read although nothing of it has changed; one that is done and
            lacks a stretch, from its beginning.
        dry_run: whether the ledger is left as it is.
        skip: told of every file that is skipped, with what the ledger says of it so far.
    """

    ledger: Ledger
    tally: Tally
    recipes: Mapping[Modality, str]
    restore: bool
    retry: bool
    dry_run: bool
    skip: Callable[[Skipped, str, Row | None], None]

    def changed(
        self, found: Iterable[Item | Skipped | Excluded], named: Iterable[str] = ()
    ) -> Iterator[Changed]:
        """The files to read, in the source's order; all others are counted.

        Args:
            found: what a source gives.
            named: the paths that the user gave; one that never existed is told and forgotten.
        """
        given = frozenset(map(uri_of, named))
        rest = iter(found)
        while chunk := list(islice(rest, CHUNK)):
            files = self._unmet(chunk)
            known = self.ledger.rows([file.uri for file in files])
            if self.retry and not self.dry_run:
                self.ledger.redo(list(self._lacking(files, known)))
            for file in files:
                row = known.get(file.uri)
                if row and row.missing and not self.dry_run:
                    row = replace(row, missing=False)
                    self.ledger.put([row])
                if row is None and self._is_slip(file, given):
                    continue
                if self._must_read(file, row):
                    assert isinstance(file, Item)
                    yield Changed(file, row)

    def _unmet(self, chunk: Iterable[Item | Skipped | Excluded]) -> list[Item | Skipped]:
        """Files of the chunk that this run has not met before, noted as met; rules counted."""
        files: dict[str, Item | Skipped] = {}
        sidecars: list[str] = []
        for file in chunk:
            if not isinstance(file, Excluded):
                files.setdefault(file.uri, file)
            elif file.sidecar:
                sidecars.append(file.uri)
            else:
                self.tally.excluded += 1
        self._leave_to_pictures(sidecars)
        for uri in self.ledger.seen(list(files)):
            del files[uri]
        self.ledger.see(list(files))
        return list(files.values())

    def _lacking(self, files: Iterable[Item | Skipped], known: Mapping[str, Row]) -> Iterator[str]:
        """Assets of films that are there, and that are done but for a stretch that failed."""
        for file in files:
            row = known.get(file.uri)
            if isinstance(file, Item) and row and row.asset and row.recipe:
                made = self.ledger.made(row.asset, row.recipe)
                if any(one.has_gap for one in made):
                    yield row.asset

    def _leave_to_pictures(self, sidecars: Sequence[str]) -> None:
        """Forget texts that were indexed by themselves until a picture came beside them."""
        self.tally.sidecars += len(sidecars)
        held = self.ledger.rows(sidecars).values()
        self.tally.vanished += sum(row.asset is not None for row in held)
        if held and not self.dry_run:
            self.ledger.depart(held)

    def _must_read(self, file: Item | Skipped, row: Row | None) -> bool:
        if row and row.outcome == "erased" and not self.restore:
            self.tally.count("skipped", SkipReason.REMOVED)
            return False
        if isinstance(file, Skipped):
            self.skip(file, "", row)
            return False
        if row is None or row.outcome == "erased":
            return True
        same = row.signature == signature(file) and row.recipe == self.recipes.get(file.modality)
        same = same and (file.given is None or row.given == file.given.dump())
        if self.restore and row.reason is SkipReason.REMOVED:
            return True
        if self.retry or not same or row.reason in UNSETTLED:
            return True
        if row.reason is not None:
            self.tally.count("skipped", row.reason)
        else:
            self.tally.unchanged += 1
            self.tally.tell()
        return False

    def _is_slip(self, file: Item | Skipped, given: Collection[str]) -> bool:
        """Whether there is nothing of that name and never was: then the ledger is spared it."""
        path = path_of(file.uri)
        if not isinstance(file, Skipped) or file.uri not in given or os.path.lexists(path):
            return False
        self.tally.count("skipped", file.reason)
        self.tally.warn(f"{printable(path)}: no such file or folder")
        return True


def signature(item: Item) -> str:
    """What tells that a file and its sidecars are as they were: sizes and times, as text."""
    stat = item.stat
    beside = [[os.path.basename(s.path), s.size, s.mtime_ns] for s in item.sidecars]
    return json.dumps([stat.size, stat.mtime_ns, *beside])


Transcripts = tuple[tuple[int, int], ...]


def transcripts(signed: str, modality: Modality) -> Transcripts:
    """Size and time of each transcript beside a film or a recording, out of its signature."""
    beside = json.loads(signed)[2:] if signed else []
    return tuple(sorted((size, at) for name, size, at in beside if is_transcript(name, modality)))


def making(recipe: str, item: Item) -> str:
    """All that decides which documents a file becomes: a recipe, and transcripts beside it."""
    said = transcripts(signature(item), item.modality)
    return f"{recipe} {json.dumps(said)}" if said else recipe


def is_as_it_was(row: Row) -> bool:
    """Whether a file's own size and time are still those in its row."""
    try:
        status = os.stat(path_of(row.uri))
    except OSError:
        return False
    return bool(row.signature) and json.loads(row.signature)[:2] == [
        status.st_size,
        status.st_mtime_ns,
    ]

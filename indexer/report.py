"""What a run did: values for the caller to print, and the line that adds up.

Gets: counts. Gives: frozen records. Touches: nothing. Never: prints.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from retrieval.abilities import Service
from retrieval.schema import FieldType, Modality, SkipReason

STAGES = ("read", "decode", "listen", "encode", "write")


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage of a run took, in seconds.

    Attributes:
        busy: at work, by the clock; the mean of its threads or processes where it has several.
        waited: how long the encoder stood still for it; 0 for the encoder itself.
    """

    busy: float = 0.0
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What became of every file that an indexing run was given.

    Attributes:
        indexed, unchanged, duplicates: files with that outcome.
        skipped: files left out, by reason; with the three above they add up to `total`.
        sidecars: caption and metadata files that were read as part of their picture.
        excluded: files passed over by rule (hidden, AppleDouble, ``--exclude``), uncounted above.
        passed_over: known files that are there, below the given paths, and were passed over by rule
            now (``--exclude``); they stay as they are.
        vanished: known files that are gone; what was known of them was deleted.
        missing: known files whose root can't be seen now; kept until ``--prune``.
        warnings: lines for the user: what was noticed and not counted as a failure.
        seconds: by the clock, from start to end.
        stages: what each of `STAGES` took. ``read`` is hashing, in threads; ``decode`` runs in
            processes; ``listen`` (writing down speech), ``encode`` and ``write`` take turns on the
            main line.
        encoded: inputs that the encoder was given, by modality; a text has one for each passage.
        media_s: seconds of films and recordings that were read.
        interrupted: whether the user stopped it; run again to go on.
        dry_run: whether nothing was written, and no file read: `indexed` counts those to read.
        planned: URIs of the files that a dry run would have read.
    """

    indexed: int = 0
    unchanged: int = 0
    duplicates: int = 0
    skipped: Mapping[SkipReason, int] = field(default_factory=dict)
    sidecars: int = 0
    excluded: int = 0
    passed_over: int = 0
    vanished: int = 0
    missing: int = 0
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    stages: Mapping[str, Stage] = field(default_factory=dict)
    encoded: Mapping[Modality, int] = field(default_factory=dict)
    media_s: float = 0.0
    interrupted: bool = False
    dry_run: bool = False
    planned: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """All files given."""
        return self.indexed + self.unchanged + self.duplicates + sum(self.skipped.values())

    @property
    def failed(self) -> int:
        """Files that should have been indexed and could not be."""
        return sum(count for reason, count in self.skipped.items() if reason.is_failure)

    @property
    def shares(self) -> Mapping[str, float]:
        """Where the encoder's time went, 1 in all: at work, waiting for a stage, the ``rest``.

        The rest is listing files, deciding what is new, and ending. Encoding has the sentences of
        the background statistics in it, and decoding the start of its processes.
        """
        whole = self.seconds or 1.0
        stages = {name: self.stages.get(name, Stage()) for name in STAGES}
        shares = {name: stage.waited / whole for name, stage in stages.items()}
        shares["encode"] = stages["encode"].busy / whole
        return {**shares, "rest": max(0.0, 1.0 - sum(shares.values()))}

    @property
    def bound_by(self) -> str:
        """What most of the time went to: one of `STAGES`, or ``rest``."""
        return max(self.shares, key=lambda name: self.shares[name])

    def accounting(self) -> str:
        """``indexed N, unchanged U, duplicates D, skipped S = total``."""
        done = "would read" if self.dry_run else "indexed"
        return (
            f"{done} {self.indexed}, unchanged {self.unchanged}, duplicates {self.duplicates}, "
            f"skipped {sum(self.skipped.values())} = {self.total}"
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        done: files with an outcome so far.
        failed: those of them that failed.
        total: all files, when they could be counted beforehand.
        what: is counted.
        media_s: seconds of films and recordings read so far.
        media_total_s: that there are to read in those that were begun, as they say of themselves.
        seconds: since the run began.
    """

    done: int
    failed: int
    total: int | None
    what: str = "files"
    media_s: float = 0.0
    media_total_s: float = 0.0
    seconds: float = 0.0


Watcher = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that was skipped: where, why (the closed list), and what was wrong in words."""

    uri: str
    reason: SkipReason
    message: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was compared, what doesn't fit, and how much of it was mended.

    Attributes:
        checked: how many were looked at: ``documents``, ``vectors``, ``assets``, ``files``. Nothing
            when a part can't be read at all: then nothing can be compared with it.
        problems: one line each: which part, id or path, a colon, and what is wrong.
        repaired: how many of them were mended.
        notes: whole sentences on what is no damage: work that the next run finishes, and what
            could not be looked at.
        complete: whether everything was looked at.
        waiting: files whose documents aren't whole until they are indexed again.
        roots: where these files are: indexed folders, and files that lie below none.
    """

    checked: Mapping[str, int]
    problems: tuple[str, ...] = ()
    repaired: int = 0
    notes: tuple[str, ...] = ()
    complete: bool = True
    waiting: int = 0
    roots: tuple[str, ...] = ()

    def by_kind(self) -> list[list[str]]:
        """The problems, those of one kind together: alike after the last colon but for numbers."""
        kinds: dict[str, list[str]] = {}
        for problem in self.problems:
            what = re.sub(r"[0-9]+", "0", problem.rpartition(": ")[2])
            kinds.setdefault(what, []).append(problem)
        return list(kinds.values())


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """One store of a collection.

    Attributes:
        role: ``vectors`` (and the channel), ``documents`` or ``assets``.
        url: as the manifest has it.
        service: what its server says of itself; None for a store that is none.
        error: why it can't be asked; "" when it can.
    """

    role: str
    url: str
    service: Service | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """Figures of a collection; those of a store that can't be asked are missing.

    Attributes:
        stores: each of its stores.
        assets: indexed assets by modality.
        documents: documents by channel key.
        vectors: vectors by channel key.
        files: files known to the ledger, by outcome (``indexed``, ``duplicate``, ``skipped`` ...).
        failures: files that failed, by reason.
        fields: types of the metadata fields that its files have.
        bytes: size on disk of the collection's own folder.
        media_s: seconds of its films and recordings, as they say of themselves.
    """

    stores: tuple[StoreStatus, ...]
    assets: Mapping[str, int]
    documents: Mapping[str, int]
    vectors: Mapping[str, int]
    files: Mapping[str, int]
    failures: Mapping[SkipReason, int]
    fields: Mapping[str, FieldType]
    bytes: int
    media_s: float = 0.0

"""What a move is asked for, and what it did.

Gets: store URLs, counts. Gives: frozen records. Touches: nothing. Never: prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

Role = Literal["vectors", "documents", "assets"]
ROLES: tuple[Role, ...] = ("vectors", "documents", "assets")


@dataclass(frozen=True, slots=True)
class Stores:
    """Store URLs by what they keep; None: as it is."""

    vectors: str | None = None
    documents: str | None = None
    assets: str | None = None

    def urls(self) -> dict[Role, str]:
        """Those that are given."""
        return {role: url for role in ROLES if (url := asdict(self)[role]) is not None}


AS_IT_IS = Stores()


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one kind of thing in the store that it was moved to.

    Attributes:
        written: they were not there, or were others; of a dry run: how many would be looked at.
        equal: they were there already.
        deleted: they were there, and are not the collection's any more.
    """

    written: int = 0
    equal: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class PromoteReport:
    """What a move did.

    Attributes:
        before, now: the collection's stores.
        counts: by what was moved: ``documents``, ``sightings``, ``vectors SPACE/MODALITY``,
            ``assets``; empty when nothing was.
        bytes: of the assets that were written.
        old: stores that it has left, and that still hold what they held, as ``role URL``.
        erased: those that were emptied.
        shared: those that were not, since a store in use has the same files.
        kept: copies of assets that were not erased, since the store in use has no whole one.
        dry_run: whether nothing was done.
    """

    before: Stores
    now: Stores
    counts: Mapping[str, Moved] = field(default_factory=dict)
    bytes: int = 0
    old: tuple[str, ...] = ()
    erased: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    dry_run: bool = False

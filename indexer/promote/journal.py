"""Where a collection has been: what `--back` and `--discard-old` go by, and whose a store is.

Gets: the collection's folder. Gives: a `Journal`. Touches: ``moves.json``, written whole or not at
all; the record ``owner`` of a `SharedStore`. Never: a document.

A place is written down before the first thing is put into it. So a store that holds what the
collection doesn't know, and that isn't written down, is somebody else's and left alone; one that
is written down may be brought to the collection's state, deletions included.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from retrieval.abilities import SharedStore
from retrieval.durable import replace_file
from retrieval.errors import CorruptError, NewerFormatError, UsageError
from retrieval.protocols import DocumentStore

from ..sharing import refuse_published
from .schema import ROLES, Role, Stores

FORMAT = 1
NAME = "moves.json"
OWNER_RECORD = "owner"


@dataclass(frozen=True, slots=True)
class Journal:
    """A collection's moves.

    Attributes:
        identity: tells the collection from all others; "" until it first moves.
        home: the stores that it had before it first moved.
        places: every store that it is in, was in or began to move to, but those erased since and
            those that keep nothing (the user's own files).
    """

    identity: str = ""
    home: Stores | None = None
    places: Mapping[Role, tuple[str, ...]] = field(default_factory=dict)

    def knows(self, role: Role, url: str) -> bool:
        """Whether what is in that store is this collection's."""
        return url in self.places.get(role, ())

    def going(self, now: Stores, stores: Iterable[tuple[Role, str]]) -> Journal:
        """With the stores of a move that begins at `now`."""
        places = {role: dict.fromkeys(self.places.get(role, ())) for role in ROLES}
        for role, url in stores:
            places[role][url] = None
        kept = {role: tuple(urls) for role, urls in places.items()}
        return Journal(self.identity or uuid.uuid4().hex, self.home or now, kept)

    def old(self, now: Stores) -> list[tuple[Role, str]]:
        """The stores that it isn't in any more."""
        current = now.urls()
        return [
            (role, url)
            for role in ROLES
            for url in self.places.get(role, ())
            if url != current[role]
        ]

    def without(self, role: Role, url: str) -> Journal:
        """Without a store that was erased."""
        left = tuple(other for other in self.places.get(role, ()) if other != url)
        return Journal(self.identity, self.home, {**self.places, role: left})


def read_journal(directory: Path) -> Journal:
    """A collection's journal; an empty one where it never moved.

    Raises:
        CorruptError, NewerFormatError: it can't be read.
    """
    path = directory / NAME
    try:
        data = json.loads(path.read_bytes())
        if data["format"] > FORMAT:
            raise NewerFormatError(
                f"{path} has format {data['format']}; this Echolens reads up to {FORMAT}.",
                advice="Update it: pip install -U echolens.",
            )
        return _parse(data)
    except FileNotFoundError:
        return Journal()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CorruptError(
            f"{path} is damaged: {error}.",
            advice="Restore it from a backup. Moved away, the collection works as it is, and only "
            "the way back is forgotten.",
        ) from error


def write_journal(directory: Path, journal: Journal) -> None:
    """Replace a collection's journal: durable when it returns."""
    data = {"format": FORMAT, **asdict(journal)}
    replace_file(directory / NAME, json.dumps(data, indent=2).encode())


def identity_in(documents: DocumentStore, journal: Journal) -> Journal:
    """The journal with the identity that a shared collection has on every machine.

    It is written into the store that the collection is in, so that it is known there later.
    """
    if not isinstance(documents, SharedStore):
        return journal
    held = documents.record(OWNER_RECORD)
    if held is None:
        documents.put_record(OWNER_RECORD, journal.identity.encode(), replacing=None)
        return journal
    return Journal(held.data.decode(), journal.home, journal.places)


def claim(documents: DocumentStore, url: str, identity: str) -> None:
    """Make a shared document store this collection's.

    Raises:
        UsageError: it is another one's.
    """
    if not isinstance(documents, SharedStore):
        return
    held = documents.record(OWNER_RECORD)
    if held is not None and held.data == identity.encode():
        return
    refuse_published(documents, url)
    if held is not None:
        raise UsageError(
            f"Another collection is being moved to {url}.", advice="Give the URL another name."
        )
    documents.put_record(OWNER_RECORD, identity.encode(), replacing=None)


def _parse(data: Mapping[str, Any]) -> Journal:
    home = data["home"]
    places: dict[Role, tuple[str, ...]] = {role: tuple(data["places"][role]) for role in ROLES}
    return Journal(str(data["identity"]), None if home is None else Stores(**home), places)

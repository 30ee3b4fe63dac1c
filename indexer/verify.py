"""Whether the parts of a collection fit together, and mending what doesn't.

Gets: a collection. Gives: a `VerifyReport`. Touches: every store and the ledger, read-only; with
`repair` it writes. Never: the user's files.

First each part is looked at by itself (`Salvage`); parts that can be read are then compared with
each other (`Check`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence

from retrieval.abilities import SharedStore
from retrieval.collection import Collection
from retrieval.schema import path_of

from .checks import Check
from .lease import RECORD
from .opening import Session, locked, looking, undisturbed, writing
from .report import VerifyReport
from .salvage import Salvage
from .write import Writer

_APART = "A part can't be read, so the parts were not compared with each other."
_DISTURBED = (
    "{} was writing, or was ended while it wrote: what it has begun may look like damage until "
    "it has gone on."
)


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
        check = Check(session, Writer(session.backends, session.ledger), repair)
        check.problems, check.repaired = salvage.problems, salvage.repaired
        check.notes += salvage.notes
        before = _writer_elsewhere(session)
        check.run(salvage.damaged)
        if not repair and (before[1] or _writer_elsewhere(session) != before):
            check.notes.append(_DISTURBED.format(before[0] or _writer_elsewhere(session)[0]))
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


def _writer_elsewhere(session: Session) -> tuple[str, str]:
    """Which machine has written last to a shared collection, and what shows that it still does."""
    documents = session.backends.documents
    held = documents.record(RECORD) if isinstance(documents, SharedStore) else None
    if held is None:
        return "", ""
    state = json.loads(held.data)
    return str(state["holder"]), "" if state["free"] else held.version

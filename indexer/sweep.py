"""Known files that a run did not meet: vanished, or missing because their root is.

Gets: a source's roots. Gives: counts. Touches: the file system, by stat; the ledger. Never:
deletes what it can't be sure is gone.

A file has vanished when it isn't there although its root is. A root that is missing, empty, or on
another device than before is a disk that isn't plugged in: its files are marked as missing, and
only `prune` forgets them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from itertools import islice

from retrieval.schema import path_of, uri_of

from .ledger import CHUNK, Ledger, Row
from .tally import Tally


def sweep(roots: Iterable[str], ledger: Ledger, tally: Tally, *, prune: bool) -> None:
    """Forget vanished files in the ledger, leaving a recheck for each of their assets."""
    for root in roots:
        present = _is_present(root, ledger, prune=prune)
        rest = iter(list(_gone(ledger, uri_of(root))))
        while rows := list(islice(rest, CHUNK)):
            if present or prune:
                ledger.intend_recheck(row.asset for row in rows if row.asset)
                ledger.drop(row.uri for row in rows)
                tally.vanished += sum(row.asset is not None for row in rows)
            else:
                ledger.mark_missing(row.uri for row in rows)
                tally.missing += sum(row.asset is not None for row in rows)


def _is_present(root: str, ledger: Ledger, *, prune: bool) -> bool:
    try:
        status = os.stat(root)
        if not stat.S_ISDIR(status.st_mode):
            return True
        with os.scandir(root) as entries:
            is_empty = next(entries, None) is None
    except OSError:
        return False
    name = os.fsencode(root)
    if is_empty:
        return False
    known = ledger.device(name)
    if known is None or prune:
        ledger.put_device(name, status.st_dev)
        return True
    return known == status.st_dev


def _gone(ledger: Ledger, root_uri: str) -> Iterator[Row]:
    for row in ledger.unseen(root_uri):
        if row.outcome == "erased":
            continue  # what was removed stays removed, should the file come back
        try:
            status = os.lstat(path_of(row.uri))
        except (FileNotFoundError, NotADirectoryError):
            yield row
        except OSError:
            continue  # can't be looked at: nothing is known of it
        else:
            if stat.S_ISDIR(status.st_mode):
                yield row  # a folder that couldn't be listed before, or one in a file's place

"""Known files that a run did not meet: vanished, or missing because their root is.

Gets: a source's roots. Gives: counts. Touches: the file system, by stat; the ledger. Never:
deletes what it can't be sure is gone.

A file has vanished when it isn't there although its root is. A root that is missing, empty, or on
another device than before is a disk that isn't plugged in: its files are marked as missing, and
only `prune` forgets them. Some file systems get another device number each time they are mounted:
where a known file was met again, the new number counts from the next run on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from itertools import islice

from retrieval.schema import path_of, uri_of

from .ledger import CHUNK, Ledger
from .rows import Row
from .tally import Tally


def sweep(roots: Iterable[str], ledger: Ledger, tally: Tally, *, prune: bool) -> None:
    """Forget vanished files in the ledger, leaving a recheck for each of their assets."""
    for root in roots:
        present = _is_present(root, ledger, prune=prune)
        gone, still_there = _unmet(ledger, uri_of(root))
        tally.passed_over += still_there
        rest = iter(gone)
        while rows := list(islice(rest, CHUNK)):
            if present or prune:
                ledger.depart(rows)
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
    if known == status.st_dev:
        return True
    if known is None or prune or ledger.has_met_known(uri_of(root)):
        ledger.put_device(name, status.st_dev)
    return known is None or prune


def _unmet(ledger: Ledger, root_uri: str) -> tuple[list[Row], int]:
    """Of the known files that weren't met: those that are gone; how many are there all the same."""
    gone, still_there = [], 0
    for row in ledger.unseen(root_uri):
        if row.outcome == "erased":
            continue  # what was removed stays removed, should the file come back
        try:
            status = os.lstat(path_of(row.uri))
        except (FileNotFoundError, NotADirectoryError):
            gone.append(row)
        except OSError:
            continue  # can't be looked at: nothing is known of it
        else:
            if stat.S_ISDIR(status.st_mode):
                gone.append(row)  # a folder that couldn't be listed before, or in a file's place
            else:
                still_there += row.asset is not None
    return gone, still_there

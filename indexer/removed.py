"""What `remove` took out, a second time: the ledger may be lost, and then nothing else knows it.

Gets: the collection's folder. Gives: URIs. Touches: ``removed.json``, written whole or not at all.
Never: anything else. Written before the ledger says so and read only where the ledger is new.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from retrieval.durable import replace_file
from retrieval.errors import CorruptError

from .ledger import Ledger, Row

NAME = "removed.json"


def read_removed(directory: Path) -> set[str]:
    """The URIs; none where nothing was ever removed.

    Raises:
        CorruptError: the file is damaged.
    """
    path = directory / NAME
    try:
        uris = json.loads(path.read_bytes())
    except FileNotFoundError:
        return set()
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
        raise _damaged(path, "it holds no list of URIs")
    return set(uris)


def write_removed(directory: Path, uris: Iterable[str]) -> None:
    """Replace the list: durable when it returns."""
    replace_file(directory / NAME, json.dumps(sorted(uris), indent=0).encode())


def removed_in(ledger: Ledger) -> set[str]:
    """The URIs that the ledger knows to be removed."""
    return {row.uri for row in ledger.scan("erased")}


def teach(directory: Path, ledger: Ledger) -> None:
    """Tell a ledger that knows nothing what was removed.

    Raises:
        CorruptError: the list is damaged.
    """
    if ledger.is_empty():
        ledger.put(Row(uri, "", None, "", "erased") for uri in sorted(read_removed(directory)))


def _damaged(path: Path, how: str) -> CorruptError:
    return CorruptError(f"{path} is damaged: {how}.", advice="Run `echolens verify --repair`.")

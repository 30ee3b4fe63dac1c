"""Files that failed before, to be tried again.

Gets: the URIs of the ledger's failures. Gives: items. Touches: one stat a file. Never: the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from retrieval.schema import path_of, uri_of

from ..files import items_of
from ..schema import Excluded, Item, Skipped


class FailureSource:
    """The given files, or those of them below some paths."""

    def __init__(self, uris: Iterable[str], below: Sequence[str] = ()) -> None:
        prefixes = tuple(uri_of(path) for path in below)
        self._uris = [
            uri
            for uri in uris
            if not prefixes or any(uri == p or uri.startswith(p + "/") for p in prefixes)
        ]

    @property
    def roots(self) -> tuple[str, ...]:
        return ()

    @property
    def warnings(self) -> tuple[str, ...]:
        return ()

    def items(self) -> Iterator[Item | Skipped | Excluded]:
        return (item for uri in self._uris for item in items_of(path_of(uri)))

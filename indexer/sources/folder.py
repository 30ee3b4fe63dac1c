"""Folders and single files: walks them in a fixed order, pairing pictures with their sidecars.

Gets: paths. Gives: items, skipped and excluded files. Touches: the file system, by listing and
one stat a file. Never: opens a file.

Rules. Names that begin with a dot (AppleDouble's ``._x`` among them) and the folders that systems
leave behind are passed over. A link to a file is followed; a link to a folder only when it was
given itself or `follow_symlinks` is set, and never into one of its own parents.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from retrieval.errors import UsageError
from retrieval.schema import uri_of

from ..files import is_sidecar, item_with, items_of, sidecar_names, unreadable
from ..schema import Excluded, Item, Skipped

LITTER = frozenset({"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "Thumbs.db", "desktop.ini"})


class FolderSource:
    """Files under the given paths (folders or files)."""

    def __init__(
        self,
        paths: Sequence[str],
        *,
        exclude: Sequence[str] = (),
        follow_symlinks: bool = False,
        leave_out: Path | None = None,
    ) -> None:
        """Walk `paths`.

        Args:
            paths: folders or files; a path given twice counts once.
            exclude: shell patterns; one that matches a name or a path below its root leaves it out.
            follow_symlinks: whether links to folders are entered.
            leave_out: a folder that isn't entered: the collection's own.

        Raises:
            UsageError: a path holds a NUL.
        """
        for path in paths:
            if "\0" in path:
                raise UsageError(
                    f"No path can be called {path!a}.",
                    advice="A list of paths that end in NUL is read with -0.",
                )
        absolute = (os.path.abspath(os.path.expanduser(path)) for path in paths)
        self._roots = tuple(dict.fromkeys(absolute))
        self._exclude = tuple(exclude)
        self._follow = follow_symlinks
        self._leave_out = os.path.realpath(leave_out) if leave_out else None

    @property
    def roots(self) -> tuple[str, ...]:
        return self._roots

    @property
    def warnings(self) -> tuple[str, ...]:
        return ()

    def items(self) -> Iterator[Item | Skipped | Excluded]:
        given: set[str] = set()  # a picture may be named beside its own sidecar
        for root in self._roots:
            try:
                status = os.stat(root)
            except OSError as error:
                yield unreadable(root, error)
                continue
            if stat.S_ISDIR(status.st_mode):
                yield from self._folder(root, root, ((status.st_dev, status.st_ino),))
            else:
                new = [item for item in items_of(root) if item.uri not in given]
                given.update(item.uri for item in new)
                yield from new

    def _folder(
        self, folder: str, root: str, parents: tuple[tuple[int, int], ...]
    ) -> Iterator[Item | Skipped | Excluded]:
        if self._leave_out and os.path.realpath(folder) == self._leave_out:
            yield Excluded(uri_of(folder))
            return
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            yield unreadable(folder, error)
            return
        names = {entry.name for entry in entries}
        for entry in entries:
            if self._is_excluded(entry, root):
                yield Excluded(uri_of(entry.path))
                continue
            try:
                status = entry.stat()
            except OSError as error:
                yield unreadable(entry.path, error)
                continue
            if stat.S_ISDIR(status.st_mode):
                yield from self._subfolder(entry, root, (*parents, (status.st_dev, status.st_ino)))
            elif is_sidecar(entry.name, names):
                yield Excluded(uri_of(entry.path), sidecar=True)
            else:
                beside = [n for n in sidecar_names(entry.name) if n in names]
                yield item_with(entry.path, status, [os.path.join(folder, name) for name in beside])

    def _subfolder(
        self, entry: os.DirEntry[str], root: str, parents: tuple[tuple[int, int], ...]
    ) -> Iterator[Item | Skipped | Excluded]:
        is_link = entry.is_symlink()
        if is_link and (not self._follow or parents[-1] in parents[:-1]):
            yield Excluded(uri_of(entry.path))
        else:
            yield from self._folder(entry.path, root, parents)

    def _is_excluded(self, entry: os.DirEntry[str], root: str) -> bool:
        if entry.name.startswith(".") or entry.name in LITTER:
            return True
        if not self._exclude:
            return False
        relative = os.path.relpath(entry.path, root)
        return any(
            fnmatch.fnmatch(entry.name, pattern) or fnmatch.fnmatch(relative, pattern)
            for pattern in self._exclude
        )

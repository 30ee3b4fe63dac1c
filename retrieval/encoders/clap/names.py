"""What a location of `clap:` names, and the key of its space.

Gets: what follows ``clap:``. Gives: a `Repository` or a `Folder`. Touches: nothing. Never: a
connection.

A space's key is unique for each way of naming: the hub's name with a digest of its exact spelling,
since a slug alone would take ``a/b-c`` and ``a-b/c`` for one; the digest of a folder's files, since
the folder may move.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import UsageError

DEFAULT = "laion/larger_clap_general"

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_PATH = re.compile(r"[/.~\\]|[A-Za-z]:[\\/]")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of the hub."""

    id: str

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with the files of such a repository; the path is absolute."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


Named = Repository | Folder


def parse(location: str) -> Named:
    """What a location names; nothing names the default, a path is made absolute.

    Raises:
        UsageError: it is neither.
    """
    if _PATH.match(location):
        return Folder(Path(os.path.expanduser(location)).absolute())
    id_ = location or DEFAULT
    if not _REPOSITORY.fullmatch(id_) or "--" in id_ or ".." in id_:
        raise UsageError(
            f"`clap:{location}` names no model.",
            advice=f"Write clap:OWNER/NAME as the hub has it ({DEFAULT} when it is left out), "
            "clap:/path/to/folder or clap:./folder.",
        )
    return Repository(id_)


def space_key(named: Named, digest: str) -> str:
    """The slug that names the space.

    Args:
        named: what the location names.
        digest: hex digest of a folder's files; "" for a repository.
    """
    if isinstance(named, Folder):
        return f"clap-folder-{digest[:16]}"
    slug = re.sub(r"[^a-z0-9]+", "-", named.id.lower()).strip("-")
    return f"clap-{slug}-{hashlib.sha256(named.id.encode()).hexdigest()[:8]}"

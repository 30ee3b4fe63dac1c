"""What a machine is called in a shared collection, for good: its files there carry the name.

Gets: a collection's folder, the settings. Gives: a name. Touches: the file ``host`` in the folder,
written once. Never: a network.

A machine's own name may change (another network, a new container); its files in the collection
would then look like another machine's, and nobody's. So the folder keeps the first name it had.
"""

from __future__ import annotations

from pathlib import Path

from .durable import replace_file
from .settings import Settings

NAME = "host"


def host_of(directory: Path, settings: Settings) -> str:
    """What this machine is called in the collection of a folder."""
    try:
        return (directory / NAME).read_text(encoding="utf-8").strip() or settings.host
    except (FileNotFoundError, NotADirectoryError):
        return settings.host


def keep_host(directory: Path, host: str) -> None:
    """Keep the name, unless the folder has one.

    Raises:
        StoreUnreachableError: no space or no permission.
    """
    if not (directory / NAME).exists():
        replace_file(directory / NAME, f"{host}\n".encode())

"""Credentials for servers: from the environment, or from a file that only its owner can read.

Gets: a server's address. Gives: names and secrets. Touches: the environment (through `settings`)
and ``credentials.toml`` beside the user's settings. Never: a secret in a message.

The environment wins: ``ECHOLENS_ELASTICSEARCH_API_KEY`` is the ``api_key`` of every Elasticsearch.
The file has a table for a kind of server, and may have one for a single server, which wins::

    [milvus]
    token = "..."

    ["elasticsearch://search.example.com:9200"]
    api_key = "..."
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..settings import config_path, environment
from .address import Address

NAMES = ("api_key", "user", "password", "token")


def credentials_path() -> Path:
    """The file of credentials, whether or not it exists."""
    return config_path().with_name("credentials.toml")


def credentials_for(address: Address) -> Mapping[str, str]:
    """What is known of `NAMES` for a server; empty for one that asks for nothing.

    Raises:
        UsageError: the file of credentials can be read by others, or makes no sense.
    """
    tables = _read(credentials_path())
    given = environment(f"ECHOLENS_{address.scheme.upper()}_")
    of_environment = {name: given[name] for name in NAMES if name in given}
    if of_environment:
        return of_environment
    return {**tables.get(address.scheme, {}), **tables.get(address.server, {})}


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(
            f"Whether there is a {path} can't be seen.", advice="Mend its folder's permissions."
        ) from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise UsageError(
            f"{path} holds secrets and can be read by others.", advice=f"chmod 600 {path}"
        )
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # whose text may quote a secret
        raise UsageError(
            f"{path} can't be read as TOML.", advice="Mend the file; the README shows its form."
        ) from error
    return {server: _table(path, server, table) for server, table in tables.items()}


def _table(path: Path, server: str, table: Any) -> dict[str, str]:
    if not isinstance(table, dict):
        raise UsageError(f"`{server}` in {path} is no table.", advice=f"Write `[{server}]`.")
    for name, value in table.items():
        if name not in NAMES or not isinstance(value, str):
            raise UsageError(
                f"[{server}] in {path} can't have this `{name}`.",
                advice=f"It takes texts called {', '.join(NAMES)}.",
            )
    return table

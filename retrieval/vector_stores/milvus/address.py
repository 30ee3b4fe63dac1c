"""Where the vectors of a channel lie: a collection of a Milvus server, or of a file of Milvus Lite.

Gets: a URL, the collection's folder, a channel. Gives: a `Place`, its name there. Touches:
nothing. Never: a secret.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ...errors import UsageError
from ...schema import Channel
from ...servers.address import Address, Option, Value, parse

PORT = 19530
LITE_FILE = "vectors/milvus.db"

OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        "db": Option("default"),
        "index": Option("HNSW", choices=("HNSW", "FLAT", "AUTOINDEX")),
        "m": Option(16, least=2, most=2048),  # of HNSW: neighbours of a row
        "ef_construction": Option(200, least=8, most=4096),
        "ef": Option(128, least=1, most=16_384),  # of HNSW: how far a search looks
        "consistency": Option("bounded", choices=("bounded", "session", "strong")),
        "shards": Option(1, least=1, most=64),
        "replicas": Option(1, least=1, most=64),
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL says.

    Attributes:
        server: None for Milvus Lite.
        file: of Milvus Lite; None for a server.
        collection: what Milvus calls the channel's collection.
        options: every one has its value.
    """

    server: Address | None
    file: Path | None
    collection: str
    options: Mapping[str, Value]

    def __str__(self) -> str:
        return f"the Milvus Lite file {self.file}" if self.file else f"Milvus {self.server}"


def target(url: str, directory: Path, channel: Channel) -> Target:
    """Where a URL puts the vectors of a channel.

    Raises:
        UsageError: the URL isn't of a form that is known.
    """
    place = parsed(url)
    if isinstance(place, Address):
        return Target(place, None, _named(place.name, channel), place.options)
    options = {name: option.default for name, option in OPTIONS.items()}
    options |= {"index": "FLAT", "consistency": "strong", "timeout": 30.0}
    return Target(None, directory / place, _named("vectors", channel), options)


def parsed(url: str) -> Address | str:
    """The server that a URL names, or the file of Milvus Lite.

    Raises:
        UsageError: the URL isn't of a form that is known.
    """
    rest = url.partition(":")[2]
    if rest.startswith("//"):
        return parse(url, port=PORT, options=OPTIONS)
    if "?" in rest or not (rest or LITE_FILE).endswith(".db"):
        raise UsageError(
            f"`{url}` names neither a Milvus server nor a file of Milvus Lite.",
            advice=f"Write it like `milvus://HOST:{PORT}/NAME` or `milvus:FILE.db`.",
        )
    return rest or LITE_FILE


def _named(name: str, channel: Channel) -> str:
    """A name that Milvus takes; the digest keeps apart what looks alike without its hyphens."""
    whole = f"{name}_{channel.key}"
    digest = hashlib.blake2b(whole.encode(), digest_size=4).hexdigest()
    return f"{re.sub('[^a-zA-Z0-9_]', '_', whole)[:200]}_{digest}"

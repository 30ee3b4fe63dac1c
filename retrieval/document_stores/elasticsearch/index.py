"""The index of a store: its mapping and settings; made, found, or refused.

Gets: a connection. Gives: an index that is ours. Touches: that index and the alias of its writers.
Never: rows.

One index holds three sorts of rows, told apart by ``t`` and by their ids: documents (``d:`` and the
id), sightings (``s:`` and a hash of the URI), records (``r:`` and the name). Nothing refreshes the
index but a write at its end, so on one shard searches see a batch whole or not at all.

The mapping names what is searched; all else of a row is kept as it came and not looked at.
"""

from __future__ import annotations

from typing import Any

from elasticsearch import BadRequestError

from ...errors import CorruptError, NewerFormatError, OlderFormatError, StoreUnreachableError
from ...protocols import Place
from ...servers.address import Option
from .connection import Connection
from .tokens import VALUES

FORMAT = 2  # the terms of 1 told the scripts of Chinese apart
_META = {"echolens": {"format": FORMAT}}
PORT = 9200

# On a single node, 1 replica could nowhere lie: `auto` makes one as soon as there are two nodes.
OPTIONS = {
    "shards": Option(1, least=1, most=1024),
    "replicas": Option("auto", choices=("auto", "0", "1", "2", "3")),
}
_TERM = {"type": "keyword"}
_UNSORTED = {"type": "keyword", "doc_values": False}

PROPERTIES: dict[str, Any] = {
    "t": _TERM,
    "key": _TERM,  # a row's id again, to sort by
    "asset": _TERM,
    "channel": _TERM,
    "kind": {"type": "keyword", "index": False},
    "seen": {"type": "boolean", "doc_values": False},  # whether its asset has a sighting
    "time": {"type": "double_range", "coerce": False},  # in seconds
    "words": {"type": "text", "analyzer": "terms", "index_options": "freqs"},
    "sightings": {"type": "nested", "properties": {VALUES.rpartition(".")[2]: _UNSORTED}},
    "uri": _TERM,
    "first": {"type": "long", "index": False},  # when a sighting was first written
    "fields": {"type": "keyword", "ignore_above": 8_000},  # type and name, of a sighting's fields
}

_ADVICE_ELSEWHERE = "Name another index in the URL, or move this one away."


def open_index(connection: Connection, place: Place) -> bool:
    """Find the index, or make it where that is allowed; whether it has an earlier format.

    Raises:
        CorruptError: it is missing, or isn't ours.
        NewerFormatError: a newer version made it.
        OlderFormatError: an older one did, and it is opened for reading.
    """
    make = not place.read_only and (place.anew or not place.existing)
    found = _find(connection)
    if found is not None and place.anew and not place.read_only:
        connection.ask(lambda client: client.indices.delete(index=connection.name))
        found = None
    if found is None:
        if not make:
            raise connection.missing()
        found = _make(connection)
    version = _format(connection, found)
    if version < FORMAT and place.read_only:
        raise OlderFormatError(
            f"The {connection} has format {version}; this version reads {FORMAT} alone.",
            advice="Run `echolens index` once: what writes brings it up to date.",
        )
    return version < FORMAT


def put_properties(connection: Connection) -> None:
    """Let searches see in an index of an earlier format all that they see in a new one."""
    connection.ask(
        lambda client: client.indices.put_mapping(index=connection.name, properties=PROPERTIES)
    )


def put_format(connection: Connection) -> None:
    """Say that the index has the format of this version."""
    connection.ask(lambda client: client.indices.put_mapping(index=connection.name, meta=_META))


def writers_alias(name: str, token: str | None = None) -> str:
    """What a writer writes through: it goes when another one fences, and is never an index."""
    return f"{name}-writer" if token is None else f"{name}-writer-{token}"


def _find(connection: Connection) -> dict[str, Any] | None:
    """What the server says of the index; None when there is none."""
    name = connection.name
    told = connection.ask(
        lambda client: client.indices.get(index=name, ignore_unavailable=True, flat_settings=True)
    )
    if not told:
        return None
    if name not in told or "echolens" not in (told[name]["mappings"].get("_meta") or {}):
        raise CorruptError(
            f"The {connection} is there, but Echolens didn't make it.", advice=_ADVICE_ELSEWHERE
        )
    found: dict[str, Any] = told[name]
    return found


def _make(connection: Connection) -> dict[str, Any]:
    at, name = connection.at, connection.name
    replicas = str(at.options["replicas"])
    settings: dict[str, Any] = {
        "number_of_shards": at.options["shards"],
        **(
            {"auto_expand_replicas": "0-1"}
            if replicas == "auto"
            else {"number_of_replicas": replicas}
        ),
        "refresh_interval": "-1",
        "max_terms_count": 65_536,
        "mapping.nested_objects.limit": 1_000_000,  # sightings of one asset
        "merge.policy.expunge_deletes_allowed": 0,  # so that erasing leaves nothing
        "analysis": {
            "analyzer": {
                "terms": {
                    "type": "custom",
                    "tokenizer": "whitespace",
                    "filter": ["porter_stem"],
                }
            }
        },
    }
    mappings = {
        "dynamic": False,
        "_meta": _META,
        "properties": PROPERTIES,
    }
    try:
        connection.ask(
            lambda client: client.indices.create(
                index=name,
                settings=settings,
                mappings=mappings,
                aliases={writers_alias(name): {}},
            )
        )
    except StoreUnreachableError as error:
        cause = error.__cause__
        exists = "resource_already_exists_exception"
        if not isinstance(cause, BadRequestError) or cause.error != exists:
            raise
    found = _find(connection)  # ours, or that of another writer, which was quicker
    if found is None:
        raise connection.missing()
    return found


def _format(connection: Connection, found: dict[str, Any]) -> int:
    """The format of the index, this one or an earlier one."""
    meta = found["mappings"]["_meta"]["echolens"]
    version = meta.get("format") if isinstance(meta, dict) else None
    if not isinstance(version, int) or found["settings"].get("index.verified_before_close"):
        raise CorruptError(
            f"The {connection} is closed, or its mapping was changed.",
            advice="Open it on the server, or bring it back from a backup (a snapshot).",
        )
    if version > FORMAT:
        raise NewerFormatError(
            f"The {connection} has format {version}; this version reads up to {FORMAT}.",
            advice="Upgrade Echolens: pip install -U echolens",
        )
    return version

"""Records of a collection about itself, and the fence between its writers.

Gets: names and bytes; tokens. Gives: records. Touches: the rows ``r:`` of the index, and the
aliases of its writers. Never: documents.

The fence is an alias of the index that only the last one to fence writes through: in one step of
the cluster's state the aliases of all others go and its own comes. A request that was on its way in
the server at that moment may still be carried out; every later one is refused.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from typing import Any

from elasticsearch import Elasticsearch

from ...abilities import Record
from ...errors import LockedError, StoreUnreachableError
from .connection import RUNS, Connection
from .index import writers_alias


def read(connection: Connection, name: str) -> Record | None:
    """What was last put under a name, whether or not searches see it yet."""
    found = _found(connection, name)
    return None if found is None else _record(found)


def put(connection: Connection, name: str, data: bytes, *, replacing: str | None) -> Record:
    """Write a record over the version `replacing`; None: over none.

    Raises:
        LockedError: the version there is another. Nothing is written then.
    """
    mark = uuid.uuid4().hex  # by which it is known again, should the answer get lost
    key, body = _key(name), {"t": "r", "key": _key(name), "put": mark}
    body["data"] = base64.b64encode(data).decode()
    condition: dict[str, Any] = {"op_type": "create"}
    if replacing is not None:
        seq_no, _, term = replacing.partition(".")
        condition = {"if_seq_no": int(seq_no), "if_primary_term": int(term)}

    def write(client: Elasticsearch) -> Any:
        return client.options(ignore_status=409).index(
            index=writers_alias(connection.name),
            id=key,
            document=body,
            require_alias=True,
            **condition,
        )

    answer = connection.ask(write)
    if "_seq_no" in answer:
        return Record(data, _version(answer))
    found = _found(connection, name)
    if found is not None and found["_source"].get("put") == mark:
        return _record(found)
    raise LockedError(
        f"Another machine has changed what the {connection} keeps of the collection.",
        advice="Run the same command again.",
    )


def fence(connection: Connection, token: str) -> str:
    """Take writing over from all others; the alias to write through from now on."""
    name = connection.name
    alias = writers_alias(name, hashlib.blake2b(token.encode(), digest_size=16).hexdigest())
    others = writers_alias(name, "*")
    answer = connection.ask(
        lambda client: client.indices.update_aliases(
            actions=[
                {"remove": {"index": name, "alias": others, "must_exist": False}},
                {"add": {"index": name, "alias": alias}},
            ]
        )
    )
    if not answer.get("acknowledged"):
        raise StoreUnreachableError(
            f"The {connection} hasn't told all of its nodes who writes now.", advice=RUNS
        )
    return alias


def _found(connection: Connection, name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = connection.exists(
        lambda client: client.get(index=connection.name, id=_key(name))
    )
    return found


def _key(name: str) -> str:
    return f"r:{name}"


def _record(found: dict[str, Any]) -> Record:
    return Record(base64.b64decode(found["_source"]["data"]), _version(found))


def _version(told: dict[str, Any]) -> str:
    return f"{told['_seq_no']}.{told['_primary_term']}"

"""The rows of one channel: a Milvus collection, its making, and requests to it in bounded pieces.

Gets: rows, ids, queries that are already checked. Gives: rows, ids, raw scores. Touches: its
collection, through a `Connection`. Never: a filter with a value in it that isn't an id or a hash.

The scores are inner products: of unit vectors they are the cosines, and of vectors whose norm is
1.0005 they are what every other back end gives.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient

from ...errors import CorruptError, NewerFormatError, StoreUnreachableError
from ...schema import FloatArray
from ...vectors import is_id
from .address import Target
from .connection import Connection
from .faults import code_of, missing, still_loading

FORMAT = 1
METRIC = "IP"
MOST = 16_384  # hits of a search, and rows of an answer, that a server gives
LOAD_S = 120.0  # that a collection may take to load, for one who writes

_POLL_S = 0.2
_PROPERTY = "echolens.format"
_DESCRIPTION = "Vectors of Echolens, format "
_BYTES = 16 * 2**20  # of vectors in one message; a server takes 64 MiB
_IDS = 4096  # named in one filter
_HITS = 100_000  # that one search may give for all of its queries
_IDS_END = 2**128  # one more than the last id, as a number
_ASSET = re.compile("[0-9a-f]{64}")


class Table:
    """A collection that is there, fits, and is loaded."""

    def __init__(self, target: Target, dim: int, *, read_only: bool) -> None:
        self.name = target.collection
        self.dim = dim
        self.rows_at_once = max(1, min(MOST, _BYTES // (4 * dim)))
        self._target = target
        self._options = target.options
        self._connection = Connection(target, read_only=read_only)
        self._load_s = self._connection.loading_s if read_only else LOAD_S
        self._call = self._connection.call

    def open(self, *, make: bool, anew: bool, complete: bool) -> None:
        """Find the collection and see that it fits and is loaded.

        Args:
            make: make it when it is missing.
            anew: throw away the one that is there.
            complete: go on where its making was broken off.

        Raises:
            CorruptError: it is missing, or of another shape.
            NewerFormatError: a newer version made it.
        """
        if anew:
            self._call("drop_collection", self.name)
        held = None if anew else self._described()
        if held is None:
            if not make:
                raise missing(self._target)
            self._make()
        else:
            self._check(held)
        self._index(make=complete)
        self._load()

    def close(self) -> None:
        self._connection.close()

    # ---- writing

    def upsert(self, ids: Sequence[str], vectors: FloatArray, about: Mapping[str, Any]) -> None:
        """Write rows; ``about`` gives a document's (asset, kind)."""
        for start in range(0, len(ids), self.rows_at_once):
            part = slice(start, start + self.rows_at_once)
            rows = [
                {"id": i, "asset": asset, "kind": kind, "vector": vector}
                for i, vector in zip(ids[part], vectors[part], strict=True)
                for asset, kind in (about.get(i, ("", "")),)
            ]
            self._call("upsert", self.name, rows)

    def delete(self, ids: Sequence[str]) -> None:
        for part in _parts(ids):
            self._call("delete", self.name, ids=part)

    def compact(self) -> None:
        self._call("compact", self.name)

    # ---- reading

    def search(
        self, queries: FloatArray, depth: int, consistency: str
    ) -> list[tuple[list[str], FloatArray]]:
        """(ids, scores) of some `depth` best for each query; approximate, in no order of ties."""
        params = {}
        if self._options["index"] == "HNSW":
            params = {"ef": max(int(self._options["ef"]), depth)}
        answers: list[tuple[list[str], FloatArray]] = []
        step = max(1, _HITS // depth)
        for start in range(0, len(queries), step):
            found = self._call(
                "search",
                self.name,
                list(queries[start : start + step]),
                limit=depth,
                output_fields=["id"] if self._target.file else None,  # Lite sends all of them else
                search_params={"metric_type": METRIC, "params": params},
                consistency_level=consistency,
            )
            answers += [(list(hits.ids), np.array(hits.distances, np.float32)) for hits in found]
        return answers

    def vectors(self, ids: Sequence[str], consistency: str) -> dict[str, FloatArray]:
        """The vectors of those ids that are there."""
        step = min(_IDS, self.rows_at_once)
        known = [text for text in dict.fromkeys(ids) if is_id(text)]
        found: dict[str, FloatArray] = {}
        for part in _parts(known, step):
            rows = self._query(_one_of("id", part), ["id", "vector"], consistency)
            found |= {row["id"]: np.array(row["vector"], np.float32) for row in rows}
        return found

    def about(self, ids: Sequence[str]) -> list[tuple[str, str, str]]:
        """(id, asset, kind) of those ids that were written with their documents."""
        known = [text for text in dict.fromkeys(ids) if is_id(text)]
        fields = ["id", "asset", "kind"]
        rows = [row for part in _parts(known) for row in self._query(_one_of("id", part), fields)]
        return [(row["id"], row["asset"], row["kind"]) for row in rows if row["asset"]]

    def of_assets(self, assets: Sequence[str]) -> list[tuple[str, str, str]]:
        """(id, asset, kind) of all documents of assets, by id within each part of them."""
        known = [text for text in dict.fromkeys(assets) if _ASSET.fullmatch(text)]
        return [
            (row["id"], row["asset"], row["kind"])
            for part in _parts(known)
            for rows in self.pages(["id", "asset", "kind"], MOST, where=_one_of("asset", part))
            for row in rows
        ]

    def count(self, consistency: str = "Strong") -> int:
        return int(self._query("", ["count(*)"], consistency)[0]["count(*)"])

    def pages(
        self, fields: list[str], size: int, *, where: str = "", consistency: str = "Strong"
    ) -> Iterator[list[Mapping[str, Any]]]:
        """All rows in the order of their ids, up to `size` at once: each a state of its own.

        Ids are hashes, so equal ranges of them hold about as many rows; one that holds too many
        is halved. The client's own iterator is of no use: it doesn't wait for what was just
        written, whatever consistency it is given; and a mere limit takes any rows.
        """
        pieces = 1 if where else self.count(consistency) // max(1, size // 2) + 1
        step = -(-_IDS_END // pieces)
        ranges = [(low, min(low + step, _IDS_END)) for low in range(0, _IDS_END, step)][::-1]
        while ranges:
            low, high = ranges.pop()
            terms = [f'id >= "{low:032x}"', f'id < "{high:032x}"', where]
            terms = [each for each in terms if each and not each.endswith(f'"{_IDS_END:x}"')]
            rows = self._query(" and ".join(terms), fields, consistency, limit=size)
            if len(rows) >= size and high - low > 1:
                middle = (low + high) // 2
                ranges += [(middle, high), (low, middle)]
            elif rows:
                yield sorted(rows, key=lambda row: str(row["id"]))

    def index(self) -> Mapping[str, Any]:
        """What the server says of the index; empty when there is none."""
        try:
            return dict(self._call("describe_index", self.name, "vector") or {})
        except CorruptError:
            raise
        except StoreUnreachableError as error:
            if code_of(error.__cause__ or error) == 700:
                return {}
            raise

    def version(self) -> str:
        return re.sub(r"^(milvus_lite-|v)", "", str(self._call("get_server_version")))

    # ---- inside

    def _query(
        self, where: str, fields: list[str], consistency: str = "Strong", **more: Any
    ) -> list[Mapping[str, Any]]:
        found = self._call(
            "query",
            self.name,
            filter=where,
            output_fields=fields,
            consistency_level=consistency,
            **more,
        )
        return list(found)

    def _described(self) -> Mapping[str, Any] | None:
        if not self._call("has_collection", self.name):
            return None
        return dict(self._call("describe_collection", self.name))

    def _load(self) -> None:
        """Have the collection loaded; the client's own wait goes on when the server is gone."""
        end = time.monotonic() + self._load_s
        asked = False
        while "Loaded" not in (state := self._load_state()):
            if "Loading" not in state and not asked:
                replicas = int(self._options["replicas"])
                self._call("load_collection", self.name, replica_number=replicas, _async=True)
                asked = True
            elif time.monotonic() > end:
                raise still_loading(self._target)
            else:
                time.sleep(_POLL_S)

    def _load_state(self) -> list[str]:
        return str(self._call("get_load_state", self.name)["state"]).split()

    def _make(self) -> None:
        schema = MilvusClient.create_schema(
            auto_id=False, enable_dynamic_field=False, description=f"{_DESCRIPTION}{FORMAT}"
        )
        schema.add_field("id", DataType.VARCHAR, max_length=32, is_primary=True)
        schema.add_field("asset", DataType.VARCHAR, max_length=64)
        schema.add_field("kind", DataType.VARCHAR, max_length=16)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self.dim)
        lite = {"properties": {_PROPERTY: str(FORMAT)}} if self._target.file else {}
        self._call(
            "create_collection",
            self.name,
            schema=schema,
            num_shards=int(self._options["shards"]),
            consistency_level="Bounded",
            **lite,
        )

    def _check(self, held: Mapping[str, Any]) -> None:
        said = str(held.get("description", ""))
        if self._target.file:
            said = _DESCRIPTION + str(held.get("properties", {}).get(_PROPERTY, ""))
        version = said.removeprefix(_DESCRIPTION)
        if not said.startswith(_DESCRIPTION) or not version.isdigit():
            raise self._odd("wasn't made by Echolens")
        if int(version) > FORMAT:
            raise NewerFormatError(
                f"The vectors in {self._target} have format {version}, and {FORMAT} is known here.",
                advice="Update Echolens.",
            )
        fields = {each["name"]: each["params"] for each in held["fields"]}
        if set(fields) != {"id", "asset", "kind", "vector"}:
            raise self._odd("has other fields than it should")
        if int(fields["vector"]["dim"]) != self.dim:
            raise self._odd(f"holds {fields['vector']['dim']} components where {self.dim} belong")

    def _index(self, *, make: bool) -> None:
        held = self.index()
        if held:
            if held["metric_type"] != METRIC:
                raise self._odd(f"has an index for {held['metric_type']} instead of {METRIC}")
            return
        if not make:
            raise self._odd("has no index")
        kind = str(self._options["index"])
        params = {}
        if kind == "HNSW":
            params = {"M": self._options["m"], "efConstruction": self._options["ef_construction"]}
        wanted = MilvusClient.prepare_index_params()
        wanted.add_index(
            "vector", index_type=kind, metric_type=METRIC, index_name="vector", params=params
        )
        self._call("create_index", self.name, wanted)

    def _odd(self, what: str) -> CorruptError:
        return CorruptError(
            f"The collection `{self.name}` in {self._target} {what}.",
            advice="Bring it back from a backup, or run `echolens verify --repair`.",
        )


def _parts(items: Sequence[str], size: int = _IDS) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _one_of(field: str, values: Sequence[str]) -> str:
    """A filter. The values are hex digits, so that none can break out of its quotes."""
    return f"{field} in {json.dumps(values)}"

"""The law of filtered searches, over pairs of vector store and document store: k means k.

Whatever a filter admits, and however deep below everything else it lies, a search gives as many
hits as there are, up to k, and they are the best ones.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pytest

from retrieval import probes, registry
from retrieval.manifest import Manifest
from retrieval.protocols import Place
from retrieval.query import filters
from retrieval.query.backends import Backends
from retrieval.query.engine import search
from retrieval.query.parse import parse_query
from retrieval.schema import (
    And,
    Background,
    Channel,
    Compare,
    Document,
    FieldValue,
    Filter,
    Not,
    Or,
    Sighting,
)
from retrieval.thumbnails import Thumbnails
from tests.encoders import DIM, HashEncoder

COUNT = 3_000
K = 10
WORDS = "a red boat"

# Schemes of a pair, the group whose servers it needs.
PAIRS = {
    "exact+sqlite": None,
    "faiss+sqlite": None,
    "exact+elasticsearch": "elasticsearch",
    "milvus+sqlite": "milvus",
    "milvus+elasticsearch": "milvus",
}


@dataclass(frozen=True)
class Filled:
    """A collection, and what it holds, the best document for `WORDS` first."""

    backends: Backends
    assets: tuple[str, ...]

    def wanted(self, admitted: Callable[[int], bool], k: int) -> list[str]:
        """What an exact search must give where the ranks (from 0) of `admitted` may be seen."""
        return [asset for rank, asset in enumerate(self.assets) if admitted(rank)][:k]


def _marks(group: str | None) -> list[pytest.MarkDecorator]:
    return [pytest.mark.services, pytest.mark.xdist_group(group)] if group else []


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=_marks(its)) for name, its in PAIRS.items()]
)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    """A collection of each pair."""
    vectors, documents = str(request.param).split("+")
    name = f"filtered{uuid.uuid4().hex[:12]}"
    with ExitStack() as end:
        urls = {}
        for scheme in (vectors, documents):
            if extra := {"faiss": "faiss", "milvus": "pymilvus"}.get(scheme):
                pytest.importorskip(extra)
            urls[scheme] = f"{scheme}:"
            if scheme in ("milvus", "elasticsearch"):
                server = request.getfixturevalue(f"{scheme}_session")
                urls[scheme] = server.url(name)
                end.callback(_drop, scheme, server, name)
        place = Place("", tmp_path_factory.mktemp("filtered"), read_only=False)
        with closing(_open(place, urls[vectors], urls[documents])) as backends:
            yield _fill(backends)


def _drop(scheme: str, server: object, name: str) -> None:
    if scheme == "milvus":
        server.drop(name)  # type: ignore[attr-defined]
    else:
        with server.client() as client:  # type: ignore[attr-defined]
            client.indices.delete(index=name, ignore_unavailable=True)


def _open(place: Place, vectors: str, documents: str) -> Backends:
    encoder = HashEncoder()
    channel = Channel(encoder.space.key, "image", DIM, "hash:", encoder.fingerprint)
    manifest = Manifest(
        (channel,), vectors, documents, "inplace:", {}, {channel.key: {"text": Background(0, 0.2)}}
    )
    return Backends(
        place.directory,
        manifest,
        registry.open_document_store(replace(place, url=documents)),
        {channel.key: registry.open_vector_store(replace(place, url=vectors), channel)},
        registry.open_asset_store(replace(place, url="inplace:"), lambda _asset: []),
        lambda _channel: encoder,
        lambda: probes.make_probes(encoder),
        Thumbnails(place.directory, read_only=True),
    )


def _fill(backends: Backends) -> Filled:
    """Documents at random distances from `WORDS`; what a sighting says goes by their rank."""
    (channel,) = backends.manifest.channels
    (query,) = HashEncoder().encode("text", [WORDS], role="query")
    raw = np.random.default_rng(7).standard_normal((COUNT, DIM))
    rows = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    rows = rows[np.argsort(-(rows.astype(np.float64) @ query))]
    assets = tuple(hashlib.sha256(str(rank).encode()).hexdigest() for rank in range(COUNT))
    documents = [Document.of(asset, "image", channel.key) for asset in assets]
    backends.vectors[channel.key].upsert([d.id for d in documents], rows, documents)
    backends.documents.upsert(documents, [_seen(rank, asset) for rank, asset in enumerate(assets)])
    return Filled(backends, assets)


def _seen(rank: int, asset: str) -> Sighting:
    parts: dict[str, FieldValue] = {f"of{n}": rank % n for n in (1_000, 50, 3)}
    return Sighting(f"file:///{rank}", asset, {"modality": "image", "rank": rank, **parts})


FILTERS: dict[str, tuple[Filter, Callable[[int], bool]]] = {
    "1 in 1000": (Compare("of1000", "=", 700), lambda rank: rank % 1_000 == 700),
    "1 in 50": (Compare("of50", "=", 49), lambda rank: rank % 50 == 49),
    "1 in 3": (Compare("of3", "=", 2), lambda rank: rank % 3 == 2),
    "2 in 3": (Not(Compare("of3", "=", 2)), lambda rank: rank % 3 != 2),
    "none": (Compare("rank", "<", 0), lambda _: False),
    "one less than asked for": (Compare("rank", ">", COUNT - K), lambda rank: rank > COUNT - K),
    "the worst third": (Compare("rank", ">=", 2_000), lambda rank: rank >= 2_000),
    "the worst, and few of them": (
        And((Compare("rank", ">=", 2_900), Or((Compare("of3", "=", 0), Compare("of50", "=", 1))))),
        lambda rank: rank >= 2_900 and (rank % 3 == 0 or rank % 50 == 1),
    ),
}

LIMITS = {"as they are": {}, "more than few": {"FEW": 50}, "always deeper": {"REACH": 0}}


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("k", [K, 200])
@pytest.mark.parametrize("name", FILTERS)
def test_as_many_hits_as_there_are_and_the_best_ones(
    name: str, k: int, limits: str, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way the planner takes: with 3,000 documents it would mostly score exactly."""
    for limit, value in LIMITS[limits].items():
        monkeypatch.setattr(filters, limit, value)
    where, admitted = FILTERS[name]
    found = search(filled.backends, parse_query(WORDS), k=k, where=where)
    assert [hit.asset for hit in found.hits] == filled.wanted(admitted, k)
    assert not found.degraded


@pytest.mark.parametrize("role", ["vector_store", "document_store"])
def test_every_scheme_is_in_a_pair(role: Literal["vector_store", "document_store"]) -> None:
    paired = {name.split("+")[role == "document_store"] for name in PAIRS}
    assert {scheme for scheme, _ in registry.schemes(role)} <= paired

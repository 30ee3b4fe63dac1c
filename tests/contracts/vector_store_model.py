"""What the contract of vector stores is checked against: a dict and NumPy in float64."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from retrieval.protocols import Place, VectorStore
from retrieval.registry import open_vector_store, schemes
from retrieval.schema import Channel, FloatArray, Ranking

DIM = 8
CHANNEL = Channel("toy", "image", DIM, "toy:", "fingerprint")

NEAR = 1e-6  # what the scores of a server may differ from exact ones, ids being those of exact ones


@dataclass(frozen=True)
class Case:
    """A scheme under test, or a variant of one.

    Attributes:
        url: of a store that goes with a folder; ``{port}`` and ``{name}`` are filled in.
        package: that it needs.
        served: whether it is on a server: nothing lies in the folder.
        one_process: whether one process at a time may have it open.
        erases: whether what was deleted is gone from the folder's files at once.
        tolerance: of scores.
        examples: of hypothesis: fewer where each takes long.
    """

    url: str
    package: str = "numpy"
    served: bool = False
    one_process: bool = False
    erases: bool = True
    tolerance: float = 2e-7
    examples: int = 15


# Each scheme of the registry, and variants of them after a hyphen.
CASES: Mapping[str, Case] = {
    "exact": Case("exact:"),
    "faiss": Case("faiss:", "faiss"),
    "faiss-indexed": Case("faiss:", "faiss"),  # with an index over even a handful of rows
    "milvus": Case(
        "milvus://127.0.0.1:{port}/{name}?consistency=strong",
        "pymilvus", served=True, erases=False, tolerance=NEAR, examples=3,
    ),
    "milvus-lite": Case(
        "milvus:", "milvus_lite", one_process=True, erases=False, tolerance=NEAR, examples=5,
    ),
}  # fmt: skip
MILVUS_PORT = "MILVUS_TEST_PORT"  # in the environment, for the processes that tests start


def params(*, processes: bool = False) -> list[object]:
    """Every case as a parameter of a fixture; those that several processes can share alone."""
    marks = [pytest.mark.services, pytest.mark.xdist_group("milvus")]
    return [
        pytest.param(name, marks=marks if case.served else [])
        for name, case in CASES.items()
        if not (processes and (case.one_process or name == "faiss-indexed"))
    ]


@contextmanager
def ready(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The case of a fixture, its libraries installed, its server running and left clean."""
    name = str(request.param)
    pytest.importorskip(CASES[name].package)
    if name == "faiss-indexed":
        from retrieval.vector_stores.faiss import FaissStore

        monkeypatch.setattr(FaissStore, "smallest", 3)
    if not CASES[name].served:
        yield name
        return
    server = request.getfixturevalue("milvus_session")
    monkeypatch.setenv(MILVUS_PORT, str(server.ports["proxy_port"]))
    yield name
    server.drop("t")


def url_of(case: str, folder: Path) -> str:
    """The URL of the store that goes with a folder; each folder has a name of its own."""
    name = "t" + hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return CASES[case].url.format(port=os.environ.get(MILVUS_PORT), name=name)


def untested() -> set[str]:
    """Schemes of the registry that no case stands for."""
    return {name for name, _ in schemes("vector_store")} - {name.split("-")[0] for name in CASES}


def open_store(
    case: str,
    folder: Path,
    *,
    read_only: bool = False,
    existing: bool = False,
    anew: bool = False,
) -> VectorStore:
    """The store of a case that goes with a folder."""
    return open_vector_store(
        Place(url_of(case, folder), folder, read_only, existing, anew), CHANNEL
    )


def ids_of(*names: object) -> list[str]:
    return [hashlib.blake2b(str(name).encode(), digest_size=16).hexdigest() for name in names]


def vectors_of(n: int, seed: int = 0) -> FloatArray:
    """(n, DIM) float32 of norm 1."""
    raw = np.random.default_rng(seed).standard_normal((n, DIM))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


def naive(held: dict[str, FloatArray], query: FloatArray, k: int) -> Ranking:
    """What a search must answer: everything scored in float64, sorted by score and id."""
    scored = [
        (np.float32(v.astype(np.float64) @ query.astype(np.float64)), i) for i, v in held.items()
    ]
    best = sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:k]
    return Ranking(tuple(i for _, i in best), np.array([s for s, _ in best], np.float32))


def same(one: Ranking, other: Ranking, tolerance: float = 0) -> bool:
    """Whether two answers are one: the same ids, and scores that differ by no more."""
    return one.ids == other.ids and np.allclose(one.scores, other.scores, rtol=0, atol=tolerance)


def agrees(
    answer: Ranking,
    held: dict[str, FloatArray],
    query: FloatArray,
    k: int,
    tolerance: float = 2e-7,
) -> bool:
    """Whether an answer is the naive one, up to the last bits of a float32 score."""
    expected = naive(held, query, k)
    return (
        len(answer) == len(expected)
        and np.allclose(answer.scores, expected.scores, rtol=0, atol=tolerance)
        and all(
            abs(float(held[i] @ query) - s) < 1e-6 + tolerance
            for i, s in zip(answer.ids, answer.scores, strict=True)
        )
        and list(zip(-answer.scores, answer.ids, strict=True))
        == sorted(zip(-answer.scores, answer.ids, strict=True))
    )

"""What the contract of vector stores is checked against: a dict and NumPy in float64."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from retrieval.protocols import Place, VectorStore
from retrieval.registry import open_vector_store
from retrieval.schema import Channel, FloatArray, Ranking

DIM = 8
CHANNEL = Channel("toy", "image", DIM, "toy:", "fingerprint")

# What each scheme needs to be tested: the URL of a store whose data goes with the folder.
TEST_URLS = {"exact": "exact:", "faiss": "faiss:"}


def open_store(
    scheme: str,
    folder: Path,
    *,
    read_only: bool = False,
    existing: bool = False,
    anew: bool = False,
) -> VectorStore:
    """The store of a scheme in a folder."""
    return open_vector_store(Place(TEST_URLS[scheme], folder, read_only, existing, anew), CHANNEL)


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


def same(one: Ranking, other: Ranking) -> bool:
    return one.ids == other.ids and np.array_equal(one.scores, other.scores)


def agrees(answer: Ranking, held: dict[str, FloatArray], query: FloatArray, k: int) -> bool:
    """Whether an answer is the naive one, up to the last bit of a float32 score."""
    expected = naive(held, query, k)
    return (
        len(answer) == len(expected)
        and np.allclose(answer.scores, expected.scores, rtol=0, atol=2e-7)
        and all(
            abs(float(held[i] @ query) - s) < 1e-6
            for i, s in zip(answer.ids, answer.scores, strict=True)
        )
        and list(zip(-answer.scores, answer.ids, strict=True))
        == sorted(zip(-answer.scores, answer.ids, strict=True))
    )

"""Both document stores rank alike by words: Flickr8k's dev captions, English and Chinese.

The queries are 60 captions of the set, one in every 83, as they stand: words that occur together.
The rankings are compared over the union of both stores' best 100, a document that a store has only
further down at the rank that it has there, by Kendall's tau-b, which counts ties (M. G. Kendall,
"The treatment of ties in ranking problems", Biometrika 33, 1945):

    tau_b = (C - D) / sqrt((C + D + T_a) (C + D + T_b))

over all pairs of documents: C ranked alike, D the other way round, T_a and T_b tied in one store
alone. The law is a mean above 0.9 in each language.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval.protocols import DocumentStore, Place
from retrieval.registry import open_document_store
from retrieval.schema import Document, Ranking, Sighting
from tests.datasets_here import FLICKR8K
from tests.services.elasticsearch import ElasticsearchServer

pytestmark = [
    pytest.mark.services,
    pytest.mark.xdist_group("elasticsearch"),
    pytest.mark.skipif(
        not (FLICKR8K / "captions.tsv").is_file(), reason="no Flickr8k in ../shared/data"
    ),
]

QUERIES, DEPTH, LEAST_TAU = 60, 100, 0.9
CAPTIONS = {"English": "captions.tsv", "Chinese": "captions_zh.tsv"}
WORDS_OF_TWO = ("小狗", "海滩", "男孩", "草地", "足球", "雪地")
ASSET = "ab" * 32


def captions(language: str) -> list[str]:
    with (FLICKR8K / CAPTIONS[language]).open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row["caption"] for row in rows if row["split"] == "dev"]


@pytest.fixture(params=sorted(CAPTIONS))
def stores(
    request: pytest.FixtureRequest, elasticsearch_session: ElasticsearchServer, tmp_path: Path
) -> Iterator[tuple[list[str], DocumentStore, DocumentStore]]:
    """The captions of a language, each a document, and both stores with them."""
    texts = list(dict.fromkeys(captions(request.param)))
    documents = [Document.of(ASSET, "passage", "toy/text", text=text) for text in texts]
    url = elasticsearch_session.url()
    opened = [
        open_document_store(Place(its, tmp_path, read_only=False)) for its in ("sqlite:", url)
    ]
    for store in opened:
        store.upsert(documents, [Sighting("file:///all", ASSET)])
    yield texts, opened[0], opened[1]
    with elasticsearch_session.client() as client:
        client.indices.delete(index=url.rpartition("/")[2])
    for store in opened:
        store.close()


def tau_b(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's tau-b of two lists of scores of the same documents."""
    places = np.triu_indices(len(first), 1)
    a, b = (np.sign(np.subtract.outer(its, its))[places] for its in (first, second))
    of_a, of_b = np.count_nonzero(a), np.count_nonzero(b)
    return float((a * b).sum() / math.sqrt(of_a * of_b)) if of_a and of_b else 1.0


def compared(first: Ranking, second: Ranking) -> float:
    scores = [dict(zip(its.ids, its.scores.tolist(), strict=True)) for its in (first, second)]
    union = sorted({*first.ids[:DEPTH], *second.ids[:DEPTH]})
    one, other = (np.array([its.get(id_, 0.0) for id_ in union]) for its in scores)
    return tau_b(one, other)


def test_the_measure_is_kendalls() -> None:
    up = np.arange(5.0)
    assert tau_b(up, up * 3) == 1
    assert tau_b(up, -up) == -1
    assert tau_b(np.array([1.0, 2, 3]), np.array([1.0, 3, 2])) == pytest.approx(1 / 3)
    assert tau_b(np.array([1.0, 1, 2]), np.array([1.0, 2, 3])) == pytest.approx(2 / math.sqrt(6))


def test_both_stores_rank_alike(
    stores: tuple[list[str], DocumentStore, DocumentStore],
) -> None:
    texts, sqlite, elastic = stores
    queries = texts[:: max(1, len(texts) // QUERIES)][:QUERIES]
    taus = []
    for query in queries:
        rankings = [store.search(query, len(texts)) for store in (sqlite, elastic)]
        assert set(rankings[0].ids) == set(rankings[1].ids)
        taus.append(compared(*rankings))
    assert len(taus) == QUERIES
    assert np.mean(taus) > LEAST_TAU, f"mean {np.mean(taus):.4f}, least {min(taus):.4f}"


@pytest.mark.parametrize("word", WORDS_OF_TWO)
def test_a_word_of_two_characters_finds_every_caption_that_has_it(
    stores: tuple[list[str], DocumentStore, DocumentStore], word: str
) -> None:
    texts, *both = stores
    having = {
        Document.of(ASSET, "passage", "toy/text", text=text).id for text in texts if word in text
    }
    for store in both:
        assert set(store.search(word, len(texts)).ids) == having

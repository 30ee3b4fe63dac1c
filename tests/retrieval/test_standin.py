"""Answers while the document store can't be reached: from what vector stores know, and labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from retrieval.errors import StoreUnreachableError
from retrieval.protocols import DocumentStore, VectorStore
from retrieval.query.backends import AbsentStore, Backends
from retrieval.query.engine import search
from retrieval.query.parse import parse_query
from retrieval.schema import Document

from .test_engine import Item, Open, collection

DOWN = StoreUnreachableError("The documents at x can't be reached.", advice="Start it.")
VECTORS_DOWN = StoreUnreachableError("The vectors at y can't be reached.", advice="Start it.")
ITEMS = (
    Item("red", ("a red car",)),
    Item("green", ("a green tree",)),
    Item("blue", ("the blue sea",)),
    Item(None, ("a red letter",)),
)


class KnowingStore:
    """A real vector store that also keeps what its vectors are of, as servers' do."""

    def __init__(self, store: VectorStore, documents: Sequence[Document]) -> None:
        self._store = store
        self._documents = {d.id: replace(d, text=None) for d in documents}

    def documents(self, ids: Sequence[str]) -> dict[str, Document]:
        return {i: self._documents[i] for i in ids if i in self._documents}

    def of_assets(self, assets: Sequence[str]) -> dict[str, list[Document]]:
        found: dict[str, list[Document]] = {}
        for document in self._documents.values():
            if document.asset in assets:
                found.setdefault(document.asset, []).append(document)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def without_its_documents(opened: Open) -> Backends:
    vectors = {
        key: cast(
            "VectorStore",
            KnowingStore(store, [d for d in opened.documents if d.channel == key]),
        )
        for key, store in opened.backends.vectors.items()
    }
    absent = cast("DocumentStore", AbsentStore(DOWN))
    return replace(opened.backends, vectors=vectors, documents=absent)


@pytest.mark.parametrize("modality", [None, "image", "text"])
def test_vectors_answer_with_the_same_documents_and_say_what_is_missing(modality: Any) -> None:
    query = parse_query("a red car")
    with collection(ITEMS) as opened:
        whole = search(
            opened.backends,
            replace(query, weights=replace(query.weights, words=0)),
            modality=modality,
        )
        left = search(without_its_documents(opened), query, modality=modality)

    assert [(hit.document, hit.asset) for hit in left] == [(h.document, h.asset) for h in whole]
    assert [hit.modality for hit in left] == [hit.modality for hit in whole]
    assert [hit.score for hit in left] == pytest.approx([hit.score for hit in whole], abs=1e-6)
    assert all(not hit.uris and not hit.captions and hit.text is None for hit in left)
    assert left.degraded
    (note,) = left.notes
    assert str(DOWN) in note


def test_a_filter_that_nobody_can_check_is_an_error_and_no_guess() -> None:
    with collection(ITEMS) as opened:
        backends = without_its_documents(opened)
        backends = replace(backends, manifest=replace(backends.manifest, fields={"year": "number"}))
        with pytest.raises(StoreUnreachableError, match="documents at x"):
            search(backends, parse_query("red"), where="year > 2000")


def test_vectors_that_know_nothing_leave_the_error() -> None:
    with collection(ITEMS) as opened:
        backends = replace(opened.backends, documents=cast("DocumentStore", AbsentStore(DOWN)))
        with pytest.raises(StoreUnreachableError, match="documents at x"):
            search(backends, parse_query("red"))


def test_with_both_down_there_is_one_error_that_names_both() -> None:
    with collection(ITEMS) as opened:
        absent = cast("VectorStore", AbsentStore(VECTORS_DOWN))
        backends = replace(
            opened.backends,
            documents=cast("DocumentStore", AbsentStore(DOWN)),
            vectors=dict.fromkeys(opened.backends.vectors, absent),
        )
        with pytest.raises(StoreUnreachableError, match=r"documents at x.*vectors at y") as caught:
            search(backends, parse_query("red"))
    assert caught.value.advice

"""The store under test, opened as often as a test likes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.protocols import DocumentStore, Place
from retrieval.registry import open_document_store, schemes

from .toys import TEST_URLS, Opener


@pytest.fixture(params=TEST_URLS)
def scheme(request: pytest.FixtureRequest) -> str:
    """The scheme under test, its libraries installed."""
    extra = dict(schemes("document_store"))[request.param].extra
    if extra:
        pytest.importorskip(extra)
    return str(request.param)


@pytest.fixture
def opened(scheme: str, tmp_path: Path) -> Iterator[Opener]:
    """Opens the store of the test's folder, any number of times; closes what is left open."""
    stores: list[DocumentStore] = []

    def open_it(
        *,
        read_only: bool = False,
        existing: bool = False,
        anew: bool = False,
        folder: Path = tmp_path,
    ) -> DocumentStore:
        place = Place(TEST_URLS[scheme], folder, read_only, existing, anew)
        stores.append(open_document_store(place))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()

"""The store under test, opened as often as a test likes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.protocols import DocumentStore, Place
from retrieval.registry import open_document_store, schemes

from .toys import SCHEMES, Opener, Subject


@pytest.fixture(params=[pytest.param(name, marks=its.marks) for name, its in SCHEMES.items()])
def scheme(request: pytest.FixtureRequest) -> Subject:
    """The scheme under test, its libraries installed and its server running."""
    extra = dict(schemes("document_store"))[request.param].extra
    if extra:
        pytest.importorskip(extra)
    its = SCHEMES[request.param]
    return Subject(its, request.getfixturevalue(its.server) if its.server else None)


@pytest.fixture
def opened(scheme: Subject, tmp_path: Path) -> Iterator[Opener]:
    """Opens the store of the test's folder, any number of times; closes what is left open."""
    stores: list[DocumentStore] = []

    def open_it(
        *,
        read_only: bool = False,
        existing: bool = False,
        anew: bool = False,
        folder: Path = tmp_path,
        host: str = "",
    ) -> DocumentStore:
        place = Place(scheme.url(folder), folder, read_only, existing, anew, host)
        stores.append(open_document_store(place))
        return stores[-1]

    yield open_it
    scheme.drop(tmp_path)  # first, so that nothing is left to erase
    for store in stores:
        store.close()

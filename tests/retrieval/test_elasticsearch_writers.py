"""What a writer that died leaves in the index, and what one that is refused leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("elasticsearch")

from retrieval.document_stores.elasticsearch import ElasticsearchStore, connection
from retrieval.protocols import Place
from retrieval.schema import Document, Sighting
from tests.services.elasticsearch import ElasticsearchServer

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("elasticsearch")]
ASSET = "ab" * 32
DOG = Document.of(ASSET, "passage", "toy/text", text="a dog on the beach")
SEEN = Sighting("file:///a", ASSET, {"year": 2020})


@pytest.fixture
def opened(
    elasticsearch_session: ElasticsearchServer, tmp_path: Path
) -> Iterator[Callable[[], ElasticsearchStore]]:
    """Opens one store for writing, any number of times."""
    url = elasticsearch_session.url()
    stores: list[ElasticsearchStore] = []

    def open_it() -> ElasticsearchStore:
        stores.append(ElasticsearchStore(Place(url, tmp_path, read_only=False)))
        return stores[-1]

    yield open_it
    with elasticsearch_session.client() as client:
        client.indices.delete(index=url.rpartition("/")[2], ignore_unavailable=True)
    for store in stores:
        store.close()


def test_half_a_batch_of_a_killed_writer_is_read_by_the_next_one_before_it_writes(
    opened: Callable[[], ElasticsearchStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = opened()
    killed.fence("killed")
    monkeypatch.setattr(connection, "BULK_BYTES", 1)  # a request for each row
    requests = connection.Connection._bulk
    written: list[Any] = []

    def one(self: connection.Connection, chunk: Any, alias: str, **how: Any) -> list[int]:
        if written:
            raise KeyboardInterrupt
        written.append(chunk)
        return requests(self, chunk, alias, **how)

    monkeypatch.setattr(connection.Connection, "_bulk", one)
    with pytest.raises(KeyboardInterrupt):
        killed.upsert([DOG], [SEEN])
    following = opened()
    following.fence("following")
    assert following.sightings([ASSET]) == {ASSET: [SEEN]}  # of what its ledger says was on its way


def test_what_a_killed_writer_deleted_is_erased_by_the_next_one(
    elasticsearch_session: ElasticsearchServer,
    opened: Callable[[], ElasticsearchStore],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = opened()
    word = b"quetzalcoatlus"
    secret = Document.of(ASSET, "passage", "toy/text", text=f"a {word.decode()} at sea")
    store.upsert([secret, DOG], [SEEN])
    monkeypatch.setattr(store._eraser, "begin", lambda: None)  # as if it were killed
    store.delete([secret.id])
    assert word in _files(elasticsearch_session)
    opened().close()  # one that the lease refuses: it waits for nothing of another's
    assert word in _files(elasticsearch_session)
    following = opened()
    following.fence("following")
    following.close()
    assert word not in _files(elasticsearch_session)


def _files(server: ElasticsearchServer) -> bytes:
    return b"".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())

"""A collection in a document store that machines share: what each does when another was quicker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("elasticsearch")

from indexer import create, opening, verify
from indexer.creating import attach
from indexer.lease import Lease
from indexer.opening import writing
from indexer.sharing import keep_manifest, manifest_in, publish, withdraw
from retrieval import registry
from retrieval.collection import MANIFEST_RECORD, Collection
from retrieval.document_stores.elasticsearch import ElasticsearchStore
from retrieval.errors import CollectionNotFoundError, LockedError, OlderFormatError, UsageError
from retrieval.manifest import Manifest, dump_manifest, read_manifest, write_manifest
from retrieval.protocols import Place
from tests import collections
from tests.services.elasticsearch import ElasticsearchServer

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("elasticsearch")]


@pytest.fixture
def url(elasticsearch_session: ElasticsearchServer) -> Iterator[str]:
    """The URL of a store of the test's own."""
    its = elasticsearch_session.url()
    yield its
    with elasticsearch_session.client() as client:
        client.indices.delete(index=its.rpartition("/")[2], ignore_unavailable=True)


@pytest.fixture
def photos(url: str, tmp_path: Path) -> Collection:
    """A collection whose document store is shared."""
    return create("photos", documents=url, settings=collections.settings(tmp_path))


@pytest.fixture
def elsewhere(url: str, photos: Collection) -> Iterator[Callable[[Manifest], None]]:
    """Replaces the manifest as another machine would."""
    with closing(ElasticsearchStore(Place(url, photos.directory, read_only=False))) as store:

        def put(manifest: Manifest) -> None:
            record = store.record(MANIFEST_RECORD)
            assert record is not None
            store.put_record(MANIFEST_RECORD, dump_manifest(manifest), replacing=record.version)

        yield put


def kept(photos: Collection, url: str) -> Manifest | None:
    with closing(ElasticsearchStore(Place(url, photos.directory))) as store:
        return manifest_in(store, url)


def test_a_manifest_that_another_machine_has_replaced_is_not_overwritten(
    photos: Collection, url: str, elsewhere: Callable[[Manifest], None]
) -> None:
    mine, theirs = {"mine": "text"}, {"theirs": "text"}
    with writing(photos) as session:
        known = session.backends.manifest
        elsewhere(replace(known, fields=theirs))
        with pytest.raises(LockedError, match="changed the manifest") as caught:
            keep_manifest(session.backends, replace(known, fields=mine))
    assert caught.value.advice
    found = kept(photos, url)
    assert found is not None
    assert found.fields == theirs
    assert read_manifest(photos.directory) == known


def test_a_run_without_a_change_brings_a_store_of_an_earlier_format_up_to_date(
    photos: Collection, url: str, elasticsearch_session: ElasticsearchServer
) -> None:
    make_older(url, elasticsearch_session)
    with pytest.raises(OlderFormatError):
        kept(photos, url)
    with writing(photos):
        pass
    assert kept(photos, url) == read_manifest(photos.directory)


def test_mending_begins_no_store_of_an_earlier_format_anew(
    photos: Collection, url: str, elasticsearch_session: ElasticsearchServer
) -> None:
    """Nor does it bring one up to date to which another machine writes."""
    make_older(url, elasticsearch_session)
    with closing(ElasticsearchStore(Place(url, photos.directory, read_only=False))) as store:
        record = store.record(MANIFEST_RECORD)
        other = Lease(store, "berta:/photos", 2)
        with pytest.raises(LockedError, match="berta"):
            verify(photos, repair=True)
        with pytest.raises(OlderFormatError):
            kept(photos, url)
        other.release()
        assert verify(photos, repair=True).problems == ()
        assert store.record(MANIFEST_RECORD) == record
    assert verify(photos).problems == ()


def make_older(url: str, server: ElasticsearchServer) -> None:
    with server.client() as client:
        older = {"echolens": {"format": 1}}
        client.indices.put_mapping(index=url.rpartition("/")[2], meta=older)


@pytest.mark.parametrize("moved", [False, True])
def test_what_changes_between_opening_the_stores_and_having_the_lease_is_seen(
    photos: Collection,
    elsewhere: Callable[[Manifest], None],
    monkeypatch: pytest.MonkeyPatch,
    moved: bool,
) -> None:
    manifest = read_manifest(photos.directory)
    goal = {"documents": "elsewhere:"} if moved else {"vectors": "faiss:"}
    leased = opening.leased

    def late(*arguments: object) -> object:
        elsewhere(replace(manifest, **goal))
        return leased(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(opening, "leased", late)
    error = CollectionNotFoundError if moved else LockedError
    with pytest.raises(error, match="moved" if moved else "just now"), writing(photos):
        raise AssertionError("it writes to stores that the collection has left")


def test_attaching_follows_a_collection_that_was_moved(
    photos: Collection, url: str, elasticsearch_session: ElasticsearchServer
) -> None:
    there = elasticsearch_session.url()
    manifest = replace(read_manifest(photos.directory), vectors="milvus://host/photos")
    moved = replace(manifest, documents=there)
    probes = photos.backends.probes()
    photos.close()
    write_manifest(photos.directory, manifest)
    for at in (url, there):
        place = Place(at, photos.directory, read_only=False)
        with closing(registry.open_document_store(place)) as store:
            if at == there:
                publish(store, moved, probes)
            else:
                withdraw(store, moved)
    with pytest.raises(UsageError, match="another one"):
        attach("photos", elasticsearch_session.url(), settings=photos.settings)
    other = replace(photos.settings, home=photos.settings.home / "other")
    with pytest.raises(UsageError, match="says that it is in") as caught:
        attach("photos", url, settings=other)
    assert there in str(caught.value)
    assert not (other.home / "photos").exists()
    attach("photos", there, settings=photos.settings)
    assert read_manifest(photos.directory) == moved


def test_attaching_a_name_that_is_not_there_blames_the_name(url: str, tmp_path: Path) -> None:
    """Nothing was lost, so no backup can help."""
    with pytest.raises(CollectionNotFoundError, match=f"no collection in {url}") as caught:
        attach("other", url, settings=collections.settings(tmp_path))
    assert caught.value.advice == "Check the name in the URL."
    assert not (tmp_path / "other").exists()

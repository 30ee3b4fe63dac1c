"""URLs and credentials of servers: what is refused before anybody connects, and in which words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from indexer import create, index
from retrieval import registry
from retrieval.collection import Collection
from retrieval.errors import NotInstalledError, UsageError
from retrieval.servers.credentials import credentials_path
from tests import collections, corpus

SERVERS = {"documents": "elasticsearch://localhost:1/n", "vectors": "milvus://localhost:1/n"}


@pytest.fixture
def photos(tmp_path: Path) -> Collection:
    made = create("photos", settings=collections.settings(tmp_path / "home"))
    index([str(corpus.picture(tmp_path / "0.png", seed=0))], made)
    return made


def _name_in_manifest(collection: Collection, **urls: str) -> None:
    path = collection.directory / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **urls}))


def test_credentials_that_others_can_read_are_told_once_with_their_own_advice(
    photos: Collection,
) -> None:
    """The manifest names a server, and it is not the manifest that is at fault."""
    _name_in_manifest(photos, **SERVERS)
    path = credentials_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('[elasticsearch]\napi_key = "hush"\n')
    path.chmod(0o644)
    with pytest.raises(UsageError) as caught:
        photos.search("0")
    assert str(caught.value).count("can be read by others") == 1
    assert caught.value.advice == f"chmod 600 {path}"
    assert "hush" not in str(caught.value)


def test_a_url_in_the_manifest_that_makes_no_sense_keeps_its_own_advice(
    photos: Collection,
) -> None:
    _name_in_manifest(photos, documents="elasticsearch://localhost/n?shard=1")
    with pytest.raises(UsageError, match="has no option `shard`") as caught:
        photos.search("0")
    assert "Did you mean `shards`?" in caught.value.advice


def test_what_all_stores_lack_is_said_once(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One package that two stores need."""

    def absent(*_: object) -> None:
        raise NotInstalledError("The package `both` is not installed.", advice="pip install both")

    monkeypatch.setattr(registry, "open_document_store", absent)
    monkeypatch.setattr(registry, "open_vector_store", absent)
    with pytest.raises(NotInstalledError) as caught:
        photos.search("0")
    assert str(caught.value).count("both") == 1


@pytest.mark.parametrize(
    ("role", "url", "said"),
    [
        ("vector_store", "milvus://u:secret@h/n", "no user and no password"),
        ("vector_store", "milvus://h/n?indx=FLAT", "no option `indx`"),
        ("vector_store", "milvus:vectors.txt", "neither a Milvus server"),
        ("document_store", "elasticsearch://u:secret@h/n", "no user and no password"),
        ("document_store", "elasticsearch://h/", "An `elasticsearch:` URL ends in a name"),
        ("document_store", "elasticsearch://h:99999/n", "port .* can't be `99999`"),
        ("vector_store", "milvus://h:0/n", "port .* can't be `0`"),
        ("vector_store", "milvus://[::1]:port/n", "port .* can't be `port`"),
        ("asset_store", "s3://u:secret@bucket/n", "no user and no password"),
        ("asset_store", "s3://bucket/n?endpoint=h", "has an endpoint"),
    ],
)
def test_a_url_is_checked_without_a_server(role: registry.BackEndRole, url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        registry.check(role, url)
    assert "secret" not in str(caught.value)


def test_a_misspelt_option_of_a_bucket_is_guessed() -> None:
    with pytest.raises(UsageError, match="no option `endpont`") as caught:
        registry.check("asset_store", "s3://bucket/n?endpont=http://h")
    assert caught.value.advice.startswith("Did you mean `endpoint`? Write it like")

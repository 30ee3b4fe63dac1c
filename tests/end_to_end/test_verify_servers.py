"""`verify` on a collection whose stores are all on servers, damaged past them by raw clients."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import attach, create, index, verify
from indexer.opening import writing
from retrieval.asset_stores.s3.address import parse
from retrieval.collection import Collection
from retrieval.document_stores.elasticsearch.erasing import Eraser
from retrieval.errors import CollectionError, CorruptError, LockedError
from tests import collections, corpus
from tests.services.elasticsearch import ElasticsearchServer
from tests.services.milvus import MilvusServer
from tests.services.s3 import S3Server

from .command import run

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.xdist_group("milvus")]

PICTURES = 9
IMAGES, TEXTS = "test-hash-32/image", "test-hash-32/text"
STRAY = "ab" * 16
TEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # of b"test"


@dataclass
class Servers:
    """The three stores of a collection, each seen past Echolens."""

    milvus: MilvusServer
    elasticsearch: ElasticsearchServer
    s3: S3Server
    name: str

    def __post_init__(self) -> None:
        self.vectors = self.milvus.url(self.name)
        self.documents = self.elasticsearch.url(self.name)
        self.assets = self.s3.url()
        self.bucket = parse(self.assets).bucket
        self.prefix = parse(self.assets).prefix

    def tables(self, modality: str = "") -> list[str]:
        """The names of the Milvus collections, of all channels or one."""
        with self.on_milvus() as client:
            names = client.list_collections()
        return [n for n in names if n.startswith(self.name) and modality in n]

    def on_milvus(self) -> Any:
        return _closing(self.milvus.client())

    def change_vectors(self, change: Callable[[Any, str], object], modality: str) -> None:
        (table,) = self.tables(modality)
        with self.on_milvus() as client:
            change(client, table)

    def vector_ids(self) -> set[str]:
        found: set[str] = set()
        with self.on_milvus() as client:
            for table in self.tables():
                rows = client.query(
                    table, filter='id >= ""', output_fields=["id"], consistency_level="Strong"
                )
                found.update(row["id"] for row in rows)
        return found

    def rows(self, sort: str = "") -> list[dict[str, Any]]:
        """The rows of the index, as Elasticsearch has them."""
        query = {"term": {"t": sort}} if sort else {"match_all": {}}
        with self.elasticsearch.client() as client:
            found = client.search(index=self.name, query=query, size=1_000)
        return [hit["_source"] for hit in found["hits"]["hits"]]

    def change_row(self, key: str, **change: Any) -> None:
        """Change fields of a row; None of them: delete it."""
        with self.elasticsearch.client() as client:
            if change:
                client.update(index=self.name, id=key, doc=change, refresh=True)
            else:
                client.delete(index=self.name, id=key, refresh=True)

    def key(self, asset: str) -> str:
        return f"{self.prefix}{asset[:2]}/{asset}"

    def put(self, asset: str, data: bytes) -> None:
        self.s3.client().put_object(self.bucket, self.key(asset), io.BytesIO(data), len(data))

    def objects(self) -> set[str]:
        """Assets of all versions of all objects."""
        listed = self.s3.client().list_objects(self.bucket, recursive=True, include_version=True)
        return {str(found.object_name).rpartition("/")[2] for found in listed}

    def drop_vectors(self) -> None:
        with self.on_milvus() as client:
            for table in self.tables():
                client.drop_collection(table)

    def drop_documents(self) -> None:
        with self.elasticsearch.client() as client:
            client.indices.delete(index=self.name, ignore_unavailable=True)

    def drop_bucket(self) -> None:
        client = self.s3.client()
        for found in list(client.list_objects(self.bucket, recursive=True, include_version=True)):
            client.remove_object(self.bucket, str(found.object_name), version_id=found.version_id)
        client.remove_bucket(self.bucket)


class _closing:  # noqa: N801 (used like contextlib's)
    def __init__(self, client: Any) -> None:
        self.client = client

    def __enter__(self) -> Any:
        return self.client

    def __exit__(self, *_: object) -> None:
        self.client.close()


@pytest.fixture
def servers(
    milvus_session: MilvusServer,
    elasticsearch_session: ElasticsearchServer,
    s3_server: S3Server,
) -> Iterator[Servers]:
    its = Servers(
        milvus_session, elasticsearch_session, s3_server, f"verified{uuid.uuid4().hex[:12]}"
    )
    yield its
    its.drop_vectors()
    its.drop_documents()


@pytest.fixture
def without_erasing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elasticsearch takes half a minute for each erasing, which other tests look at."""
    monkeypatch.setattr(Eraser, "begin", lambda _: None)


def _made(servers: Servers, folder: Path) -> Collection:
    return create(
        "photos",
        encoder="hash:",
        vectors=servers.vectors,
        documents=servers.documents,
        assets=servers.assets,
        settings=replace(collections.settings(folder / "home"), host="anna"),
    )


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Pictures, each with a caption, and a text."""
    folder = tmp_path / "media"
    folder.mkdir()
    for seed in range(PICTURES):
        corpus.picture(folder / f"{seed}.png", seed=seed)
        corpus.text(folder / f"{seed}.txt", f"picture number {seed}")
    corpus.text(folder / "note.md", "All about zeppelins.")
    return folder


@pytest.fixture
def photos(servers: Servers, media: Path, tmp_path: Path) -> Collection:
    made = _made(servers, tmp_path)
    assert index([str(media)], made).indexed == PICTURES + 1
    return made


class Parts:
    """The parts of a picture, by its number."""

    def __init__(self, photos: Collection) -> None:
        with writing(photos, prove=False) as session:
            documents = list(session.backends.documents.scan())
            sightings = list(session.backends.documents.scan_sightings())
        self._assets = {Path(s.uri).name: s.asset for s in sightings}
        self._documents = {(d.asset, d.is_caption): d for d in documents}

    def asset(self, number: int) -> str:
        return self._assets[f"{number}.png"]

    def image(self, number: int) -> str:
        return self._documents[self.asset(number), False].id

    def caption(self, number: int) -> str:
        return self._documents[self.asset(number), True].id


def _damage(servers: Servers, its: Parts) -> set[str]:
    """Damage of each kind, each to another picture; what is to be told of it."""
    unit = np.eye(32, dtype=np.float32)

    def put(name: str, vector: Any) -> Callable[[Any, str], object]:
        row = {"id": name, "asset": "", "kind": "", "vector": vector}
        return lambda client, table: client.upsert(table, [row])

    servers.change_vectors(lambda client, t: client.delete(t, ids=[its.image(0)]), "image")
    servers.change_vectors(put(STRAY, unit[0]), "text")
    servers.change_vectors(put(its.image(1), unit[1]), "image")
    servers.change_row(f"d:{its.image(2)}")
    servers.change_row(f"d:{its.caption(3)}", words="nonsense")
    servers.change_row(f"d:{its.image(4)}", sightings=[{"f": ["nonsense"]}])
    (sighting,) = (r for r in servers.rows("s") if r["asset"] == its.asset(5))
    servers.change_row(sighting["key"])
    servers.s3.client().remove_object(servers.bucket, servers.key(its.asset(6)))
    servers.put(its.asset(7), b"not a picture")
    servers.put(TEST, b"test")
    servers.change_row(f"d:{its.caption(8)}")
    return {
        f"document {its.image(0)}: has no vector in {IMAGES}",
        f"vectors {TEXTS}: {STRAY}: has no document",
        f"document {its.image(1)}: its vector isn't its own",
        f"vectors {IMAGES}: {its.image(2)}: has no document",
        "2.png: has no document",
        f"document store: {its.caption(3)}: the words kept for it are not those of its text",
        f"document store: {its.image(4)}: what is kept of its sightings is out of date",
        "5.png: is in the ledger, not in the store",
        f"document {its.image(5)} of {its.asset(5)[:12]}: no file has its asset",
        "6.png: its copy is gone",
        f"asset {its.asset(7)}: its copy is damaged",
        f"asset {TEST}: no file has it",
        "8.png: lacks the document of a caption",
    }


def _command(home: Path, *arguments: str | Path) -> tuple[int, str]:
    done = run([*arguments, "-c", "photos"], home, settings=ON_ANNA)
    return done.returncode, done.stdout


@pytest.mark.usefixtures("without_erasing")
def test_damage_on_each_server_is_told_mended_and_made_whole(
    servers: Servers, photos: Collection, media: Path
) -> None:
    home = photos.directory.parent
    wanted = collections.contents(photos)
    assert verify(photos).problems == ()
    expected = _damage(servers, Parts(photos))
    code, told = _command(home, "verify", "-v")
    assert code == 1
    assert [problem for problem in expected if problem not in told] == []
    assert verify(photos).repaired == 0
    assert _command(home, "verify", "-v") == (code, told)  # looking changes nothing

    mending = verify(photos, repair=True)
    assert mending.repaired == len(mending.problems) >= len(expected)
    mended = collections.contents(photos)
    assert verify(photos, repair=True).problems == ()
    collections.assert_same(collections.contents(photos), mended)

    index([str(media)], photos)
    assert _command(home, "verify")[0] == 0
    collections.assert_same(collections.contents(photos), wanted)
    assert servers.vector_ids() == set(wanted.documents)
    assert servers.objects() == {sighting.asset for sighting in wanted.sightings}
    assert index([str(media)], photos).unchanged == PICTURES + 1


ON_ANNA = {"ECHOLENS_HOST": "anna", "ECHOLENS_ENCODER": "hash:"}
WHOLE = {
    "document store": Servers.drop_documents,
    f"vectors {IMAGES}": Servers.drop_vectors,
    "assets": Servers.drop_bucket,
}


@pytest.mark.usefixtures("without_erasing")
def test_a_store_that_is_gone_is_damage_and_never_an_empty_one(
    servers: Servers, photos: Collection, media: Path
) -> None:
    """Each of them in turn."""
    wanted = collections.contents(photos)
    for part, drop in WHOLE.items():
        drop(servers)
        if part != "assets":  # a search does without these
            with pytest.raises(CollectionError, match="missing"):
                photos.search("picture")
        with pytest.raises(CorruptError, match="missing"):
            index([str(media)], photos)
        report = verify(photos)
        assert any(p.startswith(f"{part}: ") and "missing" in p for p in report.problems)
        assert not report.complete

        mending = verify(photos, repair=True)
        assert mending.repaired == len(mending.problems) > 0
        assert mending.waiting == PICTURES + 1
        assert verify(photos, repair=True).problems == ()
        index([str(media)], photos)
        assert verify(photos).problems == ()
        collections.assert_same(collections.contents(photos), wanted)
        assert servers.objects() == {sighting.asset for sighting in wanted.sightings}


@dataclass
class Machine:
    """One of two that share a collection, and the one picture that it has."""

    photos: Collection
    media: Path

    def index(self) -> None:
        index([str(self.media)], self.photos)


def _machine(name: str, made: Callable[[Path], Collection], folder: Path) -> Machine:
    media = folder / name / "media"
    media.mkdir(parents=True)
    corpus.picture(media / "0.png", seed=len(name))
    corpus.text(media / "0.txt", f"a picture of {name}")
    return Machine(made(folder / name), media)


@pytest.fixture
def team(servers: Servers, tmp_path: Path) -> tuple[Machine, Machine]:
    """Anna, who made the collection and indexed, and Berta, who has attached it alone."""

    def attached(folder: Path) -> Collection:
        settings = replace(collections.settings(folder / "home"), host="berta")
        return attach("photos", servers.documents, settings=settings)

    anna = _machine("anna", lambda folder: _made(servers, folder), tmp_path)
    anna.index()
    return anna, _machine("berta", attached, tmp_path)


@pytest.mark.usefixtures("without_erasing")
def test_what_another_machine_alone_can_mend_is_told_and_left_to_it(
    servers: Servers, team: tuple[Machine, Machine]
) -> None:
    anna, berta = team
    assert verify(berta.photos).problems == ()  # its ledger is empty, and it has lost nothing
    berta.index()
    wanted = collections.contents(berta.photos).documents
    (row,) = collections.contents(berta.photos).rows
    (picture,) = (id_ for id_, its in wanted.items() if its[:2] == (row.asset, "image"))
    servers.change_vectors(lambda client, table: client.delete(table, ids=[picture]), "image")

    for repair in (False, True):
        report = verify(anna.photos, repair=repair)
        assert [problem.partition(":")[0] for problem in report.problems] == [f"document {picture}"]
        assert report.repaired == 0
        assert ["run `echolens verify --repair` on it" in note for note in report.notes] == [True]
        assert "of berta " in report.notes[0]
        assert collections.contents(anna.photos).documents == wanted
    assert verify(berta.photos, repair=True).repaired == 1
    berta.index()
    for each in team:
        assert verify(each.photos).problems == ()
        assert collections.contents(each.photos).documents == wanted


def test_repair_waits_for_the_right_to_write(
    servers: Servers, team: tuple[Machine, Machine]
) -> None:
    anna, berta = team
    document = next(row for row in servers.rows("d") if "words" in row)
    with writing(berta.photos, prove=False):
        servers.change_row(document["key"], words="nonsense")
        with pytest.raises(LockedError, match="berta"):
            verify(anna.photos, repair=True)
        assert "nonsense" in {row.get("words") for row in servers.rows("d")}
        assert any("berta" in note for note in verify(anna.photos).notes)
    assert verify(anna.photos, repair=True).repaired == 1
    assert verify(anna.photos).notes == ()

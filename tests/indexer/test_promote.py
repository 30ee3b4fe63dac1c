"""Moving a collection: nothing lost, nothing twice, nothing of anybody else touched.

The stores that it moves to here are the embedded ones in another folder, shared between machines
where a test says so; `tests/end_to_end/test_promote_servers.py` moves to real servers.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from indexer import IndexOptions, PromoteReport, Stores, create, index, promote, remove, verify
from indexer.promote.discard import _mark
from indexer.promote.tally import of_sighting, of_vector
from retrieval import open_collection, registry
from retrieval.abilities import Record
from retrieval.collection import Collection
from retrieval.document_stores.sqlite import SqliteStore
from retrieval.errors import (
    CollectionNotFoundError,
    CorruptError,
    LockedError,
    MissingPartError,
    SkipReason,
    StoreUnreachableError,
    UsageError,
)
from retrieval.manifest import read_manifest
from retrieval.protocols import Place
from retrieval.schema import Channel, Document, FloatArray, Sighting
from retrieval.vector_stores.exact import ExactStore
from tests import collections, corpus

AWAY = Stores("awayv:", "awayd:", "folder:")
SHARED = Stores("awayv:", "shared:one", "folder:")


class Killed(BaseException):
    """What a test raises where a process would be killed."""


class Writes:
    """Counts what is written to the stores away, and stops at one of them."""

    count: ClassVar[int] = 0
    last: ClassVar[float] = float("inf")
    error: ClassVar[Callable[[], BaseException]] = Killed

    @classmethod
    def one(cls) -> None:
        cls.count += 1
        if cls.count > cls.last:
            raise cls.error()


def _elsewhere(place: Place) -> Place:
    name = place.url.replace(":", "-")
    return replace(place, directory=place.directory.parent / f"away-{name}")


class AwayVectors(ExactStore):
    def __init__(self, place: Place, channel: Channel) -> None:
        super().__init__(_elsewhere(place), channel)

    def upsert(
        self,
        ids: Sequence[str],
        vectors: FloatArray,
        documents: Sequence[Document] | None = None,
    ) -> None:
        assert documents is not None
        assert [document.id for document in documents] == list(ids)
        Writes.one()
        super().upsert(ids, vectors, documents)

    def delete(self, ids: Sequence[str]) -> None:
        Writes.one()
        super().delete(ids)


class AwayDocuments(SqliteStore):
    def __init__(self, place: Place) -> None:
        super().__init__(_elsewhere(place))

    def upsert(self, documents: Sequence[Document], sightings: Sequence[Sighting] = ()) -> None:
        Writes.one()
        super().upsert(documents, sightings)

    def delete(self, ids: Sequence[str]) -> None:
        Writes.one()
        super().delete(ids)

    def forget(self, uris: Sequence[str]) -> None:
        Writes.one()
        super().forget(uris)


class SharedDocuments(AwayDocuments):
    """With the records of a `SharedStore`, in a file beside."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        path = _elsewhere(place).directory / "records.sqlite"
        if place.anew:
            path.unlink(missing_ok=True)
        self._records = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._records.execute(
            "CREATE TABLE IF NOT EXISTS records (name PRIMARY KEY, data, version INTEGER)"
        )

    def record(self, name: str) -> Record | None:
        row = self._records.execute(
            "SELECT data, version FROM records WHERE name = ?", [name]
        ).fetchone()
        return Record(row[0], str(row[1])) if row else None

    def put_record(self, name: str, data: bytes, *, replacing: str | None) -> Record:
        if name != "lease":
            Writes.one()
        held = self.record(name)
        if (held.version if held else None) != replacing:
            raise LockedError(f"{name} was changed")
        version = int(replacing or 0) + 1
        self._records.execute("REPLACE INTO records VALUES (?, ?, ?)", [name, data, version])
        return Record(data, str(version))

    def fence(self, token: str) -> None:
        """Nobody else writes in these tests."""

    def close(self) -> None:
        super().close()
        self._records.close()


@pytest.fixture(autouse=True)
def _away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known: dict[Any, dict[str, registry.Entry]] = {
        role: dict(entries) for role, entries in registry.BACK_ENDS.items()
    }
    known["vector_store"]["awayv"] = registry.Entry(f"{__name__}:AwayVectors", "")
    known["document_store"]["awayd"] = registry.Entry(f"{__name__}:AwayDocuments", "")
    known["document_store"]["shared"] = registry.Entry(f"{__name__}:SharedDocuments", "")
    monkeypatch.setattr(registry, "BACK_ENDS", known)
    Writes.count, Writes.last, Writes.error = 0, float("inf"), Killed
    yield
    Writes.last = float("inf")


@pytest.fixture
def moved(photos: Collection, media: Path) -> Collection:
    """A collection of four pictures, one of them twice, and a text; moved nowhere yet."""
    for seed in range(4):
        corpus.picture(media / f"{seed}.png", seed=seed)
    corpus.text(media / "0.txt", "a red zeppelin")
    (media / "twin.png").write_bytes((media / "1.png").read_bytes())
    corpus.text(media / "note.md", "All about balloons.")
    index([media], photos)
    return photos


def _asked(collection: Collection) -> list[list[tuple[str, float]]]:
    with open_collection(collection.directory, settings=collection.settings) as fresh:
        answers = [fresh.search(words, k=9) for words in ("red", "zeppelin", "balloons")]
    return [[(hit.asset, round(hit.score, 3)) for hit in answer] for answer in answers]


def _stores(collection: Collection) -> Stores:
    manifest = read_manifest(collection.directory)
    return Stores(manifest.vectors, manifest.documents, manifest.assets)


def _written(report: PromoteReport) -> int:
    return sum(moved.written for moved in report.counts.values())


@pytest.mark.parametrize("goal", [AWAY, SHARED])
def test_there_and_back_everything_is_as_it_was(moved: Collection, goal: Stores) -> None:
    before, answers, home = collections.contents(moved), _asked(moved), _stores(moved)
    there = promote(moved, goal)
    assert _stores(moved) == there.now == goal
    assert there.before == home
    counts = {name: (n.written, n.equal, n.deleted) for name, n in there.counts.items()}
    assert counts == {
        "documents": (6, 0, 0),
        "sightings": (6, 0, 0),
        "vectors test-hash-32/image": (4, 0, 0),
        "vectors test-hash-32/text": (2, 0, 0),
        "vectors test-hash-32/video": (0, 0, 0),
        "assets": (5, 0, 0),
    }
    assert there.bytes == sum(path.stat().st_size for path in _files(moved))
    collections.assert_same(collections.contents(moved), before)
    assert _asked(moved) == answers
    assert verify(moved).problems == ()

    back = promote(moved, back=True)
    assert _stores(moved) == back.now == home
    assert _written(back) == 0
    collections.assert_same(collections.contents(moved), before)
    assert _asked(moved) == answers
    assert verify(moved).problems == ()


def _files(collection: Collection) -> list[Path]:
    media = collection.directory.parent.parent / "media"
    return [path for path in media.iterdir() if path.name not in ("twin.png", "0.txt")]


def test_only_what_is_named_moves(moved: Collection) -> None:
    report = promote(moved, Stores(assets="folder:"))
    assert list(report.counts) == ["assets"]
    assert _stores(moved) == Stores("exact:", "sqlite:", "folder:")
    assert promote(moved, Stores(assets="folder:")).counts == {}


def test_what_was_erased_and_added_while_away_is_so_at_home(moved: Collection, media: Path) -> None:
    promote(moved, Stores(assets="folder:"))
    promote(moved, AWAY)
    promote(moved, back=True)
    promote(moved, AWAY)
    remove([str(media / "0.png")], moved)
    corpus.text(media / "new.md", "A new balloon.")
    index([media / "new.md"], moved)
    held = collections.contents(moved)
    back = promote(moved, Stores("exact:", "sqlite:"))
    assert back.counts["documents"].deleted == 2
    assert back.counts["documents"].written == back.counts["sightings"].written == 1
    assert back.counts["vectors test-hash-32/image"].deleted == 1
    collections.assert_same(collections.contents(moved), held)
    assert verify(moved).problems == ()


@pytest.mark.parametrize("goal", [AWAY, SHARED])
def test_promise_killed_at_every_write_and_run_again(moved: Collection, goal: Stores) -> None:
    """In both directions."""
    before, answers = collections.contents(moved), _asked(moved)
    for to in ({"to": goal}, {"back": True}):
        for kill in range(200):
            was = _stores(moved)
            Writes.count, Writes.last = 0, kill
            try:
                promote(moved, **to)
            except Killed:
                Writes.last = float("inf")
                if _stores(moved) == was:
                    collections.assert_same(_readable(moved, before), before)
                continue
            break
        Writes.last = float("inf")
        assert kill > 0 or "back" in to
        promote(moved, **to)
        collections.assert_same(collections.contents(moved), before)
        assert _asked(moved) == answers
        assert verify(moved).problems == ()


def _readable(collection: Collection, before: collections.Contents) -> collections.Contents:
    """What readers see after a kill; nothing, if the store that is left was told of the move."""
    try:
        return collections.contents(collection)
    except CollectionNotFoundError:
        return before


def test_a_store_that_fails_is_told_and_the_next_run_goes_on(moved: Collection) -> None:
    def full() -> BaseException:
        return StoreUnreachableError("The disk of awayv is full.", advice="Make room.")

    Writes.last, Writes.error = 3, full  # documents, sightings, one channel
    with pytest.raises(StoreUnreachableError, match="awayv") as caught:
        promote(moved, AWAY)
    assert "Make room." in caught.value.advice
    assert "same command again" in caught.value.advice
    assert _stores(moved) == Stores("exact:", "sqlite:", "inplace:")
    Writes.last = float("inf")
    report = promote(moved, AWAY)
    assert report.counts["documents"].equal == report.counts["sightings"].equal == 6
    assert report.counts["vectors test-hash-32/image"].equal == 4
    assert report.counts["vectors test-hash-32/text"].written == 2


@pytest.mark.parametrize("what", ["documents", "sightings", "vectors"])
def test_a_store_that_loses_something_is_not_switched_to(
    moved: Collection, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def losing_documents(self: Any, documents: Any, sightings: Any = ()) -> None:
        SqliteStore.upsert(self, documents[what == "documents" :], sightings[1:] or sightings)

    def losing_vectors(self: Any, ids: Any, vectors: Any, documents: Any = None) -> None:
        ExactStore.upsert(self, ids, vectors[::-1], documents)

    if what == "vectors":
        monkeypatch.setattr(AwayVectors, "upsert", losing_vectors)
    else:
        monkeypatch.setattr(AwayDocuments, "upsert", losing_documents)
    with pytest.raises(CorruptError, match=what) as caught:
        promote(moved, AWAY)
    assert "stays in" in str(caught.value)
    assert _stores(moved) == Stores("exact:", "sqlite:", "inplace:")


def test_a_store_of_another_collection_is_left_alone(
    moved: Collection, media: Path, tmp_path: Path
) -> None:
    settings = moved.settings
    other = create("other", vectors="awayv:", documents="awayd:", settings=settings)
    corpus.picture(tmp_path / "its own.png", seed=77)
    index([tmp_path / "its own.png"], other)
    held = collections.contents(other)
    for goal in (Stores(vectors="awayv:"), Stores(documents="awayd:")):
        with pytest.raises(UsageError, match="not this collection's"):
            promote(moved, goal)
    collections.assert_same(collections.contents(other), held)


def test_copies_of_another_collection_of_the_same_files_are_left_alone(
    moved: Collection, media: Path, tmp_path: Path
) -> None:
    """Else they would be erased with the store that this one leaves."""
    kept = f"folder:{tmp_path / 'copies'}"
    index([media], create("other", assets=kept, settings=moved.settings))
    with pytest.raises(UsageError, match="not this collection's"):
        promote(moved, Stores(assets=kept))
    assert _stores(moved).assets == "inplace:"


def test_a_shared_store_of_another_collection_is_refused(moved: Collection) -> None:
    """Though it is empty."""
    create("other", documents="shared:one", settings=moved.settings)
    with pytest.raises(UsageError, match="already"):
        promote(moved, SHARED)


def test_an_asset_without_a_file_stops_the_switch_and_nothing_else(
    moved: Collection, media: Path
) -> None:
    content = (media / "3.png").read_bytes()
    (media / "3.png").unlink()
    with pytest.raises(MissingPartError, match=r"1 asset .*3\.png") as caught:
        promote(moved, Stores(assets="folder:"))
    assert "echolens remove" in caught.value.advice
    (media / "3.png").write_bytes(b"changed meanwhile")
    with pytest.raises(MissingPartError, match=r"1 asset .*3\.png"):
        promote(moved, Stores(assets="folder:"))
    assert _stores(moved).assets == "inplace:"
    (media / "3.png").write_bytes(content)
    assert promote(moved, Stores(assets="folder:")).counts["assets"].equal == 4


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_the_only_copy_is_not_left_behind(moved: Collection, media: Path, how: str) -> None:
    promote(moved, Stores(assets="folder:"))
    (media / "3.png").unlink()
    if how == "changed":
        corpus.picture(media / "3.png", seed=99)
    with pytest.raises(UsageError, match=r"1 asset can't be read in place.*3\.png") as caught:
        promote(moved, back=True)
    assert "--assets folder:" in caught.value.advice
    assert _stores(moved).assets == "folder:"


def test_vectors_that_are_damaged_stay(moved: Collection) -> None:
    (rows,) = moved.directory.glob("vectors/*/image/rows-*.f32")
    data = bytearray(rows.read_bytes())
    data[5] ^= 1
    rows.write_bytes(data)
    with pytest.raises(CorruptError, match="vectors test-hash-32/image") as caught:
        promote(moved, AWAY)
    assert "verify --repair" in caught.value.advice


def test_no_encoder_is_needed(moved: Collection) -> None:
    broken = moved.directory / "manifest.json"
    broken.write_text(broken.read_text().replace('"hash:"', '"onnx:/nowhere"'))
    promote(moved, AWAY)
    assert _stores(moved) == AWAY


def test_a_dry_run_counts_and_touches_nothing(moved: Collection) -> None:
    there = _all_files(moved)
    report = promote(moved, AWAY, dry_run=True)
    assert report.dry_run
    assert {name: n.written for name, n in report.counts.items()} == {
        "documents": 6,
        "sightings": 6,
        "vectors test-hash-32/image": 4,
        "vectors test-hash-32/text": 2,
        "vectors test-hash-32/video": 0,
        "assets": 5,
    }
    assert _all_files(moved) == there
    assert _stores(moved) == Stores("exact:", "sqlite:", "inplace:")


def _all_files(collection: Collection) -> list[Path]:
    found = collection.directory.parent.rglob("*")
    return sorted(path for path in found if not path.name.endswith(("-shm", "-wal")))


def test_what_makes_no_sense_is_refused(moved: Collection) -> None:
    with pytest.raises(UsageError, match="Nothing says"):
        promote(moved)
    with pytest.raises(UsageError, match="Going back"):
        promote(moved, AWAY, back=True)
    with pytest.raises(UsageError, match="no way back"):
        promote(moved, back=True)
    with pytest.raises(UsageError, match="already"):
        promote(moved, Stores(vectors="exact:"))
    with pytest.raises(UsageError, match="called `nonsense:`"):
        promote(moved, Stores(vectors="nonsense:"))


# ---- shared stores


def test_the_store_that_is_left_tells_where_the_collection_is(
    moved: Collection, tmp_path: Path
) -> None:
    promote(moved, SHARED)
    promote(moved, Stores(documents="shared:two"))
    with SharedDocumentsAt(moved, "shared:one") as store:
        record = store.record("manifest")
    assert record is not None
    assert b'"shared:two"' in record.data
    assert promote(moved, Stores(documents="shared:one")).counts["documents"].equal == 6
    assert verify(moved).problems == ()


def test_another_machine_that_went_on_after_a_kill_is_not_overwritten(
    moved: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["indexer.promote"], "write_manifest", killed)
        with pytest.raises(Killed):
            promote(moved, SHARED)
    with SharedDocumentsAt(moved, "shared:one") as store:
        lease = store.record("lease")
        assert lease is not None
        other = lease.data.replace(b"this machine", b"another")
        store.put_record("lease", other, replacing=lease.version)
    with pytest.raises(UsageError, match="another machine") as caught:
        promote(moved, SHARED)
    assert "--attach shared:one" in caught.value.advice


def test_an_asset_that_is_removed_by_its_id_stays_out_after_a_move(
    moved: Collection, media: Path
) -> None:
    promote(moved, SHARED)
    asset = hashlib.sha256((media / "1.png").read_bytes()).hexdigest()
    assert remove([asset], moved) == 2
    promote(moved, Stores(documents="shared:two"))
    (media / "another.png").write_bytes((media / "1.png").read_bytes())
    assert index([media], moved).skipped == {SkipReason.REMOVED: 3}
    assert index([media], moved, options=IndexOptions(restore=True)).failed == 0
    promote(moved, Stores(documents="shared:one"))
    assert index([media], moved).skipped == {}


class SharedDocumentsAt:
    """A shared store, opened past the collection."""

    def __init__(self, collection: Collection, url: str) -> None:
        self._store = SharedDocuments(Place(url, collection.directory, read_only=False))

    def __enter__(self) -> SharedDocuments:
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()


# ---- discarding


def test_the_old_stores_stay_until_they_are_discarded(moved: Collection) -> None:
    report = promote(moved, SHARED)
    assert report.old == ("vectors exact:", "documents sqlite:")
    before = collections.contents(moved)
    old = Place("sqlite:", moved.directory, read_only=True)
    assert SqliteStore(old).count() == 6
    gone = promote(moved, discard_old=True)
    assert gone.erased == report.old
    assert gone.old == ()
    assert SqliteStore(old).count() == 0
    collections.assert_same(collections.contents(moved), before)
    assert verify(moved).problems == ()
    assert _written(promote(moved, back=True)) == 18
    assert promote(moved, discard_old=True).erased == (
        "vectors awayv:",
        "documents shared:one",
        "assets folder:",
    )
    collections.assert_same(collections.contents(moved), before)


def test_files_that_the_store_in_use_has_too_are_not_erased(moved: Collection) -> None:
    pytest.importorskip("faiss")
    before = collections.contents(moved)
    promote(moved, Stores("faiss:", "sqlite:again", "folder:"))
    report = promote(moved, Stores(assets="folder:assets"), discard_old=True)
    assert report.shared == ("vectors exact:", "documents sqlite:", "assets folder:")
    assert report.erased == report.old == ()
    collections.assert_same(collections.contents(moved), before)
    assert verify(moved).problems == ()


def test_a_copy_without_another_one_is_not_discarded(moved: Collection, tmp_path: Path) -> None:
    promote(moved, Stores(assets="folder:"))
    other = tmp_path / "copies"
    promote(moved, Stores(assets=f"folder:{other}"))
    lost = sorted(path for path in other.rglob("*") if path.is_file())[0]
    lost.write_bytes(b"rotten")
    report = promote(moved, discard_old=True)
    assert report.kept == (lost.name,)
    assert report.old == ("assets folder:",)
    assert [p.name for p in (moved.directory / "assets").rglob("*") if p.is_file()] == [lost.name]


def test_the_mark_that_tells_stores_apart_is_taken_away(moved: Collection) -> None:
    promote(moved, AWAY)
    promote(moved, back=True)
    promote(moved, discard_old=True)
    assert _mark("").id not in collections.contents(moved).documents


# ---- checksums


def test_what_a_store_may_give_back_otherwise_counts_as_equal() -> None:
    import numpy as np

    asset = "a" * 64
    same = [Sighting("file:///x", asset, {"n": n, "b": True}) for n in (2, 2.0)]
    assert of_sighting(same[0]) == of_sighting(same[1])
    zero = [of_vector("x", np.array([1, sign * 0.0], np.float32)) for sign in (1, -1)]
    assert zero[0] == zero[1]
    other = Sighting("file:///x", asset, {"n": 2, "b": 1})
    assert of_sighting(other) != of_sighting(same[0])

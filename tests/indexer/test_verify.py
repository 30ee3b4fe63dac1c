"""`verify` finds every kind of damage, and after `repair` and one more run all is as it was."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from indexer import IndexOptions, create, index, remove, verify
from indexer.opening import writing
from retrieval import registry
from retrieval.collection import Collection
from retrieval.errors import EncoderMismatchError, SkipReason, WeightsMissingError
from retrieval.query.backends import Backends
from retrieval.schema import Sighting
from tests import collections, corpus

from .conftest import captions

IMAGES, TEXTS = "test-hash-32/image", "test-hash-32/text"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of files, and the home of a collection of them that keeps copies."""
    folder = tmp_path_factory.mktemp("verify")
    media = folder / "media"
    media.mkdir()
    for seed in range(3):
        corpus.picture(media / f"{seed}.png", seed=seed)
        corpus.text(media / f"{seed}.txt", f"picture number {seed}")
    corpus.text(media / "note.md", "All about zeppelins.")
    settings = collections.settings(folder / "home")
    index([str(media)], create("photos", assets="folder:", settings=settings))
    return media, folder / "home"


@pytest.fixture
def photos(whole: tuple[Path, Path], tmp_path: Path) -> Collection:
    """A copy of it, to be damaged."""
    shutil.copytree(whole[1], tmp_path / "home")
    return Collection(tmp_path / "home/photos", collections.settings(tmp_path / "home"))


def _sql(photos: Collection, name: str, statement: str) -> None:
    with closing(sqlite3.connect(photos.directory / name)) as file, file:
        assert file.execute(statement).rowcount == 1


def _stores(photos: Collection, damage: Callable[[Backends], object]) -> None:
    with writing(photos) as session:
        damage(session.backends)


def _flip_bytes_of_a_vector(photos: Collection) -> None:
    (rows,) = (photos.directory / "vectors" / IMAGES).glob("rows-*.f32")
    data = bytearray(rows.read_bytes())
    data[130] ^= 0x40
    rows.write_bytes(data)


def _swap_two_vectors(photos: Collection) -> None:
    def swap(backends: Backends) -> None:
        store = backends.vectors[IMAGES]
        one, other = list(store.scan())[:2]
        vectors = store.get([one, other])
        store.upsert([one, other], np.stack([vectors[other], vectors[one]]))

    _stores(photos, swap)


def _add_a_vector(photos: Collection) -> None:
    vector = np.eye(1, 32, dtype=np.float32)
    _stores(photos, lambda backends: backends.vectors[TEXTS].upsert(["ab" * 16], vector))


def _lose_a_vector(photos: Collection) -> None:
    def lose(backends: Backends) -> None:
        store = backends.vectors[IMAGES]
        store.delete(list(store.scan())[:1])

    _stores(photos, lose)


def _lose_a_pictures_document(photos: Collection) -> None:
    _sql(
        photos, "documents.sqlite",
        "DELETE FROM documents WHERE number = "
        "(SELECT number FROM documents WHERE kind = 'image' LIMIT 1)",
    )  # fmt: skip


def _lose_a_captions_document(photos: Collection) -> None:
    statement = "DELETE FROM documents WHERE text = 'picture number 1'"
    _sql(photos, "documents.sqlite", statement)


def _lose_the_words(photos: Collection) -> None:
    statement = "DELETE FROM words WHERE rowid = (SELECT min(rowid) FROM words)"
    _sql(photos, "documents.sqlite", statement)


def _lose_a_ledger_row(photos: Collection) -> None:
    _sql(photos, "ledger.sqlite", "DELETE FROM files WHERE uri LIKE '%/0.png'")


def _lose_a_sighting(photos: Collection) -> None:
    def forget(backends: Backends) -> None:
        uri = next(s.uri for s in backends.documents.scan_sightings() if "0.png" in s.uri)
        backends.documents.forget([uri])

    _stores(photos, forget)


def _add_a_sighting(photos: Collection) -> None:
    ghost = Sighting("file:///ghost.png", "cd" * 32, {"modality": "image"}, ("a ghost",))
    _stores(photos, lambda backends: backends.documents.upsert([], [ghost]))


def _add_a_sighting_to_an_asset(photos: Collection) -> None:
    def add(backends: Backends) -> None:
        asset = next(backends.documents.scan_sightings()).asset
        backends.documents.upsert([], [Sighting("file:///ghost.png", asset)])

    _stores(photos, add)


def _copies(photos: Collection) -> list[Path]:
    return sorted(path for path in (photos.directory / "assets").rglob("*") if path.is_file())


def _damage_a_copy(photos: Collection) -> None:
    corpus.noise(_copies(photos)[0])


def _lose_a_copy(photos: Collection) -> None:
    _copies(photos)[0].unlink()


def _add_a_copy(photos: Collection) -> None:
    name = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # of b"test"
    path = photos.directory / "assets" / name[:2] / name[2:4] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"test")


DAMAGES: dict[Callable[[Collection], None], str] = {
    _flip_bytes_of_a_vector: "doesn't match its checksum",
    _swap_two_vectors: "its vector isn't its own",
    _add_a_vector: "has no document",
    _lose_a_vector: "has no vector",
    _lose_a_pictures_document: ".png: has no document",
    _lose_a_captions_document: "1.png: lacks the document of a caption",
    _lose_the_words: "words",
    _lose_a_ledger_row: "0.png: is in the store, not in the ledger",
    _lose_a_sighting: "0.png: is in the ledger, not in the store",
    _add_a_sighting: "ghost.png: is in the store, not in the ledger",
    _add_a_sighting_to_an_asset: "ghost.png: is in the store, not in the ledger",
    _damage_a_copy: "its copy is damaged",
    _lose_a_copy: "its copy is gone",
    _add_a_copy: "no file has it",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__[1:])
def test_damage_is_found_and_mended(
    damage: Callable[[Collection], None], photos: Collection, whole: tuple[Path, Path]
) -> None:
    wanted = collections.contents(photos)
    damage(photos)
    report = verify(photos)
    assert any(DAMAGES[damage] in problem for problem in report.problems)
    assert report.repaired == 0
    assert verify(photos).problems == report.problems  # looking changes nothing

    mending = verify(photos, repair=True)
    assert mending.repaired == len(mending.problems) > 0
    assert verify(photos, repair=True).problems == ()
    index([str(whole[0])], photos)
    assert verify(photos).problems == ()
    collections.assert_same(collections.contents(photos), wanted)
    assert len(_copies(photos)) == 4
    assert index([str(whole[0])], photos).unchanged == 4


def test_a_sound_collection(photos: Collection) -> None:
    report = verify(photos)
    assert report.problems == ()
    assert report.checked == {
        "documents": 7, "vectors": 7, "files": 4, "assets": 4, "encoded again": 7
    }  # fmt: skip


def test_looking_writes_nothing_and_tells_what_was_begun(photos: Collection) -> None:
    """A deletion, a change of sightings and an arrival, as killed runs leave them."""
    with writing(photos) as session:
        documents = session.backends.documents
        gone = next(d for d in documents.scan() if d.kind == "image")
        session.ledger.intend_recheck([gone.asset])
        session.ledger.intend_deletion([gone])
        documents.delete([gone.id])
        session.ledger.intend_arrivals([("ab" * 32, "cd" * 16, IMAGES)])
        vector = np.eye(1, 32, dtype=np.float32)
        session.backends.vectors[IMAGES].upsert(["cd" * 16], vector)
    before = _bytes_of(photos)

    report = verify(photos)

    assert report.problems == ()
    assert report.complete
    assert len(report.notes) == 3
    assert all("the next one finishes that" in note for note in report.notes)
    assert _bytes_of(photos) == before
    assert verify(photos, repair=True).notes == ()
    assert _bytes_of(photos) != before


def _bytes_of(photos: Collection) -> dict[Path, bytes]:
    """All files but a reader's view of an empty log."""
    files = (path for path in photos.directory.rglob("*") if path.is_file())
    return {
        path: path.read_bytes()
        for path in files
        if not (
            path.name.endswith("-shm") or (path.name.endswith("-wal") and not path.stat().st_size)
        )
    }


def test_without_the_encoder_all_but_the_sample_is_compared(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise WeightsMissingError("The weights aren't here.", advice="Fetch them.")

    _lose_a_copy(photos)
    sound, gone_copy = verify(photos), "its copy is gone"
    monkeypatch.setattr(registry, "open_encoder", gone)
    for repair in (False, True):
        report = verify(photos, repair=repair)
        assert report.problems == sound.problems
        assert gone_copy in report.problems[0]
        assert not report.complete
        assert report.notes == (
            "No sample was encoded again: The weights aren't here. Fetch them.",
        )
        assert "encoded again" not in report.checked


def test_what_cannot_be_mended_is_not_called_mended(photos: Collection) -> None:
    """Bytes of a row that was deleted."""
    _lose_a_vector(photos)
    (rows,) = (photos.directory / "vectors" / IMAGES).glob("rows-*.f32")
    with closing(sqlite3.connect(rows.parent / "catalogue.sqlite")) as catalogue:
        (row,) = catalogue.execute("SELECT row FROM dead").fetchone()
    data = bytearray(rows.read_bytes())
    data[128 * row] = 1
    rows.write_bytes(data)
    mending = verify(photos, repair=True)
    assert mending.repaired == len(mending.problems) - 1
    assert [f"row {row}" in problem for problem in verify(photos).problems] == [True]


def test_mending_keeps_what_a_source_said(tmp_path: Path) -> None:
    """Captions of a COCO file live in the ledger: they come back without it."""
    corpus.picture(tmp_path / "a.png")
    given = tmp_path / "captions.json"
    given.write_text(
        '{"images": [{"id": 1, "file_name": "a.png"}],'
        ' "annotations": [{"image_id": 1, "caption": "a boat"}]}'
    )
    photos = create("photos", settings=collections.settings(tmp_path / "home"))
    index([], photos, options=IndexOptions(captions=str(given)))
    _sql(photos, "documents.sqlite", "DELETE FROM documents WHERE text = 'a boat'")
    _stores(photos, lambda b: b.documents.forget([s.uri for s in b.documents.scan_sightings()]))
    assert verify(photos, repair=True).repaired > 0
    given.unlink()
    index([str(tmp_path / "a.png")], photos)
    assert captions(photos) == ["a boat"]
    assert verify(photos).problems == ()


def test_a_copy_that_is_gone_with_its_file_is_told(
    photos: Collection, whole: tuple[Path, Path]
) -> None:
    """Nothing can bring it back, so it isn't called mended; a file kept in place is just away."""
    away = whole[0].with_name("away")
    copies = len(_copies(photos))
    shutil.rmtree(photos.directory / "assets")
    whole[0].rename(away)
    try:
        report = verify(photos, repair=True)
    finally:
        away.rename(whole[0])
    assert [p.endswith("its copy is gone, and so is the file") for p in report.problems] == (
        [True] * copies
    )
    assert report.repaired == 0
    assert verify(photos, repair=True).repaired == copies
    index([str(whole[0])], photos)
    assert verify(photos).problems == ()
    assert len(_copies(photos)) == copies


def test_how_many_files_must_be_indexed_again_and_where(
    photos: Collection, whole: tuple[Path, Path]
) -> None:
    shutil.rmtree(photos.directory / "vectors" / IMAGES)
    assert verify(photos).waiting == 0
    mended = verify(photos, repair=True)
    assert (len(mended.problems), mended.repaired, mended.waiting) == (1, 1, 3)
    assert mended.roots == (str(whole[0]),)
    assert verify(photos).waiting == 3
    assert index([str(whole[0])], photos).indexed == 3
    assert verify(photos).waiting == 0


def test_what_was_removed_stays_out_though_the_ledger_is_lost(
    photos: Collection, whole: tuple[Path, Path]
) -> None:
    """Until it is restored."""
    media = str(whole[0])
    remove([f"{media}/note.md"], photos)
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        (photos.directory / name).unlink(missing_ok=True)
    assert index([media], photos).skipped == {SkipReason.REMOVED: 1}
    (photos.directory / "ledger.sqlite").write_bytes(b"no such file" * 999)
    assert verify(photos, repair=True).waiting == 3
    assert index([media], photos).skipped == {SkipReason.REMOVED: 1}
    assert index([media], photos, options=IndexOptions(restore=True)).indexed == 1
    assert verify(photos).problems == ()
    (photos.directory / "ledger.sqlite").unlink()
    assert index([media], photos).skipped == {}


def test_probes_are_made_again_by_the_same_encoder_alone(photos: Collection) -> None:
    (photos.directory / "probes.npz").unlink()
    manifest = photos.directory / "manifest.json"
    sound = manifest.read_text()
    manifest.write_text(sound.replace('"hash:"', '"hash:weights=2"'))
    with pytest.raises(EncoderMismatchError, match="hash:weights=2") as raised:
        verify(photos, repair=True)
    assert raised.value.advice
    manifest.write_text(sound)
    assert verify(photos, repair=True).repaired == 1
    assert verify(photos).problems == ()


def test_what_a_lost_ledger_takes_with_it_is_said(
    photos: Collection, whole: tuple[Path, Path]
) -> None:
    remove([str(whole[0] / "note.md")], photos)
    (photos.directory / "ledger.sqlite").write_bytes(b"no such file" * 999)
    (photos.directory / "removed.json").write_bytes(b"[1]")
    assert {problem.partition(":")[0] for problem in verify(photos).problems} == {
        "ledger", "removed files"
    }  # fmt: skip
    notes = " ".join(verify(photos, repair=True).notes)
    assert "--captions" in notes
    assert "`echolens remove` it again" in notes
    assert index([str(whole[0])], photos).indexed == 4
    assert verify(photos).problems == ()

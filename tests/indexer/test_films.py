"""Films: written stretch by stretch, gone on with after a kill, whatever they are."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from indexer import IndexOptions, Progress, create, failures, index
from indexer.decode import Decoder
from indexer.entries import wants_of
from indexer.ledger import Ledger
from indexer.write import Writer
from retrieval.collection import Collection
from retrieval.document_stores.sqlite import SqliteStore
from retrieval.errors import BadInputError
from retrieval.schema import SkipReason, Span
from retrieval.timed import STRETCH_S
from retrieval.vector_stores.exact import ExactStore
from tests import collections, corpus
from tests.indexer.conftest import outcomes
from tests.indexer.kills import kill

pytest.importorskip("av")
pytest.importorskip("scenedetect")

from tests.media_made import SCENES, Scene, film, recording, tone

STRETCHES = 3


@pytest.fixture(scope="session")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stretches and a half of scenes of ten seconds, at two frames a second."""
    count = round((STRETCHES - 0.5) * STRETCH_S / 10)
    scenes = [Scene(10.0, SCENES[n % len(SCENES)].colour, seed=n) for n in range(count)]
    path = tmp_path_factory.mktemp("films") / "long.mp4"
    return film(path, scenes, fps=2, key_every=10)


def _fill(media: Path, long_film: Path) -> Path:
    corpus.picture(media / "a.png", seed=1)
    (media / "long.mp4").write_bytes(long_film.read_bytes())
    corpus.picture(media / "z.png", seed=2)
    return media


@pytest.fixture
def shown(media: Path, long_film: Path) -> Path:
    """A folder with the long film, and something before and behind it."""
    return _fill(media, long_film)


@dataclass(frozen=True)
class Undisturbed:
    """A folder like `shown` that no test changes, and what comes of it."""

    media: Path
    contents: collections.Contents


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, long_film: Path) -> Undisturbed:
    media = _fill(tmp_path_factory.mktemp("undisturbed"), long_film)
    collection = _made(tmp_path_factory.mktemp("home"))
    assert index([media], collection).indexed == 3
    return Undisturbed(media, collections.contents(collection))


def _made(home: Path) -> Collection:
    return create("films", settings=collections.settings(home))


def _starts(patch: pytest.MonkeyPatch) -> list[float]:
    """Where the stretches begin that are read from now on."""
    seen: list[float] = []
    submit = Decoder.submit

    def noted(self: Decoder, item: Any, wants: Any, **options: Any) -> Any:
        if item.modality == "video" and wants is not None:
            seen.append(options.get("start", 0.0))
        return submit(self, item, wants, **options)

    patch.setattr(Decoder, "submit", noted)
    return seen


def test_a_long_film_is_read_in_stretches(
    tmp_path: Path, shown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = _starts(monkeypatch)
    collection = _made(tmp_path / "home")
    assert index([shown], collection).indexed == 3
    held = collections.contents(collection)
    assert starts == [n * STRETCH_S for n in range(STRETCHES)]
    kinds = [kind for _, kind, _, _ in held.documents.values()]
    assert kinds.count("shot") >= 2 * STRETCHES
    assert kinds.count("image") == 2


def test_a_watcher_is_told_of_a_film_while_it_is_read(
    tmp_path: Path, long_film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.tally.WATCH_EVERY_S", 0.0)
    told: list[Progress] = []
    report = index([long_film], _made(tmp_path / "home"), watch=told.append)
    under_way = [each for each in told if not each.done]
    lengths = [each.media_s for each in under_way]
    assert lengths == pytest.approx([STRETCH_S, 2 * STRETCH_S, report.media_s], abs=1)
    assert all(each.media_total_s == pytest.approx(report.media_s, abs=1) for each in under_way)


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (Writer, "keep", 2),
        (Writer, "plan", 2),
        (ExactStore, "upsert", 2),
        (SqliteStore, "upsert", 2),
        (Ledger, "arrived", 2),
        (Ledger, "arrived", 3),
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_promise_killed_in_the_middle_of_a_film(
    tmp_path: Path, undisturbed: Undisturbed, owner: type, name: str, call: int, after: bool
) -> None:
    collection = _made(tmp_path / "killed")
    kill(owner, name, call, lambda: index([undisturbed.media], collection), after=after)
    assert index([undisturbed.media], collection).failed == 0
    collections.assert_same(collections.contents(collection), undisturbed.contents)
    with closing(Ledger(collection.directory, read_only=True)) as ledger:
        for row in ledger.scan():
            assert row.asset
            assert not ledger.stretches(row.asset, row.recipe)


def test_the_next_run_goes_on_where_a_film_was_left(
    tmp_path: Path, shown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = _made(tmp_path / "home")
    kill(Ledger, "arrived", 2, lambda: index([shown], collection))
    found = collection.search("red", modality="video", k=1)
    assert [Path(path).name for path in found[0].paths] == ["long.mp4"]  # as far as it is done
    starts = _starts(monkeypatch)
    index([shown], collection)
    assert starts[0] > 0
    again = index([shown], collection)
    assert (again.indexed, again.unchanged) == (0, 3)


def test_what_is_odd_about_a_film_is_told_once_though_it_was_gone_on_with(
    tmp_path: Path, shown: Path
) -> None:
    turned = "1\n00:00:03,000 --> 00:00:02,000\nback\n\n"
    (shown / "long.srt").write_text(f"{turned}2\n00:00:04,000 --> 00:00:05,000\nhello\n")
    (shown / "long.json").write_text("{")
    collection = _made(tmp_path / "home")
    kill(Ledger, "arrived", 2, lambda: index([shown], collection))
    report = index([shown], collection)
    assert [warning.count("long.srt: a cue") for warning in report.warnings] == [1]


def test_a_film_that_goes_before_it_is_done_leaves_nothing(tmp_path: Path, shown: Path) -> None:
    collection = _made(tmp_path / "home")
    kill(Ledger, "arrived", 2, lambda: index([shown], collection))
    (shown / "long.mp4").unlink()
    index([shown], collection)
    held = collections.contents(collection)
    assert {kind for _, kind, _, _ in held.documents.values()} == {"image"}
    assert set(held.vectors["test-hash-32/video"]) == set()


def test_the_same_film_twice_is_a_duplicate(tmp_path: Path, shown: Path) -> None:
    (shown / "other.mp4").write_bytes((shown / "long.mp4").read_bytes())
    report = index([shown], _made(tmp_path / "home"))
    assert (report.indexed, report.duplicates) == (3, 1)


def test_another_look_replaces_what_the_first_one_found(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    """Key frames alone, then every frame: no shot of the first look is left."""
    collection = _made(tmp_path / "home")
    index([undisturbed.media], collection, options=IndexOptions(fast=True))
    index([undisturbed.media], collection)
    collections.assert_same(collections.contents(collection), undisturbed.contents)


def test_a_stretch_that_cannot_be_read_costs_itself_only(
    tmp_path: Path, shown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Decoder.result

    def failing(self: Decoder, pending: Any, item: Any) -> Any:
        reading = read(self, pending, item)
        if item.modality == "video" and reading.drafts and _start_of(reading) == STRETCH_S:
            raise BadInputError(SkipReason.DECODER_FAILED, "its decoder died")
        return reading

    monkeypatch.setattr(Decoder, "result", failing)
    collection = _made(tmp_path / "home")
    report = index([shown], collection)
    assert report.indexed == 3
    assert [w for w in report.warnings if "from 120 s to 240 s" in w and "died" in w]
    with collection as opened:
        spans = [d.span for d in opened.backends.documents.scan("test-hash-32/video")]
    starts = [span.start for span in spans if span]
    assert min(starts) == 0
    assert not [s for s in starts if STRETCH_S <= s < 2 * STRETCH_S]
    assert max(starts) >= 2 * STRETCH_S


def _fail_at_the_second_stretch(patch: pytest.MonkeyPatch) -> None:
    submit = Decoder.submit

    def failing(self: Decoder, item: Any, wants: Any, **options: Any) -> Any:
        if options.get("start") == STRETCH_S:
            item = replace(item, stat=replace(item.stat, path="/nowhere"))
        return submit(self, item, wants, **options)

    patch.setattr("indexer.entries._OTHER_BYTES", frozenset())
    patch.setattr(Decoder, "submit", failing)


def test_a_film_that_lacks_a_stretch_is_read_again_by_retry_alone(
    tmp_path: Path, shown: Path, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shown / "copy.mp4").write_bytes((shown / "long.mp4").read_bytes())
    collection = _made(tmp_path / "home")
    with monkeypatch.context() as patch:
        _fail_at_the_second_stretch(patch)
        report = index([shown], collection)
        assert [w for w in report.warnings if "--retry" in w]
        again = index([], collection, options=IndexOptions(retry=True))
        assert [w for w in again.warnings if "--retry" in w]
    starts = _starts(monkeypatch)
    assert index([shown], collection).unchanged == 4
    assert index([shown / "a.png"], collection, options=IndexOptions(retry=True)).total == 0
    tried = index([], collection, options=IndexOptions(retry=True, dry_run=True))
    assert (tried.total, starts) == (2, [])

    report = index([], collection, options=IndexOptions(retry=True))

    assert (report.indexed, report.duplicates, report.warnings) == (1, 1, ())
    assert starts == [n * STRETCH_S for n in range(STRETCHES)]
    held = collections.contents(collection)
    assert held.documents == undisturbed.contents.documents
    assert index([shown], collection).unchanged == 4
    assert index([], collection, options=IndexOptions(retry=True)).total == 0


@pytest.mark.parametrize("mended", [True, False])
def test_a_retry_that_was_killed_is_gone_on_with_by_another_one(
    tmp_path: Path,
    shown: Path,
    undisturbed: Undisturbed,
    monkeypatch: pytest.MonkeyPatch,
    mended: bool,
) -> None:
    collection, retry = _made(tmp_path / "home"), IndexOptions(retry=True)
    with monkeypatch.context() as patch:
        _fail_at_the_second_stretch(patch)
        index([shown], collection)
        if mended:
            patch.undo()
        kill(Ledger, "arrived", 3, lambda: index([], collection, options=retry))
    starts = _starts(monkeypatch)

    report = index([], collection, options=retry)

    assert (report.indexed, starts) == (1, [2 * STRETCH_S])
    assert [w for w in report.warnings if "--retry" in w] == [*report.warnings[1:]]
    assert len(report.warnings) == (0 if mended else 2)
    index([], collection, options=retry)
    assert collections.contents(collection).documents == undisturbed.contents.documents


def test_a_stretch_that_is_missing_is_known_though_its_film_was_skipped_meanwhile(
    tmp_path: Path, shown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = _made(tmp_path / "home")
    keep = Writer._keep_asset
    kept: list[str] = []

    def failing(self: Writer, sighting: Any) -> None:
        kept.append(sighting.uri)
        if kept[2:] and kept[-1] == kept[-3]:
            raise BadInputError(SkipReason.UNREADABLE, "can't be read: it is in use")
        keep(self, sighting)

    with monkeypatch.context() as patch:
        _fail_at_the_second_stretch(patch)
        patch.setattr(Writer, "_keep_asset", failing)
        assert dict(index([shown], collection).skipped) == {SkipReason.UNREADABLE: 1}

    report = index([shown], collection)

    assert report.indexed == 1
    assert [w for w in report.warnings if w.startswith("1 file lacks a stretch")]


def _start_of(reading: Any) -> float:
    span: Span = reading.drafts[0].span
    return span.start


def test_a_recording_in_which_nobody_speaks_is_not_called_silent(
    tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording(media / "bark.wav", tone())
    collection = _made(tmp_path / "home")
    index([media], collection)
    assert [each.message for each in failures(collection, every=True)] == [
        "nothing of it could be found: it needs an --audio-encoder or a --transcriber"
    ]
    listening = replace(wants_of(collection.backends), speech=True)
    monkeypatch.setattr("indexer.entries.wants_of", lambda *_, **__: listening)
    collection = _made(tmp_path / "listening")
    index([media], collection)
    assert [each.message for each in failures(collection, every=True)] == [
        "nothing of it could be found: it needs an --audio-encoder, since no speech was heard in it"
    ]


def test_what_is_not_what_its_name_says_is_a_failure_whatever_its_name(
    tmp_path: Path, media: Path
) -> None:
    """A page in place of a film; but source code is called like films, and is none that failed."""
    for name in ("a.mp4", "a.mp3", "a.jpg", "module.ts", "module.MTS"):
        (media / name).write_bytes(b"<!doctype html><html><p>404 Not found</p></html>")
    collection = create("films", settings=collections.settings(tmp_path / "home"))
    report = index([media], collection)
    assert report.failed == 3
    assert outcomes(collection, media) == {
        "a.jpg": "corrupt", "a.mp3": "corrupt", "a.mp4": "corrupt",
        "module.MTS": "unsupported", "module.ts": "unsupported",
    }  # fmt: skip
    assert [failure.message for failure in failures(collection)] == [
        "is text, not a picture", "is text, not a recording", "is text, not a film",
    ]  # fmt: skip

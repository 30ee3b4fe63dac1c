"""The laws of `DocumentStore`, for every scheme that the registry knows."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.errors import StoreUnreachableError
from retrieval.protocols import DocumentStore, Place
from retrieval.registry import open_document_store, schemes
from retrieval.schema import (
    And,
    Compare,
    Document,
    Exists,
    FieldValue,
    Filter,
    Not,
    Ranking,
    Sighting,
    Span,
    TooMany,
)

from .naive_filters import admits, field_maps, filters

# What each scheme needs to be tested: the URL of a store whose data goes with the folder.
TEST_URLS = {"sqlite": "sqlite:"}

Opener = Callable[..., DocumentStore]


@pytest.fixture(params=TEST_URLS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the store of the test's folder, any number of times; closes what is left open."""
    stores: list[DocumentStore] = []

    def open_it(*, read_only: bool = False, folder: Path = tmp_path) -> DocumentStore:
        stores.append(open_document_store(Place(TEST_URLS[request.param], folder, read_only)))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


def asset_of(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def passage(name: object, text: str, channel: str = "toy/text") -> Document:
    return Document.of(asset_of(name), "passage", channel, text=text)


def image(name: object) -> Document:
    return Document.of(asset_of(name), "image", "toy/image")


def seen(
    name: object, uri: str = "", captions: Sequence[str] = (), **fields: FieldValue
) -> Sighting:
    return Sighting(uri or f"file:///{name}", asset_of(name), fields, tuple(captions))


def texts_found(store: DocumentStore, words: str, k: int = 10) -> list[str | None]:
    ranking = store.search(words, k)
    documents = store.get(ranking.ids)
    return [documents[id_].text for id_ in ranking.ids]


def test_every_scheme_has_a_test_url() -> None:
    assert {name for name, _ in schemes("document_store")} == set(TEST_URLS)


# ---- documents and sightings by id


def test_an_empty_store_answers_with_nothing(opened: Opener) -> None:
    absent = asset_of("absent")
    for store in (opened(), opened(read_only=True)):
        assert store.count() == 0
        assert store.get([absent[:32], "no id", ""]) == {}
        assert store.of_assets([absent, "no id"]) == store.sightings([absent, "no id"]) == {}
        assert len(store.search("dog", 5)) == 0
        assert store.select(None, 5) == []
        assert store.matches([absent[:32]], None) == set()
        assert [*store.scan(), *store.scan_sightings(), *store.check()] == []
        assert store.fields() == {}


def test_what_was_written_is_there_after_reopening(opened: Opener) -> None:
    documents = [
        image(1),
        passage(1, "Zwölf 小狗 \0 \U0001f600\n"),
        Document.of(asset_of(1), "passage", "toy/text", Span(3, 12), "a part"),
        Document.of(asset_of(2), "window", "toy/audio", Span(0.1, 2.5)),
    ]
    fields = {"年": 2020, "ratio": 1.5, "whole": 2.0, "flash": False, "who": "O'Brien", "": "x"}
    sightings = [
        Sighting("file:///b", asset_of(1), fields, ("a caption", "标题")),
        Sighting("file:///a", asset_of(1)),
    ]
    store = opened()
    store.upsert(documents, sightings)
    store.close()
    for read_only in (True, False):
        store = opened(read_only=read_only)
        assert store.count() == 4
        assert store.get([document.id for document in documents]) == {d.id: d for d in documents}
        assert list(store.scan()) == sorted(documents, key=lambda document: document.id)
        assert list(store.scan("toy/audio")) == [documents[3]]
        assert store.sightings([asset_of(1), asset_of(2)]) == {asset_of(1): sightings[::-1]}
        assert list(store.scan_sightings()) == sightings[::-1]
        kept = store.sightings([asset_of(1)])[asset_of(1)][1].fields
        assert {name: type(value) for name, value in kept.items()} == {
            name: type(value) for name, value in fields.items()
        }
        store.close()


def test_documents_of_an_asset_are_in_order(opened: Opener) -> None:
    spans = [None, Span(0, 5), Span(5, 9), Span(5, 10), Span(40, 50)]
    documents = [image(1)]
    documents += [Document.of(asset_of(1), "passage", "toy/text", span, "x") for span in spans]
    store = opened()
    store.upsert(documents[::-1])
    assert store.of_assets([asset_of(1)]) == {asset_of(1): documents}


def test_pages_of_a_scan_leave_nothing_out(opened: Opener) -> None:
    documents = [image(n) for n in range(2_500)]
    sightings = [seen(n, year=n) for n in range(2_500)]
    store = opened()
    store.upsert(documents, sightings)
    assert list(store.scan()) == sorted(documents, key=lambda document: document.id)
    assert list(store.scan_sightings()) == sorted(sightings, key=lambda sighting: sighting.uri)


def test_a_known_id_is_replaced(opened: Opener) -> None:
    old = passage(1, "a dog")
    new = Document(old.id, asset_of(2), "passage", "toy/other", None, "a cat")
    store = opened()
    store.upsert([old], [seen(1), seen(2)])
    store.upsert([old, new])
    assert store.get([old.id]) == {old.id: new}
    assert store.count() == 1
    assert texts_found(store, "dog") == []
    assert texts_found(store, "cat") == ["a cat"]


def test_writing_twice_changes_nothing(opened: Opener) -> None:
    store = opened()
    rankings = []
    for _ in range(2):
        store.upsert(
            [passage(n, f"a dog {n}") for n in range(5)], [seen(n, year=n) for n in range(5)]
        )
        rankings.append(store.search("dog", 9))
    assert rankings[0].ids == rankings[1].ids
    np.testing.assert_array_equal(rankings[0].scores, rankings[1].scores)
    assert store.count() == len(list(store.scan_sightings())) == 5


def test_a_sighting_moves_when_its_uri_is_seen_with_another_asset(opened: Opener) -> None:
    store = opened()
    store.upsert([image(1), image(2)], [seen(1, "file:///a", year=2020, camera="x")])
    store.upsert([], [seen(2, "file:///a", year=2021)])
    assert store.sightings([asset_of(1), asset_of(2)]) == {
        asset_of(2): [seen(2, "file:///a", year=2021)]
    }
    assert store.select(Exists("year"), 9) == [image(2).id]
    assert store.fields() == {"year": "number"}


def test_deleting_and_forgetting(opened: Opener) -> None:
    store = opened()
    store.upsert([image(1), image(2)], [seen(1), seen(2)])
    store.delete([image(1).id, image(9).id, "no id"])
    store.forget(["file:///2", "file:///9"])
    store.delete([])
    store.forget([])
    assert list(store.scan()) == [image(2)]
    assert list(store.scan_sightings()) == [seen(1)]
    assert store.select(None, 9) == []


def test_fields_have_the_type_first_seen(opened: Opener) -> None:
    store = opened()
    store.upsert([], [seen(1, year=2020, date="2020-01-31T10:00", camera="x", flash=True)])
    store.upsert([], [seen(2, year="unknown")])
    types = {"year": "number", "date": "date", "camera": "text", "flash": "boolean"}
    assert store.fields() == types
    store.forget(["file:///1"])
    assert store.fields() == {"year": "text"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400])
def test_a_number_that_is_not_finite_is_refused_and_nothing_written(
    opened: Opener, value: float
) -> None:
    store = opened()
    with pytest.raises(ValueError, match="finite"):
        store.upsert([image(1)], [seen(1, good=1), seen(2, bad=value)])
    assert store.count() == 0
    assert list(store.scan_sightings()) == []
    store.upsert([image(1)])
    assert store.count() == 1


def test_read_only_refuses_to_write_and_reads(opened: Opener) -> None:
    opened().upsert([passage(1, "a dog")], [seen(1)])
    store = opened(read_only=True)
    for write in (
        lambda: store.upsert([image(2)]),
        lambda: store.delete([image(1).id]),
        lambda: store.forget(["file:///1"]),
        store.repair,
    ):
        with pytest.raises(StoreUnreachableError) as caught:
            write()
        assert caught.value.advice
    assert texts_found(store, "dog") == ["a dog"]
    assert list(store.check()) == []


def test_a_reader_that_came_first_makes_nothing_and_sees_the_first_commit(
    opened: Opener, tmp_path: Path
) -> None:
    reader = opened(read_only=True)
    assert reader.count() == 0
    assert list(tmp_path.iterdir()) == []
    opened().upsert([image(1)])
    assert reader.count() == 1


# ---- words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("一只小狗在海滩上奔跑", "小狗"),
        ("一只小狗在海滩上奔跑", "海"),
        ("一只小狗在海滩上奔跑", "a puppy 小狗"),
        ("Two dogs are running", "dog"),
        ("a dog", "dogs"),
        ("Café Ångström", "cafe"),
        ("cafe", "CAFÉ"),
        ("ＦＵＬＬ width", "full"),
        ("the neighbour's cat", "neighbour"),
        ("to be or not", "to be"),
        ('near AND "or" NOT', 'near* AND ("'),
    ],
)
def test_words_find_the_text(opened: Opener, text: str, words: str) -> None:
    store = opened()
    store.upsert([passage(1, text), passage(2, "什么都没有 nothing else")], [seen(1), seen(2)])
    assert texts_found(store, words) == [text]


@pytest.mark.parametrize("words", ["狗小", "海上", "puppy", "", "?!", "the of", "* OR", '"'])
def test_words_find_nothing(opened: Opener, words: str) -> None:
    store = opened()
    store.upsert([passage(1, "一只小狗在海滩上奔跑"), image(2)], [seen(1), seen(2)])
    assert store.search(words, 10).ids == ()


def test_the_better_text_comes_first_and_ties_are_in_the_order_of_ids(opened: Opener) -> None:
    store = opened()
    best = passage("best", "a red dog")
    same = sorted(passage(n, f"one dog number{n} here").id for n in range(20))
    store.upsert(
        [best, *(passage(n, f"one dog number{n} here") for n in range(20))],
        [seen("best"), *(seen(n) for n in range(20))],
    )
    ranking = store.search("red dogs", 100)
    assert ranking.ids == (best.id, *same)
    assert ranking.scores.dtype == np.float32
    assert (ranking.scores > 0).all()
    assert (np.diff(ranking.scores) <= 0).all()
    for k in (0, 1, 2, 7, 21):
        assert store.search("red dogs", k).ids == ranking.ids[:k]


def test_very_many_words_are_no_error(opened: Opener) -> None:
    store = opened()
    store.upsert([passage(1, "a dog")], [seen(1)])
    assert texts_found(store, " ".join(f"word{n}" for n in range(5_000)) + " dog") == ["a dog"]


def test_words_within_a_channel_and_a_filter(opened: Opener) -> None:
    store = opened()
    documents = [passage(1, "a dog"), passage(1, "a dog", "other/text"), passage(2, "a dog")]
    store.upsert([*documents, passage(3, "a dog")], [seen(1, year=2020), seen(2, year=2021)])
    ids = [document.id for document in documents]
    assert set(store.search("dog", 9).ids) == set(ids)
    assert store.search("dog", 9, channel="other/text").ids == (ids[1],)
    assert store.search("dog", 9, where=Compare("year", ">", 2020)).ids == (ids[2],)


# ---- filters


def test_one_sighting_must_satisfy_the_filter_whole(opened: Opener) -> None:
    store = opened()
    store.upsert(
        [image(1), image(2)],
        [
            seen(1, "file:///a", year=2020, camera="x"),
            seen(1, "file:///b", year=2021, camera="y"),
            seen(2, "file:///c", year=2020, camera="y"),
        ],
    )
    where = And((Compare("year", "=", 2020), Compare("camera", "=", "y")))
    assert store.select(where, 9) == [image(2).id]
    assert store.matches([image(1).id, image(2).id, image(9).id], where) == {image(2).id}
    assert set(store.select(Not(where), 9) or ()) == {image(1).id}


def test_select_says_when_there_are_too_many(opened: Opener) -> None:
    store = opened()
    store.upsert([image(n) for n in range(5)] + [passage(1, "x")], [seen(n, n=n) for n in range(5)])
    ids = sorted([*(image(n).id for n in range(5)), passage(1, "x").id])
    assert store.select(None, 6) == ids
    assert store.select(None, 5) == TooMany(5)
    assert store.select(None, 5, channel="toy/text") == [passage(1, "x").id]
    assert store.select(Compare("n", "<", 3), 3) == TooMany(3)
    assert store.select(Compare("n", "<", 0), 0) == []


def test_a_filter_of_very_many_terms(opened: Opener) -> None:
    store = opened()
    store.upsert([image(n) for n in range(3)], [seen(n, n=n) for n in range(3)])
    where = And(tuple(Compare("n", "!=", n) for n in range(1, 1_500)))
    assert store.select(where, 9) == [image(0).id]
    assert store.matches([image(n).id for n in range(3)], where) == {image(0).id}


@pytest.mark.parametrize("scheme", TEST_URLS)
def test_filters_mean_what_the_naive_ones_mean(scheme: str, tmp_path: Path) -> None:
    """Any fields, any filter tree: the same documents by every way that filters."""
    assets = st.lists(st.lists(field_maps(), max_size=2), min_size=1, max_size=5)

    @settings(
        max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(assets, st.lists(filters(), min_size=1, max_size=5))
    def same(assets: list[list[dict[str, FieldValue]]], wheres: list[Filter]) -> None:
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            store = open_document_store(Place(TEST_URLS[scheme], Path(folder), read_only=False))
            documents = {n: passage(n, "a dog") for n in range(len(assets))}
            store.upsert(
                list(documents.values()),
                [
                    Sighting(f"file:///{n}/{m}", asset_of(n), fields)
                    for n, its in enumerate(assets)
                    for m, fields in enumerate(its)
                ],
            )
            every = [document.id for document in documents.values()]
            for where in (None, *wheres):
                wanted = {documents[n].id for n, its in enumerate(assets) if admits(its, where)}
                assert store.select(where, 99) == sorted(wanted)
                assert store.matches(every, where) == wanted
                assert store.search("dog", 99, where=where).ids == tuple(sorted(wanted))
            store.close()

    same()


# ---- erased is gone


def test_what_was_deleted_is_in_no_file(opened: Opener, tmp_path: Path) -> None:
    """Promise 6: text, words, captions, field values and names of fields."""
    secrets = ["quetzalcoatl", "xylophonist", "zugzwangfield", "zugzwangvalue"]
    store = opened()
    kept = [passage(n, f"the common words number{n}") for n in range(200)]
    store.upsert(kept, [seen(n, year=n) for n in range(200)])
    secret = passage("secret", f"a {secrets[0]} at sea")
    sighting = seen("secret", captions=[secrets[1]], **{secrets[2]: secrets[3]})
    store.upsert([secret], [sighting])
    assert all(word in bytes_below(tmp_path) for word in secrets)
    store.delete([secret.id])
    store.forget([sighting.uri])
    assert [word for word in secrets if word in bytes_below(tmp_path)] == []
    store.close()
    assert [word for word in secrets if word in bytes_below(tmp_path)] == []
    assert len(opened(read_only=True).search("common", 300)) == 200


def bytes_below(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(path.read_bytes().decode("latin-1") for path in files)


# ---- other processes

WRITER = """
import sys, time
from pathlib import Path
from retrieval.protocols import Place
from retrieval.registry import open_document_store
from retrieval.schema import Document, Sighting

store = open_document_store(Place(sys.argv[1], Path(sys.argv[2]), read_only=False))
for batch in range(int(sys.argv[3])):
    assets = [f"{batch * 7 + n:064x}" for n in range(7)]
    store.upsert(
        [Document.of(asset, "passage", "toy/text", text=f"dog {asset}") for asset in assets],
        [Sighting("file:///" + asset, asset, {"batch": batch}) for asset in assets],
    )
    print(batch + 1, flush=True)
"""


@pytest.fixture(params=TEST_URLS)
def writer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that commits batches of seven and says so, a line for each."""
    command = [sys.executable, "-c", WRITER, TEST_URLS[request.param], str(tmp_path), "400"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_two_readers_see_whole_commits_while_a_writer_goes_on(
    opened: Opener, writer: subprocess.Popen[str]
) -> None:
    assert writer.stdout
    readers, counts = [opened(read_only=True), opened(read_only=True)], set()
    for line in writer.stdout:
        for reader in readers:
            count = reader.count()
            assert count >= 7 * int(line)
            assert count % 7 == len(reader.search("dog", 10_000)) % 7 == 0
            counts.add(count)
        if int(line) == 100:
            break
    assert len(counts) > 10


@pytest.mark.parametrize("after", [1, 2, 30, 77])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(
    opened: Opener, writer: subprocess.Popen[str], after: int
) -> None:
    assert writer.stdout
    acknowledged = 0
    while acknowledged < after:
        acknowledged = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    acknowledged += len(writer.stdout.read().split())
    writer.wait()
    for read_only in (True, False):
        store = opened(read_only=read_only)
        count = store.count()
        assert count >= 7 * acknowledged
        assert count == len(list(store.scan_sightings())) == len(store.search("dog", 10_000))
        assert count % 7 == 0
        assert list(store.check()) == []
        store.close()


READER = """
import sys
from pathlib import Path
from retrieval.protocols import Place
from retrieval.registry import open_document_store

store = open_document_store(Place(sys.argv[1], Path(sys.argv[2])))
print(store.count(), len(store.search("dog", 5)), len(list(store.check())))
"""


@pytest.mark.parametrize("scheme", TEST_URLS)
def test_a_folder_that_cannot_be_written_can_be_read(scheme: str) -> None:
    # Not below tmp_path, which only its owner may enter: a superuser, whom no mode stops, has to
    # run the reader as somebody else.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_document_store(Place(TEST_URLS[scheme], folder, read_only=False))
        store.upsert([passage(1, "a dog")], [seen(1)])
        store.close()
        before = sorted(path.name for path in folder.iterdir())
        folder.chmod(0o555)
        somebody = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
        reader = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(READER), TEST_URLS[scheme], name],
            capture_output=True,
            text=True,
            check=False,
            **somebody,
        )
        folder.chmod(0o755)
        assert (reader.stdout, reader.stderr) == ("1 1 0\n", "")
        assert sorted(path.name for path in folder.iterdir()) == before


def test_a_ranking_is_the_same_in_another_process(opened: Opener) -> None:
    store = opened()
    store.upsert([passage(n, f"dog {'x ' * (n % 5)}") for n in range(50)], map_seen(50))
    rankings: list[Ranking] = [store.search("dog x", 50)]
    store.close()
    rankings.append(opened(read_only=True).search("dog x", 50))
    assert rankings[0].ids == rankings[1].ids
    np.testing.assert_array_equal(rankings[0].scores, rankings[1].scores)


def map_seen(n: int) -> list[Sighting]:
    return [seen(i) for i in range(n)]

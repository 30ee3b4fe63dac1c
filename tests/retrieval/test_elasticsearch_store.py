"""What is Elasticsearch's own about `elasticsearch:`: its index, its limits, its faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given

pytest.importorskip("elasticsearch")

from elasticsearch import Elasticsearch

from retrieval.abilities import Service
from retrieval.document_stores.elasticsearch import ElasticsearchStore, checking, connection, index
from retrieval.document_stores.elasticsearch.tokens import token
from retrieval.errors import (
    CorruptError,
    FilterError,
    LockedError,
    NewerFormatError,
    OlderFormatError,
    StoreUnreachableError,
)
from retrieval.protocols import Place
from retrieval.schema import Compare, Document, Like, Or, Sighting, Span
from tests.contracts.naive_filters import NUMBERS, TEXTS
from tests.services.elasticsearch import ElasticsearchServer
from tests.services.proxy import Proxy

real = [pytest.mark.services, pytest.mark.xdist_group("elasticsearch")]
ASSET = "ab" * 32
DOG = Document.of(ASSET, "passage", "toy/text", text="a dog on the beach")
SEEN = Sighting("file:///a", ASSET, {"year": 2020})
SECRET = "hush-hush"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., ElasticsearchStore]]:
    """Opens the store of a URL, for writing if nothing is said; closes what is open."""
    stores: list[ElasticsearchStore] = []

    def open_it(url: str, **how: bool) -> ElasticsearchStore:
        stores.append(ElasticsearchStore(Place(url, tmp_path, **{"read_only": False, **how})))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def url(elasticsearch_session: ElasticsearchServer) -> Iterator[str]:
    """The URL of a store of the test's own."""
    its = elasticsearch_session.url()
    yield its
    with elasticsearch_session.client() as client:
        client.indices.delete(index=name_of(its), ignore_unavailable=True)


@pytest.fixture
def client(elasticsearch_session: ElasticsearchServer) -> Iterator[Elasticsearch]:
    """The server seen past the store."""
    with elasticsearch_session.client() as its:
        yield its


def name_of(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def batch(number: int) -> tuple[list[Document], list[Sighting]]:
    assets = [f"{number * 7 + n:064x}" for n in range(7)]
    return (
        [Document.of(asset, "passage", "toy/text", text=f"dog {asset}") for asset in assets],
        [Sighting(f"file:///{asset}", asset, {"batch": number}) for asset in assets],
    )


def make_older(store: ElasticsearchStore, url: str, client: Elasticsearch) -> None:
    """Fill a store with seven documents in format 1, with terms that no longer are."""
    documents, sightings = batch(1)
    store.upsert(documents, sightings)
    store.close()
    for document in documents:
        change = {"words": "cat"}
        client.update(index=name_of(url), id=f"d:{document.id}", doc=change, refresh=True)
    client.indices.put_mapping(index=name_of(url), meta={"echolens": {"format": 1}})


class TestIndex:
    pytestmark = real

    def test_options_of_the_url_make_the_index(
        self, url: str, client: Elasticsearch, opened: Callable[..., ElasticsearchStore]
    ) -> None:
        store = opened(f"{url}?shards=3&replicas=0")
        for number in range(5):
            store.upsert(*batch(number))
        settings = client.indices.get_settings(index=name_of(url))[name_of(url)]["settings"]
        assert settings["index"]["number_of_shards"] == "3"
        assert settings["index"]["number_of_replicas"] == "0"
        assert store.count() == len(store.search("dog", 99)) == 35
        assert len({float(score) for score in store.search("dog", 99).scores}) == 1

    def test_one_node_is_well_with_no_option(
        self, url: str, client: Elasticsearch, opened: Callable[..., ElasticsearchStore]
    ) -> None:
        opened(url)
        assert client.cluster.health(index=name_of(url))["status"] == "green"

    def test_a_newer_format_is_refused(
        self, url: str, client: Elasticsearch, opened: Callable[..., ElasticsearchStore]
    ) -> None:
        opened(url)
        client.indices.put_mapping(index=name_of(url), meta={"echolens": {"format": 99}})
        for read_only in (True, False):
            with pytest.raises(NewerFormatError, match="99") as caught:
                opened(url, read_only=read_only)
            assert caught.value.advice

    def test_an_index_that_is_half_brought_up_to_date_is_gone_on_with(
        self,
        url: str,
        client: Elasticsearch,
        opened: Callable[..., ElasticsearchStore],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        make_older(opened(url), url, client)
        monkeypatch.setattr(checking, "_PAGE", 2)
        bulk, sent, dies_after = connection.Connection.bulk, list[int](), 2

        def dying(self: connection.Connection, actions: Any, **how: str) -> list[int]:
            if len(sent) == dies_after:
                raise KeyboardInterrupt
            sent.append(len(actions))
            return bulk(self, actions, **how)

        with monkeypatch.context() as killed:
            killed.setattr(connection.Connection, "bulk", dying)
            with pytest.raises(KeyboardInterrupt):
                opened(url).upsert([])
        assert sent == [2, 2]
        with pytest.raises(OlderFormatError):
            opened(url, read_only=True)
        sent.clear()
        with monkeypatch.context() as living:
            living.setattr(connection.Connection, "bulk", dying)
            dies_after = 9
            opened(url, existing=True).upsert([])
        assert sent == [2, 1]
        store = opened(url, read_only=True)
        assert len(store.search("dog", 9)) == store.count() == 7
        assert list(store.check()) == []

    def test_a_writer_that_was_overtaken_brings_nothing_up_to_date(
        self, url: str, client: Elasticsearch, opened: Callable[..., ElasticsearchStore]
    ) -> None:
        make_older(opened(url), url, client)
        one, other = opened(url), opened(url)
        one.fence("one")
        other.fence("other")
        with pytest.raises(LockedError):
            one.upsert([])
        with pytest.raises(OlderFormatError):
            opened(url, read_only=True)
        other.upsert([])
        assert len(opened(url, read_only=True).search("dog", 9)) == 7

    def test_an_index_of_a_version_that_knew_no_films_takes_them(
        self,
        url: str,
        client: Elasticsearch,
        opened: Callable[..., ElasticsearchStore],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with monkeypatch.context() as earlier:
            properties = {name: how for name, how in index.PROPERTIES.items() if name != "time"}
            earlier.setattr(index, "PROPERTIES", properties)
            make_older(opened(url), url, client)
        shot = Document.of(ASSET, "shot", "toy/video", Span(3.0, 4.0))
        store = opened(url, existing=True)
        store.upsert([shot], [SEEN])
        assert store.select(None, 9, during=Span(0, 99)) == [shot.id]
        assert list(store.check()) == []

    def test_an_index_of_somebody_else_is_refused_and_left_alone(
        self, url: str, client: Elasticsearch, opened: Callable[..., ElasticsearchStore]
    ) -> None:
        client.index(index=name_of(url), id="1", document={"theirs": 1}, refresh=True)
        for how in ({}, {"read_only": True}, {"anew": True}):
            with pytest.raises(CorruptError, match="didn't make it") as caught:
                opened(url, **how)
            assert caught.value.advice
        assert client.count(index=name_of(url))["count"] == 1

    def test_an_index_that_is_dropped_meanwhile_is_missing_and_not_made_by_a_write(
        self, url: str, client: Elasticsearch, opened: Callable[..., ElasticsearchStore]
    ) -> None:
        store = opened(url)
        store.upsert([DOG], [SEEN])
        client.indices.delete(index=name_of(url))
        for act in (lambda: store.search("dog", 3), lambda: store.upsert([DOG]), store.count):
            with pytest.raises(CorruptError, match="missing") as caught:
                act()
            assert "backup" in caught.value.advice
        with pytest.raises((CorruptError, LockedError)):
            store.put_record("manifest", b"1", replacing=None)
        assert not client.indices.exists(index=name_of(url))

    def test_it_says_what_it_is(self, url: str, opened: Callable[..., ElasticsearchStore]) -> None:
        store = opened(url)
        store.upsert([DOG], [SEEN])
        service = store.service()
        counts = {"documents": 1, "sightings": 1}
        assert service == Service("Elasticsearch", service.version, lag=0, counts=counts)
        assert service.version.startswith("9.")

    def test_a_row_that_does_not_fit_is_found_and_repaired(
        self, url: str, client: Elasticsearch, opened: Callable[..., ElasticsearchStore]
    ) -> None:
        store = opened(url)
        store.upsert([DOG], [SEEN])
        key = f"d:{DOG.id}"
        good = client.get(index=name_of(url), id=key)["_source"]
        for change in ({"words": "cat"}, {"sightings": []}, {"seen": False}):
            client.index(index=name_of(url), id=key, document={**good, **change}, refresh=True)
            assert [problem.id for problem in store.check()] == [DOG.id]
            store.repair()
            assert list(store.check()) == []
            assert store.search("dog", 5, where=Compare("year", "=", 2020)).ids == (DOG.id,)


class TestLimits:
    pytestmark = real

    def test_more_hits_than_the_server_gives_at_once(
        self, url: str, opened: Callable[..., ElasticsearchStore]
    ) -> None:
        store = opened(url)
        documents = [
            Document.of(ASSET, "passage", "toy/text", text=f"dog {'x ' * (n % 9)}{n}")
            for n in range(10_500)
        ]
        store.upsert(documents, [SEEN])
        ranking = store.search("dog", 20_000)
        assert sorted(ranking.ids) == sorted(document.id for document in documents)
        assert list(ranking.ids) == [
            id_
            for _, id_ in sorted(
                zip((-ranking.scores).tolist(), ranking.ids, strict=True), key=lambda its: its
            )
        ]
        assert store.search("dog", 10_400).ids == ranking.ids[:10_400]
        assert store.select(None, 20_000) == sorted(ranking.ids)
        assert store.passing(ranking.ids, None).keys() == set(ranking.ids)
        assert len(list(store.scan())) == len(store.get(ranking.ids)) == 10_500

    def test_of_more_words_than_a_query_takes_the_rarest_count(
        self, url: str, opened: Callable[..., ElasticsearchStore]
    ) -> None:
        store = opened(url)
        texts = ["dog running", *(f"word{n}" for n in range(1_500)), "word1 word2", "word1 word3"]
        documents = [Document.of(ASSET, "passage", "toy/text", text=text) for text in texts]
        store.upsert(documents, [SEEN])
        found = store.search(" ".join(f"word{n}" for n in range(1_500)) + " runs dogs", 5_000)
        assert documents[0].id == found.ids[0]
        assert 990 <= len(found) <= 1_010

    @pytest.mark.parametrize("length", [20_000, 40_000])
    def test_values_names_and_words_longer_than_a_term(
        self, url: str, opened: Callable[..., ElasticsearchStore], length: int
    ) -> None:
        long, other = "狗" * length, "狗" * length + "!"
        sightings = [
            Sighting("file:///" + "x" * length, ASSET, {"long": long, "n" * length: 1}),
            Sighting("file:///b", ASSET, {"long": other}),
        ]
        word = Document.of(ASSET, "passage", "toy/text", text="z" * length + " dog")
        store = opened(url)
        store.upsert([word], sightings)
        for where in (Compare("long", "=", long), Compare("long", "=", other)):
            assert store.select(where, 9) == [word.id]
        assert store.select(Compare("long", "=", long + "?"), 9) == []
        assert store.select(Compare("n" * length, ">", 0), 9) == [word.id]
        assert store.search("z" * length, 9).ids == (word.id,)
        assert store.sightings([ASSET])[ASSET] == sorted(sightings, key=lambda one: one.uri)
        assert len(list(store.scan_sightings())) == 2

    @pytest.mark.parametrize(
        "where",
        [
            Compare("year", "<", True),
            Compare("year", "=", "\udcff"),
            Compare("\udcff", "=", 1),
            Like("year", "%" * 50_001),
            Like("year", "%a" + "_" * 60),
            Or(tuple(Compare(f"n{n}", "<", n) for n in range(20_000))),
        ],
        ids=["order of booleans", "value", "name", "long", "complicated", "many"],
    )
    def test_a_filter_that_cannot_be_asked_is_refused(
        self, url: str, opened: Callable[..., ElasticsearchStore], where: Any
    ) -> None:
        with pytest.raises(FilterError):
            opened(url).select(where, 5)

    def test_a_list_of_very_many_values_is_asked(
        self, url: str, opened: Callable[..., ElasticsearchStore]
    ) -> None:
        store = opened(url)
        store.upsert([DOG], [SEEN])
        where = Or(tuple(Compare("year", "=", n) for n in range(20_000)))
        assert store.select(where, 5) == [DOG.id]

    def test_a_batch_larger_than_a_request_is_seen_at_once(
        self,
        url: str,
        opened: Callable[..., ElasticsearchStore],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(connection, "BULK_BYTES", 2_000)
        writer, reader, done = opened(url), opened(url, read_only=True), Event()
        counts = set()

        def look() -> None:
            while not done.is_set():
                counts.add(reader.count())

        watching = Thread(target=look)
        watching.start()
        try:
            for number in range(10):
                writer.upsert(*batch(number))
        finally:
            done.set()
            watching.join()
        assert {count % 7 for count in counts} == {0}


class TestRefusals:
    pytestmark = real

    @pytest.mark.parametrize(
        ("block", "said"), [("write", "block"), ("read_only_allow_delete", "disk space")]
    )
    def test_an_index_that_takes_no_writes_is_told(
        self,
        url: str,
        client: Elasticsearch,
        opened: Callable[..., ElasticsearchStore],
        block: str,
        said: str,
    ) -> None:
        store = opened(url)
        store.upsert([DOG], [SEEN])
        client.indices.put_settings(index=name_of(url), settings={f"blocks.{block}": True})
        for write in (
            lambda: store.upsert(*batch(1)),
            lambda: store.put_record("m", b"", replacing=None),
        ):
            with pytest.raises(StoreUnreachableError, match="takes no writes") as caught:
                write()
            assert said in caught.value.advice
        assert store.search("dog", 5).ids == (DOG.id,)
        client.indices.put_settings(index=name_of(url), settings={f"blocks.{block}": None})
        store.upsert(*batch(1))
        assert store.count() == 8

    def test_a_row_that_the_server_refuses_is_told(
        self, url: str, client: Elasticsearch, opened: Callable[..., ElasticsearchStore]
    ) -> None:
        store = opened(url)
        client.indices.put_mapping(index=name_of(url), properties={"text": {"type": "integer"}})
        with pytest.raises(StoreUnreachableError, match="refused a row") as caught:
            store.upsert([DOG], [SEEN])
        assert "integer" in str(caught.value)
        assert caught.value.advice


class TestFaults:
    pytestmark = real

    def test_killed_in_the_middle_and_restarted_it_has_all_that_was_acknowledged(
        self,
        own_elasticsearch_server: ElasticsearchServer,
        opened: Callable[..., ElasticsearchStore],
    ) -> None:
        server = own_elasticsearch_server
        store = opened(server.url("photos"))
        acknowledged: list[int] = []
        going = Event()
        killer = Thread(target=lambda: (going.wait(60), server.kill()))
        killer.start()

        def write() -> None:
            for number in range(10_000):
                store.upsert(*batch(number))
                acknowledged.append(number)
                if number == 30:
                    going.set()

        with pytest.raises(StoreUnreachableError, match="can't be reached") as caught:
            write()
        killer.join()
        assert str(server.ports["http"]) in str(caught.value)
        with pytest.raises(StoreUnreachableError, match="refused") as caught:
            store.search("dog", 5)
        assert caught.value.advice
        with pytest.raises(StoreUnreachableError):
            opened(server.url("photos"), read_only=True)
        server.start()
        store.upsert(*batch(len(acknowledged)))
        assert store.count() >= 7 * (len(acknowledged) + 1) >= 210
        assert (
            store.count() == len(store.search("dog", 100_000)) == len(list(store.scan_sightings()))
        )
        assert list(store.check()) == []

    def test_a_write_whose_answer_is_lost_is_made_again_and_changes_nothing(
        self,
        elasticsearch_session: ElasticsearchServer,
        url: str,
        opened: Callable[..., ElasticsearchStore],
    ) -> None:
        port = elasticsearch_session.ports["http"]
        with Proxy(port) as proxy:
            store = opened(url.replace(str(port), str(proxy.port)))
            for number in range(12):
                proxy.cut_after(200 * number)
                store.upsert(*batch(number))
                record = store.record("m")
                proxy.cut_after(0)
                put = store.put_record(
                    "m", b"%d" % number, replacing=record.version if record else None
                )
                proxy.restore()
                assert store.record("m") == put
            assert proxy.dropped > 5
            assert store.count() == 84
            assert list(store.check()) == []
            store.close()

    def test_a_server_that_never_answers_is_not_waited_for_for_ever(
        self,
        elasticsearch_session: ElasticsearchServer,
        url: str,
        opened: Callable[..., ElasticsearchStore],
    ) -> None:
        port = elasticsearch_session.ports["http"]
        with Proxy(port) as proxy:
            store = opened(f"{url.replace(str(port), str(proxy.port))}?timeout=0.5")
            proxy.stall()
            with pytest.raises(StoreUnreachableError, match=r"no answer within 0.5 seconds"):
                store.search("dog", 3)
            proxy.restore()
            assert store.count() == 0
            store.close()


# ---- terms


@given(NUMBERS, NUMBERS)
def test_terms_of_numbers_sort_as_the_numbers_do(one: float, other: float) -> None:
    first, second = token("n", one), token("n", other)
    assert (first < second) is (one < other)
    assert (first == second) is (one == other)


@given(TEXTS, TEXTS)
def test_terms_of_texts_sort_by_code_points(one: str, other: str) -> None:
    assert (token("n", one).encode() < token("n", other).encode()) is (one < other)

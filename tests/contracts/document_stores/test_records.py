"""The laws of `DocumentStore`: documents and sightings by id."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval import words
from retrieval.abilities import Served, SharedStore
from retrieval.errors import CorruptError, OlderFormatError, StoreUnreachableError
from retrieval.registry import schemes
from retrieval.schema import Document, Exists, Sighting, Span

from .toys import SCHEMES, Opener, Subject, asset_of, image, passage, seen, texts_found


def test_every_scheme_is_tested() -> None:
    assert {name for name, _ in schemes("document_store")} == set(SCHEMES)


def test_a_store_says_by_its_methods_what_it_is(opened: Opener, scheme: Subject) -> None:
    store = opened()
    assert isinstance(store, SharedStore) is isinstance(store, Served) is scheme.scheme.shared


# ---- documents and sightings by id


def test_an_empty_store_answers_with_nothing(opened: Opener) -> None:
    absent = asset_of("absent")
    for store in (opened(), opened(read_only=True)):
        assert store.count() == 0
        assert store.get([absent[:32], "no id", ""]) == {}
        assert store.of_assets([absent, "no id"]) == store.sightings([absent, "no id"]) == {}
        assert len(store.search("dog", 5)) == 0
        assert store.select(None, 5) == []
        assert store.passing([absent[:32]], None).keys() == set()
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
        assert (store.count(), store.count("toy/audio"), store.count("none")) == (4, 1, 0)
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


def test_a_quick_look_leaves_out_spans_and_texts(opened: Opener) -> None:
    part = Document.of(asset_of(1), "passage", "toy/text", Span(3, 12), "a part")
    store = opened()
    store.upsert([part, image(2)], [seen(1), seen(2)])
    assert store.passing([part.id, image(2).id, image(9).id, "no id"], None) == {
        part.id: replace(part, span=None, text=None),
        image(2).id: image(2),
    }


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


def test_a_store_beyond_reading_is_made_anew(
    opened: Opener, scheme: Subject, tmp_path: Path
) -> None:
    """A reader throws nothing away."""
    store = opened()
    store.upsert([passage(1, "a dog")])
    store.close()
    scheme.damage(tmp_path)
    with pytest.raises(CorruptError):
        opened(anew=True, read_only=True)
    store = opened(existing=True, anew=True)
    assert store.count() == 0
    store.upsert([passage(1, "a cat")], [seen(1)])
    assert texts_found(store, "cat") == ["a cat"]
    assert list(store.check()) == []


def test_the_next_writer_brings_a_store_of_an_earlier_format_up_to_date(
    opened: Opener, scheme: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [passage(1, "一隻小狗"), passage(2, "a dog"), image(1)]
    with monkeypatch.context() as earlier:
        earlier.setattr(words, "one_script", str)
        store = opened()
        store.upsert(documents, [seen(1, year=2020), seen(2)])
        store.close()
    scheme.age(tmp_path)
    for _ in range(2):
        with pytest.raises(OlderFormatError, match="has format 1") as caught:
            opened(read_only=True, existing=True)
        assert "echolens index" in caught.value.advice
    writer = opened(existing=True)
    writer.upsert([])
    for store in (writer, opened(read_only=True, existing=True)):
        assert texts_found(store, "一只小狗") == texts_found(store, "一隻") == ["一隻小狗"]
        assert list(store.scan()) == sorted(documents, key=lambda document: document.id)
        assert store.fields() == {"year": "number"}
        assert list(store.check()) == []
    scheme.age(tmp_path)
    assert opened(existing=True, anew=True).count() == 0


@pytest.mark.parametrize("options", [{"read_only": True}, {"existing": True}])
def test_a_store_that_is_not_there_is_never_taken_for_an_empty_one(
    opened: Opener, scheme: Subject, tmp_path: Path, options: dict[str, bool]
) -> None:
    for _ in range(2):
        with pytest.raises(CorruptError, match="missing") as caught:
            opened(**options)
        where = tmp_path if scheme.scheme.in_folder else scheme.server.ports["http"]
        assert str(where) in str(caught.value)
        assert "backup" in caught.value.advice
        assert list(tmp_path.iterdir()) == []
    opened().close()
    assert opened(**options).count() == 0

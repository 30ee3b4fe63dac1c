"""The query line on real stores, against a naive ranking of everything."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retrieval import probes, registry
from retrieval.errors import (
    EncoderMismatchError,
    FilterError,
    QueryError,
    StoreUnreachableError,
    WeightsMissingError,
)
from retrieval.manifest import Manifest
from retrieval.protocols import Encoder, Place
from retrieval.query import engine
from retrieval.query.backends import Backends
from retrieval.query.engine import search
from retrieval.query.fusion import Weights
from retrieval.query.parse import DocumentRef, Part, Query, parse_query
from retrieval.query.where import holds
from retrieval.schema import (
    MAX_FILTER_DEPTH,
    Background,
    Channel,
    Compare,
    Document,
    FieldValue,
    Filter,
    FloatArray,
    Modality,
    Not,
    Or,
    Sighting,
)
from retrieval.thumbnails import Thumbnails
from tests.encoders import DIM, HashEncoder

SPACE = "test-hash-32"
COLOURS = {"red": (220, 30, 30), "green": (30, 170, 50), "blue": (40, 60, 220)}


@dataclass(frozen=True)
class Item:
    """One asset of a collection: perhaps a picture, its captions, where it was seen."""

    colour: str | None = None
    captions: tuple[str, ...] = ()
    seen: tuple[dict[str, FieldValue], ...] = ({},)


@dataclass
class Open:
    """A collection with real stores, made by hand."""

    backends: Backends
    items: Sequence[Item]
    documents: list[Document] = field(default_factory=list)
    vectors: dict[str, FloatArray] = field(default_factory=dict)  # of documents, by id

    def asset(self, number: int) -> str:
        return hashlib.sha256(str(number).encode()).hexdigest()

    def of(self, number: int, kind: str = "image") -> Document:
        return next(d for d in self.documents if d.asset == self.asset(number) and d.kind == kind)


def picture(colour: str, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    noise = np.random.default_rng(seed).integers(-25, 26, (8, 8, 3))
    return np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)


def png(colour: str, seed: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture(colour, seed)).save(file, "PNG")
    return file.getvalue()


@contextmanager
def collection(
    items: Sequence[Item],
    *,
    encoder: Encoder | None = None,
    orphans: int = 0,
    backgrounds: Sequence[Modality] = ("text", "image"),
) -> Iterator[Open]:
    """A collection of `items`; `orphans` are vectors without documents."""
    made = HashEncoder()
    channels = tuple(
        Channel(SPACE, modality, DIM, "hash:", made.fingerprint) for modality in ("image", "text")
    )
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        place = Place("", directory, read_only=False)
        documents = registry.open_document_store(replace(place, url="sqlite:"))
        vectors = {
            c.key: registry.open_vector_store(replace(place, url="exact:"), c) for c in channels
        }
        assets = registry.open_asset_store(replace(place, url="inplace:"), lambda _asset: [])
        background = {
            channel.key: {m: Background(0.05, 0.2) for m in backgrounds} for channel in channels
        }
        manifest = Manifest(channels, "exact:", "sqlite:", "inplace:", {}, background)
        asked = encoder or made
        stored = probes.make_probes(made)
        backends = Backends(
            directory,
            manifest,
            documents,
            vectors,
            assets,
            lambda _c: asked,
            lambda: stored,
            Thumbnails(directory, read_only=True),
        )
        opened = Open(backends, items)
        _fill(opened, made, channels, orphans)
        opened.backends = replace(backends, manifest=replace(manifest, fields=documents.fields()))
        yield opened
        backends.close()


def _fill(opened: Open, encoder: Encoder, channels: Sequence[Channel], orphans: int) -> None:
    image, text = channels
    inputs: dict[str, Any] = {}
    sightings = []
    for number, item in enumerate(opened.items):
        asset = opened.asset(number)
        if item.colour is not None:
            document = Document.of(asset, "image", image.key)
            opened.documents.append(document)
            inputs[document.id] = picture(item.colour, number)
        for caption in dict.fromkeys(item.captions):
            document = Document.of(asset, "passage", text.key, text=caption)
            opened.documents.append(document)
            inputs[document.id] = caption
        kind = "text" if item.colour is None else "image"
        sightings += [
            Sighting(
                f"file:///{number}-{place}", asset, {"modality": kind, **fields}, item.captions
            )
            for place, fields in enumerate(item.seen)
        ]
    for channel in channels:
        ids = [d.id for d in opened.documents if d.channel == channel.key]
        if ids:
            rows = encoder.encode(channel.modality, [inputs[i] for i in ids], role="document")
            opened.vectors.update(zip(ids, rows, strict=True))
            opened.backends.vectors[channel.key].upsert(ids, rows)
    for number in range(orphans):
        row = encoder.encode("text", [f"red blue green {number}"], role="document")
        id_ = hashlib.blake2b(f"orphan {number}".encode(), digest_size=16).hexdigest()
        for channel in channels:
            opened.backends.vectors[channel.key].upsert([id_], row)
    opened.backends.documents.upsert(opened.documents, sightings)


# ------------------------------------------------------------- the naive model

GroupBy = Literal["asset", "document"] | None


def naive(
    opened: Open,
    query: Query,
    *,
    where: Filter | None,
    modality: Modality | None,
    group_by: GroupBy,
) -> dict[str, float]:
    """The fused score of everything that is an answer, by the definition: a sum over all parts."""
    by_document = (group_by or ("document" if modality == "text" else "asset")) == "document"
    groups: dict[str, list[Document]] = {}
    for document in opened.documents:
        if document.id in query.hidden:
            continue
        item = opened.items[
            [opened.asset(n) for n in range(len(opened.items))].index(document.asset)
        ]
        kind: Modality = "text" if item.colour is None else "image"
        own: Modality = "image" if document.kind == "image" else "text"
        right = modality in (None, own if by_document else kind)
        if right and any(holds(where, {"modality": kind, **fields}) for fields in item.seen):
            groups.setdefault(document.id if by_document else document.asset, []).append(document)

    scale = sum(abs(part.weight) for part in query.parts)
    total = dict.fromkeys(groups, 0.0)
    encoder = HashEncoder()
    for channel in opened.backends.manifest.channels:
        for asked in ("text", "image"):
            parts = [part for part in query.parts if part.modality == asked]
            for key, documents in groups.items():
                here = [opened.vectors[d.id] for d in documents if d.channel == channel.key]
                if not parts or not here:
                    continue
                inputs = [
                    p.content
                    if isinstance(p.content, str)
                    else np.asarray(Image.open(io.BytesIO(p.content)))
                    for p in parts
                ]
                rows = encoder.encode(asked, inputs, role="query").astype(np.float64)
                weights = np.array([part.weight for part in parts])
                total[key] += max(
                    float(weights @ ((rows @ vector - 0.05) / 0.2)) / scale for vector in here
                )
    return _add_words(opened, query, groups, total, where)


def _add_words(
    opened: Open,
    query: Query,
    groups: dict[str, list[Document]],
    total: dict[str, float],
    where: Filter | None,
) -> dict[str, float]:
    wanted = [part for part in query.parts if part.modality == "text" and part.weight > 0]
    if wanted:
        words = " ".join(str(part.content) for part in wanted)
        group_of = {d.id: key for key, documents in groups.items() for d in documents}
        ranking = opened.backends.documents.search(words, 10_000, where=where)
        found = list(dict.fromkeys(group_of[id_] for id_ in ranking.ids if id_ in group_of))
        weight = sum(part.weight for part in wanted) / sum(abs(p.weight) for p in query.parts)
        for rank, key in enumerate(found, start=1):
            total[key] += weight * 61 / (60 + rank)
    return total


CAPTIONS = st.lists(
    st.sampled_from(["a red dog", "blue sea", "green hills and a dog", "red", "a cat", "蓝色的海"]),
    max_size=2,
    unique=True,
).map(tuple)
SEEN = st.lists(
    st.fixed_dictionaries({}, optional={"year": st.integers(2000, 2003).map(float)}), max_size=2
).map(tuple)
ITEMS = st.lists(
    st.builds(Item, st.sampled_from([None, "red", "green", "blue"]), CAPTIONS, SEEN), max_size=14
)
WHERES = st.sampled_from(
    [
        None,
        Compare("year", ">=", 2002.0),
        Not(Compare("year", "=", 2001.0)),
        Compare("year", "<", 0.0),
    ]
)
QUERIES = st.sampled_from(
    [
        parse_query("red"),
        parse_query("2:a dog + 0.5:sea - green"),
        parse_query("蓝"),
        parse_query("no such words"),
        parse_query(add=[png("blue", 99)]),
        parse_query("dog", add=[Part(png("red", 98), "image", 2.0)]),
        parse_query(subtract=["red dog"], add=[png("red", 97)]),
        parse_query("sea", subtract=[png("blue", 96)]),
    ]
)


@settings(max_examples=60)
@given(
    items=ITEMS,
    query=QUERIES,
    where=WHERES,
    modality=st.sampled_from([None, "image", "text"]),
    group_by=st.sampled_from([None, None, "asset", "document"]),
    k=st.integers(1, 12),
    orphans=st.integers(0, 3),
    hides=st.integers(0, 3),
)
def test_promise_4_k_means_k_and_the_answer_is_that_of_ranking_everything(
    items: list[Item],
    query: Query,
    where: Filter | None,
    modality: Modality | None,
    group_by: GroupBy,
    k: int,
    orphans: int,
    hides: int,
) -> None:
    with collection(items, orphans=orphans) as opened, pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "first_depth", lambda _k: 1)  # so that going deeper is tried
        patch.setattr(engine, "GROWTH", 2)
        patch.setattr(engine, "FIRST_SCORED", 1)
        hidden = frozenset(document.id for document in opened.documents[:: hides + 1])
        query = replace(query, hidden=hidden if hides else frozenset())
        results = search(
            opened.backends, query, k=k, where=where, modality=modality, group_by=group_by
        )
        truth = naive(opened, query, where=where, modality=modality, group_by=group_by)
    by_document = (group_by or ("document" if modality == "text" else "asset")) == "document"
    keys = [hit.document if by_document else hit.asset for hit in results]
    assert len(keys) == len(set(keys)) == min(k, len(truth))
    assert [hit.score for hit in results] == pytest.approx([truth[key] for key in keys], abs=1e-4)
    best = sorted(truth.values(), reverse=True)[:k]
    assert [hit.score for hit in results] == pytest.approx(best, abs=1e-4)
    assert [hit.rank for hit in results] == list(range(1, len(results) + 1))
    assert not results.degraded


SOME = [
    Item(
        colour,
        (f"a {colour} thing number {number}",) if number % 3 else (),
        ({"year": number % 5 + 2000.0},),
    )
    for number, colour in enumerate(["red", "green", "blue"] * 12)
]


@pytest.fixture(scope="module")
def some() -> Iterator[Open]:
    with collection(SOME, orphans=2) as opened:
        yield opened


def answers(results: Sequence[Any]) -> list[tuple[str, float]]:
    return [(hit.asset, hit.score) for hit in results]


@pytest.mark.parametrize("query", ["red", "thing - red", "2:blue + number"])
def test_promise_5_same_question_same_answer(some: Open, query: str) -> None:
    asked = parse_query(query)
    first = search(some.backends, asked, k=36)
    assert answers(search(some.backends, asked, k=36)) == answers(first)
    for k in (1, 5, 10, 20):
        assert answers(search(some.backends, asked, k=k)) == answers(first)[:k]


@pytest.mark.parametrize("first", [1, 2, 8])
@pytest.mark.parametrize(
    "words", ["red thing", "green number", "a blue thing number 14", "5:thing 7"]
)
@pytest.mark.parametrize("colour", COLOURS)
def test_promise_5_depth_does_not_change_the_answer(
    some: Open, monkeypatch: pytest.MonkeyPatch, words: str, colour: str, first: int
) -> None:
    asked = parse_query(words, add=[png(colour)])
    whole = answers(search(some.backends, asked, k=36))
    monkeypatch.setattr(engine, "first_depth", lambda _k: first)
    monkeypatch.setattr(engine, "FIRST_SCORED", 1)
    for k in (1, 2, 3, 9, 30):
        assert answers(search(some.backends, asked, k=k)) == whole[:k]


def test_promise_5_without_backgrounds_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with collection(SOME, backgrounds=()) as opened:
        asked = parse_query("red thing", add=[png("green")])
        whole = answers(search(opened.backends, asked, k=36))
        monkeypatch.setattr(engine, "first_depth", lambda k: k)
        for k in (1, 3, 9, 30):
            assert answers(search(opened.backends, asked, k=k)) == whole[:k]


# -------------------------------------------------- promise 3: never silently wrong


@pytest.mark.parametrize("wrong", ["constant", "nan", "unnormalised", "shifted", "weights=2"])
@pytest.mark.parametrize("part", ["red", png("red")], ids=["words", "picture"])
def test_promise_3_an_encoder_gone_wrong_is_refused_by_the_first_query(
    wrong: str, part: str | bytes
) -> None:
    with (
        collection(SOME[:4], encoder=HashEncoder(wrong)) as opened,
        pytest.raises(EncoderMismatchError) as caught,
    ):
        search(opened.backends, parse_query(add=[part]))
    assert caught.value.advice


class Recording(HashEncoder):
    """The tests' encoder, which remembers what it was asked to encode."""

    def __init__(self, location: str = "") -> None:
        super().__init__(location)
        self.batches: list[tuple[Modality, int]] = []

    def encode(self, modality: Modality, inputs: Sequence[Any], *, role: Any) -> FloatArray:
        self.batches.append((modality, len(inputs)))
        return super().encode(modality, inputs, role=role)


def test_promise_3_the_probe_goes_along_in_the_first_batch_only() -> None:
    encoder = Recording()
    with collection(SOME[:4], encoder=encoder) as opened:
        search(opened.backends, parse_query("red + blue"))
        assert encoder.batches == [("text", 3)]  # no picture is encoded when words are asked
        search(opened.backends, parse_query("red + blue"))
        assert encoder.batches == [("text", 3), ("text", 2)]
        search(opened.backends, parse_query(add=[png("red")]))
        assert encoder.batches[2:] == [("image", 2)]


def test_promise_3_an_encoder_that_goes_wrong_later_is_refused_too() -> None:
    class Failing(Recording):
        def encode(self, modality: Modality, inputs: Sequence[Any], *, role: Any) -> FloatArray:
            rows = super().encode(modality, inputs, role=role)
            return rows if len(self.batches) == 1 else rows * np.float32("nan")

    with collection(SOME[:4], encoder=Failing()) as opened:
        search(opened.backends, parse_query("red"))
        with pytest.raises(EncoderMismatchError, match="finite"):
            search(opened.backends, parse_query("red"))


# ------------------------------------------------------------- promise 8: labelled


def without_weights(_channel: Channel) -> Encoder:
    raise WeightsMissingError("The weights of `hash:` aren't here.", advice="Fetch them.")


def test_promise_8_without_an_encoder_the_words_answer_and_say_so(some: Open) -> None:
    backends = replace(some.backends, encoder=without_weights)
    results = search(backends, parse_query("green thing"), k=50)
    assert len(results) == 24  # those with a caption
    assert {leg.name for hit in results for leg in hit.legs} == {"words"}
    assert results.degraded
    assert any("weights of `hash:`" in note and "Fetch them" in note for note in results.notes)


def test_promise_8_when_nothing_can_answer_the_first_failure_is_raised(some: Open) -> None:
    backends = replace(some.backends, encoder=without_weights)
    with pytest.raises(WeightsMissingError):
        search(backends, parse_query(add=[png("red")]))


class Down:
    """A vector store whose server doesn't answer."""

    filters = False

    def search(self, *_args: Any, **_options: Any) -> Any:
        raise StoreUnreachableError("The vectors at x can't be reached.", advice="Start it.")


def test_promise_8_a_store_that_is_down_is_labelled(some: Open) -> None:
    vectors: dict[str, Any] = {**some.backends.vectors, f"{SPACE}/image": Down()}
    results = search(replace(some.backends, vectors=vectors), parse_query("thing"), k=50)
    assert results.degraded
    assert [note for note in results.notes if "can't be reached" in note and "/image" in note]
    assert {leg.name for hit in results for leg in hit.legs} == {f"{SPACE}/text by text", "words"}


class FailsLater:
    """A vector store that answers until its n-th call."""

    filters = False

    def __init__(self, store: Any, calls: int) -> None:
        self._store, self._left = store, calls

    def _answer(self, call: Any, *arguments: Any, **options: Any) -> Any:
        if self._left == 0:
            raise StoreUnreachableError("The vectors at x went away.", advice="Start it.")
        self._left -= 1
        return call(*arguments, **options)

    def search(self, *arguments: Any, **options: Any) -> Any:
        return self._answer(self._store.search, *arguments, **options)

    def get(self, *arguments: Any) -> Any:
        return self._answer(self._store.get, *arguments)


def test_promise_8_a_store_that_fails_at_whichever_call_is_labelled(
    some: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is that of a store that was down from the start, or whole; never in between."""
    monkeypatch.setattr(engine, "first_depth", lambda _k: 3)
    query, key = parse_query("thing 7"), f"{SPACE}/image"

    def found(store: Any) -> Any:
        vectors: dict[str, Any] = {**some.backends.vectors, key: store}
        return search(replace(some.backends, vectors=vectors), query, k=4)

    store = some.backends.vectors[key]
    whole, without = found(store), found(Down())
    for calls in range(100):
        results = found(FailsLater(store, calls))
        if not results.degraded:
            break
        assert answers(results) == answers(without)
        assert [note for note in results.notes if "went away" in note and key in note]
        assert len(results.notes) == 1
    assert calls > 3
    assert answers(results) == answers(whole)


def test_promise_8_a_document_whose_store_is_down_is_labelled(some: Open) -> None:
    stores = some.backends.vectors.items()
    vectors: dict[str, Any] = {key: FailsLater(store, 0) for key, store in stores}
    backends, like = replace(some.backends, vectors=vectors), DocumentRef(some.of(4).id)
    results = search(backends, parse_query("red thing", add=[like]))
    assert len(results) == 10
    assert results.degraded
    assert any(f"document {like.id} is left out" in note for note in results.notes)
    with pytest.raises(StoreUnreachableError):
        search(backends, parse_query(add=[like]))


def test_promise_8_every_store_down_is_an_error(some: Open) -> None:
    vectors: dict[str, Any] = dict.fromkeys(some.backends.vectors, Down())
    with pytest.raises(StoreUnreachableError):
        search(replace(some.backends, vectors=vectors), parse_query(add=[png("red")]))


def test_promise_8_subtracting_where_there_is_no_background_is_labelled() -> None:
    with collection(SOME, backgrounds=()) as opened:
        results = search(opened.backends, parse_query(add=[png("red")], subtract=["dog"]))
    assert results.degraded
    assert any("by text is left out" in note for note in results.notes)
    assert any("Fused by rank" in note for note in results.notes)


def test_promise_8_what_the_encoder_does_not_read_of_a_query_is_quoted() -> None:
    class Short(HashEncoder):
        def unread(self, text: str) -> str:
            return text[12:]

    with collection(SOME[:4], encoder=Short()) as opened:
        results = search(opened.backends, parse_query("a green boat in a red harbour"))
        assert results.unread == (" in a red harbour",)
        assert [note for note in results.notes if "unread" not in note] == [
            'The encoder of test-hash-32 reads this query as far as "a green boat"; '
            'the rest, "in a red harbour", is looked for as words alone.'
        ]
        assert not results.degraded
        assert search(opened.backends, parse_query("a green boat")).unread == ()


def test_nothing_is_noted_when_nothing_is_missing(some: Open) -> None:
    results = search(some.backends, parse_query("red", add=[png("red")]))
    assert results.notes == ()
    assert not results.degraded


# -------------------------------------------------------------------- what is asked


def test_an_empty_collection_gives_no_hits_and_no_error() -> None:
    with collection([]) as opened:
        results = search(opened.backends, parse_query("red", add=[png("red")]))
        assert len(results) == 0
        assert list(results) == []
        assert not results.degraded
        nothing = replace(opened.backends.manifest, channels=())
        assert not search(replace(opened.backends, manifest=nothing), parse_query("red"))


def test_words_a_picture_or_both_find_their_colour(some: Open) -> None:
    for query in (
        parse_query("red"),
        parse_query(add=[png("red", 5)]),
        parse_query("red", add=[png("red")]),
    ):
        hits = search(some.backends, query, k=12)
        assert {int(hit.paths[0][1:].split("-")[0]) % 3 for hit in hits} == {0}, query


def test_a_caption_finds_its_picture_and_the_picture_its_caption(some: Open) -> None:
    (hit,) = search(some.backends, parse_query("number 7"), k=1, modality="image")
    assert (hit.asset, hit.modality, hit.document) == (some.asset(7), "image", some.of(7).id)
    assert hit.text == "a green thing number 7"
    captions = search(some.backends, parse_query(add=[png("green")]), k=3, modality="text")
    assert all("green" in str(hit.text) and hit.modality == "text" for hit in captions)


def test_like_a_document_leaves_the_document_itself_out(some: Open) -> None:
    like = parse_query(add=[DocumentRef(some.of(4).id)])
    hits = search(some.backends, like, k=50)
    assert len(hits) == len(SOME) - 1
    assert some.asset(4) not in {hit.asset for hit in hits}
    assert int(hits[0].paths[0][1:].split("-")[0]) % 3 == 1
    captions = search(some.backends, like, k=50, modality="text")
    assert some.of(4, "passage").id in {hit.document for hit in captions}


def test_doubling_every_weight_changes_nothing(some: Open) -> None:
    one = search(some.backends, parse_query("red + 2:number"), k=36)
    two = search(some.backends, parse_query("2:red + 4:number"), k=36)
    assert [hit.asset for hit in one] == [hit.asset for hit in two]
    assert [hit.score for hit in one] == pytest.approx([hit.score for hit in two])


def test_a_leg_can_be_weighed_or_silenced(some: Open) -> None:
    channels = {f"{SPACE}/text": 0.0}
    query = Query((Part("red"),), Weights(words=0.0, channels=channels))
    hits = search(some.backends, query, k=3)
    assert {leg.name for hit in hits for leg in hit.legs} == {f"{SPACE}/image by text"}


class Unused(HashEncoder):
    """An encoder that must not be asked."""

    def encode(self, *_: Any, **__: Any) -> FloatArray:
        raise AssertionError("what was encoded before is encoded again")


@pytest.mark.parametrize("modality", [None, "text"])
def test_a_part_that_was_encoded_before_is_not_encoded_again(modality: Modality | None) -> None:
    encoder, picture_of = HashEncoder(), np.asarray(Image.open(io.BytesIO(png("red", 7))))
    vectors = {
        "text": encoder.encode("text", ["a red thing"], role="query")[0],
        "image": encoder.encode("image", [picture_of], role="query")[0],
    }
    parts = (Part("a red thing"), Part(png("red", 7), "image", 2.0))
    known = tuple(replace(p, vectors={SPACE: vectors[p.modality or "text"]}) for p in parts)
    with collection(SOME) as opened, collection(SOME, encoder=Unused()) as unused:
        asked = search(opened.backends, Query(parts), k=36, modality=modality)
        given = search(unused.backends, Query(known), k=36, modality=modality)

    assert answers(given) == answers(asked)


def test_a_part_may_come_with_a_vector_beside_others_that_are_encoded(some: Open) -> None:
    vector = HashEncoder().encode("text", ["red"], role="query")[0]
    both = search(some.backends, Query((Part("red"), Part("number"))), k=36)
    one = search(some.backends, Query((Part("red", vectors={SPACE: vector}), Part("number"))), k=36)
    assert [a for a, _ in answers(one)] == [a for a, _ in answers(both)]


@pytest.mark.parametrize("vector", [np.ones(DIM), np.zeros(3), np.full(DIM, np.nan)])
def test_a_vector_that_fits_no_space_is_refused(some: Open, vector: FloatArray) -> None:
    with pytest.raises(QueryError, match="came with vectors"):
        search(some.backends, Query((Part("red", vectors={SPACE: vector}),)))


def test_the_score_is_what_the_legs_contributed(some: Open) -> None:
    for hit in search(some.backends, parse_query("red thing - blue", add=[png("red")]), k=36):
        assert hit.score == pytest.approx(sum(leg.contribution for leg in hit.legs))
        ordered = [leg.contribution for leg in hit.legs]
        assert ordered == sorted(ordered, reverse=True)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (parse_query(add=[b"no picture"]), "image isn't one"),
        (parse_query(add=[png("red")[:40]]), "image isn't one"),
        (parse_query(add=[DocumentRef("0" * 32)]), "no document `0000"),
        (parse_query("red - red"), "cancel each other out"),
        (Query((Part("red"), Part(b"sound", "audio"))), "can be searched with audio"),
    ],
)
def test_what_cannot_be_asked_is_a_query_error(some: Open, query: Query, message: str) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        search(some.backends, query)
    assert caught.value.advice


@pytest.mark.parametrize(
    ("options", "kind"),
    [({}, "image"), ({"modality": "image"}, "image"), ({"modality": "text"}, "text")],
)
def test_texts_without_a_channel_are_found_by_their_words(
    options: dict[str, Any], kind: str
) -> None:
    with collection([Item("red"), Item("blue")]) as opened:
        caption = Document.of(opened.asset(1), "passage", "", text="a quixotic zeppelin")
        opened.backends.documents.upsert([caption])
        only = tuple(c for c in opened.backends.manifest.channels if c.modality == "image")
        manifest = replace(opened.backends.manifest, channels=only)
        backends = replace(opened.backends, manifest=manifest)
        query = parse_query("zeppelin")
        hit = search(backends, query, **options)[0]
        assert (hit.asset, hit.modality) == (opened.asset(1), kind)
        assert hit.legs[0].name == "words"
        silent = search(backends, query, modality="image", group_by="document")
        assert {leg.name for hit in silent for leg in hit.legs} == {f"{SPACE}/image by text"}
        with pytest.raises(QueryError, match="no vector") as caught:
            search(backends, parse_query(add=[DocumentRef(caption.id)]))
        assert "words" in caught.value.advice


@pytest.mark.parametrize("k", [0, -1])
def test_k_is_at_least_1(some: Open, k: int) -> None:
    with pytest.raises(QueryError, match="hits"):
        search(some.backends, parse_query("red"), k=k)


def test_a_where_is_parsed_with_the_fields_of_the_collection(some: Open) -> None:
    hits = search(some.backends, parse_query("red"), k=50, where="year BETWEEN 2001 AND 2002")
    assert len(hits) == sum(item.seen[0]["year"] in (2001, 2002) for item in SOME)
    with pytest.raises(FilterError, match="yaer"):
        search(some.backends, parse_query("red"), where="yaer = 2001")


@pytest.mark.parametrize("levels", [MAX_FILTER_DEPTH + 2, 60, 5_000])
def test_a_filter_that_is_nested_too_deeply_is_refused(some: Open, levels: int) -> None:
    where: Filter = Compare("year", ">", 0.0)
    for _ in range(levels // 2):
        where = Or((Compare("year", "=", 1.0), Not(where)))
    text = "(year > 1 AND (year > 1 OR " * (levels // 2) + "year > 1" + "))" * (levels // 2)
    for asked in (where, text):
        with pytest.raises(FilterError, match="nested") as caught:
            search(some.backends, parse_query("red"), where=asked)
        assert caught.value.advice


def test_a_filter_of_ten_levels_is_no_damage(some: Open) -> None:
    where = "(year > 1 AND (year > 1 OR " * 5 + "year > 1" + "))" * 5
    assert len(search(some.backends, parse_query("red"), where=where, k=50)) == len(SOME)


def test_what_a_hit_is_stands_in_the_registry(some: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def names() -> set[str]:
        hits = search(some.backends, parse_query("red thing"), k=36, modality="image")
        return {leg.name for hit in hits for leg in hit.legs}

    assert "words" in names()
    image = replace(registry.MODALITIES["image"], hit="document")
    monkeypatch.setattr(engine, "MODALITIES", {**registry.MODALITIES, "image": image})
    assert names() == {f"{SPACE}/image by text"}


# --------------------------------------------------------------------------- what is shown


def test_places_that_satisfy_the_filter_come_first() -> None:
    item = Item("red", ("<b>a red dog</b>",), ({"year": 2001.0}, {"year": 2002.0}))
    with collection([item]) as opened:
        (hit,) = search(opened.backends, parse_query("red"), where="year = 2002")
        assert hit.uris == ("file:///0-1", "file:///0-0")
        assert hit.paths == ("/0-1", "/0-0")
        assert hit.fields["year"] == 2002
        assert hit.captions == ("<b>a red dog</b>",)


def test_results_show_themselves_escaped() -> None:
    with collection([Item("red", ("<b>a red dog</b>",))]) as opened:
        results = search(opened.backends, parse_query("<i>red\n"))
    page = results._repr_html_()
    assert "&lt;b&gt;a red dog&lt;/b&gt;" in page
    assert "&lt;i&gt;red" in page
    assert "<b>" not in page
    assert "/0-0" in repr(results)
    assert results[0] is next(iter(results))
    assert results[0:1] == (results[0],)

"""The filter that a person writes, what it means, and that the document store means the same."""

from __future__ import annotations

import datetime
import operator
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval import registry
from retrieval.errors import FilterError
from retrieval.protocols import DocumentStore, Place
from retrieval.query import filters
from retrieval.query.filters import Gate
from retrieval.query.where import both, holds, parse_where
from retrieval.schema import (
    And,
    Channel,
    Compare,
    Document,
    Exists,
    FieldType,
    FieldValue,
    Filter,
    Like,
    Not,
    Or,
    Sighting,
)

FIELDS: dict[str, FieldType] = {
    "year": "number",
    "camera": "text",
    "taken": "date",
    "flash": "boolean",
    "exif.iso": "number",
    "a field": "text",
}


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("year = 2020", Compare("year", "=", 2020)),
        ("year <> -2.5", Compare("year", "!=", -2.5)),
        ("year != .5e3", Compare("year", "!=", 500)),
        ("2000 < year", Compare("year", ">", 2000)),
        ("'x' >= camera", Compare("camera", "<=", "x")),
        ("camera = 'O''Neill'", Compare("camera", "=", "O'Neill")),
        ("\"a field\" = '海'", Compare("a field", "=", "海")),
        ("exif.iso > 100", Compare("exif.iso", ">", 100)),
        ('"exif.iso" > 100', Compare("exif.iso", ">", 100)),
        ("flash = TRUE", Compare("flash", "=", True)),
        ("flash != false", Compare("flash", "!=", False)),
        ("taken >= '2020-05'", Compare("taken", ">=", "2020-05")),
        ("taken < DATE '2020-05-01'", Compare("taken", "<", "2020-05-01")),
        ("taken < '2020-05-01T10:00:00'", Compare("taken", "<", "2020-05-01T10:00:00")),
        ("taken <= '2020-12'", Compare("taken", "<", "2021-01-01")),
        ("taken > '2020-05-01T23'", Compare("taken", ">=", "2020-05-02")),
        ("taken LIKE '%-05-%'", Like("taken", "%-05-%")),
        ("camera LIKE 'Can_n%'", Like("camera", "Can_n%")),
        ("camera NOT LIKE 'Canon%'", Not(Like("camera", "Canon%"))),
        ("camera IS NULL", Not(Exists("camera"))),
        ("camera IS NOT NULL", Exists("camera")),
        ("year IN (1, -2)", Or((Compare("year", "=", 1), Compare("year", "=", -2)))),
        ("year NOT IN (1)", Not(Or((Compare("year", "=", 1),)))),
        (
            "year BETWEEN 2001 AND 2003",
            And((Compare("year", ">=", 2001), Compare("year", "<=", 2003))),
        ),
        (
            "year NOT BETWEEN 1 AND 2",
            Not(And((Compare("year", ">=", 1), Compare("year", "<=", 2)))),
        ),
        (
            "year = 1 AND (camera = 'a' OR NOT flash = true) AND modality = 'image'",
            And(
                (
                    Compare("year", "=", 1),
                    Or((Compare("camera", "=", "a"), Not(Compare("flash", "=", True)))),
                    Compare("modality", "=", "image"),
                )
            ),
        ),
    ],
)
def test_sql_becomes_the_small_tree(text: str, tree: Filter) -> None:
    assert parse_where(text, FIELDS) == tree


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("year >=", "doesn't parse"),
        ("year = 1 AND", "doesn't parse"),
        ("year = 'unclosed", "doesn't parse"),
        ("year = 1; DROP TABLE documents", "more than one|can't say"),
        ("SELECT 1", "can't say `SELECT 1`"),
        ("year IN (SELECT 1)", "can't say"),
        ("year = (SELECT 1)", "can't say"),
        ("UPPER(camera) = 'A'", r"can't say `UPPER\(camera\)`"),
        ("year + 1 = 2", r"can't say `year \+ 1`"),
        ("year = 1 + 1", r"can't say `1 \+ 1`"),
        ("camera ILIKE 'a'", "can't say"),
        ("camera LIKE 'a' ESCAPE '!'", "can't say"),
        ("camera GLOB 'a*'", "can't say"),
        ("year BETWEEN SYMMETRIC 2 AND 1", "can't say"),
        ("flash BETWEEN true AND false", "can't say"),
        ("flash IS TRUE", "can't say"),
        ("flash", "can't say `flash`"),
        ("1 = 1", "can't say `1`"),
        ("year = camera", "`camera` is none"),
        ("year = NULL", "Nothing equals NULL"),
        ("yaer = 1", "No field is called `yaer`"),
        ('camera = "Canon"', '`"Canon"` is none'),
        ("year = '2020'", "`year` holds numbers"),
        ("camera = 5", "`camera` holds text"),
        ("taken = 2020", "`taken` holds dates"),
        ("taken = 'yesterday'", "`taken` holds dates"),
        ("taken >= '2024-13'", "no date `2024-13`"),
        ("taken IN ('2024-05-99')", "no date `2024-05-99`"),
        ("taken < '2023-02-29T10'", "no date `2023-02-29T10`"),
        ("taken = '2024-05-06T25'", "no date"),
        ("year > 0x10", "doesn't parse near `x10`"),
        ("camera = 'a\udcff'", "UTF-8"),
        ("flash = 1", "`flash` holds true or false"),
        ("flash > TRUE", "has no order"),
        ("year LIKE '20%'", "LIKE compares text"),
        ("camera LIKE 5", "LIKE compares text"),
        ("year = 1e999", "too large"),
        ("year = -'x'", "can't say"),
        ("(" * 3000 + "year = 1" + ")" * 3000, "too deeply|doesn't parse"),
    ],
)
def test_what_cannot_be_said_is_refused_with_a_way_out(text: str, message: str) -> None:
    with pytest.raises(FilterError, match=message) as caught:
        parse_where(text, FIELDS)
    assert caught.value.advice


def test_an_unknown_field_offers_near_names_and_lists_the_known() -> None:
    with pytest.raises(FilterError) as caught:
        parse_where("Yaer = 1", FIELDS)
    assert "Did you mean `year`?" in caught.value.advice
    assert "camera" in caught.value.advice
    assert "modality" in caught.value.advice


def test_the_parser_is_loaded_for_a_where_only() -> None:
    code = "import sys; import retrieval.query.engine; print('sqlglot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# Dates. The model cuts a stored date to the length of the one asked for and compares the two texts.

ASKED_DATES = st.sampled_from(
    [
        "2019",
        "2020",
        "9999",
        "2019-12",
        "2020-05",
        "2020-02",
        "2019-12-31",
        "2020-04-30",
        "2020-05-01",
        "2020-05-01T10",
        "2020-04-30T23",
        "2020-05-01T09:59",
        "2020-05-01T10:00",
        "2020-05-01T10:00:00",
        "2019-12-31T23:59:59",
        "2020-05-01T10:00:00.5",
        "9999-12-31T23:59",
    ]
)
STORED_DATES = st.one_of(
    st.dates(datetime.date(2019, 12, 1), datetime.date(2020, 6, 2)).map(str),
    st.datetimes(datetime.datetime(2019, 12, 31, 23), datetime.datetime(2020, 1, 1, 1)).map(
        lambda moment: moment.isoformat(timespec="seconds")
    ),
    st.sampled_from(
        [
            "2020-05-01",
            "2020-05-01T10:00",
            "2020-05-01T10:00:00",
            "2020-05-01T09:59:59.9",
            "2020-04-30",
            "2020-04-30T23:59:59Z",
            "2019-12-31T23:59:59+02:00",
            "9999-12-31T23:59:59",
        ]
    ),
)


@given(STORED_DATES, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), ASKED_DATES)
def test_a_date_cut_short_is_all_that_it_names(stored: str, op: str, asked: str) -> None:
    cut = stored if len(asked) > 19 else stored[: len(asked)]

    meant = OF_TEXT[op](cut, asked)

    assert holds(parse_where(f"taken {op} '{asked}'", FIELDS), {"taken": stored}) == meant
    flipped = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(op, op)
    assert holds(parse_where(f"'{asked}' {flipped} taken", FIELDS), {"taken": stored}) == meant
    assert not holds(parse_where(f"taken {op} '{asked}'", FIELDS), {})


@given(STORED_DATES, ASKED_DATES, ASKED_DATES)
def test_between_takes_both_its_dates_whole(stored: str, low: str, high: str) -> None:
    def where(text: str) -> bool:
        return holds(parse_where(text, FIELDS), {"taken": stored})

    assert where(f"taken BETWEEN '{low}' AND '{high}'") == (
        where(f"taken >= '{low}'") and where(f"taken <= '{high}'")
    )
    assert where(f"taken IN ('{low}', '{high}')") == (
        where(f"taken = '{low}'") or where(f"taken = '{high}'")
    )


def test_a_date_with_a_space_before_its_time() -> None:
    where = parse_where("taken = '2020-05-01 10:00'", FIELDS)
    assert holds(where, {"taken": "2020-05-01T10:00:30"})


# Random trees and sightings: parsing, our evaluation and SQLite's must agree.

WORDS = st.sampled_from(["", "a", "A", "ab", "b%", "É", "é", "K", "\u212a", "海", "x_y"])
DATES = st.sampled_from(["2019-12-31", "2020-05-01", "2020-05-01T10:00:00.0", "2021-01-01"])
NUMBERS = st.integers(-3, 3).map(float)
VALUES: dict[FieldType, st.SearchStrategy[FieldValue]] = {
    "text": WORDS,
    "date": DATES,
    "number": NUMBERS,
    "boolean": st.booleans(),
}
NAMES = st.sampled_from(sorted(FIELDS))
OF_TEXT = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
OPERATORS = list(OF_TEXT)
# What the trees ask with, so that a parsed tree is the one written; dates cut short are above.
INSTANTS = st.sampled_from(["2019-12-31T10:00:00.0", "2020-05-01T10:00:00.0"])


@st.composite
def leaves(draw: st.DrawFn) -> Filter:
    name = draw(NAMES)
    type_ = FIELDS[name]
    kind = draw(st.sampled_from(["compare", "compare", "like", "exists"]))
    if kind == "exists":
        return Exists(name)
    if kind == "like" and type_ in ("text", "date"):
        pieces = st.sampled_from(["%", "_", "a", "B", "é", "2020", "海", "k", "."])
        return Like(name, "".join(draw(st.lists(pieces, max_size=4))))
    operators = OPERATORS[:2] if type_ == "boolean" else OPERATORS
    values = INSTANTS if type_ == "date" else VALUES[type_]
    return Compare(name, draw(st.sampled_from(operators)), draw(values))


TREES = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: And(tuple(terms))),
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: Or(tuple(terms))),
        inner.map(Not),
    ),
    max_leaves=6,
)
SIGHTED = st.fixed_dictionaries({}, optional={n: VALUES[FIELDS[n]] for n in FIELDS})


def sql(tree: Filter) -> str:
    match tree:
        case And(terms):
            return "(" + " AND ".join(map(sql, terms)) + ")"
        case Or(terms):
            return "(" + " OR ".join(map(sql, terms)) + ")"
        case Not(term):
            return f"NOT ({sql(term)})"
        case Exists(name):
            return f'"{name}" IS NOT NULL'
        case Like(name, pattern):
            return f"\"{name}\" LIKE '{pattern}'"
        case Compare(name, op, value):
            literal = f"'{value}'" if isinstance(value, str) else str(value).upper()
            return f'"{name}" {op} {literal}'


@given(TREES, st.lists(SIGHTED, max_size=5))
def test_parsed_sql_means_what_was_written(tree: Filter, seen: list[dict[str, FieldValue]]) -> None:
    parsed = parse_where(sql(tree), FIELDS)
    assert [holds(parsed, one) for one in seen] == [holds(tree, one) for one in seen]


@given(st.text(alphabet=string.printable + "海'\"", max_size=40))
def test_any_text_is_a_filter_or_a_filter_error(text: str) -> None:
    try:
        parse_where(text, FIELDS)
    except FilterError as error:
        assert error.advice  # noqa: PT017 (either outcome is right)


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[DocumentStore]:
    store = registry.open_document_store(Place("sqlite:", tmp_path, read_only=False))
    yield store
    store.close()


def image(number: int) -> Document:
    return Document.of(f"{number:064x}", "image", "space/image")


# One store for all examples: each example's sightings replace those of the one before.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(TREES, st.lists(SIGHTED, min_size=4, max_size=4))
def test_the_document_store_admits_what_holds(
    documents: DocumentStore, tree: Filter, seen: list[dict[str, FieldValue]]
) -> None:
    all_images = [image(number) for number in range(4)]
    documents.upsert(
        all_images,
        [
            Sighting(f"file:///{number}", document.asset, fields)
            for number, (document, fields) in enumerate(zip(all_images, seen, strict=True))
        ],
    )
    admitted = documents.passing([document.id for document in all_images], tree)
    expected = {d.id for d, fields in zip(all_images, seen, strict=True) if holds(tree, fields)}
    assert admitted.keys() == expected


def test_holds_knows_types_apart() -> None:
    assert not holds(Compare("x", "=", 1.0), {"x": True})
    assert not holds(Compare("x", "!=", "1"), {"x": 1})
    assert holds(Compare("x", "<", 1.5), {"x": 1})
    assert not holds(Compare("x", "!=", 1), {})
    assert holds(Not(Compare("x", "=", 1)), {})
    assert holds(None, {})
    assert not holds(Like("x", "a"), {"x": 1})


def test_both_admit_what_both_admit() -> None:
    one, two = Exists("a"), Exists("b")
    assert both(None, None) is None
    assert both(one, None) == both(None, one) == one
    assert both(one, two) == And((one, two))


# The planner, on real stores.


@pytest.fixture
def filled(documents: DocumentStore) -> DocumentStore:
    images = [image(number) for number in range(40)]
    documents.upsert(
        images,
        [
            Sighting(f"file:///{n}", d.asset, {"modality": "image", "number": float(n)})
            for n, d in enumerate(images[:39])  # the last has no sighting
        ],
    )
    return documents


@pytest.mark.parametrize("few", [0, 3, 100])
@pytest.mark.parametrize("below", [0, 1, 3, 20, 40])
def test_one_planner_gives_the_same_whatever_way_it_takes(
    filled: DocumentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int, below: int
) -> None:
    monkeypatch.setattr(filters, "FEW", few)
    channel = Channel("space", "image", 4, "x:", "f")
    store = registry.open_vector_store(Place("exact:", tmp_path, read_only=False), channel)
    angles = np.linspace(0.1, 1.5, 41)
    vectors = np.stack([np.cos(angles), np.sin(angles), 0 * angles, 0 * angles], 1)
    images = [image(number) for number in range(41)]  # the last is a vector without a document
    store.upsert([document.id for document in images], vectors.astype(np.float32))
    gate = Gate(filled, Compare("number", "<", float(below)), group_by="asset")
    ranking = gate.search(store, np.array([0, 1, 0, 0], np.float32), 41)
    visible = gate.groups(ranking.ids)
    found = [id_ for id_ in ranking.ids if id_ in visible]
    assert found == [image(number).id for number in reversed(range(min(below, 39)))]
    store.close()


def test_what_is_left_out_or_of_another_kind_is_invisible(filled: DocumentStore) -> None:
    first, second = image(0), image(1)
    gate = Gate(filled, None, group_by="asset", left_out={first.asset})
    assert gate.groups([first.id, second.id]) == {second.id: second.asset}
    texts = Gate(filled, None, group_by="document", modality="text")
    assert texts.groups([first.id]) == {}


def test_members_are_all_documents_of_an_asset(filled: DocumentStore) -> None:
    picture = image(0)
    caption = Document.of(picture.asset, "passage", "space/text", text="a dog")
    filled.upsert([caption])
    by_asset = Gate(filled, None, group_by="asset")
    assert by_asset.groups([picture.id]) == {picture.id: picture.asset}
    assert {document.id for document in by_asset.members([picture.asset])} == {
        picture.id,
        caption.id,
    }
    by_document = Gate(filled, None, group_by="document")
    assert by_document.groups([picture.id]) == {picture.id: picture.id}
    assert by_document.members([picture.id]) == [picture]

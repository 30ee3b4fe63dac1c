"""Captions and metadata beside a picture and inside it: read, replaced, withdrawn, never fatal."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer import create, index, verify
from retrieval.collection import Collection, open_collection
from retrieval.schema import FieldValue
from tests import collections, corpus

from .conftest import captions, found


def _fields(collection: Collection, name: str = "a.png") -> dict[str, FieldValue]:
    """The fields of one picture that no file has by itself."""
    sightings = collections.contents(collection).sightings
    fields = next(s.fields for s in sightings if s.uri.endswith("/" + name))
    built_in = {"modality", "media_type", "path", "folder", "name", "size", "modified"}
    return {k: v for k, v in fields.items() if k not in built_in | {"width", "height", "format"}}


def test_a_text_beside_a_picture_gives_a_caption_a_line(media: Path, photos: Collection) -> None:
    corpus.picture(media / "a.png")
    corpus.text(media / "a.txt", "\ufeffa boat\r\n\n  on   the sea \n")
    corpus.text(media / "a.png.txt", "a boat\n一只船\n")
    report = index([str(media)], photos)
    assert (report.indexed, report.sidecars, report.warnings) == (1, 2, ())
    assert captions(photos) == ["a boat", "on the sea", "一只船"]
    assert found(photos, "船") == 1


def test_json_gives_captions_and_fields(media: Path, photos: Collection) -> None:
    corpus.picture(media / "a.png")
    table = {
        "caption": "a boat",
        "captions": ["a ship", 7, None, ["no"], True],
        "description": "seen from the shore",
        "title": "Summer",
        "stars": 4,
        "sharp": True,
        "taken": "2020-02-03",
        "place": {"country": "Chile", "geo": {"lat": -33.5}},
        "tags": ["sea", "sun"],
        "nothing": None,
        "people": [{"name": "Ada"}],
    }
    (media / "a.json").write_text(json.dumps(table))
    (media / "a.png.json").write_text('{"stars": 5}')
    assert index([str(media)], photos).warnings == ()
    assert captions(photos) == ["7", "Summer", "a boat", "a ship", "seen from the shore"]
    assert _fields(photos) == {
        "stars": 5,
        "sharp": True,
        "taken": "2020-02-03",
        "place.country": "Chile",
        "place.geo.lat": -33.5,
        "tags": "sea, sun",
    }


def test_a_sidecar_that_changes_or_goes_takes_its_captions_along(
    media: Path, photos: Collection
) -> None:
    corpus.picture(media / "a.png")
    corpus.text(media / "a.txt", "zeppelin")
    index([str(media)], photos)
    pixels = {n for n, d in collections.contents(photos).documents.items() if d[1] == "image"}

    corpus.text(media / "a.txt", "a balloon, rather")
    assert index([str(media)], photos).indexed == 1
    assert captions(photos) == ["a balloon, rather"]
    assert (found(photos, "zeppelin"), found(photos, "balloon")) == (0, 1)

    (media / "a.txt").unlink()
    assert index([str(media)], photos).indexed == 1
    assert captions(photos) == []
    assert found(photos, "zeppelin balloon") == 0
    assert set(collections.contents(photos).documents) == pixels
    assert index([str(media)], photos).unchanged == 1


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", b"{not json", "is not JSON"),
        ("a.json", b'["a boat"]', "holds no JSON object"),
        ("a.json", b"[" * 100_000, "is not JSON"),
        ("a.json", b"1" * 5000, "is not JSON"),
        ("a.txt", bytes(range(256)) * 4, "is binary"),
        ("a.txt", b"x\n" * 600_000, "has more than"),
    ],
)
def test_a_bad_sidecar_is_a_warning_and_costs_no_picture(
    name: str, content: bytes, says: str, media: Path, photos: Collection
) -> None:
    corpus.picture(media / "a.png")
    (media / name).write_bytes(content)
    report = index([str(media)], photos)
    assert report.indexed == 1
    assert len(report.warnings) == 1
    assert f"sidecar {name}: {says}" in report.warnings[0]
    assert report.warnings[0].startswith(str(media / "a.png"))
    assert captions(photos) == []


def test_a_folder_named_like_a_sidecar_is_none(media: Path, photos: Collection) -> None:
    corpus.picture(media / "a.png")
    (media / "a.txt").mkdir()
    report = index([str(media)], photos)
    assert (report.indexed, report.sidecars, report.warnings) == (1, 0, ())


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "utf-16"])
def test_captions_in_other_encodings(encoding: str, media: Path, photos: Collection) -> None:
    corpus.picture(media / "a.png")
    caption = "一只狐狸穿过花园" if encoding != "big5" else "一隻狐狸穿過花園"
    corpus.text(media / "a.txt", caption, encoding)
    index([str(media)], photos)
    assert captions(photos) == [caption]


def test_captions_written_inside_the_picture(media: Path, photos: Collection) -> None:
    corpus.with_iptc(media / "a.jpg", "a heron by the lake")
    corpus.picture(media / "b.jpg", seed=1, exif=corpus.exif(description="a fox at dusk").tobytes())
    corpus.png_with_notes(media / "c.png", {"Description": "an owl"}, behind=True)
    corpus.text(media / "c.txt", "an owl\nup a tree")
    index([str(media)], photos)
    assert captions(photos) == ["a fox at dusk", "a heron by the lake", "an owl", "up a tree"]
    assert _fields(photos, "b.jpg")["year"] == 2019


def test_a_field_of_another_type_is_a_warning(media: Path, photos: Collection) -> None:
    for seed, (name, table) in enumerate(
        {
            "a": '{"stars": 4, "note": "fine", "day": "2020-01-02", "sharp": true}',
            "b": '{"stars": "5", "note": 7, "day": "2021-01-02", "sharp": false}',
            "c": '{"stars": "many", "note": true, "day": "soon", "sharp": 1}',
            "d": '{"stars": NaN, "note": "\\ud800", "day": "2020-01-02", "sharp": true}',
            "e": '{"stars": 1e999, "stars2": 1' + "0" * 40 + ', "\\udfff": 1}',
            "f": '{"stars": "nan"}',
        }.items()
    ):
        corpus.picture(media / f"{name}.png", seed=seed)
        (media / f"{name}.json").write_text(table)
    report = index([str(media)], photos)
    assert report.indexed == 6
    left_out = re.findall(r"field (\w+): .*? left out", "\n".join(report.warnings))
    assert sorted(left_out) == ["day", "sharp", "stars", "stars", "stars", "stars"]
    assert _fields(photos, "b.png") == {
        "stars": 5,
        "note": "7",
        "day": "2021-01-02",
        "sharp": False,
    }
    assert _fields(photos, "c.png") == {"note": "true"}
    assert _fields(photos, "d.png") == {"note": "?", "day": "2020-01-02", "sharp": True}
    assert _fields(photos, "e.png") == {"stars2": 1e40, "?": 1}
    assert _fields(photos, "f.png") == {}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec=None), max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
tables = st.dictionaries(
    st.sampled_from(["caption", "captions", "title", "stars", "size", "", "a.b", "\ud800"]),
    json_values,
)


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(st.lists(tables, min_size=8, max_size=8))
def test_no_sidecar_costs_its_picture(contents: list[dict[str, Any]]) -> None:
    """Whatever JSON stands beside it, a picture is indexed, and the collection is sound."""
    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder) / "media"
        media.mkdir()
        for number, table in enumerate(contents):
            corpus.picture(media / f"{number}.png", seed=number, size=(16, 16))
            (media / f"{number}.json").write_text(json.dumps(table))
        photos = create("photos", settings=collections.settings(Path(folder) / "home"))
        report = index([str(media)], photos)
        assert (report.indexed, report.total) == (8, 8)
        assert verify(photos).problems == ()
        assert index([str(media)], photos).unchanged == 8


# -- duplicates -----------------------------------------------------------------------------------


def test_a_duplicates_captions_join_those_of_the_asset(media: Path, photos: Collection) -> None:
    """Found by either; when one of the two files goes, only its captions go."""
    corpus.picture(media / "a.png")
    corpus.text(media / "a.txt", "a boat\nshared")
    index([str(media)], photos)
    shutil.copyfile(media / "a.png", media / "b.png")
    corpus.text(media / "b.txt", "shared\nein Boot")
    report = index([str(media)], photos)
    assert report.accounting() == "indexed 0, unchanged 1, duplicates 1, skipped 0 = 2"
    assert captions(photos) == ["a boat", "ein Boot", "shared"]
    assert len(collections.contents(photos).documents) == 4

    (media / "a.png").unlink()
    (media / "a.txt").unlink()
    assert index([str(media)], photos).vanished == 1
    assert captions(photos) == ["ein Boot", "shared"]
    assert found(photos, "boat") == 0
    assert len(collections.contents(photos).documents) == 3


def test_what_readers_give_has_its_type_from_the_start(media: Path, photos: Collection) -> None:
    """A text whose title reads like a date, and a sidecar that misuses a name, decide nothing."""
    corpus.text(media / "a.md", "# 2024-05-01\n\nDear diary")
    corpus.text(media / "b.md", "# Holiday in Rome\n\nSun.")
    corpus.picture(media / "c.png", seed=1)
    corpus.text(media / "c.json", '{"width": "wide"}')
    report = index([str(media)], photos)
    assert [warning.partition(": ")[2] for warning in report.warnings] == [
        "field width: 'wide' is no number; left out"
    ]
    with open_collection(photos.directory, settings=photos.settings) as fresh:
        assert len(fresh.search("sun", where="title LIKE '%Rome%'")) == 1
        assert len(fresh.search("sun", where="title = '2024-05-01'")) == 1

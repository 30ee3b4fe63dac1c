"""``echolens search``: what can be asked, and the forms of the answer."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import click
import pytest
from PIL import Image

from cli.commands import search
from cli.errors import ExitCode
from retrieval import Hit
from retrieval.registry import MODALITIES
from retrieval.schema import path_of
from tests import corpus

from .conftest import Done, Echolens


@pytest.fixture
def indexed(photos: Path, echolens: Echolens) -> Path:
    assert echolens("index", photos).code == ExitCode.DONE
    return photos


def _first(done: Done) -> str:
    return Path(os.fsdecode(done.out.splitlines()[0])).name


PATHS = ("--format", "paths")


def test_words(indexed: Path, echolens: Echolens) -> None:
    for colour in ("red", "green", "blue"):
        assert _first(echolens("search", *PATHS, "a", colour, "thing")) == f"{colour}.png"


def test_the_end_of_a_query_that_the_encoder_does_not_read(
    photos: Path, echolens: Echolens
) -> None:
    reads = {"ECHOLENS_ENCODER": "hash:reads=20"}
    echolens("index", photos, **reads)
    done = echolens("search", "a red boat in the harbour of a green island", **reads)
    assert done.code == ExitCode.DONE
    assert 'reads this query as far as "a red boat in the ha"' in done.err
    assert "note:" not in echolens("search", "a red boat", **reads).err


def test_device_and_precision_are_those_of_the_options(indexed: Path, echolens: Echolens) -> None:
    options = ("--device", "cpu", "--precision", "int8")
    assert echolens("search", "red", *options).code == ExitCode.DONE
    refused = echolens("search", "red", "--precision", "fp8")
    assert refused.code == ExitCode.USAGE
    assert "bf16" in refused.err


def test_a_picture(indexed: Path, tmp_path: Path, echolens: Echolens) -> None:
    asked = corpus.save_as(tmp_path / "asked.png", Image.new("RGB", (30, 30), (30, 160, 60)))

    by_path = echolens("search", *PATHS, "--image", asked)
    by_stdin = echolens("search", *PATHS, "--image", "-", stdin=asked.read_bytes())

    assert _first(by_path) == "green.png"
    assert by_stdin.out == by_path.out


def test_parts_with_weights_and_signs(indexed: Path, echolens: Echolens) -> None:
    red = f"image:{indexed / 'red.png'}"

    assert _first(echolens("search", *PATHS, "red + 3:green")) == "green.png"
    assert _first(echolens("search", *PATHS, "red", "-a", "3:green")) == "green.png"
    assert _first(echolens("search", *PATHS, "red", "blue", "-s", "red")) == "blue.png"
    assert _first(echolens("search", *PATHS, "green", "-a", f"5:{red}")) == "red.png"
    last = echolens("search", *PATHS, "green", "blue", "-s", f"2:{red}").out.splitlines()[-1]
    assert last.endswith(b"red.png")


def test_a_found_document_is_asked_with(indexed: Path, echolens: Echolens) -> None:
    hit = echolens("search", "red", "-k", "1", "--format", "jsonl").records[0]

    for asked in (["--like", hit["document"]], ["-a", f"like:{hit['document']}"]):
        done = echolens("search", *PATHS, *asked)
        assert done.code == ExitCode.DONE
        assert b"red.png" not in done.out  # the example itself is no answer


def test_captions_are_found_for_a_picture(indexed: Path, echolens: Echolens) -> None:
    done = echolens(
        "search", "--image", indexed / "blue.png", "--modality", "text", "--format", "jsonl"
    )

    assert [hit["text"] for hit in done.records] == ["The harbour at dusk"]
    assert done.records[0]["path"].endswith("blue.png")


def test_a_filter(indexed: Path, echolens: Echolens) -> None:
    done = echolens("search", "red", *PATHS, "--where", "name LIKE 'g%'")

    assert _first(done) == "green.png"
    assert len(done.lines) == 1


def test_jsonl_has_every_field_of_a_hit(indexed: Path, echolens: Echolens) -> None:
    hit = echolens("search", "harbour", "-k", "1", "--format", "jsonl").records[0]

    assert {field.name for field in fields(Hit)} | {"path", "paths"} == hit.keys()
    assert hit["rank"] == 1
    assert hit["path"] == hit["paths"][0] == path_of(hit["uris"][0]) == str(indexed / "blue.png")
    assert hit["captions"] == ["The harbour at dusk"]
    assert hit["fields"]["name"] == "blue.png"
    assert {"name", "rank", "score", "document"} <= hit["legs"][0].keys()


def test_a_table_for_reading(indexed: Path, echolens: Echolens) -> None:
    done = echolens("search", "harbour", "-k", "1")

    head, row = done.lines
    assert head.split() == ["rank", "score", "file", "text"]
    assert row.split()[0] == "1"
    assert "photos/blue.png" in row
    assert row.endswith("The harbour at dusk")
    assert str(indexed) not in row  # below the working folder: as seen from there


def test_a_control_character_in_a_caption_is_harmless(indexed: Path, echolens: Echolens) -> None:
    (indexed / "red.txt").write_text("a \x1b[31mlantern")
    echolens("index", indexed)

    done = echolens("search", "lantern", "-k", "1")

    assert b"\x1b" not in done.out
    assert "lantern" in done.lines[1]


def test_k_is_how_many(indexed: Path, echolens: Echolens) -> None:
    assert len(echolens("search", "red", *PATHS, "-k", "2").lines) == 2
    assert len(echolens("search", "red", *PATHS, "-k", "50").lines) == 3


def test_every_modality_of_the_registry_can_be_asked_for() -> None:
    """Written out in the command, so that its help loads nothing of the library."""
    (option,) = (o for o in search.command.params if o.name == "modality")
    assert isinstance(option.type, click.Choice)
    assert set(option.type.choices) == set(MODALITIES)


def test_nothing_found_is_told_by_the_exit_code(indexed: Path, echolens: Echolens) -> None:
    done = echolens("search", "red", "--where", "size > 1000000000")

    assert done.code == ExitCode.NO
    assert done.out == b""
    assert done.err == "nothing found\n"


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_a_degraded_answer_says_so_with_hits_and_without(
    quiet: list[str], indexed: Path, echolens: Echolens
) -> None:
    """The encoder's package is gone: words alone answer."""
    without = {"PYTHONPATH": str(Path(__file__).parents[2])}

    found = echolens("search", *quiet, "harbour", "--format", "jsonl", **without)
    nothing = echolens("search", *quiet, "zeppelin", "--format", "jsonl", **without)

    assert found.code == nothing.code == ExitCode.PARTLY
    assert [hit["text"] for hit in found.records] == ["The harbour at dusk"]
    assert nothing.out == b""
    for done in (found, nothing):
        assert "note: " in done.err
        assert "`hash" in done.err
    assert ("nothing found" in nothing.err) == (not quiet)


def test_a_name_with_a_tilde_is_no_fault(indexed: Path, tmp_path: Path, echolens: Echolens) -> None:
    sheet = echolens("search", "red", "--sheet", "~sheet.png")
    assert sheet.code == ExitCode.DONE, sheet.err
    assert (tmp_path / "~sheet.png").exists()
    asked = echolens("search", "--image", "~nobody/x.png")
    assert (asked.code, "~nobody" in asked.err) == (ExitCode.USAGE, True), asked.err
    other = echolens("search", "red", "-c", "~nobody/x")
    assert other.code == ExitCode.MISSING, other.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "empty"),
        (["  "], "empty"),
        (["-s", "dog"], "what not to find"),
        (["0:dog"], "weight"),
        (["dog", "--where", "size >"], "filter"),
        (["dog", "--where", "colour = 'red'"], "colour"),
        (["dog", "--where", "1; DROP TABLE documents"], "filter"),
        (["dog", "-k", "0"], "-k"),
        (["dog", "-0"], "--format paths"),
        (["--image", "no/such.jpg"], "no/such.jpg"),
        (["--image", "."], "."),
        (["--like", "f" * 32], "f" * 32),
        (["dog", "--modality", "smell"], "smell"),
    ],
)
def test_a_question_that_cannot_be_asked(
    arguments: list[str], says: str, indexed: Path, echolens: Echolens
) -> None:
    done = echolens("search", *arguments)

    assert done.code == ExitCode.USAGE, done.err
    assert says in done.err
    assert done.out == b""
    assert len(done.err.splitlines()) <= 3


def test_a_query_picture_that_is_none(indexed: Path, tmp_path: Path, echolens: Echolens) -> None:
    for bad in (corpus.text_named(tmp_path / "a.jpg"), corpus.empty(tmp_path / "b.jpg")):
        done = echolens("search", "--image", bad)
        assert done.code == ExitCode.USAGE
        assert "picture" in done.err


def test_a_query_picture_over_the_limit_is_not_read_whole(
    indexed: Path, tmp_path: Path, echolens: Echolens
) -> None:
    big = tmp_path / "big.jpg"
    with big.open("wb") as file:
        file.truncate(2 * 2**20)

    done = echolens("search", "--image", big, ECHOLENS_MAX_FILE_MB="1")

    assert done.code == ExitCode.USAGE
    assert "max_file_mb" in done.err


def test_a_contact_sheet(indexed: Path, tmp_path: Path, echolens: Echolens) -> None:
    sheet = tmp_path / "sheet.png"

    for words in ("red", "blue"):  # the second is written over the first
        done = echolens("search", words, "--sheet", sheet)

        assert done.code == ExitCode.DONE
        with Image.open(sheet) as image:
            assert image.format == "PNG"
            assert min(image.size) > 64


def test_a_sheet_is_written_over_no_photo(
    indexed: Path, tmp_path: Path, echolens: Echolens
) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (40, 30), "red").save(photo)
    before = photo.read_bytes()

    done = echolens("search", "red", "--sheet", photo)

    assert (done.code, done.out) == (ExitCode.USAGE, b"")
    assert "is no contact sheet" in done.err
    assert photo.read_bytes() == before


@pytest.mark.parametrize(
    ("sheet", "says"), [("nosuch/a.png", "no folder"), ("a.jpg", "a.jpg isn't called")]
)
def test_a_sheet_that_cannot_be_written_is_told_before_anything_is_searched(
    sheet: str, says: str, indexed: Path, echolens: Echolens
) -> None:
    done = echolens("search", "red", "--sheet", sheet)

    assert done.code == ExitCode.USAGE
    assert says in done.err
    assert done.out == b""


def test_query_pictures_that_are_none_are_named(
    indexed: Path, tmp_path: Path, echolens: Echolens
) -> None:
    lie = corpus.text_named(tmp_path / "lie.jpg")
    picture = (indexed / "red.png").read_bytes()

    assert "lie.jpg isn't one that can be read" in echolens("search", "--image", lie).err
    assert "Name a picture file" in echolens("search", "--image", os.devnull).err
    twice = echolens("search", "--image", "-", "--image", "-", stdin=picture)
    assert twice.code == ExitCode.USAGE
    assert "given once" in twice.err

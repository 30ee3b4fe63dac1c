"""What a picture says about itself, and its one document."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from retrieval.errors import BadInputError
from retrieval.modalities.image import ImageReader
from retrieval.protocols import Limits, ModalityReader
from retrieval.schema import Description, SkipReason, Wants
from tests import corpus

READER: ModalityReader = ImageReader(Limits())
WANTS = Wants(pixels=32)


def describe(path: Path) -> Description:
    with path.open("rb") as file:
        return READER.describe(file)


def with_exif(path: Path, **notes: object) -> Description:
    return describe(corpus.picture(path, exif=corpus.exif(**notes).tobytes()))  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif", ".heic"])
def test_exif_becomes_fields(tmp_path: Path, suffix: str) -> None:
    fields = with_exif(tmp_path / f"a{suffix}").fields
    assert fields == {
        "width": 96,
        "height": 64,
        "format": {".jpg": "jpeg", ".tif": "tiff", ".heic": "heif"}.get(suffix, suffix[1:]),
        "taken": "2019-08-07T14:30:05",
        "year": 2019,
        "camera": "Canon EOS 5D",
        "latitude": 52.5,
        "longitude": -13.25,
    }


def test_size_is_as_displayed(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".tif"):
        fields = describe(corpus.oriented(tmp_path / f"a{suffix}", 6)).fields
        assert (fields["width"], fields["height"]) == (96, 64)


def test_description_reads_no_pixels(tmp_path: Path) -> None:
    """A picture cut short within its pixels is described; only its document is refused."""
    for suffix in (".jpg", ".png"):
        path = corpus.truncated(tmp_path / f"a{suffix}")
        assert describe(path).fields["width"] == 320
        with path.open("rb") as file, pytest.raises(BadInputError, match="cut short"):
            list(READER.documents(file, WANTS))


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Apple", "iPhone 12", "Apple iPhone 12"),
        ("NIKON CORPORATION", "NIKON D70", "NIKON D70"),
        ("Canon\0", "Canon EOS 5D ", "Canon EOS 5D"),
        ("Leica", None, "Leica"),
        (None, "Mystery 3000", "Mystery 3000"),
        (None, None, None),
    ],
)
def test_camera_names_its_make_once(
    tmp_path: Path, make: str | None, model: str | None, camera: str | None
) -> None:
    assert with_exif(tmp_path / "a.jpg", make=make, model=model).fields.get("camera") == camera


@pytest.mark.parametrize(
    "taken", ["0000:00:00 00:00:00", "2019:13:40 25:61:61", "    :  :     :  :  ", "yesterday", ""]
)
def test_nonsense_dates_are_left_out(tmp_path: Path, taken: str) -> None:
    fields = with_exif(tmp_path / "a.jpg", taken=taken).fields
    assert "taken" not in fields
    assert "year" not in fields


def test_the_date_of_the_picture_goes_before_that_of_the_file(tmp_path: Path) -> None:
    notes = corpus.exif(taken="2001:02:03 04:05:06")
    notes[ExifTags.Base.DateTime] = "2020:01:01 00:00:00"
    path = corpus.picture(tmp_path / "a.jpg", exif=notes.tobytes())
    assert describe(path).fields["taken"] == "2001-02-03T04:05:06"
    later = corpus.exif(taken=None)
    later[ExifTags.Base.DateTime] = "2020:01:01 00:00:00"
    path = corpus.picture(tmp_path / "b.jpg", exif=later.tobytes())
    assert describe(path).fields["year"] == 2020


@given(
    st.floats(-90, 90).filter(lambda degrees: abs(degrees) > 0.001),
    st.floats(-180, 180).filter(lambda degrees: abs(degrees) > 0.001),
)
def test_places_keep_sign_and_value(latitude: float, longitude: float) -> None:
    file = io.BytesIO()
    notes = corpus.exif(place=(latitude, longitude))
    Image.new("L", (2, 2)).save(file, "JPEG", exif=notes.tobytes())
    fields = READER.describe(file).fields
    assert fields["latitude"] == pytest.approx(latitude, abs=1e-5)
    assert fields["longitude"] == pytest.approx(longitude, abs=1e-5)


@pytest.mark.parametrize("place", [(0.0, 0.0), (95.0, 10.0), (10.0, 999.0)])
def test_impossible_places_are_left_out(tmp_path: Path, place: tuple[float, float]) -> None:
    assert "latitude" not in with_exif(tmp_path / "a.jpg", place=place).fields


def test_captions_of_every_kind_in_order_and_once(tmp_path: Path) -> None:
    notes = corpus.exif(description="Ein Fuchs 狐狸")
    notes[ExifTags.Base.XPTitle] = "Der Titel".encode("utf-16-le")
    notes[ExifTags.Base.XPComment] = "A fox".encode("utf-16-le")
    path = corpus.picture(
        tmp_path / "a.jpg", exif=notes.tobytes(), xmp=corpus.xmp("A fox", "Der Titel")
    )
    assert describe(path).captions == ("Ein Fuchs 狐狸", "A fox", "Der Titel")
    assert describe(corpus.with_iptc(tmp_path / "b.jpg", "Füchse 狐")).captions == ("Füchse 狐",)


@pytest.mark.parametrize("behind", [False, True])
def test_notes_of_a_png_before_and_behind_its_pixels(tmp_path: Path, behind: bool) -> None:
    notes = {
        "Title": "A fox",
        "Description": "狐狸",
        "Comment": "Created with GIMP",
        "XML:com.adobe.xmp": corpus.xmp("From XMP").decode(),
    }
    path = corpus.png_with_notes(tmp_path / "a.png", notes, behind=behind)
    assert describe(path).captions == ("From XMP", "狐狸", "A fox")


def test_xmp_as_attribute_and_in_two_languages(tmp_path: Path) -> None:
    packet = corpus.xmp("A fox").replace(
        b"</rdf:li>", '</rdf:li><rdf:li xml:lang="zh">狐狸</rdf:li>'.encode()
    )
    short = corpus.xmp().replace(b'about=""', b'about="" dc:description="Short"')
    for packet_, captions in ((packet, ("A fox", "狐狸")), (short, ("Short",))):
        path = corpus.picture(tmp_path / "a.jpg", xmp=packet_)
        assert describe(path).captions == captions


@pytest.mark.parametrize(
    "boilerplate",
    [
        "OLYMPUS DIGITAL CAMERA         ",
        "SONY DSC",
        "DCIM\\100MEDIA\\DJI_0042.JPG",
        "SAMSUNG DIGITAL CAMERA",
        "KODAK Digital Still Camera",
        "Exif_JPEG_PICTURE",
        "default",
        "oznor_vivi",
        "???",
        "   ",
    ],
)
def test_boilerplate_is_no_caption(tmp_path: Path, boilerplate: str) -> None:
    assert with_exif(tmp_path / "a.jpg", description=boilerplate).captions == ()


@pytest.mark.parametrize("caption", ["a digital camera on a table", "猫", "Untitled graffiti", "3"])
def test_captions_that_look_a_little_like_boilerplate_stay(tmp_path: Path, caption: str) -> None:
    assert with_exif(tmp_path / "a.jpg", description=caption).captions == (caption,)


def test_an_expansion_bomb_in_xmp_is_left_out(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY e{level + 1} "{f"&e{level};" * 10}">' for level in range(12))
    bomb = (
        f'<!DOCTYPE x [<!ENTITY e0 "ha">{levels}]>'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/">'
        "<dc:title><rdf:li>&e12;</rdf:li></dc:title></rdf:RDF>"
    )
    for packet in (bomb.encode(), bomb.encode("utf-16"), b"<not xml", b"\0\xff"):
        path = corpus.picture(tmp_path / "a.jpg", xmp=packet)
        assert describe(path).captions == ()


@given(st.binary(max_size=300))
def test_damaged_notes_never_cost_the_picture(notes: bytes) -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 2)).save(file, "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0" + notes)
    assert READER.describe(file).fields["width"] in (2, 4)
    (draft,) = READER.documents(file, WANTS)
    assert draft.inputs[0].size == 24


def test_one_document_no_larger_than_wanted(tmp_path: Path) -> None:
    path = corpus.picture(tmp_path / "a.jpg", size=(960, 640))
    with path.open("rb") as file:
        (draft,) = READER.documents(file, WANTS)
    assert (draft.kind, draft.span, draft.text) == ("image", None, None)
    (pixels,) = draft.inputs
    assert pixels.shape == (64, 96, 3)
    assert len(pickle.dumps(draft)) < pixels.size + 1000
    assert np.array_equal(READER.query_input(path.read_bytes(), WANTS), pixels)


def test_a_query_that_is_no_picture_is_refused() -> None:
    with pytest.raises(BadInputError, match="is text, not a picture") as caught:
        READER.query_input(b"a cat on a roof", WANTS)
    assert caught.value.reason is SkipReason.CORRUPT


def test_recipe_is_plain_and_without_pillows_version() -> None:
    assert READER.recipe == ImageReader(Limits(pixels=1)).recipe
    assert all(isinstance(value, str | int | float) for value in READER.recipe.values())

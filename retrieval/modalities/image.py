"""Pictures: what they show, and what their makers wrote into them.

Gets: a picture's bytes. Gives: one document with its pixels, and of a picture that moves its shots,
too; size, date, place, camera, captions.
Touches: Pillow, through `media`; PyAV for what moves. Never: a store, a path, the network.

Notes in a picture are free text by strangers. A damaged or nonsensical one is left out and never
costs the picture; XMP is XML from outside, so a document type declaration ends its reading (no
entities, so no expansion bombs), and its size is bounded.

A picture that moves (GIF, APNG, WebP; a photo with a film behind it) is a picture first: whatever
is wrong with its movement, or missing here to see it, costs only its shots.
"""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, BinaryIO
from xml.etree import ElementTree

from PIL import ExifTags, Image, IptcImagePlugin

from retrieval.errors import BadInputError, NotInstalledError
from retrieval.films.moving import film_within, is_moving, moving_facts
from retrieval.films.nouns import Facts
from retrieval.media import (
    MEDIA_VERSION,
    Picture,
    exif_of,
    open_picture,
    read_picture,
    upright_size,
)
from retrieval.protocols import Limits
from retrieval.schema import Description, Draft, FieldValue, Wants

_OVERSIZE = 2  # decoded to this many times the encoder's side, so that its own resizing stays sharp
_DEFAULT_PX = 256  # for an encoder that doesn't say what it looks at
_NOTES_VERSION = 1  # raise it when `describe` comes to give something else

_LONGEST_CAPTION = 4096
_LARGEST_XMP = 1 << 20
_DC = "{http://purl.org/dc/elements/1.1/}"
_RDF_ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_DESCRIBING_PNG_CHUNKS = (b"IHDR", b"eXIf", b"tEXt", b"zTXt", b"iTXt")

# What cameras and programs write where a description belongs (dav, sdr, ...: a phone's modes).
_BOILERPLATE = re.compile(
    r"""(?ix)
      (olympus|minolta|samsung|kodak|konica|pentax|nikon)?\s*digital\s(still\s)?camera
    | samsung(\scamera\spictures)? | sony\sdsc | dcim\S* | exif[_\s]jpeg.* | \S*dsc_?\d+ | img_?\d+
    | created\swith\s(the\s)?gimp | creator:\sgd-jpeg.* | file\s(written|source)\sby\sadobe.*
    | lead\stechnologies.* | processed\swith\s.* | screenshot | applemark | untitled | default
    | (dav|sdr|cof|mde|edf|fbt|cif|rha|hdrpl|oznor(wb)?|rhdr)(_\w+)?
    | ascii | unknown | <.*> | \W*
    """
)


class ImageReader:
    """Turns a picture into one document of kind ``image``. A `ModalityReader`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    @property
    def recipe(self) -> Mapping[str, str | int | float]:
        """Versions of the decoding and of the notes; Pillow's own doesn't count."""
        return {
            "reader": "image",
            "media": MEDIA_VERSION,
            "notes": _NOTES_VERSION,
            "oversize": _OVERSIZE,
        }

    def describe(self, file: BinaryIO) -> Description:
        """Size as displayed, format, date, place and camera; captions. Reads no pixels.

        Fields: ``width``, ``height``, ``format``, and where known ``taken`` (ISO 8601, local
        time), ``year``, ``camera``, ``latitude`` and ``longitude`` (degrees; south and west are
        negative). Of a picture that moves: ``moving`` (true) and ``duration_s``.
        """
        with open_picture(_notes_first(file), self._limits) as image:
            width, height = upright_size(image)
            exif = exif_of(image)
            fields: dict[str, FieldValue] = {
                "width": width,
                "height": height,
                "format": _format(image),
                **_date(exif),
                **_camera(exif),
                **_place(exif),
            }
            captions = _captions(image, exif)
        return Description({**fields, **_movement(file)}, captions)

    def documents(self, file: BinaryIO, wants: Wants) -> Iterator[Draft]:
        """One document, and the shots of a picture that moves.

        Their inputs are (h, w, 3) uint8 RGB arrays, see `media.read_picture`.
        """
        yield Draft(kind="image", inputs=(self._pixels(file, wants),))
        if wants.pixels is not None:
            yield from _shots(file, wants.pixels)

    def query_input(self, data: bytes, wants: Wants) -> Picture:
        """The (h, w, 3) uint8 RGB array of a query picture."""
        return self._pixels(io.BytesIO(data), wants)

    def _pixels(self, file: BinaryIO, wants: Wants) -> Picture:
        return read_picture(file, self._limits, _OVERSIZE * (wants.pixels or _DEFAULT_PX))


def _movement(file: BinaryIO) -> dict[str, FieldValue]:
    """The fields of a picture that moves; none of one that doesn't."""
    with suppress(BadInputError, NotInstalledError):
        film = _film(file)
        if film is not None:
            facts = _facts(film)
            length = {"duration_s": round(facts.duration_s, 3)} if facts.duration_s else {}
            return {"moving": True, **length}
    return {}


def _shots(file: BinaryIO, pixels: int) -> list[Draft]:
    with suppress(BadInputError, NotInstalledError):
        film = _film(file)
        if film is not None:
            from retrieval.films.watching import watch_whole

            return list(watch_whole(film, _facts(film), pixels))
    return []


def _film(file: BinaryIO) -> BinaryIO | None:
    """What moves of a picture: itself, or the film behind it; None: nothing."""
    return file if is_moving(file) else film_within(file)


def _facts(film: BinaryIO) -> Facts:
    if is_moving(film):
        return moving_facts(film)
    from retrieval.films.containers import facts

    return facts(film)


def _notes_first(file: BinaryIO) -> BinaryIO:
    """A PNG without its pixels, so that notes behind them are met at once; others as they are."""
    file.seek(0)
    signature = file.read(8)
    if signature != b"\x89PNG\r\n\x1a\n":
        return file
    kept = [signature]
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        if kind in _DESCRIBING_PNG_CHUNKS and length < _LARGEST_XMP:
            kept += [header, file.read(length + 4)]
        else:
            file.seek(length + 4, io.SEEK_CUR)
    return io.BytesIO(b"".join(kept) + _PNG_END)


def _format(image: Image.Image) -> str:
    # MPO is what Pillow calls the JPEG of a camera that adds a preview behind the picture.
    return {"MPO": "jpeg"}.get(image.format or "", (image.format or "").lower())


def _date(exif: Image.Exif) -> dict[str, FieldValue]:
    photo = _block(exif, ExifTags.IFD.Exif)
    for value in (
        photo.get(ExifTags.Base.DateTimeOriginal),
        photo.get(ExifTags.Base.DateTimeDigitized),
        exif.get(ExifTags.Base.DateTime),
    ):
        digits = re.sub(r"\D", "", str(value))
        with suppress(ValueError):
            taken = datetime.strptime(digits[:14], "%Y%m%d%H%M%S")
            if taken.year >= 1800:  # earlier than the first photograph: a camera's unset clock
                return {"taken": taken.isoformat(), "year": taken.year}
    return {}


def _camera(exif: Image.Exif) -> dict[str, FieldValue]:
    make = _text(exif.get(ExifTags.Base.Make))
    model = _text(exif.get(ExifTags.Base.Model))
    brand = make.split(" ")[0]
    if make and not model.lower().startswith(brand.lower()):
        model = f"{make} {model}".strip()
    return {"camera": model} if model else {}


def _place(exif: Image.Exif) -> dict[str, FieldValue]:
    gps = _block(exif, ExifTags.IFD.GPSInfo)
    latitude = _degrees(gps, ExifTags.GPS.GPSLatitude, "NS", 90)
    longitude = _degrees(gps, ExifTags.GPS.GPSLongitude, "EW", 180)
    if latitude is None or longitude is None or latitude == longitude == 0:
        return {}  # 0, 0 lies in the sea and is what receivers write that know no place
    return {"latitude": latitude, "longitude": longitude}


def _degrees(gps: Mapping[int, Any], tag: int, signs: str, most: float) -> float | None:
    """Signed decimal degrees of one coordinate; its reference stands one tag before it."""
    try:
        degrees, minutes, seconds = (float(part) for part in gps[tag])
        sign = 1 - 2 * signs.index(gps[tag - 1].strip("\0 ").upper())
    except (KeyError, ValueError, TypeError, AttributeError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    return round(sign * value, 7) if math.isfinite(value) and 0 <= value <= most else None


def _captions(image: Image.Image, exif: Image.Exif) -> tuple[str, ...]:
    """Descriptions by descending trust, each once."""
    captions = (
        _text(candidate)
        for candidate in (
            exif.get(ExifTags.Base.ImageDescription),
            *_xmp(image.info.get("xmp")),
            _iptc(image),
            _utf16(exif.get(ExifTags.Base.XPTitle)),
            _utf16(exif.get(ExifTags.Base.XPComment)),
            *(image.info.get(key) for key in ("Description", "Title", "Comment")),
        )
    )
    return tuple(dict.fromkeys(text for text in captions if not _BOILERPLATE.fullmatch(text)))


class _NoDoctype(ElementTree.TreeBuilder):
    """Stops at ``<!DOCTYPE``: XMP has none, and entities can only be declared within one."""

    def doctype(self, name: str, pubid: str, system: str) -> None:  # noqa: ARG002
        raise ElementTree.ParseError("XMP with a document type declaration")


def _xmp(packet: Any) -> list[str]:
    """dc:description, then dc:title, in all their languages, the default one first."""
    if isinstance(packet, str):
        packet = packet.encode("utf-8")
    if not isinstance(packet, bytes) or len(packet) > _LARGEST_XMP:
        return []
    try:
        parser = ElementTree.XMLParser(target=_NoDoctype())  # noqa: S314
        root = ElementTree.fromstring(packet.strip(b"\0 \n"), parser)  # noqa: S314
    except (ElementTree.ParseError, ValueError, LookupError):
        return []
    found: list[str] = []
    for tag in (f"{_DC}description", f"{_DC}title"):
        found += [node.attrib[tag] for node in root.iter() if tag in node.attrib]
        found += [item.text or "" for node in root.iter(tag) for item in node.iter(_RDF_ITEM)]
    return found


def _iptc(image: Image.Image) -> str:
    """The caption (2:120) of an IPTC block, which JPEG and TIFF may carry."""
    try:
        block = IptcImagePlugin.getiptcinfo(image) or {}  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - damaged notes raise anything; the picture is worth more
        return ""
    value = block.get((2, 120), b"")
    return _decoded(value[0] if isinstance(value, list) else value)


def _block(exif: Image.Exif, tag: int) -> Mapping[int, Any]:
    try:
        return exif.get_ifd(tag)
    except Exception:  # noqa: BLE001 - damaged notes raise anything; the picture is worth more
        return {}


def _utf16(value: Any) -> str:
    with suppress(TypeError, ValueError):
        return bytes(value).decode("utf-16-le", "ignore")
    return ""


def _text(value: Any) -> str:
    """Tidy text of a note; EXIF's is UTF-8 that Pillow has read as Latin-1, or truly Latin-1."""
    if isinstance(value, str):
        with suppress(UnicodeEncodeError):
            value = _decoded(value.encode("latin-1"))
    elif isinstance(value, bytes):
        value = _decoded(value)
    else:
        return ""
    return str(value).replace("\r\n", "\n").partition("\0")[0].strip()[:_LONGEST_CAPTION]


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")

"""Media made by code, for the whole test-suite: nothing binary is kept in the repository.

Gets: a path, and what the file shall be like. Gives: the path, with the file written. Touches:
that file. Never: randomness without a seed; the same call writes the same pixels.

Each function takes the path first and returns it. Good media: `picture` and its relatives, `text`,
`html`, `markdown`. Bad ones: `truncated`, `png_bomb`, `empty`, `text_named`, `noise`.
PDFs stand in `handmade_pdf`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

Colour = tuple[int, int, int]
RED: Colour = (200, 40, 40)
FORMATS: dict[
    str, tuple[str, dict[str, Any]]
] = {  # suffix -> what Pillow is told, losslessly or nearly so
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".png": ("PNG", {}),
    ".webp": ("WEBP", {"lossless": True}),
    ".gif": ("GIF", {}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
    ".bmp": ("BMP", {}),
    ".avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
    ".heic": ("HEIF", {"quality": 95, "chroma": 444}),
}


# -- pixels ---------------------------------------------------------------------------------------


def pattern(colour: Colour = RED, size: tuple[int, int] = (96, 64), seed: int = 0) -> Image.Image:
    """A picture that differs under every turn: a ground of `colour` and four unlike corners.

    Args:
        colour: of the ground.
        size: (width, height) in pixels.
        seed: other seeds give other corners and a disc elsewhere, so other content.
    """
    width, height = size
    random = np.random.default_rng(seed)
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = colour
    half_y, half_x = max(1, height // 3), max(1, width // 3)
    corners = np.roll([(0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255)], -seed, axis=0)
    pixels[:half_y, :half_x] = corners[0]
    pixels[:half_y, -half_x:] = corners[1]
    pixels[-half_y:, :half_x] = corners[2]
    pixels[-half_y:, -half_x:] = corners[3]
    y, x = np.mgrid[:height, :width]
    centre = random.uniform(0.35, 0.65, 2) * (height, width)
    disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < (min(size) / 6) ** 2
    pixels[disc] = random.integers(0, 256, 3)
    return Image.fromarray(pixels)


def picture(
    path: Path,
    *,
    colour: Colour = RED,
    size: tuple[int, int] = (96, 64),
    seed: int = 0,
    **save: Any,
) -> Path:
    """A good picture in the format of the path's suffix (`FORMATS`); see `pattern`."""
    return save_as(path, pattern(colour, size, seed), **save)


def save_as(path: Path, image: Image.Image, **save: Any) -> Path:
    """Write a Pillow image in the format of the path's suffix."""
    name, options = FORMATS[path.suffix.lower()]
    if name == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    with path.open("wb") as file:
        image.save(file, name, **{**options, **save})
    return path


# -- notes in pictures ----------------------------------------------------------------------------


def oriented(path: Path, orientation: int, upright: Image.Image | None = None) -> Path:
    """A picture stored turned, with the EXIF orientation (1..8) that turns it upright again."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = upright or pattern()
    stored = image.transpose(undo[orientation]) if orientation in undo else image
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return save_as(path, stored, exif=exif.tobytes())


def exif(
    *,
    taken: str | None = "2019:08:07 14:30:05",
    make: str | None = "Canon",
    model: str | None = "Canon EOS 5D",
    place: tuple[float, float] | None = (52.5, -13.25),
    description: str | None = None,
) -> Image.Exif:
    """EXIF with date, camera, place (signed degrees) and description; None leaves one out."""
    notes = Image.Exif()
    for tag, value in (
        (ExifTags.Base.Make, make),
        (ExifTags.Base.Model, model),
        (ExifTags.Base.ImageDescription, description and description.encode()),
    ):
        if value is not None:
            notes[tag] = value
    if taken is not None:
        notes.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    if place is not None:
        latitude, longitude = place
        notes.get_ifd(ExifTags.IFD.GPSInfo).update(
            {
                int(ExifTags.GPS.GPSLatitudeRef): "N" if latitude >= 0 else "S",
                int(ExifTags.GPS.GPSLatitude): _sexagesimal(latitude),
                int(ExifTags.GPS.GPSLongitudeRef): "E" if longitude >= 0 else "W",
                int(ExifTags.GPS.GPSLongitude): _sexagesimal(longitude),
            }
        )
    return notes


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    whole, part = divmod(abs(degrees), 1)
    minutes, rest = divmod(part * 60, 1)
    return whole, minutes, rest * 60


def xmp(description: str = "", title: str = "") -> bytes:
    """An XMP packet with dc:description and dc:title, where they aren't empty."""
    parts = "".join(
        f'<dc:{name}><rdf:Alt><rdf:li xml:lang="x-default">{value}</rdf:li></rdf:Alt></dc:{name}>'
        for name, value in (("description", description), ("title", title))
        if value
    )
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"{parts}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    ).encode()


def with_iptc(path: Path, caption: str, seed: int = 0) -> Path:
    """A JPEG whose caption stands in an IPTC block (2:120), as UTF-8."""
    text = caption.encode()
    iptc = b"\x1c\x01\x5a\x00\x03\x1b%G" + b"\x1c\x02\x78" + struct.pack(">H", len(text)) + text
    block = (
        b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(iptc)) + iptc + b"\x00" * (len(iptc) % 2)
    )
    payload = b"Photoshop 3.0\x00" + block
    picture(path, seed=seed)
    data = path.read_bytes()
    marker = b"\xff\xed" + struct.pack(">H", len(payload) + 2) + payload
    path.write_bytes(data[:2] + marker + data[2:])
    return path


def png_with_notes(path: Path, notes: dict[str, str], *, behind: bool = False) -> Path:
    """A PNG with text chunks; `behind` puts them after the pixels, as some programs do."""
    image = pattern()
    if not behind:
        info = PngImagePlugin.PngInfo()
        for key, value in notes.items():
            info.add_itxt(key, value)
        return save_as(path, image, pnginfo=info)
    data = save_as(path, image).read_bytes()
    chunks = b"".join(
        _png_chunk(b"iTXt", key.encode() + b"\x00\x00\x00\x00\x00" + value.encode())
        for key, value in notes.items()
    )
    path.write_bytes(data[:-12] + chunks + data[-12:])
    return path


# -- unusual pixels -------------------------------------------------------------------------------


def cmyk(path: Path) -> Path:
    """A CMYK JPEG of `pattern`."""
    return save_as(path, pattern().convert("CMYK"))


def transparent_palette(path: Path) -> Path:
    """A palette PNG: the left half fully transparent (over black), the right half pure red."""
    image = Image.new("P", (64, 64), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(1, (32, 0, 64, 64))
    return save_as(path, image, transparency=0)


def half_transparent(path: Path, colour: Colour = (255, 0, 0)) -> Path:
    """A picture of one colour whose alpha is 128 everywhere; on white it is its pastel."""
    return save_as(path, Image.new("RGBA", (32, 32), (*colour, 128)))


def deep_grey(path: Path, values: Sequence[int] = (0, 16384, 32768, 65535)) -> Path:
    """A 16-bit grey PNG or TIFF: one vertical stripe of 8 pixels per value."""
    row = np.repeat(np.asarray(values, np.uint16), 8)
    return save_as(path, Image.fromarray(np.tile(row, (32, 1))))


def grey(path: Path) -> Path:
    """An 8-bit grey picture."""
    return save_as(path, pattern().convert("L"))


def black_and_white(path: Path) -> Path:
    """A 1-bit picture: left half black, right half white."""
    image = Image.new("1", (64, 32), 0)
    image.paste(1, (32, 0, 64, 32))
    return save_as(path, image)


def swapped_profile() -> bytes:
    """An ICC profile in which the stored red is the world's green and the other way round."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", data, 128)[0]
    entries = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    data[red + 4 : red + 12], data[green + 4 : green + 12] = (
        data[green + 4 : green + 12],
        data[red + 4 : red + 12],
    )
    return bytes(data)


def with_profile(path: Path, profile: bytes, colour: Colour = (255, 0, 0)) -> Path:
    """A picture of one colour with an ICC profile."""
    return save_as(path, Image.new("RGB", (64, 64), colour), icc_profile=profile)


def animated(path: Path, colours: Sequence[Colour] = ((255, 0, 0), (0, 0, 255))) -> Path:
    """A GIF or WebP with one frame per colour."""
    first, *rest = [Image.new("RGB", (48, 48), colour) for colour in colours]
    return save_as(path, first, save_all=True, append_images=rest, duration=100)


def photo(path: Path, size: tuple[int, int] = (4000, 3000), seed: int = 0, **save: Any) -> Path:
    """A picture with a photo's spectrum (soft shapes, edges, fine grain), of 12 megapixels."""
    return save_as(path, Image.fromarray(_photo_pixels(size, seed)), **{"quality": 90, **save})


def _photo_pixels(size: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    width, height = size
    total = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((4, 90), (16, 60), (64, 30), (256, 15)):
        coarse = Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8))
        smooth = coarse.resize(size, Image.Resampling.BICUBIC)
        total += (np.asarray(smooth, np.float32) - 128) * (weight / 128)
    total += random.normal(0, 3, (height, width, 1)).astype(np.float32)
    return np.clip(total + 128, 0, 255).astype(np.uint8)


# -- bad pictures ---------------------------------------------------------------------------------


def truncated(path: Path, share: float = 0.5) -> Path:
    """A picture that ends after a share of its bytes."""
    picture(path, size=(320, 240))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def png_bomb(path: Path, side: int = 50_000) -> Path:
    """A valid grey PNG of side x side black pixels in a thousandth of its size."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _png_chunk(b"IHDR", header)
        + _png_chunk(b"IDAT", _deflated_zeros(side * (side + 1)))
        + _png_chunk(b"IEND", b"")
    )
    return path


def _deflated_zeros(count: int) -> bytes:
    """A zlib stream of that many zero bytes, without compressing each of them."""
    block = bytes(1 << 20)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush a block refers to nothing before it, so it can be repeated.
    repeated = squeeze.compress(block) + squeeze.flush(zlib.Z_FULL_FLUSH)
    whole, rest = divmod(count, len(block))
    tail = squeeze.compress(bytes(rest)) + squeeze.flush()
    adler = (count % 65521) << 16 | 1
    return b"\x78\xda" + repeated * whole + tail + struct.pack(">I", adler)


def empty(path: Path) -> Path:
    """A file of zero bytes."""
    path.write_bytes(b"")
    return path


def text_named(path: Path) -> Path:
    """Plain text under whatever name is given (``holiday.jpg``)."""
    path.write_text("This is no picture at all.\n", encoding="utf-8")
    return path


def noise(path: Path, size: int = 4096, seed: int = 0) -> Path:
    """Random bytes."""
    path.write_bytes(np.random.default_rng(seed).bytes(size))
    return path


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# -- texts ----------------------------------------------------------------------------------------

ENGLISH = (
    "The cat sleeps on the warm roof. Nobody dares to wake it!\n\n"
    "In the evening a fox crosses the garden. It looks up, and walks on.\n"
)
CHINESE = "一只猫在屋顶上睡觉。没有人敢叫醒它！\n\n傍晚,一只狐狸穿过花园。它抬头看了看,又走了。\n"


def text(path: Path, content: str = ENGLISH, encoding: str = "utf-8") -> Path:
    """A text in one of Python's encodings (``utf-8-sig``, ``utf-16``, ``gb18030``, ``big5``)."""
    path.write_bytes(content.encode(encoding))
    return path


def markdown(path: Path, title: str = "Field notes", body: str = ENGLISH) -> Path:
    """Markdown with front matter and a heading."""
    return text(path, f"---\ntags: [animals]\n---\n\n# {title}\n\n{body}")


def html(path: Path, title: str = "Field notes", body: str = "<p>A fox.</p><p>A cat.</p>") -> Path:
    """An HTML page with a script and a style that nobody should find."""
    return text(
        path,
        f"<!DOCTYPE html><html><head><meta charset='utf-8'><title>{title}</title>"
        "<style>p { color: hiddenstyle }</style><script>var hiddenscript = 1;</script></head>"
        f"<body><h1>{title}</h1>{body}</body></html>",
    )

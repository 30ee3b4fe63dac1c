"""Opening pictures: bytes of any sort and shape become upright sRGB arrays.

Gets: a binary file. Gives: an (h, w, 3) uint8 RGB array, or the opened header. Touches: Pillow.
Never: a path, a store, the network.

Decisions that bind this module:

- The header is judged before a pixel is decoded, so a bomb costs a few hundred bytes.
- Pillow's plugins raise whatever their parser stumbled over, so all of it is caught in one place
  (`open_picture`) and told as `BadInputError`. A truncated picture is refused, never padded.
- Pillow keeps its pixel limit and Python its warning filters in module globals. Both are set for
  the time of one picture and under a lock; decoding is parallel by processes, not by threads.
- Order of work: decode small, reduce, then colour, alpha and orientation, since every step after
  the reduction is cheap.
"""

from __future__ import annotations

import io
import threading
import warnings
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    ExifTags,
    Image,
    ImageCms,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from .errors import BadInputError
from .protocols import Limits
from .schema import SkipReason, printable

Picture = NDArray[np.uint8]

# Named one by one: Pillow knows formats that start programs (EPS) or are no photographs. The
# imports above register three of them; else the first WebP would load all of Pillow's plugins.
FORMATS = (
    "JPEG",
    "PNG",
    "GIF",
    "BMP",
    WebPImagePlugin.WebPImageFile.format,
    TiffImagePlugin.TiffImageFile.format,
    AvifImagePlugin.AvifImageFile.format,
)
MEDIA_VERSION = 1  # part of every recipe that decodes through here; raise it when pixels change

# An array is at most this many times as long as its shorter side was asked to be, so that a
# strip of 500 by 500,000 pixels can't flood memory. Up to 16 : 1 nothing is lost by it.
_LONGEST = 16

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIGNATURES = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"ID3", "a sound"),
    (b"OggS", "a sound or a film"),
    (b"\x1aE\xdf\xa3", "a film"),
    (b"SQLite format 3", "a database"),
)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_SRGB = ImageCms.createProfile("sRGB")
_LOCK = threading.RLock()


def read_picture(file: BinaryIO, limits: Limits, shorter_px: int | None = None) -> Picture:
    """Decode a picture upright, in sRGB, on white.

    Args:
        file: seekable; its name is not looked at.
        limits: `pixels` is checked before anything is decoded.
        shorter_px: the shorter side is reduced to this, where it is longer. None: full size.

    Raises:
        BadInputError: empty, unreadable, corrupt, too_large, not_installed or decoder_failed.
    """
    with open_picture(file, limits) as image:
        return upright_rgb(image, shorter_px)


@contextmanager
def open_picture(file: BinaryIO, limits: Limits) -> Iterator[Image.Image]:
    """Open a picture's header; what goes wrong until the end of the block is a `BadInputError`.

    The messages go behind the file's name: "is text, not a picture".
    """
    try:
        with _LOCK, _quiet_pillow(limits.pixels):
            image = _identify(file)
            if image.width * image.height > limits.pixels:
                raise _too_large(limits, f" ({image.width} x {image.height})")
            yield image
    except BadInputError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(limits) from error
    except MemoryError as error:
        message = "needs more memory than a decoder is given"
        raise BadInputError(SkipReason.DECODER_FAILED, message) from error
    except Exception as error:  # the plugins raise anything that their parser meets
        raise _broken(error) from error


def upright_rgb(image: Image.Image, shorter_px: int | None = None) -> Picture:
    """The pixels of an opened picture; see `read_picture`."""
    if shorter_px is not None:
        image.draft(None, _reduced(image.size, shorter_px))
    image.load()
    turn = _TURNS.get(orientation(image))
    image = _resizable(image)
    if shorter_px is not None and (target := _reduced(image.size, shorter_px)) != image.size:
        image = image.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)
    image = _on_white(_in_srgb(image))
    return np.array(image if turn is None else image.transpose(turn))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) as displayed, from the header alone."""
    # Pillow's TIFF reader alone has turned its size (and turns its pixels) by itself.
    turned = image.format != "TIFF" and orientation(image) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else (image.width, image.height)


def exif_of(image: Image.Image) -> Image.Exif:
    """The picture's EXIF as far as it is known without decoding; empty when it is damaged."""
    try:
        # Not image.getexif(): that of a PNG decodes the pixels to look behind them.
        return Image.Image.getexif(image)
    except Exception:  # noqa: BLE001 - damaged notes raise anything; the picture is worth more
        return Image.Exif()


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1 when it is absent or nonsense."""
    value = exif_of(image).get(ExifTags.Base.Orientation)
    return value if value in _TURNS else 1


def kind_of(head: bytes) -> str | None:
    """What the first bytes of a file look like, in words: "a PDF", "text"; None: no idea."""
    if head[4:8] == b"ftyp":
        avif = b"avif" in head[8:48] or b"avis" in head[8:48]
        return "a HEIF picture" if _is_heif(head) else "an AVIF picture" if avif else "a film"
    if head[:4] == b"RIFF":
        return {b"WEBP": "a WebP picture", b"WAVE": "a sound"}.get(head[8:12], "a film")
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    return "text" if _is_text(head) else None


@contextmanager
def _quiet_pillow(pixels: int) -> Iterator[None]:
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Image.MAX_IMAGE_PIXELS = pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _identify(file: BinaryIO) -> Image.Image:
    file.seek(0)
    head = file.read(4096)
    if not head:
        raise BadInputError(SkipReason.EMPTY, "is empty")
    is_heif = _is_heif(head)
    if is_heif:
        _register_heif()
    try:
        return Image.open(file, formats=("HEIF",) if is_heif else FORMATS)
    except UnidentifiedImageError as error:  # whose own message names a Python object
        kind = "a HEIF picture" if is_heif else kind_of(head)
        if kind is None:
            message = "is not a picture of a known format"
        elif kind.endswith("picture"):
            message = f"is {kind} whose header is damaged"
        else:
            message = f"is {kind}, not a picture"
        raise BadInputError(SkipReason.CORRUPT, message) from error


def _register_heif() -> None:
    try:
        from pillow_heif import register_heif_opener  # 30 ms that most folders never need
    except ImportError as error:
        message = "is a HEIF picture, which needs the package `pillow-heif`"
        raise BadInputError(SkipReason.NOT_INSTALLED, message) from error
    if "HEIF" not in Image.OPEN:
        register_heif_opener()


def _is_heif(head: bytes) -> bool:
    brands = head[8:12] + head[16:48]
    if head[4:8] != b"ftyp" or b"avif" in brands:
        return False
    return any(brand in brands for brand in _HEIF_BRANDS)


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    with suppress(UnicodeDecodeError):
        # final=False: the head may end within a character.
        getincrementaldecoder("utf-8")().decode(head, final=False)
        return b"\x00" not in head
    return False


def _too_large(limits: Limits, size: str = "") -> BadInputError:
    message = f"has more pixels{size} than the limit of {limits.pixels:,}"
    return BadInputError(SkipReason.TOO_LARGE, message)


def _broken(error: Exception) -> BadInputError:
    if isinstance(error, OSError) and error.errno is not None:
        return BadInputError(SkipReason.UNREADABLE, f"can't be read: {error.strerror}")
    detail = printable(str(error).strip())
    if isinstance(error, EOFError) or "truncated" in detail.lower():
        return BadInputError(SkipReason.CORRUPT, "is cut short: the picture is incomplete")
    return BadInputError(SkipReason.CORRUPT, f"is damaged: {detail or type(error).__name__}")


def _reduced(size: tuple[int, int], shorter_px: int) -> tuple[int, int]:
    scale = min(1.0, shorter_px / min(size), _LONGEST * shorter_px / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _resizable(image: Image.Image) -> Image.Image:
    """The picture in a mode that Pillow can interpolate: L, RGB, RGBA, CMYK or LAB."""
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in ("L", "RGB", "CMYK", "LAB") else image.convert("RGB")


def _eight_bits(values: NDArray[np.generic]) -> Picture:
    """Deep grey to 8 bits: by the smallest usual range that holds it, else stretched to fit."""
    deep = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = float(deep.min()), float(deep.max())
    if values.dtype.itemsize == 2:
        low, high = 0.0, 65535.0
    else:
        whites = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (255.0, 65535.0)
        fitting = [white for white in whites if low >= 0 and high <= white]
        low, high = (0.0, fitting[0]) if fitting else (low, max(high, low + 1.0))
    scaled: Picture = np.rint((deep - low) * (255.0 / (high - low))).astype(np.uint8)
    return scaled


def _in_srgb(image: Image.Image) -> Image.Image:
    """Colours converted by the embedded profile; a broken or unfitting profile is ignored."""
    data = image.info.get("icc_profile")
    with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
        if image.mode == "LAB":
            profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif data:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        else:
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(image, profile, _SRGB, outputMode=mode)
        return converted or image
    return image


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")

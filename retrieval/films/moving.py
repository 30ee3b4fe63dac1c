"""Pictures that move (GIF, APNG, WebP), and films that lie hidden behind a photo.

Gets: a picture's bytes. Gives: frames, or the film inside as a file. Touches: Pillow.
Never: PyAV; keeps more than a frame.

Durations are as browsers show them: one of 10 ms or less, or none, is 100 ms. A picture is played
once, however often it would repeat. Transparent parts are white, as in a still picture.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from retrieval.errors import BadInputError, SkipReason
from retrieval.protocols import Limits

from .nouns import Facts, Frame, Picture

if TYPE_CHECKING:
    from .containers import Damage

_FORMATS = ("GIF", "PNG", "WEBP")
_AS_BROWSERS_S = 0.1
_SHORTEST_S = 0.01


def is_moving(file: BinaryIO) -> bool:
    """Whether a file is a GIF, PNG or WebP of more than one picture."""
    file.seek(0)
    head = file.read(32)
    if not (head.startswith((b"GIF8", b"\x89PNG")) or head[8:12] == b"WEBP"):
        return False
    try:
        with _opened(file) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # noqa: BLE001 - Pillow's plugins raise anything
        return False


def moving_facts(file: BinaryIO) -> Facts:
    """What a moving picture is like; its length is the sum of its frames' durations."""
    with _opened(file) as image:
        times = []
        with suppress(Exception):  # what can be read of a damaged one counts
            for index in range(getattr(image, "n_frames", 1)):
                image.seek(index)
                image.load()  # a WebP knows its duration only then
                times.append(_duration_s(image))
        length_s = math.fsum(times)
        return Facts(
            duration_s=length_s,
            width=image.width,
            height=image.height,
            fps=len(times) / length_s if length_s else None,
            video_codec=(image.format or "").lower(),
        )


def moving_frames(
    file: BinaryIO, *, start: float, end: float, size: int, damage: Damage
) -> Iterator[Frame]:
    """The frames of a moving picture; see `frames.frames`."""
    time_s, index = 0.0, 0
    with _opened(file) as image:
        if image.width * image.height > Limits().pixels:
            message = f"has more pixels ({image.width} x {image.height}) than the limit"
            raise BadInputError(SkipReason.TOO_LARGE, message)
        while time_s < end:
            try:
                image.seek(index)
                image.load()
                picture = _picture(image, size) if time_s >= start else None
                duration_s = _duration_s(image)
            except EOFError:
                return
            except Exception:  # noqa: BLE001 - Pillow's plugins raise anything
                damage.at(time_s)
                return
            if picture is not None:
                yield Frame(time_s, picture)
            time_s += duration_s
            index += 1


def _opened(file: BinaryIO) -> Image.Image:
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Image.open(file, formats=_FORMATS)
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            message = "is a moving picture whose header is damaged"
            raise BadInputError(SkipReason.CORRUPT, message) from error


def _duration_s(image: Image.Image) -> float:
    written = float(image.info.get("duration", 0)) / 1000
    return written if written > _SHORTEST_S else _AS_BROWSERS_S


def _picture(image: Image.Image, size: int) -> Picture:
    shown = image.convert("RGBA")
    scale = min(1.0, size / min(shown.size))
    target = (max(1, round(shown.width * scale)), max(1, round(shown.height * scale)))
    if target != shown.size:
        shown = shown.resize(target, Image.Resampling.BOX)
    white = Image.new("RGBA", shown.size, "white")
    return np.array(Image.alpha_composite(white, shown).convert("RGB"))

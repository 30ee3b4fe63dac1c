"""Lines, cards and badges: what sheets and strips are drawn with.

Gets: words, a place, a size. Gives: ink on a Pillow image. Touches: nothing but that image and the
fonts. Never: a file of the user's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFont

from retrieval.fonts import Lettering, drawable

PAGE, MAT, CARD, BROKEN = "#ffffff", "#f1f1ee", "#faf8f2", "#d9d9d6"
INK, FAINT, LINE, BADGE = "#1c1c1a", "#757570", "#dddcd6", "#2b2b28"
MARGIN, GAP, PAD = 28, 20, 14
HEADING_PX, TITLE_PX, SUBTITLE_PX, CARD_PX = 22, 15, 13, 17
LEADING = 1.45  # from line to line, of a letter's size
LONGEST = 600  # characters of a text that are measured and drawn
# Where a line may be broken: around each character of a dense script, and at white space.
_WORDS = re.compile(
    "[\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]|\\s+|[^\\s\u2e80-\uffef]+|."
)

Place = tuple[int, int]
Style = tuple[int, str]  # size in pixels, ink


def card(
    text: str, size: tuple[int, int], ground: str, ink: str, *, ranked: bool = True
) -> Image.Image:
    """A box with a text in it, wrapped; the part that has no room ends in an ellipsis."""
    drawn = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(drawn)
    width, height = size
    draw.rectangle((0, 0, width - 1, height - 1), outline=LINE)
    first = PAD + 26 if ranked else PAD  # under the rank
    room = max(1, (height - first - PAD) // round(CARD_PX * LEADING))
    paragraph(draw, (PAD, first), text, (CARD_PX, ink), (width - 2 * PAD, room))
    return drawn


def fitted(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A picture on a mat of `size`: reduced to fit, never cropped or enlarged."""
    picture.thumbnail(size, Image.Resampling.LANCZOS)
    mat = Image.new("RGB", size, MAT)
    mat.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    return mat


def paragraph(
    draw: ImageDraw.ImageDraw, place: Place, text: str, style: Style, room: tuple[int, int]
) -> int:
    """Draw a text wrapped into `room` (width in pixels, lines).

    Returns:
        How many lines it took.
    """
    (x, y), (size, ink), (width, most) = place, style, room
    letters = Lettering(size)
    lines = list(_wrapped(drawable(text[:LONGEST]), letters, width))
    if len(lines) > most:
        lines = [*lines[: most - 1], _shortened(lines[most - 1] + "...", letters, width)]
    for index, text_line in enumerate(lines):
        letters.draw(draw, (x, y + index * round(size * LEADING)), text_line, ink)
    return len(lines)


def line(draw: ImageDraw.ImageDraw, place: Place, text: str, style: Style, width: int) -> None:
    """Draw a text in one line, shortened to `width` pixels."""
    size, ink = style
    letters = Lettering(size)
    letters.draw(draw, place, _shortened(drawable(text[:LONGEST]), letters, width), ink)


def line_to_right(
    draw: ImageDraw.ImageDraw, place: Place, text: str, style: Style, width: int
) -> int:
    """Draw a line that ends at `place`, its top right corner; gives its width in pixels."""
    size, ink = style
    letters = Lettering(size)
    shown = _shortened(drawable(text[:LONGEST]), letters, width)
    taken = round(letters.getlength(shown))
    letters.draw(draw, (place[0] - taken, place[1]), shown, ink)
    return taken


def width_of(text: str, size: int) -> int:
    """Width in pixels of a text in letters of a size."""
    return math.ceil(Lettering(size).getlength(drawable(text[:LONGEST])))


def badge(draw: ImageDraw.ImageDraw, place: Place, rank: str) -> int:
    """Draw a rank on a dark ground; gives the pixel that its ground ends at."""
    x, y = place
    font = ImageFont.load_default(SUBTITLE_PX)
    right = x + round(font.getlength(rank)) + 12
    draw.rounded_rectangle((x, y, right, y + 20), radius=5, fill=BADGE)
    draw.text(((x + right) / 2, y + 10), rank, fill=PAGE, font=font, anchor="mm")
    return right


def _shortened(text: str, letters: Lettering, width: int) -> str:
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def _wrapped(text: str, letters: Lettering, width: int) -> Iterator[str]:
    """Lines no wider than `width`; a word that is wider alone is broken."""
    line = ""
    for word in _WORDS.findall(text):
        if letters.getlength(line + word) <= width:
            line += word
            continue
        if line.strip():
            yield line.strip()
        line = ""
        for character in word.strip():
            if line and letters.getlength(line + character) > width:
                yield line
                line = ""
            line += character
    if line.strip():
        yield line.strip()

r"""Lettering: words drawn with the fonts of this machine, whatever script they are in.

Gets: a text and a size. Gives: its width, and the text on a picture. Touches: the system's font
folders, once; `fc-match`, where there is one. Never: fetches a font.

Pillow brings a font for Latin letters only. Each other character is drawn with the first installed
font that has it: one of the usual files, else what fontconfig names. One that no font has is
written as its escape, ``\u732b``, and `absent` tells of it, so that a user can be told.
"""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageDraw, ImageFont

from .schema import printable

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

FONT_FOLDERS: tuple[Path, ...] = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("~/.local/share/fonts"),
    Path("~/.fonts"),
    Path("/System/Library/Fonts"),
    Path("/Library/Fonts"),
    Path("~/Library/Fonts"),
    Path("C:/Windows/Fonts"),
    Path("~/AppData/Local/Microsoft/Windows/Fonts"),
)
# Files that hold many scripts, Chinese first; the order is the order of preference.
FONT_FILES: tuple[str, ...] = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansSC-Regular.otf",
    "SourceHanSansSC-Regular.otf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "STHeiti Light.ttc",
    "msyh.ttc",
    "simhei.ttf",
    "simsun.ttc",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
    "uming.ttc",
    "Arial Unicode.ttf",
    "ARIALUNI.TTF",
    "NotoSans-Regular.ttf",
    "DejaVuSans.ttf",
    "LiberationSans-Regular.ttf",
    "arial.ttf",
    "NotoEmoji-Regular.ttf",
    "Symbola.ttf",
    "Symbola_hint.ttf",
    "seguiemj.ttf",
    "seguisym.ttf",
)

_TRIED_PX = 15
_ABSENT = "\U0010ffff"  # no font has it, so it shows what a font draws for an absent glyph
_ASK_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Lettering:
    """Letters of one size in pixels; each character in a font that has it."""

    size: int

    def getlength(self, text: str) -> float:
        """Width of a `drawable` text in pixels."""
        return sum(_font(path, self.size).getlength(run) for path, run in _runs(text))

    def draw(
        self, draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, ink: str
    ) -> None:
        """Draw a `drawable` text in one line; `place` is its top left corner."""
        x, y = place
        base = y + self.size  # all runs stand on one line, whatever their fonts' heights
        for path, run in _runs(text):
            font = _font(path, self.size)
            anchor = "ls" if isinstance(font, ImageFont.FreeTypeFont) else None
            draw.text((x, base if anchor else y), run, fill=ink, font=font, anchor=anchor)
            x += font.getlength(run)


def drawable(text: str) -> str:
    """`text` in one line; marks that only join others left out, what no font has escaped."""
    return "".join(c if _has_any(c) else c.encode("unicode_escape").decode() for c in _plain(text))


def absent(texts: Iterable[str]) -> str:
    """The characters of some texts that no font here has, each once."""
    return "".join(dict.fromkeys(c for text in texts for c in _plain(text) if not _has_any(c)))


def _plain(text: str) -> str:
    kept = (c for c in " ".join(text.split()) if not _only_joins(c))
    return printable("".join(kept))


def _only_joins(character: str) -> bool:
    """Joiners and variation selectors, which say how emoji go together and have no look."""
    return character in "\u200b\u200c\u200d\u2060\ufeff" or "\ufe00" <= character <= "\ufe0f"


def _runs(text: str) -> Iterator[tuple[Path | None, str]]:
    for path, run in itertools.groupby(text, lambda c: _font_of(c) if c != " " else None):
        yield path, "".join(run)


def _has_any(character: str) -> bool:
    return _has(_font_of(character), character)


@functools.lru_cache(maxsize=4096)
def _font_of(character: str) -> Path | None:
    """The first font that has a character; Pillow's own, if none has."""
    for path in (None, *_system_fonts(FONT_FOLDERS)):
        if _has(path, character):
            return path
    named = _named_by_fontconfig(character) if FONT_FOLDERS else None
    return named if named and _has(named, character) else None


_named: dict[int, Path | None] = {}


def _named_by_fontconfig(character: str) -> Path | None:
    """What fontconfig would draw it with; asked once for each block of 256 characters."""
    block = ord(character) >> 8
    if block not in _named:
        _named[block] = _ask_fontconfig(character)
    return _named[block]


def _ask_fontconfig(character: str) -> Path | None:
    program = shutil.which("fc-match")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - the character goes in as a number
            [program, "--format=%{file}", f":charset={ord(character):x}"],
            capture_output=True,
            timeout=_ASK_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    path = Path(os.fsdecode(done.stdout.strip()))
    return path if path.is_file() and _is_font(path) else None


@functools.lru_cache(maxsize=4)
def _system_fonts(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """The files of `FONT_FILES` that are there and can be read, best first."""
    found: dict[str, Path] = {}
    for folder in folders:
        for root, _, names in os.walk(folder.expanduser()):
            for name in names:
                if name in FONT_FILES and _is_font(Path(root, name)):
                    found.setdefault(name, Path(root, name))
    return tuple(found[name] for name in FONT_FILES if name in found)


def _is_font(path: Path) -> bool:
    try:
        _font(path, _TRIED_PX)
    except OSError:  # no font, or one of pictures that has no such size
        return False
    return True


@functools.lru_cache(maxsize=64)
def _font(path: Path | None, size: int) -> Font:
    return ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)


@functools.lru_cache(maxsize=8192)
def _has(path: Path | None, character: str) -> bool:
    """Whether a font has a glyph of its own for a character."""
    font = _font(path, _TRIED_PX)
    return character.isspace() or _look(font, character) != _look(font, _ABSENT)


def _look(font: Font, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)

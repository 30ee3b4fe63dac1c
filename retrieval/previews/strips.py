"""Bands: a film as the key frames of its best moments, a recording as their waveforms.

Gets: a way to open the file, times, words. Gives: a Pillow image over the whole width of a sheet.
Touches: what the opener opens; decodes only what is shown. Never: a store, a ranking.

    [1] dog.mp4                                        2.31, 1:02.0, no speech
    ----====----------------------------==-----------  where in the film its moments are
    +-------+ +-------+ +-------+ +-------+ +-------+  0:13.0-0:24.5   2.31
    |       | |       | |       | |       | |       |  speech 4.20, shot 0.31
    +-------+ +-------+ +-------+ +-------+ +-------+  "boarding starts in ten minutes"
    0:14.2    0:16.4    0:18.7    0:21.1    0:23.4
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageDraw

from retrieval.errors import BadInputError, EcholensError
from retrieval.schema import FloatArray

from . import drawing
from .drawing import FAINT, INK, LINE, PAGE, SUBTITLE_PX, TITLE_PX

_ACCENT, _TINT, _QUIET = "#d1571f", "#f8e7dc", "#a5a49d"
_STILLS, _STILL_PX, _STILL_GAP = 5, 200, 8  # in a row, width of each, between two
_STRIP_PX = _STILLS * (_STILL_PX + _STILL_GAP) - _STILL_GAP
_TALLEST, _LOWEST = 168, 84  # heights of a row of stills
_WAVE_PX, _BAR_PX, _BAR_STEP = 96, 2, 3
_COLUMN_GAP, _BETWEEN = 24, 12
_LEGEND_PX = 12
_WAVE_RATE = 8_000  # Hz; enough for an outline


@dataclass(frozen=True, slots=True)
class Still:
    """A frame of a film.

    Attributes:
        time_s: in seconds.
        label: what is written under it.
        jpeg: the frame, if a thumbnail of it is kept; None: it is decoded.
    """

    time_s: float
    label: str
    jpeg: bytes | None = None


@dataclass(frozen=True, slots=True)
class Wave:
    """The sound around a moment.

    Attributes:
        start, end: what is shown, in seconds.
        marked: (start, end) of the moment.
        labels: (time, words) to write under the waveform, the most important first.
    """

    start: float
    end: float
    marked: tuple[float, float]
    labels: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Strip:
    """One moment.

    Attributes:
        start, end: of it, in seconds.
        title: its times in words.
        score: in words.
        found_by: what it was found by, in words.
        text: what was said.
        stills: frames of it; none for a recording.
        wave: its sound; None where frames are shown.
    """

    start: float
    end: float
    title: str
    score: str = ""
    found_by: str = ""
    text: str = ""
    stills: tuple[Still, ...] = ()
    wave: Wave | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """One hit that is a film or a recording.

    Attributes:
        open: opens its file.
        title, subtitle: the line over it, on the left and on the right.
        strips: its moments, best first.
        length_s: of the whole file; None: unknown.
        badge: in its corner; its rank, if None.
    """

    open: Callable[[], BinaryIO]
    title: str
    subtitle: str
    strips: tuple[Strip, ...]
    length_s: float | None = None
    badge: str | None = None


def draw_band(band: Band, width: int, rank: int) -> Image.Image:
    """Draw a band, `width` pixels wide."""
    rows = [_row(band, strip, width) for strip in band.strips]
    head = TITLE_PX + 16 + (14 if band.length_s else 0)
    height = head + sum(row.height for row in rows) + _BETWEEN * max(0, len(rows) - 1)
    drawn = Image.new("RGB", (width, height), PAGE)
    draw = ImageDraw.Draw(drawn)
    left = drawing.badge(draw, (0, 0), str(rank) if band.badge is None else band.badge) + 10
    taken = drawing.line_to_right(draw, (width, 3), band.subtitle, (SUBTITLE_PX, FAINT), width // 2)
    drawing.line(draw, (left, 1), band.title, (TITLE_PX, INK), width - left - taken - 20)
    if band.length_s:
        _timeline(draw, band, width, TITLE_PX + 13)
    top = head
    for row in rows:
        drawn.paste(row, (0, top))
        top += row.height + _BETWEEN
    return drawn


def _timeline(draw: ImageDraw.ImageDraw, band: Band, width: int, y: int) -> None:
    """A line as long as the file, the moments thick on it."""
    length = max(band.length_s or 0.0, *(strip.end for strip in band.strips), 1e-3)
    draw.line((0, y + 2, width - 1, y + 2), fill=LINE, width=2)
    for strip in reversed(band.strips):  # the best one is never covered
        start, end = (round(at / length * (width - 1)) for at in (strip.start, strip.end))
        ink = _ACCENT if strip is band.strips[0] else _QUIET
        draw.rounded_rectangle((start, y, max(end, start + 5), y + 5), radius=2, fill=ink)


def _row(band: Band, strip: Strip, width: int) -> Image.Image:
    shown = _wave(band, strip.wave) if strip.wave else _stills(band, strip)
    row = Image.new("RGB", (width, shown.height), PAGE)
    row.paste(shown, (0, 0))
    _words(row, strip, _STRIP_PX + _COLUMN_GAP)
    return row


def _words(row: Image.Image, strip: Strip, left: int) -> None:
    """The column beside a strip: when, how well, by what, and what was said."""
    draw, room = ImageDraw.Draw(row), row.width - left
    taken = drawing.line_to_right(draw, (row.width, 1), strip.score, (SUBTITLE_PX, FAINT), room)
    drawing.line(draw, (left, 0), strip.title, (TITLE_PX, INK), room - taken - 8)
    step = round(SUBTITLE_PX * drawing.LEADING)
    top = TITLE_PX + 8
    style = (SUBTITLE_PX, FAINT)
    top += step * drawing.paragraph(draw, (left, top), strip.found_by, style, (room, 2)) + 2
    most = (row.height - top) // step
    if strip.text and most > 0:
        drawing.paragraph(draw, (left, top), strip.text, (SUBTITLE_PX, INK), (room, most))


def _stills(band: Band, strip: Strip) -> Image.Image:
    """Frames in a row, their times under them; why there are none, if there are none."""
    found: list[tuple[Still, Image.Image]] = []
    instead = "There is no picture at this time."
    for still in strip.stills:
        try:
            picture = _picture(band.open, still, strip)
        except EcholensError as error:
            instead = _why(error)
        except OSError:
            instead = "This file can't be opened."
        else:
            found += [] if picture is None else [(still, picture)]
    if not found:
        return _broken(instead)
    ratio = max(picture.height / picture.width for _, picture in found)
    height = round(min(max(_STILL_PX * ratio, _LOWEST), _TALLEST))
    row = Image.new("RGB", (_STRIP_PX, height + _LEGEND_PX + 8), PAGE)
    draw = ImageDraw.Draw(row)
    for index, (still, picture) in enumerate(found):
        x = index * (_STILL_PX + _STILL_GAP)
        row.paste(drawing.fitted(picture, (_STILL_PX, height)), (x, 0))
        style = (_LEGEND_PX, FAINT)
        drawing.line(draw, (x + 1, height + 4), still.label, style, _STILL_PX)
    return row


def _why(error: EcholensError) -> str:
    is_bad = isinstance(error, BadInputError)
    return f"This file {error}." if is_bad else f"{error} {error.advice}"


def _broken(why: str) -> Image.Image:
    return drawing.card(why, (_STRIP_PX, _WAVE_PX), drawing.BROKEN, FAINT, ranked=False)


def _picture(opener: Callable[[], BinaryIO], still: Still, strip: Strip) -> Image.Image | None:
    if still.jpeg is not None:
        with suppress(OSError):  # damaged
            return Image.open(io.BytesIO(still.jpeg)).convert("RGB")
    return _frame(opener, still.time_s, strip)


def _frame(opener: Callable[[], BinaryIO], time_s: float, strip: Strip) -> Image.Image | None:
    """The first frame of a moment from a time on, else the last one before it."""
    from retrieval.films.frames import frames

    with opener() as file:
        found = next(frames(file, start=time_s, end=strip.end, size=_TALLEST), None)
        if found is None:
            before = deque(frames(file, start=strip.start, end=time_s, size=_TALLEST), maxlen=1)
            found = before[0] if before else None
    return None if found is None else Image.fromarray(found.picture)


def _wave(band: Band, wave: Wave) -> Image.Image:
    """An outline of the sound, the moment marked in it."""
    try:
        from retrieval.films.sound import sound

        with band.open() as file:
            samples = sound(file, rate=_WAVE_RATE, start=wave.start, end=wave.end)
    except EcholensError as error:
        return _broken(_why(error))
    except OSError:
        return _broken("This file can't be opened.")
    drawn = Image.new("RGB", (_STRIP_PX, _WAVE_PX + _LEGEND_PX + 8), PAGE)
    draw = ImageDraw.Draw(drawn)
    left, right = (_at(wave, time_s) for time_s in wave.marked)
    draw.rectangle((0, 0, _STRIP_PX - 1, _WAVE_PX - 1), fill=drawing.CARD)
    draw.rectangle((left, 0, max(left + 1, right), _WAVE_PX - 1), fill=_TINT)
    count = round((wave.end - wave.start) * _WAVE_RATE)
    for x, peak in zip(range(0, _STRIP_PX, _BAR_STEP), _peaks(samples, count), strict=False):
        half = max(1, round(peak * (_WAVE_PX / 2 - 6)))
        ink = _ACCENT if left <= x <= right else _QUIET
        middle = _WAVE_PX // 2
        draw.rectangle((x, middle - half, x + _BAR_PX - 1, middle + half), fill=ink)
    _legend(draw, wave)
    return drawn


def _at(wave: Wave, time_s: float) -> int:
    part = (time_s - wave.start) / max(wave.end - wave.start, 1e-6)
    return round(min(max(part, 0.0), 1.0) * (_STRIP_PX - 1))


def _peaks(samples: FloatArray, count: int) -> FloatArray:
    """How loud it is under each bar, 1 being the loudest that is shown.

    Args:
        samples: (n,) float32; may be fewer than `count` at the end of the file.
        count: samples that the width of the strip stands for.
    """
    bars = -(-_STRIP_PX // _BAR_STEP)
    size = max(1, -(-count // bars))
    whole = np.zeros(bars * size, np.float32)
    whole[: min(len(samples), len(whole))] = np.abs(samples[: len(whole)])
    peaks = whole.reshape(bars, size).max(axis=1)
    loudest = float(peaks.max())
    # Louder stays louder; a square root, so that quiet speech beside a bang still shows.
    return np.sqrt(peaks / loudest) if loudest > 1e-4 else np.zeros_like(peaks)


def _legend(draw: ImageDraw.ImageDraw, wave: Wave) -> None:
    """Times under a waveform; one that has no room beside those before it is left out."""
    taken: list[tuple[int, int]] = []
    for time_s, label in wave.labels:
        width = drawing.width_of(label, _LEGEND_PX)
        x = min(max(_at(wave, time_s) - width // 2, 0), _STRIP_PX - width)
        if all(x >= right + 10 or x + width + 10 <= left for left, right in taken):
            drawing.line(draw, (x, _WAVE_PX + 4), label, (_LEGEND_PX, FAINT), width + 2)
            taken.append((x, x + width))

"""Shots: where a film cuts, and the few pictures that stand for what lies between two cuts.

Gets: frames in order of time. Gives: shots in order, which don't overlap and leave no gap.
Touches: PySceneDetect (and OpenCV through it). Never: a file.

Decisions that bind this module:

- The detector sees the frames one by one, reduced; times are the frames' own, never counted from
  a frame rate, so films of a varying one come out right.
- Rather a cut too many than too few: twice the change of its neighbours is one. In an edited
  film full of motion that finds five cuts more of 22 than the detector's own three times; what it
  makes up splits a shot, and the moments of an answer join it again.
- Frames far apart (key frames only, slides) all differ, and how much each differs from its
  neighbours says nothing: there a cut is where the content changes by a fixed amount.
- A cut sooner than `SHORTEST_S` after another is none. What lies between two cuts longer than
  `LONGEST_S` is split evenly: a camera that nobody moves films many things one after another.
- Of what lies between two cuts at most `_KEPT` frames are kept, evenly spread: when there are more,
  every other one goes. So memory doesn't grow with the length of a shot.
- The pictures of a shot are spread over it. A frame that is black or blank, or that repeats one
  already taken, stands for nothing; a shot of nothing else is `blank` and has one picture, the
  one with most to see, since a film that is dark from end to end must still be found.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from importlib import metadata
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import BadInputError, SkipReason
from retrieval.timed import STRETCH_S

if TYPE_CHECKING:
    from .nouns import Frame, Picture

SHOTS_VERSION = 1  # raise it when other shots come out
SHORTEST_S = 0.6
LONGEST_S = 10.0
MOST_PICTURES = 4

_RATIO = 2.0  # a cut: so many times the change of the frames around it, ...
_LEAST_CHANGE = 20.0  # ... and at least so much (mean of hue, saturation and value, 0 to 255)
_AROUND = 2  # frames on either side
_CHANGE_APART = 27.0  # a cut between frames far apart
_DETECTOR_PX = 256  # longer side of what the detector sees
_RATE = Fraction(25)  # the detector counts frames; this only lets it

_KEPT = 64
_BLACK = 32  # the brightest half percent of a black frame is darker than this (0 to 255)
_BLANK = 4.0  # standard deviation of the luma of a blank frame is less than this
_CELLS = 16  # a repeat is told by so many by so many cells, ...
_REPEAT = 10.0  # ... none of which differs in luma by more than this
_USUAL_GAP_S = 0.04  # of a film that has one frame
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class Shot:
    """What a film shows from `start` to `end` seconds.

    Attributes:
        frames: 1..`MOST_PICTURES` that stand for it, in order.
        blank: whether nothing is to be seen in it: black, or one colour.
    """

    start: float
    end: float
    frames: tuple[Frame, ...]
    blank: bool = False

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """(h, w, 3) uint8 RGB arrays."""
        return tuple(frame.picture for frame in self.frames)

    @property
    def key_frame(self) -> Frame:
        """The one to show a person: the middle one."""
        return self.frames[len(self.frames) // 2]


def recipe() -> dict[str, str | int | float]:
    """What decides which shots come out; the detector's version is part of it."""
    return {
        "shots": SHOTS_VERSION,
        "shortest_s": SHORTEST_S,
        "longest_s": LONGEST_S,
        "pictures": MOST_PICTURES,
        "detector": f"adaptive {_RATIO:g} {_LEAST_CHANGE:g} {_AROUND}, content {_CHANGE_APART:g}",
        "scenedetect": _detector_version(),
    }


def shots(
    frames: Iterable[Frame],
    *,
    start: float | None = None,
    until: float = math.inf,
    ends: float | None = None,
    sparse: bool = False,
) -> Iterator[Shot]:
    """Cut frames into shots.

    Args:
        frames: in order of time; no more are taken after the first at `until` or later.
        start: of the first shot, if its first frame is shown soon after; else that frame's time.
        until: where the last shot ends, if the film goes on there.
        ends: where the film ends, if that is known better than from its last frames.
        sparse: whether the frames are far apart.
    """
    held: _Scene | None = None  # waits until the next one is long enough to be one
    for scene in _scenes(frames, start, until, sparse):
        if scene.ended is None:
            scene.ended = scene.end_of_film(ends, until)
        if held is not None and scene.ended - scene.start < SHORTEST_S:
            held = held.with_end_of(scene)
            continue
        if held is not None:
            yield from held.shots()
        held = scene
    if held is not None:
        yield from held.shots()


@dataclass(slots=True)
class _Scene:
    """What lies between two cuts, with some of its frames, evenly spread."""

    start: float
    ended: float | None = None  # None: at the end of the film
    kept: list[Frame] = field(default_factory=list)
    latest: float = 0.0
    gap: float | None = None  # between its last two frames; None: there is one
    _step: int = 1
    _seen: int = 0

    def add(self, frame: Frame) -> None:
        if self._seen % self._step == 0:
            self.kept.append(frame)
        if len(self.kept) > _KEPT:
            self.kept = self.kept[::2]
            self._step *= 2
        self._seen += 1
        self.latest = frame.time_s

    def end_of_film(self, ends: float | None, until: float) -> float:
        """Where it ends if no frame follows: its last frame is shown as long as the one before."""
        last = self.latest + (self.gap or _USUAL_GAP_S)
        if ends is not None and self.latest < ends <= self.latest + STRETCH_S:
            last = ends
        return max(min(last, until), self.start + 0.001)

    def with_end_of(self, other: _Scene) -> _Scene:
        return _Scene(self.start, other.ended, self.kept + other.kept)

    def shots(self) -> Iterator[Shot]:
        assert self.ended is not None
        parts = max(1, math.ceil((self.ended - self.start) / LONGEST_S - 1e-6))
        borders = np.linspace(self.start, self.ended, parts + 1).tolist()
        for start, end in pairwise(borders):
            inside = [frame for frame in self.kept if start <= frame.time_s < end]
            shown = inside or [frame for frame in self.kept if frame.time_s < end][-1:]
            chosen = _chosen(shown or self.kept[:1], start, end)
            if chosen:
                yield Shot(round(start, 3), round(end, 3), chosen)
            else:
                best = max(shown or self.kept[:1], key=lambda frame: _contrast(frame.picture))
                yield Shot(round(start, 3), round(end, 3), (best,), blank=True)


def _scenes(
    frames: Iterable[Frame], start: float | None, until: float, sparse: bool
) -> Iterator[_Scene]:
    """What lies between the cuts, each whole but for the end of the last."""
    scene: _Scene | None = None
    earlier: float | None = None
    gap: float | None = None
    for frame, is_cut in _judged(frames, until, sparse):
        if frame is None:  # the film goes on
            if scene is not None:
                scene.ended = until
            break
        if scene is None:
            scene = _Scene(_begin(frame.time_s, start, sparse))
        elif is_cut and frame.time_s - scene.start >= SHORTEST_S:
            scene.ended = frame.time_s
            yield scene
            scene = _Scene(frame.time_s)
        if earlier is not None:
            gap = frame.time_s - earlier
        earlier = frame.time_s
        scene.add(frame)
        scene.gap = gap
    if scene is not None:
        yield scene


def _begin(first: float, start: float | None, sparse: bool) -> float:
    soon = LONGEST_S if sparse else SHORTEST_S
    return start if start is not None and start <= first <= start + soon else first


def _judged(
    frames: Iterable[Frame], until: float, sparse: bool
) -> Iterator[tuple[Frame | None, bool]]:
    """Each frame and whether a cut is before it; (None, False) at the end if the film goes on."""
    detector, behind = _detector(sparse)
    waiting: deque[Frame] = deque()
    for number, frame in enumerate(frames):
        if frame.time_s >= until:
            yield from ((each, False) for each in waiting)
            yield None, False
            return
        waiting.append(frame)
        cuts = detector.process_frame(_timecode(number), _reduced(frame.picture))
        if len(waiting) > behind:
            yield waiting.popleft(), any(cut.frame_num == number - behind for cut in cuts)
    yield from ((each, False) for each in waiting)


def _detector(sparse: bool) -> tuple[Any, int]:
    """A detector, and how many frames it lags behind."""
    try:
        from scenedetect.detectors import AdaptiveDetector, ContentDetector
    except ModuleNotFoundError as error:
        message = "is a film, which needs the extra `echolens[video]`"
        raise BadInputError(SkipReason.NOT_INSTALLED, message) from error
    if sparse:
        return ContentDetector(threshold=_CHANGE_APART, min_scene_len=0), 0
    adaptive = AdaptiveDetector(
        adaptive_threshold=_RATIO,
        min_scene_len=0,
        window_width=_AROUND,
        min_content_val=_LEAST_CHANGE,
    )
    return adaptive, _AROUND


def _timecode(number: int) -> Any:
    from scenedetect.common import FrameTimecode

    return FrameTimecode(number, fps=_RATE)


def _reduced(picture: Picture) -> Picture:
    """What the detector sees of a picture: fewer pixels, BGR."""
    step = math.ceil(max(picture.shape[:2]) / _DETECTOR_PX)
    return np.ascontiguousarray(picture[::step, ::step, ::-1])


@cache
def _detector_version() -> str:
    try:
        return metadata.version("scenedetect")
    except metadata.PackageNotFoundError:
        return "absent"


def _chosen(frames: Sequence[Frame], start: float, end: float) -> tuple[Frame, ...]:
    """A few frames spread over a shot: of each part of it the most central that is worth it."""
    parts = min(MOST_PICTURES, 2 + int((end - start) // 3))
    borders = np.linspace(start, end, parts + 1)
    chosen: dict[float, Frame] = {}
    seen: list[NDArray[np.float32]] = []
    for low, high in pairwise(borders):
        middle = (low + high) / 2
        inside = [frame for frame in frames if low <= frame.time_s < high]
        for frame in sorted(inside or frames, key=lambda each: abs(each.time_s - middle)):
            if frame.time_s in chosen or _is_blank(frame.picture):
                continue
            cells = _cells(frame.picture)
            if all(float(np.abs(cells - other).max()) > _REPEAT for other in seen):
                chosen[frame.time_s] = frame
                seen.append(cells)
                break
    return tuple(chosen[time_s] for time_s in sorted(chosen))


def _luma(picture: Picture) -> NDArray[np.float32]:
    step = max(1, min(picture.shape[:2]) // 96)
    luma: NDArray[np.float32] = picture[::step, ::step].astype(np.float32) @ _LUMA
    return luma


def _contrast(picture: Picture) -> float:
    return float(_luma(picture).std())


def _is_blank(picture: Picture) -> bool:
    luma = _luma(picture)
    return bool(luma.std() < _BLANK or np.quantile(luma, 0.995) < _BLACK)


def _cells(picture: Picture) -> NDArray[np.float32]:
    """The mean luma of each cell of a coarse grid; of a picture smaller than that, its pixels."""
    luma = _luma(picture)
    rows, columns = (max(1, side // _CELLS) for side in luma.shape)
    luma = luma[: luma.shape[0] // rows * rows, : luma.shape[1] // columns * columns]
    blocks = luma.reshape(luma.shape[0] // rows, rows, luma.shape[1] // columns, columns)
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3))
    return means

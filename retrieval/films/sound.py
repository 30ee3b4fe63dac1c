"""The sound of a film or a recording, as one channel at one rate.

Gets: a file's bytes. Gives: samples whose place in the array is their time. Touches: PyAV.
Never: more than was asked for, so memory is that of the stretch.

Decisions that bind this module:

- A recording is runs of samples without a gap. Each run is resampled once and laid where its time
  says, onto silence: gaps, late beginnings and lost packets keep everything behind them in place.
- A run begins, padded, at a time that both rates have a sample at. So what comes out doesn't
  depend on where decoding began, and a part equals the same part of the whole.
- Channels are averaged before resampling: it is cheaper, and nothing exceeds full scale by it.
- Decoding begins a little before `start`: many codecs need packets before the first good one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from retrieval.schema import FloatArray

from .containers import BACK_S, NO_ROOM, opened, origin, packets, seek, sound_track
from .damage import Damage
from .moving import is_moving
from .nouns import Broken
from .pyav import av

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_BEFORE_S = 0.5  # decoded and dropped before `start`
_BEHIND_S = 0.1  # read past `end`, for the resampler's filter
_GAP_S = 0.03  # timestamps may be so far off what was counted before it is a gap


def sound(
    file: BinaryIO,
    *,
    rate: int,
    start: float = 0.0,
    end: float = math.inf,
    broken: list[Broken] | None = None,
) -> FloatArray:
    """The sound from `start` to `end`, sample i at ``start + i / rate``; silence in gaps.

    Args:
        file: seekable.
        rate: of what is given, in Hz.
        start: in seconds, met to the nearest sample.
        end: in seconds; the sound is shorter where the track ends before.
        broken: what can't be decoded is added to it; it is silence in what is given.

    Returns:
        (n,) float32, full scale at 1. A file without sound gives none.

    Raises:
        BadInputError: nothing can be read at all.
    """
    damage = Damage([] if broken is None else broken, start)
    first = round(start * rate)
    last = round(end * rate) if end < math.inf else None
    pieces: list[tuple[int, FloatArray]] = []
    for run in _runs(file, start, end, damage):
        at, samples = run.resampled(rate)
        samples = samples[max(0, first - at) : None if last is None else max(0, last - at)]
        if samples.size:
            pieces.append((max(at, first) - first, samples))
    whole = np.zeros(max((at + len(s) for at, s in pieces), default=0), np.float32)
    for at, samples in pieces:
        whole[at : at + len(samples)] = samples
    return whole


@dataclass(slots=True)
class _Run:
    """Samples without a gap.

    Attributes:
        rate: in Hz.
        start: index of the first sample, counted from second 0 at this rate.
        chunks: one after another.
    """

    rate: int
    start: int
    chunks: list[FloatArray]
    length: int = 0

    def add(self, samples: FloatArray) -> None:
        self.chunks.append(samples)
        self.length += len(samples)

    @property
    def end_s(self) -> float:
        return (self.start + self.length) / self.rate

    def resampled(self, rate: int) -> tuple[int, FloatArray]:
        """Index of the first sample, counted from second 0 at the new rate; the samples."""
        if rate == self.rate:
            return self.start, np.concatenate(self.chunks)
        every = self.rate // math.gcd(self.rate, rate)  # a sample of both rates
        padding = self.start % every
        joined = np.concatenate([np.zeros(padding, np.float32), *self.chunks])
        at = (self.start - padding) * rate // self.rate
        skipped = round(padding * rate / self.rate)
        return at + skipped, _resample(joined, self.rate, rate)[skipped:]


def _resample(samples: FloatArray, source: int, target: int) -> FloatArray:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=target)
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="flt", layout="mono")
    frame.sample_rate = source
    frame.pts = 0
    out = [*resampler.resample(frame), *resampler.resample(None)]
    parts = [part.to_ndarray()[0] for part in out]
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)


def _runs(file: BinaryIO, start: float, end: float, damage: Damage) -> Iterator[_Run]:
    """Runs that touch ``[start, end)``; the last may reach a little further."""
    if is_moving(file):
        return
    with opened(file) as container:
        track = sound_track(container)
        if track is None:
            return
        zero_s = origin(container)
        before_s = max(0.0, start - _BEFORE_S)
        if before_s > 0 and not seek(container, track, before_s + zero_s):
            before_s = 0.0
        run: _Run | None = None
        for stamp_s, frame in timed_sound(container, track, zero_s, damage):
            known = run.end_s if run else 0.0
            time_s = known if stamp_s is None else stamp_s
            if time_s > end + _BEHIND_S:
                break
            if time_s < known - BACK_S:
                damage.back(known)
                continue
            samples = _mono(frame)
            if run and run.rate == frame.sample_rate and abs(time_s - run.end_s) < _GAP_S:
                run.add(samples)
                continue
            if run:
                yield run
            run = _run_at(time_s, samples, frame.sample_rate)
        if run:
            yield run


def _run_at(time_s: float, samples: FloatArray, rate: int) -> _Run:
    start = round(time_s * rate)
    run = _Run(rate, max(0, start), [])
    run.add(samples[max(0, -start) :])
    return run


def timed_sound(
    container: InputContainer, track: AudioStream, zero_s: float, damage: Damage
) -> Iterator[tuple[float | None, AudioFrame]]:
    """What the decoder gives, with its time where it has one."""
    reached = 0.0
    for packet in packets(container, track, zero_s, damage):
        try:
            decoded = track.codec_context.decode(packet)
        except NO_ROOM:
            raise
        except (av.FFmpegError, ValueError):
            damage.at(reached)
            continue
        for frame in decoded:
            if frame.pts is None or frame.time_base is None:
                yield None, frame
            else:
                reached = float(frame.pts * frame.time_base) - zero_s
                yield reached, frame


_FULL_SCALE = {"u8": 128.0, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63}


def _mono(frame: AudioFrame) -> FloatArray:
    """(n,) float32, the mean of the channels."""
    values: NDArray[np.generic] = frame.to_ndarray()
    name = frame.format.name.removesuffix("p")
    channels = len(frame.layout.channels)
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    floats = values.astype(np.float32)
    if name == "u8":
        floats -= 128.0
    mono: FloatArray = floats.mean(axis=0) if channels > 1 else floats[0]
    mono = mono / np.float32(_FULL_SCALE.get(name, 1.0))
    return np.nan_to_num(mono, copy=False)

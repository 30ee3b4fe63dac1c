"""Splice a long film from many short ones, and write down where each of them lies in it.

    python benchmarks/splice.py FOLDER /tmp/long.mp4 --hours 3

Every clip, film and recording is brought to one form once (480 x 270, 25 frames a second, sound of
48 kHz; a recording gets a plain picture). Their packets are then joined as often as the length
needs, each round in another order. Beside the film, ``long.json`` has a list of pieces, each
``[file, start, end]`` in seconds.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from retrieval.errors import BadInputError
from retrieval.films.frames import frames
from retrieval.films.sound import sound

WIDTH, HEIGHT, FPS, RATE = 480, 270, 25, 48_000
FOLDERS = ("clips", "moments", "speech")
CHUNK = 1024  # samples of an AAC frame


def pieces(data: Path) -> list[Path]:
    """The files to splice, in a fixed order."""
    return [path for folder in FOLDERS for path in sorted((data / folder).iterdir())]


def normalise(source: Path, target: Path) -> float:
    """Bring one file to the common form; its length in seconds, a whole number of frames."""
    with source.open("rb") as file:
        try:
            samples = sound(file, rate=RATE)
        except BadInputError:
            samples = np.zeros(0, np.float32)
        file.seek(0)
        with av.open(str(target), "w") as out:
            picture, track = _streams(out)
            count = 0
            for count, pixels in enumerate(_regular(file, len(samples) / RATE), 1):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                    format="yuv420p"
                )
                frame.pts, frame.time_base = count - 1, Fraction(1, FPS)
                out.mux(picture.encode(frame))
            out.mux(picture.encode(None))
            _put_sound(out, track, samples, count)
    return count / FPS


def _streams(out: Any) -> tuple[Any, Any]:
    options = {"preset": "veryfast", "crf": "28", "bf": "0"}
    picture = out.add_stream("libx264", rate=FPS, options=options)
    picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    picture.codec_context.gop_size = 2 * FPS
    return picture, out.add_stream("aac", rate=RATE, layout="mono")


def _regular(file: Any, least_s: float) -> Iterator[np.ndarray]:
    """Pictures 25 times a second, the last one held as long as the sound goes on."""
    shown = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    count = 0
    try:
        for frame in frames(file, size=HEIGHT):
            while count / FPS < frame.time_s:
                yield shown
                count += 1
            shown = np.asarray(Image.fromarray(frame.picture).resize((WIDTH, HEIGHT)))
    except BadInputError:
        pass
    while count == 0 or count / FPS < least_s:
        yield shown
        count += 1


def _put_sound(out: Any, track: Any, samples: np.ndarray, frames_shown: int) -> None:
    """The sound, with silence to the end of the pictures."""
    whole = np.zeros(round(frames_shown / FPS * RATE), np.float32)
    whole[: len(samples)] = samples[: len(whole)]
    for start in range(0, len(whole), CHUNK):
        part = whole[start : start + CHUNK][np.newaxis]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        out.mux(track.encode(frame))
    out.mux(track.encode(None))


def splice(parts: list[tuple[str, Path, float]], target: Path, seconds: float) -> list[list[Any]]:
    """Join the parts' packets until the film is as long as asked for."""
    order = random.Random(0)
    placed: list[list[Any]] = []
    at = Fraction(0)
    with av.open(str(target), "w") as out:
        streams: dict[str, Any] = {}
        latest: dict[int, int] = {}
        while at < seconds:
            for name, path, length in order.sample(parts, len(parts)):
                with av.open(str(path)) as container:
                    streams = streams or {
                        s.type: out.add_stream_from_template(s) for s in container.streams
                    }
                    for packet in container.demux():
                        if packet.dts is None or packet.pts < 0:
                            continue  # an encoder's run-up
                        shift = round(at / packet.time_base)
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = streams[packet.stream.type]
                        if packet.dts > latest.get(packet.stream.index, -1):
                            latest[packet.stream.index] = packet.dts
                            out.mux(packet)
                placed.append([name, float(at), float(at) + length])
                at += Fraction(round(length * FPS), FPS)
                if at >= seconds:
                    break
    return placed


def main() -> int:
    """Make the film and its list."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with clips/, moments/ and speech/")
    parser.add_argument("film", type=Path)
    parser.add_argument("--hours", type=float, default=3.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parts = []
        for number, source in enumerate(pieces(arguments.data)):
            target = Path(folder) / f"{number}.mp4"
            parts.append(
                (str(source.relative_to(arguments.data)), target, normalise(source, target))
            )
        print(f"{len(parts)} pieces, {sum(part[2] for part in parts) / 60:.1f} minutes")
        placed = splice(parts, arguments.film, arguments.hours * 3600)
    arguments.film.with_suffix(".json").write_text(json.dumps(placed), encoding="utf-8")
    print(f"{arguments.film}: {placed[-1][2] / 3600:.2f} hours, {len(placed)} pieces")
    return 0


if __name__ == "__main__":
    sys.exit(main())

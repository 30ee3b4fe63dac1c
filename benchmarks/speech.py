"""How many words of speech are misheard, by source and language, and how quickly they are heard.

    python benchmarks/speech.py FOLDER                      whisper:carried, two threads
    python benchmarks/speech.py FOLDER --transcriber whisper:base --precision fp32
    python benchmarks/speech.py FOLDER --most 10            ten recordings of each source

The folder holds `speech.csv` (file, transcript, language, source) and the recordings. Words are
compared without case and punctuation (Whisper's own normaliser of English, which knows contractions
and titles, would give better figures); Chinese, Japanese and Korean by their characters, which is
shown as CER. `confidence` is the mean of what the model says of its own words. `x real time` is
seconds of sound for each second of transcribing, decoding left out. With `--sounds` those of
`sounds.csv`, which hold no speech, are heard too: words that come out are invented.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
from machine import machine, table
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from retrieval import registry
from retrieval.films.sound import sound
from retrieval.listeners import Transcriber
from retrieval.schema import Compute
from retrieval.timed import SPEECH_RATE, Segment

BY_CHARACTER = ("zh", "ja", "ko")
PLAIN = jiwer.Compose(
    [
        jiwer.SubstituteRegexes({r"[^\w']+": " "}),
        jiwer.ToLowerCase(),
        jiwer.RemoveMultipleSpaces(),
        jiwer.Strip(),
    ]
)


@dataclass(frozen=True)
class Heard:
    """One recording: what was said, what was heard, and how long it took."""

    said: str
    segments: Sequence[Segment]
    sound_s: float
    seconds: float

    @property
    def text(self) -> str:
        return str(PLAIN(" ".join(segment.text for segment in self.segments)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--transcriber", default="whisper:carried", metavar="URL")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16", "int8"))
    parser.add_argument("--most", type=int, default=0, help="of each source; 0: all")
    parser.add_argument("--sounds", action="store_true", help="hear sounds.csv, too: no speech")
    options = parser.parse_args()
    compute = Compute("cpu", options.precision, options.threads)
    transcriber = registry.open_transcriber(options.transcriber, compute)
    transcriber.transcribe(np.ones(SPEECH_RATE, np.int16))
    by_source: dict[str, list[Heard]] = defaultdict(list)
    for row in rows_of(options.folder / "speech.csv"):
        source = f"{row['source'].partition(' ')[0]}, {row['language']}"
        if not options.most or len(by_source[source]) < options.most:
            by_source[source].append(hear(transcriber, options.folder / row["file"], row))
    show(by_source)
    if options.sounds:
        show_sounds(transcriber, options.folder)
    print(f"\n{options.transcriber}, {compute}, {compute.threads} threads; {machine()}")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def samples_of(path: Path) -> NDArray[np.int16]:
    with path.open("rb") as file:
        samples = sound(file, rate=SPEECH_RATE)
    return np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)


def hear(transcriber: Transcriber, path: Path, row: Mapping[str, str]) -> Heard:
    samples = samples_of(path)
    start = time.perf_counter()
    segments = transcriber.transcribe(samples)
    seconds = time.perf_counter() - start
    said = str(PLAIN(row["transcript"]))
    return Heard(said, segments, len(samples) / SPEECH_RATE, seconds)


def show(by_source: Mapping[str, Sequence[Heard]]) -> None:
    head = (
        "source",
        "recordings",
        "seconds",
        "WER",
        "CER",
        "nothing heard",
        "confidence",
        "x real time",
    )
    table(head, [line(source, heard) for source, heard in by_source.items()])


def line(source: str, heard: Sequence[Heard]) -> tuple[str, ...]:
    said, text = [each.said for each in heard], [each.text for each in heard]
    by_character = source.endswith(BY_CHARACTER)
    wer = "" if by_character else f"{jiwer.wer(said, text):.1%}"
    close = [[each.replace(" ", "") for each in texts] for texts in (said, text)]
    sure = [segment.confidence for each in heard for segment in each.segments]
    sound_s, seconds = sum(each.sound_s for each in heard), sum(each.seconds for each in heard)
    return (
        source,
        str(len(heard)),
        f"{sound_s:.0f}",
        wer,
        f"{jiwer.cer(*close):.1%}",
        str(sum(not each.segments for each in heard)),
        f"{statistics.mean(sure):.2f}" if sure else "",
        f"{sound_s / seconds:.1f}",
    )


def show_sounds(transcriber: Transcriber, folder: Path) -> None:
    sound_s = seconds = 0.0
    rows, spoken = rows_of(folder / "sounds.csv"), []
    for row in rows:
        samples = samples_of(folder / row["file"])
        start = time.perf_counter()
        segments = transcriber.transcribe(samples)
        seconds += time.perf_counter() - start
        sound_s += len(samples) / SPEECH_RATE
        if segments:
            spoken.append(f"{row['category']}: {' '.join(each.text for each in segments)}")
    print(
        f"\nWords were heard in {len(spoken)} of {len(rows)} sounds without speech, at "
        f"{sound_s / seconds:.0f} x real time."
    )
    for each in spoken:
        print(f"- {each}")


if __name__ == "__main__":
    main()

"""How well, and how fast, films and recordings are found: on real ones, and in a film of hours.

    python benchmarks/films.py FOLDER
    python benchmarks/films.py FOLDER --long /tmp/long.mp4    (see splice.py)

Indexes the folder's clips, longer films and speech with the starter encoder and the transcriber
that comes as a package, and asks: each clip's captions for the clip (R@1, R@5), each timed question
for its film and its moment (in its film, and in all of them), a few words of each transcript for
the recording; then the same of one collection of all of these, where what is said competes with
what is shown. Of the long film the same clips' captions and words are asked for their moments in
it. Memory is that of the command's processes together, sampled once a second.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import COMMAND, machine

from indexer import IndexOptions, create, index
from retrieval import Collection, open_collection
from retrieval.evaluation.moment_measures import moment_values, parse_moment_measure, scored
from retrieval.evaluation.moments import Guess, MomentQuery, Window
from retrieval.query.parse import Query, parse_query, spoken_query
from retrieval.query.present import Hit
from retrieval.schema import Span

TRANSCRIBER = "whisper:carried"
MOMENT_MEASURES = ("r1@0.5", "r1@0.7", "r5@0.5", "map@avg", "map@0.5", "miou")
WORDS = 5  # of a transcript that are asked with; of Chinese, Japanese and Korean letters
DENSE = ("zh", "ja", "ko")


@dataclass(frozen=True)
class Asked:
    """A question, the file that answers it, and where in it."""

    text: str
    file: str
    windows: tuple[Window, ...] = ()


def captions(data: Path) -> list[Asked]:
    """Both captions of each clip."""
    with (data / "clips.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [Asked(row[name], row["file"]) for name in ("caption", "caption_2") for row in rows]


def timed(data: Path) -> list[Asked]:
    """The questions whose windows are known."""
    lines = (data / "moments.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Asked(r["query"], r["file"], tuple(map(tuple, r["relevant_windows"]))) for r in rows]


def spoken(data: Path) -> list[Asked]:
    """A few words from the middle of each transcript."""
    with (data / "speech.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [Asked(_middle(row["transcript"], row["language"]), row["file"]) for row in rows]


def _middle(transcript: str, language: str) -> str:
    units = list(transcript) if language in DENSE else transcript.split()
    start = max(0, (len(units) - WORDS) // 2)
    return ("" if language in DENSE else " ").join(units[start : start + WORDS])


def made(
    home: Path, name: str, folders: Sequence[Path], options: IndexOptions | None = None
) -> Collection:
    """A collection of folders; prints what each stage took against real time."""
    collection = create(home / name, encoder="starter:", transcriber=TRANSCRIBER)
    report = index(folders, collection, options=options)
    stages = ", ".join(
        f"{stage} {report.media_s / spent.busy:.0f}x"
        for stage, spent in report.stages.items()
        if spent.busy > 0.01
    )
    print(
        f"{name}: {report.indexed} files, {report.media_s / 60:.1f} min in {report.seconds:.0f} s, "
        f"{report.media_s / report.seconds:.1f}x real time; each stage by itself: {stages}"
    )
    return open_collection(home / name)


def recall(asked: Sequence[Asked], search: Callable[[str], Iterable[Hit]]) -> str:
    """R@1 and R@5 of the right file."""
    ranks = np.array([_rank(one, search(one.text)) for one in asked])
    shares = (f"R@{k} {np.mean(ranks <= k):.1%}" for k in (1, 5))
    return f"{', '.join(shares)} ({len(asked)} questions)"


def _rank(one: Asked, hits: Iterable[Hit]) -> float:
    names = [Path(hit.paths[0]).name for hit in hits]
    name = Path(one.file).name
    return names.index(name) + 1 if name in names else np.inf


def moments(asked: Sequence[Asked], search: Callable[[Asked], Iterable[Hit]]) -> str:
    """The measures of moments."""
    found = []
    for number, one in enumerate(asked):
        film = Path(one.file).name
        guesses = [
            Guess(Path(hit.paths[0]).name, hit.span.start, hit.span.end, hit.score)
            for hit in search(one)
            if hit.span is not None
        ]
        found.append(scored(MomentQuery(str(number), one.text, film, one.windows), guesses))
    values = moment_values([parse_moment_measure(name) for name in MOMENT_MEASURES], found)
    figures = ", ".join(f"{m.name} {m.over(of):.1%}" for m, of in values.items())
    return f"{figures} ({len(asked)} questions)"


def short_films(data: Path, home: Path) -> None:
    """Clips, timed questions and speech."""
    with made(home, "clips", [data / "clips"]) as clips:
        print("  text to video:", recall(captions(data), lambda text: clips.search(text, k=5)))
    with made(home, "moments", [data / "moments"]) as films:
        print(
            "  films by their moments:", recall(timed(data), lambda text: films.search(text, k=5))
        )

        def inside(one: Asked) -> Iterable[Hit]:
            where = f"name = '{Path(one.file).name}'"
            return films.search(one.text, k=10, group_by="moment", where=where)

        print("  moments in the right film:", moments(timed(data), inside))
        everywhere = moments(
            timed(data), lambda one: films.search(one.text, k=10, group_by="moment")
        )
        print("  moments in all films:", everywhere)
    made(home, "moments-fast", [data / "moments"], IndexOptions(fast=True)).close()
    with made(home, "speech", [data / "speech"]) as speech:

        def said(text: str) -> Iterable[Hit]:
            return speech.search(spoken_query(text), k=5)

        print(f"  speech by {WORDS} words of it:", recall(spoken(data), said))


def together(data: Path, home: Path) -> None:
    """Clips, films and speech in one collection, asked without saying what is meant."""
    folders = [data / "clips", data / "moments", data / "speech"]
    with made(home, "together", folders) as everything:
        for what, asked in (
            ("text to video", captions(data)),
            ("films by their moments", timed(data)),
            (f"{WORDS} words of speech, unquoted", spoken(data)),
        ):
            print(f"  {what}:", recall(asked, lambda text: everything.search(text, k=5)))


def long_film(data: Path, film: Path, home: Path) -> None:
    """A film of hours: how much memory it takes, and what is found in it."""
    placed = json.loads(film.with_suffix(".json").read_text(encoding="utf-8"))
    windows: dict[str, list[Window]] = {}
    for name, start, end in placed:
        windows.setdefault(name, []).append((start, end))
    began = time.perf_counter()
    peak = indexed_apart(film, home / "long")
    hours, seconds = placed[-1][2] / 3600, time.perf_counter() - began
    print(f"long: {hours:.2f} h in {seconds / 60:.1f} min, {hours * 3600 / seconds:.1f}x real time")
    print(f"  memory, MB, by tenth of the time: {', '.join(f'{mb:.0f}' for mb in peak)}")
    with open_collection(home / "long") as collection:
        for what, asked, query in (
            ("shown", captions(data), parse_query),
            ("said", spoken(data), spoken_query),
        ):
            placed_in = [
                Asked(one.text, film.name, tuple(windows[one.file]))
                for one in asked
                if one.file in windows
            ]

            def search(one: Asked, query: Callable[[str], Query] = query) -> Iterable[Hit]:
                return collection.search(query(one.text), k=10, group_by="moment")

            hits = [next(iter(search(one)), None) for one in placed_in]
            inside = [
                hit is not None and hit.span is not None and _meets(hit.span, one.windows)
                for hit, one in zip(hits, placed_in, strict=True)
            ]
            print(
                f"  what is {what}: the first moment lies in the right piece {np.mean(inside):.1%}"
            )
            print(f"  what is {what}: {moments(placed_in, search)}")


def _meets(span: Span, windows: Iterable[Window]) -> bool:
    middle = (span.start + span.end) / 2
    return any(start <= middle < end for start, end in windows)


def indexed_apart(film: Path, collection: Path) -> list[float]:
    """Index by the command; the peak of its processes' memory, in MB, in each tenth of the time."""
    command = [COMMAND, "index", str(film), "-c", str(collection), "--transcriber", TRANSCRIBER]
    samples: list[float] = []
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(1.0):
            samples.append(_anonymous_mb(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    ended.set()
    watcher.join()
    return [float(max(part)) for part in np.array_split(samples, 10) if len(part)]


def _anonymous_mb(pid: int) -> float:
    """Memory of a process and its children that isn't a file's."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(c) for t in threads for c in (t / "children").read_text().split()]
    except OSError:
        return 0.0
    kilobytes = [int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")]
    return sum(kilobytes) / 1024 + sum(map(_anonymous_mb, children))


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with clips/, moments/ and speech/")
    parser.add_argument("--long", type=Path, help="a film that splice.py made")
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        short_films(arguments.data, Path(folder))
        together(arguments.data, Path(folder))
        if arguments.long:
            long_film(arguments.data, arguments.long, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())

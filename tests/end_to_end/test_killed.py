"""Promise 2: killed anywhere, run again: the same collection as an undisturbed run."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from indexer import verify
from retrieval import open_collection
from tests import collections
from tests.end_to_end.command import environment, run, start
from tests.end_to_end.faults import ROOT

KILLS, KILLS_A_COLLECTION = 50, 5


def _media(root: Path, count: int) -> Path:
    """Pictures with captions, texts, a duplicate and a broken file, always the same."""
    root.mkdir(parents=True)
    for number in range(count):
        shade = (number * 37 % 256, number * 91 % 256, number * 53 % 256)
        Image.new("RGB", (48, 32), shade).save(root / f"{number:03}.png")
        if number % 3 == 0:
            (root / f"{number:03}.txt").write_text(f"picture number {number}\n第{number}张")
        if number % 4 == 0:
            (root / f"note {number}.md").write_text(f"A note about the number {number}.")
    shutil.copyfile(root / "000.png", root / "twin.png")
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    for path in root.iterdir():
        os.utime(path, ns=(10**18, 10**18))
    return root


@pytest.mark.slow
def test_promise_killed_at_random_instants(tmp_path: Path) -> None:
    media = _media(tmp_path / "media", 150)
    arguments = ["-c", "photos", "index", str(media), "--encoder", "hash:slow=0.05"]
    began = time.monotonic()
    assert run(arguments, tmp_path / "undisturbed").returncode == 3  # one broken file
    lasts = time.monotonic() - began
    wanted = _contents(tmp_path / "undisturbed")
    chance = random.Random(20)
    killed = 0
    for home in (tmp_path / f"home-{number}" for number in itertools.count()):
        for _ in range(KILLS_A_COLLECTION):
            began = time.monotonic()
            process = start(arguments, home)
            try:
                process.wait(chance.uniform(0.1, 0.9) * lasts)
                lasts = min(lasts, time.monotonic() - began)  # it had ended before its instant
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                killed += process.wait() == -signal.SIGKILL
        last = run(arguments, home)
        assert last.returncode == 3, last.stderr
        collections.assert_same(_contents(home), wanted)
        _assert_sound(home)
        if killed >= KILLS:
            break


@pytest.mark.slow
@pytest.mark.parametrize("run", ["over a changed tree", "before files go"])
def test_promise_killed_at_every_write_point(tmp_path: Path, run: str) -> None:
    """Killed before and after every write: in a run over a changed tree; in a first run, and then
    some of its files go before it is run again, so that nothing will ever do them once more."""
    media, start_from = _media(tmp_path / "media", 9), None
    arguments = ["-c", "photos", "index", str(media), "--encoder", "hash:", "--assets", "folder:"]
    with _faults() as ask:
        if run == "over a changed tree":
            start_from = tmp_path / "start"
            assert ask(start_from, arguments) == 3  # one broken file
            _disturb(media)
        undisturbed = _copy(start_from, tmp_path / "undisturbed")
        listed = tmp_path / "points.json"
        assert ask(undisturbed, arguments, list=str(listed)) == 3
        gone = {path: path.read_bytes() for path in (media / "003.png", media / "note 4.md")
                if start_from is None}  # fmt: skip
        if gone:
            _remove(gone)
            shutil.rmtree(undisturbed)
            assert ask(undisturbed, arguments) == 3
        wanted = _contents(undisturbed)
        points = list(_points(json.loads(listed.read_text())))
        assert len(points) > 60
        killed = 0
        for point in points:
            home = _copy(start_from, tmp_path / "killed")
            _restore(gone)
            ended = ask(home, arguments, kill=point)
            assert ended in (-signal.SIGKILL, 3), point
            killed += ended == -signal.SIGKILL
            _remove(gone)
            assert ask(home, arguments) == 3, point
            try:
                collections.assert_same(_contents(home), wanted)
                _assert_sound(home)
            except AssertionError as error:
                raise AssertionError(f"killed at {point}") from error
            shutil.rmtree(home)
        assert killed > 0.9 * len(points)


@contextmanager
def _faults() -> Iterator[Callable[..., int]]:
    """Give a function that runs the command, and kills it where it is told."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.end_to_end.faults"],
        env={**environment(Path()), "OPENBLAS_NUM_THREADS": "1"},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin
    assert process.stdout

    def ask(home: Path, arguments: list[str], **what: str) -> int:
        job = json.dumps({"home": str(home), "arguments": arguments, **what})
        print(job, file=process.stdin, flush=True)
        return int(process.stdout.readline())  # type: ignore[union-attr]  # asserted above

    with process:
        yield ask
        process.stdin.close()


def _remove(files: Mapping[Path, bytes]) -> None:
    for path in files:
        path.unlink()


def _restore(files: Mapping[Path, bytes]) -> None:
    for path, content in files.items():
        path.write_bytes(content)
        os.utime(path, ns=(10**18, 10**18))


def _copy(start_from: Path | None, home: Path) -> Path:
    if start_from:
        shutil.copytree(start_from, home)
    return home


def _points(counts: dict[str, int]) -> Iterator[str]:
    """Before the first passing of each line, and after the middle one."""
    for site, count in sorted(counts.items()):
        yield f"{site}#1 c_call"
        yield f"{site}#{(count + 1) // 2} c_return"


def _disturb(media: Path) -> None:
    """Change the tree: a new caption, a file moved, one changed, one gone, one new."""
    (media / "000.txt").write_text("another caption")
    (media / "001.png").rename(media / "moved.png")
    shutil.copyfile(media / "002.png", media / "003.png")
    (media / "004.png").unlink()
    (media / "note 4.md").unlink()
    Image.new("RGB", (20, 20), "white").save(media / "new.png")


def _contents(home: Path) -> collections.Contents:
    settings = collections.settings(home)
    with open_collection("photos", settings=settings) as collection:
        return collections.contents(collection)


def _assert_sound(home: Path) -> None:
    with open_collection("photos", settings=collections.settings(home)) as collection:
        assert verify(collection, repair=True).problems == ()

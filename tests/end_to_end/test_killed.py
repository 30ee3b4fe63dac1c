"""Promise 2: killed anywhere, run again: the same collection as an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from indexer import verify
from retrieval import open_collection
from tests import collections
from tests.end_to_end.command import environment, run, start
from tests.end_to_end.faults import ROOT

KILLS, COLLECTIONS = 50, 10


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
    for number in range(COLLECTIONS):
        home = tmp_path / f"home-{number}"
        for _ in range(KILLS // COLLECTIONS):
            process = start(arguments, home)
            try:
                process.wait(chance.uniform(0.1, 0.9) * lasts)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                killed += process.wait() == -signal.SIGKILL
        last = run(arguments, home)
        assert last.returncode == 3, last.stderr
        collections.assert_same(_contents(home), wanted)
        _assert_sound(home)
    assert killed >= KILLS // 2  # the others had ended before their instant came


@pytest.mark.slow
def test_promise_killed_at_every_write_point(tmp_path: Path) -> None:
    """A first run, then one over a changed tree, each killed before and after every write."""
    media = _media(tmp_path / "media", 9)
    home = tmp_path / "first"
    arguments = ["-c", "photos", "index", str(media), "--encoder", "hash:"]
    first = _write_points(arguments, home, tmp_path)
    before = _contents(home)
    _disturb(media, tmp_path / "changed")
    shutil.copytree(home, tmp_path / "second")
    _swap(media, tmp_path)
    second = _write_points(arguments, tmp_path / "second", tmp_path)
    after = _contents(tmp_path / "second")
    with ThreadPoolExecutor(2) as pool:
        checks = [
            pool.submit(_killed_at, point, arguments, tmp_path / f"s{i}", home, after)
            for i, point in enumerate(_points(second))
        ]
        for check in checks:
            check.result()
    _swap(media, tmp_path)
    with ThreadPoolExecutor(2) as pool:
        checks = [
            pool.submit(_killed_at, point, arguments, tmp_path / f"f{i}", None, before)
            for i, point in enumerate(_points(first))
        ]
        for check in checks:
            check.result()
    assert len(first) > 20
    assert len(second) > 20


def _disturb(media: Path, changed: Path) -> None:
    """Make the tree `changed`: a new caption, a file moved, one changed, one gone, one new."""
    shutil.copytree(media, changed)
    (changed / "000.txt").write_text("another caption")
    (changed / "001.png").rename(changed / "moved.png")
    shutil.copyfile(changed / "002.png", changed / "003.png")
    (changed / "004.png").unlink()
    (changed / "note 4.md").unlink()
    Image.new("RGB", (20, 20), "white").save(changed / "new.png")


def _swap(media: Path, folder: Path) -> None:
    """Exchange the tree and the changed one under the same name."""
    media.rename(folder / "aside")
    (folder / "changed").rename(media)
    (folder / "aside").rename(folder / "changed")


def _write_points(arguments: list[str], home: Path, folder: Path) -> dict[str, int]:
    out = folder / "points.json"
    _watched("list", str(out), arguments, home)
    points: dict[str, int] = json.loads(out.read_text())
    return points


def _points(counts: dict[str, int]) -> list[str]:
    """Before the first passing of each line, and after the middle one."""
    return [
        point
        for site, count in sorted(counts.items())
        for point in (f"{site}#1 c_call", f"{site}#{(count + 1) // 2} c_return")
    ]


def _killed_at(
    point: str,
    arguments: list[str],
    home: Path,
    started_from: Path | None,
    wanted: collections.Contents,
) -> None:
    if started_from:
        shutil.copytree(started_from, home)
    ended = _watched("kill", point, arguments, home)
    assert ended.returncode in (-signal.SIGKILL, 3), (point, ended.stderr)
    last = run(arguments, home)
    assert last.returncode == 3, (point, last.stderr)
    try:
        collections.assert_same(_contents(home), wanted)
        _assert_sound(home)
    except AssertionError as error:
        raise AssertionError(f"killed at {point}") from error
    shutil.rmtree(home)


def _watched(
    mode: str, argument: str, arguments: list[str], home: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.faults", mode, argument, "--", *arguments],
        env=environment(home),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _contents(home: Path) -> collections.Contents:
    settings = collections.settings(home)
    with open_collection("photos", settings=settings) as collection:
        return collections.contents(collection)


def _assert_sound(home: Path) -> None:
    with open_collection("photos", settings=collections.settings(home)) as collection:
        assert verify(collection, repair=True).problems == ()

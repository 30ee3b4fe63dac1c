"""Ctrl-C in the middle of a run: it stops, says how to go on, and the next run does."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import repeat
from pathlib import Path

import pytest

from cli.errors import ExitCode
from retrieval import open_collection
from retrieval.protocols import Place
from retrieval.registry import open_document_store
from tests import collections, corpus

from .command import COMMAND, environment, run

FILES = 200


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Pictures with captions, in more than one batch."""
    folder = tmp_path / "media"
    folder.mkdir()
    for seed in range(FILES):
        corpus.picture(folder / f"{seed:03}.png", seed=seed, size=(32, 24))
        corpus.text(folder / f"{seed:03}.txt", f"picture number {seed}")
    return folder


@contextmanager
def _start(arguments: list[str], home: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [str(COMMAND), *arguments],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_heed_ctrl_c,  # noqa: PLW1509 - no thread is running yet
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # one that didn't stop fails the test, and doesn't outlive it


def _heed_ctrl_c() -> None:
    """A shell's background job ignores SIGINT, and so would everything below it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _wait_for_the_first_batch(collection: Path) -> None:
    """Until its files are in the ledger."""
    deadline_s = time.monotonic() + 60
    while True:
        with suppress(sqlite3.Error):
            name = f"{(collection / 'ledger.sqlite').as_uri()}?mode=ro"
            with closing(sqlite3.connect(name, uri=True)) as ledger:
                if ledger.execute("SELECT 1 FROM files").fetchone():
                    return
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def _processes_of(home: Path) -> list[str]:
    """Command lines of all processes that were started with this home, or below such a one."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and os.fsencode(home) in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def _assert_no_process_stays(home: Path) -> None:
    deadline_s = time.monotonic() + 20
    while left := _processes_of(home):
        assert time.monotonic() < deadline_s, left
        time.sleep(0.05)


def _contents(home: Path) -> collections.Contents:
    with open_collection("photos", settings=collections.settings(home)) as collection:
        return collections.contents(collection)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_process_and_can_be_gone_on_with(
    number: signal.Signals, media: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    arguments = ["-c", "photos", "index", str(media), "--encoder", "hash:slow=0.05"]
    with _start(arguments, home) as process:
        try:
            _wait_for_the_first_batch(home / "photos")
            assert len(_processes_of(home)) >= 2  # the command and what decodes for it
        finally:
            process.send_signal(number)
        out, err = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == ExitCode.INTERRUPTED, err
        assert b"run the same command again to go on" in err
        assert b"Traceback" not in err
        assert out.startswith(b"indexed ")
    _assert_no_process_stays(home)
    assert 0 < len(_contents(home).rows) < FILES

    assert run(arguments, home).returncode == ExitCode.DONE
    run(["-c", "photos", "index", media, "--encoder", "hash:"], tmp_path / "undisturbed")
    collections.assert_same(_contents(home), _contents(tmp_path / "undisturbed"))


@pytest.mark.slow
def test_ctrl_c_ends_it_within_seconds_at_any_instant(media: Path, tmp_path: Path) -> None:
    """Also while decoding processes are starting, or the pool of them is in mid-bookkeeping."""
    chance = random.Random(7)
    for number in range(12):
        home = tmp_path / f"home-{number}"
        with _start(["-c", "photos", "index", str(media), "--encoder", "hash:"], home) as process:
            _wait_for(home / "photos" / "ledger.sqlite")
            time.sleep(chance.uniform(0, 1))
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
        assert process.returncode in (ExitCode.DONE, ExitCode.INTERRUPTED), err
        assert b"Traceback" not in err


def _wait_for(path: Path) -> None:
    deadline_s = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timer")
def test_an_interrupt_within_a_statement_is_no_damage(tmp_path: Path) -> None:
    """SQLite would take an exception in a function of ours for a failure of the statement."""
    store = open_document_store(Place("sqlite:", tmp_path, read_only=False))
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    ids = [f"{number:032x}" for number in range(20_000)]
    try:
        for number in range(20):
            signal.setitimer(signal.ITIMER_REAL, 0.03 + 0.003 * number)
            with pytest.raises(KeyboardInterrupt):
                deque(map(store.get, repeat(ids)), maxlen=0)
    finally:
        signal.signal(signal.SIGALRM, before)
        store.close()

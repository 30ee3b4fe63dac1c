"""Text on streams: widths, odd names, readers that go away, a full disk."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import output
from cli import progress as progress_line
from cli.errors import ExitCode
from cli.progress import ProgressLine, describe, duration
from indexer import Progress

from .conftest import Echolens

SHOWN = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("cat", 3),
        ("猫", 2),
        ("猫 cat", 6),
        ("é", 1),
        ("e\u0301", 1),
        ("ＡＢ", 4),
        ("📷", 2),
        ("", 0),
    ],
)
def test_width_is_what_a_terminal_takes(text: str, columns: int) -> None:
    assert output.width(text) == columns


@given(SHOWN, st.integers(2, 40), st.booleans())
def test_fit_gives_exactly_the_size_or_one_less_before_a_wide_character(
    text: str, size: int, to_right: bool
) -> None:
    shown = output.fit(text, size, to_right=to_right)

    assert output.width(shown) == size
    if output.width(text) <= size:
        assert text in shown
        assert shown.replace(text, "", 1).strip(" ") == ""


def test_a_table_lines_up_with_chinese_in_it(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output.table(
        ("rank", "file", "text"), [("1", "猫.jpg", "x"), ("10", "dog.jpg", "y")], right="rank"
    )

    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert lines == ["rank  file     text", "   1  猫.jpg   x", "  10  dog.jpg  y"]


PLACES = st.lists(st.tuples(SHOWN, SHOWN, SHOWN), max_size=4)


@given(PLACES, st.integers(60, 120), st.booleans())
def test_no_line_of_a_table_is_wider_than_the_terminal(
    rows: list[tuple[str, str, str]], columns: int, wrap: bool
) -> None:
    rows = [(output.fit(reason, 10), path, text) for reason, path, text in rows]

    lines = _table(("reason", "path", "text"), rows, columns, wrap=wrap)

    assert max(map(output.width, lines)) <= columns


def _table(
    head: tuple[str, ...], rows: list[tuple[str, ...]], columns: int | None, **options: Any
) -> list[str]:
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "terminal_columns", lambda: columns)
        patch.setattr(output, "line", lines.append)
        output.table(head, rows, **options)
    return lines


def test_a_long_path_keeps_its_name_and_a_wrapped_text_all_its_words() -> None:
    path = "/home/somebody/Pictures/2024/a very long holiday by the sea/IMG_0042.jpg"
    text = "is damaged or cut short: broken data stream when reading image file"

    lines = _table(("reason", "path", "what was wrong"), [("corrupt", path, text)], 80, wrap=True)

    assert lines[1].startswith("corrupt  /home/some")
    assert "…" in lines[1]
    assert "/IMG_0042.jpg  is damaged" in lines[1]
    column = lines[0].index("what was wrong")
    assert " ".join(line[column:] for line in lines[1:]) == text


def test_in_a_pipe_a_text_is_shortened_only_where_it_may_be() -> None:
    row = ("1", "a" * 300, "b" * 300)

    assert _table(("rank", "file", "text"), [row], None)[1].count("b") == 300
    shortened = _table(("rank", "file", "text"), [row], None, longest=100)[1]

    assert (shortened.count("a"), shortened.count("b")) == (300, 99)


def test_a_record_is_one_line_of_utf8_whatever_is_in_it(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    import json

    fields = {"path": "a\n\udcff猫"}
    output.record(fields)

    written = capfdbinary.readouterr().out
    assert written.count(b"\n") == 1
    assert json.loads(written.decode("utf-8")) == fields


@given(st.floats(0, 1e6))
def test_a_duration_is_short(seconds: float) -> None:
    text = duration(seconds)
    assert len(text) <= 12
    assert unicodedata.is_normalized("NFC", text)


def test_progress_in_words() -> None:
    assert describe(Progress(1234, 2, 10_000), 56.0) == (
        "1,234 of 10,000 files, 56.0 a second, 2 failed, 3 min left"
    )
    assert describe(Progress(5, 0, None), 0.0) == "5 files"
    assert describe(Progress(9, 0, 10), 50.0).endswith(", nearly done")
    assert describe(Progress(10, 0, 10), 50.0).endswith(", finishing")


def test_progress_of_films_tells_their_time_and_speed() -> None:
    films = Progress(12, 1, 40, media_s=1510.0, media_total_s=5520.0, seconds=100.0)

    assert describe(films, 0.0, 12.0) == (
        "12 of 40 files, 25:10 of 1:32:00 at 12x, 1 failed, 6 min left"
    )
    assert " at 15x, " in describe(films, 0.0)  # nothing was done lately: that of the whole run
    assert describe(films, 0.01, 12.0).endswith(", 47 min left")  # many small files are to come
    slow = Progress(1, 0, None, media_s=30.0, media_total_s=10.0, seconds=60.0)
    assert describe(slow, 0.0) == "1 files, 0:30 of 0:30 at 0.5x"  # the header promised less


def test_the_line_is_about_what_was_done_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    now = [0.0]
    monkeypatch.setattr(output, "replace_line", shown.append)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress_line.time, "monotonic", lambda: now[0])
    with ProgressLine(quiet=False) as line:
        for second in range(0, 120, 10):
            now[0] = float(second)
            media_s = 600.0 + 2 * second if second else 0.0
            line(Progress(second, 0, 1000, media_s=media_s, seconds=max(1.0, second)))

    assert " at 2.0x, " in shown[-2]


def _process(*arguments: str, collection: Path, stdout: int) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-m", "cli.main", "-c", str(collection)]
    return subprocess.Popen(
        [*program, *arguments], stdout=stdout, stderr=subprocess.PIPE, env=dict(os.environ)
    )


def test_a_reader_that_goes_away_is_no_error(
    tmp_path: Path, photos: Path, echolens: Echolens
) -> None:
    echolens("index", photos)
    reading, writing = os.pipe()
    os.close(reading)

    process = _process(
        "search", "red", "--format", "jsonl", collection=tmp_path / "collection", stdout=writing
    )
    os.close(writing)
    _, err = process.communicate(timeout=60)

    assert process.returncode == ExitCode.DONE
    assert err == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_under_stdout_is_told(tmp_path: Path, photos: Path, echolens: Echolens) -> None:
    echolens("index", photos)

    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        process = _process(
            "search", "red", collection=tmp_path / "collection", stdout=full.fileno()
        )
        _, err = process.communicate(timeout=60)

    assert process.returncode == ExitCode.MISSING
    assert b"No space left" in err
    assert b"Traceback" not in err


def test_a_terminal_that_knows_only_ascii_gets_escapes(photos: Path, echolens: Echolens) -> None:
    (photos / "red.png").rename(photos / "猫.png")
    echolens("index", photos)

    done = echolens("search", "red", PYTHONIOENCODING="ascii")

    assert done.code == ExitCode.DONE
    assert b"\\u732b.png" in done.out

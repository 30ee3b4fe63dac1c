"""Decoding processes: what they are told of the process that started them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.conftest import ROOT

SCRIPT = """
from indexer import create, index

photos = create({collection!r}, encoder="hash:")
print(index([{media!r}], photos).accounting())
"""


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    Image.new("RGB", (40, 30), "red").save(tmp_path / "media/red.png")
    script = tmp_path / "script.py"
    collection, media = str(tmp_path / "collection"), str(tmp_path / "media")
    script.write_text(SCRIPT.format(collection=collection, media=media))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == "indexed 1, unchanged 0, duplicates 0, skipped 0 = 1\n"

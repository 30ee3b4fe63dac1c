"""``echolens promote``: what it says and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Echolens


@pytest.fixture
def indexed(echolens: Echolens, photos: Path) -> Echolens:
    assert echolens("index", str(photos)).code == 0
    return echolens


def test_there_and_back(indexed: Echolens) -> None:
    dry = indexed("promote", "--assets", "folder:", "--dry-run")
    assert dry.code == 0
    assert dry.lines == ["would move 3 assets", "the collection would be in exact: sqlite: folder:"]
    assert any(line.endswith("inplace:") for line in indexed("status").lines)

    there = indexed("promote", "--assets", "folder:")
    assert there.code == 0
    assert there.lines[0].startswith("moved 3 assets (")
    assert there.lines[1:] == ["the collection is in exact: sqlite: folder:"]
    assert there.err == ""

    back = indexed("promote", "--back")
    assert back.code == 0
    assert back.lines == [
        "moved 0 assets, 3 were there",
        "the collection is in exact: sqlite: inplace:",
    ]
    assert "what it has left is still there: assets folder:" in back.err
    assert "--discard-old` erases that" in back.err
    assert indexed("promote", "--back", "-q").err == ""

    foreseen = indexed("promote", "--discard-old", "--dry-run")
    assert foreseen.lines[0] == "would erase assets folder:"
    assert "where the store in use does" in foreseen.lines[1]
    gone = indexed("promote", "--discard-old")
    assert gone.code == 0
    assert gone.lines[0] == "erased assets folder:"
    assert gone.err == ""
    assert indexed("promote", "--discard-old").lines[0] == "nothing to erase"


def test_a_dry_run_says_what_a_move_would_erase(indexed: Echolens) -> None:
    assert indexed("promote", "--assets", "folder:").code == 0
    there = ("promote", "--vectors", "faiss:", "--assets", "folder:copies")
    dry = indexed(*there, "--discard-old", "--dry-run")
    assert [line for line in dry.lines if line.startswith("would erase")] == [
        "would erase vectors exact:",
        "would erase assets folder:",
    ]
    assert not any("erase" in line for line in indexed(*there, "--dry-run").lines)
    back = indexed("promote", "--back", "--discard-old", "--dry-run")
    assert [line for line in back.lines if line.startswith("would erase")] == [
        "would erase assets folder:"
    ]


def test_a_copy_that_stays_is_told(indexed: Echolens, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    assert indexed("promote", "--assets", f"folder:{copies}").code == 0
    assert indexed("promote", "--assets", "folder:").code == 0
    lost = next(path for path in (tmp_path / "collection/assets").rglob("*") if path.is_file())
    lost.unlink()
    done = indexed("promote", "--discard-old")
    assert done.code == 3
    assert "1 copies were not erased" not in done.err
    assert f"1 copy was not erased, since the store in use has no whole one: {lost.name}" in (
        done.err
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Nothing says where"),
        (["--back"], "no way back"),
        (["--back", "--assets", "folder:"], "Going back"),
        (["--assets", "inplace:"], "already"),
        (["--vectors", "nowhere:"], "called `nowhere:`"),
    ],
)
def test_used_wrongly(indexed: Echolens, arguments: list[str], said: str) -> None:
    done = indexed("promote", *arguments)
    assert done.code == 2
    assert said in done.err
    assert " next: " in done.err


def test_a_file_that_is_gone(indexed: Echolens, photos: Path) -> None:
    (photos / "red.png").unlink()
    done = indexed("promote", "--assets", "folder:")
    assert done.code == 4
    assert "red.png" in done.err
    assert "echolens index" in done.err

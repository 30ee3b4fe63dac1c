"""What loads what: the floors hold, starting is light, and the wheel has three names at its top."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import indexer
import retrieval
from tests.conftest import ROOT

HEAVY = (
    "PIL",
    "bs4",
    "faiss",
    "onnxruntime",
    "open_clip",
    "pandas",
    "pebble",
    "pillow_heif",
    "pypdfium2",
    "scipy",
    "sqlglot",
    "tokenizers",
    "torch",
)


def _loaded_by(statement: str) -> set[str]:
    """Top-level names of all modules in memory after a statement, in a process of its own."""
    program = f"{statement}\nimport sys\nprint(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=60,
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("package", ["retrieval", "indexer"])
def test_importing_a_package_loads_nothing_heavy(package: str) -> None:
    heavy = set(HEAVY) - ({"pebble"} if package == "indexer" else set())

    assert _loaded_by(f"import {package}") & heavy == set()


@pytest.mark.parametrize("arguments", [["--help"], ["search", "--help"], ["no-such-command"]])
def test_help_loads_neither_the_library_nor_numpy(arguments: list[str]) -> None:
    loaded = _loaded_by(f"from cli.main import run\nrun({arguments!r})")

    assert loaded & {*HEAVY, "numpy", "retrieval", "indexer", "rich"} == set()


def test_the_floors_hold() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_the_public_names() -> None:
    assert retrieval.__all__ == [
        "Collection",
        "DocumentRef",
        "EcholensError",
        "Evidence",
        "Hit",
        "LegScore",
        "Moment",
        "Part",
        "Query",
        "Results",
        "open_collection",
        "parse_query",
    ]
    assert indexer.__all__ == [
        "Exported",
        "Failure",
        "IndexOptions",
        "IndexReport",
        "Moved",
        "Progress",
        "PromoteReport",
        "Stage",
        "Status",
        "StoreStatus",
        "Stores",
        "VerifyReport",
        "attach",
        "create",
        "export",
        "export_alias",
        "failures",
        "index",
        "promote",
        "remove",
        "status",
        "verify",
    ]
    for package in (retrieval, indexer):
        assert [name for name in package.__all__ if not hasattr(package, name)] == []


def test_the_top_of_the_wheel_is_the_three_packages() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]

    assert build["build"]["targets"]["wheel"] == {"packages": ["retrieval", "indexer", "cli"]}


def test_a_built_wheel_has_nothing_else_at_its_top(tmp_path: Path) -> None:
    pytest.importorskip(
        "hatchling", reason="hatchling is not installed; its configuration is tested"
    )
    import zipfile

    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()

    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "retrieval",
        "indexer",
        "cli",
    }
    assert "retrieval/encoders/starter_files/classifier.onnx" in names
    assert not [name for name in names if "__pycache__" in name]

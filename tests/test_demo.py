"""``make demo MEDIA=folder``: a collection for each folder, and a word when it holds nothing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests import corpus

SOURCE = Path(__file__).parent.parent / "tools" / "demo.py"


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, in a clone of its own."""
    spec = importlib.util.spec_from_file_location("demo", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "demo", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "DEMO", tmp_path / "demo")
    monkeypatch.setenv("ECHOLENS_ENCODER", "hash:")
    return module


def test_a_folder_of_ones_own_has_a_collection_of_its_own(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    corpus.picture(media / "a.png")
    monkeypatch.setattr(sys, "argv", ["demo", "--media", str(media)])

    demo.main()

    own = demo._collection_of(str(media))
    assert own not in (demo.COLLECTION, demo._collection_of(str(tmp_path)))
    assert demo.Echolens(own).first_picture("anything") == str(media / "a.png")
    assert (tmp_path / demo.SHEET).is_file()


def test_a_folder_with_nothing_in_it_is_told(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(sys, "argv", ["demo", "--media", str(tmp_path / "empty")])

    with pytest.raises(SystemExit, match="nothing could be indexed in"):
        demo.main()

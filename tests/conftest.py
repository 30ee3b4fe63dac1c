"""What every test may count on: the tests' own encoder is installed, and no user's settings are."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.encoders import plugin_path

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def _plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make the scheme ``hash:`` known here and in every process that a test starts."""
    folder = str(plugin_path(tmp_path_factory.mktemp("plugin")))
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(folder)
    paths = [folder, str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    patch.setenv("PYTHONPATH", os.pathsep.join(paths))
    importlib.invalidate_caches()
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _no_user_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own settings and collections apart from the tests."""
    for name in [name for name in os.environ if name.startswith("ECHOLENS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if sys.platform == "darwin":
        monkeypatch.setenv("HOME", str(tmp_path))

"""What every test may count on: the tests' own encoder is installed, and no user's settings are."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.encoders import plugin_path
from tests.services.elasticsearch import ElasticsearchServer
from tests.services.milvus import MilvusServer
from tests.services.process import running
from tests.services.s3 import CREDENTIALS, S3Server

ROOT = Path(__file__).parent.parent

# A test says what must hold, however busy the machine is. Where `CI` is set the examples of laws
# are the same each time; elsewhere every run looks for new ones.
settings.register_profile("echolens", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("echolens")


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
    """Keep a developer's own settings, collections and credentials apart from the tests."""
    for name in [name for name in os.environ if name.startswith(("ECHOLENS_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "config/aws"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if sys.platform == "darwin":
        monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="session")
def s3_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The S3 server of this process, for all of its tests."""
    with running(S3Server(tmp_path_factory.mktemp("s3"))) as server:
        yield server


@pytest.fixture
def s3_server(s3_session: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A real S3 server, and its credentials in the environment."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return s3_session


@pytest.fixture
def own_s3_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """An S3 server of the test's own, to be killed."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with running(S3Server(tmp_path / "s3")) as server:
        yield server


@pytest.fixture(scope="session")
def milvus_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """The Milvus server of this process, for all of its tests."""
    pytest.importorskip("pymilvus")
    with running(MilvusServer(tmp_path_factory.mktemp("milvus"))) as server:
        yield server


@pytest.fixture
def own_milvus_server(tmp_path: Path) -> Iterator[MilvusServer]:
    """A Milvus server of the test's own, to be killed."""
    pytest.importorskip("pymilvus")
    with running(MilvusServer(tmp_path / "milvus")) as server:
        yield server


@pytest.fixture(scope="session")
def elasticsearch_session(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ElasticsearchServer]:
    """The Elasticsearch server of this process, for all of its tests."""
    pytest.importorskip("elasticsearch")
    with running(ElasticsearchServer(tmp_path_factory.mktemp("elasticsearch"))) as server:
        yield server


@pytest.fixture
def own_elasticsearch_server(tmp_path: Path) -> Iterator[ElasticsearchServer]:
    """An Elasticsearch server of the test's own, to be killed."""
    pytest.importorskip("elasticsearch")
    with running(ElasticsearchServer(tmp_path / "elasticsearch")) as server:
        yield server

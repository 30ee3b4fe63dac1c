"""A real Milvus server, standalone, from PyPI.

Gets: a folder. Gives: a server that runs. Touches: what `process` touches; the unpacked server
(250 MB) in the user's cache, for all runs of tests. Never: another Milvus.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .process import Server, ServerError, answers

if TYPE_CHECKING:
    from pymilvus import MilvusClient

CACHE = Path.home() / ".cache/echolens-tests"  # before any test moves the user's folders
USER, PASSWORD = "root", "Milvus"  # of a server that asks for them


class MilvusServer(Server):
    """Milvus; ``settings`` are its own, as ``name=value``."""

    product = "Milvus"
    port_names = (
        "proxy_port",
        "http",
        "etcd",
        "etcd_peer",
        "proxy_internal_port",
        "root_coord_port",
        "query_coord_port",
        "query_node_port",
        "index_coord_port",
        "index_node_port",
        "data_coord_port",
        "data_node_port",
    )
    ready_s = 90
    stop_s = 5

    def __init__(self, folder: Path, *settings: str) -> None:
        super().__init__(folder)
        self.settings = settings

    def url(self, name: str, options: str = "consistency=strong") -> str:
        return f"milvus://127.0.0.1:{self.ports['proxy_port']}/{name}?{options}"

    def client(self) -> MilvusClient:
        """The server seen past the store."""
        from pymilvus import MilvusClient

        return MilvusClient(f"http://127.0.0.1:{self.ports['proxy_port']}", dedicated=True)

    def drop(self, beginning: str) -> None:
        """Drop the collections whose names begin so."""
        client = self.client()
        for name in client.list_collections():
            if name.startswith(beginning):
                client.drop_collection(name)
        client.close()

    def command(self) -> Sequence[str]:
        if importlib.util.find_spec("milvus") is None:
            raise ServerError("`milvus` isn't installed: pip install milvus==2.3.5")
        runner = Path(__file__).with_name(
            "milvus_runner.py"
        )  # -P: whose neighbours it is not to import
        ports = [f"{name}={port}" for name, port in self.ports.items()]
        data = self.folder / "data"
        return [sys.executable, "-P", str(runner), str(CACHE), str(data), *ports, *self.settings]

    def is_ready(self) -> bool:
        return answers(f"http://127.0.0.1:{self.ports['http']}/healthz")

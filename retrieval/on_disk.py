"""Models that are on this disk already: in the hub's cache, and exports that were made here.

Gets: the folder of exports. Gives: names and sizes. Touches: the hub's cache and that folder,
read-only. Never: a network, a weight, an encoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class ModelOnDisk:
    """A model's files: its name, their size, where they came from, their folder."""

    name: str
    bytes: int
    origin: Literal["hub", "export"]
    folder: Path


def models_on_disk(exports: Path) -> list[ModelOnDisk]:
    """The models of the hub's cache, then the exports, each sorted by name."""
    return [*sorted(_in_hub_cache(), key=_name), *sorted(_exports(exports), key=_name)]


def _in_hub_cache() -> Iterator[ModelOnDisk]:
    try:
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        return
    if not Path(HF_HUB_CACHE).is_dir():
        return  # and the rest of the client, which takes its time, stays unloaded
    from huggingface_hub import scan_cache_dir

    for found in scan_cache_dir(HF_HUB_CACHE).repos:
        if found.repo_type == "model":
            yield ModelOnDisk(found.repo_id, found.size_on_disk, "hub", found.repo_path)


def _exports(folder: Path) -> Iterator[ModelOnDisk]:
    if folder.is_dir():
        for export in folder.iterdir():
            files = [path for path in export.rglob("*") if path.is_file()]
            if files and not export.name.startswith("."):
                size = sum(path.stat().st_size for path in files)
                yield ModelOnDisk(export.name, size, "export", export)


def _name(model: ModelOnDisk) -> str:
    return model.name

"""A machine keeps the name that it first had in a shared collection."""

from __future__ import annotations

from pathlib import Path

from retrieval.hosts import host_of, keep_host
from retrieval.settings import Settings


def test_the_name_of_the_first_write_stays(tmp_path: Path) -> None:
    assert host_of(tmp_path, Settings(tmp_path, host="anna")) == "anna"
    assert list(tmp_path.iterdir()) == []
    keep_host(tmp_path, "anna")
    keep_host(tmp_path, "anna.local")
    assert host_of(tmp_path, Settings(tmp_path, host="anna-2")) == "anna"


def test_a_folder_that_is_not_there_has_no_name_of_its_own(tmp_path: Path) -> None:
    assert host_of(tmp_path / "none", Settings(tmp_path, host="anna")) == "anna"

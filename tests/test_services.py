"""The servers that tests start: they leave nothing behind, and one that can't start is told."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.services.process import answers, running
from tests.services.s3 import S3Server


@pytest.mark.services
def test_a_server_ends_and_comes_back_on_its_port(tmp_path: Path) -> None:
    with running(S3Server(tmp_path)) as server:
        health = f"{server.endpoint}/healthz"
        for end in (server.kill, server.stop):
            assert answers(health)
            end()
            assert not answers(health)
            server.start()
    assert not answers(health)


def test_without_a_server_tests_are_skipped_but_in_ci_they_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin/weed"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho no such option >&2\nexit 2\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", os.fspath(broken.with_name("python")))
    for name, outcome in (("", pytest.skip.Exception), ("1", pytest.fail.Exception)):
        monkeypatch.setenv("CI", name)
        with (
            pytest.raises(outcome, match="no such option"),
            running(S3Server(tmp_path / "server")),
        ):
            pass

"""Models that come from the hub: downloaded once, whole or not at all, and refused within seconds.

The hub is `tests.fake_hub` on this machine; huggingface_hub's own code talks to it. What is killed,
or does the same at once, runs in processes of its own.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest

from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.encoders.open_clip.names import parse, space_key
from retrieval.errors import WeightsMissingError
from retrieval.schema import Compute, FloatArray
from retrieval.servers import hub
from tests.fake_hub import FakeHub, serve, use_hub
from tests.open_clip_families import FAMILIES, build

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

ID = "test/tiny-SigLIP2"
WEIGHTS = "open_clip_model.safetensors"
IN_SECONDS = 15  # the hub's client left to itself takes 47 s
FETCH = f"""
from retrieval.errors import WeightsMissingError
from retrieval.servers import hub
try:
    print(hub.fetch(hub.Wanted("The weights", "{ID}", "a model", ""), ["{WEIGHTS}"]))
except WeightsMissingError as error:
    print(error, error.advice)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """SigLIP2, small, in a folder."""
    folder = build(FAMILIES["SigLIP2"], tmp_path_factory.mktemp("hub") / "model")
    yield folder
    (folder / WEIGHTS).unlink()


@pytest.fixture
def server(model: Path) -> Iterator[FakeHub]:
    """A hub that holds it, and its tokenizer elsewhere, as SigLIP2 has it."""
    files = {file.name: file.read_bytes() for file in model.iterdir() if file.is_file()}
    config = json.loads(files["open_clip_config.json"])
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "test/tokenizer"
    files["open_clip_config.json"] = json.dumps(config).encode()
    own = {name: data for name, data in files.items() if name.startswith("open_clip")}
    tokenizer = {name: data for name, data in files.items() if name not in own}
    with serve({ID: own, "test/tokenizer": tokenizer}) as server:
        yield server


@pytest.fixture
def cache(server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache in place of the user's, and the server in place of the hub."""
    use_hub(monkeypatch, server.endpoint, tmp_path / "hub")
    return tmp_path / "hub"


def encode(location: str = f"hf-hub:{ID}") -> FloatArray:
    encoder = OpenClipEncoder(location, Compute("cpu", "fp32"))
    return encoder.encode("text", ["a dog"], role="query")


def refusal(location: str = f"hf-hub:{ID}") -> WeightsMissingError:
    start = time.monotonic()
    with pytest.raises(WeightsMissingError) as caught:
        encode(location)
    assert time.monotonic() - start < IN_SECONDS
    return caught.value


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(server: FakeHub, cache: Path) -> Iterator[Start]:
    """Start a process that fetches the weights."""
    running: list[subprocess.Popen[str]] = []
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_ENDPOINT": server.endpoint}

    def begin(before: str = "") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", before + FETCH],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env=environment,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def files_of(cache: Path) -> list[Path]:
    """Every file of weights in a cache, whole or not."""
    return [file for file in cache.rglob("blobs/*") if file.is_file() and file.stat().st_size > 1e6]


def test_it_is_downloaded_once_and_then_no_connection_is_made(
    server: FakeHub, cache: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="echolens"):
        first = encode()
        np.testing.assert_allclose(first, encode(f"local-dir:{model}"), atol=1e-5)
        notices = [record.message for record in caplog.records if record.name == "echolens"]
        assert len(notices) == 3  # configuration, weights, tokenizer
        assert all("downloading" in notice for notice in notices)
        assert server.bodies_sent(WEIGHTS) == 1

        server.asked.clear()
        caplog.clear()
        np.testing.assert_array_equal(encode(), first)
    assert server.asked == []
    assert [record for record in caplog.records if record.name == "echolens"] == []


def test_a_hub_that_is_not_there_is_said_within_seconds(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Port 9 (discard) of this host refuses at once, with or without a network.
    use_hub(monkeypatch, "http://127.0.0.1:9")
    for location in (f"hf-hub:{ID}", "ViT-B-32/laion2b_s34b_b79k"):
        error = refusal(location)
        assert "can't be had from http://127.0.0.1:9" in str(error)
        for way_out in ("connection", "HF_ENDPOINT", "HF_HOME", "open_clip:MODEL//path"):
            assert way_out in error.advice


def test_a_hub_that_never_answers_is_given_up_within_seconds(server: FakeHub, cache: Path) -> None:
    server.faults["open_clip_config.json"] = "mute"
    assert "can't be had from" in str(refusal())


def test_a_name_server_that_never_answers_is_given_up_within_seconds(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda *_, **__: time.sleep(60))
    assert "no answer within" in str(refusal())


def test_offline_mode_is_named_as_the_reason(
    server: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in str(refusal())
    assert server.asked == []


@pytest.mark.parametrize(
    ("location", "fault", "error", "advice"),
    [
        ("hf-hub:test/no-such", {}, "has no test/no-such", "HF_TOKEN"),
        (f"hf-hub:{ID}", {"open_clip_config.json": "gated"}, "accepted its terms", "HF_TOKEN"),
        ("hf-hub:test/tokenizer", {}, "holds no open_clip_config.json", "not every"),
    ],
)
def test_a_repository_that_has_no_model_for_us(
    location: str, fault: dict[str, str], error: str, advice: str, server: FakeHub, cache: Path
) -> None:
    server.faults.update(fault)
    refused = refusal(location)
    assert error in str(refused)
    assert advice in refused.advice


def test_an_answer_that_ends_early_leaves_nothing(server: FakeHub, cache: Path) -> None:
    server.faults[WEIGHTS] = "cut"
    assert "can't be had" in str(refusal())
    assert files_of(cache) == []
    server.faults.clear()
    assert encode().shape == (1, 192)


def test_killed_while_downloading_the_next_run_starts_anew(
    start: Start, server: FakeHub, cache: Path
) -> None:
    server.faults[WEIGHTS] = "stall"
    process = start()
    deadline = time.monotonic() + 60
    while not files_of(cache) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert [file.suffix for file in files_of(cache)] == [".incomplete"]
    assert hub.cached(ID, WEIGHTS) is None
    server.faults.clear()
    assert encode().shape == (1, 192)
    assert server.bodies_sent(WEIGHTS) == 2


def test_a_disk_that_fills_up_leaves_nothing(start: Start, cache: Path) -> None:
    limit = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
"""
    answer = said(start(limit))
    assert "can't be written to" in answer
    assert "HF_HOME" in answer
    assert files_of(cache) == []
    assert encode().shape == (1, 192)


def test_a_full_disk_is_seen_before_the_download(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(total=10**12, used=10**12, free=5_000_000)
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda _: usage)
    error = refusal()
    assert "MB are needed, 5 MB are free" in str(error)
    assert "HF_HOME" in error.advice


def test_two_at_once_download_it_once(start: Start, server: FakeHub, cache: Path) -> None:
    server.faults[WEIGHTS] = "slow"
    one, other = [said(process) for process in [start(), start()]]
    assert one == other
    assert one.strip().endswith(WEIGHTS)
    assert server.bodies_sent(WEIGHTS) == 1


@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_cached_file_that_is_cut_short_is_named(
    kept: float, server: FakeHub, cache: Path
) -> None:
    encode()
    (blob,) = files_of(cache)
    blob.write_bytes(blob.read_bytes()[: int(blob.stat().st_size * kept)])
    error = refusal()
    assert "can't be read as weights" in str(error)
    assert WEIGHTS in str(error)
    assert "delete it and run again" in error.advice


def test_half_a_tokenizer_is_not_taken_for_a_whole_one(server: FakeHub, cache: Path) -> None:
    whole = encode()
    server.asked.clear()
    for pointer in cache.rglob("snapshots/*/tokenizer_config.json"):
        pointer.unlink()
    np.testing.assert_array_equal(encode(), whole)
    assert any(path.endswith("tokenizer_config.json") for _, path in server.asked)


def test_names_that_differ_only_for_the_hub_have_spaces_of_their_own() -> None:
    ids = ["a/b-c", "a-b/c", "A/b-c", "a/b.c", "a/b_c"]
    keys = {space_key(parse(f"hf-hub:{id_}"), "") for id_ in ids}
    assert len(keys) == len(ids)
    assert all(key.startswith("hf-hub-a-b-c-") for key in keys)

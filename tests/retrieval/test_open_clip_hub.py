"""Models that come from the hub: downloaded once, whole or not at all, and refused within seconds.

The hub is `tests.fake_hub` on this machine; huggingface_hub's own code talks to it, in processes of
its own, since it reads ``HF_ENDPOINT`` and ``HF_HOME`` when it is imported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.schema import Compute
from tests.fake_hub import FakeHub, serve
from tests.open_clip_families import FAMILIES, build

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

ID = "test/tiny-SigLIP2"
WEIGHTS = "open_clip_model.safetensors"
IN_SECONDS = (
    25  # the hub's client by itself takes 47 s; most of these are imports on a busy machine
)

PROGRAM = """
import json, sys, time
sys.path.insert(0, {root!r})
from tests import open_clip_families
open_clip_families.know_shrunk_towers()
import logging
logging.basicConfig(format="%(name)s: %(message)s")
from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.errors import EcholensError
from retrieval.schema import Compute
encoder = OpenClipEncoder({location!r}, Compute("cpu", "fp32"))
start = time.monotonic()
try:
    vectors = encoder.encode("text", ["a dog"], role="query").tolist()
    said = {{"vectors": vectors, "space": encoder.space.key}}
except EcholensError as error:
    said = {{"kind": type(error).__name__, "error": str(error), "advice": error.advice}}
print(json.dumps({{**said, "seconds": time.monotonic() - start}}))
"""
ROOT = str(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """SigLIP2, small, in a folder."""
    folder = build(FAMILIES["SigLIP2"], tmp_path_factory.mktemp("hub") / "model")
    yield folder
    (folder / WEIGHTS).unlink()


@pytest.fixture
def hub(model: Path) -> Iterator[FakeHub]:
    """A hub that holds it twice: with its tokenizer, and with a tokenizer that is elsewhere."""
    files = {file.name: file.read_bytes() for file in model.iterdir() if file.is_file()}
    config = json.loads(files["open_clip_config.json"])
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "test/tokenizer"
    files["open_clip_config.json"] = json.dumps(config).encode()
    own = {name: data for name, data in files.items() if name.startswith("open_clip")}
    with serve({ID: own, "test/tokenizer": files}) as hub:
        yield hub


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(hub: FakeHub, tmp_path: Path) -> Iterator[Start]:
    """Start a process that encodes a text with a model of the hub."""
    running: list[subprocess.Popen[str]] = []

    def begin(
        location: str = f"hf-hub:{ID}", before: str = "", **settings: str
    ) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "HF_HOME": str(tmp_path / "cache"),
            "HF_ENDPOINT": hub.endpoint,
            "OMP_NUM_THREADS": "1",
            **settings,
        }
        for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN"):
            if name not in settings:
                environment.pop(name, None)
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", before + PROGRAM.format(root=ROOT, location=location)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
        )
        return running[-1]

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[dict[str, object], str]:
    """What a process said, and its stderr."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out), err


def files_of(cache: Path) -> list[Path]:
    """Every file of weights in a cache, whole or not."""
    return [file for file in cache.rglob("blobs/*") if file.is_file() and file.stat().st_size > 1e6]


def test_it_is_downloaded_once_and_then_no_connection_is_made(
    start: Start, hub: FakeHub, model: Path
) -> None:
    first, err = ended(start())
    expected = OpenClipEncoder(f"local-dir:{model}", Compute("cpu", "fp32"))
    vectors = expected.encode("text", ["a dog"], role="query")
    np.testing.assert_allclose(first["vectors"], vectors, atol=1e-5)
    assert str(first["space"]).startswith("hf-hub-test-tiny-siglip2-")
    notices = [line for line in err.splitlines() if line.startswith("echolens: ")]
    assert len(notices) == 3  # configuration, weights, tokenizer
    assert all("downloading" in notice for notice in notices)
    assert hub.bodies_sent(WEIGHTS) == 1

    hub.asked.clear()
    again, err = ended(start())
    assert again["vectors"] == first["vectors"]
    assert hub.asked == []
    assert "echolens:" not in err


def test_a_hub_that_is_not_there_is_said_within_seconds(start: Start) -> None:
    # Port 9 (discard) of this host refuses at once, with or without a network.
    said, _ = ended(start(HF_ENDPOINT="http://127.0.0.1:9"))
    assert said["kind"] == "WeightsMissingError"
    assert "can't be had from http://127.0.0.1:9" in str(said["error"])
    for way_out in ("connection", "HF_ENDPOINT", "HF_HOME", "open_clip:MODEL//path"):
        assert way_out in str(said["advice"])
    assert float(str(said["seconds"])) < IN_SECONDS


def test_a_hub_that_never_answers_is_given_up_within_seconds(start: Start, hub: FakeHub) -> None:
    hub.faults["open_clip_config.json"] = "mute"
    said, _ = ended(start())
    assert "can't be had from" in str(said["error"])
    assert float(str(said["seconds"])) < IN_SECONDS


def test_offline_mode_is_named_as_the_reason(start: Start, hub: FakeHub) -> None:
    said, _ = ended(start(HF_HUB_OFFLINE="1"))
    assert "HF_HUB_OFFLINE is set" in str(said["error"])
    assert hub.asked == []


@pytest.mark.parametrize(
    ("location", "fault", "error", "advice"),
    [
        ("hf-hub:test/no-such", {}, "has no test/no-such", "HF_TOKEN"),
        (f"hf-hub:{ID}", {"open_clip_config.json": "gated"}, "accepted its terms", "HF_TOKEN"),
        ("hf-hub:test/tokenizer-only", {}, "holds no open_clip_config.json", "not every"),
    ],
)
def test_a_repository_that_has_no_model_for_us(
    location: str, fault: dict[str, str], error: str, advice: str, start: Start, hub: FakeHub
) -> None:
    hub.repositories = {**hub.repositories, "test/tokenizer-only": {"tokenizer.json": b"{}"}}
    hub.faults.update(fault)
    said, _ = ended(start(location))
    assert error in str(said["error"])
    assert advice in str(said["advice"])


def test_an_answer_that_ends_early_leaves_nothing(
    start: Start, hub: FakeHub, tmp_path: Path
) -> None:
    hub.repositories = {**hub.repositories, ID: dict(hub.repositories[ID])}
    hub.faults[WEIGHTS] = "cut"
    said, _ = ended(start())
    assert "can't be had" in str(said["error"])
    assert files_of(tmp_path / "cache") == []
    hub.faults.clear()
    assert "vectors" in ended(start())[0]


def test_killed_while_downloading_the_next_run_starts_anew(
    start: Start, hub: FakeHub, tmp_path: Path
) -> None:
    hub.faults[WEIGHTS] = "slow"
    process = start()
    deadline = time.monotonic() + 60
    while not files_of(tmp_path / "cache") and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert [file.suffix for file in files_of(tmp_path / "cache")] == [".incomplete"]
    hub.faults.clear()
    assert "vectors" in ended(start())[0]
    assert hub.bodies_sent(WEIGHTS) == 2


def test_a_disk_that_fills_up_leaves_nothing(start: Start, hub: FakeHub, tmp_path: Path) -> None:
    limit = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
"""
    said, _ = ended(start(before=limit))
    assert "can't be written to" in str(said["error"])
    assert "HF_HOME" in str(said["advice"])
    assert files_of(tmp_path / "cache") == []
    assert "vectors" in ended(start())[0]


def test_two_at_once_download_it_once(start: Start, hub: FakeHub) -> None:
    hub.faults[WEIGHTS] = "slow"
    both = [start(), start()]
    said = [ended(process)[0] for process in both]
    assert said[0]["vectors"] == said[1]["vectors"]
    assert hub.bodies_sent(WEIGHTS) == 1


@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_cached_file_that_is_cut_short_is_named(
    kept: float, start: Start, tmp_path: Path
) -> None:
    ended(start())
    (blob,) = files_of(tmp_path / "cache")
    blob.write_bytes(blob.read_bytes()[: int(blob.stat().st_size * kept)])
    said, _ = ended(start())
    assert "can't be read as weights" in str(said["error"])
    assert WEIGHTS in str(said["error"])
    assert "delete it and run again" in str(said["advice"])


def test_half_a_tokenizer_is_not_taken_for_a_whole_one(
    start: Start, hub: FakeHub, tmp_path: Path
) -> None:
    whole, _ = ended(start())
    hub.asked.clear()
    for pointer in (tmp_path / "cache").rglob("snapshots/*/tokenizer_config.json"):
        pointer.unlink()
    again, _ = ended(start())
    assert again["vectors"] == whole["vectors"]
    assert any(path.endswith("tokenizer_config.json") for _, path in hub.asked)


def test_a_full_disk_is_seen_before_the_download(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from retrieval.encoders.open_clip import hub as module
    from retrieval.errors import WeightsMissingError

    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: (10**12, 10**12, 5 * 10**6))
    with pytest.raises(WeightsMissingError, match="600 MB are needed, 5 MB are free"):
        module._check_room("The weights", 600 * 10**6)
    module._check_room("The weights", 10**6)
    module._check_room("The weights", None)


def test_names_that_differ_only_for_the_hub_have_spaces_of_their_own() -> None:
    from retrieval.encoders.open_clip.names import parse, space_key

    ids = ["a/b-c", "a-b/c", "A/b-c", "a/b.c", "a/b_c"]
    keys = {space_key(parse(f"hf-hub:{id_}"), "") for id_ in ids}
    assert len(keys) == len(ids)
    assert all(key.startswith("hf-hub-a-b-c-") for key in keys)

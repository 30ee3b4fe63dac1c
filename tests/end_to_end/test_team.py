"""One collection on servers, and two machines that share it: the real command in two homes."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import corpus
from tests.services.s3 import SECRET_KEY

from .team import Machine, attached, made

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.xdist_group("milvus")]

COLOURS = ("red", "green", "blue")


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Machine]:
    def make(name: str, colour: str) -> Machine:
        media = tmp_path / name / "media"
        media.mkdir(parents=True)
        corpus.picture(media / f"{colour}.png", seed=COLOURS.index(colour))
        corpus.text(media / f"{colour}.txt", f"the {colour} boat of {name}")
        return Machine(name, tmp_path / name / "home", media)

    return make


def test_what_one_machine_indexes_another_finds_and_adds_to(
    machine: Callable[..., Machine], stores: dict[str, str]
) -> None:
    anna, berta = machine("anna", "red"), machine("berta", "blue")
    made(anna, stores)
    assert anna.echolens("index", anna.media).returncode == 0
    attached(berta, stores)
    assert SECRET_KEY not in (berta.home / "team/manifest.json").read_text()

    (hit,) = berta.hits("red boat")
    assert hit["uris"] == [f"file://anna{anna.media}/red.png"]
    assert hit["paths"] == []
    assert hit["captions"] == ["the red boat of anna"]

    indexed = berta.echolens("index", berta.media)
    assert (indexed.returncode, indexed.stdout.split(",")[0]) == (0, "indexed 1"), indexed.stderr
    assert next(hit["uris"] for hit in anna.hits("blue boat")) == [
        f"file://berta{berta.media}/blue.png"
    ]

    # Neither takes the other's files for vanished ones, and each has its own in its ledger.
    for each in (anna, berta):
        again = each.echolens("index", each.media)
        assert again.stdout.startswith("indexed 0, unchanged 1"), again.stdout
        checked = each.echolens("verify")
        assert checked.returncode == 0, checked.stdout
        assert len(each.hits("boat")) == 2

    assert berta.echolens("remove", berta.media / "blue.png").returncode == 0
    assert [hit["captions"] for hit in anna.hits("boat")] == [["the red boat of anna"]]
    assert berta.echolens("verify").returncode == 0


def test_status_tells_each_server_its_version_and_its_counts(
    machine: Callable[..., Machine], stores: dict[str, str]
) -> None:
    anna = machine("anna", "red")
    made(anna, stores)
    anna.echolens("index", anna.media)
    told = json.loads(anna.echolens("status", "--format", "jsonl").stdout)
    services = {store["role"]: store["service"] for store in told["stores"]}
    assert services["documents"]["product"] == "Elasticsearch"
    assert services["vectors test-hash-32/image"]["version"].startswith("2.3.5")
    assert services["vectors test-hash-32/image"]["counts"] == {"vectors": 1}
    assert {service["lag"] for name, service in services.items() if name != "assets"} <= {0, None}
    shown = anna.echolens("status").stdout
    assert SECRET_KEY not in shown
    assert "Elasticsearch 9" in shown


WRITER = """
import time
from indexer.opening import writing
from retrieval import open_collection

with writing(open_collection("team")):
    print("writing", flush=True)
    time.sleep(600)
"""


def test_one_writes_at_a_time_and_a_dead_writer_is_taken_over(
    machine: Callable[..., Machine], stores: dict[str, str]
) -> None:
    anna, berta = machine("anna", "red"), machine("berta", "blue")
    made(anna, stores)
    attached(berta, stores)
    with anna.python(WRITER) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "writing\n"
        refused = berta.echolens("index", berta.media)
        assert refused.returncode == 4
        assert "anna" in refused.stderr
        assert berta.echolens("search", "boat").returncode == 1  # reading goes on: there is none
        writer.send_signal(signal.SIGKILL)
    assert berta.echolens("index", berta.media).returncode == 0
    gone_on = anna.echolens("index", anna.media)
    assert gone_on.returncode == 0, gone_on.stderr
    assert len(anna.hits("boat")) == 2


def test_a_name_that_is_taken_is_attached_and_not_made_again(
    machine: Callable[..., Machine], stores: dict[str, str]
) -> None:
    anna, berta = machine("anna", "red"), machine("berta", "blue")
    made(anna, stores)
    options = [part for option in stores.items() for part in option]
    refused = berta.echolens("init", *options)
    assert refused.returncode == 2
    assert "--attach" in refused.stderr
    assert anna.echolens("index", anna.media).returncode == 0

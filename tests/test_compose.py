"""The container files: what can be held of them without a container."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from retrieval.asset_stores.s3.address import parse as parse_s3
from retrieval.servers.address import parse
from tests.services.s3 import S3Server

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "docker-compose.yml"
TEXT = COMPOSE.read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = YAML(typ="safe").load(TEXT)["services"]
SERVERS = ("milvus", "elasticsearch", "seaweedfs")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")

_PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+\.?\d*[\w.-]*")
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:[?-])?")
_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY")

each = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES.keys())


def test_it_is_a_compose_file() -> None:
    check = [sys.executable, "-m", "check_jsonschema"]
    schema = ["--builtin-schema", "vendor.compose-spec"]
    command = [*check, *schema, str(COMPOSE)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@each
def test_an_image_is_pinned(service: dict[str, Any]) -> None:
    assert _PINNED.fullmatch(service["image"])


@each
def test_a_service_says_whether_it_is_well(service: dict[str, Any]) -> None:
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert service["restart"]
    assert service["mem_limit"]


@each
def test_ports_are_open_to_this_machine_only(service: dict[str, Any]) -> None:
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")


@each
def test_no_secret_is_written_down(service: dict[str, Any]) -> None:
    for name, value in service["environment"].items():
        if _SECRET.search(name):
            assert re.fullmatch(r"(root:)?\$\{\w+:\?[^}]+\}", value), name


def test_data_lies_in_named_volumes() -> None:
    named = set(YAML(typ="safe").load(TEXT)["volumes"])
    assert {SERVICES[name]["volumes"][0].partition(":")[0] for name in SERVERS} == named - {
        "echolens"
    }


def test_every_variable_stands_in_the_example_and_no_secret_does() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    used = set(_VARIABLE.findall(TEXT))
    assert {name for name, _ in used} == set(example)
    for name, form in used:
        assert form == (":?" if _SECRET.search(name) else ":-")  # a missing secret is told
        assert bool(example[name]) == (form == ":-")
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_the_app_may_do_little() -> None:
    app = SERVICES["echolens"]
    assert app["profiles"] == ["app"]
    assert app["read_only"] is True
    assert app["cap_drop"] == ["ALL"]
    assert app["security_opt"] == ["no-new-privileges:true"]
    assert app["tmpfs"] == ["/tmp"]
    assert app["user"].split(":")[0] not in ("", "0", "root")
    assert [volume for volume in app["volumes"] if volume.endswith(":/media:ro")]
    assert app["depends_on"] == {name: {"condition": "service_healthy"} for name in SERVERS}


def _filled(text: str) -> str:
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_the_apps_stores_are_the_servers() -> None:
    told = SERVICES["echolens"]["environment"]
    for name, (service, port) in {
        "ECHOLENS_VECTORS": ("milvus", 19530),
        "ECHOLENS_DOCUMENTS": ("elasticsearch", 9200),
    }.items():
        address = parse(_filled(told[name]), port=1, options={})
        assert (address.host, address.port, address.tls) == (service, port, False)
        assert SERVICES[service]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert parse_s3(_filled(told["ECHOLENS_ASSETS"])).endpoint == "http://seaweedfs:8333"


def test_the_image_is_built_on_a_pinned_one_and_runs_as_nobody_special() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    user = re.findall(r"^USER (\S+)", final, re.M)
    assert user == [SERVICES["echolens"]["user"]]
    assert not set(re.findall(r"^COPY (?!--from)(.+) \S+$", final, re.M))


def test_what_the_image_is_built_from_is_let_in() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)
    assert "*" in lines
    assert {name for names in copied for name in names.split()} == let_in
    assert all((ROOT / name).exists() for name in let_in)


def _flags(command: list[str]) -> set[str]:
    """Without what differs by machine: folders, and where it listens."""
    return {
        flag
        for flag in command
        if not re.match(r"-(dir|ip\.bind|metricsPort|.*port(\.grpc)?)=", flag)
    }


def test_seaweedfs_has_the_flags_that_the_tests_start_it_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "weed"
    binary.touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    server = S3Server(tmp_path / "data")
    server.ports = dict.fromkeys(server.port_names, 1)
    _, *command = server.command()
    assert _flags(SERVICES["seaweedfs"]["command"]) == _flags(command)
    assert set(SERVICES["seaweedfs"]["environment"]) == set(server.environment())


def test_elasticsearch_is_of_the_version_and_kind_that_the_tests_start() -> None:
    service = SERVICES["elasticsearch"]
    assert service["environment"]["discovery.type"] == "single-node"
    files = [*(ROOT / "tests/services").rglob("EsNode.java")]
    assert files
    for file in files:
        assert '"discovery.type", "single-node"' in file.read_text(encoding="utf-8")
    for pom in (ROOT / "tests/services").rglob("pom.xml"):
        version = service["image"].rpartition(":")[2]
        assert f"<version>{version}</version>" in pom.read_text(encoding="utf-8")


def test_echolens_is_the_same_machine_in_every_run() -> None:
    # A container has a new host name each time, and files of another machine aren't its own.
    assert SERVICES["echolens"]["environment"]["ECHOLENS_HOST"] == "${ECHOLENS_HOST:-container}"

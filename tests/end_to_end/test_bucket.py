"""The real command with copies in a bucket of a real server."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from retrieval.asset_stores.s3.address import parse
from tests import corpus
from tests.services.s3 import SECRET_KEY, S3Server

from .command import run

pytestmark = pytest.mark.services

UNICODE = "B%C3%BCcher/%E7%8B%97%20%E7%9A%84"


def _kept(server: S3Server, url: str) -> list[str]:
    """Names of the objects of a bucket without their folders, of all versions, sorted."""
    bucket = parse(url).bucket
    listed = server.client().list_objects(bucket, recursive=True, include_version=True)
    return sorted(str(found.object_name).rpartition("/")[2] for found in listed)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    for seed in range(3):
        corpus.picture(folder / f"{seed}.png", seed=seed)
    corpus.text(folder / "note.md", "All about zeppelins.")
    return folder


def asset_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
def test_a_collection_keeps_its_copies_in_a_bucket(
    s3_server: S3Server, media: Path, tmp_path: Path
) -> None:
    url, home = s3_server.url(UNICODE), tmp_path / "home"
    assets = {path: asset_of(path) for path in media.iterdir()}
    done = run(["index", media, "--encoder", "hash:", "--assets", url], home)
    assert done.returncode == 0, done.stderr
    assert _kept(s3_server, url) == sorted(assets.values())
    shown = run(["status", "--format", "jsonl"], home)
    assert parse(url).bucket in shown.stdout
    assert SECRET_KEY not in shown.stdout + (home / "default/manifest.json").read_text()
    assert run(["verify"], home).returncode == 0

    address, lost = parse(url), assets[media / "1.png"]
    s3_server.client().remove_object(address.bucket, f"{address.prefix}{lost[:2]}/{lost}")
    checked = run(["verify"], home)
    assert checked.returncode == 1
    assert "1.png: its copy is gone" in checked.stdout
    run(["verify", "--repair"], home)
    assert run(["index", media], home).returncode == 0
    assert run(["verify"], home).returncode == 0

    assert run(["remove", media / "0.png"], home).returncode == 0
    assert _kept(s3_server, url) == sorted(set(assets.values()) - {assets[media / "0.png"]})
    for path in media.glob("[12].png"):  # the sheet shows copies, though the files are gone
        path.unlink()
    found = run(["search", "red", "--modality", "image", "--sheet", tmp_path / "s.png"], home)
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "s.png").is_file()


def test_a_dry_run_makes_no_bucket(s3_server: S3Server, media: Path, tmp_path: Path) -> None:
    url = s3_server.url()
    asked = ["index", "--dry-run", media, "--encoder", "hash:", "--assets", url]
    assert run(asked, tmp_path / "home").returncode == 0
    assert not s3_server.client().bucket_exists(parse(url).bucket)


@pytest.mark.slow
def test_with_the_server_down_a_search_goes_on_and_an_index_stops(
    own_s3_server: S3Server, media: Path, tmp_path: Path
) -> None:
    url, home = own_s3_server.url(), tmp_path / "home"
    assert run(["index", media, "--encoder", "hash:", "--assets", url], home).returncode == 0
    corpus.text(media / "new.md", "All about balloons.")
    own_s3_server.kill()
    assert run(["search", "zeppelins"], home).returncode == 0
    sheet = run(["search", "red", "--modality", "image", "--sheet", tmp_path / "s.png"], home)
    assert sheet.returncode == 4
    assert ".png" in sheet.stdout
    assert own_s3_server.endpoint in sheet.stderr
    stopped = run(["index", media], home)
    assert stopped.returncode == 4
    assert own_s3_server.endpoint in stopped.stderr
    own_s3_server.start()
    assert run(["index", media], home).returncode == 0
    assert _kept(own_s3_server, url) == sorted(asset_of(path) for path in media.iterdir())
    assert run(["verify"], home).returncode == 0

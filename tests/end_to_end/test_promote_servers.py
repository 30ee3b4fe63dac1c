"""A collection moves to three real servers and back, and is killed on the way; the real command."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from indexer import verify
from retrieval import open_collection
from retrieval.asset_stores.s3.address import parse
from retrieval.collection import Collection
from retrieval.settings import load_settings
from tests import collections
from tests.services.elasticsearch import ElasticsearchServer
from tests.services.milvus import MilvusServer
from tests.services.s3 import S3Server

from .command import run, start
from .test_killed import _faults, _media, _points

KILLS = 4
QUERIES = ("a red picture", "第3张", "picture number 6", "a note about the number 4")


def _open(home: Path) -> Collection:
    """Opened on the machine that the command runs on."""
    settings = replace(collections.settings(home), host=load_settings().host)
    return open_collection("photos", settings=settings)


def _contents(home: Path) -> collections.Contents:
    with _open(home) as collection:
        return collections.contents(collection)


def _answers(home: Path) -> list[dict[str, float]]:
    """Scores by asset of each query."""
    with _open(home) as collection:
        return [
            {hit.asset: hit.score for hit in collection.search(words, k=50)} for words in QUERIES
        ]


def _assert_alike(actual: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    for found, wanted in zip(actual, expected, strict=True):
        assert found.keys() == wanted.keys()
        assert found == pytest.approx(wanted, abs=1e-3)


def _stores(home: Path) -> list[str]:
    manifest = json.loads((home / "photos/manifest.json").read_text())
    return [manifest[role] for role in ("vectors", "documents", "assets")]


@pytest.fixture
def indexed(tmp_path: Path) -> Path:
    """A home with the collection ``photos`` of pictures, captions and texts."""
    return _indexed(tmp_path, 40)


def _indexed(tmp_path: Path, count: int) -> Path:
    media, home = _media(tmp_path / "media", count), tmp_path / "home"
    (media / "broken.jpg").unlink()
    done = run(["-c", "photos", "index", media, "--encoder", "hash:"], home)
    assert done.returncode == 0, done.stderr
    return home


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.xdist_group("milvus")
def test_to_three_servers_and_back(
    indexed: Path,
    milvus_session: MilvusServer,
    elasticsearch_session: ElasticsearchServer,
    s3_server: S3Server,
) -> None:
    held, answers, home = _contents(indexed), _answers(indexed), _stores(indexed)
    name = f"moved{uuid.uuid4().hex[:12]}"
    urls = [milvus_session.url(name), elasticsearch_session.url(name), s3_server.url()]
    roles = ("--vectors", "--documents", "--assets")
    there = [
        "-c",
        "photos",
        "promote",
        *(part for pair in zip(roles, urls, strict=True) for part in pair),
    ]
    back = ["-c", "photos", "promote", "--back"]
    chance = random.Random(7)
    for arguments, wanted in ((there, urls), (back, home)):
        killed = _kill_in_the_middle(arguments, indexed, chance)
        _assert_alike(_answers(indexed), answers)
        done = run(arguments, indexed)
        assert done.returncode == 0, done.stderr
        assert _stores(indexed) == wanted
        collections.assert_same(_contents(indexed), held)
        _assert_alike(_answers(indexed), answers)
        with _open(indexed) as collection:
            assert verify(collection).problems == ()
        assert killed or arguments is back
    assets = {sighting.asset for sighting in held.sightings}
    bucket = parse(urls[2]).bucket
    kept = s3_server.client().list_objects(bucket, recursive=True)
    assert {str(found.object_name).rpartition("/")[2] for found in kept} == assets

    gone = run(["-c", "photos", "promote", "--discard-old"], indexed)
    assert gone.returncode == 0, gone.stderr
    assert gone.stdout.count("erased ") == 3
    assert list(s3_server.client().list_objects(bucket, recursive=True, include_version=True)) == []
    collections.assert_same(_contents(indexed), held)


def _kill_in_the_middle(arguments: list[str], home: Path, chance: random.Random) -> int:
    """Kill the command some times; how often it was still running then."""
    before = _stores(home)
    killed = 0
    for _ in range(KILLS):
        process = start(arguments, home)
        try:
            process.wait(chance.uniform(0.8, 3.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        if _stores(home) != before:
            break
    return killed


@pytest.mark.slow
@pytest.mark.services
def test_copies_move_from_folder_to_bucket(indexed: Path, s3_server: S3Server) -> None:
    """Though the files are gone by then; and a server that is down is told and gone on with."""
    answers = _answers(indexed)
    assert run(["-c", "photos", "promote", "--assets", "folder:"], indexed).returncode == 0
    shutil.rmtree(indexed.parent / "media")
    url = s3_server.url()
    nobody = url.replace(s3_server.endpoint, "http://127.0.0.1:9")
    down = run(["-c", "photos", "promote", "--assets", f"{nobody}&timeout=1"], indexed)
    assert down.returncode == 4
    assert "127.0.0.1:9" in down.stderr
    assert "again" in down.stderr
    done = run(["-c", "photos", "promote", "--assets", url], indexed)
    assert done.returncode == 0, done.stderr
    assert _stores(indexed)[2] == url
    _assert_alike(_answers(indexed), answers)
    kept = s3_server.client().list_objects(parse(url).bucket, recursive=True)
    assert len(list(kept)) == len({s.asset for s in _contents(indexed).sightings})
    home = run(["-c", "photos", "promote", "--back"], indexed)
    assert home.returncode == 2
    assert "can't be read in place" in home.stderr


@pytest.mark.slow
def test_promise_killed_at_every_write_point(tmp_path: Path) -> None:
    """SIGKILL before and after every write of a move that stays embedded, there and back."""
    pytest.importorskip("faiss")
    indexed = _indexed(tmp_path, 5)
    held = _contents(indexed)
    there = ["-c", "photos", "promote", "--vectors", "faiss:", "--assets", "folder:"]
    moved, listed = tmp_path / "moved", tmp_path / "points.json"
    with _faults() as ask:
        for start_from, arguments in (
            (indexed, there),
            (moved, ["-c", "photos", "promote", "--back", "--discard-old"]),
        ):
            end = shutil.copytree(start_from, tmp_path / "end")
            assert ask(end, arguments, list=str(listed)) == 0
            points = list(_points(json.loads(listed.read_text())))
            assert len(points) > 20
            killed = 0
            for point in points:
                home = shutil.copytree(start_from, tmp_path / "killed")
                ended = ask(home, arguments, kill=point)
                assert ended in (-signal.SIGKILL, 0), point
                killed += ended == -signal.SIGKILL
                collections.assert_same(_seen(home), held)
                assert ask(home, arguments) == 0, point
                assert _stores(home) == _stores(end), point
                collections.assert_same(_contents(home), held)
                with _open(home) as collection:
                    assert verify(collection).problems == (), point
                shutil.rmtree(home)
            assert killed > 0.9 * len(points)
            end.rename(moved) if start_from is indexed else shutil.rmtree(end)


def _seen(home: Path) -> collections.Contents:
    """What searches see: without the vector that tells two names of one store from two stores."""
    held = _contents(home)
    seen = {
        key: {name: vector for name, vector in vectors.items() if name in held.documents}
        for key, vectors in held.vectors.items()
    }
    return replace(held, vectors=seen)

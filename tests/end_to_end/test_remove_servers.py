"""`remove` on three real servers: gone from all of them, and out on every machine."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from indexer import IndexOptions, index, remove, verify
from indexer.opening import writing
from indexer.removed import RemovedAssets
from retrieval.errors import SkipReason, UsageError
from tests import collections, corpus

from .test_verify_servers import Machine, Servers, _made, servers, team, without_erasing

__all__ = ["servers", "team", "without_erasing"]  # fixtures

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.xdist_group("milvus")]


def _asset(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _files(servers: Servers) -> bytes:
    """What is in the files of the index."""
    with servers.elasticsearch.client() as client:
        told = client.indices.get_settings(index=servers.name, flat_settings=True)
        uuid = told[servers.name]["settings"]["index.uuid"]
    (folder,) = servers.elasticsearch.data.rglob(uuid)
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_what_is_removed_is_gone_from_three_servers_and_stays_out(
    servers: Servers, tmp_path: Path
) -> None:
    """By its path and by its id; versions of objects, and Elasticsearch's files, included."""
    media = tmp_path / "media"
    media.mkdir()
    for seed, caption in enumerate(("quixotic zeppelin", "lone ornithopter", "plain wall")):
        corpus.picture(media / f"{seed}.png", seed=seed)
        corpus.text(media / f"{seed}.txt", caption)
    photos = _made(servers, tmp_path)
    client = servers.s3.client()
    client.set_bucket_versioning(servers.bucket, VersioningConfig(ENABLED))
    index([str(media)], photos)
    doomed = [_asset(media / name) for name in ("0.png", "1.png")]
    servers.put(doomed[0], b"another version")
    servers.put(doomed[0], (media / "0.png").read_bytes())
    kept = _asset(media / "2.png")
    assert servers.objects() == {*doomed, kept}
    before = {id_: its[0] for id_, its in collections.contents(photos).documents.items()}
    gone = {id_ for id_, asset in before.items() if asset in doomed}
    assert len(gone) == 4
    assert b"zeppelin" in _files(servers)

    assert remove([str(media / "0.png"), doomed[1]], photos) == 2
    again = index([str(media)], photos)
    assert (again.unchanged, dict(again.skipped)) == (1, {SkipReason.REMOVED: 2})

    assert servers.objects() == {kept}
    assert servers.vector_ids() == before.keys() - gone
    rows = json.dumps([row for row in servers.rows() if row["t"] in "ds"])
    assert "wall" in rows
    assert not any(word in rows for word in ("zeppelin", "ornithopter", "0.png", *doomed, *gone))
    left = _files(servers)
    assert not any(word in left for word in (b"zeppelin", b"ornithopt"))
    assert verify(photos).problems == ()


@pytest.mark.usefixtures("without_erasing")
def test_an_asset_that_is_removed_is_out_on_every_machine(
    servers: Servers, team: tuple[Machine, Machine]
) -> None:
    """And on each of them until it is restored there."""
    anna, berta = team
    shutil.copy(anna.media / "0.png", berta.media / "0.png")
    berta.index()
    asset = _asset(berta.media / "0.png")
    assert len(collections.contents(anna.photos).sightings) == 2

    assert remove([asset], anna.photos, dry_run=True) == 2
    assert remove([asset], anna.photos) == 2
    assert (servers.objects(), servers.vector_ids()) == (set(), set())
    assert servers.rows("d") == servers.rows("s") == []
    assert verify(berta.photos).problems == ()  # though its ledger has yet to follow
    with pytest.raises(UsageError, match="Nothing called"):
        remove([asset], anna.photos)

    shutil.copy(berta.media / "0.png", berta.media / "the same.png")
    for _ in range(2):
        report = index([str(berta.media)], berta.photos)
        assert (report.total, dict(report.skipped)) == (2, {SkipReason.REMOVED: 2})
        assert servers.rows("s") == []
    assert verify(berta.photos).problems == ()
    assert "berta" not in str(collections.contents(berta.photos).rows[0].given)

    restored = index([str(berta.media)], berta.photos, options=IndexOptions(restore=True))
    assert (restored.indexed, restored.duplicates) == (1, 1)
    assert index([str(anna.media)], anna.photos).skipped == {SkipReason.REMOVED: 1}
    for each in team:
        assert {s.asset for s in collections.contents(each.photos).sightings} == {asset}
        assert verify(each.photos).problems == ()


@pytest.mark.usefixtures("without_erasing")
def test_a_removal_that_was_killed_is_finished_by_whichever_machine_writes_next(
    servers: Servers, team: tuple[Machine, Machine]
) -> None:
    """Killed as soon as it had written down what is to go."""
    anna, berta = team
    with writing(berta.photos, prove=False) as session:
        RemovedAssets(session.backends.documents).add([_asset(anna.media / "0.png")])
    berta.index()
    assert {row["uri"].split("/")[2] for row in servers.rows("s")} == {"berta"}
    assert servers.objects() == {_asset(berta.media / "0.png")}
    assert index([str(anna.media)], anna.photos).skipped == {SkipReason.REMOVED: 1}
    for each in team:
        assert verify(each.photos).problems == ()

"""Films on servers: killed in the middle, found from another machine, and erased from there."""

from __future__ import annotations

import hashlib
import json
import signal
from pathlib import Path

import pytest
from PIL import Image

from retrieval.films.containers import facts
from retrieval.thumbnails import Thumbnails
from tests import corpus

from .team import Machine, attached, made
from .test_killed_film import wait_for_a_stretch

pytest.importorskip("av")
pytest.importorskip("scenedetect")

from tests.media_made import SCENES, Scene, film

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.xdist_group("milvus")]

SCENE_S, COUNT = 10.0, 18  # a stretch and a half
SAID = """1
00:02:10,000 --> 00:02:14,000
Boarding starts in ten minutes
"""


@pytest.fixture
def anna(tmp_path: Path) -> Machine:
    media = tmp_path / "anna/media"
    media.mkdir(parents=True)
    scenes = [Scene(SCENE_S, SCENES[n % len(SCENES)].colour, seed=n) for n in range(COUNT)]
    film(media / "gate.mp4", scenes, fps=2, key_every=10)
    corpus.text(media / "gate.srt", SAID)
    return Machine("anna", tmp_path / "anna/home", media)


def test_a_film_on_servers(anna: Machine, stores: dict[str, str], tmp_path: Path) -> None:
    berta = Machine("berta", tmp_path / "berta/home", tmp_path)
    made(anna, stores, encoder="hash:slow=0.2")
    with anna.start("index", anna.media) as process:
        wait_for_a_stretch(process, anna.home / "team")
        process.send_signal(signal.SIGKILL)
    gone_on = anna.echolens("index", anna.media)
    assert (gone_on.returncode, gone_on.stdout[:9]) == (0, "indexed 1"), gone_on.stderr
    assert anna.echolens("verify").returncode == 0
    told = json.loads(anna.echolens("status", "--format", "jsonl").stdout)
    assert sum(told["documents"].values()) == COUNT + 1, told["documents"]

    attached(berta, stores)
    (hit,) = berta.hits("boarding starts")
    moment = hit["moments"][0]
    assert moment["start"] <= 130.0 <= moment["end"]
    assert hit["silent"] == ["sound"]
    found = berta.echolens("search", "boarding starts", "--sheet", tmp_path / "sheet.png")
    assert found.returncode == 0, found.stderr
    with Image.open(tmp_path / "sheet.png") as sheet:  # of frames that the bucket's copy gave
        assert len(sheet.convert("RGB").getcolors(1 << 24) or ()) > 100
    spoken = next(e for e in moment["evidence"] if e["kind"] == "speech")
    cut = berta.echolens("clip", spoken["document"], tmp_path / "clip.mp4")
    assert cut.returncode == 0, cut.stderr
    with (tmp_path / "clip.mp4").open("rb") as clip:
        assert 4.0 <= (facts(clip).duration_s or 0.0) <= 5.0

    asset = hashlib.sha256((anna.media / "gate.mp4").read_bytes()).hexdigest()
    kept = Thumbnails(anna.home / "team", read_only=True)
    assert kept.assets() == [asset]
    kept.close()
    assert berta.echolens("remove", asset).returncode == 0
    followed = anna.echolens("index", anna.media)
    assert "1 removed" in followed.stdout + followed.stderr
    assert kept.assets() == []
    kept.close()
    assert anna.echolens("search", "boarding").returncode == 1

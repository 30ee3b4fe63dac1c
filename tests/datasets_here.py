"""Where real data sets lie beside the repository, if they do; elsewhere their tests are skipped."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT

DATA = ROOT.parent / "shared" / "data"
FLICKR8K = DATA / "flickr8k"
COCO_MINI = DATA / "coco-mini"
AV = DATA / "av"  # films, recordings, speech, sounds

needs_flickr8k = pytest.mark.skipif(
    not (FLICKR8K / "images").is_dir(), reason="no Flickr8k in ../shared/data"
)
needs_coco_mini = pytest.mark.skipif(
    not (COCO_MINI / "images").is_dir(), reason="no COCO pictures in ../shared/data"
)
needs_films = pytest.mark.skipif(
    not (AV / "clips").is_dir(), reason="no films in ../shared/data/av"
)
needs_sounds = pytest.mark.skipif(
    not (AV / "sounds.csv").is_file(), reason="no sounds in ../shared/data/av"
)
needs_speech = pytest.mark.skipif(
    not (AV / "speech.csv").is_file(), reason="no speech in ../shared/data/av"
)

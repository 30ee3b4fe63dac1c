"""``echolens index --profile``: where a run's time went, and what bound it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.profile import BOUND_BY, PER_SECOND, profile, verdict
from indexer import IndexReport, Stage, create, index
from indexer.report import STAGES
from retrieval.registry import MODALITIES
from tests import collections

from .conftest import Echolens


def _verdict(done_err: str) -> str:
    (line,) = (line for line in done_err.splitlines() if line.startswith("bound by"))
    return line


def test_a_slow_encoder_is_named(photos: Path, tmp_path: Path) -> None:
    settings = replace(collections.settings(tmp_path / "home"), encoder="hash:slow=0.5")
    with create("photos", settings=settings) as collection:
        index(photos / "red.png", collection)  # what decoding starts with is there from now on
        report = index(photos, collection)

    assert verdict(report).startswith("bound by the encoder: it was at work")
    assert report.encoded == {"image": 2, "text": 1}


def test_slow_decoding_is_named(tmp_path: Path, echolens: Echolens) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2000, 3000, 3), np.uint8)
    for number in range(6):
        noise[0, 0] = number
        Image.fromarray(noise).save(tmp_path / f"{number}.png", compress_level=1)

    done = echolens("index", tmp_path, "--profile", ECHOLENS_WORKERS="1")

    assert done.lines == ["indexed 6, unchanged 0, duplicates 0, skipped 0 = 6"]
    assert "6 pictures encoded" in done.err
    assert _verdict(done.err).startswith("bound by decoding: the encoder waited")


def test_a_run_over_known_files_is_bound_by_none(photos: Path, echolens: Echolens) -> None:
    echolens("index", photos)

    assert _verdict(echolens("index", photos, "--profile").err).startswith("bound by none of them")


def test_without_the_option_nothing_of_it_is_said(photos: Path, echolens: Echolens) -> None:
    assert "bound by" not in echolens("index", photos).err


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ({"read": Stage(9, 6)}, "bound by reading files: the encoder waited 60% of the time"),
        ({"decode": Stage(9, 4.1)}, "bound by decoding: the encoder waited 41% of the time"),
        ({"encode": Stage(8.5, 0)}, "bound by the encoder: it was at work 85% of the time"),
        ({"write": Stage(7, 7)}, "bound by writing: the encoder waited 70% of the time"),
        ({"decode": Stage(8, 0.1)}, "bound by none of them: 99% of the time"),
    ],
)
def test_the_longest_share_is_what_bound_a_run(stages: dict[str, Stage], said: str) -> None:
    rest = {"encode": Stage(2.5, 0)} if said.startswith("bound by decoding") else {}

    assert verdict(IndexReport(seconds=10, stages={**rest, **stages})).startswith(said)


def test_shares_add_up_to_the_whole_run() -> None:
    stages = {"read": Stage(1, 1), "decode": Stage(8, 3), "encode": Stage(4), "write": Stage(1, 1)}
    report = IndexReport(seconds=10, stages=stages, encoded={"image": 1500})

    assert report.shares == pytest.approx(
        {"read": 0.1, "decode": 0.3, "listen": 0, "encode": 0.4, "write": 0.1, "rest": 0.1}
    )
    assert "1,500 pictures encoded, 150.0 a second" in list(profile(report))


def test_every_stage_and_every_modality_has_its_words() -> None:
    assert BOUND_BY.keys() == {*STAGES, "rest"}
    assert PER_SECOND.keys() == MODALITIES.keys()

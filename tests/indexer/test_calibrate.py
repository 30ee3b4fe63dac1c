"""Background statistics: over pairs that have nothing to do with each other, and enough of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer import index
from retrieval.collection import Collection, open_collection
from retrieval.query.parse import parse_query
from tests import collections, corpus


def _fill(media: Path, count: int) -> None:
    for seed in range(count):
        colour = (seed * 97 % 256, 255 - seed * 61 % 256, seed * 173 % 256)
        corpus.picture(media / f"{seed}.png", colour=colour, seed=seed)
        corpus.text(media / f"{seed}.txt", f"picture number {seed}")


def test_a_few_pairs_do_not_swamp_other_legs(media: Path, photos: Collection) -> None:
    """Three pictures are too few to tell a spread: built-in ones are asked too."""
    _fill(media, 3)
    index([str(media)], photos)
    picture = (media / "1.png").read_bytes()
    with open_collection(photos.directory, settings=photos.settings) as fresh:
        for query in (parse_query("picture number 1"), parse_query(None, add=[picture])):
            legs = [leg for hit in fresh.search(query) for leg in hit.legs]
            assert all(abs(leg.contribution) < 10 for leg in legs)


def test_one_pair_says_nothing_of_a_spread(media: Path, photos: Collection) -> None:
    _fill(media, 2)
    index([str(media)], photos)
    with open_collection(photos.directory, settings=photos.settings) as fresh:
        measured = fresh.manifest.background
        assert all("image" not in by_query for by_query in measured.values())
        assert {key for key, by_query in measured.items() if "text" in by_query} == {
            "test-hash-32/image",
            "test-hash-32/text",
        }


def test_a_picture_is_asked_against_all_other_assets(media: Path, photos: Collection) -> None:
    _fill(media, 20)
    index([str(media)], photos)
    held = collections.contents(photos)
    with open_collection(photos.directory, settings=photos.settings) as fresh:
        for modality in ("image", "text"):
            key = f"test-hash-32/{modality}"
            scores = [
                float(np.dot(query, document))
                for asking, query in held.vectors["test-hash-32/image"].items()
                for asked, document in held.vectors[key].items()
                if held.documents[asking][0] != held.documents[asked][0]
            ]
            assert len(scores) == 20 * 19
            measured = fresh.manifest.background[key]["image"]
            assert measured.mean == pytest.approx(np.mean(scores), abs=1e-6)
            assert measured.std == pytest.approx(np.std(scores), abs=1e-6)

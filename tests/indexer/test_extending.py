"""A collection that gets an encoder of sounds later: killed, asked again, open meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import channels, create, index, verify
from indexer.channels import extend
from indexer.opening import writing
from indexer.sharing import keep_manifest
from retrieval import registry
from retrieval.collection import Collection, open_collection
from retrieval.schema import Alias
from tests import collections, corpus
from tests.indexer.kills import Killed

pytest.importorskip("av")

from tests.media_made import recording

TAGS = "tags:spectrum"
SOUNDS = "test-hash-32/audio"


@pytest.fixture
def photos(tmp_path: Path, media: Path) -> Collection:
    """A collection of two pictures."""
    corpus.picture(media / "a.png", seed=1)
    corpus.picture(media / "b.png", seed=2)
    collection = create("photos", settings=collections.settings(tmp_path / "home"))
    index([media], collection)
    return collection


def _extended(collection: Collection) -> Collection:
    return create("photos", audio_encoders=[TAGS], settings=collection.settings)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (registry, "open_vector_store"),
        (channels, "write_probes"),
        (channels, "keep_probes"),
        (channels, "keep_manifest"),
    ],
)
def test_promise_killed_while_it_gets_an_encoder(
    photos: Collection, media: Path, owner: Any, name: str, after: bool
) -> None:
    whole = getattr(owner, name)

    def killed(*arguments: Any, **options: Any) -> Any:
        given = {a.modality for a in arguments if hasattr(a, "modality")}
        if owner is registry and given != {"audio"}:
            return whole(*arguments, **options)
        if after:
            whole(*arguments, **options)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            _extended(photos)
    with open_collection(photos.directory, settings=photos.settings) as opened:
        assert len(opened.search("red", k=5)) == 2
    assert index([media], photos).failed == 0
    assert not verify(photos).problems
    assert SOUNDS in {channel.key for channel in _extended(photos).manifest.channels}
    assert index([media], photos).failed == 0
    assert not verify(photos).problems


def test_the_same_encoder_again_is_no_other_one_though_the_collection_knows_exports(
    photos: Collection,
) -> None:
    made = _extended(photos)
    alias = Alias("onnx:/elsewhere", "0" * 64, ("text",))
    with writing(made, prove=False) as session:
        manifest = session.backends.manifest
        known = tuple(replace(channel, aliases=(alias,)) for channel in manifest.channels)
        keep_manifest(session.backends, replace(manifest, channels=known))
    again = extend(
        open_collection(photos.directory, settings=photos.settings),
        audio_encoders=[
            channel.encoder for channel in made.manifest.channels if channel.modality == "audio"
        ],
    )
    assert again.manifest.channels == known


def test_who_reads_meanwhile_goes_on_reading(photos: Collection, media: Path) -> None:
    with open_collection(photos.directory, settings=photos.settings) as reader:
        assert len(reader.search("red", k=5)) == 2
        noise = np.random.default_rng(1).normal(0, 0.1, 40_000).astype(np.float32)
        recording(media / "a.wav", noise, rate=8000)
        index([media], _extended(photos))
        assert len(reader.search("red", k=5)) >= 2
        reader.search("red", k=5, group_by="moment")

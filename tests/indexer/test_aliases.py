"""Exports: kept only when they agree, recorded as aliases, used by searches when they are here."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import aliases as module
from indexer import create, export, export_alias, index
from indexer.aliases import starts_slowly
from retrieval import registry
from retrieval.collection import Collection
from retrieval.errors import (
    EcholensError,
    EncoderMismatchError,
    LockedError,
    StoreUnreachableError,
    UsageError,
)
from retrieval.manifest import read_manifest
from retrieval.schema import Modality, Precision
from retrieval.settings import Settings
from tests import collections, corpus
from tests.encoders import HashEncoder
from tests.onnx_exports import CLIP, SIGLIP, add_models, exports_of, url_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def models() -> None:
    add_models()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = collections.settings(tmp_path / "home")
    return replace(made, threads=1, device="cpu", precision="fp32")


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    for name, colour in {"red": (220, 30, 30), "blue": (40, 60, 220)}.items():
        corpus.picture(folder / f"{name}.png", colour=colour)
    return folder


@pytest.fixture
def photos(settings: Settings, media: Path) -> Collection:
    """A collection with the small CLIP, whose export lies where collections share them."""
    collection = create("photos", encoder=url_of(CLIP), settings=settings)
    index([str(media)], collection)
    put_export(settings, collection)
    return collection


def put_export(settings: Settings, collection: Collection) -> Path:
    space = collection.manifest.channels[0].space
    folder = settings.exports / f"{space}-fp32"
    shutil.copytree(exports_of(CLIP).folder, folder)
    return folder


@contextmanager
def torch_forbidden() -> Iterator[None]:
    """Fails when a channel's own encoder is asked for a vector."""
    from retrieval.encoders.open_clip import OpenClipEncoder

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the channel's own encoder was used")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OpenClipEncoder, "encode", refuse)
        yield


def uris(collection: Collection, words: str = "a red thing") -> list[tuple[str, float]]:
    with collection as opened:
        return [(hit.uris[0], round(hit.score, 4)) for hit in opened.search(words, k=5)]


# An alias of a collection.


def test_a_search_takes_the_export_and_finds_the_same(photos: Collection) -> None:
    before = uris(photos)
    exported = export_alias(photos)
    assert not exported.is_new
    assert exported.cosines["text"] > 0.99999
    with torch_forbidden():
        assert uris(photos) == before
    channels = read_manifest(photos.directory).channels
    assert {alias.encoder for channel in channels for alias in channel.aliases} == {exported.url}
    assert all(len(channel.aliases) == 1 for channel in channels)
    export_alias(photos)
    assert read_manifest(photos.directory).channels == channels


def test_a_cold_search_imports_no_pytorch(photos: Collection, settings: Settings) -> None:
    export_alias(photos)
    code = (
        "import sys\n"
        "from cli.main import run\n"
        f"code = run(['search', 'a red thing', '-c', {str(photos.directory)!r}])\n"
        "heavy = {'torch', 'open_clip', 'transformers', 'ftfy', 'huggingface_hub'}\n"
        "print(code, heavy & sys.modules.keys(), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "0 set()\n"
    assert "red.png" in done.stdout


def test_a_query_in_pictures_goes_through_the_channels_own_encoder(
    photos: Collection, media: Path
) -> None:
    from retrieval import parse_query

    export_alias(photos)
    channel = read_manifest(photos.directory).channels[0]
    assert channel.aliases[0].modalities == ("text",)
    picture = (media / "red.png").read_bytes()
    with photos as opened, torch_forbidden(), pytest.raises(AssertionError, match="own encoder"):
        opened.search(parse_query(add=[picture]))


def test_a_collection_works_where_the_export_is_not(photos: Collection) -> None:
    before = uris(photos)
    export_alias(photos)
    shutil.rmtree(photos.settings.exports)
    assert uris(photos) == before
    with torch_forbidden(), pytest.raises(AssertionError, match="own encoder"):
        uris(photos)


def test_an_export_that_was_replaced_is_no_alias_any_more(photos: Collection) -> None:
    before = uris(photos)
    folder = export_alias(photos).folder
    config = json.loads((folder / "config.json").read_text())
    config["echolens"]["source"] = "another"
    (folder / "config.json").write_text(json.dumps(config))
    assert uris(photos) == before
    with torch_forbidden(), pytest.raises(AssertionError, match="own encoder"):
        uris(photos)


def test_an_export_gone_wrong_in_silence_is_refused_by_the_first_query(
    photos: Collection,
) -> None:
    folder = export_alias(photos).folder
    data = folder / "onnx/text_model.onnx_data"
    weights = np.frombuffer(data.read_bytes(), np.float32)
    data.write_bytes(np.flip(weights).tobytes())
    with pytest.raises(EncoderMismatchError, match="`onnx:"):
        uris(photos)
    with pytest.raises(EncoderMismatchError, match="doesn't agree") as caught:
        export_alias(photos)
    assert "Delete that folder" in caught.value.advice


def test_a_damaged_export_says_so(photos: Collection) -> None:
    folder = export_alias(photos).folder
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(EcholensError, match=r"tokenizer\.json has 2 bytes"):
        uris(photos)


def test_collections_of_one_space_share_an_export(
    photos: Collection, settings: Settings, media: Path
) -> None:
    first = export_alias(photos)
    other = create("other", encoder=url_of(CLIP), settings=settings)
    index([str(media)], other)
    assert starts_slowly(other)
    second = export_alias(other)
    assert (second.url, second.is_new) == (first.url, False)
    with torch_forbidden():
        assert len(uris(other)) == 2
    assert not starts_slowly(other)


def test_the_text_tower_is_exported_when_it_is_not_there(
    photos: Collection, settings: Settings
) -> None:
    shutil.rmtree(settings.exports)
    exported = export_alias(photos)
    assert exported.is_new
    assert exported.folder.parent == settings.exports
    assert {path.name for path in (exported.folder / "onnx").iterdir()} == {
        "text_model.onnx",
        "text_model.onnx_data",
    }
    with torch_forbidden():
        assert len(uris(photos)) == 2


def test_only_the_one_writer_records_an_alias(photos: Collection) -> None:
    from indexer.opening import writing

    with writing(photos), pytest.raises(LockedError):
        export_alias(photos)


def test_an_encoder_that_cannot_be_exported_is_told(settings: Settings, tmp_path: Path) -> None:
    plain = create("plain", encoder="hash:", settings=settings)
    assert not starts_slowly(plain)
    with pytest.raises(UsageError, match="can't be exported"):
        export_alias(plain)
    with pytest.raises(UsageError, match="can't be exported"):
        export("hash:", tmp_path / "x", settings=settings)


# An export by itself.


class Exporting(HashEncoder):
    """The tests' encoder, with an export that isn't its own."""

    def export(self, folder: Path, towers: Sequence[Modality], precision: Precision) -> None:
        shutil.copytree(exports_of(SIGLIP).folder, folder, dirs_exist_ok=True)


@pytest.fixture
def exporting(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[HashEncoder]], None]:
    """Makes `hash:` an encoder of this class, for exports only."""
    known = registry.open_encoder

    def use(kind: type[HashEncoder]) -> None:
        def open_encoder(url: str, compute: Any = None) -> Any:
            return kind("") if url == "hash:" else known(url, compute)

        monkeypatch.setattr(module.registry, "open_encoder", open_encoder)

    return use


def test_an_export_that_does_not_agree_is_not_kept(
    exporting: Callable[[type[HashEncoder]], None], tmp_path: Path
) -> None:
    exporting(Exporting)
    with pytest.raises(EncoderMismatchError, match="doesn't agree"):
        export("hash:", tmp_path / "out" / "x")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path, settings: Settings) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    exports_of(CLIP)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(StoreUnreachableError, match="can't be written") as caught:
            export(url_of(CLIP), tmp_path / "out" / "x", towers=("text",), settings=settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "Make room" in caught.value.advice
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="holds something already"):
        export(url_of(CLIP), tmp_path / "x", settings=settings)
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["letter.txt"]


def test_a_precision_that_exports_do_not_have(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(UsageError, match="can't be in bf16"):
        export(url_of(CLIP), tmp_path / "x", precision="bf16", settings=settings)
    assert list(tmp_path.iterdir()) == []

"""Vectors of items: each encoded once, kept by content, and what can't be read told."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.errors import EncoderMismatchError
from retrieval.evaluation.datasets.pictures import PictureFile
from retrieval.evaluation.embeddings import Embedder, Embedding
from retrieval.evaluation.perturb import parse_changes
from retrieval.evaluation.schema import Item, Progress
from retrieval.probes import make_probes
from retrieval.protocols import Limits
from retrieval.schema import FloatArray, Modality, Role
from tests.corpus import picture
from tests.encoders import HashEncoder


class Counting(HashEncoder):
    """Counts what it encodes; probes and all."""

    def __init__(self, location: str = "") -> None:
        super().__init__(location)
        self.encoded = 0

    def encode(self, modality: Modality, inputs: Sequence[Any], *, role: Role) -> FloatArray:
        self.encoded += len(inputs)
        return super().encode(modality, inputs, role=role)


def pictures(folder: Path, count: int) -> list[Item]:
    paths = [picture(folder / f"{n}.png", seed=n, colour=(n * 20, 90, 200)) for n in range(count)]
    return [item_of(path) for path in paths]


def item_of(path: Path) -> Item:
    asset = hashlib.sha256(path.read_bytes()).hexdigest()
    return Item(path.stem, "image", media=PictureFile(path), asset=asset)


TEXTS = [Item(str(number), "text", f"text number {number}") for number in range(30)]


def test_a_second_run_encodes_nothing(tmp_path: Path) -> None:
    items = pictures(tmp_path, 5)
    first, second = Counting(), Counting()
    one = Embedder(first, folder=tmp_path / "cache")
    two = Embedder(second, folder=tmp_path / "cache")
    before = [one.of(items, "document"), one.of(TEXTS, "query")]

    after = [two.of(items, "document"), two.of(TEXTS, "query")]

    assert first.encoded > 0
    assert second.encoded == 0
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.vectors, new.vectors)


def test_vectors_are_the_encoders_in_the_order_of_the_items(tmp_path: Path) -> None:
    got = Embedder(HashEncoder(), folder=tmp_path).of(TEXTS, "query")

    expected = HashEncoder().encode("text", [item.text for item in TEXTS], role="query")
    np.testing.assert_allclose(got.vectors, expected, atol=1e-6)
    assert got.failed == {}


def test_a_text_that_asks_and_is_found_is_encoded_once(tmp_path: Path) -> None:
    encoder = Counting()
    embedder = Embedder(encoder, folder=tmp_path)
    embedder.of(TEXTS, "query")
    before = encoder.encoded

    embedder.of(TEXTS, "document")

    assert encoder.encoded == before


def test_an_encoder_that_tells_questions_from_documents_encodes_both(tmp_path: Path) -> None:
    embedder = Embedder(HashEncoder("roles"), folder=tmp_path)

    asked, found = embedder.of(TEXTS, "query"), embedder.of(TEXTS, "document")

    assert np.abs(asked.vectors - found.vectors).max() > 1e-3
    again = Embedder(HashEncoder("roles"), folder=tmp_path)
    np.testing.assert_array_equal(again.of(TEXTS, "document").vectors, found.vectors)


def test_another_encoder_or_other_content_takes_nothing_from_the_cache(tmp_path: Path) -> None:
    Embedder(HashEncoder(), folder=tmp_path).of(TEXTS, "query")
    other, changed = Counting("weights=2"), [replace(TEXTS[0], text="something else")]

    Embedder(other, folder=tmp_path).of(TEXTS, "query")
    assert other.encoded >= len(TEXTS)
    same = Counting()
    Embedder(same, folder=tmp_path).of(changed, "query")
    assert same.encoded > 0


def test_a_spoilt_picture_is_another_one(tmp_path: Path) -> None:
    items = pictures(tmp_path, 3)
    (grey,) = parse_changes("grey")
    embedder = Embedder(HashEncoder(), folder=tmp_path / "cache")

    clean, spoilt = embedder.of(items, "document"), embedder.of(items, "document", grey)

    assert np.abs(clean.vectors - spoilt.vectors).max() > 1e-3


def test_a_picture_that_cannot_be_read_is_told_and_costs_itself_only(tmp_path: Path) -> None:
    items = pictures(tmp_path, 3)
    broken, gone = tmp_path / "broken.png", tmp_path / "gone.png"
    broken.write_bytes(b"no picture")
    picture(gone)
    odd = [item_of(broken), item_of(gone)]
    gone.unlink()

    got = Embedder(HashEncoder()).of([items[0], *odd, *items[1:]], "document")

    assert set(got.failed) == {"broken", "gone"}
    norms = np.linalg.norm(got.vectors, axis=1)
    np.testing.assert_allclose(norms, [1, 0, 0, 1, 1], atol=1e-5)


@pytest.mark.parametrize("wrong", ["constant", "nan", "unnormalised"])
def test_an_encoder_that_gives_nonsense_is_refused(wrong: str) -> None:
    with pytest.raises(EncoderMismatchError):
        Embedder(HashEncoder(wrong)).of(TEXTS, "query")


def test_an_encoder_that_is_not_the_collections_is_refused() -> None:
    stored = make_probes(HashEncoder())

    with pytest.raises(EncoderMismatchError):
        Embedder(HashEncoder("shifted"), stored=lambda: stored).of(TEXTS, "query")


def test_a_picture_with_too_many_bytes_is_not_read(tmp_path: Path) -> None:
    items = pictures(tmp_path, 2)

    got = Embedder(HashEncoder(), limits=Limits(bytes=10)).of(items, "document")

    assert set(got.failed) == {"0", "1"}
    assert "the limit is 10" in got.failed["0"]


def test_without_a_folder_memory_keeps_them() -> None:
    encoder = Counting()
    embedder = Embedder(encoder)
    embedder.of(TEXTS, "query")
    before = encoder.encoded

    embedder.of(TEXTS, "document")

    assert encoder.encoded == before


def test_where_they_cannot_be_kept_memory_does_and_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    encoder = Counting()
    embedder = Embedder(encoder, folder=tmp_path / "taken")
    embedder.of(TEXTS, "query")
    before = encoder.encoded

    again = embedder.of(TEXTS, "query")

    assert encoder.encoded == before
    assert len(again.vectors) == len(TEXTS)
    assert "not kept for the next run" in embedder.note


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        *itertools.product(["*.sqlite", "rows-*", "ids-*"], ["replaced", "truncated"]),
        ("*.sqlite", "overwritten"),
        ("rows-*", "overwritten"),
    ],
)
def test_a_cache_that_was_damaged_is_made_again(tmp_path: Path, pattern: str, damage: str) -> None:
    expected = Embedder(HashEncoder(), folder=tmp_path).of(TEXTS, "query").vectors
    files = list(tmp_path.rglob(pattern))
    assert files
    for file in files:
        data = file.read_bytes()
        half = data[: len(data) // 2]
        file.write_bytes(
            {"replaced": b"?", "truncated": half, "overwritten": half + b"\xff" * len(half)}[damage]
        )

    mended = Embedder(HashEncoder(), folder=tmp_path).of(TEXTS, "query").vectors
    encoder = Counting()
    again = Embedder(encoder, folder=tmp_path).of(TEXTS, "query").vectors

    np.testing.assert_allclose(mended, expected, atol=1e-6)
    np.testing.assert_allclose(again, expected, atol=1e-6)
    assert encoder.encoded == 0


def test_progress_ends_with_everything_done() -> None:
    seen: list[Progress] = []
    Embedder(HashEncoder(), watch=seen.append).of(TEXTS, "query")

    assert seen[0].done == 0
    assert (seen[-1].done, seen[-1].total) == (30, 30)


def test_questions_go_through_the_export_and_documents_do_not() -> None:
    documents, export = Counting(), Counting()
    embedding = Embedding("hash:", Embedder(documents), {"text": Embedder(export)})

    embedding.of(TEXTS, "query")
    assert (documents.encoded, export.encoded > 0) == (0, True)
    embedding.of(TEXTS, "document")
    assert documents.encoded > 0

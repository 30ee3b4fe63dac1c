"""Promise 3: an encoder that went wrong in silence is refused, and the message says how."""

from __future__ import annotations

import hashlib
import math
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from retrieval.errors import (
    CorruptError,
    EncoderMismatchError,
    NewerFormatError,
    StoreUnreachableError,
)
from retrieval.probes import (
    background,
    background_sentences,
    check_degenerate,
    check_encoder,
    check_vectors,
    encode_probes,
    make_probes,
    probe_inputs,
    probe_key,
    query_probe,
    read_probes,
    write_probes,
)
from retrieval.schema import FloatArray, Modality
from tests.encoders import HashEncoder

MODALITIES: list[Modality] = ["text", "image"]
WRONG = {
    "nan": "NaN or infinite",
    "unnormalised": "not normalised",
    "constant": "other vectors",
    "shifted": "other vectors",
    "weights=2": "other vectors",
}


def unit(*rows: list[float]) -> FloatArray:
    vectors = np.array(rows, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


# The inputs.


def test_probes_never_change() -> None:
    digest = hashlib.sha256()
    for sentence in probe_inputs("text"):
        digest.update(sentence.encode())
    for picture in probe_inputs("image"):
        assert picture.shape == (96, 128, 3)
        assert picture.dtype == np.uint8
        digest.update(picture.tobytes())
    assert digest.hexdigest()[:16] == "f2f9567ba7a743e4"


def test_a_modality_without_probes_has_none() -> None:
    assert probe_inputs("video") == []


def test_background_sentences_are_many_and_in_both_languages() -> None:
    sentences = background_sentences()
    chinese = [s for s in sentences if any("\u4e00" <= c <= "\u9fff" for c in s)]
    assert len(set(sentences)) == len(sentences) == 64
    assert len(chinese) == 32


# An encoder, then and now.


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_same_encoder_passes(modality: Modality) -> None:
    stored = encode_probes(HashEncoder(), modality)
    check_encoder(HashEncoder(), modality, stored, where="hash:")


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("wrong", WRONG)
def test_promise_never_silently_wrong_when_opening_for_writing(
    wrong: str, modality: Modality
) -> None:
    stored = encode_probes(HashEncoder(), modality)
    with pytest.raises(EncoderMismatchError, match=f"^hash: gives .*{WRONG[wrong]}") as caught:
        check_encoder(HashEncoder(wrong), modality, stored, where="hash:")
    assert "index again" in caught.value.advice


@pytest.mark.parametrize("modality", MODALITIES)
def test_promise_never_silently_wrong_in_the_first_query(modality: Modality) -> None:
    stored = encode_probes(HashEncoder(), modality)
    probe, row = query_probe(modality)
    question = probe_inputs(modality)[2]

    def ask(encoder: HashEncoder) -> None:
        vectors = encoder.encode(modality, [question, probe], role="query")
        check_vectors(stored[row : row + 1], vectors[-1:], where="hash:")

    ask(HashEncoder())
    for wrong, message in WRONG.items():
        with pytest.raises(EncoderMismatchError, match=message):
            ask(HashEncoder(wrong))


def test_each_role_has_its_rows() -> None:
    class Asymmetric(HashEncoder):
        def encode(self, modality, inputs, *, role):  # type: ignore[no-untyped-def]
            return super().encode(modality, [f"{role}: {text}" for text in inputs], role=role)

    encoder = Asymmetric()
    stored = encode_probes(encoder, "text")
    probe, row = query_probe("text")
    asked = encoder.encode("text", [probe], role="query")
    check_vectors(stored[row : row + 1], asked, where="here")
    check_encoder(encoder, "text", stored, where="here")
    with pytest.raises(EncoderMismatchError, match="other vectors"):
        check_encoder(encoder, "text", stored[::-1], where="here")


def test_another_dimension_is_refused() -> None:
    with pytest.raises(EncoderMismatchError, match=r"\(1, 2\) where .*\(1, 3\) was stored"):
        check_vectors(unit([1, 0, 0]), unit([1, 0]), where="here")


@given(cosine=st.floats(-1, 1), tolerance=st.floats(0.5, 0.99999))
def test_the_cosine_decides(cosine: float, tolerance: float) -> None:
    assume(abs(cosine - tolerance) > 1e-6)
    then, now = unit([1, 0]), np.array([[cosine, math.sqrt(1 - cosine**2)]], np.float32)
    if cosine > tolerance:
        check_vectors(then, now, where="here", tolerance=tolerance)
    else:
        with pytest.raises(EncoderMismatchError, match=f"at least {tolerance}"):
            check_vectors(then, now, where="here", tolerance=tolerance)


# A new channel.


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("constant", "one and the same vector for 4 different inputs"),
        ("nan", "NaN or infinite"),
        ("unnormalised", r"a norm is 2\)"),
    ],
)
def test_an_encoder_that_tells_nothing_apart_makes_no_channel(wrong: str, message: str) -> None:
    with pytest.raises(EncoderMismatchError, match=f"test-hash-32/image gives .*{message}"):
        make_probes(HashEncoder(wrong))


def test_two_inputs_alike_are_refused() -> None:
    with pytest.raises(EncoderMismatchError, match="can't tell two different inputs apart"):
        check_degenerate(unit([1, 0], [0, 1], [1, 1e-3]), where="here")
    check_degenerate(unit([1, 0], [0, 1], [1, 1]), where="here")


def test_infinity_and_zero_vectors_are_refused() -> None:
    with pytest.raises(EncoderMismatchError, match="infinite"):
        check_degenerate(np.array([[np.inf, 0]], np.float32), where="here")
    with pytest.raises(EncoderMismatchError, match=r"a norm is 0\)"):
        check_degenerate(np.zeros((2, 2), np.float32), where="here")


def test_a_channel_keeps_probes_of_every_modality_of_its_space() -> None:
    probes = make_probes(HashEncoder())
    assert set(probes) == {probe_key("test-hash-32", modality) for modality in MODALITIES}
    assert all(vectors.shape == (8, 32) for vectors in probes.values())


# The background.


def test_background_is_mean_and_spread_over_all_pairs() -> None:
    queries = HashEncoder().encode("text", background_sentences(), role="query")
    documents = HashEncoder().encode("image", probe_inputs("image"), role="document")
    pairs = [math.fsum(q.astype(float) * d) for q in queries for d in documents]
    mean = math.fsum(pairs) / len(pairs)
    measured = background(queries @ documents.T)
    assert measured.mean == pytest.approx(mean, abs=1e-6)
    spread = math.sqrt(math.fsum((pair - mean) ** 2 for pair in pairs) / len(pairs))
    assert measured.std == pytest.approx(spread, abs=1e-6)


def test_background_of_no_pair_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        background(np.zeros((0, 4), np.float32))


# The file.


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_probes(tmp_path, make_probes(HashEncoder()))
    return tmp_path / "probes.npz"


def test_what_was_written_is_read(written: Path) -> None:
    expected, found = make_probes(HashEncoder()), read_probes(written.parent)
    assert found.keys() == expected.keys()
    for key, vectors in expected.items():
        np.testing.assert_array_equal(found[key], vectors)
    assert os.listdir(written.parent) == ["probes.npz"]


def test_writing_again_replaces(written: Path) -> None:
    write_probes(written.parent, {"a/text": unit([1, 0])})
    assert set(read_probes(written.parent)) == {"a/text"}


def test_a_missing_file_is_damage(tmp_path: Path) -> None:
    with pytest.raises(CorruptError, match=r"probes\.npz is missing"):
        read_probes(tmp_path)


def test_a_file_cut_anywhere_is_damage(written: Path) -> None:
    whole = written.read_bytes()
    for length in range(0, len(whole), 37):
        written.write_bytes(whole[:length])
        with pytest.raises(CorruptError, match="is damaged"):
            read_probes(written.parent)


def test_a_wrong_byte_anywhere_is_damage_or_does_no_harm(written: Path) -> None:
    whole, expected = written.read_bytes(), make_probes(HashEncoder())
    refused = 0
    for position in range(0, len(whole), 7):
        spoilt = bytearray(whole)
        spoilt[position] ^= 20
        written.write_bytes(spoilt)
        try:
            found = read_probes(written.parent)
        except (CorruptError, NewerFormatError):
            refused += 1
        else:
            for key, vectors in found.items():
                np.testing.assert_array_equal(vectors, expected[key])
    assert refused > len(whole) / 7 * 0.5


@pytest.mark.parametrize(
    "arrays",
    [
        {"a/text": np.array([[{}]], object)},  # would be unpickled
        {"a/text": np.zeros((2, 2), np.float64)},
        {"a/text": np.zeros(2, np.float32)},
        {"a/text": np.full((1, 2), np.nan, np.float32)},
        {"format": np.array("one")},
    ],
    ids=["pickle", "float64", "one row", "not finite", "no version"],
)
def test_other_contents_are_damage(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "probes.npz", **{"format": np.int64(1), **arrays})
    with pytest.raises(CorruptError):
        read_probes(tmp_path)


def test_an_archive_without_a_version_is_damage(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "probes.npz", "w"):
        pass
    with pytest.raises(CorruptError, match="format"):
        read_probes(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "probes.npz", format=np.int64(2), later=np.zeros(3))
    with pytest.raises(NewerFormatError, match="has format 2; this Echolens reads up to 1"):
        read_probes(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_full_disk_leaves_what_was_there(written: Path) -> None:
    written.with_name("probes.npz.partial").symlink_to("/dev/full")
    with pytest.raises(StoreUnreachableError, match="can't be written: No space left"):
        write_probes(written.parent, {"a/text": unit([1, 0])})
    assert "test-hash-32/text" in read_probes(written.parent)
    assert os.listdir(written.parent) == ["probes.npz"]


def test_a_folder_in_its_place_is_no_stack_trace(tmp_path: Path) -> None:
    (tmp_path / "probes.npz").mkdir()
    with pytest.raises(StoreUnreachableError, match="can't be read"):
        read_probes(tmp_path)

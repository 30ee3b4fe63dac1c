"""Promise 3: an encoder that went wrong in silence is refused, and the message says how."""

from __future__ import annotations

import hashlib
import math
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    Probes,
    background,
    background_sentences,
    check_degenerate,
    check_encoder,
    check_nearest,
    check_vectors,
    encode_with_probe,
    make_probes,
    measured_tolerance,
    probe_inputs,
    probe_key,
    read_probes,
    same_as,
    tolerance_key,
    write_probes,
)
from retrieval.schema import FloatArray, Modality, Precision, Role
from tests.encoders import HashEncoder

MODALITIES: list[Modality] = ["text", "image"]
WRONG = {
    "nan": "NaN or infinite",
    "unnormalised": "not normalised",
    "constant": "one and the same vector for 4 different inputs",
    "shifted": "other vectors",
    "weights=2": "other vectors",
}
IN_A_QUERY = WRONG | {"constant": "other vectors"}  # it has no others beside it


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
    digest = hashlib.sha256()
    for sound in probe_inputs("audio"):
        assert sound.samples.dtype == np.float32
        digest.update(sound.samples.tobytes() + str(sound.rate).encode())
    assert digest.hexdigest()[:16] == "4316353cb536f162"


def test_probe_sounds_are_heard_and_none_is_cut_short() -> None:
    for sound in probe_inputs("audio"):
        assert 0.05 < np.sqrt(np.square(sound.samples).mean()) < 0.5
        assert np.abs(sound.samples).max() < 1
    assert max(len(sound.samples) / sound.rate for sound in probe_inputs("audio")) > 10


def test_a_modality_without_probes_has_none() -> None:
    assert probe_inputs("video") == []


def test_background_sentences_are_many_and_in_both_languages() -> None:
    sentences = background_sentences()
    chinese = [s for s in sentences if any("\u4e00" <= c <= "\u9fff" for c in s)]
    assert len(set(sentences)) == len(sentences) == 64
    assert len(chinese) == 32


# An encoder, then and now.


def test_the_same_encoder_passes_and_nothing_new_is_kept() -> None:
    stored = make_probes(HashEncoder())
    assert check_encoder(HashEncoder(), stored, where="hash:") is stored


@pytest.mark.parametrize("wrong", WRONG)
def test_promise_never_silently_wrong_when_opening_for_writing(wrong: str) -> None:
    stored = make_probes(HashEncoder())
    with pytest.raises(EncoderMismatchError, match=f"^hash: gives .*{WRONG[wrong]}") as caught:
        check_encoder(HashEncoder(wrong), stored, where="hash:")
    assert "index again" in caught.value.advice


@pytest.mark.parametrize("modality", MODALITIES)
def test_promise_never_silently_wrong_in_one_half_of_the_encoder(modality: Modality) -> None:
    """A collection of pictures alone is asked in words: both halves count at every opening."""

    class HalfWrong(HashEncoder):
        def encode(self, of: Modality, inputs: Sequence[Any], *, role: Role) -> FloatArray:
            right = HashEncoder("shifted" if of == modality else "")
            return right.encode(of, inputs, role=role)

    with pytest.raises(EncoderMismatchError, match="gives other vectors"):
        check_encoder(HalfWrong(), make_probes(HashEncoder()), where="hash:")


class Batched(HashEncoder):
    """Right for one input; `rows` spoils the order or the content of more than one."""

    def __init__(self, rows: Callable[[FloatArray], FloatArray]) -> None:
        super().__init__()
        self.rows = rows

    def encode(self, modality: Modality, inputs: Sequence[Any], *, role: Role) -> FloatArray:
        right = super().encode(modality, inputs, role=role)
        return self.rows(right) if len(right) > 1 else right


def mixed(rows: FloatArray) -> FloatArray:
    """Each row a little of the batch's mean."""
    sums = rows + 0.02 * rows.mean(axis=0)
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)


SPOILT_ROWS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "one down": lambda rows: np.roll(rows, 1, axis=0),
    "one up": lambda rows: np.roll(rows, -1, axis=0),
    "one down, the first twice": lambda rows: rows[[0, *range(len(rows) - 1)]],
    "one up, the last twice": lambda rows: rows[[*range(1, len(rows)), -1]],
    "backwards": lambda rows: rows[::-1],
    "the first for all": lambda rows: np.repeat(rows[:1], len(rows), axis=0),
    "the last for all": lambda rows: np.repeat(rows[-1:], len(rows), axis=0),
    "mixed": mixed,
}


@pytest.mark.parametrize("rows", SPOILT_ROWS.values(), ids=SPOILT_ROWS)
def test_rows_that_only_a_batch_spoils_show(rows: Callable[[FloatArray], FloatArray]) -> None:
    stored, spoilt = make_probes(HashEncoder()), Batched(rows)
    with pytest.raises(EncoderMismatchError, match=r"gives|can't tell two"):
        check_encoder(spoilt, stored, where="hash:")
    with pytest.raises(EncoderMismatchError, match="in a batch than alone"):
        make_probes(spoilt)


@pytest.mark.parametrize("rows", SPOILT_ROWS.values(), ids=SPOILT_ROWS)
@pytest.mark.parametrize("words", [["a dog"], ["a dog", "red"]], ids=["one word", "two"])
@pytest.mark.parametrize("modality", MODALITIES)
def test_rows_that_only_a_batch_spoils_show_in_the_first_query(
    rows: Callable[[FloatArray], FloatArray], words: list[str], modality: Modality
) -> None:
    asked = words if modality == "text" else probe_inputs("image")[1 : 1 + len(words)]
    with pytest.raises(EncoderMismatchError, match=r"^hash: gives (other|a query)"):
        encode_with_probe(Batched(rows), modality, asked, make_probes(HashEncoder()), where="hash:")


@pytest.mark.parametrize("modality", MODALITIES)
def test_promise_never_silently_wrong_in_the_first_query(modality: Modality) -> None:
    stored, asked = make_probes(HashEncoder()), probe_inputs(modality)[2:]
    vectors = encode_with_probe(HashEncoder(), modality, asked, stored, where="hash:")
    np.testing.assert_array_equal(vectors, HashEncoder().encode(modality, asked, role="query"))
    for wrong, message in IN_A_QUERY.items():
        with pytest.raises(EncoderMismatchError, match=message):
            encode_with_probe(HashEncoder(wrong), modality, asked, stored, where="hash:")


@pytest.mark.parametrize(
    ("modality", "asked"),
    [
        ("text", probe_inputs("text")[0]),
        ("text", "a RED bicycle leans against\n a yellow wall"),
        ("image", probe_inputs("image")[0].copy()),
    ],
)
def test_the_probe_itself_may_be_asked_for(modality: Modality, asked: Any) -> None:
    stored = make_probes(HashEncoder())
    assert len(encode_with_probe(HashEncoder(), modality, [asked], stored, where="hash:")) == 1


def test_a_modality_that_was_not_kept_is_damage() -> None:
    stored = make_probes(HashEncoder())
    halved = Probes({k: v for k, v in stored.vectors.items() if "text" not in k}, {})
    with pytest.raises(CorruptError, match=r"keeps no probe .* test-hash-32/text"):
        check_encoder(HashEncoder(), halved, where="hash:")
    with pytest.raises(CorruptError, match=r"keeps no probe .* test-hash-32/text"):
        encode_with_probe(HashEncoder(), "text", ["a dog"], halved, where="hash:")


def test_each_role_has_its_rows() -> None:
    stored = make_probes(HashEncoder("roles"))
    assert check_encoder(HashEncoder("roles"), stored, where="hash:") is stored
    encode_with_probe(HashEncoder("roles"), "text", ["a dog"], stored, where="hash:")
    swapped = HashEncoder("roles,swapped")
    with pytest.raises(EncoderMismatchError, match="other vectors"):
        check_encoder(swapped, stored, where="hash:")
    with pytest.raises(EncoderMismatchError, match="other vectors"):
        encode_with_probe(swapped, "text", ["a dog"], stored, where="hash:")


# How alike is the same.


def test_the_tolerance_of_a_new_channel_is_measured() -> None:
    tolerances = make_probes(HashEncoder()).tolerances
    assert tolerances == {f"test-hash-32/{m}@fp32": 1 - 1e-5 for m in MODALITIES}


@pytest.mark.parametrize(
    ("least", "precision", "declared", "expected"),
    [
        (1, "fp32", 0.9999, 1 - 1e-5),  # the floor
        (1 - 5e-6, "fp32", 0.9999, 1 - 4e-5),  # eight times what was seen
        (0.9999, "fp32", 0.9999, 0.9999),  # never looser than declared
        (1, "bf16", 0.99, 0.999),
        (1, "int8", 0.9999, 0.9999),
        (1, "int8", 0.9, 0.99),
    ],
)
def test_what_the_tolerance_is(
    least: float, precision: Precision, declared: float, expected: float
) -> None:
    assert measured_tolerance(least, precision, declared) == pytest.approx(expected, abs=1e-12)


class Rounded(HashEncoder):
    """Computes in a precision of its own, `angle` off, within 0.99 as it says."""

    def __init__(self, precision: Precision, angle: float) -> None:
        super().__init__()
        self.compute = replace(self.compute, precision=precision)
        self.angle = angle

    def tolerance(self, modality: Modality) -> float:
        return 0.99

    def encode(self, modality: Modality, inputs: Sequence[Any], *, role: Role) -> FloatArray:
        right = super().encode(modality, inputs, role=role)
        aside = np.roll(right, 1, axis=1)  # another direction for each
        aside -= (aside * right).sum(axis=1, keepdims=True) * right
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        return np.cos(self.angle) * right + np.sin(self.angle) * aside


def test_another_precision_is_measured_once_and_then_held_to_it() -> None:
    stored = make_probes(HashEncoder())
    known = check_encoder(Rounded("bf16", 0.03), stored, where="hash:")
    deviation = 1 - math.cos(0.03)
    for modality in MODALITIES:
        least = known.tolerances[tolerance_key("test-hash-32", modality, "bf16")]
        assert least == pytest.approx(1 - 8 * deviation, abs=1e-6)
    assert known.tolerances.items() > stored.tolerances.items()
    assert known.vectors is stored.vectors
    assert check_encoder(Rounded("bf16", 0.03), known, where="hash:") is known
    assert check_encoder(HashEncoder(), known, where="hash:") is known
    worse = Rounded("bf16", 0.1)
    check_encoder(worse, stored, where="hash:")  # as declared; but now it is known better:
    with pytest.raises(EncoderMismatchError, match=r"0\.9950.*at least 0\.9964"):
        check_encoder(worse, known, where="hash:")
    with pytest.raises(EncoderMismatchError, match=r"0\.9950.*at least 0\.9964"):
        encode_with_probe(worse, "text", ["a dog"], known, where="hash:")


def test_another_precision_lies_within_what_it_declares() -> None:
    stored = make_probes(HashEncoder())
    with pytest.raises(EncoderMismatchError, match=r"0\.98.*at least 0\.99 was"):
        check_encoder(Rounded("int8", 0.2), stored, where="hash:")
    with pytest.raises(EncoderMismatchError, match=r"0\.98.*at least 0\.99 was"):
        encode_with_probe(Rounded("int8", 0.2), "text", ["a dog"], stored, where="hash:")
    encode_with_probe(Rounded("int8", 0.1), "text", ["a dog"], stored, where="hash:")


def test_a_collection_made_in_a_coarse_precision_opens_in_a_fine_one() -> None:
    """The stored vectors are as far off as their precision, whatever looks at them later."""
    stored = make_probes(Rounded("bf16", 0.03))
    known = check_encoder(HashEncoder(), stored, where="hash:")
    assert known.tolerances.keys() - stored.tolerances.keys() == {
        tolerance_key("test-hash-32", modality, "fp32") for modality in MODALITIES
    }


def test_every_probe_is_nearest_to_itself() -> None:
    stored = unit([1, 0, 0], [0.97, 0.2, 0], [0, 0, 1])
    check_nearest(stored, stored, where="here")
    check_nearest(stored[:1], stored[:1], where="here")
    aside = unit([1, 0.12, 0], [0.97, 0.2, 0], [0, 0, 1])
    with pytest.raises(EncoderMismatchError, match=r"can't tell .* from another \(cosines 0.9928"):
        check_nearest(stored, aside, where="here")
    check_nearest(stored, unit([1, 0.01, 0], [0.97, 0.2, 0], [0, 0.1, 1]), where="here")


def test_a_copy_is_a_row_that_is_the_same_to_rounding() -> None:
    rows = unit([1, 0], [1, 1e-3], [0, 1])
    np.testing.assert_array_equal(same_as(rows, rows[0] + np.float32(1e-7)), [True, False, False])


def test_another_dimension_is_refused() -> None:
    with pytest.raises(EncoderMismatchError, match=r"\(1, 2\) where .*\(1, 3\) was stored"):
        check_vectors(unit([1, 0, 0]), unit([1, 0]), where="here")


@given(cosine=st.floats(-1, 1), tolerance=st.floats(0.5, 0.99999))
def test_the_cosine_decides(cosine: float, tolerance: float) -> None:
    assume(abs(cosine - tolerance) > 1e-6)
    then, now = unit([1, 0]), np.array([[cosine, math.sqrt(1 - cosine**2)]], np.float32)
    if cosine > tolerance:
        assert check_vectors(then, now, where="here", tolerance=tolerance) >= tolerance
    else:
        with pytest.raises(EncoderMismatchError, match=f"at least {tolerance:.7g}"):
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
    assert set(probes.vectors) == {probe_key("test-hash-32", modality) for modality in MODALITIES}
    assert all(vectors.shape == (8, 32) for vectors in probes.vectors.values())


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
    assert_same(found, expected)
    assert os.listdir(written.parent) == ["probes.npz"]


def assert_same(found: Probes, expected: Probes) -> None:
    assert found.tolerances == expected.tolerances
    assert found.vectors.keys() == expected.vectors.keys()
    for key, vectors in expected.vectors.items():
        np.testing.assert_array_equal(found.vectors[key], vectors)


def test_writing_again_replaces(written: Path) -> None:
    write_probes(written.parent, Probes({"a/text": unit([1, 0])}, {"a/text@fp32": 0.75}))
    assert_same(
        read_probes(written.parent), Probes({"a/text": unit([1, 0])}, {"a/text@fp32": 0.75})
    )


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
            for key, vectors in found.vectors.items():
                np.testing.assert_array_equal(vectors, expected.vectors[key])
            assert found.tolerances.items() <= expected.tolerances.items()
    assert refused > len(whole) / 7 * 0.5


@pytest.mark.parametrize(
    "arrays",
    [
        {"a/text": np.array([[{}]], object)},  # would be unpickled
        {"a/text": np.zeros((2, 2), np.float64)},
        {"a/text": np.zeros(2, np.float32)},
        {"a/text": np.full((1, 2), np.nan, np.float32)},
        {"a/text@fp32": np.float64(np.nan)},
        {"a/text@fp32": np.float64(1.5)},
        {"a/text@fp32": np.zeros(2)},
        {"format": np.array("one")},
    ],
    ids=[
        "pickle",
        "float64",
        "one row",
        "not finite",
        "no number",
        "more than 1",
        "two numbers",
        "no version",
    ],
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
        write_probes(written.parent, Probes({"a/text": unit([1, 0])}, {}))
    assert "test-hash-32/text" in read_probes(written.parent).vectors
    assert os.listdir(written.parent) == ["probes.npz"]


def test_a_folder_in_its_place_is_no_stack_trace(tmp_path: Path) -> None:
    (tmp_path / "probes.npz").mkdir()
    with pytest.raises(StoreUnreachableError, match="can't be read"):
        read_probes(tmp_path)

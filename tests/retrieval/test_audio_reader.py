"""Recordings become windows of sound and speech, stretch by stretch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrieval import registry
from retrieval.abilities import Timed
from retrieval.errors import BadInputError, SkipReason
from retrieval.films.listening import border, cut_windows
from retrieval.modalities.audio import AudioReader
from retrieval.protocols import Limits, ModalityReader
from retrieval.schema import Draft, Wants
from retrieval.timed import SPEECH_RATE, STRETCH_S, Sound, Stretch
from tests import media_made
from tests.media_made import Scene

WANTS = Wants(pixels=32, text_tokens=64, sample_rate=16_000, window_s=10.0, speech=True)
VTT = b"WEBVTT\n\n00:00.000 --> 00:01.000\nBoarding starts\n"


def stretch(
    path: Path,
    start: float = 0.0,
    beside: dict[str, bytes] | None = None,
    wants: Wants = WANTS,
) -> Stretch:
    with path.open("rb") as file:
        return AudioReader(Limits()).stretch(file, wants, start, beside or {})


def spans(drafts: tuple[Draft, ...]) -> list[tuple[float, float]]:
    return [(d.span.start, d.span.end) for d in drafts if d.span is not None]


def test_it_is_a_reader_and_timed() -> None:
    reader: ModalityReader = AudioReader(Limits())
    assert isinstance(reader, Timed)
    assert isinstance(registry.open_modality("audio", Limits()), AudioReader)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a"])
def test_every_format_becomes_windows_and_speech(tmp_path: Path, suffix: str) -> None:
    path = media_made.recording(tmp_path / f"a{suffix}", media_made.tone(seconds=3.0))
    found = stretch(path)
    (window,) = found.drafts
    assert window.kind == "window"
    assert isinstance(window.inputs[0], Sound)
    assert window.span is not None
    assert window.span.start == 0.0
    assert window.span.end == pytest.approx(3.0, abs=0.1)
    assert len(found.speech) == 1
    assert found.following is None
    assert found.warnings == ()
    assert registry.media_type_of(suffix) is not None


def test_what_a_recording_says_of_itself(tmp_path: Path) -> None:
    path = media_made.recording(
        tmp_path / "a.mp3", media_made.tone(seconds=2.0), title="Dawn chorus", comment="Robins"
    )
    with path.open("rb") as file:
        found = AudioReader(Limits()).describe(file)
    assert found.captions == ("Dawn chorus", "Robins")
    assert found.fields["has_audio"] is True
    assert found.fields["has_video"] is False
    assert found.fields["audio_codec"] == "mp3"
    assert found.fields["duration_s"] == pytest.approx(2.0, abs=0.1)
    assert "width" not in found.fields


@pytest.mark.parametrize("suffix", [".mp3", ".m4a"])
def test_a_cover_is_no_film(tmp_path: Path, suffix: str) -> None:
    path = media_made.with_cover(tmp_path / f"a{suffix}", media_made.tone(seconds=2.0))
    with path.open("rb") as file:
        assert AudioReader(Limits()).describe(file).fields["has_video"] is False
    assert {draft.kind for draft in stretch(path).drafts} == {"window"}


def test_a_film_called_a_recording_is_heard_alone(tmp_path: Path) -> None:
    film = media_made.film(tmp_path / "a.mp4", [Scene(1.0)], sounds=[media_made.tone()])
    assert {draft.kind for draft in stretch(film).drafts} == {"window"}
    silent = media_made.film(tmp_path / "b.mp4", [Scene(1.0)])
    with pytest.raises(BadInputError, match="holds no sound") as caught:
        stretch(silent)
    assert caught.value.reason is SkipReason.NO_CONTENT


def test_a_long_recording_is_read_by_stretches(tmp_path: Path) -> None:
    sound = media_made.sweep(245.0, rate=16_000)
    path = media_made.recording(tmp_path / "a.wav", sound, rate=16_000)
    found = [stretch(path, start) for start in (0.0, STRETCH_S, 2 * STRETCH_S)]
    assert [each.following for each in found] == [STRETCH_S, 2 * STRETCH_S, None]
    windows = [span for each in found for span in spans(each.drafts)]
    assert windows[0] == (0.0, 10.0)
    assert windows[-1] == (240.0, 245.0)
    assert windows == sorted(set(windows))
    heard = np.concatenate([speech.samples for each in found for speech in each.speech])
    assert len(heard) == 245 * SPEECH_RATE
    assert np.abs(heard / 32767.0 - sound).max() < 1e-3
    (last,) = found[-1].drafts
    assert np.abs(last.inputs[0].samples - sound[240 * 16_000 :]).max() < 1e-3


def test_both_sides_find_the_same_quiet_moment(tmp_path: Path) -> None:
    sound = media_made.noise(130.0, rate=16_000)
    sound[int(121.3 * 16_000) : int(121.7 * 16_000)] *= 0.01
    path = media_made.recording(tmp_path / "a.ogg", sound, rate=16_000)
    with path.open("rb") as file:
        at = border(file, STRETCH_S)
        assert border(file, 0.0) == 0.0
        assert border(file, 600.0) == 600.0
    assert 121.3 <= at <= 121.7
    first, second = stretch(path).speech[0], stretch(path, STRETCH_S).speech[0]
    assert second.start == at
    assert first.start + len(first.samples) / SPEECH_RATE == pytest.approx(at, abs=1e-4)


def test_a_sound_that_ends_at_the_border_has_one_stretch(tmp_path: Path) -> None:
    path = media_made.recording(
        tmp_path / "a.wav", media_made.noise(STRETCH_S, rate=16_000), rate=16_000
    )
    found = stretch(path)
    assert found.following is None
    assert len(found.speech[0].samples) == STRETCH_S * SPEECH_RATE


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (4.0, [(0.0, 4.0)]),
        (10.0, [(0.0, 10.0)]),
        (13.0, [(0.0, 10.0), (5.0, 13.0)]),
        (15.2, [(0.0, 10.0), (5.0, 15.0), (10.0, 15.2)]),
        (0.2, [(0.0, 0.2)]),
    ],
)
def test_windows_cover_all_of_a_sound(seconds: float, expected: list[tuple[float, float]]) -> None:
    found = tuple(cut_windows(media_made.noise(seconds, rate=8000), 8000, 0.0))
    assert spans(found) == expected


def test_only_digital_silence_is_silent() -> None:
    quiet = media_made.noise(10.0, rate=8000, level=0.001)
    assert len(list(cut_windows(quiet, 8000, 0.0))) == 1
    assert not list(cut_windows(media_made.silence(10.0, 8000), 8000, 0.0))


def test_a_transcript_beside_a_recording_is_taken(tmp_path: Path) -> None:
    path = media_made.recording(tmp_path / "a.wav", media_made.tone(seconds=3.0))
    found = stretch(path, beside={"a.vtt": VTT})
    assert found.speech == ()
    assert [d.text for d in found.drafts if d.kind == "speech"] == ["Boarding starts"]
    found = stretch(path, beside={"a.txt": b"Boarding starts"})
    assert found.script == "Boarding starts"
    assert len(found.speech) == 1


def test_subtitles_that_cannot_be_read_are_told_of(tmp_path: Path) -> None:
    path = media_made.recording(tmp_path / "a.wav", media_made.tone(seconds=1.0))
    found = stretch(path, beside={"a.srt": b"\x00\x01\x02nothing"})
    assert len(found.speech) == 1
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("a.srt")


def test_a_query_is_the_beginning_of_a_sound(tmp_path: Path) -> None:
    sound = media_made.sweep(70.0, rate=16_000)
    path = media_made.recording(tmp_path / "a.wav", sound, rate=16_000)
    query = AudioReader(Limits()).query_input(path.read_bytes(), Wants(sample_rate=8_000))
    assert query.rate == 8_000
    assert len(query.samples) == 60 * 8_000
    silent = media_made.film(tmp_path / "b.mp4", [Scene(0.4)]).read_bytes()
    with pytest.raises(BadInputError, match="holds no sound"):
        AudioReader(Limits()).query_input(silent, WANTS)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", SkipReason.EMPTY),
        (b"These are words.", SkipReason.CORRUPT),
        (np.random.default_rng(1).bytes(5000), SkipReason.CORRUPT),
    ],
)
def test_what_is_no_recording_is_told_by_its_reason(
    tmp_path: Path, data: bytes, reason: SkipReason
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(BadInputError) as caught:
        stretch(path)
    assert caught.value.reason is reason


def test_a_recording_that_is_cut_short_keeps_what_is_there(tmp_path: Path) -> None:
    whole = media_made.recording(tmp_path / "a.flac", media_made.noise(20.0))
    found = stretch(media_made.cut_short(tmp_path / "b.flac", whole, 0.5))
    assert spans(found.drafts)[0] == (0.0, pytest.approx(9.9, abs=0.2))
    assert any("though its header promises 0:20.00" in warning for warning in found.warnings)


def test_the_recipe_has_nothing_of_pictures() -> None:
    """A new detector of shots doesn't make recordings be read again."""
    assert "scenedetect" not in AudioReader(Limits()).recipe

"""What containers say of themselves, and what they can't make FFmpeg do."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.errors import BadInputError, SkipReason
from retrieval.films.containers import facts
from retrieval.films.frames import frames
from retrieval.films.nouns import Facts
from tests import media_made as made
from tests.media_made import Scene


def of(path: Path) -> Facts:
    with path.open("rb") as file:
        return facts(file)


def test_a_film_is_described(tmp_path: Path) -> None:
    notes = {"title": "Holiday", "comment": "At the sea", "creation_time": "2021-08-07T14:30:05Z"}
    path = made.film(
        tmp_path / "film.mp4",
        sounds=[made.tone(), made.tone(880)],
        rotation=90,
        metadata=notes,
    )
    found = of(path)
    assert found.duration_s == pytest.approx(3.0, abs=0.05)
    assert (found.width, found.height, found.rotation) == (120, 160, 90)
    assert found.fps == pytest.approx(25)
    assert (found.video_codec, found.audio_codec, found.audio_tracks) == ("h264", "aac", 2)
    assert (found.title, found.captions) == ("Holiday", ("At the sea",))
    assert found.taken == "2021-08-07T14:30:05+00:00"
    assert found.has_video
    assert found.has_audio


def test_a_recording_is_described_wherever_its_notes_stand(tmp_path: Path) -> None:
    for suffix in (".mp3", ".ogg", ".flac", ".m4a"):
        path = made.recording(tmp_path / f"r{suffix}", made.tone(), title="A tune", date="1977")
        found = of(path)
        assert found.title == "A tune", suffix
        assert not found.has_video
        assert found.has_audio


def test_the_cover_of_a_record_is_no_film(tmp_path: Path) -> None:
    for suffix in (".mp3", ".m4a"):
        found = of(made.with_cover(tmp_path / f"covered{suffix}", made.tone()))
        assert not found.has_video, suffix
        assert found.width == 0


def test_an_unset_clock_is_no_date(tmp_path: Path) -> None:
    path = made.film(tmp_path / "f.mp4", metadata={"creation_time": "1970-01-01T00:00:00Z"})
    assert of(path).taken == ""


def test_a_phone_tells_its_name_and_place(tmp_path: Path) -> None:
    notes = {
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 12",
        "com.apple.quicktime.creationdate": "2021-08-07T16:30:05+0200",
        "com.apple.quicktime.location.ISO6709": "+52.5000-013.2500+041.000/",
    }
    path = made.film(tmp_path / "f.mov", metadata=notes, options={"movflags": "use_metadata_tags"})
    found = of(path)
    assert found.camera == "Apple iPhone 12"
    assert found.taken == "2021-08-07T16:30:05+02:00"
    assert found.place == (52.5, -13.25)


def test_a_container_may_not_say_how_long_it_is(tmp_path: Path) -> None:
    path = made.film(tmp_path / "live.webm", options={"live": "1"})
    assert of(path).duration_s is None
    with path.open("rb") as file:
        assert len(list(frames(file, size=60))) == 75


def test_moving_pictures_are_described(tmp_path: Path) -> None:
    for suffix in (".gif", ".png", ".webp"):
        found = of(made.moving(tmp_path / f"m{suffix}", durations=(0.5, 0.2, 0.3)))
        assert found.duration_s == pytest.approx(1.0), suffix
        assert found.fps == pytest.approx(3.0)
        assert (found.width, found.height) == made.SIZE
        assert found.has_video
        assert not found.has_audio


def test_subtitle_tracks_are_named(tmp_path: Path) -> None:
    lines = [(0.5, 1.5, "A dog runs."), (1.5, 2.5, "It sleeps.")]
    path = made.subtitled(tmp_path / "f.mkv", made.film(tmp_path / "p.mp4"), lines)
    (track,) = of(path).subtitles
    assert (track.codec, track.language) == ("subrip", "eng")


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{target}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{target}'\n",
        "#EXTM3U\n#EXTINF:3,\nhttp://127.0.0.1:9/film.mp4\n#EXT-X-ENDLIST\n",
        '<MPD><Period><AdaptationSet mimeType="video/mp4"><Representation>'
        "<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    ],
)
def test_a_playlist_opens_no_other_file(tmp_path: Path, playlist: str) -> None:
    target = made.film(tmp_path / "secret.ts", [Scene(0.2)])
    path = tmp_path / "film.mp4"
    path.write_text(playlist.format(target=target))
    with path.open("rb") as file, pytest.raises(BadInputError) as caught:
        list(frames(file, size=60))
    assert caught.value.reason is SkipReason.CORRUPT


def test_a_disk_that_fails_is_not_called_damage(tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 5000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    path = made.film(tmp_path / "f.mp4", sounds=[made.noise(3.0)])
    with pytest.raises(BadInputError, match="can't be read: Input/output error") as caught:
        facts(Failing(path.read_bytes()))
    assert caught.value.reason is SkipReason.UNREADABLE


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory in use")
def test_running_out_of_memory_is_not_called_damage(tmp_path: Path) -> None:
    path = made.film(tmp_path / "f.mp4", [Scene(0.5)])
    program = (
        "import resource, sys; from retrieval.errors import BadInputError\n"
        "from retrieval.films.frames import frames\n"
        "file = open(sys.argv[1], 'rb'); pages = int(open('/proc/self/statm').read().split()[0])\n"
        "room = pages * resource.getpagesize() + (3 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (room, room))\n"
        "try:\n    print(len(list(frames(file, size=60))))\n"
        "except BadInputError as error:\n    print(error.reason, error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("decoder_failed needs more memory than a decoder is given")


def test_ffmpeg_is_silent(tmp_path: Path) -> None:
    whole = made.film(tmp_path / "w.mp4", sounds=[made.tone(seconds=3)])
    path = made.damaged(tmp_path / "d.mp4", whole, length=2000)
    program = (
        "import sys; from retrieval.films.frames import frames; "
        "from retrieval.films.sound import sound; "
        "file = open(sys.argv[1], 'rb'); list(frames(file, size=60)); sound(file, rate=16000)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    assert ran.stdout + ran.stderr == ""


def test_without_av_it_is_said_what_to_install() -> None:
    program = (
        "import sys; sys.modules['av'] = None\n"
        "from retrieval.errors import NotInstalledError\n"
        "try:\n    import retrieval.films.frames\n"
        "except NotInstalledError as error:\n    print(error, error.advice)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "`av`, which is not installed" in ran.stdout
    assert "echolens[video]" in ran.stdout

"""Pictures that move have shots beside their picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.modalities.image import ImageReader
from retrieval.protocols import Limits
from retrieval.schema import Description, Draft, Span, Wants
from tests import corpus, media_made
from tests.media_made import Scene

READER = ImageReader(Limits())
WANTS = Wants(pixels=32)
SCENES = [Scene(0.2, (200, 40, 40), i // 10) for i in range(20)]


def documents(path: Path, wants: Wants = WANTS) -> list[Draft]:
    with path.open("rb") as file:
        return list(READER.documents(file, wants))


def describe(path: Path) -> Description:
    with path.open("rb") as file:
        return READER.describe(file)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_a_moving_picture_is_a_picture_and_its_shots(tmp_path: Path, suffix: str) -> None:
    path = media_made.moving(tmp_path / f"a{suffix}", SCENES)
    picture, *shots = documents(path)
    assert (picture.kind, picture.span) == ("image", None)
    assert [shot.kind for shot in shots] == ["shot", "shot"]
    assert [shot.span for shot in shots] == [Span(0.0, 2.0), Span(2.0, 4.0)]
    assert shots[0].inputs[0].shape == (64, 85, 3)
    fields = describe(path).fields
    assert fields["moving"] is True
    assert fields["duration_s"] == pytest.approx(4.0)


def test_the_last_picture_is_shown_as_long_as_it_says(tmp_path: Path) -> None:
    scenes = [Scene(seed=0), Scene(seed=1), Scene(seed=2)]
    path = media_made.moving(tmp_path / "a.gif", scenes, durations=[0.1, 0.1, 3.0])
    assert documents(path)[-1].span == Span(0.0, 3.2)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".jpg"])
def test_a_still_has_no_shots(tmp_path: Path, suffix: str) -> None:
    path = corpus.picture(tmp_path / f"a{suffix}")
    assert [draft.kind for draft in documents(path)] == ["image"]
    assert "moving" not in describe(path).fields


def test_who_takes_no_pictures_gets_no_shots(tmp_path: Path) -> None:
    path = media_made.moving(tmp_path / "a.gif", SCENES)
    assert [draft.kind for draft in documents(path, Wants())] == ["image"]


@pytest.mark.parametrize("samsung", [False, True])
def test_the_film_behind_a_photo_is_seen(tmp_path: Path, samsung: bool) -> None:
    notes = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><GCamera:MotionPhoto>1</GCamera:MotionPhoto>'
    photo = corpus.picture(tmp_path / "a.jpg", **({} if samsung else {"xmp": notes}))
    film = media_made.film(tmp_path / "a.mp4", [Scene(1.0), Scene(1.0, (40, 200, 40), 3)])
    path = media_made.motion_photo(tmp_path / "b.jpg", photo, film, samsung=samsung)
    picture, *shots = documents(path)
    assert picture.kind == "image"
    assert [shot.span for shot in shots] == [Span(0.0, 1.0), Span(1.0, 2.0)]
    assert describe(path).fields["moving"] is True
    assert describe(path).fields["duration_s"] == pytest.approx(2.0, abs=0.1)


def test_a_film_that_is_only_promised_costs_nothing(tmp_path: Path) -> None:
    """A photo whose notes tell of a film, which somebody's program left out; or broke."""
    notes = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><GCamera:MotionPhoto>1</GCamera:MotionPhoto>'
    photo = corpus.picture(tmp_path / "a.jpg", xmp=notes)
    assert [draft.kind for draft in documents(photo)] == ["image"]
    assert "moving" not in describe(photo).fields
    broken = tmp_path / "b.mp4"
    broken.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(200))
    path = media_made.motion_photo(tmp_path / "c.jpg", photo, broken)
    assert [draft.kind for draft in documents(path)] == ["image"]


def test_damaged_movement_costs_itself_only(tmp_path: Path) -> None:
    source = media_made.moving(
        tmp_path / "a.gif", [Scene(0.2, (200, 40, 40), i) for i in range(30)]
    )
    path = media_made.cut_short(tmp_path / "b.gif", source, 0.7)
    kinds = [draft.kind for draft in documents(path)]
    assert kinds[0] == "image"
    assert describe(path).fields["width"] == 160

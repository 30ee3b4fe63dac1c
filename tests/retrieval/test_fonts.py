"""Lettering: every character is drawn in a font that has it, or told of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from retrieval import fonts
from retrieval.fonts import Lettering, absent, drawable


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """What was found in other folders."""
    fonts._font_of.cache_clear()
    yield
    fonts._font_of.cache_clear()


def test_what_no_font_has_is_escaped_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "FONT_FOLDERS", ())

    assert drawable("Katze 猫") == r"Katze \u732b"
    assert absent(["Katze 猫", "猫\n狗"]) == "猫狗"
    assert absent(["Katze, chat, gato"]) == ""


def test_marks_that_join_emoji_are_no_characters_to_draw() -> None:
    assert drawable("a\u200db\ufe0f") == "ab"


def test_a_font_of_the_system_is_found_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow's own font as a file stands for an installed one; a broken file is passed over."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "NotoSansCJK-Regular.ttc").write_bytes(b"no font")
    default = ImageFont.load_default(10)
    assert isinstance(default, ImageFont.FreeTypeFont)
    (tmp_path / "deep" / "DejaVuSans.ttf").write_bytes(default.font_bytes)
    monkeypatch.setattr(fonts, "FONT_FOLDERS", (tmp_path, Path("~/nowhere")))

    found = fonts._system_fonts(fonts.FONT_FOLDERS)

    assert found == (tmp_path / "deep" / "DejaVuSans.ttf",)


def test_chinese_is_drawn_as_chinese_where_a_font_has_it() -> None:
    if absent(["猫"]):
        pytest.skip("no font with Chinese is installed here (fonts-wqy-microhei, Noto Sans CJK)")
    letters = Lettering(20)
    pages = []
    for text in ("a 猫 b", "a 狗 b"):
        page = Image.new("L", (200, 40), 255)
        letters.draw(ImageDraw.Draw(page), (5, 5), drawable(text), "black")
        pages.append(page.tobytes())

    assert drawable("a 猫 b") == "a 猫 b"
    assert pages[0] != pages[1]
    assert letters.getlength("猫") == pytest.approx(20, abs=3)

"""Pictures of every sort become the same upright sRGB array; bad ones say what they are."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from retrieval.errors import BadInputError
from retrieval.media import Picture, kind_of, open_picture, read_picture, upright_size
from retrieval.protocols import Limits
from retrieval.schema import SkipReason
from tests import corpus, handmade_pdf

LIMITS = Limits()
TURNABLE = (".jpg", ".png", ".webp", ".tif", ".avif", ".heic")


def read(path: Path, shorter_px: int | None = None, limits: Limits = LIMITS) -> Picture:
    with path.open("rb") as file:
        return read_picture(file, limits, shorter_px)


def refusal(path: Path, limits: Limits = LIMITS) -> tuple[SkipReason, str]:
    with pytest.raises(BadInputError) as caught:
        read(path, 64, limits)
    return caught.value.reason, str(caught.value)


def difference(one: Picture, other: Picture) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize("suffix", corpus.FORMATS)
def test_every_format_gives_the_same_pixels(tmp_path: Path, suffix: str) -> None:
    upright = np.asarray(corpus.pattern())
    pixels = read(corpus.picture(tmp_path / f"a{suffix}"))
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    assert pixels.shape == upright.shape
    # The lossy ones ring at the edges, so the mean is compared.
    assert np.abs(pixels.astype(int) - upright).mean() < 1.5


@pytest.mark.parametrize("suffix", TURNABLE)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_eight_orientations_are_turned_upright(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    upright = np.asarray(corpus.pattern())
    path = corpus.oriented(tmp_path / f"a{suffix}", orientation)
    pixels = read(path)
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).mean() < 1.5
    with path.open("rb") as file, open_picture(file, Limits()) as header:
        assert upright_size(header) == (upright.shape[1], upright.shape[0])


def test_orientation_holds_for_a_reduced_jpeg(tmp_path: Path) -> None:
    upright = corpus.pattern(size=(960, 640))
    straight = read(corpus.oriented(tmp_path / "a.jpg", 1, upright), 64)
    for orientation in range(2, 9):
        turned = read(corpus.oriented(tmp_path / "b.jpg", orientation, upright), 64)
        assert turned.shape == straight.shape
        assert np.abs(turned.astype(int) - straight).mean() < 3


def test_nonsense_orientation_is_none(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    path = corpus.picture(tmp_path / "a.png", exif=exif.tobytes())
    assert difference(read(path), np.asarray(corpus.pattern())) == 0


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    for name in ("a.png", "a.gif"):
        pixels = read(corpus.transparent_palette(tmp_path / name))
        assert pixels[0, 0].tolist() == [255, 255, 255]
        assert pixels[0, 63].tolist() == [255, 0, 0]
    for name in ("b.png", "b.webp"):
        pixels = read(corpus.half_transparent(tmp_path / name))
        assert difference(pixels, np.full((32, 32, 3), (255, 127, 127), np.uint8)) <= 1


def test_grey_with_alpha_is_laid_on_white(tmp_path: Path) -> None:
    path = corpus.save_as(tmp_path / "a.png", Image.new("LA", (8, 8), (0, 0)))
    assert read(path).min() == 255


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_grey_is_scaled_over_its_whole_range(tmp_path: Path, name: str) -> None:
    pixels = read(corpus.deep_grey(tmp_path / name, (0, 16384, 32768, 65535)))
    assert pixels[0, ::8, 0].tolist() == [0, 64, 128, 255]
    assert (pixels[..., 0] == pixels[..., 2]).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 51.0, 204.0]], np.float32), [0, 51, 204]),
        (np.array([[-1000.0, 0.0, 1000.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 0.0, 1.0]], np.float32), [0, 0, 255]),
        (np.array([[7.0, 7.0, 7.0]], np.float32), [7, 7, 7]),
        (np.array([[0, 100, 200]], np.int32), [0, 100, 200]),
        (np.array([[0, 25700, 65535]], np.int32), [0, 100, 255]),
    ],
)
def test_deep_pixels_fit_8_bits(
    tmp_path: Path, values: np.ndarray[tuple[int, int], np.dtype[np.float32]], expected: list[int]
) -> None:
    path = corpus.save_as(tmp_path / "a.tif", Image.fromarray(values))
    assert read(path)[0, :, 0].tolist() == expected


def test_other_modes_become_rgb(tmp_path: Path) -> None:
    half = read(corpus.black_and_white(tmp_path / "a.png"), 16)
    assert (half[0, 0].tolist(), half[0, -1].tolist()) == ([0, 0, 0], [255, 255, 255])
    assert read(corpus.grey(tmp_path / "b.jpg")).shape == (64, 96, 3)
    cmyk = read(corpus.cmyk(tmp_path / "c.jpg"))
    assert np.abs(cmyk.astype(int) - np.asarray(corpus.pattern())).mean() < 3


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_an_embedded_profile_is_applied(tmp_path: Path, name: str) -> None:
    pixels = read(corpus.with_profile(tmp_path / name, corpus.swapped_profile()))
    assert np.abs(pixels.astype(int) - (0, 255, 0)).max() <= 3


def test_a_profile_leaves_alpha_alone(tmp_path: Path) -> None:
    image = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    path = corpus.save_as(tmp_path / "a.png", image, icc_profile=corpus.swapped_profile())
    assert read(path).min() == 255


@pytest.mark.parametrize("profile", [b"broken" * 50, b"\0" * 200])
def test_a_broken_profile_is_ignored(tmp_path: Path, profile: bytes) -> None:
    pixels = read(corpus.with_profile(tmp_path / "a.png", profile))
    assert (pixels == (255, 0, 0)).all()


def test_a_profile_of_another_mode_is_ignored(tmp_path: Path) -> None:
    image = Image.new("L", (8, 8), 99)
    path = corpus.save_as(tmp_path / "a.png", image, icc_profile=corpus.swapped_profile())
    assert (read(path) == 99).all()


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path, name: str) -> None:
    pixels = read(corpus.animated(tmp_path / name))
    assert np.abs(pixels.astype(int) - (255, 0, 0)).max() <= 3


@settings(max_examples=40)
@given(
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    shorter_px=st.integers(1, 300),
    suffix=st.sampled_from(["PNG", "JPEG"]),
)
def test_the_size_given_back(width: int, height: int, shorter_px: int, suffix: str) -> None:
    """Never enlarged; the shorter side as asked, unless the longer would be 16 times that."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), "green").save(file, suffix)
    rows, columns, _ = read_picture(file, Limits(), shorter_px).shape
    assert columns <= width
    assert rows <= height
    assert max(rows, columns) <= max(16 * shorter_px, 1)
    if max(width, height) <= 16 * min(width, height):
        assert min(rows, columns) == min(width, height, shorter_px)
    assert abs(columns / width - rows / height) <= 1 / min(width, height)


def test_decoding_small_changes_next_to_nothing(tmp_path: Path) -> None:
    path = corpus.photo(tmp_path / "a.jpg", (1600, 1200))
    small = Image.fromarray(read(path, 2 * 112)).resize((149, 112), Image.Resampling.BICUBIC)
    full = Image.fromarray(read(path)).resize((149, 112), Image.Resampling.BICUBIC)
    assert difference(np.asarray(small), np.asarray(full)) <= 4


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    bomb = corpus.png_bomb(tmp_path / "a.png", side=50_000)
    assert refusal(bomb)[0] is SkipReason.TOO_LARGE
    reason, message = refusal(corpus.picture(tmp_path / "b.png"), Limits(pixels=6143))
    assert (reason, message) == (
        SkipReason.TOO_LARGE,
        "has more pixels (96 x 64) than the limit of 6,143",
    )
    assert read(tmp_path / "b.png", limits=Limits(pixels=6144)).shape == (64, 96, 3)


def test_the_limit_is_ours_not_pillows(tmp_path: Path) -> None:
    """A picture that Pillow alone would warn of and one that it would refuse are read."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = 100
    try:
        assert read(corpus.picture(tmp_path / "a.png")).shape == (64, 96, 3)
        assert Image.MAX_IMAGE_PIXELS == 100
    finally:
        Image.MAX_IMAGE_PIXELS = before


@pytest.mark.parametrize("suffix", corpus.FORMATS)
def test_a_truncated_picture_is_corrupt(tmp_path: Path, suffix: str) -> None:
    path = corpus.truncated(tmp_path / f"a{suffix}", 0.6)
    assert refusal(path)[0] is SkipReason.CORRUPT
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@settings(max_examples=120)
@given(
    suffix=st.sampled_from([".jpg", ".png", ".gif", ".tif", ".webp", ".bmp"]),
    damage=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
    share=st.floats(0.01, 1.0),
)
def test_damage_is_read_or_refused_and_never_worse(
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    damage: list[tuple[float, int]],
    share: float,
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    data = bytearray(corpus.picture(path).read_bytes())
    for place, value in damage:
        data[int(place * len(data))] = value
    data = data[: max(1, int(share * len(data)))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            shape = read_picture(io.BytesIO(bytes(data)), Limits(pixels=10**6), 64).shape
        except BadInputError as error:
            shape = (0, 0, 0 if "\n" in str(error) else 3)
    assert shape[2] == 3


@pytest.mark.parametrize(
    ("make", "reason", "message"),
    [
        (corpus.empty, SkipReason.EMPTY, "is empty"),
        (corpus.text_named, SkipReason.CORRUPT, "is text, not a picture"),
        (handmade_pdf.pdf, SkipReason.CORRUPT, "is a PDF, not a picture"),
        (corpus.noise, SkipReason.CORRUPT, "is not a picture of a known format"),
    ],
)
def test_what_is_no_picture_is_named(
    tmp_path: Path, make: object, reason: SkipReason, message: str
) -> None:
    assert callable(make)
    assert refusal(make(tmp_path / "holiday.jpg")) == (reason, message)


def test_a_failing_disk_is_no_corrupt_picture(tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 0:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(BadInputError) as caught:
        read_picture(Failing(corpus.picture(tmp_path / "a.png").read_bytes()), Limits())
    assert caught.value.reason is SkipReason.UNREADABLE


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".avif", ".heic"])
def test_kinds_are_told_by_their_first_bytes(tmp_path: Path, suffix: str) -> None:
    head = corpus.picture(tmp_path / f"a{suffix}").read_bytes()[:64]
    assert str(kind_of(head)).endswith("picture")
    assert kind_of("猫咪".encode()[:5]) == "text"


def test_a_message_names_no_object_of_python(tmp_path: Path) -> None:
    damaged = tmp_path / "a.heic"
    damaged.write_bytes(b"\0\0\0\x18ftypheic" + bytes(400))
    with damaged.open("rb") as file, pytest.raises(BadInputError) as caught:
        read_picture(file, Limits())
    assert str(caught.value) == "is a HEIF picture whose header is damaged"

"""Plots: whole PNGs of the right rows, bins that hold everything, the worst queries in order."""

from __future__ import annotations

import io
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retrieval.errors import NotInstalledError, StoreUnreachableError
from retrieval.evaluation import plots, worst
from retrieval.evaluation.plots import draw
from retrieval.evaluation.schema import (
    Dataset,
    Evaluation,
    Item,
    Key,
    Measurement,
    Ranks,
    headline,
)
from retrieval.previews import Tile

T2I, I2T = "text to image", "image to text"
COUNT = 8
NAMES = {"recall_curve.png", "ranks.png", "worst.png"}


@dataclass(frozen=True)
class Memory:
    name: str
    data: bytes

    def read(self) -> bytes:
        if not self.data:
            raise FileNotFoundError(self.name)
        return self.data


def png(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(file, "PNG")
    return file.getvalue()


PICTURES = tuple(
    Item(f"p{n}", "image", media=Memory(f"folder/p{n}.png", png((30 * n, 90, 200))))
    for n in range(COUNT)
)
TEXTS = tuple(Item(f"t{n}", "text", f"一只猫 and $dog_{n}") for n in range(COUNT))
DATA = {
    T2I: Dataset("d", TEXTS, PICTURES, {f"t{n}": {f"p{n}": 1.0} for n in range(COUNT)}),
    I2T: Dataset("d", PICTURES, TEXTS, {f"p{n}": {f"t{n}": 1.0} for n in range(COUNT)}),
}


def row(key: Key, ranks: list[float], depth: int | None = None) -> Measurement:
    letter = "t" if key.direction == T2I else "p"
    n = len(ranks)
    first = np.array([[(at + 1) % COUNT, at, (at + 2) % COUNT, -1] for at in range(n)])
    return Measurement(
        key,
        tuple(f"{letter}{number}" for number in range(n)),
        tuple(f"p{number}" for number in range(n)),
        Ranks(np.arange(n + 1), np.array(ranks, float), np.ones(n), depth),
        {},
        first=first,
    )


RANKS = [1, 2, 7, 3, math.inf, 20, 1, 5.0]
BOTH = Evaluation(
    {}, (row(Key(T2I), RANKS, 100), row(Key(I2T, legs="fused"), RANKS, 100)), data=DATA
)


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        return image.size


def test_three_whole_pictures_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "plots"
    written = draw(BOTH, folder)
    assert {path.name for path in written} == NAMES
    assert {path.name for path in folder.iterdir()} == NAMES
    assert all(min(size_of(path)) > 300 for path in written)


def test_drawing_again_gives_the_same_pictures(tmp_path: Path) -> None:
    before = [path.read_bytes() for path in draw(BOTH, tmp_path)]
    assert [path.read_bytes() for path in draw(BOTH, tmp_path)] == before


def test_a_direction_has_a_panel(tmp_path: Path) -> None:
    one = replace(BOTH, measurements=BOTH.measurements[:1])
    for path in draw(one, tmp_path / "one")[:2]:
        assert (
            size_of(tmp_path / "one" / path.name)[0]
            < size_of({both.name: both for both in draw(BOTH, tmp_path / "both")}[path.name])[0]
        )


def test_what_there_is_nothing_for_is_left_out(tmp_path: Path) -> None:
    assert draw(Evaluation({}, ()), tmp_path) == []
    perfect = Evaluation({}, (row(Key(T2I), [1.0] * 4),), data=DATA)
    assert {path.name for path in draw(perfect, tmp_path)} == NAMES - {"worst.png"}
    assert {path.name for path in draw(replace(BOTH, data={}), tmp_path)} == NAMES - {"worst.png"}


@pytest.mark.parametrize("ranks", [[math.inf] * 3, [1.0], [200_000.0, 3.0]])
def test_odd_ranks_are_drawn(tmp_path: Path, ranks: list[float]) -> None:
    rows = (row(Key(T2I), ranks), *(row(Key(T2I, changed=f"blur:{n}"), ranks) for n in range(9)))
    assert len(draw(Evaluation({}, rows, data=DATA), tmp_path)) >= 2


def test_a_picture_that_is_gone_costs_its_tile_only(tmp_path: Path) -> None:
    gone = replace(PICTURES[4], media=Memory("gone.png", b""))
    data = replace(DATA[T2I], corpus=(*PICTURES[:4], gone, *PICTURES[5:]))
    assert draw(replace(BOTH, data={T2I: data}), tmp_path)[-1].name == "worst.png"


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NotInstalledError) as error:
        draw(BOTH, tmp_path)
    assert "pip install 'echolens[plots]'" in error.value.advice
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnreachableError, match="can't be made"):
        draw(BOTH, tmp_path / "file" / "plots")


# --- bins and labels --------------------------------------------------------------------------


@given(
    st.lists(st.one_of(st.integers(1, 300_000).map(float), st.just(math.inf)), min_size=1),
    st.one_of(st.none(), st.just(100)),
)
def test_every_query_is_in_the_bin_that_names_its_rank(
    first: list[float], depth: int | None
) -> None:
    names, shares = plots._binned(np.array(first), depth)
    assert sum(shares) == pytest.approx(100)
    for name, share in zip(names, shares, strict=True):
        plain = name.replace("\n", "").replace(",", "")
        start, _, end = plain.partition("-")
        if not plain[0].isdigit():
            held = [math.isinf(rank) for rank in first]
        elif plain.endswith("or more"):
            held = [50_000 < rank < math.inf for rank in first]
        else:
            held = [int(start) <= rank <= int(end or start) for rank in first]
        assert share == pytest.approx(100 * sum(held) / len(first))


def test_bins_go_up_as_people_count() -> None:
    names, _ = plots._binned(np.array([700.0]), None)
    few = ["1", "2", "3-5", "6-10", "11-20", "21-50", "51-100", "101-200"]
    assert names == [*few, "201-\n500", "501-\n1,000"]


@settings(max_examples=50)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=8))
def test_labels_keep_their_order_and_do_not_overlap(wanted: list[float]) -> None:
    places = plots._apart(wanted, least=5.5, top=98)
    assert max(places) <= 98
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(np.array(places)[order]) >= 5.5 - 1e-9).all()


def test_labels_with_room_stay_beside_their_lines() -> None:
    assert plots._apart([50, 20, 80], least=5.5, top=98) == [50, 20, 80]


# --- the worst --------------------------------------------------------------------------------


def test_the_rows_that_stand_for_a_direction_are_the_deployed_ones() -> None:
    keys = [
        Key(T2I, changed="grey"),
        Key(T2I, "deployed", "words"),
        Key(T2I, "deployed"),
        Key(T2I),
        Key(T2I, labels="CxC"),
        Key(I2T),
    ]
    rows = [row(key, RANKS) for key in keys]
    expected = {T2I: Key(T2I, "deployed"), I2T: Key(I2T)}
    for some in (rows, rows[::-1]):
        assert {there: one.key for there, one in headline(some).items()} == expected
    assert list(headline(rows)) == [T2I, I2T]
    assert headline([row(Key(T2I, "deployed"), []), row(Key(T2I), RANKS)])[T2I].key == Key(T2I)


def test_the_worst_come_first_one_of_each_picture() -> None:
    assert worst.worst_of(row(Key(T2I), RANKS)) == [4, 5, 2, 7, 3, 1]
    one = replace(row(Key(T2I), RANKS), clusters=("a", "a", "a", "a", "b", "b", "c", "c"))
    assert worst.worst_of(one) == [4, 2, 7]


def test_a_line_has_the_query_the_right_answer_and_what_came_first_instead() -> None:
    tiles = worst._line(BOTH.measurements[0], 4, DATA[T2I])
    assert tiles[0] == Tile(None, "", "", TEXTS[4].text, "query")
    assert [(tile.badge, tile.title) for tile in tiles[1:]] == [
        ("right answer, rank > 100", "p4.png"),
        ("1", "p5.png"),
        ("3", "p6.png"),
        ("", ""),
    ]
    back = worst._line(BOTH.measurements[1], 2, DATA[I2T])
    assert [(tile.badge, tile.text) for tile in back[1:3]] == [
        ("right answer, rank 7", TEXTS[2].text),
        ("1", TEXTS[3].text),
    ]


def test_of_several_right_answers_the_first_to_come_is_shown() -> None:
    data = replace(DATA[T2I], qrels={"t0": {"p7": 1.0, "p3": 2.0, "p5": 0.0}})
    one = replace(row(Key(T2I), [9]), ranks=Ranks(np.array([0, 2]), np.array([9, 4.0]), np.ones(2)))
    tile = worst._line(one, 0, data)[1]
    assert (tile.badge, tile.title) == ("right answer, rank 4", "p7.png")

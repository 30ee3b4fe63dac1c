"""The report: every figure has its interval, unit and row, and no text is taken for markup."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import output
from retrieval.evaluation.compare import compare
from retrieval.evaluation.gates import check, parse_gate
from retrieval.evaluation.measures import parse_measure, values_of
from retrieval.evaluation.report import Table, label, markdown, shown, tables
from retrieval.evaluation.schema import (
    Estimate,
    Evaluation,
    IndexRecall,
    Key,
    Measurement,
    Problem,
    Ranks,
    Slice,
)
from retrieval.evaluation.significance import estimates

T2I = Key("text to image")
MEASURES = {
    "r@1": Estimate(0.254, 0.235, 0.271),
    "r@5": Estimate(0.5, 0.5, 0.5),
    "medr": Estimate(14, 12, 16.5),
    "meanr": Estimate(math.inf, math.inf, math.inf),
    "ndcg@10": Estimate(0.4, 0.39, 0.42),
}


def row(key: Key = T2I, ranks: tuple[float, ...] = (1.0, 2.0), **changes: object) -> Measurement:
    n = len(ranks)
    ids = tuple(f"q{number}" for number in range(n))
    one = Measurement(
        key, ids, ids, Ranks(np.arange(n + 1), np.array(ranks), np.ones(n), 100), MEASURES
    )
    return replace(one, **changes)


def of(*rows: Measurement, **parts: object) -> Evaluation:
    return replace(Evaluation({"data": {"name": "coco", "digest": "d"}}, rows), **parts)


def table(evaluation: Evaluation, title: str, *, full: bool = False, **more: object) -> Table:
    (found,) = [one for one in tables(evaluation, full=full, **more) if title in one.title]
    return found


@pytest.mark.parametrize(
    ("estimate", "unit", "text"),
    [
        (Estimate(0.254, 0.235, 0.271), "percent", "25.4 ± 1.9"),  # the longer side
        (Estimate(0.254, 0.240, 0.273), "percent", "25.4 ± 1.9"),
        (Estimate(1, 1, 1), "percent", "100.0 ± 0.0"),
        (Estimate(1, 0.964, 1), "percent", "100.0 (≥ 96.4)"),  # ± would pass the end
        (Estimate(0, 0, 0.036), "percent", "0.0 (≤ 3.6)"),
        (Estimate(0.5, math.nan, math.nan), "percent", "50.0"),
        (Estimate(352.1, 348, 356.5), "points", "352.1 ± 4.4"),
        (Estimate(14, 12, 16.5), "rank", "14 [12, 16.5]"),
        (Estimate(1234.5, 1000, math.inf), "rank", "1,234.5 [1,000, > 5,000]"),
        (Estimate(math.inf, 90, math.inf), "rank", "> 5,000"),
        (Estimate(math.nan, math.nan, math.nan), "rank", "-"),
        (Estimate(math.nan, math.nan, math.nan), "percent", "-"),
    ],
)
def test_a_figure_with_its_interval(estimate: Estimate, unit: str, text: str) -> None:
    assert shown(estimate, unit, 5000) == text


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_what_is_shown_never_claims_more_than_the_interval(a: float, b: float, c: float) -> None:
    low, value, high = sorted((a, b, c))
    if value in (0, 1):
        return  # it has one side only
    middle, margin = map(float, shown(Estimate(value, low, high), "percent").split(" ± "))
    rounding = 0.1 + 1e-9  # half a digit of each
    assert middle - margin <= 100 * low + rounding
    assert middle + margin >= 100 * high - rounding


def test_measures_are_called_as_in_papers() -> None:
    names = ["r@10", "recall@10", "map@r", "map@5", "ndcg@10", "medr", "rprec", "mrr@10"]
    labels = ["R@10", "recall@10", "mAP@R", "mAP@5", "nDCG@10", "MedR", "R-Prec", "MRR@10"]
    assert [label(name) for name in names] == labels


def test_a_row_a_measurement_and_columns_that_say_nothing_are_left_out() -> None:
    plain = table(of(row()), "Recall")
    assert plain.head == ("direction", "way", "queries", "R@1", "R@5", "MedR")
    assert plain.rows == (("text to image", "exact", "2", "25.4 ± 1.9", "50.0 ± 0.0", "14"),)
    assert plain.right.split() == ["queries", "R@1", "R@5", "MedR"]
    deployed = replace(T2I, way="deployed")
    rows = (row(), row(deployed), row(replace(deployed, legs="words", changed="upper")))
    every = table(of(*rows), "Recall, text to image")
    assert every.head[:4] == ("way", "legs", "changed", "queries")
    assert [cells[:3] for cells in every.rows] == [
        ("exact", "-", "-"),
        ("deployed", "fused", "-"),
        ("deployed", "words", "upper"),
    ]


def test_directions_stand_in_one_table_unless_that_is_too_wide() -> None:
    back = row(Key("image to text"))
    both = [one.title for one in tables(of(row(), back)) if one.title.startswith("Recall")]
    assert both == ["Recall"]
    wide = of(row(), row(replace(T2I, changed="grey")), back)
    titles = [one.title for one in tables(wide) if one.title.startswith("Recall")]
    assert titles == ["Recall, text to image", "Recall, image to text"]


def test_the_whole_table_has_every_measure_with_its_interval() -> None:
    whole = table(of(row()), "Recall", full=True)
    assert whole.head[3:] == ("R@1", "R@5", "MedR", "MeanR", "nDCG@10")
    assert whole.rows[0][5:] == ("14 [12, 16.5]", "> 100", "40.0 ± 2.0")
    assert "MedR, MeanR" in whole.note


def test_every_measure_that_was_chosen_is_shown_where_there_is_room() -> None:
    chosen = {name: Estimate(0.5, 0.5, 0.5) for name in ("r@1", "r@30", "mrr")}
    assert table(of(row(measures=chosen)), "Recall").head[3:] == ("R@1", "R@30", "MRR")


def test_a_figure_that_nobody_looked_deep_enough_for_is_not_shown() -> None:
    shallow = row(replace(T2I, way="deployed")).ranks  # 100 deep
    names = list(map(parse_measure, ("r@1", "r@100", "r@101", "mrr")))
    found = estimates(values_of(names, shallow), ("q0", "q1"))
    shown_ = table(of(row(ranks=(1.0, 2.0), measures=found)), "Recall")
    assert shown_.rows[0][3:6] == ("50.0 ± 50.0", "100.0 (≥ 15.8)", "-")
    assert shown_.note.endswith(
        " Where a search ends at 100, a deeper answer counts as none in MRR."
    )


def test_a_measure_that_one_row_lacks_is_no_zero() -> None:
    other = row(replace(T2I, labels="CxC"), measures={"r@1": Estimate(0.1, 0.1, 0.1)})
    assert table(of(row(), other), "Recall").rows[1][-2:] == ("-", "-")


def test_slices_have_a_table_a_field_for_the_plain_rows() -> None:
    parts = (Slice("language", "zh", 1, MEASURES), Slice("words", "1-5", 2, MEASURES))
    changed = row(replace(T2I, changed="grey"), slices=parts)
    evaluation = of(row(slices=parts), changed)
    titles = [one.title for one in tables(evaluation) if ": by" in one.title]
    assert titles == ["text to image, exact: by language", "text to image, exact: by words"]
    assert table(of(row(slices=parts)), "by language").rows == (
        ("zh", "1", "25.4 ± 1.9", "50.0 ± 0.0", "14"),
    )


def test_rsum_index_recall_and_problems_have_their_tables() -> None:
    recall = IndexRecall("starter/image", 1000, {10: Estimate(0.95, 0.94, 0.96)})
    other = IndexRecall("starter/text", 5, {1: Estimate(1, 1, 1)})
    problems = (
        Problem("images missing", 3, ("a", "b")),
        Problem("ids given twice", 1, ("c",)),
        Problem("empty captions", 7),
    )
    rsum = {Key("both"): Estimate(352.1, 350, 354)}
    evaluation = of(row(), rsum=rsum, index_recall=(recall, other), problems=problems)
    assert table(evaluation, "RSUM").rows == (("both", "exact", "352.1 ± 2.1"),)
    assert table(evaluation, "Index").head == ("channel", "queries", "nearest-1", "nearest-10")
    assert table(evaluation, "Index").rows[0] == ("starter/image", "1,000", "-", "95.0 ± 1.0")
    assert table(evaluation, "Problems").rows == (
        ("3", "images missing", "a, b, ..."),
        ("1", "ids given twice", "c"),
        ("7", "empty captions", ""),
    )
    assert list(map(str, problems)) == [
        "3 images missing (a, b, ...)",
        "1 ids given twice (c)",
        "7 empty captions",
    ]
    assert [one.title for one in tables(of(row()))] == ["Recall"]


def test_the_comparison_says_what_changed_and_names_the_worst() -> None:
    before, now = of(row(ranks=(1.0,) * 60)), of(row(ranks=(math.inf, *(9.0,) * 59)))
    comparison = compare(now, before)
    baseline = table(now, "baseline", comparison=comparison)
    assert baseline.rows[0][2:] == ("R@1", "60", "100.0", "0.0", "-100.0 ± 0.0", "< 0.001", "worse")
    assert baseline.rows[1][-1] == "no difference shown"
    worse = table(now, "queries that got worse", comparison=comparison)
    assert worse.title.endswith("the first 10 of 60")
    assert worse.rows[0] == ("1", "not found", "q0")
    assert len(table(now, "got worse", full=True, comparison=comparison).rows) == 50
    (same,) = [one for one in tables(before, compare(before, before)) if "baseline" in one.title]
    assert same.rows[0][6] == "+0.0 ± 0.0"


def test_gates_say_what_was_required_and_what_was_found() -> None:
    gates = [parse_gate(text) for text in ("r@1>=20%", "medr<=3", "i2t:r@1>=0")]
    verdicts = check(gates, of(row()))
    assert table(of(row()), "Gates", verdicts=verdicts).rows == (
        ("met", "r@1>=20%", "text to image, exact", "25.40 %"),
        ("not met", "medr<=3", "text to image, exact", "14"),
        (
            "not met",
            "i2t:r@1>=0",
            "There is no r@1 of image to text; measured: text to image.",
            "-",
        ),
    )


def test_a_terminal_of_eighty_columns_has_room_for_both_directions_and_ways() -> None:
    measures = {name: Estimate(0.254, 0.2, 0.3) for name in ("r@1", "r@5", "r@10")}
    measures["medr"] = Estimate(1234.5, 1, 2000)
    one = table(of(row(replace(T2I, way="deployed"), measures=measures)), "Recall")
    widths = [max(map(output.width, column)) for column in zip(one.head, *one.rows, strict=True)]
    assert sum(widths) + len(output.GAP) * (len(widths) - 1) <= 80


# --- Markdown ---------------------------------------------------------------------------------


def cells_of(line: str) -> list[str]:
    """A row as GitHub reads it: split at bars that aren't escaped, escapes taken away."""
    inner = line.removeprefix("| ").removesuffix(" |")
    return [re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell) for cell in re.split(r" (?<!\\)\| ", inner)]


def test_the_page_holds_everything() -> None:
    parts = (Slice("language", "zh", 1, MEASURES),)
    evaluation = of(
        row(slices=parts),
        problems=(Problem("images missing", 2),),
        index_recall=(IndexRecall("starter/image", 9, {1: Estimate(1, 1, 1)}),),
        rsum={Key("both"): Estimate(352.1, 350, 354)},
        notes=("Pictures alone were searchable.",),
    )
    verdicts = check([parse_gate("r@1>=0.1")], evaluation)
    page = markdown(evaluation, compare(evaluation, evaluation), verdicts, ["plots/ranks.png"])
    assert page.startswith(
        "# Recall on coco\n\n- Pictures alone were searchable.\n\n## Recall\n\n|"
    )
    assert "![ranks.png](<plots/ranks.png>)" in page
    for title in ("RSUM", "Index recall", "Against the baseline", "Gates", "Run card"):
        assert f"\n\n## {title}\n\n| " in page
    assert "| data | digest | d |" in page
    assert page.endswith("\n")
    assert "\n\n\n" not in page


def test_the_rule_under_the_head_sets_figures_to_the_right() -> None:
    rule = markdown(of(row())).splitlines()[5]
    assert rule == "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"


@given(st.text(min_size=1), st.text(min_size=1))
def test_texts_of_the_data_stay_cells(text: str, other: str) -> None:
    evaluation = of(row(), problems=(Problem(text, 1, (other,)),))
    lines = markdown(evaluation).split("\n")
    line = lines[lines.index("## Problems of the data") + 4]
    one = table(evaluation, "Problems")
    assert cells_of(line) == list(one.rows[0])
    assert not re.search(r"(?<!\\)[`*_<>~$]", line.replace("\\\\", ""))


def test_a_control_character_or_a_newline_breaks_no_row() -> None:
    evaluation = of(row(), problems=(Problem("a\n| b |\x1b[31m", 1, ("<script>",)),))
    page = markdown(evaluation)
    assert "| 1 | a\\\\n\\| b \\|\\\\x1b\\[31m | \\<script\\> |" in page
    assert "\x1b" not in page

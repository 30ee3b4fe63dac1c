"""``echolens evaluate``: the real command on data sets made by code, on files and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cli.errors import ExitCode
from tests.datasets_here import COCO_MINI, needs_coco_mini
from tests.end_to_end.command import run, without_privileges
from tests.retrieval.evaluation.sets import coco_set

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """Eight pictures with five captions, in COCO's layout."""
    return coco_set(tmp_path / "coco", pictures=8)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def evaluate(home: Path, *arguments: str | Path, **settings: str) -> Done:
    return run(["evaluate", *arguments], home, settings={"ECHOLENS_ENCODER": "hash:", **settings})


def alone(home: Path, captions: Path, *arguments: str | Path) -> Done:
    return evaluate(home, captions, "--encoder", "hash:", *arguments)


@pytest.fixture
def indexed(captions: Path, home: Path) -> Path:
    done = run(["index", "--captions", captions, "--encoder", "hash:"], home)
    assert done.returncode == ExitCode.DONE, done.stderr
    return captions


def saved(path: Path) -> dict[str, Any]:
    held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return held


def test_an_encoder_by_itself(home: Path, captions: Path) -> None:
    done = alone(home, captions)

    assert done.returncode == ExitCode.DONE, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[:5] for row in rows if row[:2] in (["text", "to"], ["image", "to"])] == [
        ["text", "to", "image", "exact", "40"],
        ["image", "to", "text", "exact", "8"],
    ]
    assert "RSUM" in done.stdout


def test_without_a_collection_the_encoder_of_the_settings_is_measured(
    home: Path, captions: Path
) -> None:
    done = evaluate(home, captions)

    assert done.returncode == ExitCode.DONE, done.stderr
    assert "there is no collection, so the encoder hash: is measured by itself" in done.stderr
    assert "deployed" not in done.stdout


def test_through_a_collection_both_ways_stand_side_by_side(home: Path, indexed: Path) -> None:
    done = evaluate(home, indexed)

    assert done.returncode == ExitCode.DONE, done.stderr
    ways = [line.split()[3] for line in done.stdout.splitlines() if " to " in line]
    assert ways[:4] == ["exact", "deployed"] * 2
    assert "test-hash-32/image by text" in done.stdout
    only_exact = evaluate(home, indexed, "--exact")
    assert "deployed" not in only_exact.stdout


def test_a_collection_by_itself(home: Path, indexed: Path) -> None:
    done = evaluate(home)

    assert done.returncode == ExitCode.DONE, done.stderr
    assert "image to image" in done.stdout
    assert "text to image" in done.stdout
    assert "jpeg:30" in done.stdout


def test_a_collection_that_is_not_there(home: Path) -> None:
    done = evaluate(home)

    assert done.returncode == ExitCode.MISSING
    assert "There is no collection" in done.stderr


def test_what_the_data_lacks_is_counted_and_ends_with_3(home: Path, captions: Path) -> None:
    (captions.parent.parent / "val2017" / f"{3:012}.jpg").unlink()

    done = alone(home, captions)

    assert done.returncode == ExitCode.PARTLY
    assert "images missing" in done.stdout
    assert "captions without an image" in done.stdout


@pytest.mark.parametrize(
    ("gate", "code"),
    [
        ("r@10>=1%", ExitCode.DONE),
        ("t2i:r@1>=100%", ExitCode.NO),
        ("medr<=0.5", ExitCode.NO),
        ("r@1", ExitCode.USAGE),
        ("nothing@3>=1", ExitCode.USAGE),
    ],
)
def test_a_gate(home: Path, captions: Path, gate: str, code: ExitCode) -> None:
    done = alone(home, captions, "--require", gate)

    assert done.returncode == code, done.stderr
    assert ("gate not met" in done.stderr) == (code == ExitCode.NO)


def test_json_is_everything_and_compares_with_itself(home: Path, captions: Path) -> None:
    file = captions.parent / "before.json"
    alone(home, captions, "--json", file)

    done = alone(home, captions, "--baseline", file)

    assert done.returncode == ExitCode.DONE, done.stderr
    assert "no difference shown" in done.stdout
    held = saved(file)
    assert held["card"]["encoder"]["encoder"] == "hash:"
    assert held["card"]["command"]["line"].startswith("echolens evaluate ")
    assert len(held["card"]["data"]["digest"]) == 64
    assert {"machine", "versions", "protocol"} <= held["card"].keys()


def test_a_baseline_tells_which_queries_got_worse(home: Path, captions: Path) -> None:
    before = captions.parent / "before.json"
    alone(home, captions, "--json", before)
    held = saved(before)
    for ranks in held["measurements"][0]["ranks"]:
        ranks[0] = 1
    before.write_text(json.dumps(held))

    done = alone(home, captions, "--baseline", before)

    assert "queries that got worse" in done.stdout


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', "no JSON"])
def test_a_baseline_that_is_none_is_refused_before_anything_is_encoded(
    home: Path, captions: Path, content: str
) -> None:
    broken = captions.parent / "broken.json"
    broken.write_text(content)

    done = alone(home, captions, "--baseline", broken)

    assert done.returncode == ExitCode.USAGE
    assert not (home / ".embeddings").exists()


def test_a_newer_baseline_is_refused(home: Path, captions: Path) -> None:
    newer = captions.parent / "newer.json"
    newer.write_text('{"format": 99}')

    assert alone(home, captions, "--baseline", newer).returncode == ExitCode.MISFIT


def test_a_baseline_of_other_data_costs_the_comparison_alone(
    home: Path, captions: Path, tmp_path: Path
) -> None:
    other = coco_set(tmp_path / "other", pictures=3)
    before, now, page = (tmp_path / name for name in ("before.json", "now.json", "now.md"))
    alone(home, other, "--json", before)

    done = alone(
        home, captions, "--baseline", before, "--json", now, "--markdown", page,
        "--plots", tmp_path / "plots", "--require", "r@1>=1",
    )  # fmt: skip

    assert done.returncode == ExitCode.USAGE
    assert "measured on other data" in done.stderr
    assert saved(now)["measurements"]
    assert "text to image" in done.stdout
    assert "text to image" in page.read_text(encoding="utf-8")
    assert (tmp_path / "plots" / "ranks.png").is_file()
    assert "gate not met" in done.stderr


@pytest.mark.parametrize("option", ["plots", "json", "markdown"])
def test_what_cannot_be_written_is_found_before_anything_is_encoded(
    home: Path, captions: Path, tmp_path: Path, option: str
) -> None:
    (tmp_path / "file").write_text("no folder")
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o555)
    for place in ("file/x", "shut/x"):
        done = run(
            ["evaluate", captions, "--encoder", "hash:", f"--{option}", tmp_path / place],
            home,
            before=without_privileges,
        )
        assert done.returncode in (ExitCode.USAGE, ExitCode.MISSING), done.stderr
        assert len(done.stderr.splitlines()) <= 3
    assert not (home / ".embeddings").exists()


def test_a_filter_and_a_slice_that_mean_nothing_are_found_before_anything_is_encoded(
    home: Path, indexed: Path
) -> None:
    for wrong in (["--where", "colour = 1"], ["--where", "coco_id >"], ["--slice", "colour"]):
        for data in ([indexed], []):
            done = evaluate(home, *data, *wrong)
            assert done.returncode == ExitCode.USAGE, done.stderr
    assert not (home / ".embeddings").exists()


def test_markdown_and_plots(home: Path, captions: Path, tmp_path: Path) -> None:
    page, plots = tmp_path / "report.md", tmp_path / "plots"

    done = alone(home, captions, "--markdown", page, "--plots", plots)

    assert done.returncode == ExitCode.DONE, done.stderr
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Recall on ")
    assert "## Run card" in text
    assert "](<plots/recall_curve.png>)" in text
    for name in ("recall_curve", "ranks", "worst"):
        with Image.open(plots / f"{name}.png") as image:
            assert min(image.size) > 200


@pytest.mark.parametrize("form", ["json", "markdown"])
def test_one_of_them_may_go_to_stdout(home: Path, captions: Path, form: str) -> None:
    done = alone(home, captions, f"--{form}", "-")

    assert done.returncode == ExitCode.DONE
    assert json.loads(done.stdout) if form == "json" else done.stdout.startswith("# Recall")


def test_a_second_run_encodes_nothing(home: Path, captions: Path) -> None:
    first = alone(home, captions, "--json", "-")
    again = run(
        ["evaluate", captions, "--encoder", "hash:tires=1", "--json", "-"],
        home,
    )

    assert json.loads(again.stdout)["measurements"] == json.loads(first.stdout)["measurements"]


def test_a_picture_that_is_too_large_is_not_read(home: Path, captions: Path) -> None:
    large = captions.parent.parent / "val2017" / f"{3:012}.jpg"
    with large.open("ab") as file:
        file.truncate(2**20 + 1)

    done = alone(home, captions)
    assert done.returncode == ExitCode.DONE, "a JPEG may have something behind it"

    done = evaluate(home, captions, "--encoder", "hash:", "-q", ECHOLENS_MAX_FILE_MB="1")
    assert done.returncode == ExitCode.PARTLY
    assert "images that can't be read" in done.stdout
    assert large.name in done.stdout


def test_what_degrades_answers_is_told_with_quiet_too(home: Path, captions: Path) -> None:
    pictures = captions.parent.parent / "val2017"
    few = [pictures / f"{number:012}.jpg" for number in range(1, 8)]
    run(["index", *few, "--encoder", "hash:"], home)

    done = evaluate(home, captions, "-q")

    assert done.returncode == ExitCode.PARTLY
    assert "lacks 1 of 8 images of the data" in done.stderr
    assert evaluate(home, captions, "-q", "--exact").stderr == ""


def test_a_collection_that_was_named_and_holds_nothing_of_the_data_is_no_success(
    home: Path, captions: Path, tmp_path: Path
) -> None:
    other = coco_set(tmp_path / "other", pictures=9).parent.parent / "val2017" / f"{9:012}.jpg"
    for named in ([], ["-c", "other"]):
        run(["index", other, "--encoder", "hash:", *named], home)

    by_chance = evaluate(home, captions)
    assert by_chance.returncode == ExitCode.DONE
    assert "holds none of the 8 images of the data" in by_chance.stderr
    for asked in (["-c", "other"], ["--depth", "20"], ["--held-in", "1"]):
        done = evaluate(home, captions, *asked, "-q")
        assert done.returncode == ExitCode.PARTLY
        assert "holds none of the 8 images of the data" in done.stderr


def test_a_tilde_is_the_users_home(home: Path, tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("q1 0 a 1\n")
    (tmp_path / "r.txt").write_text("q1 Q0 a 1 0.9 rival\n")

    done = evaluate(home, "trec:~/q.txt", "--run", "~/r.txt", "--json", "~/x.json",
                    HOME=str(tmp_path))  # fmt: skip

    assert done.returncode == ExitCode.DONE, done.stderr
    assert saved(tmp_path / "x.json")["measurements"][0]["measures"]["r@1"]["value"] == 1


def test_a_run_of_another_engine(home: Path, tmp_path: Path) -> None:
    qrels, found = tmp_path / "qrels.txt", tmp_path / "run.txt"
    qrels.write_text("q1 0 a 1\nq1 0 b 0\nq2 0 c 1\nq3 0 a 1\n")
    found.write_text("q1 Q0 b 1 0.9 rival\nq1 Q0 a 2 0.8 rival\nq2 Q0 c 1 0.5 rival\n")

    done = evaluate(home, f"trec:{qrels}", "--run", found, "--json", "-")

    assert done.returncode == ExitCode.PARTLY, "a judged query without results is told"
    held = json.loads(done.stdout)
    (row,) = held["measurements"]
    assert row["measures"]["r@1"]["value"] == pytest.approx(1 / 3)
    assert row["measures"]["mrr"]["value"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert [problem["what"] for problem in held["problems"]] == ["judged queries without results"]


def test_a_rival_on_a_data_set(home: Path, captions: Path, tmp_path: Path) -> None:
    found = tmp_path / "run.txt"
    lines = [f"{n * 100 + c} Q0 {n} 1 1.0 rival" for n in range(1, 9) for c in range(5)]
    found.write_text("\n".join(lines) + "\n")

    done = evaluate(home, captions, "--run", found)

    assert done.returncode == ExitCode.DONE, done.stderr
    assert "text to image" in done.stdout
    assert "100.0" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--run", "run.txt"],
        ["no-such-file.json"],
        ["coco:no-such-file.json"],
        ["--images", "somewhere"],
        ["{captions}", "--encoder", "hash:", "--where", "year > 1"],
        ["{captions}", "--encoder", "hash:", "-c", "photos"],
        ["{captions}", "--encoder", "hash:", "--perturb", "sneeze:3"],
        ["{captions}", "--encoder", "hash:", "--measure", "luck@3"],
        ["{captions}", "--encoder", "hash:", "--split", "nowhere"],
        ["{captions}", "--encoder", "hash:", "--json", "-", "--markdown", "-"],
        ["{captions}", "--encoder", "hash:", "--json", "no/such/folder/x.json"],
        ["{captions}", "--encoder", "nonsense:"],
        ["{captions}", "--encoder", "hash:", "--folds", "99"],
        ["--folds", "5"],
        ["trec:qrels.txt"],
    ],
)
def test_what_is_used_wrongly(home: Path, captions: Path, arguments: list[str]) -> None:
    done = evaluate(home, *(part.format(captions=captions) for part in arguments))

    assert done.returncode == ExitCode.USAGE, done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) <= 3


def test_an_encoder_that_gives_nonsense(home: Path, captions: Path) -> None:
    done = evaluate(home, captions, "--encoder", "hash:constant")

    assert done.returncode == ExitCode.MISFIT


@needs_coco_mini
def test_coco_mini_as_somebody_with_the_real_files_would_type_it(home: Path) -> None:
    captions, images = COCO_MINI / "captions.json", COCO_MINI / "images"

    done = run(
        ["evaluate", captions, "--images", images, "--encoder", "starter:", "--json", "-"], home
    )

    assert done.returncode == ExitCode.DONE, done.stderr
    forth, back = json.loads(done.stdout)["measurements"]
    assert forth["measures"]["r@1"]["value"] == pytest.approx(0.370, abs=0.02)
    assert back["measures"]["r@10"]["value"] == pytest.approx(0.822, abs=0.03)


def test_a_collection_by_itself_draws_its_pictures_too(
    home: Path, indexed: Path, tmp_path: Path
) -> None:
    done = evaluate(home, "--plots", tmp_path / "plots")

    assert done.returncode == ExitCode.DONE, done.stderr
    assert (tmp_path / "plots" / "worst.png").is_file()


def test_a_link_and_a_pipe_stay_what_they_are(home: Path, captions: Path, tmp_path: Path) -> None:
    target, link, pipe = (tmp_path / name for name in ("target.json", "link.json", "pipe"))
    target.write_text("")
    link.symlink_to(target)
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(pipe.read_text)
        done = alone(home, captions, "--json", link, "--markdown", pipe)
        page = reading.result(30)

    assert done.returncode == ExitCode.DONE, done.stderr
    assert link.is_symlink()
    assert saved(target)["format"] == 1
    assert page.startswith("# Recall")


def test_two_reports_do_not_overwrite_each_other(home: Path, captions: Path) -> None:
    done = alone(home, captions, "--json", "one", "--markdown", "one")

    assert done.returncode == ExitCode.USAGE
    assert "can't go to one place" in done.stderr

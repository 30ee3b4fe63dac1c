"""``echolens index``: what a person gives, and what the last line says of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cli.errors import ExitCode
from cli.main import run
from indexer import registry
from indexer.schema import Source
from retrieval import open_collection
from tests import corpus

from .conftest import Echolens


def _said(indexed: int, unchanged: int = 0, duplicates: int = 0, skipped: int = 0) -> list[str]:
    total = indexed + unchanged + duplicates + skipped
    return [
        f"indexed {indexed}, unchanged {unchanged}, duplicates {duplicates}, "
        f"skipped {skipped} = {total}"
    ]


def test_the_last_line_accounts_for_every_file(photos: Path, echolens: Echolens) -> None:
    (photos / "song.mid").write_bytes(b"x")

    first, second = echolens("index", photos), echolens("index", photos)

    assert first.code == second.code == ExitCode.DONE
    assert first.lines == _said(3, skipped=1)
    assert "1 unsupported" in first.err
    assert second.lines == _said(0, unchanged=3, skipped=1)


def test_the_first_run_says_which_encoder_was_taken_and_why(
    photos: Path, echolens: Echolens
) -> None:
    first = echolens("index", photos)
    second = echolens("index", photos)

    assert first.err.splitlines()[0] == "encoder: hash: on cpu, fp32 (from your settings)"
    assert "encoder: hash: on cpu, fp32\n" in second.err


def test_captions_that_are_not_read_to_their_end_are_counted(
    photos: Path, echolens: Echolens
) -> None:
    corpus.text(photos / "red.txt", "A long caption of a red car in front of a house")
    done = echolens("index", photos, "--encoder", "hash:reads=20")
    assert "warning: 1 text is longer than the encoder reads" in done.err
    assert "longer than" not in echolens("index", photos, "--encoder", "hash:reads=20").err


def test_the_options_say_what_the_encoder_computes_with(photos: Path, echolens: Echolens) -> None:
    done = echolens("index", photos, "--encoder", "starter:", "--precision", "bf16")
    assert done.code == ExitCode.USAGE
    assert "not on auto, bf16" in done.err


def test_a_named_encoder_is_said_to_be_named(photos: Path, echolens: Echolens) -> None:
    assert "(named by --encoder)" in echolens("index", photos, "--encoder", "hash:").err


def test_the_starter_is_the_default(photos: Path, echolens: Echolens) -> None:
    done = echolens("index", photos, ECHOLENS_ENCODER="starter:")

    assert done.err.startswith("encoder: starter: on cpu, ")
    assert "(the default" in done.err
    assert "echolens encoders" in done.err


def test_another_encoder_for_an_old_collection_is_refused(photos: Path, echolens: Echolens) -> None:
    echolens("index", photos)

    done = echolens("index", photos, "--encoder", "hash:weights=2")

    assert done.code == ExitCode.USAGE
    assert "has encoder `hash:`, not the one given" in done.err


def test_an_encoder_that_nobody_knows(photos: Path, tmp_path: Path, echolens: Echolens) -> None:
    done = echolens("index", photos, "--encoder", "startre:")

    assert done.code == ExitCode.USAGE
    assert "starter:" in done.err
    assert not (tmp_path / "collection" / "manifest.json").exists()


def test_a_bad_file_costs_itself_only(photos: Path, echolens: Echolens) -> None:
    corpus.text_named(photos / "lie.jpg")

    done = echolens("index", photos)

    assert done.code == ExitCode.PARTLY
    assert done.lines == _said(3, skipped=1)
    assert "1 corrupt; `echolens failures` lists them" in done.err


def test_a_dry_run_writes_nothing(photos: Path, tmp_path: Path, echolens: Echolens) -> None:
    done = echolens("index", photos, "--dry-run")

    assert done.code == ExitCode.DONE
    assert done.lines == [
        "dry run: would read 3, unchanged 0, duplicates 0, skipped 0 = 3; contents are not read"
    ]
    assert not (tmp_path / "collection").exists()


@pytest.mark.parametrize(("end", "option"), [(b"\n", []), (b"\0", ["-0"])])
def test_paths_on_stdin(end: bytes, option: list[str], photos: Path, echolens: Echolens) -> None:
    listed = [os.fsencode(photos / "red.png"), os.fsencode(photos / "gone.png")]

    done = echolens("index", *option, "-", stdin=end.join(listed) + end)

    assert done.code == ExitCode.PARTLY
    assert done.lines == _said(1, skipped=1)
    assert "1 disappeared" in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_in_no_encoding_goes_in_by_stdin_and_comes_out_byte_by_byte(
    photos: Path, echolens: Echolens
) -> None:
    name = os.fsencode(photos) + b"/a\xff\n'\"b.png"
    os.rename(photos / "red.png", name)

    assert echolens("index", "-0", "-", stdin=name).lines == _said(1)
    found = echolens("search", "red", "--format", "paths", "-0")

    assert found.out == name + b"\0"


def test_exclude_and_restore(photos: Path, echolens: Echolens) -> None:
    assert echolens("index", photos, "--exclude", "red*").lines == _said(2)
    assert echolens("remove", photos / "green.png").code == ExitCode.DONE
    assert echolens("index", photos, "--exclude", "red*").lines == _said(0, 1, skipped=1)

    restored = echolens("index", photos, "--restore")

    assert restored.lines == _said(2, unchanged=1)


def test_nothing_given_is_used_wrongly(echolens: Echolens) -> None:
    done = echolens("index")

    assert done.code == ExitCode.USAGE
    assert "folder" in done.err


def test_retry_needs_no_paths(photos: Path, echolens: Echolens) -> None:
    bad = corpus.text_named(photos / "lie.png")
    echolens("index", photos)
    corpus.picture(bad)

    done = echolens("index", "--retry")

    assert done.code == ExitCode.DONE
    assert done.lines == _said(1)


def test_coco_captions(photos: Path, tmp_path: Path, echolens: Echolens) -> None:
    import json

    captions = tmp_path / "captions.json"
    captions.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "red.png"}],
                "annotations": [{"image_id": 1, "id": 1, "caption": "a lighthouse"}],
            }
        )
    )

    done = echolens("index", "--captions", str(captions), "--images", str(photos))

    assert done.lines == _said(1)
    assert echolens("search", "lighthouse", "-k", "1", "--format", "paths").out == (
        os.fsencode(photos / "red.png") + b"\n"
    )


def test_one_split_of_a_table_of_captions(photos: Path, tmp_path: Path, echolens: Echolens) -> None:
    captions = tmp_path / "captions.tsv"
    captions.write_text("image\tsplit\tcaption\nred.png\tdev\ta boat\nblue.png\ttest\ta sea\n")
    given = ["--captions", f"table:{captions}", "--images", str(photos)]

    assert echolens("index", *given, "--split", "dev").lines == _said(1)
    assert echolens("index", *given).lines == _said(1, unchanged=1)


@pytest.mark.parametrize(
    "slip", [["nowhere.tsv"], ["captions.tsv", "--split", "dve"], ["captions.tsv", "--images", "x"]]
)
def test_captions_that_cannot_be_used_make_no_collection(
    slip: list[str], photos: Path, tmp_path: Path, echolens: Echolens
) -> None:
    table = photos / "captions.tsv"
    table.write_text("image\tsplit\tcaption\nred.png\tdev\ta boat\n")

    done = echolens("index", "--captions", str(photos / slip[0]), *slip[1:])

    assert done.code == ExitCode.USAGE
    assert echolens("status").code == ExitCode.MISSING


def test_a_data_set_is_read_once(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read before a collection is made, and what was read is what is indexed."""
    (photos / "captions.tsv").write_text("image\tcaption\nred.png\ta boat\n")
    for name, value in {"ENCODER": "hash:", "WORKERS": "1"}.items():
        monkeypatch.setenv(f"ECHOLENS_{name}", value)
    read: list[str] = []
    reader = registry.open_captions

    def counted(captions: str, **options: Any) -> Source:
        read.append(captions)
        return reader(captions, **options)

    monkeypatch.setattr(registry, "open_captions", counted)
    arguments = ["index", "--captions", str(photos / "captions.tsv"), "-c", str(tmp_path / "new")]
    for _ in ("a new collection", "a known one"):
        assert run(arguments) == ExitCode.DONE
        assert len(read) == 1
        read.clear()
    with open_collection(tmp_path / "new") as collection:
        assert collection.search("boat", k=1)[0].paths == (str(photos / "red.png"),)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_how_to_go_on_and_goes_on(
    number: signal.Signals, tmp_path: Path, echolens: Echolens
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for seed in range(200):
        corpus.picture(folder / f"{seed}.png", seed=seed)
    echolens("index", folder / "0.png", "--encoder", "hash:slow=0.2")
    program = [sys.executable, "-m", "cli.main", "-c", str(tmp_path / "collection")]

    process = subprocess.Popen(
        [*program, "index", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell's background job ignores SIGINT; it is still to be stopped by SIGTERM.
        preexec_fn=lambda: signal.signal(  # noqa: PLW1509
            signal.SIGINT, signal.SIG_DFL if number == signal.SIGINT else signal.SIG_IGN
        ),
    )
    _wait_until_written(tmp_path / "collection" / "ledger.sqlite")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)

    assert process.returncode == ExitCode.INTERRUPTED, err
    assert b"Traceback" not in err
    assert b"run the same command again to go on" in err
    assert out.startswith(b"indexed ")
    assert echolens("index", folder).code == ExitCode.DONE
    assert echolens("index", folder).lines == _said(0, unchanged=200)


def _wait_until_written(ledger: Path) -> None:
    """Wait for the first batch of the run, which grows the ledger's log."""
    log = ledger.with_name(ledger.name + "-wal")
    deadline_s = time.monotonic() + 60
    while not (log.exists() and log.stat().st_size > 0):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.mark.parametrize("command", [["index"], ["index", "--dry-run"]])
def test_a_slip_of_the_pen_makes_no_collection(
    command: list[str], tmp_path: Path, echolens: Echolens
) -> None:
    done = echolens(*command, tmp_path / "nosuch")

    assert done.code == ExitCode.MISSING
    assert f"{tmp_path / 'nosuch'}: no such file or folder" in done.err
    assert "encoder:" not in done.err
    assert not (tmp_path / "collection").exists()


def test_a_slip_beside_a_folder_is_named(photos: Path, tmp_path: Path, echolens: Echolens) -> None:
    done = echolens("index", photos, tmp_path / "nosuch")

    assert done.code == ExitCode.PARTLY
    assert f"{tmp_path / 'nosuch'}: no such file or folder" in done.err
    assert "lists them" not in done.err


def test_retry_takes_no_captions(photos: Path, tmp_path: Path, echolens: Echolens) -> None:
    given = tmp_path / "captions.tsv"
    given.write_text("image\tcaption\nred.png\ta boat\n")
    echolens("index", photos)

    for options in (["--captions", str(given)], ["--split", "dev"]):
        done = echolens("index", "--retry", *options)
        assert done.code == ExitCode.USAGE, done.err
        assert options[0] in done.err


def test_retry_of_nothing_makes_no_collection(tmp_path: Path, echolens: Echolens) -> None:
    done = echolens("index", "--retry")

    assert done.code == ExitCode.MISSING
    assert not (tmp_path / "collection").exists()


def test_every_skipped_file_can_be_listed(photos: Path, echolens: Echolens) -> None:
    (photos / "song.mid").write_bytes(b"x")
    corpus.text(photos / "blank.md", " ")
    echolens("index", photos)
    echolens("remove", photos / "red.png")

    done = echolens("index", photos)
    listed = echolens("failures", "--all", "--format", "jsonl").records

    assert "`echolens failures --all` lists them" in done.err
    assert {record["reason"] for record in listed} == {"unsupported", "no_content", "removed"}
    assert echolens("failures").out == b""


def test_a_dry_run_lists_what_it_would_read(photos: Path, echolens: Echolens) -> None:
    done = echolens("index", photos, "--dry-run", "-v")

    assert f"would read {photos / 'red.png'}" in done.err.splitlines()
    assert done.err.count("would read") == 3

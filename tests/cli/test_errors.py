"""Every error has an exit code and at most three lines; the user never meets a stack trace."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import click
import pytest

from cli.errors import ExitCode, explain
from retrieval import errors
from retrieval.schema import SkipReason

from .conftest import Echolens

ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.EcholensError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_of_the_library_has_a_code_of_its_own_kind(kind: Any) -> None:
    if kind is errors.BadInputError:
        error = kind(SkipReason.CORRUPT, "it is cut short")
    else:
        error = kind("it is gone.", advice="Bring it back.")
    wanted = {
        errors.UsageError: ExitCode.USAGE,
        errors.BadInputError: ExitCode.USAGE,
        errors.MissingPartError: ExitCode.MISSING,
        errors.CollectionError: ExitCode.MISFIT,
        errors.EcholensError: ExitCode.BUG,
    }
    expected = next(code for base, code in wanted.items() if issubclass(kind, base))

    explanation = explain(error)

    assert explanation.code == expected
    assert str(error) in str(explanation)
    assert getattr(error, "advice", "") in str(explanation)


def test_an_outside_packages_own_error_is_of_the_kind_it_derives_from() -> None:
    class TapeNotMounted(errors.StoreUnreachableError):
        pass

    assert explain(TapeNotMounted("the tape is away.")).code == ExitCode.MISSING


def test_a_message_is_one_line_whatever_is_in_it() -> None:
    hostile = "a\nb\x1b[31mc\udcff"

    text = str(explain(errors.UsageError(hostile, advice=hostile)))

    assert text == "error: a b\\x1b[31mc\\udcff\n next: a b\\x1b[31mc\\udcff"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), ExitCode.MISSING),
        (ModuleNotFoundError("No module named 'numpy'", name="numpy"), ExitCode.MISSING),
        (MemoryError(), ExitCode.MISSING),
        (click.UsageError("no"), ExitCode.USAGE),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (click.Abort(), ExitCode.INTERRUPTED),
        (TypeError("x"), ExitCode.BUG),
    ],
)
def test_other_errors_have_a_code(error: BaseException, code: ExitCode) -> None:
    explanation = explain(error)

    assert explanation.code == code
    assert len(str(explanation).splitlines()) <= 3


def test_a_system_error_names_its_file() -> None:
    assert "/a/b" in explain(OSError(errno.EACCES, "Permission denied", "/a/b")).what


def test_a_fault_of_echolens_asks_for_debug() -> None:
    assert "--debug" in explain(AssertionError("odd")).next


def test_an_unknown_command_names_a_near_one(echolens: Echolens) -> None:
    done = echolens("serach", "cat")

    assert done.code == ExitCode.USAGE
    assert "`search`" in done.err


def test_an_unknown_option_says_how_the_command_is_used(echolens: Echolens) -> None:
    done = echolens("search", "--colour", "red")

    assert done.code == ExitCode.USAGE
    assert "echolens search --help" in done.err


def test_debug_adds_the_trace(echolens: Echolens) -> None:
    assert "Traceback" in echolens("status", "--debug").err


def test_no_collection_is_something_missing(echolens: Echolens) -> None:
    done = echolens("search", "cat")

    assert done.code == ExitCode.MISSING
    assert done.out == b""
    assert "echolens index" in done.err


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (b'{"format": 999}', "update"),
        (b'{"format": 1}', "lacks"),
        (b"{", "JSON"),
        (b"\xff\xfe", "JSON"),
    ],
)
def test_a_manifest_that_does_not_fit(
    manifest: bytes, says: str, tmp_path: Path, echolens: Echolens
) -> None:
    folder = tmp_path / "collection"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(manifest)

    for command in (["status"], ["search", "cat"], ["index", "."], ["verify"], ["failures"]):
        done = echolens(*command)
        assert done.code == ExitCode.MISFIT, command
        assert says.lower() in done.err.lower()
        assert len(done.err.splitlines()) <= 3


def test_a_wrong_setting_is_used_wrongly(echolens: Echolens) -> None:
    done = echolens("status", ECHOLENS_THREADS="many")

    assert done.code == ExitCode.USAGE
    assert "ECHOLENS_THREADS" in done.err


def test_a_working_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()

    with pytest.raises(FileNotFoundError) as caught:
        Path("photos").absolute()
    told = explain(caught.value)

    assert told.code == ExitCode.MISSING
    assert "started in is gone" in told.what

"""The documents keep up with the code: commands, options, settings, exit codes, public names."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import indexer
import retrieval
import retrieval.evaluation
from cli.errors import ExitCode
from cli.main import COMMANDS, echolens
from cli.options import Call
from retrieval.document_stores.elasticsearch import index as elasticsearch
from retrieval.evaluation.datasets import FORMATS
from retrieval.registry import schemes
from retrieval.schema import SkipReason
from retrieval.servers import address
from retrieval.settings import Settings
from retrieval.vector_stores.milvus import address as milvus
from tools.back_ends import BLOCK, block

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")))
}


def _command(name: str) -> click.Command:
    command = echolens.get_command(click.Context(echolens), name)
    assert command is not None
    return command


def _examples(text: str) -> Iterator[list[str]]:
    """The arguments of every ``echolens ...`` in a text of shell lines, also behind a pipe."""
    for line in text.splitlines():
        before_comment = re.sub(r"\s#.*", "", line.strip().removeprefix("$ "))
        for part in before_comment.split(" | "):
            if part.startswith("echolens ") and "COMMAND" not in part:
                yield shlex.split(part)[1:]


def _consoles(text: str) -> str:
    return "\n".join(re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_each_of_its_options_have_help(name: str) -> None:
    command = _command(name)

    assert command.help
    assert "Example" in command.help
    assert len(command.get_short_help_str(100)) <= 60, "is cut off in `echolens --help`"
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_stands_in_the_readme(name: str) -> None:
    assert f"| `echolens {name}` |" in README


HELP = [example for name in COMMANDS for example in _examples(_command(name).help or "")]
IN_PAGES = [example for text in PAGES.values() for example in _examples(_consoles(text))]


@pytest.mark.parametrize("arguments", [*HELP, *IN_PAGES], ids=shlex.join)
def test_an_example_parses(arguments: list[str]) -> None:
    context = echolens.make_context("echolens", list(arguments))
    name, command, rest = echolens.resolve_command(
        context, [*context._protected_args, *context.args]
    )

    assert command is not None
    command.make_context(name, rest, parent=context)


def test_there_are_examples_to_parse() -> None:
    assert len(HELP) >= len(COMMANDS)
    assert len(IN_PAGES) >= 5


@pytest.mark.parametrize("setting", [field.name for field in fields(Settings)])
def test_a_setting_stands_in_the_readme_with_its_default(setting: str) -> None:
    default = getattr(Settings(home=Path("home")), setting)
    row = re.search(rf"^\| `{setting}` \| `ECHOLENS_{setting.upper()}` \| (.*?) \|", README, re.M)

    assert row is not None
    if default != "" and setting != "home":
        assert row[1] == f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


@pytest.mark.parametrize(
    "name", [*retrieval.__all__, *retrieval.evaluation.__all__, *indexer.__all__]
)
def test_a_public_name_stands_in_the_readme(name: str) -> None:
    assert re.search(rf"`{name}\b", README)


@pytest.mark.parametrize("code", ExitCode)
def test_an_exit_code_stands_in_the_readme(code: ExitCode) -> None:
    assert f"\n| {code.value} | " in README


@pytest.mark.parametrize("reason", SkipReason)
def test_a_reason_to_skip_stands_in_the_readme(reason: SkipReason) -> None:
    assert f"| `{reason.value}` |" in README
    row = next(line for line in README.splitlines() if line.startswith(f"| `{reason.value}` |"))
    assert row.endswith("| yes |" if reason.is_failure else "| no |")


@pytest.mark.parametrize(
    "scheme", [name for name, entry in schemes("encoder") if "outside" not in entry.about]
)
def test_an_encoder_stands_in_the_readme(scheme: str) -> None:
    assert f"`{scheme}:" in README


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_of_data_sets_stands_in_its_page(name: str) -> None:
    assert re.search(rf"^\| `{name}:", PAGES["docs/evaluate.md"], re.M)


def test_the_table_of_back_ends_is_that_of_the_registry() -> None:
    assert BLOCK.findall(README) == [block()], "python -m tools.back_ends --write"


def test_the_options_of_urls_stand_in_the_page_about_servers() -> None:
    known = {*address.COMMON, *milvus.OPTIONS, *elasticsearch.OPTIONS}

    assert [name for name in known if f"`{name}`" not in PAGES["docs/servers.md"]] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_link_to_a_file_leads_somewhere(page: str) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", PAGES[page])
    here = (ROOT / page).parent

    assert [target for target in targets if not (here / target).exists()] == []


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_help_keeps_its_examples_line_by_line(name: str) -> None:
    """click rewraps a paragraph unless it begins with the control character ``\\b``."""
    arguments = [name, "--help"] if name else ["--help"]
    shown = CliRunner().invoke(echolens, arguments, terminal_width=80, obj=Call()).output
    command = _command(name) if name else echolens
    lines = inspect.cleandoc(command.help or "").splitlines()
    kept = [line.strip() for line in lines if line.startswith("  ")]

    assert "\\b" not in shown
    assert kept
    assert [line for line in kept if line not in map(str.strip, shown.splitlines())] == []

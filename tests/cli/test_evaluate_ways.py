"""Which options of ``echolens evaluate`` mean something where: the others are refused, each one."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from cli.commands.evaluate import command
from cli.evaluation import MEANS, Way, way_of
from cli.options import Call
from indexer import create
from tests.collections import settings

BASE = {
    Way.JUDGED_RUN: ["trec:qrels.txt", "--run", "run.txt"],
    Way.RUN: ["data.tsv", "--run", "run.txt"],
    Way.KNOWN_ITEMS: [],
    Way.ENCODER: ["data.tsv", "--encoder", "hash:"],
    Way.EXACT: ["data.tsv", "--exact"],
    Way.COLLECTION: ["data.tsv"],
}
OF_DATA = "images split split_file captions per_image"
ASKED = "queries perturb slices plots device precision"
REFUSED = {
    Way.JUDGED_RUN: f"{OF_DATA} {ASKED} encoder exact folds held_in where depth collection",
    Way.RUN: f"{ASKED} encoder exact folds held_in where depth collection",
    Way.KNOWN_ITEMS: f"{OF_DATA} encoder exact folds held_in",
    Way.ENCODER: "where depth held_in collection",
    Way.EXACT: "where depth held_in",
    Way.COLLECTION: "folds",
}
CHOOSES = {"run", "encoder", "exact"}  # options that make it another way
OPTIONS = {option.name: option for option in command.params if isinstance(option, click.Option)}
NO_MEASURING = {"help", "quiet", "verbose", "debug"}
LEAST = {"folds": "1", "held_in": "0"}  # what a default would look like


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a user with the default collection, and one called x."""
    home = tmp_path_factory.mktemp("home")
    for name in (None, "x"):
        create(name, settings=settings(home)).close()
    return home


@pytest.fixture(autouse=True)
def _at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHOLENS_HOME", str(home))


def way(*arguments: str) -> Way:
    call = Call()
    context = command.make_context("evaluate", list(arguments), obj=call)
    return way_of(call, context.params)


def given(name: str) -> list[str]:
    """An option with some value that fits."""
    option = OPTIONS[name]
    flag = max(option.opts, key=len)
    if option.is_flag:
        return [flag]
    if isinstance(option.type, click.Choice):
        return [flag, str(option.type.choices[0])]
    number = isinstance(option.type, click.IntRange)
    return [flag, LEAST.get(name, "20") if number else "x"]


def test_every_option_means_something_somewhere() -> None:
    known = {name for names in MEANS.values() for name in names}
    assert known - {"data"} == OPTIONS.keys() - NO_MEASURING


@pytest.mark.parametrize("of", Way)
def test_each_way_is_chosen_by_what_was_named(of: Way) -> None:
    assert way(*BASE[of]) is of


@pytest.mark.parametrize("of", Way)
def test_an_option_that_would_be_ignored_is_refused_whatever_its_value(of: Way) -> None:
    for name in REFUSED[of].split():
        with pytest.raises(click.UsageError) as refused:
            way(*BASE[of], *given(name))
        message = refused.value.message
        assert message.startswith(f"{given(name)[0]} means nothing for {of.value}"), name
        assert "\n" not in message


@pytest.mark.parametrize("of", Way)
def test_every_other_option_is_taken(of: Way) -> None:
    for name in OPTIONS.keys() - NO_MEASURING - CHOOSES - set(REFUSED[of].split()):
        assert way(*BASE[of], *given(name)) is of, name


def test_a_refusal_names_the_ways_in_which_it_would_mean_something() -> None:
    with pytest.raises(click.UsageError, match=r"--folds .* alone \(--encoder\) or .* \(--exact\)"):
        way("data.tsv", "--folds", "5")
    assert way("data.tsv", "--folds", "5", "--exact") is Way.EXACT
    assert way("data.tsv", "--exact", "--encoder", "hash:") is Way.ENCODER


def test_without_any_collection_the_encoder_is_what_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ECHOLENS_HOME", str(tmp_path / "nobody"))
    assert way("data.tsv", "--folds", "5") is Way.ENCODER
    with pytest.raises(click.UsageError, match="--where means nothing for DATA by an encoder"):
        way("data.tsv", "--where", "year > 1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "run.txt"], "--run needs judgements"),
        (["trec:qrels.txt"], "name it with --run"),
    ],
)
def test_half_of_a_pair_is_no_way(arguments: list[str], message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        way(*arguments)


def test_help_shows_every_option_under_a_heading_in_eighty_columns() -> None:
    context = command.make_context(
        "echolens evaluate", [], resilient_parsing=True, terminal_width=80
    )
    text = command.get_help(context)

    assert max(map(len, text.splitlines())) <= 90, "examples are kept whole"
    for option in OPTIONS.values():
        assert text.count(f"{max(option.opts, key=len)} ") >= 1
    headings = [line for line in text.splitlines() if line.endswith(":") and line[:1].isalpha()]
    assert headings == ["The data:", "What is measured:", "The report:", "Options:"]
    assert all(change in text for change in ("crop", "typo", "jpeg:20"))


@pytest.mark.parametrize("option", ["--where", "--baseline", "--json", "--plots", "--perturb"])
def test_an_empty_option_is_refused(option: str) -> None:
    """A variable of a script that isn't set must not make a gate pass."""
    with pytest.raises(click.UsageError, match=f"{option} is empty"):
        way("data.tsv", option, "")

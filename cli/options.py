"""What all commands share: the options of the whole program, and opening the collection.

Gets: click's callbacks. Gives: a `Call`, and decorators. Touches: nothing by itself. Never: prints.

Every common option works before and after the command's name, since people write both; each use
only fills in the one `Call` of this run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from . import output

if TYPE_CHECKING:
    from retrieval import Collection
    from retrieval.schema import Precision
    from retrieval.settings import Settings

PRECISIONS = ("auto", "fp32", "bf16", "int8")  # `schema.Precision`, which --help needn't load

# Of what a new collection is made: the library's name, the option and its help.
NEW = {
    "encoder": ("--encoder", "For a new collection: its encoder (see `echolens encoders`)."),
    "audio_encoders": (
        "--audio-encoder",
        "One for sounds beside it, also for a collection that has none; repeatable.",
    ),
    "transcriber": (
        "--transcriber",
        "What writes down speech, also for a collection that has none.",
    ),
    "vectors": (
        "--vectors",
        "For a new collection: its vector store: `exact:`, `faiss:`, `milvus://HOST/NAME`.",
    ),
    "documents": (
        "--documents",
        "For a new collection: its document store: `sqlite:`, `elasticsearch://HOST/NAME`.",
    ),
    "assets": (
        "--assets",
        "For a new collection: `inplace:` leaves files where they are, `folder:` and `s3://` copy.",
    ),
}
ADDED = ("audio_encoders", "transcriber")  # what a collection that is there takes, too

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass(slots=True)
class Call:
    """The common options of this run, filled in while click parses.

    Attributes:
        collection: name or path; None for the user's default.
        quiet: nothing on stderr but errors.
        verbose: more than usual on stderr.
        debug: errors come with their trace.
        device, precision: what encoders compute with; None as the settings say.
    """

    collection: str | None = None
    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    device: str | None = None
    precision: Precision | None = None

    def note(self, text: str) -> None:
        """Say something on stderr, unless asked to be quiet."""
        if not self.quiet:
            output.note(text)

    def open(self) -> Collection:
        """Open the collection of this run for reading."""
        from retrieval import open_collection

        return open_collection(self.collection, settings=self.settings())

    def settings(self) -> Settings:
        """The user's settings, with what this run's options say instead."""
        from retrieval.settings import load_settings

        settings = load_settings()
        return replace(
            settings,
            device=self.device or settings.device,
            precision=self.precision or settings.precision,
        )


class Sectioned(click.Command):
    """A command whose help shows its many options under headings.

    Attributes:
        sections: the names of options by their heading; the others come last.
    """

    sections: ClassVar[Mapping[str, Sequence[str]]] = {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, in the order of `sections`."""
        rows = {
            parameter.name: row
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option) and (row := parameter.get_help_record(ctx))
        }
        for heading, names in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([rows.pop(name) for name in names])
        with formatter.section("Options"):
            formatter.write_dl(list(rows.values()))


def common(command: Decorated) -> Decorated:
    """Give a command the options of the whole program."""
    for decorate in (
        _shared("--debug", is_flag=True, help="Show the trace of an error."),
        _shared("-v", "--verbose", is_flag=True, help="Say more on stderr."),
        _shared("-q", "--quiet", is_flag=True, help="Say nothing on stderr but errors."),
        _shared(
            "-c",
            "--collection",
            metavar="NAME|PATH",
            help="The collection: a bare name lies in your data folder, a path is itself.",
        ),
    ):
        command = decorate(command)
    return command


def computing(command: Decorated) -> Decorated:
    """Give a command the options that say what encoders compute with."""
    command = _shared(
        "--precision",
        type=click.Choice(PRECISIONS),
        help="Of the encoder's numbers; auto: the quickest that is accurate enough.",
    )(command)
    return _shared(
        "--device", metavar="NAME", help="Where the encoder computes: auto, cpu, cuda, cuda:1, mps."
    )(command)


def for_new(command: Decorated) -> Decorated:
    """Give a command the options that say what a new collection is made of (see `NEW`)."""
    for name, (flag, what) in reversed(NEW.items()):
        multiple = name == "audio_encoders"
        option = click.option(flag, name, metavar="URL", multiple=multiple, help=what)
        command = option(command)
    return command


def given_of(options: dict[str, Any]) -> dict[str, Any]:
    """Take from `options` those of `NEW` that were given, as `indexer.create` takes them."""
    new = {name: options.pop(name) for name in NEW}
    return {name: value for name, value in new.items() if value not in (None, ())}


def formats(*names: str) -> Callable[[Decorated], Decorated]:
    """Give a command ``--format`` with these choices, the first of which is the default."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(names),
        default=names[0],
        show_default=True,
        help="How results are printed.",
    )


def _shared(*names: str, **settings: Any) -> Callable[[Decorated], Decorated]:
    return click.option(*names, expose_value=False, callback=_remember, **settings)


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value and parameter.name:
        setattr(context.ensure_object(Call), parameter.name, value)

"""``echolens encoders``: encoders and transcribers, what they need, how fast they are here.

Gets: argv. Gives: tables or JSON lines. Touches: stdout and stderr. Never: loads an encoder,
unless to measure it.
"""

from __future__ import annotations

import click

from ..encoders import nameless, show_encoders, show_rates
from ..errors import ExitCode
from ..options import Call, common, formats
from .encoders_export import command as export

ALL = "*"


@click.group("encoders", invoke_without_command=True)
@click.option(
    "--benchmark",
    metavar="[URL]",
    is_flag=False,
    flag_value=ALL,
    help="Measure it, or those that need no name, here: a few seconds each.",
)
@formats("table", "jsonl")
@common
@click.pass_context
@click.pass_obj
def command(
    call: Call, context: click.Context, /, benchmark: str | None, form: str
) -> ExitCode | None:
    """List the encoders and transcribers that there are.

    An encoder decides how well searches answer, in which languages, and how long indexing
    takes. It belongs to its collection for good: name it with `--encoder` when you index for
    the first time. One that takes audio is given with `--audio-encoder`, and a transcriber,
    which writes down what is said, with `--transcriber`; a collection may get both later.
    Below the list stand the models that are on this disk already, which need no network; any
    other is downloaded once, when it is first used.

    `--benchmark` measures how many pictures and texts an encoder takes a second on this
    machine, one at a time (as a search does) and in its own batches (as indexing does), with
    the device, precision and threads of your settings. It counts no decoding:
    `echolens index --profile` tells which of the two bounds a run.

    \b
    Examples:
      echolens encoders
      echolens encoders --benchmark
      echolens encoders --benchmark open_clip:ViT-B-32/laion2b_s34b_b79k
      echolens index -c better --encoder open_clip:ViT-B-32/laion2b_s34b_b79k ~/Pictures
      echolens encoders export -c better
      echolens index -c films --audio-encoder clap: --transcriber whisper:base ~/Videos
    """
    if context.invoked_subcommand:
        return None
    if benchmark is None:
        show_encoders(form)
        return ExitCode.DONE
    if benchmark == ALL:
        call.note("measuring the encoders that need no model's name; give a URL for another")
    show_rates(nameless() if benchmark == ALL else [benchmark], form)
    return ExitCode.DONE


command.add_command(export)

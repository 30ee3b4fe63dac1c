"""The command ``echolens``: finds the command, and alone turns how it ended into an exit code.

Gets: argv and signals. Gives: an exit code. Touches: the process (signals, warnings, exit). Never:
loads more than the command at hand needs; ``echolens --help`` loads nothing of the library.
"""

from __future__ import annotations

import difflib
import importlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import FrameType

import click

from . import output
from .errors import ExitCode, explain
from .options import Call, common
from .streams import open_streams

COMMANDS = (
    "index",
    "search",
    "clip",
    "evaluate",
    "status",
    "failures",
    "remove",
    "verify",
    "encoders",
    "init",
    "promote",
)


class Commands(click.Group):
    """Commands by the name of their module, loaded when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All of them, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Load one; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".commands.{cmd_name}", __package__)
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of these arguments, or say which one may have been meant."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(COMMANDS)}."
            raise click.UsageError(f"There is no command `{args[0]}`. {hint}", ctx)
        return super().resolve_command(ctx, args)


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"echolens {version('echolens')}")
        context.exit()


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
    help="Show the version.",
)  # fmt: skip
@common
def echolens() -> None:
    """Find pictures and texts with words or with a picture, on your own machine.

    \b
    Example: index a folder, then ask it
      echolens index ~/Pictures
      echolens search "a dog on the beach"

    \b
    Exit codes: 0 done, 1 nothing found, a gate not met, damage found, 2 used wrongly,
    3 done in part, 4 something is missing, 5 the collection doesn't fit,
    70 a fault of Echolens, 130 interrupted.
    """


def main() -> None:
    """Run the command of ``sys.argv`` and exit."""
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # once more, while the first was being answered
        code = ExitCode.INTERRUPTED
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; whatever happens ends in one of the exit codes."""
    call = Call()
    stopped = _Stopped()
    try:
        stopped.listen()
        open_streams()
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # of libraries, to their own developers
            code = echolens.main(
                args=list(arguments) or ["--help"],
                prog_name="echolens",
                standalone_mode=False,
                obj=call,
            )
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last line of defence
        explanation = explain(KeyboardInterrupt() if stopped.within(error) else error)
        output.note(str(explanation))
        if call.debug:
            output.note("".join(traceback.format_exception(error)).rstrip())
        return int(explanation.code)
    if stopped.at_all and code != ExitCode.INTERRUPTED:
        output.note(str(explain(KeyboardInterrupt())))  # what was shown may lack a part
        return ExitCode.INTERRUPTED
    return int(code or ExitCode.DONE)


class _Stopped:
    """Whether the user has stopped this run, by Ctrl-C or SIGTERM, which come to the same.

    Remembered, since a library that is being loaded may turn the KeyboardInterrupt into an
    ImportError of its own, which then looks like a package that isn't there.
    """

    def __init__(self) -> None:
        self.at_all = False
        self._owner = os.getpid()

    def listen(self) -> None:
        """From now on each signal raises KeyboardInterrupt."""
        signal.signal(signal.SIGTERM, self._stop)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # a shell's background job
            signal.signal(signal.SIGINT, self._stop)

    def within(self, error: BaseException) -> bool:
        """Whether it is what lies behind an error."""
        behind: BaseException | None = error
        seen: list[BaseException] = []  # a client makes its errors their own cause
        while behind is not None and not isinstance(behind, ImportError | SystemError):
            seen.append(behind)
            behind = behind.__cause__ or behind.__context__
            behind = None if behind in seen else behind
        return self.at_all and behind is not None

    def _stop(self, number: int, _: FrameType | None) -> None:
        if os.getpid() == self._owner:
            self.at_all = True
            raise KeyboardInterrupt
        # A decoding process that was forked from this one just ends.
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


if __name__ == "__main__":
    main()

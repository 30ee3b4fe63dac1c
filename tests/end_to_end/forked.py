"""The whole command again and again, in forked processes: it starts without importing anything.

Gets: arguments, an environment. Gives: what the command said. Touches: the folder that it is given;
processes of its own. Never: a shortcut past the command's own ``main``.

``python -m tests.end_to_end.forked`` reads a job a line from stdin, as JSON, and answers with the
process's id and, once that has ended, its exit code, or minus the signal:

    {"arguments": [...], "environment": {...}, "output": FOLDER, "kill": "module:Class.method#2"}

The last may be empty; else: SIGKILL at the second call of that method, before it does anything.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
LONGEST_S = 120  # that a command may take; one that hangs fails its test
PRELOADED = ("elasticsearch", "minio", "pymilvus", "retrieval", "indexer", "indexer.decode")


@dataclass(frozen=True)
class Done:
    """What a command said."""

    code: int
    stdout: str
    stderr: str

    @property
    def hits(self) -> list[dict[str, Any]]:
        """Of a search with ``--format jsonl``."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def assets(self) -> list[str]:
        """Of its hits, best first."""
        return [hit["asset"] for hit in self.hits]


class Commands:
    """Runs the command, one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._pid = 0
        self._runs = 0

    def start(
        self, arguments: list[str], environment: Mapping[str, str], *, kill: str = ""
    ) -> None:
        """Start it and go on."""
        assert self._server.stdin
        self._runs += 1
        self._output.mkdir()
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("ECHOLENS_", "AWS_"))}
        job = {"arguments": arguments, "environment": {**ours, **environment}, "kill": kill}
        job["output"] = str(self._output)
        self._server.stdin.write(json.dumps(job).encode() + b"\n")
        self._pid = self._answer(LONGEST_S) or 0

    def is_running(self) -> bool:
        """Whether it hasn't ended; `wait` tells how it did."""
        assert self._server.stdout
        return not select.select([self._server.stdout], [], [], 0)[0]

    def wait(self) -> Done:
        """Let it end."""
        code = self._answer(LONGEST_S)
        if code is None:
            os.kill(self._pid, signal.SIGKILL)
            self._answer(LONGEST_S)
        said = [(self._output / name).read_text(errors="replace") for name in ("out", "err")]
        assert code is not None, f"it hangs: {said}"
        assert "Traceback" not in said[1], said[1]
        return Done(code, *said)

    def close(self) -> None:
        """End the process that runs them, and the one that hangs, if one does."""
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.communicate()

    @property
    def _output(self) -> Path:
        return self._folder / str(self._runs)

    def _answer(self, seconds: float) -> int | None:
        stream = self._server.stdout
        assert stream
        return int(stream.readline()) if select.select([stream], [], [], seconds)[0] else None


def main() -> None:
    """See the module's docstring."""
    from cli.main import main as command

    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _run(command, json.loads(line))
        print(pid, flush=True)  # noqa: T201 (the answer)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


def _run(command: Callable[[], None], job: dict[str, Any]) -> NoReturn:
    os.environ.clear()
    os.environ.update(job["environment"])
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(job["output"]) / name, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = ["echolens", *job["arguments"]]
    if job["kill"]:
        _kill_at(job["kill"])
    code = 0
    try:
        command()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _kill_at(point: str) -> None:
    """Let a call of a method be this process's last."""
    place, _, number = point.partition("#")
    module, _, name = place.partition(":")
    owner, method = name.split(".")
    kind = getattr(importlib.import_module(module), owner)
    whole = getattr(kind, method)
    calls = iter(range(int(number) - 1))

    def counted(*arguments: Any, **options: Any) -> Any:
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments, **options)

    setattr(kind, method, counted)


if __name__ == "__main__":
    main()

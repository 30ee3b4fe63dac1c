"""One cold ``echolens`` command, its wall time and peak memory told apart by what it was doing.

    python benchmarks/cold_search_shares.py STARTED OUTPUT search "a dog on the beach"

STARTED is the second, by the system's monotonic clock, at which this process was started. Runs the
command as the console script does, with a switch around the steps named below: each moment counts
for the innermost step. Imports come first, one package after the other. Writes OUTPUT as JSON:
``{step: [seconds, megabytes]}``, the latter by how much peak memory rose.
"""

from __future__ import annotations

import time

BEGUN = time.monotonic()

import importlib  # noqa: E402 - after the first look at the clock
import json  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from functools import wraps  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

IMPORTS = {
    "import numpy": ("numpy",),
    "import click": ("click",),
    "import onnxruntime": ("onnxruntime",),
    "import tokenizers": ("tokenizers",),
    "import echolens, sqlite3, ...": (
        "cli.main",
        "cli.commands.search",
        "retrieval.collection",
        "retrieval.document_stores.sqlite",
        "retrieval.vector_stores.exact",
        "retrieval.asset_stores.inplace",
        "retrieval.encoders.starter",
    ),
}
STEPS = {
    "retrieval.collection:open_backends": "open the stores",
    "retrieval.encoders.starter.sentences:open_session": "open the text model",
    "retrieval.encoders.starter.sentences:SentenceTower.tokenizer": "open the tokenizer",
    "retrieval.encoders.starter.encoder:StarterEncoder._english_head": "open the text head",
    "retrieval.encoders.starter.encoder:StarterEncoder._projection": "open the text head",
    "retrieval.query.engine:encode": "encode the words",
    "retrieval.query.legs:VectorLeg.search": "search the vectors",
    "retrieval.query.legs:VectorLeg.score": "search the vectors",
    "retrieval.query.legs:WordsLeg.search": "search the words",
    "retrieval.query.engine:_rank": "group and fuse",
    "retrieval.query.engine:present": "present",
    "cli.commands.search:show": "print",
}
ORDER = (
    "start python", *IMPORTS, *dict.fromkeys(STEPS.values()), "all the rest", "exit",
)  # fmt: skip


class Switch:
    """Counts every moment, and every rise of peak memory, for the innermost open step."""

    def __init__(self, started: float) -> None:
        self.shares = {step: [0.0, 0.0] for step in ORDER}
        self._open = ["start python"]
        self._since = (started, 0.0)
        self._turn(BEGUN)
        self._open = ["all the rest"]

    def _turn(self, now: float) -> None:
        peak = _peak_megabytes()
        share = self.shares[self._open[-1]]
        share[0] += now - self._since[0]
        share[1] += peak - self._since[1]
        self._since = (now, peak)

    def __call__(self, step: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, counted as that step."""

        @wraps(call)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._turn(time.monotonic())
            self._open.append(step)
            try:
                return call(*args, **kwargs)
            finally:
                self._turn(time.monotonic())
                self._open.pop()

        return counted

    def end(self) -> dict[str, list[float]]:
        """What was counted; the last moment too, from which the exit is counted by the parent."""
        self._turn(time.monotonic())
        return {**self.shares, "ended": [self._since[0], self._since[1]]}


def main() -> None:
    started, output, *arguments = sys.argv[1:]
    switch = Switch(float(started))
    for step, names in IMPORTS.items():
        for name in names:
            switch(step, importlib.import_module)(name)
    for target, step in STEPS.items():
        insert(switch, target, step)
    code = importlib.import_module("cli.main").run(arguments)
    Path(output).write_text(json.dumps(switch.end()))
    sys.exit(code)


def insert(switch: Switch, target: str, step: str) -> None:
    """Put the switch around a function, a method or a cached property."""
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    found = vars(owner)[name]
    if hasattr(found, "func"):
        found.func = switch(step, found.func)
    else:
        setattr(owner, name, switch(step, found))


def _peak_megabytes() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


if __name__ == "__main__":
    main()
